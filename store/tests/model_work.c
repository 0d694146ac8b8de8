/* Random work on a store, and what the model knows of it. */
#include "archives.h"
#include "model.h"

#include <errno.h>

uint64_t met_histories, met_cuts, met_unfinished, met_acknowledged, met_faults, met_dropped,
	met_full, met_stopped, met_adopted, met_short;

uint64_t draw(struct model *model, uint64_t below)
{
	model->random = model->random * 6364136223846793005 + 1442695040888963407;
	return (model->random >> 33) % below;
}

size_t length_of(int task, int id)
{
	static const size_t lengths[] = { 9, 40, 700, 3000, 17000, 45000, TEST_BULK };

	return lengths[(task * 8 + id * 5) % 7];
}

uint64_t number_of(int task, int id)
{
	return task * 1000 + id;
}

void block_name(int task, int id, struct mf_cid *cid)
{
	static uint8_t data[TEST_BLOCK_MAX];

	test_block(number_of(task, id), length_of(task, id), data, cid);
}

struct mf_cid pin_name(int task, int id)
{
	struct mf_cid cid;
	int number = task * 100 + id;

	mf_cid_of(&cid, 1, MF_CODEC_DAG_CBOR, &number, sizeof(number));
	return cid;
}

/* What was asked for before a sync that succeeded is acknowledged. */
static void acknowledge(struct model *model, int task)
{
	for (int id = 0; id < IDS; id++)
		model->blocks[task][id].acknowledged |= model->blocks[task][id].known;
	for (int id = 0; id < PINS; id++)
		model->pins[task][id].mask = 1u << model->pins[task][id].mode;
	for (int id = 0; id < TREES; id++)
		model->trees[task][id].acknowledged = model->trees[task][id].pinned;
}

static int change_pin(struct model *model, int task, store_ticket *ticket)
{
	int id = draw(model, PINS), mode = draw(model, 3), rc;
	struct mf_cid cid = pin_name(task, id);

	if (mode == model->pins[task][id].mode ||
		(mode == STORE_PIN_DIRECT && model->pins[task][id].mode == STORE_PIN_RECURSIVE))
		return 0;
	model->pins[task][id].mask |= 1u << mode;
	rc = mode ? store_pin_add(model->store, &cid, mode, ticket)
		  : store_pin_remove(model->store, &cid, ticket);
	if (rc == 0)
		model->pins[task][id].mode = mode;
	return rc;
}

/* Puts a block and pins it, so that no collection takes it. */
static int put_pinned(struct model *model, int task, int id, store_ticket *ticket)
{
	struct store_lease lease;
	struct mf_cid cid;

	block_name(task, id, &cid);
	store_lease_begin(model->store, &lease);
	int rc = test_put(model->store, number_of(task, id), length_of(task, id), ticket);
	if (rc == 0)
		rc = store_pin_add(model->store, &cid, STORE_PIN_DIRECT, ticket);
	store_lease_end(&lease);
	return rc;
}

/* From now on it may go at any time, or stay. */
static int unpin(struct model *model, int task, int id, store_ticket *ticket)
{
	struct mf_cid cid;

	block_name(task, id, &cid);
	model->blocks[task][id].known = model->blocks[task][id].acknowledged = false;
	int rc = store_pin_remove(model->store, &cid, ticket);
	return rc == -ENOENT ? 0 : rc;
}

/* ---- Trees ---- */

static int keep_or_put(struct model *model, uint64_t leaf, store_ticket *ticket)
{
	static uint8_t data[TEST_BLOCK_MAX];
	struct mf_cid cid;

	test_block(leaf, test_shared_length(leaf), data, &cid);
	int rc = draw(model, 2) ? store_keep(model->store, &cid) : 0;
	return rc ? rc : test_put(model->store, leaf, test_shared_length(leaf), ticket);
}

/* Under a lease, which collections may come and go under. */
static int pin_tree(struct model *model, int task, int id, store_ticket *ticket)
{
	uint8_t node[TEST_SHARED_SIZE];
	struct store_lease lease;
	struct mf_cid root;
	size_t len = test_shared_root(task, id, node, &root);
	bool slow = draw(model, 4) == 0;
	int rc = 0;

	store_lease_begin(model->store, &lease);
	for (int i = 0; i < LEAVES && rc >= 0; i++) {
		rc = keep_or_put(model, test_shared_leaf(task, id, i), ticket);
		if (slow)
			anyio_sleep(draw(model, 5) * ANYIO_MILLISECOND);
	}
	if (rc >= 0)
		rc = store_put(model->store, &root, node, len, 0, ticket);
	if (rc >= 0 && slow)
		anyio_sleep(draw(model, 20) * ANYIO_MILLISECOND);
	if (rc >= 0)
		rc = store_pin_add(model->store, &root, STORE_PIN_RECURSIVE, ticket);
	store_lease_end(&lease);
	model->trees[task][id].pinned |= rc >= 0;
	return rc < 0 ? rc : 0;
}

static int unpin_tree(struct model *model, int task, int id, store_ticket *ticket)
{
	uint8_t node[TEST_SHARED_SIZE];
	struct mf_cid root;

	test_shared_root(task, id, node, &root);
	model->trees[task][id].pinned = model->trees[task][id].acknowledged = false;
	int rc = store_pin_remove(model->store, &root, ticket);
	return rc == -ENOENT ? 0 : rc;
}

/* A tree that is pinned is whole. */
int look_at_tree(struct model *model, int task, int id)
{
	uint8_t node[TEST_SHARED_SIZE];
	struct store_block block;
	struct mf_cid root;

	test_shared_root(task, id, node, &root);
	int rc = store_get(model->store, &root, &block);
	if (rc == 0)
		store_block_release(&block);
	for (int i = 0; i < LEAVES && rc == 0; i++) {
		uint64_t leaf = test_shared_leaf(task, id, i);

		rc = test_get(model->store, leaf, test_shared_length(leaf));
	}
	return rc == -ENOENT && !model->trees[task][id].pinned ? 0 : rc;
}

static int step_of_trees(struct model *model, int task, store_ticket *ticket)
{
	int id = draw(model, TREES), what = draw(model, 4);

	return what == 0    ? unpin_tree(model, task, id, ticket)
		: what == 1 ? look_at_tree(model, task, id)
			    : pin_tree(model, task, id, ticket);
}

/* ---- Archives ---- */

/* A CAR file of some of the task's blocks, outside of the repo. */
static int write_archive(int task, int from, int to, const char *path)
{
	static uint8_t data[TEST_BLOCK_MAX];
	struct archive archive = { 0 };
	struct mf_cid cid;

	archive_header(&archive, NULL);
	for (int id = from; id < to; id++) {
		test_block(number_of(task, id), length_of(task, id), data, &cid);
		archive_section(&archive, &cid, data, length_of(task, id));
	}
	int rc = anyio_write_whole(AT_FDCWD, path, 0644, archive.bytes, archive.len);
	free(archive.bytes);
	return rc;
}

/* Adopted is acknowledged. */
static int adopt(struct model *model, int task)
{
	int from = draw(model, IDS), to = from + 1 + draw(model, 8);
	static uint8_t data[TEST_BLOCK_MAX];
	struct store_adopt_result result;
	store_ticket ticket = 0;
	struct mf_cid cid;
	char path[40];

	to = to < IDS ? to : IDS;
	snprintf(path, sizeof(path), "/sim/%d.car", model->archives++);
	int rc = write_archive(task, from, to, path);
	int fd = rc < 0 ? rc : anyio_open(path, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	for (int id = from; id < to; id++)
		model->blocks[task][id].tried = true;
	struct store_lease lease;
	store_lease_begin(model->store, &lease);
	rc = store_adopt(model->store, fd, NULL, &result);
	anyio_close(fd);
	/* So that no collection takes them. */
	for (int id = from; id < to && rc == 0 && model->collects; id++) {
		test_block(number_of(task, id), length_of(task, id), data, &cid);
		rc = store_pin_add(model->store, &cid, STORE_PIN_DIRECT, &ticket);
	}
	if (rc == 0)
		rc = store_sync(model->store, ticket);
	store_lease_end(&lease);
	met_adopted += rc == 0 && result.segment;
	for (int id = from; id < to && rc == 0; id++) {
		model->blocks[task][id].known = true;
		model->blocks[task][id].acknowledged |= !model->crashed;
	}
	return rc;
}

/* ---- Work ---- */

static int step(struct model *model, int task, store_ticket *ticket)
{
	int id = draw(model, IDS), rc;

	if (model->collects && draw(model, 3) == 0)
		return step_of_trees(model, task, ticket);
	if (!model->limit && draw(model, 40) == 0)
		return adopt(model, task);
	switch (draw(model, 8)) {
	case 0:
		rc = store_sync(model->store, *ticket);
		if (rc == 0 && !model->crashed)
			acknowledge(model, task);
		return rc;
	case 1:
		return model->collects ? unpin(model, task, id, ticket)
				       : change_pin(model, task, ticket);
	case 2:
		rc = test_get(model->store, number_of(task, id), length_of(task, id));
		return rc == -ENOENT && !model->blocks[task][id].known ? 0 : rc;
	case 3: return draw(model, 30) ? 0 : store_checkpoint(model->store);
	default:
		model->blocks[task][id].tried = true;
		rc = model->collects
			? put_pinned(model, task, id, ticket)
			: test_put(model->store, number_of(task, id), length_of(task, id), ticket);
		if (rc == 0)
			model->blocks[task][id].known = true;
		return rc;
	}
}

int work(void *arg)
{
	const struct worker *worker = arg;
	struct model *model = worker->model;
	store_ticket ticket = 0;

	while (!model->crashed) {
		int rc = step(model, worker->id, &ticket);

		/* A segment more: what a collection that was cut off had moved is there twice. */
		if (model->limit && !model->crashed &&
			store_used(model->store) > model->limit + LIMIT / 4) {
			print_error("%llu used\n", (unsigned long long)store_used(model->store));
			return -EFBIG;
		}
		met_full += rc == -EDQUOT;
		if ((rc == -EDQUOT || (rc == -ENOSPC && test_room)) && model->collects)
			rc = 0;
		if (rc < 0 && !model->crashed && !model->faulty) {
			print_error("step: %s\n", anyio_error_name(rc));
			return rc;
		}
		met_faults += rc < 0 && !model->crashed;
		if (rc < 0 && (rc == ANYIO_BROKEN || model->crashed))
			return 0;
		anyio_checkpoint();
	}
	return 0;
}
