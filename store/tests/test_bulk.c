/* Large blocks, which go to the disk from where they lie, among others that do not. */
#include "support.h"
#include "../inner.h"

#include <stdlib.h>

enum { MIXED = 24 };

static size_t mixed_length(int i)
{
	static const size_t some[] = { TEST_BULK, 300, TEST_BULK, 20000, 17, TEST_BULK + 1 };

	return some[i % 6];
}

/* Many in one call, of which some can go to the disk as they lie and others cannot. */
static int bulk_lies_on_boundaries(void *arg)
{
	struct store_block blocks[MIXED] = { 0 };
	struct index_place place;
	struct store *store;
	store_ticket ticket = 0;

	for (int i = 0; i < MIXED; i++) {
		size_t len = mixed_length(i);
		uint8_t *data = blocks[i].memory = aligned_alloc(
			STORE_BULK_ALIGN, (len / STORE_BULK_ALIGN + 1) * STORE_BULK_ALIGN);

		test_block(i, len, data, &blocks[i].cid);
		blocks[i].data = data;
		blocks[i].len = len;
	}
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, store_put_many(store, blocks, MIXED, 0, &ticket));
	bool direct = store->log.direct_fd >= 0;
	if (!direct)
		print_message("the file system has no O_DIRECT: through the page cache\n");
	CHECK(direct || store->log.no_direct);
	for (int i = 0; i < MIXED; i++) {
		CHECK_RC(0, test_get(store, i, mixed_length(i)));
		CHECK_RC(1, store_find(store, &blocks[i].cid, &place));
		CHECK(!direct || mixed_length(i) != TEST_BULK ||
			place.offset % STORE_BULK_ALIGN == 0);
		store_block_release(&blocks[i]);
	}
	CHECK_RC(0, store_sync(store, ticket));
	for (int i = 0; i < MIXED; i++)
		CHECK_RC(0, test_get(store, i, mixed_length(i)));
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < MIXED; i++)
		CHECK_RC(0, test_get(store, i, mixed_length(i)));
	return store_close(store);
}

/* As tools that copy and rename do: by that name there is another file now, and nothing may go there. */
static int the_file_is_replaced(void *arg)
{
	char command[400];
	struct store *store;
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put(store, 1, 100, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	snprintf(command, sizeof(command), "cp %s %s.x && mv %s.x %s", test_segment(1),
		test_segment(1), test_segment(1), test_segment(1));
	CHECK_RC(0, system(command));
	CHECK_RC(0, test_put(store, 2, TEST_BULK, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, test_get(store, 2, TEST_BULK));
	return store_close(store);
}

/* As a disk may whose sectors are larger than any boundary kept here: bulk is written again, through
 * the page cache. */
static int bulk_refused(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	anyio_fault_set(ANYIO_FAULT_WRITE, 2, -EINVAL); /* first what lies before the boundary */
	CHECK_RC(0, test_put(store, 1, TEST_BULK, &ticket));
	CHECK(anyio_fault_count(ANYIO_FAULT_WRITE) >= 2);
	anyio_fault_set(ANYIO_FAULT_WRITE, 0, 0);
	CHECK_RC(0, test_put(store, 2, TEST_BULK, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, test_get(store, 1, TEST_BULK));
	CHECK_RC(0, test_get(store, 2, TEST_BULK));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

/* Bulk and what is not, in one call, so that it is several writes. */
static int put_bulk_and_small(struct store *store)
{
	struct store_block blocks[2] = { { .len = TEST_BULK }, { .len = 17 } };
	store_ticket ticket = 0;

	for (int i = 0; i < 2; i++) {
		blocks[i].memory = aligned_alloc(STORE_BULK_ALIGN, TEST_BULK);
		test_block(i, blocks[i].len, blocks[i].memory, &blocks[i].cid);
		blocks[i].data = blocks[i].memory;
	}
	int rc = store_put_many(store, blocks, 2, STORE_VERIFIED, &ticket);
	for (int i = 0; i < 2; i++)
		free(blocks[i].memory);
	return rc;
}

/* The segment is closed with less in it than the write that came to nothing had left there. */
static int roll_and_look(struct store *store)
{
	struct store_recovery recovery;
	store_ticket ticket = 0;

	CHECK_RC(0, test_put(store, 2, 100, &ticket));
	CHECK_RC(0, test_put(store, 3, 100, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.damaged == 0);
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, test_get(store, 2, 100));
	CHECK_RC(0, test_get(store, 3, 100));
	return store_close(store);
}

static int failed_before_a_roll(void *arg)
{
	const uint64_t *at = arg;
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	anyio_fault_set(ANYIO_FAULT_WRITE, *at, -EIO);
	CHECK_RC(-EIO, put_bulk_and_small(store));
	anyio_fault_set(ANYIO_FAULT_WRITE, 0, 0);
	return roll_and_look(store);
}

static int put_in_task(void *arg)
{
	int rc = put_bulk_and_small(arg);

	CHECK(rc == 0 || rc == ANYIO_CANCELLED);
	return rc;
}

static int cancelled_before_a_roll(void *arg)
{
	const uint64_t *turns = arg;
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, put_in_task, store, "put");
	for (uint64_t i = 0; i < *turns; i++)
		anyio_checkpoint();
	anyio_task_group_cancel(&group, "enough");
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	return roll_and_look(store);
}

static void a_roll_leaves_no_torn_write_behind(void **state)
{
	test_options = (struct store_options){ .create = true, .segment_bytes = 200 };
	for (uint64_t at = 1; at <= 3; at++) {
		simulated_start();
		assert_int_equal(run_simulated(failed_before_a_roll, &at, at, NULL), 0);
		simulated_end();
	}
	for (uint64_t turns = 0; turns < 40; turns++) {
		simulated_start();
		assert_int_equal(run_simulated(cancelled_before_a_roll, &turns, turns, NULL), 0);
		simulated_end();
	}
}

static void a_disk_may_refuse_bulk(void **state)
{
	simulated_start();
	assert_int_equal(run_simulated(bulk_refused, NULL, 1, NULL), 0);
	simulated_end();
}

ON_BACKENDS(bulk_lies_on_boundaries)
ON_BACKENDS(the_file_is_replaced)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bulk_lies_on_boundaries),
		cmocka_unit_test(test_the_file_is_replaced),
		cmocka_unit_test(a_disk_may_refuse_bulk),
		cmocka_unit_test(a_roll_leaves_no_torn_write_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
