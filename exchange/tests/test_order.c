/* The order of wants against the plainest way to keep one. */
#include "bitswap/order.h"

#include <string.h>

#include "../../tests/check.h"

enum { SPOTS = 300, STEPS = 20000 };

struct plain {
	struct bitswap_spot *spots[SPOTS];
	size_t count;
};

static void plain_insert(struct plain *plain, struct bitswap_spot *spot)
{
	size_t at = plain->count++;

	for (; at > 0 && plain->spots[at - 1]->priority < spot->priority; at--)
		plain->spots[at] = plain->spots[at - 1];
	plain->spots[at] = spot;
}

static bool plain_remove(struct plain *plain, const struct bitswap_spot *spot)
{
	size_t at = 0;

	while (at < plain->count && plain->spots[at] != spot)
		at++;
	if (at == plain->count)
		return false;
	memmove(&plain->spots[at], &plain->spots[at + 1],
		(--plain->count - at) * sizeof(*plain->spots));
	return true;
}

static void assert_same(const struct bitswap_order *order, const struct plain *plain)
{
	const struct bitswap_spot *first = bitswap_order_first(order),
				  *last = bitswap_order_last(order);

	assert_ptr_equal(first, plain->count ? plain->spots[0] : NULL);
	assert_ptr_equal(last, plain->count ? plain->spots[plain->count - 1] : NULL);
}

/* Few priorities, so that many are the same. */
static void test_same(void **state)
{
	static struct bitswap_spot spots[SPOTS];
	struct bitswap_order order = { 0 };
	struct plain plain = { .count = 0 };
	uint32_t seed = 1;

	for (int step = 0; step < STEPS; step++) {
		seed = seed * 1664525 + 1013904223;
		struct bitswap_spot *spot = &spots[(seed >> 8) % SPOTS];
		if (plain_remove(&plain, spot)) {
			bitswap_order_remove(&order, spot);
		} else {
			bitswap_order_insert(&order, spot, (int32_t)(seed >> 20) % 7 - 3);
			plain_insert(&plain, spot);
		}
		assert_same(&order, &plain);
	}
	while (plain.count > 0) {
		assert_same(&order, &plain);
		bitswap_order_remove(&order, plain.spots[0]);
		plain_remove(&plain, plain.spots[0]);
	}
	assert_null(order.root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
