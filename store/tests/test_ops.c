/* The operation log: what it says after any crash, and when it is torn, damaged, lost or old. */
#include "operations.h"
#include "../bytes.h"
#include "../inner.h"

#include <sys/stat.h>
#include <unistd.h>

enum { SPACE = STORE_SPACE_ABOVE };

static int state_is_a_map(void *arg)
{
	struct store *store;
	struct store_state_cursor cursor = { 0 };
	store_ticket ticket = 0;
	uint8_t long_value[STORE_STATE_VALUE_MAX + 1], key[STORE_STATE_KEY_MAX + 1], out[4];
	int seen = 0, rc;

	memset(long_value, 7, sizeof(long_value));
	memset(key, 9, sizeof(key));
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(-EINVAL, store_state_put(store, SPACE, key, 0, "", 0, &ticket));
	CHECK_RC(-EINVAL, store_state_put(store, SPACE, key, sizeof(key), "", 0, &ticket));
	CHECK_RC(-EINVAL,
		store_state_put(store, SPACE, key, 1, long_value, sizeof(long_value), &ticket));
	CHECK_RC(-EINVAL, store_state_put(store, 0, key, 1, "", 0, &ticket));
	CHECK_RC(-EINVAL, store_state_put(store, 256, key, 1, "", 0, &ticket));
	CHECK(ticket == 0);
	CHECK_RC(0,
		store_state_put(store, SPACE, key, STORE_STATE_KEY_MAX, long_value,
			STORE_STATE_VALUE_MAX, &ticket));
	CHECK_RC(0, store_state_put(store, SPACE + 1, "b", 1, "", 0, &ticket));
	CHECK_RC(0, store_state_put(store, SPACE + 1, "none", 4, NULL, 0, &ticket));
	for (int i = 0; i < 100; i++)
		CHECK_RC(0, ops_set(store, i, i * i, false));
	for (int i = 0; i < 100; i += 2)
		CHECK_RC(0, store_state_put(store, SPACE, &i, sizeof(i), NULL, 0, &ticket));
	for (int round = 0; round < 3; round++) {
		CHECK_RC(STORE_STATE_VALUE_MAX,
			store_state_get(
				store, SPACE, key, STORE_STATE_KEY_MAX, out, sizeof(out), NULL));
		CHECK(memcmp(out, long_value, sizeof(out)) == 0);
		CHECK_RC(0, store_state_get(store, SPACE + 1, "b", 1, NULL, 0, NULL));
		CHECK_RC(-ENOENT, store_state_get(store, SPACE + 1, "none", 4, NULL, 0, NULL));
		for (int i = 0; i < 100; i++)
			CHECK(ops_get(store, i) == (i % 2 ? i * i : -1));
		cursor = (struct store_state_cursor){ 0 };
		for (seen = 0; (rc = store_state_next(store, SPACE, &cursor)) > 0; seen++)
			CHECK(cursor.key_len == sizeof(int) ||
				cursor.key_len == STORE_STATE_KEY_MAX);
		CHECK(rc == 0 && seen == 51);
		CHECK_RC(0, store_close(store));
		/* By the index, and by the log alone. */
		if (round == 1)
			CHECK_RC(0, take_index());
		CHECK_RC(0, test_open(&store, NULL));
	}
	return store_close(store);
}

/* More than fits into a batch is synced on the way. */
static int very_many_changes_need_no_sync(void *arg)
{
	struct store_wal_status status;
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < 30000; i++)
		CHECK_RC(0, ops_set(store, i, -i, false));
	store_wal_status(store, &status);
	CHECK(status.operations_bytes > 100000 && status.operations_pending < OPS_BATCH_MAX);
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, take_index());
	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < 30000; i++)
		CHECK(ops_get(store, i) == -i);
	return store_close(store);
}

/* Cut anywhere in its last batch, which nothing shows to have been durable, it counts up to the one before. */
static int a_torn_end_is_cut(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	uint64_t end[6] = { 0 };

	for (int cut = 0; cut < 40; cut++) {
		CHECK_RC(0, test_open(&store, NULL));
		for (int i = 0; i < 5; i++) {
			CHECK_RC(0, ops_set(store, i, cut * 10 + i, true));
			end[i] = store->ops.end;
		}
		unsigned generation = store->ops.generation;
		uint64_t left = end[3] + (end[4] - end[3]) * cut / 40;
		CHECK_RC(0, test_crash(store));
		CHECK_RC(0, truncate(ops_path(generation), left));
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(!recovery.read_only && recovery.damaged == 0 && recovery.gaps == 0);
		for (int i = 0; i < 5; i++)
			CHECK(ops_get(store, i) ==
				(i < 4                    ? cut * 10 + i
						: cut > 0 ? (cut - 1) * 10 + i
							  : -1));
		/* Each time all five are known before the next. */
		for (int i = 0; i < 5; i++)
			CHECK_RC(0, ops_set(store, i, cut * 10 + i, true));
		CHECK_RC(0, store_close(store));
	}
	return 0;
}

/* Operations whose commit did not reach the disk are not believed, however whole they are. */
static int operations_need_their_commit(void *arg)
{
	struct store *store;
	struct store_recovery recovery;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, ops_set(store, 1, 10, true));
	CHECK_RC(0, store_checkpoint(store));
	CHECK_RC(0, ops_set(store, 1, 11, true));
	uint64_t ops_before = store->ops.end, segment_before = store->log.end;
	CHECK_RC(0, ops_set(store, 1, 12, true));
	CHECK_RC(0, ops_set(store, 2, 20, true));
	CHECK_RC(0, test_crash(store));
	CHECK(test_file_size(ops_path(1)) > (long)ops_before);
	CHECK_RC(0, truncate(test_segment(1), segment_before));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(!recovery.read_only && recovery.damaged == 0);
	CHECK(ops_get(store, 1) == 11 && ops_get(store, 2) == -1);
	CHECK_RC((long)ops_before, test_file_size(ops_path(1)));
	/* The numbers of their commits are used again, and they do not come back. */
	CHECK_RC(0, ops_set(store, 3, 30, true));
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, take_index());
	CHECK_RC(0, test_open(&store, NULL));
	CHECK(ops_get(store, 1) == 11 && ops_get(store, 2) == -1 && ops_get(store, 3) == 30);
	return store_close(store);
}

/* It does not grow for ever. */
static int what_is_changed_often_is_written_anew(void *arg)
{
	struct store *store;
	unsigned generation = 1;

	test_options.operations_bytes = 5000;
	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < 3000; i++) {
		CHECK_RC(0, ops_set(store, i % 7, i, i % 3 == 0));
		if (i % 100 == 0)
			CHECK_RC(0, store_checkpoint(store));
		CHECK(store->ops.end < 30000);
	}
	generation = store->ops.generation;
	CHECK(generation > 5);
	CHECK_RC(0, test_crash(store));
	for (int round = 0; round < 2; round++) {
		CHECK_RC(0, test_open(&store, NULL));
		for (int i = 2993; i < 3000; i++)
			CHECK(ops_get(store, i % 7) == i ||
				(i == 2999 && ops_get(store, i % 7) == i - 7) || i == 2998);
		CHECK_RC(0, store_close(store));
		CHECK_RC(0, take_index());
	}
	CHECK(access(ops_path(generation - 1), F_OK) < 0);
	test_options.operations_bytes = 0;
	return 0;
}

struct listing {
	struct store *store;
	int told, lost;
};

/* In the middle of it the next generation takes the file's place. */
static int rewrite_meanwhile(void *arg, const struct store_wal_entry *entry)
{
	struct listing *listing = arg;
	unsigned generation = listing->store->ops.generation;

	listing->lost += entry->kind == STORE_WAL_LOST;
	if (entry->kind != STORE_WAL_STATE || ++listing->told != 10)
		return 0;
	for (int i = 0; listing->store->ops.generation == generation; i++) {
		CHECK(i < 10000);
		CHECK_RC(0, ops_set(listing->store, i % 7, i, true));
		if (i % 100 == 99)
			CHECK_RC(0, store_checkpoint(listing->store));
	}
	return 0;
}

static int a_reading_outlives_its_file(void *arg)
{
	struct listing listing = { 0 };

	test_options.operations_bytes = 5000;
	CHECK_RC(0, test_open(&listing.store, NULL));
	for (int i = 0; i < 300; i++)
		CHECK_RC(0, ops_set(listing.store, i, i, true));
	CHECK_RC(0, store_wal_each(listing.store, 0, 0, rewrite_meanwhile, &listing));
	CHECK(listing.told >= 300 && listing.lost == 0);
	CHECK(listing.store->ops.generation > 1 && !listing.store->ops.readings);
	CHECK_RC(0, test_verify(listing.store));
	test_options.operations_bytes = 0;
	return store_close(listing.store);
}

ON_BACKENDS(a_reading_outlives_its_file)
ON_BACKENDS(state_is_a_map)
ON_BACKENDS(very_many_changes_need_no_sync)
ON_BACKENDS(a_torn_end_is_cut)
ON_BACKENDS(operations_need_their_commit)
ON_BACKENDS(what_is_changed_often_is_written_anew)

/* An accepted loss had an empty value once. */
static int a_loss_of_old_stays_accepted(void *arg)
{
	static const uint8_t number[4] = { 77 };
	struct store *store;
	struct store_recovery recovery;
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, store_state_put(store, STORE_SPACE_SEGMENTS, number, 4, "", 0, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, test_crash(store));
	for (int again = 0; again < 2; again++) {
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(recovery.gaps == 0 && recovery.damaged == 0 && !recovery.read_only);
		CHECK_RC(0, test_put(store, 1 + again, 1000, &ticket));
		CHECK_RC(0, store_close(store));
	}
	return 0;
}
ON_BACKENDS(a_loss_of_old_stays_accepted)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_loss_of_old_stays_accepted),
		cmocka_unit_test(test_state_is_a_map),
		cmocka_unit_test(test_very_many_changes_need_no_sync),
		cmocka_unit_test(test_a_torn_end_is_cut),
		cmocka_unit_test(test_operations_need_their_commit),
		cmocka_unit_test(test_what_is_changed_often_is_written_anew),
		cmocka_unit_test(test_a_reading_outlives_its_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
