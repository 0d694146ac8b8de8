/*
 * Directories: one dag-pb node while small, a hash trie of shards (HAMT) when large.
 *
 * Pure: built from a complete list of entries, read by cursors that say which block they want next.
 */
#ifndef IPLD_UNIXFS_DIR_H
#define IPLD_UNIXFS_DIR_H

#include <ipld/unixfs.h>
#include <ipld/unixfs_build.h>
#include <ipld/unixfs_profile.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	UNIXFS_SHARD_DEPTH_MAX = 22,    /* 64 bits of hash, 3 bits a level at the least */
	UNIXFS_DIR_HELD_MAX = 16 << 20, /* bytes of shards a reader keeps */
};

/* A name in a directory. */
struct unixfs_entry {
	const uint8_t *name; /* any bytes but '/' and NUL; not empty, "." or ".." */
	size_t name_len;
	struct mf_cid cid;
	uint64_t tsize; /* bytes of all blocks of the entry; a claim when read from a block */
};

/* The size of a directory by the profile's rule, bytes, saturating. Names are not checked. */
uint64_t unixfs_dir_size(const struct unixfs_profile *profile, const struct unixfs_meta *meta,
	const struct unixfs_entry *entries, size_t count);

/* Builds a directory, sharded when its size is over the profile's threshold. entries may be in any
 * order; meta may be NULL. Emits each block, the root last; root->file_size is 0. Returns 0;
 * -EINVAL for a bad name, profile or meta; -EEXIST for a repeated name; -EMSGSIZE for a block over
 * IPLD_BLOCK_MAX; -ELOOP when names collide in all bits of their hash; -EOVERFLOW; -ENOMEM; what
 * emit returned. */
int unixfs_dir_build(const struct unixfs_profile *profile, const struct unixfs_meta *meta,
	const struct unixfs_entry *entries, size_t count, unixfs_emit_fn *emit, void *arg,
	struct unixfs_built *root);

/*
 * Finding one name: feed the directory's block, then each shard asked for.
 */
struct unixfs_lookup {
	const uint8_t *name; /* borrowed */
	size_t name_len;
	uint64_t hash;
	unsigned bits_used;
};

void unixfs_lookup_init(struct unixfs_lookup *lookup, const void *name, size_t name_len);

/* Takes a verified block of the given codec. Returns 1 when found: *entry is it (its name points
 * into block); 0 when the shard entry->cid must be fed next; -ENOENT; -ENOTDIR when the block is no
 * directory; -EBADMSG; -ELOOP for shards deeper than the hash; -EPROTONOSUPPORT for other codecs.
 */
int unixfs_lookup_feed(struct unixfs_lookup *lookup, uint32_t codec, const void *block, size_t len,
	struct unixfs_entry *entry);

/*
 * Listing all: take entries until -EAGAIN, then feed the block wanted, and so on.
 */
struct unixfs_dir_reader;

/* Returns 0 or -ENOMEM. */
int unixfs_dir_reader_new(struct unixfs_dir_reader **out, const struct mf_cid *root);
void unixfs_dir_reader_free(struct unixfs_dir_reader *reader); /* NULL is fine */

/* The next entry, in the order of the blocks (sorted by name for plain directories, by hash for
 sharded ones); its name stays valid until the next call. Returns 1; 0 at the end; -EAGAIN when a
 * block is wanted. Repeated names are not looked for in a plain directory. */
int unixfs_dir_reader_next(struct unixfs_dir_reader *reader, struct unixfs_entry *entry);

/* The block wanted. Returns 1, or 0 when none is wanted now. */
int unixfs_dir_reader_want(const struct unixfs_dir_reader *reader, struct mf_cid *cid);

/* Takes the wanted block, verified, and copies it. Returns 0; -ENOTDIR; -EBADMSG, also for a shard
 * with a name whose hash does not lead there and for an empty one below the root, so that no shard
 * is listed twice; -ELOOP for shards deeper than the hash has bits; -EMSGSIZE over UNIXFS_DIR_HELD_MAX; -EPROTONOSUPPORT; -ENOMEM.
 * After an error it can only be freed. */
int unixfs_dir_reader_feed(struct unixfs_dir_reader *reader, const void *block, size_t len);

/* Bytes of the blocks it has copies of now: the shards between the root and the last entry. */
size_t unixfs_dir_reader_held(const struct unixfs_dir_reader *reader);

/* Up to max shards that will be wanted, in order, as far as they can be seen. Returns how many. */
size_t unixfs_dir_reader_window(
	const struct unixfs_dir_reader *reader, struct mf_cid *cids, size_t max);

#ifdef __cplusplus
}
#endif
#endif
