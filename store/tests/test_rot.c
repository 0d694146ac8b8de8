/*
 * Bit rot against the model, on the simulated disk: after some work, and a crash, a close or neither, bits of the segments, of the
 * operation log and of what lies in a tier are inverted. Then work goes on, with collections and moves, a crash perhaps, and the index
 * is thrown away. What was acknowledged is there, or it is told that it is damaged; no bit takes more than one block; and
 * what is put again is there for good. $SEEDS says how many (default 25), $SEED which one alone, which then tells what
 * happens, or, with $SEEDS, from which one on.
 */
#include "model_tier.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { FLIPS = 3, FILES = 64 };
enum when { OPEN, CLOSED, CRASHED };

static uint64_t met_damaged, met_bits, met_read_only;
static bool talks;

struct rot {
	struct model model;
	enum when when;
	int flips;
	bool tier; /* one of them is in an object */
	bool told; /* by an opening, that more may be missing than is damaged */
};

/* ---- Rot ---- */

static const char *file_name(uint64_t i)
{
	static char path[sizeof(test_repo) + sizeof("/segments/4294967295.car")];

	snprintf(path, sizeof(path), i < FILES ? "%s/segments/%08u.car" : "%s/ops/%08u.log",
		test_repo, (unsigned)(i % FILES));
	return path;
}

/* 0: there is nothing in it. */
static int flip_in(struct model *model, const char *path, int fd)
{
	struct stat st;
	uint8_t byte;
	int rc = anyio_fstat(fd, &st);

	if (rc < 0 || st.st_size == 0)
		return rc;
	uint64_t at = draw(model, (uint64_t)st.st_size);
	CHECK_RC(0, anyio_pread_all(fd, &byte, 1, at));
	byte ^= 1u << draw(model, 8);
	if (talks)
		print_message("%s, byte %llu of %lld\n", path, (unsigned long long)at,
			(long long)st.st_size);
	CHECK_RC(0, anyio_pwrite_all(fd, &byte, 1, at));
	CHECK_RC(0, anyio_fdatasync(fd));
	return 1;
}

/* One bit of any file that is there. */
static int flip(struct model *model)
{
	int rc = 0;

	while (rc == 0) {
		const char *path = file_name(draw(model, 2 * FILES));
		int fd = anyio_open(path, O_RDWR, 0);

		if (fd < 0)
			continue;
		rc = flip_in(model, path, fd);
		anyio_close(fd);
	}
	return rc < 0 ? rc : 0;
}

static int flip_some(struct rot *rot)
{
	rot->flips = 1 + (int)draw(&rot->model, FLIPS);
	for (int i = 0; i < rot->flips; i++) {
		if (draw(&rot->model, 5) == 0 && model_tier_rot(&rot->model))
			rot->tier = true;
		else
			CHECK_RC(0, flip(&rot->model));
	}
	return 0;
}

/* ---- What is promised of it ---- */

/* 1: needed and damaged, which is told. */
static int look_at(struct rot *rot, const struct mf_cid *cid, bool needed)
{
	struct store_block block;
	char why[320] = "";
	int rc = store_get(rot->model.store, cid, &block);

	if (rc == 0)
		store_block_release(&block);
	if (rc == -EBADMSG)
		store_explain(rot->model.store, cid, why, sizeof(why));
	if (rc < 0 && needed && talks)
		print_message("needed: %s %s\n", anyio_error_name(rc), why);
	CHECK(rc == 0 || (rc == -EBADMSG && why[0]) || (rc == -ENOENT && (!needed || rot->told)));
	return rc < 0 && needed;
}

static int look_at_blocks(struct rot *rot, int *damaged)
{
	for (int i = 0; i < TASKS * IDS; i++) {
		struct mf_cid cid;

		block_name(i / IDS, i % IDS, &cid);
		int mode = store_pin_get(rot->model.store, &cid);
		bool must = rot->model.blocks[i / IDS][i % IDS].acknowledged;
		CHECK(mode == STORE_PIN_DIRECT || (mode == STORE_PIN_NONE && (!must || rot->told)));
		int rc = look_at(rot, &cid, must || mode);
		CHECK(rc >= 0);
		*damaged += rc;
		rot->model.blocks[i / IDS][i % IDS].known =
			rot->model.blocks[i / IDS][i % IDS].acknowledged = mode;
	}
	return 0;
}

static int look_at_trees(struct rot *rot, int *damaged)
{
	for (int i = 0; i < TASKS * TREES; i++) {
		uint8_t node[TEST_SHARED_SIZE];
		struct mf_cid root;

		test_shared_root(i / TREES, i % TREES, node, &root);
		int mode = store_pin_get(rot->model.store, &root), rc;
		bool must = rot->model.trees[i / TREES][i % TREES].acknowledged;
		CHECK(mode == STORE_PIN_RECURSIVE ||
			(mode == STORE_PIN_NONE && (!must || rot->told)));
		CHECK((rc = look_at(rot, &root, must || mode)) >= 0);
		*damaged += rc;
		rot->model.trees[i / TREES][i % TREES].pinned =
			rot->model.trees[i / TREES][i % TREES].acknowledged = mode;
	}
	return 0;
}

/* Leaves that a pinned tree needs. */
static int look_at_leaves(struct rot *rot, int *damaged)
{
	bool seen[6000] = { false };

	for (int i = 0; i < TASKS * TREES * LEAVES; i++) {
		static uint8_t data[TEST_BLOCK_MAX];
		int task = i / LEAVES / TREES, id = i / LEAVES % TREES, rc;
		uint64_t leaf = test_shared_leaf(task, id, i % LEAVES);
		uint8_t node[TEST_SHARED_SIZE];
		struct mf_cid root, cid;

		test_shared_root(task, id, node, &root);
		if (seen[leaf] || store_pin_get(rot->model.store, &root) != STORE_PIN_RECURSIVE)
			continue;
		seen[leaf] = true;
		test_block(leaf, test_shared_length(leaf), data, &cid);
		CHECK((rc = look_at(rot, &cid, true)) >= 0);
		*damaged += rc;
	}
	return 0;
}

/* No bit takes more than one block, where no opening told of more. */
static int look(struct rot *rot)
{
	int damaged = 0;

	CHECK_RC(0, look_at_blocks(rot, &damaged));
	CHECK_RC(0, look_at_trees(rot, &damaged));
	CHECK_RC(0, look_at_leaves(rot, &damaged));
	CHECK(damaged <= rot->flips || rot->told);
	met_damaged += damaged;
	return damaged;
}

/* What is damaged is told by a verification before anybody has read it. */
static int look_after_verification(struct rot *rot)
{
	struct store_verify_options options = { .skip_pins = true, .tiers = true };
	struct store_verify_result result = { .faults = 0 };

	if (draw(&rot->model, 2))
		CHECK_RC(0, store_verify(rot->model.store, &options, &result));
	int damaged = look(rot);
	CHECK(damaged >= 0);
	CHECK(result.bytes == 0 || rot->told || damaged <= (int)result.faults);
	return 0;
}

/* ---- Lives ---- */

/* Whatever a pin needs. */
static int put_all(struct model *model, store_ticket *ticket)
{
	for (int i = 0; i < TASKS * IDS; i++) {
		int task = i / IDS, id = i % IDS;
		struct mf_cid cid;

		block_name(task, id, &cid);
		if (store_pin_get(model->store, &cid))
			CHECK_RC(0,
				test_put(model->store, number_of(task, id), length_of(task, id),
					ticket));
	}
	for (int i = 0; i < TASKS * TREES; i++) {
		int task = i / TREES, id = i % TREES;
		uint8_t node[TEST_SHARED_SIZE];
		struct mf_cid root;
		size_t len = test_shared_root(task, id, node, &root);

		if (store_pin_get(model->store, &root) == STORE_PIN_NONE)
			continue;
		CHECK_RC(0, store_put(model->store, &root, node, len, 0, ticket));
		for (int leaf = 0; leaf < LEAVES; leaf++) {
			uint64_t n = test_shared_leaf(task, id, leaf);

			CHECK_RC(0, test_put(model->store, n, test_shared_length(n), ticket));
		}
	}
	return 0;
}

/* What was done is acknowledged, as by a close. */
static void acknowledge_all(struct model *model)
{
	for (int i = 0; i < TASKS * IDS; i++)
		model->blocks[i / IDS][i % IDS].acknowledged |=
			model->blocks[i / IDS][i % IDS].known;
	for (int i = 0; i < TASKS * TREES; i++)
		model->trees[i / TREES][i % TREES].acknowledged |=
			model->trees[i / TREES][i % TREES].pinned;
}

/* Without a crash all of it is durable then. */
static int live(struct model *model, bool crash)
{
	CHECK_RC(0, live_on(model, crash));
	store_set_limit(model->store, 0);
	if (crash)
		return 0;
	acknowledge_all(model);
	int rc = store_checkpoint(model->store);
	return rc == -EUCLEAN ? 0 : rc;
}

static int reopen(struct rot *rot)
{
	struct store_recovery recovery;

	CHECK_RC(0, test_open(&rot->model.store, &recovery));
	CHECK_RC(0, model_tier_attach(&rot->model));
	bool told = recovery.damaged || recovery.gaps || recovery.read_only ||
		recovery.unfinished || recovery.cut;

	/* What the index knew before is not lost by that. */
	rot->told |= told && rot->when == CRASHED;
	met_read_only += recovery.read_only;
	if (talks)
		print_message("opened: %s\n", recovery.text);
	return 0;
}

static int rots(struct rot *rot)
{
	struct model *model = &rot->model;

	rot->when = (enum when)draw(model, 3);
	CHECK_RC(0, live(model, rot->when == CRASHED));
	if (rot->when == CRASHED)
		store_close(model->store);
	else if (rot->when == CLOSED)
		CHECK_RC(0, store_close(model->store));
	CHECK_RC(0, flip_some(rot));
	return rot->when == OPEN ? 0 : reopen(rot);
}

/* More of the same, with what is damaged. */
static int goes_on(struct rot *rot)
{
	bool crash = draw(&rot->model, 2);

	CHECK_RC(0, live(&rot->model, crash));
	if (!crash)
		return 0;
	rot->when = CRASHED;
	store_close(rot->model.store);
	return reopen(rot);
}

static void count_pins(void *arg, const struct store_fault *fault)
{
	*(int *)arg += fault->kind == STORE_FAULT_PIN;
}

/* What is damaged is put again, and no pin lacks anything any more: not to a verification, nor without the index. */
static int mend(struct rot *rot)
{
	struct model *model = &rot->model;
	int lacking = 0;
	struct store_verify_options accept = { .accept_loss = true };
	struct store_verify_options count = { .tiers = true, .fault = count_pins, .arg = &lacking };
	struct store_verify_result result;
	store_ticket ticket = 0;

	CHECK_RC(0, store_verify(model->store, &accept, &result));
	CHECK_RC(0, put_all(model, &ticket));
	CHECK_RC(0, store_sync(model->store, ticket));
	met_bits += (uint64_t)rot->flips;
	rot->flips = 0;
	rot->told = false;
	CHECK_RC(0, look(rot));
	CHECK_RC(0, rebuild_index(model->store, NULL));
	CHECK_RC(0, model_tier_tend(model));
	/* An object whose own index is damaged is not believed. */
	rot->told = rot->tier;
	int left = look(rot);
	CHECK(left == 0 || (left > 0 && rot->told));
	CHECK_RC(0, store_verify(model->store, &count, &result));
	CHECK(lacking == 0 || rot->told);
	return 0;
}

static int lives(void *arg)
{
	struct rot *rot = arg;
	struct model *model = &rot->model;

	CHECK_RC(0, test_open(&model->store, NULL));
	CHECK_RC(0, model_tier_attach(model));
	CHECK_RC(0, live(model, false));
	CHECK_RC(0, rots(rot));
	CHECK_RC(0, look_after_verification(rot));
	model->faulty = true;
	CHECK_RC(0, goes_on(rot));
	CHECK(look(rot) >= 0);
	CHECK_RC(0, mend(rot));
	return store_close(model->store);
}

static void rot_seed(uint64_t seed)
{
	static struct rot rot;
	struct anyio_sim_options sim = { .short_io = 100000 };

	memset(&rot, 0, sizeof(rot));
	rot.model = (struct model){ .random = seed * 0x9e3779b97f4a7c15, .collects = true };
	test_options = (struct store_options){ .create = true,
		.segment_bytes = 150000,
		.group_bytes = 60000,
		.checkpoint_blocks = 25,
		.operations_bytes = 400 };
	simulated_start();
	model_tier_reset();
	int rc = run_simulated(lives, &rot, seed, &sim);
	simulated_end();
	met_histories++;
	if (rc != 0)
		print_error("SEED=%llu\n", (unsigned long long)seed);
	assert_int_equal(rc, 0);
}

static void rot_is_told_and_takes_nothing_else(void **state)
{
	const char *one = getenv("SEED"), *many = getenv("SEEDS");
	uint64_t first = one ? strtoull(one, NULL, 10) : 1;
	uint64_t count = many ? strtoull(many, NULL, 10) : one ? 1 : 25;

	talks = one && !many;
	for (uint64_t seed = first; seed < first + count; seed++)
		rot_seed(seed);
	print_message(
		"%llu histories, %llu bits of rot, %llu times a block was damaged, %llu openings to be only read\n",
		(unsigned long long)met_histories, (unsigned long long)met_bits,
		(unsigned long long)met_damaged, (unsigned long long)met_read_only);
	assert_true(one || met_damaged > 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rot_is_told_and_takes_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
