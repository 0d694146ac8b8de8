/*
 * The gate: what a block must be to be believed, stored or served, wherever it came from. The rules
 * stand here and nowhere else. store_gate_check (store/gate.h) calls them for many blocks, on all
 * processors.
 */
#ifndef IPLD_BLOCK_H
#define IPLD_BLOCK_H

#include <stdbool.h>
#include <multiformats/cid.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The longest block, bytes: bitswap's limit, which every transfer and file format here shares. */
enum { IPLD_BLOCK_MAX = 2 << 20 };
/* The longest that a repo holds, when it was told to take such in with an archive (store/adopt.h): it is read,
 * and leaves by no transfer. */
enum { IPLD_BLOCK_BIG_MAX = 8 << 20 };

/* What can be refused without hashing: -EMSGSIZE over IPLD_BLOCK_MAX; -EPROTONOSUPPORT when the
 * hash function is unknown, unsound, or its digest is under 20 bytes (mf_hash_allowed); else 0. Any
 * thread. */
int ipld_block_allowed(const struct mf_cid *cid, size_t len);
/* The same up to IPLD_BLOCK_BIG_MAX. */
int ipld_big_block_allowed(const struct mf_cid *cid, size_t len);

struct ipld_block {
	const struct mf_cid *cid;
	const void *data; /* may be NULL when len is 0 */
	size_t len;       /* bytes */
	/* NULL: the block is checked against its CID. Else the block has no name yet: its digest is
	 * written here, by the function and length that stand in the CID; it may be the CID's own. */
	uint8_t *name;
	bool big;   /* it may be longer than IPLD_BLOCK_MAX, up to IPLD_BLOCK_BIG_MAX */
	int result; /* filled */
};

/* Passes blocks through the gate, hashed side by side where that is faster. result: 0; what
 * ipld_block_allowed says; -EBADMSG when the bytes do not match the digest; -EPROTONOSUPPORT when
 * the function gives no digest of that length; -ENOMEM. Says nothing about whether the bytes make
 * sense for the CID's codec. Any thread. */
void ipld_blocks_pass(struct ipld_block *blocks, size_t count);

/* One block, checked: the result. */
int ipld_block_verify(const struct mf_cid *cid, const void *data, size_t len);

#ifdef __cplusplus
}
#endif
#endif
