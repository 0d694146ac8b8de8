/*
 * Things in the order of their priority, those of the same as they came. Spots lie inside the things;
 * nothing here takes memory or can fail. Whatever order things come and go in, a step looks at a number
 * of them that grows with the logarithm of how many there are: the order is a tree whose shape is drawn
 * by lot (a treap), so that peers cannot choose it.
 */
#ifndef EXCHANGE_BITSWAP_ORDER_H
#define EXCHANGE_BITSWAP_ORDER_H

#include <stddef.h>
#include <stdint.h>

struct bitswap_spot {
	struct bitswap_spot *left, *right; /* before, after */
	uint64_t came, weight;             /* none below has more weight */
	int32_t priority;
};

/* Zeroed: empty. */
struct bitswap_order {
	struct bitswap_spot *root;
	uint64_t came, lot;
};

void bitswap_order_insert(struct bitswap_order *order, struct bitswap_spot *spot, int32_t priority);
/* The spot must be in the order. */
void bitswap_order_remove(struct bitswap_order *order, struct bitswap_spot *spot);
/* Highest priority and lowest; NULL when empty. */
struct bitswap_spot *bitswap_order_first(const struct bitswap_order *order);
struct bitswap_spot *bitswap_order_last(const struct bitswap_order *order);

#endif
