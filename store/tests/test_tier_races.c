/* Moves, collections and verifications beside one another, in an order that seeds make. */
#include "model_tier.h"

enum { COUNT = 300, SEEDS = 150 };

struct race {
	struct model model;
	struct mf_cid cids[COUNT];
	int rc;
	bool done, verifies;
};

static struct race race;

static size_t length(int i)
{
	return i % 7 ? 60 : 3000;
}

static int begin(struct race *race, int pinned)
{
	struct store **store = &race->model.store;
	static uint8_t data[3000];
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(store, NULL));
	CHECK_RC(0, model_tier_attach(&race->model));
	for (int i = 0; i < COUNT; i++) {
		test_block(i, length(i), data, &race->cids[i]);
		CHECK_RC(0, test_put(*store, i, length(i), &ticket));
		if (i < pinned)
			CHECK_RC(0,
				store_pin_add(*store, &race->cids[i], STORE_PIN_DIRECT, &ticket));
	}
	return store_sync(*store, ticket);
}

static int demote(struct race *race, int from, int to)
{
	struct store_move_result moved;
	int rc = -EREMOTEIO;

	for (int i = 0; i < 50 && rc == -EREMOTEIO; i++)
		rc = store_demote(
			race->model.store, "cold", race->cids + from, to - from, NULL, &moved);
	return rc;
}

/* Half of it goes there, and comes back. */
static int to_and_fro(void *arg)
{
	struct race *race = arg;
	struct store_move_result moved;

	CHECK_RC(0, demote(race, COUNT / 2, COUNT));
	anyio_sleep(draw(&race->model, 400) * ANYIO_MICROSECOND);
	CHECK_RC(0, store_promote(race->model.store, race->cids, COUNT, NULL, &moved));
	race->done = true;
	return 0;
}

static int verify_once(struct race *race, bool tiers)
{
	struct store_verify_options options = { .tiers = tiers };
	struct store_verify_result result;

	CHECK_RC(0, store_verify(race->model.store, &options, &result));
	CHECK(result.faults == 0);
	return 0;
}

static int verify_meanwhile(void *arg)
{
	struct race *race = arg;

	do
		CHECK_RC(0, verify_once(race, draw(&race->model, 2)));
	while (!race->done);
	return 0;
}

/* Till the tier has nothing left to do. */
static int verify_and_tend(void *arg)
{
	struct race *race = arg;

	do {
		CHECK_RC(0, verify_once(race, true));
		CHECK_RC(0, model_tier_tend(&race->model));
	} while (!race->done);
	return 0;
}

static int verifying(void *arg)
{
	struct race *race = arg;

	CHECK_RC(0, begin(race, COUNT));
	CHECK_RC(0, demote(race, 0, COUNT / 4));
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, to_and_fro, race, "moves");
	anyio_start_soon(&group, verify_meanwhile, race, "verifies");
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	CHECK_RC(0, test_verify(race->model.store));
	return store_close(race->model.store);
}

/* Nobody needs what goes there. */
static int demote_dead(void *arg)
{
	struct race *race = arg;
	int rc = demote(race, 0, COUNT / 2);

	CHECK(rc == 0 || rc == -ENOENT);
	race->done = true;
	return 0;
}

/* As soon as the last of them lies there, or a little later. */
static int collect_meanwhile(void *arg)
{
	struct race *race = arg;
	struct store_collect_options options = { .dead_percent = 1 };
	struct store_collect_result result;
	char tier[STORE_TIER_NAME_MAX + 1] = "";

	while (!race->done && !*tier) {
		CHECK(store_where(race->model.store, &race->cids[COUNT / 2 - 1], tier) >= 0);
		CHECK_RC(0, anyio_sleep(ANYIO_MICROSECOND));
	}
	for (uint64_t turns = draw(&race->model, 20); turns > 0; turns--)
		CHECK_RC(0, anyio_sleep(ANYIO_MICROSECOND));
	int rc = store_collect(race->model.store, &options, &result);
	return rc == -EALREADY && race->verifies ? 0 : rc;
}

/* Whatever the index says is here can be read. */
static int collecting(void *arg)
{
	struct race *race = arg;

	CHECK_RC(0, begin(race, 0));
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, demote_dead, race, "moves");
	anyio_start_soon(&group, collect_meanwhile, race, "collects");
	if (race->verifies)
		anyio_start_soon(&group, verify_and_tend, race, "verifies");
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	CHECK_RC(0, model_tier_tend(&race->model));
	CHECK_RC(0, verify_once(race, true));
	for (int i = 0; i < COUNT; i++)
		CHECK_RC(store_has(race->model.store, &race->cids[i]) ? 0 : -ENOENT,
			test_get(race->model.store, i, length(i)));
	return store_close(race->model.store);
}

static void run(anyio_task_fn body, bool verifies)
{
	const char *one = getenv("SEED");
	uint64_t first = one ? strtoull(one, NULL, 10) : 1;

	for (uint64_t seed = first; seed < first + (one ? 1 : SEEDS); seed++) {
		race = (struct race){ .model = { .random = seed * 0x9e3779b97f4a7c15 },
			.verifies = verifies };
		test_options = (struct store_options){ .create = true,
			.segment_bytes = 20000,
			.group_bytes = 30000,
			.checkpoint_blocks = 60,
			.compact_bytes = 1,
			.operations_bytes = 1000 };
		simulated_start();
		model_tier_reset();
		int rc = run_simulated(body, &race, seed, NULL);
		simulated_end();
		if (rc != 0)
			print_error("SEED=%llu\n", (unsigned long long)seed);
		assert_int_equal(rc, 0);
	}
}

static void a_move_is_no_fault(void **state)
{
	run(verifying, false);
}

static void a_collection_leaves_nothing_behind(void **state)
{
	run(collecting, false);
}

/* Which may be told that somebody looks the repo over. */
static void what_is_collected_is_no_fault(void **state)
{
	run(collecting, true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_move_is_no_fault),
		cmocka_unit_test(a_collection_leaves_nothing_behind),
		cmocka_unit_test(what_is_collected_is_no_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
