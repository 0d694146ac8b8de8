/* An idle store writes its index by itself. Watched from outside, by the index's file, on the
 * simulated clock. */
#include "support.h"

static uint8_t before[1 << 20], now[1 << 20];
static size_t before_len;

static size_t load_index(uint8_t *out)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/data.mdb", test_index);
	FILE *file = fopen(path, "rb");
	size_t len = file ? fread(out, 1, sizeof(before), file) : 0;
	if (file)
		fclose(file);
	return len;
}

/* Whether the index was written since this was asked last. */
static bool was_written(void)
{
	size_t len = load_index(now);
	bool same = len == before_len && memcmp(now, before, len) == 0;

	memcpy(before, now, len);
	before_len = len;
	return !same;
}

static int watch(struct store *store)
{
	store_ticket ticket = 0;
	struct mf_cid cid;

	was_written();
	CHECK_RC(0, anyio_sleep(1000 * ANYIO_SECOND));
	CHECK(!was_written());
	/* Something every now and then is not idleness. */
	for (uint64_t i = 0; i < 5; i++) {
		CHECK_RC(0, test_put(store, i, 300, &ticket));
		CHECK_RC(0, store_sync(store, ticket));
		CHECK_RC(0, anyio_sleep(20 * ANYIO_SECOND));
		CHECK(!was_written());
	}
	CHECK_RC(0, anyio_sleep(50 * ANYIO_SECOND));
	CHECK(was_written());
	CHECK_RC(0, anyio_sleep(1000 * ANYIO_SECOND));
	CHECK(!was_written());
	/* A pin counts too. */
	mf_cid_of(&cid, 1, MF_CODEC_RAW, "pin", 3);
	CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	CHECK_RC(0, anyio_sleep(70 * ANYIO_SECOND));
	CHECK(was_written());
	/* What is there already does not. */
	CHECK_RC(0, test_put(store, 3, 300, &ticket));
	CHECK_RC(0, anyio_sleep(1000 * ANYIO_SECOND));
	CHECK(!was_written());
	return 0;
}

static int tended(void *arg)
{
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	ANYIO_TASK_GROUP(group);
	int rc = anyio_start_soon(&group, store_tend, store, "tend");
	if (rc == 0)
		rc = watch(store);
	anyio_task_group_cancel(&group, "seen enough");
	rc = anyio_task_group_exit(&group, rc);
	int closed = store_close(store);
	return rc ? rc : closed;
}

/* The disk refuses once: the next put has it tried again. */
static int refused(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	was_written();
	ANYIO_TASK_GROUP(group);
	int rc = anyio_start_soon(&group, store_tend, store, "tend");
	if (rc == 0)
		rc = test_put(store, 1, 300, &ticket);
	anyio_fault_set_sticky(ANYIO_FAULT_WRITE, 1, -ENOSPC);
	if (rc == 0)
		rc = anyio_sleep(100 * ANYIO_SECOND);
	anyio_fault_set(ANYIO_FAULT_WRITE, 0, 0);
	bool early = was_written();
	if (rc == 0)
		rc = test_put(store, 2, 300, &ticket);
	if (rc == 0)
		rc = anyio_sleep(100 * ANYIO_SECOND);
	anyio_task_group_cancel(&group, "seen enough");
	rc = anyio_task_group_exit(&group, rc);
	CHECK_RC(0, rc);
	CHECK(!early && was_written());
	return store_close(store);
}

/* Bytes nobody has been promised yet. */
static uint64_t pending(struct store *store)
{
	struct store_wal_status status;

	store_wal_status(store, &status);
	return status.pending_bytes;
}

static int ask(struct store *store, uint64_t n, anyio_time within)
{
	store_ticket ticket = 0;

	CHECK_RC(0, test_put(store, n, 300, &ticket));
	return store_sync_within(store, ticket, within);
}

static int batch(struct store *store)
{
	/* All that is asked for by then goes with the first. */
	CHECK_RC(0, ask(store, 1, 100 * ANYIO_MILLISECOND));
	CHECK_RC(0, anyio_sleep(50 * ANYIO_MILLISECOND));
	CHECK_RC(0, ask(store, 2, 100 * ANYIO_MILLISECOND));
	CHECK_RC(0, anyio_sleep(49 * ANYIO_MILLISECOND));
	CHECK(pending(store) > 600);
	CHECK_RC(0, anyio_sleep(2 * ANYIO_MILLISECOND));
	CHECK(pending(store) == 0);
	/* Who wants it sooner gets it sooner, and the others with it. */
	CHECK_RC(0, ask(store, 3, 10 * ANYIO_SECOND));
	CHECK_RC(0, anyio_checkpoint());
	CHECK_RC(0, ask(store, 4, 20 * ANYIO_MILLISECOND));
	CHECK_RC(0, anyio_sleep(19 * ANYIO_MILLISECOND));
	CHECK(pending(store) > 600);
	CHECK_RC(0, anyio_sleep(2 * ANYIO_MILLISECOND));
	CHECK(pending(store) == 0);
	CHECK_RC(0, ask(store, 5, 0));
	CHECK(pending(store) == 0);
	/* What nobody asks for stays pending, until somebody does. */
	store_ticket ticket = 0;
	CHECK_RC(0, test_put(store, 6, 300, &ticket));
	CHECK_RC(0, anyio_sleep(ANYIO_SECOND));
	CHECK(pending(store) > 300);
	CHECK_RC(0, ask(store, 7, ANYIO_MILLISECOND));
	CHECK_RC(0, anyio_sleep(2 * ANYIO_MILLISECOND));
	CHECK(pending(store) == 0);
	/* One that cannot be begun is told to who comes next, and tried again, asked or not. */
	CHECK_RC(0, ask(store, 10, ANYIO_MILLISECOND));
	anyio_fault_set_sticky(ANYIO_FAULT_WRITE, 1, -ENOSPC);
	CHECK_RC(0, anyio_sleep(2 * ANYIO_MILLISECOND));
	CHECK_RC(-ENOSPC, ask(store, 11, ANYIO_SECOND));
	CHECK_RC(0, anyio_sleep(5 * ANYIO_SECOND));
	CHECK(pending(store) > 600);
	anyio_fault_set(ANYIO_FAULT_WRITE, 0, 0);
	CHECK_RC(0, anyio_sleep(2 * ANYIO_SECOND));
	CHECK(pending(store) == 0);
	CHECK_RC(0, ask(store, 12, ANYIO_SECOND));
	CHECK(pending(store) > 300);
	CHECK_RC(0, anyio_sleep(2 * ANYIO_SECOND));
	/* A sync that fails is told to who comes next. */
	CHECK_RC(0, ask(store, 8, ANYIO_MILLISECOND));
	anyio_fault_set(ANYIO_FAULT_WRITE, 2, -EIO);
	CHECK_RC(0, anyio_sleep(2 * ANYIO_MILLISECOND));
	anyio_fault_set(ANYIO_FAULT_WRITE, 0, 0);
	CHECK_RC(ANYIO_BROKEN, store_sync_within(store, UINT64_MAX, ANYIO_MILLISECOND));
	CHECK_RC(ANYIO_BROKEN, test_put(store, 9, 300, &ticket));
	CHECK_RC(-ENOENT, test_get(store, 8, 300));
	return test_get(store, 7, 300);
}

static int batched(void *arg)
{
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	/* Nobody to do it later: now. */
	CHECK_RC(0, ask(store, 0, ANYIO_SECOND));
	CHECK(pending(store) == 0);
	ANYIO_TASK_GROUP(group);
	int rc = anyio_start_soon(&group, store_tend, store, "tend");
	if (rc == 0)
		rc = anyio_wait_all_tasks_blocked();
	if (rc == 0)
		rc = batch(store);
	anyio_task_group_cancel(&group, "seen enough");
	rc = anyio_task_group_exit(&group, rc);
	store_close(store);
	return rc;
}

static void on_the_simulated_clock(anyio_task_fn body)
{
	simulated_start();
	int rc = run_simulated(body, NULL, 1, NULL);
	simulated_end();
	assert_int_equal(rc, 0);
}

static void an_idle_store_writes_its_index(void **state)
{
	on_the_simulated_clock(tended);
}

static void a_refused_checkpoint_is_tried_again(void **state)
{
	on_the_simulated_clock(refused);
}

static void a_sync_is_made_within_the_time_asked_for(void **state)
{
	on_the_simulated_clock(batched);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_store_writes_its_index),
		cmocka_unit_test(a_refused_checkpoint_is_tried_again),
		cmocka_unit_test(a_sync_is_made_within_the_time_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
