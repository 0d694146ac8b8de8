/* Collections beside the work of a model, and what is compared after it. */
#include "../inner.h"
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

/* A segment of which collections have cut off the end, for want of room. */
static bool has_short(const struct store *store)
{
	const struct segment_set *segments = &store->segments;

	for (size_t i = 1; i < segments->count; i++)
		if (segments->files[i]->previous == segments->files[i - 1]->number &&
			segments->files[i]->previous_len > segments->files[i - 1]->size)
			return true;
	return false;
}

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
	met_short += has_short(model->store);
	if (collection->rc == STOPPED || collection->rc == -EALREADY ||
		(collection->rc == -ENOSPC && test_room))
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
int compare(struct model *model)
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

int live_on(struct model *model, bool crash)
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
	if (crash)
		anyio_sim_disk_crash(draw(model, 1 << 30));
	anyio_task_group_cancel(&group, "end");
	return anyio_task_group_exit(&group, 0);
}
