/*
 * The gate: every block that enters the process, from wherever, passes here before it is believed,
 * stored or served.
 */
#ifndef IPLD_BLOCK_H
#define IPLD_BLOCK_H

#include <multiformats/cid.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The longest block, bytes: bitswap's limit, which every transfer and file format here shares. */
enum { IPLD_BLOCK_MAX = 2 << 20 };

/* Checks a block against its CID. Returns 0; -EBADMSG when the bytes do not match the digest;
 * -EPROTONOSUPPORT when the hash function is unknown, unsound, or its digest is under 20 bytes
 * (mf_hash_allowed); -EMSGSIZE over IPLD_BLOCK_MAX; -ENOMEM. Says nothing about whether the bytes
 * make sense for the CID's codec. Any thread. */
int ipld_block_verify(const struct mf_cid *cid, const void *data, size_t len);

#ifdef __cplusplus
}
#endif
#endif
