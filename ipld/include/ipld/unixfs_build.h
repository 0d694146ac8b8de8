/*
 * Building files: a balanced tree over chunks, bit for bit what Kubo builds.
 *
 * Pure: chunks come in order, finished blocks go out through a callback, and memory is one
 * unfinished node a level of the tree. A builder belongs to one thread at a time.
 */
#ifndef IPLD_UNIXFS_BUILD_H
#define IPLD_UNIXFS_BUILD_H

#include <ipld/unixfs.h>
#include <ipld/unixfs_profile.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Takes a finished block; block is lent for the call. Anything but 0 stops the builder, which then
 * returns it. */
typedef int unixfs_emit_fn(void *arg, const struct mf_cid *cid, const void *block, size_t len);

/* A finished subtree: a leaf, or the root. */
struct unixfs_built {
	struct mf_cid cid;
	uint64_t file_size; /* bytes of the file below it */
	uint64_t tsize;     /* bytes of its block and of all blocks below it */
};

/* What stands before and after a chunk's bytes in its leaf block: nothing for raw leaves. Lets a
 * caller hash and store a leaf without copying the chunk. */
struct unixfs_leaf_frame {
	uint8_t head[32], tail[16];
	uint8_t head_len, tail_len;
	uint32_t codec;
	uint8_t cid_version;
};
void unixfs_leaf_frame(
	struct unixfs_leaf_frame *frame, const struct unixfs_profile *profile, size_t chunk_len);

struct unixfs_file_builder;

/* Makes a builder. profile is copied; meta may be NULL. Metadata needs a dag-pb root, so with meta
 * the leaves are dag-pb whatever the profile says, as in Kubo. Returns 0, -EINVAL for a profile or
 * meta out of range, -ENOMEM. */
int unixfs_file_builder_new(struct unixfs_file_builder **out, const struct unixfs_profile *profile,
	const struct unixfs_meta *meta, unixfs_emit_fn *emit, void *arg);
void unixfs_file_builder_free(struct unixfs_file_builder *builder); /* NULL is fine */

/* Adds the file's next chunk: makes its leaf, emits it. len is the profile's chunk size but for the
 * last chunk (any length up to UNIXFS_CHUNK_MAX is taken: the caller is the chunker). Empty chunks
 * are ignored. Returns 0, -EMSGSIZE, -ENOMEM, or what emit returned. */
int unixfs_file_builder_add_chunk(
	struct unixfs_file_builder *builder, const void *data, size_t len);

/* Adds a leaf that the caller has made and kept by itself (see unixfs_leaf_frame). Errors as above;
 * -EINVAL for a builder with meta, whose only leaf may have to carry it, and for an empty leaf. */
int unixfs_file_builder_add_leaf(
	struct unixfs_file_builder *builder, const struct unixfs_built *leaf);

/* Ends the file: emits what is unfinished, the root last. A file without chunks becomes one empty
 * leaf. Returns 0, -EOVERFLOW when sizes pass 64 bits, or errors as above. The builder can then
 * only be freed. */
int unixfs_file_builder_finish(struct unixfs_file_builder *builder, struct unixfs_built *root);

#ifdef __cplusplus
}
#endif
#endif
