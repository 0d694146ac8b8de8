/* A repo opened again after it was not closed, or after its files were hurt. */
#include "support.h"
#include <sys/stat.h>
#include <unistd.h>

static int crash_and_open(struct store **store, struct store_recovery *recovery)
{
	int rc = test_crash(*store);

	return rc < 0 ? rc : test_open(store, recovery);
}

static int what_was_synced_survives(void *arg)
{
	struct store *store;
	struct store_recovery recovery;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 20, true));
	CHECK_RC(0, test_put_range(store, 20, 30, false));
	CHECK_RC(0, crash_and_open(&store, &recovery));
	CHECK(recovery.blocks == 20 && recovery.damaged == 0 && !recovery.rebuilt);
	CHECK(recovery.cut > 0 && recovery.text[0]);
	CHECK_RC(0, test_get_range(store, 0, 20));
	CHECK_RC(-ENOENT, test_get(store, 21, 700));
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, test_put_range(store, 20, 30, true));
	CHECK_RC(0, crash_and_open(&store, &recovery));
	CHECK(recovery.cut == 0 && recovery.blocks == 10); /* verifying wrote a checkpoint */
	CHECK_RC(0, test_get_range(store, 0, 30));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

static int any_cut_of_the_tail_is_recovered(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	long synced;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 4, true));
	synced = test_file_size(test_segment(1));
	CHECK_RC(0, test_put_range(store, 4, 6, true));
	CHECK_RC(0, test_crash(store));
	long size = test_file_size(test_segment(1));
	/* From the end downwards, each time as if the writing had stopped there. */
	for (long cut = size - 1; cut >= synced;
		cut -= cut > synced + 40 && cut < size - 200 ? 97 : 1) {
		CHECK(truncate(test_segment(1), cut) == 0);
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(recovery.damaged == 0 && recovery.blocks == 4);
		CHECK_RC((int)(cut - synced), (int)recovery.cut);
		CHECK_RC(0, test_get_range(store, 0, 4));
		CHECK_RC(0, test_crash(store));
		if (cut > synced)
			CHECK(truncate(test_segment(1), cut) == 0);
	}
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

static int the_index_can_be_thrown_away(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	char path[96];

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 300, true));
	CHECK_RC(0, store_close(store));
	snprintf(path, sizeof(path), "%s/index/data.mdb", test_repo);
	CHECK(unlink(path) == 0);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.rebuilt && recovery.blocks == 300 && recovery.damaged == 0);
	CHECK_RC(0, test_get_range(store, 0, 300));
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, store_close(store));

	/* Cut short, or full of something else. */
	CHECK(truncate(path, 5000) == 0);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.rebuilt);
	CHECK_RC(0, test_get_range(store, 0, 300));
	CHECK_RC(0, store_close(store));
	FILE *file = fopen(path, "wb");
	for (int i = 0; i < 50000; i++)
		fputc(i * 7, file);
	fclose(file);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.rebuilt);
	CHECK_RC(0, test_get_range(store, 0, 300));
	CHECK_RC(0, rebuild_index(store, &recovery));
	CHECK(recovery.rebuilt && recovery.blocks == 300);
	CHECK_RC(0, test_get_range(store, 0, 300));
	CHECK_RC(0, test_put_range(store, 300, 320, true));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

/* Where the data of block i begins, found by its bytes. */
static long find_block(int i, const char *path)
{
	static uint8_t file[1 << 21];
	uint8_t *data = malloc(30000);
	struct mf_cid cid;
	size_t len = i % 5 ? 700 : 30000;
	FILE *in = fopen(path, "rb");
	size_t size = fread(file, 1, sizeof(file), in);

	fclose(in);
	test_block(i, len, data, &cid);
	const uint8_t *at = memmem(file, size, data, len);
	free(data);
	return at ? at - file : -1;
}

static int damage_is_kept_reported_and_skipped(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	long head[3];

	for (int where = 0; where < 3; where++) {
		/* In a block, in its CID, in its length. */
		CHECK_RC(0, test_open(&store, NULL));
		int base = where * 100;
		CHECK_RC(0, test_put_range(store, base, base + 10, true));
		CHECK_RC(0, test_put_range(store, base + 10, base + 20, true));
		CHECK_RC(0, test_put_range(store, base + 20, base + 30, true));
		CHECK_RC(0, test_crash(store));
		head[where] = find_block(base + 13, test_segment(1)) -
			(where == 0                  ? -50
					: where == 1 ? 5
						     : 38);
		long size = test_file_size(test_segment(1));
		test_flip(test_segment(1), head[where]);
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(recovery.cut == 0);
		CHECK(test_file_size(test_segment(1)) >= size);
		CHECK_RC(0, test_get_range(store, base, base + 10));
		CHECK_RC(0, test_get_range(store, base + 20, base + 30));
		CHECK_RC(0, test_get_range(store, base + 10, base + 13));
		int rc = test_get(store, base + 13, 700);
		CHECK(rc == -EBADMSG || rc == -ENOENT);
		rc = test_get(store, base + 13, 700);
		CHECK(rc == -EBADMSG || rc == -ENOENT);
		CHECK(test_verify(store) > 0);
		/* A put mends it. */
		store_ticket ticket = 0;
		CHECK_RC(0, test_put(store, base + 13, 700, &ticket));
		CHECK_RC(0, store_sync(store, ticket));
		CHECK_RC(0, test_get(store, base + 13, 700));
		if (where < 2)
			CHECK_RC(0, test_get_range(store, base + 10, base + 20));
		CHECK_RC(0, store_close(store));
		CHECK_RC(0, test_open(&store, &recovery));
		/* A damaged copy of what is whole again is no fault; what the log does not name is. */
		long left = test_verify(store);
		CHECK(where == 0 ? left == 0 : left > 0);
		CHECK_RC(0, test_get(store, base + 13, 700));
		CHECK_RC(0, store_close(store));
		/* What cannot be mended in its place is undone for the next round. */
		test_flip(test_segment(1), head[where]);
	}
	/* All of it again from the segments alone, unhurt. */
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK_RC(0, rebuild_index(store, &recovery));
	CHECK(recovery.damaged == 0);
	for (int where = 0; where < 3; where++)
		CHECK_RC(0, test_get_range(store, where * 100, where * 100 + 30));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

static int a_damaged_commit_loses_no_block_before_another(void *arg)
{
	struct store *store;
	struct store_recovery recovery;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 10, true));
	long end = test_file_size(test_segment(1));
	CHECK_RC(0, test_put_range(store, 10, 20, true));
	CHECK_RC(0, test_crash(store));
	test_flip(test_segment(1), end - 3); /* in the seal of the first commit */
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK_RC(1, recovery.damaged);
	CHECK_RC(20, recovery.blocks);
	CHECK_RC(0, test_get_range(store, 0, 20));
	CHECK_RC(1, test_verify(store));
	return store_close(store);
}

static int foreign_files_are_ignored(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	char command[512];

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 10, true));
	CHECK_RC(0, store_close(store));
	snprintf(command, sizeof(command),
		"cd %s/segments && cp 00000001.car 00000005.car && echo hello > notes.txt && "
		"head -c 9000 /dev/urandom > 00000003.car && : > 00000004.car && "
		"head -c 100 00000001.car > 00000006.car && head -c 300 /dev/zero > 00000007.car && "
		"(printf '\\31\\242x'; head -c 300 /dev/urandom) > 00000008.car",
		test_repo);
	CHECK(system(command) == 0);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.ignored == 4); /* three were leftovers and are gone: empty, a start, zeros */
	CHECK_RC(0, test_get_range(store, 0, 10));
	CHECK_RC(0, test_put_range(store, 100, 300, true));
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, store_close(store));
	CHECK(test_file_size(test_segment(3)) == 9000);
	CHECK(test_file_size(test_segment(4)) == -ENOENT);
	CHECK(test_file_size(test_segment(6)) == -ENOENT);
	CHECK(test_file_size(test_segment(7)) == -ENOENT);
	CHECK(test_file_size(test_segment(8)) == 303);
	CHECK(test_file_size(test_segment(9)) > 0);
	return 0;
}

/* All that is there, of a store that only reads: 0, or the first code. */
static int read_all(struct store *store)
{
	struct store_state_cursor cursor = { 0 };
	struct store_verify_result result;
	struct store_pin pin;
	int pins = 0, rc;

	while ((rc = store_pin_next(store, &cursor, &pin)) > 0)
		pins++;
	if (rc < 0)
		return rc;
	CHECK(pins == 12);
	for (int i = 0; i < 40; i++)
		if ((rc = test_get(store, i, i % 5 ? 700 : 30000)) < 0)
			return rc;
	rc = store_verify(store, NULL, &result);
	CHECK(rc < 0 || (result.faults == 0 && result.pins == 12));
	return rc;
}

/* The at-th allocation of an opening that only reads, and of what is read then, fails; whether there were that many. */
static int only_read(uint64_t at, bool *reached)
{
	struct store *store;
	struct store_recovery recovery;

	test_options.only_read = true;
	anyio_fault_set(ANYIO_FAULT_MEMORY, at, -ENOMEM);
	int rc = test_open(&store, &recovery);
	test_options.only_read = false;
	if (rc == 0) {
		rc = read_all(store);
		CHECK_RC(0, store_close(store));
	}
	*reached = anyio_fault_count(ANYIO_FAULT_MEMORY) >= at;
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	CHECK(rc == 0 || (*reached && rc == -ENOMEM));
	return 0;
}

/* Pins, some of which the index has, some of which came later, and took the place of others. */
static int pin_some(struct store *store, int from, int to)
{
	uint8_t *data = malloc(30000);
	struct mf_cid cid;
	store_ticket ticket = 0;

	for (int i = from; i < to; i++) {
		test_block(i, i % 5 ? 700 : 30000, data, &cid);
		CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_RECURSIVE, &ticket));
	}
	test_block(from, from % 5 ? 700 : 30000, data, &cid);
	if (from > 0)
		CHECK_RC(0, store_pin_remove(store, &cid, &ticket));
	test_block(0, 30000, data, &cid);
	if (from > 0)
		CHECK_RC(0, store_pin_remove(store, &cid, &ticket));
	free(data);
	return store_sync(store, ticket);
}

/* Without memory it fails, and nothing else; else all is there: what the index has, what lies behind it, or, when it has gone, all. */
static int an_opening_that_only_reads_may_fail(void *arg)
{
	struct store *store;
	char path[96];

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 20, true));
	CHECK_RC(0, pin_some(store, 0, 7));
	CHECK_RC(0, store_checkpoint(store));
	CHECK_RC(0, test_put_range(store, 20, 40, true));
	CHECK_RC(0, pin_some(store, 20, 27));
	CHECK_RC(0, test_crash(store));
	for (int turn = 0; turn < 2; turn++) {
		bool reached = true;

		for (uint64_t at = 1; reached; at++)
			CHECK_RC(0, only_read(at, &reached));
		snprintf(path, sizeof(path), "%s/index/data.mdb", test_repo);
		CHECK(turn || unlink(path) == 0);
	}
	CHECK(test_file_size(path) == -ENOENT);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, read_all(store));
	return store_close(store);
}

ON_BACKENDS(what_was_synced_survives)
ON_BACKENDS(any_cut_of_the_tail_is_recovered)
ON_BACKENDS(the_index_can_be_thrown_away)
ON_BACKENDS(damage_is_kept_reported_and_skipped)
ON_BACKENDS(a_damaged_commit_loses_no_block_before_another)
ON_BACKENDS(foreign_files_are_ignored)
ON_BACKENDS(an_opening_that_only_reads_may_fail)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_synced_survives),
		cmocka_unit_test(test_any_cut_of_the_tail_is_recovered),
		cmocka_unit_test(test_the_index_can_be_thrown_away),
		cmocka_unit_test(test_damage_is_kept_reported_and_skipped),
		cmocka_unit_test(test_a_damaged_commit_loses_no_block_before_another),
		cmocka_unit_test(test_foreign_files_are_ignored),
		cmocka_unit_test(test_an_opening_that_only_reads_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
