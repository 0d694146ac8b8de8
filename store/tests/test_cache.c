/* Blocks kept in memory: read once, verified once, and what is damaged or gone is not among them. */
#include "support.h"

enum { LEN = 20000 };

static uint64_t reads(struct store *store, int from, int to)
{
	/* Counts, and lets all through. */
	anyio_fault_set(ANYIO_FAULT_READ, UINT64_MAX, -EIO);
	for (int i = from; i < to; i++)
		if (test_get(store, i, LEN) < 0)
			return UINT64_MAX;
	uint64_t count = anyio_fault_count(ANYIO_FAULT_READ);
	anyio_fault_set(ANYIO_FAULT_READ, 0, 0);
	return count;
}

static int open_some(struct store **store)
{
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(store, NULL));
	for (int i = 0; i < 20; i++)
		CHECK_RC(0, test_put(*store, i, LEN, &ticket));
	CHECK_RC(0, store_sync(*store, ticket));
	return 0;
}

static int what_was_read_is_not_read_again(void *arg)
{
	struct store *store;
	struct store_cache_stat stat;

	CHECK_RC(0, open_some(&store));
	CHECK(reads(store, 0, 20) == 20 && reads(store, 0, 20) == 20);
	store_cache_stat(store, &stat);
	CHECK(stat.max_bytes == 0 && stat.blocks == 0 && stat.hits == 0 && stat.misses == 0);
	store_set_cache(store, 1 << 20);
	CHECK(reads(store, 0, 20) == 20 && reads(store, 0, 20) == 0 && reads(store, 5, 15) == 0);
	store_cache_stat(store, &stat);
	CHECK(stat.max_bytes == 1 << 20 && stat.blocks == 20 && stat.bytes > 20 * LEN);
	CHECK(stat.hits == 30 && stat.misses == 20);
	/* Never more than it may hold, newest first. */
	store_set_cache(store, 5 * LEN * 2);
	CHECK(reads(store, 0, 20) >= 10);
	store_set_cache(store, 0);
	CHECK(reads(store, 0, 20) == 20);
	return store_close(store);
}

static int many_come_from_both(void *arg)
{
	struct store *store;
	struct mf_cid cids[20];
	struct store_block out[20];
	static uint8_t data[LEN];
	int results[20];

	CHECK_RC(0, open_some(&store));
	store_set_cache(store, 1 << 20);
	CHECK(reads(store, 3, 9) == 6);
	for (int i = 0; i < 20; i++)
		test_block(i, LEN, data, &cids[i]);
	for (int round = 0; round < 2; round++) {
		CHECK_RC(0, store_get_many(store, cids, 20, out, results));
		for (int i = 0; i < 20; i++) {
			test_block(i, LEN, data, &cids[i]);
			CHECK(results[i] == 0 && out[i].len == LEN &&
				memcmp(out[i].data, data, LEN) == 0);
			store_block_release(&out[i]);
		}
	}
	CHECK(reads(store, 0, 20) == 0);
	return store_close(store);
}

/* A caller's bytes stay, whatever becomes of the cache and the store. */
static int what_is_held_outlives_it(void *arg)
{
	struct store *store;
	struct store_block held[2];
	static uint8_t data[LEN];
	struct mf_cid cid;

	CHECK_RC(0, open_some(&store));
	store_set_cache(store, 1 << 20);
	test_block(7, LEN, data, &cid);
	CHECK_RC(0, store_get(store, &cid, &held[0]));
	CHECK_RC(0, store_get(store, &cid, &held[1]));
	CHECK(held[0].data == held[1].data);
	store_set_cache(store, 0);
	store_block_release(&held[0]);
	CHECK_RC(0, store_close(store));
	CHECK(memcmp(held[1].data, data, LEN) == 0);
	store_block_release(&held[1]);
	return 0;
}

static int damage_does_not_get_in(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;

	CHECK_RC(0, open_some(&store));
	CHECK_RC(0, store_checkpoint(store));
	store_set_cache(store, 1 << 20);
	test_flip(test_segment(1), test_file_size(test_segment(1)) - 1000);
	CHECK_RC(-EBADMSG, test_get(store, 19, LEN));
	CHECK_RC(-EBADMSG, test_get(store, 19, LEN));
	CHECK_RC(0, test_put(store, 19, LEN, &ticket));
	CHECK_RC(0, test_get(store, 19, LEN));
	CHECK(reads(store, 19, 20) == 0);
	return store_close(store);
}

ON_BACKENDS(what_was_read_is_not_read_again)
ON_BACKENDS(many_come_from_both)
ON_BACKENDS(what_is_held_outlives_it)
ON_BACKENDS(damage_does_not_get_in)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_read_is_not_read_again),
		cmocka_unit_test(test_many_come_from_both),
		cmocka_unit_test(test_what_is_held_outlives_it),
		cmocka_unit_test(test_damage_does_not_get_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
