/*
 * Adoption: a CAR file becomes a segment of the repo as it is, verified, without its blocks being written again.
 *
 * The file is taken in by reflink where the file system can do that, else by a copy inside the kernel; or, when
 * asked for, by a hard link: then it stays somebody else's too. A link is never written to, cut or punched; when its
 * inode, size or time of writing is not what it was (which is looked at whenever it is opened), its blocks count as
 * damaged, until they are put again. As of all blocks, every one is verified whenever it is read.
 *
 * Of a CAR of version 2 only the archive in it is used. Blocks that the repo has already stay where they are.
 */
#ifndef STORE_ADOPT_H
#define STORE_ADOPT_H

#include <store/block.h>

#ifdef __cplusplus
extern "C" {
#endif

struct store_adopt_options {
	bool link; /* by hard link, or not at all */
	bool big;  /* blocks may have up to IPLD_BLOCK_BIG_MAX bytes */
	/* Called now and then with bytes of the file verified, of all; non-zero stops it with that value. May be
	 * NULL, must not wait. */
	int (*progress)(void *arg, uint64_t done, uint64_t total);
	/* Called once, when the file is adopted, with the roots that its header names, which may be none. May be
	 * NULL. Returns 0 or a code, which ends it: nothing is taken in then. Must not wait. */
	int (*roots)(void *arg, const struct mf_cid *roots, size_t count);
	/* Called for each block that was not in the repo before and is now. May be NULL, must not wait. */
	void (*entered)(void *arg, const struct mf_cid *cid, uint32_t len);
	void *arg;
};

enum store_adopt_how {
	STORE_ADOPT_NOTHING,
	STORE_ADOPT_LINK,
	STORE_ADOPT_REFLINK,
	STORE_ADOPT_COPY
};

struct store_adopt_result {
	enum store_adopt_how how; /* NOTHING: the repo had all of it, and has taken no file */
	uint32_t segment;
	uint64_t blocks,
		bytes;  /* in the file; identity CIDs, which carry their block, do not count */
	uint64_t fresh; /* of them, that the repo did not have */
	/* When the file is refused (-EBADMSG, -EMSGSIZE, -EPROTONOSUPPORT): where, in bytes from its start; and the
	 * CID of the block that stands there, if that can be told. */
	uint64_t at;
	bool has_cid;
	bool cut; /* the file, or the archive in it, ends inside that section */
	struct mf_cid cid;
};

/*
 * Adopts the regular file fd, which is open for reading and stays the caller's. On return it is durable. -EBADMSG: it
 * is no CAR file, or cut short, or something follows its last block, or (has_cid) a block does not match its CID.
 * -EFBIG: it has 2^48 bytes or more. -EMSGSIZE: a block, or the header, is too long. -EPROTONOSUPPORT: a hash function
 * that may not name blocks. Whatever the error, nothing of it is in the repo then, and the file is as it was.
 *
 * By link: -EXDEV: it lies on another file system. -EPERM: it belongs to another user, or the file system has no
 * links. -EINVAL: it is a segment of this repo. ANYIO_NOT_A_FILE: no regular file. -EOPNOTSUPP: in a simulation. Else the errors
 * of store_put. Memory: some 36 MiB, whatever the size of the file. So that no collection takes it before it is
 * pinned, hold a lease (store/collect.h).
 */
int store_adopt(struct store *store, int fd, const struct store_adopt_options *options,
	struct store_adopt_result *result);

#ifdef __cplusplus
}
#endif
#endif
