/*
 * Reading files: a cursor that says which block it wants next and gives back the bytes of the file,
 * in order. Balanced and trickle trees, raw and dag-pb leaves, data in inner nodes.
 *
 *	while ((rc = unixfs_reader_want(reader, &cid)) > 0) {
 *		get the verified block of cid;
 *		rc = unixfs_reader_feed(reader, block, len, &bytes);
 *		use bytes;
 *	}
 *
 * Pure: it fetches nothing and trusts no size it was told. A reader belongs to one thread at a
 * time.
 */
#ifndef IPLD_UNIXFS_READ_H
#define IPLD_UNIXFS_READ_H

#include <ipld/unixfs.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	UNIXFS_FILE_DEPTH_MAX = 64,      /* inner nodes above a leaf */
	UNIXFS_FILE_HELD_MAX = 16 << 20, /* bytes of inner nodes a reader keeps */
};

#define UNIXFS_TO_END UINT64_MAX

struct unixfs_reader;

/* Makes a reader of length bytes from offset on; UNIXFS_TO_END for all there is. Returns 0 or
 * -ENOMEM. */
int unixfs_reader_new(
	struct unixfs_reader **out, const struct mf_cid *root, uint64_t offset, uint64_t length);
void unixfs_reader_free(struct unixfs_reader *reader); /* NULL is fine */

/* Starts again at the root with another range; the size, once known, stays known. */
void unixfs_reader_seek(struct unixfs_reader *reader, uint64_t offset, uint64_t length);

/* The next block wanted. Returns 1, or 0 when the range has been read. */
int unixfs_reader_want(const struct unixfs_reader *reader, struct mf_cid *cid);

/* Takes the block that unixfs_reader_want named, already verified, and gives the bytes of the range
 * it holds (often none, for inner nodes); bytes points into block. Returns 0; -EBADMSG for a
 * malformed node or one whose size is not what its parent said; -EISDIR for a directory,
 * -ENOTSUP for a symlink; -EMSGSIZE over UNIXFS_FILE_DEPTH_MAX or UNIXFS_FILE_HELD_MAX;
 * -EPROTONOSUPPORT for a CID whose codec is neither raw nor dag-pb; -ENOMEM. After an error it can
 * only be freed or sought. */
int unixfs_reader_feed(
	struct unixfs_reader *reader, const void *block, size_t len, struct mf_pb_view *bytes);

/* The whole file's size once the root was fed; false before. */
bool unixfs_reader_size(const struct unixfs_reader *reader, uint64_t *size);

/* Lends a block that the caller already has, until the look ahead returns; or NULL. */
typedef const void *unixfs_have_fn(void *arg, const struct mf_cid *cid, size_t *len);

/* Looks ahead: up to max CIDs that will be wanted, in order, the first being the one wanted now.
 * Inner nodes that have not been fed hide what is below them unless have (may be NULL) lends them.
 * Returns how many. */
size_t unixfs_reader_window(const struct unixfs_reader *reader, struct mf_cid *cids, size_t max,
	unixfs_have_fn *have, void *arg);

#ifdef __cplusplus
}
#endif
#endif
