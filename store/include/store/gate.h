/*
 * The gate (ipld/block.h) over many blocks: they are hashed side by side, and on the CPU pool when
 * that pays or would keep the loop from its other tasks.
 */
#ifndef STORE_GATE_H
#define STORE_GATE_H

#include <store/block.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Checks blocks against their CIDs: results[i] is what ipld_block_verify returns for blocks[i]. 0, or
 * ANYIO_CANCELLED: results are not set then. data may be NULL when len is 0. */
int store_gate_check(const struct store_block *blocks, size_t count, int *results);
/* The same for what is in a repo, or is taken in by an adoption: up to IPLD_BLOCK_BIG_MAX. */
int store_gate_check_big(const struct store_block *blocks, size_t count, int *results);

/* Gives blocks their digests, by the hash and digest_len that stand in their CIDs. results[i]: 0;
 * -EPROTONOSUPPORT, -EMSGSIZE as of ipld_block_verify, and the digest is not set then. Returns as
 * store_gate_check. */
int store_gate_name(struct store_block *blocks, size_t count, int *results);

#ifdef __cplusplus
}
#endif
#endif
