/*
 * Random work against a model, on the simulated disk: tasks put, pin and sync; in the middle of it
 * the power goes; the repo is opened again. What was acknowledged must be there, and nothing may be
 * reported as damaged. $SEEDS says how many (default 25), $SEED which one alone, or, with $SEEDS, from which one on.
 */
#include "model_tier.h"

#include <errno.h>

/* Now and then it stops, or takes its time. Under a limit it does not stop: what it has moved by then is there twice. */
static int on_progress(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	struct model *model = arg;

	if (!model->limit && draw(model, 300) == 0)
		return STOPPED;
	return draw(model, 10) ? 0 : anyio_sleep(draw(model, 3) * ANYIO_MILLISECOND);
}

struct collection {
	struct model *model;
	int rc;
};

static int collect_once(void *arg)
{
	struct collection *collection = arg;
	struct model *model = collection->model;
	struct store_collect_options options = { .dead_percent = 1 + draw(model, 60),
		.every = draw(model, 2),
		.enough = draw(model, 3) ? 0 : 1 + draw(model, 300000),
		.progress = on_progress,
		.arg = model };
	struct store_collect_result result;

	collection->rc = store_collect(model->store, &options, &result);
	met_dropped += result.dropped;
	met_stopped += collection->rc == STOPPED || collection->rc == ANYIO_CANCELLED;
	if (collection->rc == STOPPED || collection->rc == -EALREADY)
		collection->rc = 0;
	return collection->rc;
}

static int collect(void *arg)
{
	struct model *model = arg;

	while (!model->crashed) {
		struct collection collection = { model, 0 };
		int rc = model->limit || draw(model, 5)
			? collect_once(&collection)
			: anyio_move_on_after((1 + draw(model, 30)) * ANYIO_MILLISECOND,
				  collect_once, &collection);

		if (rc < 0 && !model->crashed && !model->faulty) {
			print_error("collect: %s\n", anyio_error_name(rc));
			return rc;
		}
		if (rc < 0 && (rc == ANYIO_BROKEN || model->crashed))
			return 0;
		anyio_sleep(draw(model, 20) * ANYIO_MILLISECOND);
	}
	return 0;
}

/* Whatever the pins are now, what they name is whole; and those acknowledged are there. */
static int compare_tree(struct model *model, int task, int id)
{
	uint8_t node[TEST_SHARED_SIZE];
	struct mf_cid root;

	test_shared_root(task, id, node, &root);
	int mode = store_pin_get(model->store, &root);
	CHECK(mode == STORE_PIN_RECURSIVE || mode == STORE_PIN_NONE);
	CHECK(mode || !model->trees[task][id].acknowledged);
	model->trees[task][id].pinned = mode;
	CHECK(mode == STORE_PIN_NONE || look_at_tree(model, task, id) == 0);
	model->trees[task][id].pinned = model->trees[task][id].acknowledged = mode;
	return 0;
}

/* The same of a block. */
static int compare_block(struct model *model, int task, int id, int rc)
{
	struct mf_cid cid;

	block_name(task, id, &cid);
	int mode = store_pin_get(model->store, &cid);
	CHECK(mode || !model->blocks[task][id].acknowledged);
	/* A pin is there only with the blocks that were put before it, whether anybody was told of it or not. */
	CHECK(mode == STORE_PIN_NONE || (mode > 0 && rc == 0));
	model->blocks[task][id].known = model->blocks[task][id].acknowledged = mode;
	return 0;
}

/* After a crash: everything acknowledged, pins among what they may be; then what is there is known.
 */
static int compare(struct model *model)
{
	for (int task = 0; task < TASKS; task++) {
		for (int id = 0; id < IDS; id++) {
			int rc = test_get(model->store, number_of(task, id), length_of(task, id));
			if (rc && rc != -ENOENT)
				print_error("get: %s\n", anyio_error_name(rc));
			CHECK(rc == 0 || rc == -ENOENT);
			CHECK(rc == 0 || !model->blocks[task][id].acknowledged);
			CHECK(rc != 0 || model->blocks[task][id].tried);
			if (model->collects) {
				CHECK_RC(0, compare_block(model, task, id, rc));
				continue;
			}
			model->blocks[task][id].known = rc == 0;
			model->blocks[task][id].acknowledged = rc == 0;
		}
		for (int id = 0; id < PINS && !model->collects; id++) {
			struct mf_cid cid = pin_name(task, id);
			int mode = store_pin_get(model->store, &cid);
			CHECK(mode >= 0 && (model->pins[task][id].mask >> mode & 1));
			model->pins[task][id].mode = mode;
			model->pins[task][id].mask = 1u << mode;
		}
	}
	for (int i = 0; i < TASKS * TREES && model->collects; i++)
		CHECK_RC(0, compare_tree(model, i / TREES, i % TREES));
	return 0;
}

/* Under a limit or not, kept by the store itself or by the puts. */
static void start_collecting(struct model *model, struct anyio_task_group *group)
{
	model->limit = draw(model, 2) ? LIMIT : 0;
	store_set_limit(model->store, model->limit);
	/* Room to move a segment is not there from the beginning. */
	if (store_used(model->store) + (5 << 18) > model->limit)
		model->limit = 0;
	if (draw(model, 2))
		anyio_start_soon(group, store_tend, model->store, "tend");
	if (draw(model, 4))
		anyio_start_soon(group, collect, model, "collector");
}

/* Some work, then a crash in the midst of it. */
static int live_and_crash(struct model *model)
{
	struct worker workers[TASKS];

	model->crashed = false;
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < TASKS; i++) {
		workers[i] = (struct worker){ model, i };
		anyio_start_soon(&group, work, &workers[i], "worker");
	}
	if (model->collects)
		start_collecting(model, &group);
	for (uint64_t movers = draw(model, 3); movers > 0; movers--)
		anyio_start_soon(&group, model_tier_move, model, "mover");
	anyio_sleep(draw(model, 100) * draw(model, 100) * 10 * ANYIO_MICROSECOND);
	model->crashed = true;
	anyio_sim_disk_crash(draw(model, 1 << 30));
	anyio_task_group_cancel(&group, "crash");
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	store_close(model->store);
	return 0;
}

static int open_after_crash(struct model *model)
{
	struct store_recovery recovery;

	CHECK_RC(0, test_open(&model->store, &recovery));
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

static void collect_seed(uint64_t seed)
{
	static struct model model;
	struct anyio_sim_options sim = { .short_io = 100000 };

	start(&model, seed);
	test_options.segment_bytes = 150000;
	model.collects = true;
	assert_seed(run_simulated(lives, &model, seed, &sim), seed);
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
	assert_true(getenv("SEED") || (met_dropped > 0 && met_full > 0 && met_stopped > 0));
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
