/* Moving to a tier and back when each allocation, write, read and operation fails in turn, and the disk crashes then. */
#include "model_tier.h"

enum { BLOCKS = 24 };

struct life {
	struct model model;
	int error; /* the first that a call gave */
};

static size_t length(int i)
{
	return i % 3 ? 900 : 6000;
}

static bool failed(struct life *life, int rc)
{
	if (rc < 0 && !life->error)
		life->error = rc;
	return rc < 0;
}

static void name_all(struct mf_cid cids[BLOCKS])
{
	static uint8_t data[6000];

	for (int i = 0; i < BLOCKS; i++)
		test_block(i, length(i), data, &cids[i]);
}

/* All of it pinned, durable, and half of it in the tier. */
static int prepare(void *arg)
{
	struct life *life = arg;
	struct store **store = &life->model.store;
	struct store_move_result moved;
	struct mf_cid cids[BLOCKS];
	store_ticket ticket = 0;
	int rc = -EREMOTEIO;

	name_all(cids);
	CHECK_RC(0, test_open(store, NULL));
	CHECK_RC(0, model_tier_attach(&life->model));
	for (int i = 0; i < BLOCKS; i++) {
		CHECK_RC(0, test_put(*store, i, length(i), &ticket));
		CHECK_RC(0, store_pin_add(*store, &cids[i], STORE_PIN_DIRECT, &ticket));
	}
	CHECK_RC(0, store_sync(*store, ticket));
	for (int i = 0; i < 50 && rc == -EREMOTEIO; i++)
		rc = store_demote(*store, "cold", cids, BLOCKS / 2, NULL, &moved);
	CHECK_RC(0, rc);
	CHECK_RC(0, model_tier_tend(&life->model));
	return store_close(*store);
}

static int live(void *arg)
{
	struct life *life = arg;
	struct store_collect_options options = { .dead_percent = 1 };
	struct store_collect_result collected;
	struct store_verify_options verify = { .tiers = true };
	struct store_verify_result verified;
	struct store_move_result moved;
	struct mf_cid cids[BLOCKS];
	struct store *store;

	name_all(cids);
	if (failed(life, test_open(&life->model.store, NULL)))
		return 0;
	store = life->model.store;
	if (!failed(life, model_tier_attach(&life->model))) {
		failed(life,
			store_demote(store, "cold", cids + BLOCKS / 2, BLOCKS / 4, NULL, &moved));
		failed(life, store_collect(store, &options, &collected));
		failed(life, store_verify(store, &verify, &verified));
		failed(life, store_promote(store, cids, BLOCKS / 4 * 3, NULL, &moved));
		failed(life, store_collect(store, &options, &collected));
		failed(life, store_tier_tend(store, "cold"));
	}
	failed(life, store_close(store));
	return 0;
}

static int look_after(void *arg)
{
	struct life *life = arg;
	struct store_recovery recovery;
	struct store_tier_stat stat;

	CHECK_RC(0, test_open(&life->model.store, &recovery));
	CHECK(recovery.damaged == 0 && recovery.gaps == 0 && !recovery.read_only);
	CHECK_RC(0, model_tier_attach(&life->model));
	for (int i = 0; i < BLOCKS; i++)
		CHECK_RC(0, test_get(life->model.store, i, length(i)));
	CHECK_RC(0, test_verify(life->model.store));
	CHECK_RC(0, model_tier_tend(&life->model));
	for (int i = 0; i < BLOCKS; i++)
		CHECK_RC(0, test_get(life->model.store, i, length(i)));
	CHECK_RC(0, store_tier_stat(life->model.store, "cold", &stat));
	CHECK((int)stat.objects == model_tier_count() && stat.unread == 0);
	return store_close(life->model.store);
}

/* The same of a repo whose index is lost: the tier is asked what lies there. */
static int live_anew(void *arg)
{
	struct life *life = arg;
	struct store_collect_options options = { .dead_percent = 1 };
	struct store_collect_result collected;
	struct store *store;

	if (failed(life, test_open(&life->model.store, NULL)))
		return 0;
	store = life->model.store;
	if (!failed(life, model_tier_attach(&life->model))) {
		failed(life, store_collect(store, &options, &collected));
		failed(life, store_tier_tend(store, "cold"));
		failed(life, store_collect(store, &options, &collected));
	}
	failed(life, store_close(store));
	return 0;
}

/* Fails the at-th; false when there were not that many. */
static bool fail_at(enum anyio_fault_kind kind, uint64_t at, int error, bool anew)
{
	static struct life life;

	life = (struct life){ .model = { .random = at } };
	test_options = (struct store_options){ .create = true,
		.segment_bytes = 20000,
		.group_bytes = 30000,
		.checkpoint_blocks = 10,
		.compact_bytes = 1,
		.operations_bytes = 1 };
	simulated_start();
	model_tier_reset();
	assert_int_equal(run_simulated(prepare, &life, at, NULL), 0);
	if (anew) {
		simulated_end();
		assert_non_null(mkdtemp(strcpy(test_index, "/tmp/store-index-XXXXXX")));
	}
	anyio_fault_set(kind, at, error);
	int rc = run_simulated(anew ? live_anew : live, &life, at, NULL);
	bool reached = anyio_fault_count(kind) >= at;
	anyio_fault_set(kind, 0, 0);
	anyio_sim_disk_crash(at);
	if (rc == 0 || rc == -ENOMEM || rc == error) /* the loop itself may not have come up */
		rc = run_simulated(look_after, &life, at, NULL);
	simulated_end();
	if (rc != 0)
		print_error("fault %d at %llu\n", kind, (unsigned long long)at);
	assert_int_equal(rc, 0);
	assert_true(reached || life.error == 0 || life.error == -EREMOTEIO);
	return reached;
}

static void sweep(enum anyio_fault_kind kind, int error)
{
	for (int anew = 0; anew < 2; anew++) {
		uint64_t at = 1;

		while (fail_at(kind, at, error, anew))
			at++;
		assert_true(at > 5);
	}
}

static void an_allocation_of_a_move_may_fail(void **state)
{
	sweep(ANYIO_FAULT_MEMORY, -ENOMEM);
}

static void a_write_of_a_move_may_fail(void **state)
{
	sweep(ANYIO_FAULT_WRITE, -EIO);
}

static void the_disk_may_be_full_for_a_move(void **state)
{
	sweep(ANYIO_FAULT_WRITE, -ENOSPC);
}

static void a_read_of_a_move_may_fail(void **state)
{
	sweep(ANYIO_FAULT_READ, -EIO);
}

static void an_operation_of_a_move_may_fail(void **state)
{
	sweep(ANYIO_FAULT_OPERATION, -EMFILE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_allocation_of_a_move_may_fail),
		cmocka_unit_test(a_write_of_a_move_may_fail),
		cmocka_unit_test(the_disk_may_be_full_for_a_move),
		cmocka_unit_test(a_read_of_a_move_may_fail),
		cmocka_unit_test(an_operation_of_a_move_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
