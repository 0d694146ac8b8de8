#include "order.h"

#include <sodium.h>

static uint64_t draw(struct bitswap_order *order)
{
	while (!order->lot)
		randombytes_buf(&order->lot, sizeof(order->lot));
	order->lot ^= order->lot << 13;
	order->lot ^= order->lot >> 7;
	order->lot ^= order->lot << 17;
	return order->lot;
}

static int precedes(const struct bitswap_spot *a, const struct bitswap_spot *b)
{
	return a->priority != b->priority ? a->priority > b->priority : a->came < b->came;
}

/* It goes above all that weigh less; those are parted into what is before it and what is after. */
void bitswap_order_insert(struct bitswap_order *order, struct bitswap_spot *spot, int32_t priority)
{
	struct bitswap_spot **at = &order->root, **left = &spot->left, **right = &spot->right;
	struct bitswap_spot *below;

	spot->priority = priority;
	spot->came = order->came++;
	spot->weight = draw(order);
	while (*at && (*at)->weight >= spot->weight)
		at = precedes(spot, *at) ? &(*at)->left : &(*at)->right;
	below = *at;
	*at = spot;
	while (below)
		if (precedes(below, spot)) {
			*left = below;
			left = &below->right;
			below = below->right;
		} else {
			*right = below;
			right = &below->left;
			below = below->left;
		}
	*left = *right = NULL;
}

void bitswap_order_remove(struct bitswap_order *order, struct bitswap_spot *spot)
{
	struct bitswap_spot **at = &order->root, *left = spot->left, *right = spot->right;

	while (*at != spot)
		at = precedes(spot, *at) ? &(*at)->left : &(*at)->right;
	while (left && right)
		if (left->weight >= right->weight) {
			*at = left;
			at = &left->right;
			left = left->right;
		} else {
			*at = right;
			at = &right->left;
			right = right->left;
		}
	*at = left ? left : right;
}

struct bitswap_spot *bitswap_order_first(const struct bitswap_order *order)
{
	struct bitswap_spot *spot = order->root;

	while (spot && spot->left)
		spot = spot->left;
	return spot;
}

struct bitswap_spot *bitswap_order_last(const struct bitswap_order *order)
{
	struct bitswap_spot *spot = order->root;

	while (spot && spot->right)
		spot = spot->right;
	return spot;
}
