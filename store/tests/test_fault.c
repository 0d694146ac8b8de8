/*
 * Each allocation and each operation of a store's life fails in turn: errors come out, nothing
 * leaks, nothing acknowledged is lost, and the repo opens again sound. On the simulated disk, with
 * the power going after each.
 */
#include "support.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BLOCKS = 24 };

struct life {
	bool acknowledged[BLOCKS];
	bool pinned, pin_tried;
	int error; /* the first */
};

static struct mf_cid pin_name(void)
{
	struct mf_cid cid;

	mf_cid_of(&cid, 1, MF_CODEC_DAG_PB, "pin", 3);
	return cid;
}

static size_t length_of(int i)
{
	return i % 8 == 5 ? TEST_BULK : i % 4 ? 300 : 30000;
}

static bool failed(struct life *life, int rc)
{
	if (rc < 0 && !life->error)
		life->error = rc;
	return rc < 0;
}

static int look(struct store *store, struct life *life)
{
	struct mf_cid cids[BLOCKS];
	struct store_block out[BLOCKS];
	int results[BLOCKS];
	static uint8_t data[TEST_BULK];

	for (int i = 0; i < BLOCKS; i++)
		test_block(i, length_of(i), data, &cids[i]);
	int rc = store_get_many(store, cids, BLOCKS, out, results);
	for (int i = 0; i < BLOCKS && rc == 0; i++) {
		if (results[i] == -ENOENT && life->acknowledged[i])
			return -EPROTO;
		store_block_release(&out[i]);
	}
	return rc;
}

/* Does not stop at the first error: a caller may go on. */
static void use(struct store *store, struct life *life)
{
	store_ticket ticket = 0;
	struct store_verify_result result;
	struct mf_cid pin = pin_name();
	bool put[BLOCKS] = { 0 };

	for (int i = 0; i < BLOCKS; i++) {
		put[i] = !failed(life, test_put(store, i, length_of(i), &ticket));
		if (i % 6 == 5 && !failed(life, store_sync(store, ticket)))
			for (int j = 0; j <= i; j++)
				life->acknowledged[j] |= put[j];
	}
	life->pin_tried = true;
	if (!failed(life, store_pin_add(store, &pin, STORE_PIN_RECURSIVE, &ticket)) &&
		!failed(life, store_sync(store, ticket)))
		life->pinned = true;
	failed(life, store_checkpoint(store));
	failed(life, look(store, life));
	failed(life, store_verify(store, NULL, &result));
}

static int live(void *arg)
{
	struct life *life = arg;
	struct store *store;

	if (failed(life, test_open(&store, NULL)))
		return 0;
	use(store, life);
	failed(life, store_close(store));
	/* And once more, through recovery or an index that is there. */
	if (failed(life, test_open(&store, NULL)))
		return 0;
	failed(life, look(store, life));
	failed(life, store_close(store));
	return 0;
}

static int look_after(void *arg)
{
	struct life *life = arg;
	struct store *store;
	struct store_recovery recovery;
	struct mf_cid pin = pin_name();

	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.damaged == 0 && recovery.gaps == 0 && !recovery.read_only);
	for (int i = 0; i < BLOCKS; i++) {
		int rc = test_get(store, i, length_of(i));
		CHECK(rc == 0 || (rc == -ENOENT && !life->acknowledged[i]));
	}
	int mode = store_pin_get(store, &pin);
	CHECK(mode == STORE_PIN_RECURSIVE || (mode == STORE_PIN_NONE && !life->pinned));
	CHECK(mode == STORE_PIN_NONE || life->pin_tried);
	CHECK_RC(0, test_verify_segments(store));
	return store_close(store);
}

static void sweep(enum anyio_fault_kind kind, int error, bool sticky, uint64_t step)
{
	static struct life life;
	static const struct faulty faulty = { .options = { .create = true,
						      .segment_bytes = 60000,
						      .group_bytes = 30000,
						      .checkpoint_blocks = 10,
						      .compact_bytes = 1,
						      .operations_bytes = 1 },
		.live = live,
		.look_after = look_after,
		.life = &life,
		.size = sizeof(life),
		.error = &life.error };

	fail_each(&faulty, kind, error, sticky, step);
}

static void every_allocation_may_fail(void **state)
{
	sweep(ANYIO_FAULT_MEMORY, -ENOMEM, false, 1);
}

static void every_write_and_sync_may_fail(void **state)
{
	sweep(ANYIO_FAULT_WRITE, -EIO, false, 1);
}

static void the_disk_may_be_full_from_any_write_on(void **state)
{
	sweep(ANYIO_FAULT_WRITE, -ENOSPC, true, 1);
}

static void the_disk_may_be_full_for_one_write(void **state)
{
	sweep(ANYIO_FAULT_WRITE, -ENOSPC, false, 1);
}

static void the_disk_may_break_at_any_write(void **state)
{
	sweep(ANYIO_FAULT_WRITE, -EIO, true, 1);
}

static void memory_may_run_out_for_good(void **state)
{
	sweep(ANYIO_FAULT_MEMORY, -ENOMEM, true, 1);
}

static void every_read_may_fail(void **state)
{
	sweep(ANYIO_FAULT_READ, -EIO, false, 1);
}

static void every_operation_may_fail(void **state)
{
	sweep(ANYIO_FAULT_OPERATION, -EMFILE, false, 1);
}

/* A verification goes to the end whatever cannot be read, and tells of it; what is read a second time
 * is no fault. */
static int a_verification_reads_on(void *arg)
{
	struct store *store;
	struct store_verify_result result;
	store_ticket ticket = 0;
	bool reached = true;

	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < BLOCKS; i++)
		CHECK_RC(0, test_put(store, i, length_of(i), &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	for (uint64_t at = 1; reached; at++) {
		anyio_fault_set(ANYIO_FAULT_READ, at, -EIO);
		int rc = store_verify(store, NULL, &result);
		reached = anyio_fault_count(ANYIO_FAULT_READ) >= at;
		anyio_fault_set(ANYIO_FAULT_READ, 0, 0);
		CHECK_RC(0, rc);
		CHECK(result.faults <= 1);
	}
	CHECK(result.faults == 0 && result.blocks >= BLOCKS);
	for (uint64_t at = 1; at < 8; at++) {
		anyio_fault_set_sticky(ANYIO_FAULT_READ, at, -EIO);
		int rc = store_verify(store, NULL, &result);
		anyio_fault_set(ANYIO_FAULT_READ, 0, 0);
		CHECK_RC(0, rc);
		CHECK(result.faults > 0);
	}
	return store_close(store);
}

/* An opening that needs what cannot be read fails, names it, and takes nothing for lost. */
static int an_opening_names_what_it_cannot_read(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	struct mf_cid pin = pin_name();
	store_ticket ticket = 0;
	char path[96];
	int named = 0;
	bool reached = true;

	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < BLOCKS; i++)
		CHECK_RC(0, test_put(store, i, length_of(i), &ticket));
	CHECK_RC(0, store_pin_add(store, &pin, STORE_PIN_RECURSIVE, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	/* Nothing in the log proves the last group: it is looked at block by block. */
	CHECK_RC(0, test_crash(store));
	snprintf(path, sizeof(path), "%s/index/data.mdb", test_repo);
	for (uint64_t at = 1; reached; at++) {
		unlink(path); /* an opening that failed may have made none */
		anyio_fault_set(ANYIO_FAULT_READ, at, -EIO);
		int rc = test_open(&store, &recovery);
		reached = anyio_fault_count(ANYIO_FAULT_READ) >= at;
		anyio_fault_set(ANYIO_FAULT_READ, 0, 0);
		CHECK_RC(reached ? -EIO : 0, rc);
		named += strstr(recovery.text, "segments/0000000") != NULL;
		if (rc == 0)
			CHECK_RC(0, store_close(store));
	}
	CHECK(named >= 3);
	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < BLOCKS; i++)
		CHECK_RC(0, test_get(store, i, length_of(i)));
	CHECK(store_pin_get(store, &pin) == STORE_PIN_RECURSIVE);
	return store_close(store);
}

static void an_opening_names_what_it_cannot_read_test(void **state)
{
	test_options = (struct store_options){ .create = true,
		.segment_bytes = 60000,
		.group_bytes = 30000,
		.checkpoint_blocks = 10,
		.compact_bytes = 1 };
	run_body(an_opening_names_what_it_cannot_read);
}

static void a_verification_reads_on_test(void **state)
{
	test_options = (struct store_options){ .create = true,
		.segment_bytes = 60000,
		.group_bytes = 30000,
		.checkpoint_blocks = 10,
		.compact_bytes = 1 };
	run_body(a_verification_reads_on);
}

static int make_once(void *arg)
{
	struct store *store;

	if (test_open(&store, NULL) == 0)
		store_close(store);
	return 0;
}

static int make_again(void *arg)
{
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	return store_close(store);
}

/* The power goes while the repo is being made, after any step, with any of what was not synced
 * lost: it is made at the next opening. */
static void a_repo_half_made_is_made(void **state)
{
	test_options = (struct store_options){ .create = true };
	bool reached = true;

	for (uint64_t at = 1; reached; at++)
		for (uint64_t seed = 1; seed <= 24; seed++) {
			simulated_start();
			anyio_fault_set_sticky(ANYIO_FAULT_WRITE, at, -EIO);
			assert_int_equal(run_simulated(make_once, NULL, seed, NULL), 0);
			reached = anyio_fault_count(ANYIO_FAULT_WRITE) >= at;
			anyio_fault_set(ANYIO_FAULT_WRITE, 0, 0);
			anyio_sim_disk_crash(seed);
			int rc = run_simulated(make_again, NULL, seed, NULL);
			simulated_end();
			if (rc)
				print_error("step %d, seed %d\n", (int)at, (int)seed);
			assert_int_equal(rc, 0);
		}
}

/* The log is full, and the next segment could not be made; what it writes then reaches the disk in parts at most. */
static int no_next_segment(void *arg)
{
	struct store *store;
	struct mf_cid cid;
	uint8_t data[30000];
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put(store, 1, sizeof(data), &ticket));
	CHECK_RC(0, test_put(store, 2, sizeof(data), &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	anyio_fault_set_call("fsync", 1, -EIO);
	CHECK_RC(-EIO, test_put(store, 3, sizeof(data), &ticket));
	anyio_fault_set_call("fdatasync", 1, -EIO);
	test_block(1, sizeof(data), data, &cid);
	CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	CHECK_RC(-EIO, store_sync(store, ticket));
	anyio_fault_set(ANYIO_FAULT_CALL, 0, 0);
	CHECK_RC(ANYIO_BROKEN, store_close(store));
	return 0;
}

static int nothing_is_damaged(void *arg)
{
	struct store *store;
	struct store_recovery recovery;

	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.damaged == 0 && recovery.gaps == 0 && !recovery.read_only);
	CHECK_RC(0, test_get(store, 1, 30000));
	CHECK_RC(0, test_get(store, 2, 30000));
	return store_close(store);
}

static void a_segment_that_could_not_be_made_does_not_come_back(void **state)
{
	test_options = (struct store_options){ .create = true, .segment_bytes = 60000 };
	for (uint64_t seed = 1; seed <= 100; seed++) {
		simulated_start();
		int rc = run_simulated(no_next_segment, NULL, seed, NULL);
		anyio_sim_disk_crash(seed);
		if (rc == 0)
			rc = run_simulated(nothing_is_damaged, NULL, seed, NULL);
		simulated_end();
		assert_int_equal(rc, 0);
	}
}

/* What an embedder sees when a sync fails. */
static int a_failed_sync_acknowledges_nothing(void *arg)
{
	struct store *store;
	store_ticket first = 0, second = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put(store, 1, 300, &first));
	CHECK_RC(0, store_sync(store, first));
	CHECK_RC(0, test_put(store, 2, 300, &second));
	CHECK_RC(0, test_put(store, 3, 30000, &second));
	anyio_fault_set(ANYIO_FAULT_WRITE, 2, -EIO); /* the commit's write, then the sync */
	CHECK_RC(-EIO, store_sync(store, second));
	anyio_fault_set(ANYIO_FAULT_WRITE, 0, 0);
	CHECK_RC(ANYIO_BROKEN, store_sync(store, second));
	CHECK_RC(ANYIO_BROKEN, test_put(store, 4, 300, &second));
	CHECK_RC(0, test_get(store, 1, 300));
	CHECK_RC(-ENOENT, test_get(store, 2, 300));
	CHECK_RC(-ENOENT, test_get(store, 3, 30000));
	CHECK_RC(0, store_sync(store, first));
	CHECK_RC(ANYIO_BROKEN, store_close(store));
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_get(store, 1, 300));
	CHECK_RC(-ENOENT, test_get(store, 2, 300));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

static int a_full_disk_is_an_error_and_no_end(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put(store, 1, 300, &ticket));
	anyio_fault_set_sticky(ANYIO_FAULT_WRITE, 1, -ENOSPC);
	CHECK_RC(-ENOSPC, test_put(store, 2, 30000, &ticket));
	CHECK_RC(-ENOENT, test_get(store, 2, 30000));
	CHECK_RC(-ENOSPC, store_sync(store, ticket));
	CHECK_RC(0, test_get(store, 1, 300));
	anyio_fault_set(ANYIO_FAULT_WRITE, 0, 0);
	CHECK_RC(0, test_put(store, 2, 30000, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, test_get(store, 2, 30000));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

/* The index's own files have no simulated disk: LMDB writes them. A limit of the process stands in
 * for a full disk and for a lack of addresses. */
static void limit(int resource, rlim_t most)
{
	struct rlimit now;

	getrlimit(resource, &now);
	now.rlim_cur = most < now.rlim_max ? most : now.rlim_max;
	setrlimit(resource, &now);
}

enum { FEW = 200 };

static int the_index_cannot_be_written(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	store_ticket ticket = 0;
	int failures = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, store_checkpoint(store));
	limit(RLIMIT_FSIZE, 24 << 10);
	for (uint64_t i = 0; i < FEW; i++) {
		int rc = test_put(store, i, 100, &ticket);
		CHECK(rc == 0 || rc == -EFBIG);
		failures += rc != 0;
	}
	int sync = store_sync(store, ticket), checkpoint = store_checkpoint(store);
	limit(RLIMIT_FSIZE, RLIM_INFINITY);
	CHECK(failures > 0);
	CHECK_RC(0, sync);
	CHECK_RC(-EFBIG, checkpoint);
	for (uint64_t i = 0; i < FEW; i++) {
		CHECK_RC(0, test_put(store, i, 100, &ticket));
		CHECK_RC(0, test_get(store, i, 100));
	}
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(!recovery.rebuilt && !recovery.damaged && recovery.scanned == 0);
	for (uint64_t i = 0; i < FEW; i++)
		CHECK_RC(0, test_get(store, i, 100));
	return store_close(store);
}

static void the_index_may_find_no_room(void **state)
{
	test_options = (struct store_options){
		.create = true, .checkpoint_blocks = 10, .compact_bytes = 1
	};
	signal(SIGXFSZ, SIG_IGN);
	simulated_start();
	int rc = run_simulated(the_index_cannot_be_written, NULL, 1, NULL);
	simulated_end();
	assert_int_equal(rc, 0);
}

static uint64_t addresses_in_use(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file && fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int put_very_many(struct store *store, store_ticket *ticket)
{
	enum { LOT = 64, LOTS = 12500 };
	struct store_block blocks[LOT];
	uint64_t data[LOT];
	int rc = 0;

	for (uint64_t lot = 0; lot < LOTS && rc == 0; lot++) {
		for (uint64_t i = 0; i < LOT; i++) {
			data[i] = lot * LOT + i;
			blocks[i] = (struct store_block){ .data = &data[i], .len = sizeof(*data) };
			mf_cid_of(&blocks[i].cid, 1, MF_CODEC_RAW, &data[i], sizeof(*data));
		}
		rc = store_put_many(store, blocks, LOT, STORE_VERIFIED, ticket);
	}
	return rc;
}

static int the_map_cannot_grow(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	limit(RLIMIT_AS, addresses_in_use() + (120 << 20));
	int rc = put_very_many(store, &ticket);
	int checkpoint = store_checkpoint(store);
	limit(RLIMIT_AS, RLIM_INFINITY);
	CHECK(rc == 0 || rc == -ENOMEM);
	CHECK_RC(-ENOMEM, checkpoint);
	CHECK_RC(-ENOENT, test_get(store, 1, 300));
	CHECK_RC(0, put_very_many(store, &ticket));
	CHECK_RC(0, store_checkpoint(store));
	return store_close(store);
}

static void the_index_may_find_no_addresses(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	print_message("skipped: a sanitizer takes all addresses\n");
	skip();
#endif
	test_options = (struct store_options){ .create = true };
	simulated_start();
	int rc = run_simulated(the_map_cannot_grow, NULL, 1, NULL);
	simulated_end();
	assert_int_equal(rc, 0);
}

ON_BACKENDS(a_failed_sync_acknowledges_nothing)
ON_BACKENDS(a_full_disk_is_an_error_and_no_end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_failed_sync_acknowledges_nothing),
		cmocka_unit_test(test_a_full_disk_is_an_error_and_no_end),
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(every_write_and_sync_may_fail),
		cmocka_unit_test(the_disk_may_be_full_from_any_write_on),
		cmocka_unit_test(the_disk_may_be_full_for_one_write),
		cmocka_unit_test(the_disk_may_break_at_any_write),
		cmocka_unit_test(memory_may_run_out_for_good),
		cmocka_unit_test(every_read_may_fail),
		cmocka_unit_test(every_operation_may_fail),
		cmocka_unit_test(a_verification_reads_on_test),
		cmocka_unit_test(an_opening_names_what_it_cannot_read_test),
		cmocka_unit_test(a_repo_half_made_is_made),
		cmocka_unit_test(a_segment_that_could_not_be_made_does_not_come_back),
		cmocka_unit_test(the_index_may_find_no_room),
		cmocka_unit_test(the_index_may_find_no_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
