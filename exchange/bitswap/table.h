/*
 * A table of things by multihash: version and codec of a CID don't matter, as in the store. Nodes
 * lie inside the things; an empty table holds no memory. Hashes are keyed, so that peers cannot
 * choose CIDs that fall together.
 */
#ifndef EXCHANGE_BITSWAP_TABLE_H
#define EXCHANGE_BITSWAP_TABLE_H

#include <multiformats/cid.h>
#include <sodium.h>

struct bitswap_node {
	struct bitswap_node *next;
	const struct mf_cid *cid; /* the thing's own; set before adding */
};

struct bitswap_table {
	struct bitswap_node **buckets;
	size_t size, count;
	uint8_t key[crypto_shorthash_KEYBYTES];
};

/* Whether they are one and the same to a table. */
bool bitswap_table_same(const struct mf_cid *a, const struct mf_cid *b);
/* 0 or -ENOMEM. The CID must not be in the table. */
int bitswap_table_add(struct bitswap_table *table, struct bitswap_node *node);
struct bitswap_node *bitswap_table_find(
	const struct bitswap_table *table, const struct mf_cid *cid);
/* The node must be in the table. */
void bitswap_table_remove(struct bitswap_table *table, struct bitswap_node *node);

#endif
