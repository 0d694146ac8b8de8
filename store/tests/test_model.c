/*
 * Random work against a model, on the simulated disk: tasks put, pin and sync; in the middle of it
 * the power goes; the repo is opened again. What was acknowledged must be there, and nothing may be
 * reported as damaged. $SEEDS says how many (default 25), $SEED which one alone, or, with $SEEDS, from which one on.
 */
#include "model_tier.h"

#include <errno.h>

/* Some work, then a crash in the midst of it. */
static int live_and_crash(struct model *model)
{
	CHECK_RC(0, live_on(model, true));
	store_close(model->store);
	return 0;
}

/* First as if nothing could be written: the same is found, and nothing is changed. Where there is no repo, none is made. */
static int look_before_opening(struct model *model, struct store_recovery *found)
{
	struct store_wal_replay replay;
	store_ticket ticket = 0;

	test_options.only_read = true;
	int rc = test_open(&model->store, found);
	test_options.only_read = false;
	if (rc == -EROFS)
		return 0;
	CHECK_RC(0, rc);
	CHECK(found->unwritable == -EROFS);
	CHECK_RC(0, model_tier_attach(model));
	CHECK_RC(0, compare(model));
	CHECK_RC(0, test_verify_segments(model->store));
	CHECK_RC(0, store_wal_replay(model->store, NULL, &replay));
	CHECK(replay.blocks == found->blocks && replay.cut == found->cut &&
		replay.unfinished == found->unfinished && replay.damaged == found->damaged);
	CHECK_RC(-EROFS, test_put(model->store, number_of(0, 0), length_of(0, 0), &ticket));
	CHECK_RC(-EROFS, store_checkpoint(model->store));
	return store_close(model->store);
}

static int open_after_crash(struct model *model)
{
	struct store_recovery recovery, found;

	CHECK_RC(0, look_before_opening(model, &found));
	CHECK_RC(0, test_open(&model->store, &recovery));
	CHECK(!recovery.unwritable);
	CHECK(!found.unwritable ||
		(found.scanned == recovery.scanned && found.blocks == recovery.blocks &&
			found.cut == recovery.cut && found.unfinished == recovery.unfinished &&
			found.damaged == recovery.damaged && found.rebuilt == recovery.rebuilt));
	if (recovery.read_only || recovery.damaged)
		print_error("opened: %s\n", recovery.text);
	CHECK(recovery.damaged == 0 && recovery.gaps == 0 && !recovery.read_only);
	CHECK_RC(0, model_tier_attach(model));
	met_cuts += recovery.cut > 0;
	met_unfinished += recovery.unfinished;
	for (int i = 0; i < TASKS * IDS; i++)
		met_acknowledged += model->blocks[i / IDS][i % IDS].acknowledged;
	CHECK_RC(0, compare(model));
	CHECK_RC(0, test_verify_segments(model->store));
	met_histories++;
	return 0;
}

/* Every object there is one that the store knows. */
static int look_at_tier(struct model *model)
{
	struct store_tier_stat stat;

	CHECK_RC(0, store_tier_stat(model->store, "cold", &stat));
	CHECK(stat.unwanted == 0 && stat.unread == 0 && (int)stat.objects == model_tier_count());
	return 0;
}

static int lives(void *arg)
{
	struct model *model = arg;

	CHECK_RC(0, test_open(&model->store, NULL));
	CHECK_RC(0, model_tier_attach(model));
	for (int round = 0; round < ROUNDS; round++) {
		CHECK_RC(0, live_and_crash(model));
		CHECK_RC(0, open_after_crash(model));
	}
	CHECK_RC(0, rebuild_index(model->store, NULL));
	CHECK_RC(0, model_tier_tend(model));
	CHECK_RC(0, compare(model));
	CHECK_RC(0, look_at_tier(model));
	return store_close(model->store);
}

/* A life on a failing disk: opening may fail, then there is nothing to do. */
static int faulty_life(void *arg)
{
	struct model *model = arg;

	if (test_open(&model->store, NULL) < 0)
		return 0;
	CHECK_RC(0, model_tier_attach(model));
	return live_and_crash(model);
}

static int sound_look(void *arg)
{
	struct model *model = arg;

	CHECK_RC(0, open_after_crash(model));
	return store_close(model->store);
}

static void seeds(void (*run)(uint64_t seed))
{
	const char *one = getenv("SEED"), *many = getenv("SEEDS");
	uint64_t count = many ? strtoull(many, NULL, 10) : 25;
	uint64_t first = one ? strtoull(one, NULL, 10) : 1;

	if (one && !many) {
		run(first);
		return;
	}
	for (uint64_t seed = first; seed < first + count; seed++)
		run(seed);
	print_message("%llu histories, from an opening to a crash, and compared\n",
		(unsigned long long)met_histories);
	print_message(
		"%llu tails cut, %llu unfinished, %llu acknowledged, %llu faults, %llu adopted\n",
		(unsigned long long)met_cuts, (unsigned long long)met_unfinished,
		(unsigned long long)met_acknowledged, (unsigned long long)met_faults,
		(unsigned long long)met_adopted);
	print_message("%llu moved to a tier, %llu back, %llu objects removed\n",
		(unsigned long long)met_demoted, (unsigned long long)met_promoted,
		(unsigned long long)met_removed);
	assert_true(met_cuts > 0 && met_unfinished > 0 && met_acknowledged > 0);
	assert_true(met_demoted > 0 && met_promoted > 0 && met_removed > 0);
}

static void start(struct model *model, uint64_t seed)
{
	*model = (struct model){ .random = seed * 0x9e3779b97f4a7c15 };
	for (int task = 0; task < TASKS; task++)
		for (int id = 0; id < PINS; id++)
			model->pins[task][id].mask = 1u << STORE_PIN_NONE;
	test_options = (struct store_options){ .create = true,
		.segment_bytes = 400000,
		.group_bytes = 60000,
		.checkpoint_blocks = 25,
		.compact_bytes = 1,
		.operations_bytes = 400 };
	simulated_start();
	model_tier_reset();
}

static void assert_seed(int rc, uint64_t seed)
{
	if (rc != 0)
		print_error("SEED=%llu\n", (unsigned long long)seed);
	assert_int_equal(rc, 0);
}

static void crash_seed(uint64_t seed)
{
	static struct model model;
	struct anyio_sim_options sim = { .short_io = 100000 };

	start(&model, seed);
	assert_seed(run_simulated(lives, &model, seed, &sim), seed);
	simulated_end();
}

/* Of every other one the disk is nearly full, as its collections see it. */
static uint64_t little_room(void *arg)
{
	return (2 << 20) + 20000 + *(const uint64_t *)arg % 7 * 20000;
}

static void collect_seed(uint64_t seed)
{
	static struct model model;
	struct anyio_sim_options sim = { .short_io = 100000 };

	start(&model, seed);
	test_options.segment_bytes = 150000;
	model.collects = true;
	test_room = seed % 2 ? little_room : NULL;
	test_room_arg = &seed;
	assert_seed(run_simulated(lives, &model, seed, &sim), seed);
	test_room = NULL;
	simulated_end();
}

static void fault_seed(uint64_t seed)
{
	static struct model model;
	struct anyio_sim_options faulty = { .short_io = 100000, .disk_error = 8000 }, sound = { 0 };

	start(&model, seed);
	for (int round = 0; round < 3; round++) {
		model.faulty = true;
		assert_seed(run_simulated(faulty_life, &model, seed * 10 + round, &faulty), seed);
		model.faulty = false;
		assert_seed(run_simulated(sound_look, &model, seed * 10 + round, &sound), seed);
	}
	simulated_end();
}

static void crashes_lose_nothing_acknowledged(void **state)
{
	seeds(crash_seed);
	assert_true(getenv("SEED") || met_adopted > 0);
}

static void disk_errors_lose_nothing_acknowledged(void **state)
{
	seeds(fault_seed);
	assert_true(getenv("SEED") || met_faults > 0);
}

static void collections_take_nothing_that_is_pinned(void **state)
{
	seeds(collect_seed);
	assert_true(getenv("SEED") ||
		(met_dropped > 0 && met_full > 0 && met_stopped > 0 && met_short > 0));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(collections_take_nothing_that_is_pinned),
		cmocka_unit_test(crashes_lose_nothing_acknowledged),
		cmocka_unit_test(disk_errors_lose_nothing_acknowledged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
