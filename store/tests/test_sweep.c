/*
 * Each allocation and each operation of a life with collections in it fails in turn: errors come out, nothing that is
 * pinned is missed, neither then nor after the power went, and the next collection goes through.
 */
#include "support.h"
#include "archives.h"
#include "../inner.h"

#include <errno.h>

enum { TREES = 8, LEAVES = 5 };

/* One has large ones, of which a sweep reads only those that live. */
static size_t length_in(int tree)
{
	return tree == 4 ? 66000 : 3000;
}

struct life {
	bool acknowledged[TREES]; /* it is pinned, and that is durable */
	bool unpinned[TREES];     /* or may be */
	int error;                /* the first */
};

static bool failed(struct life *life, int rc)
{
	if (rc < 0 && !life->error)
		life->error = rc;
	return rc < 0;
}

static void pin_tree(struct store *store, struct life *life, int tree)
{
	struct store_lease lease;
	struct mf_cid root;
	store_ticket ticket = 0;

	life->unpinned[tree] = false;
	store_lease_begin(store, &lease);
	if (!failed(life,
		    test_put_tree(store, tree * 10, LEAVES, length_in(tree), &root, &ticket)) &&
		!failed(life, store_pin_add(store, &root, STORE_PIN_RECURSIVE, &ticket)) &&
		!failed(life, store_sync(store, ticket)))
		life->acknowledged[tree] = true;
	store_lease_end(&lease);
}

static void unpin_tree(struct store *store, struct life *life, int tree)
{
	struct mf_cid root;
	store_ticket ticket = 0;

	/* The name is had by putting; what it put is dead. */
	if (failed(life, test_put_tree(store, tree * 10, LEAVES, length_in(tree), &root, &ticket)))
		return;
	life->acknowledged[tree] = false;
	life->unpinned[tree] = true;
	int rc = store_pin_remove(store, &root, &ticket);
	failed(life, rc == -ENOENT ? 0 : rc);
}

/* What is acknowledged may be refused for a while, but not be missed. */
static int look(struct store *store, struct life *life)
{
	for (int i = 0; i < TREES * LEAVES; i++) {
		int rc = test_get(store, i / LEAVES * 10 + i % LEAVES, length_in(i / LEAVES));

		failed(life, rc == -ENOENT || rc == -EBADMSG ? 0 : rc);
		if (life->acknowledged[i / LEAVES])
			CHECK(rc != -ENOENT && rc != -EBADMSG && rc != -EILSEQ);
	}
	return 0;
}

/* Where the disk is nearly full, what lives in a segment may be too much for it. */
static int refused_or(int rc)
{
	return test_room && rc == -ENOSPC ? 0 : rc;
}

static int use(struct store *store, struct life *life, bool every)
{
	struct store_collect_options options = { .dead_percent = 1, .every = every };
	struct store_collect_result result;

	failed(life, refused_or(store_collect(store, &options, &result)));
	CHECK_RC(0, look(store, life));
	pin_tree(store, life, 1);
	unpin_tree(store, life, 2);
	failed(life, refused_or(store_collect(store, &options, &result)));
	return look(store, life);
}

static int live(void *arg)
{
	struct life *life = arg;
	struct store *store;

	if (failed(life, test_open(&store, NULL)))
		return 0;
	for (int tree = 0; tree < TREES; tree++)
		pin_tree(store, life, tree);
	for (int tree = 1; tree < TREES; tree += 2)
		unpin_tree(store, life, tree);
	CHECK_RC(0, use(store, life, false));
	failed(life, store_close(store));
	/* And once more, after an opening. */
	if (failed(life, test_open(&store, NULL)))
		return 0;
	CHECK_RC(0, use(store, life, true));
	failed(life, store_close(store));
	return 0;
}

static int look_after(void *arg)
{
	struct life *life = arg;
	struct store *store;
	struct store_recovery recovery;
	struct store_collect_options options = { .dead_percent = 1, .every = true };
	struct store_collect_result result;

	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.damaged == 0 && recovery.gaps == 0 && !recovery.read_only);
	CHECK_RC(0, look(store, life));
	CHECK_RC(0, test_verify_segments(store));
	int rc = refused_or(store_collect(store, &options, &result));
	/* A pin that nobody was told of may have come without its blocks. */
	CHECK(rc == 0 || (rc == -ENOENT && recovery.unfinished > 0));
	CHECK_RC(0, look(store, life));
	CHECK_RC(0, test_verify_segments(store));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.damaged == 0 && recovery.gaps == 0 && !recovery.read_only);
	CHECK_RC(0, rebuild_index(store, &recovery));
	CHECK(recovery.damaged == 0 && recovery.gaps == 0);
	CHECK_RC(0, look(store, life));
	return store_close(store);
}

static void sweep(enum anyio_fault_kind kind, int error, bool sticky, uint64_t step)
{
	static struct life life;
	static const struct faulty faulty = { .options = { .create = true,
						      .segment_bytes = 30000,
						      .group_bytes = 30000,
						      .checkpoint_blocks = 20,
						      .compact_bytes = 1,
						      .operations_bytes = 400 },
		.live = live,
		.look_after = look_after,
		.life = &life,
		.size = sizeof(life),
		.error = &life.error };

	fail_each(&faulty, kind, error, sticky, step);
}

static void every_allocation_may_fail(void **state)
{
	sweep(ANYIO_FAULT_MEMORY, -ENOMEM, false, 3);
}

static void a_write_of_a_collection_may_fail(void **state)
{
	sweep(ANYIO_FAULT_WRITE, -EIO, false, 1);
}

static void a_collection_may_find_the_disk_full(void **state)
{
	sweep(ANYIO_FAULT_WRITE, -ENOSPC, false, 1);
}

static void the_disk_may_be_full_from_any_write_on(void **state)
{
	sweep(ANYIO_FAULT_WRITE, -ENOSPC, true, 3);
}

static void every_read_may_fail(void **state)
{
	sweep(ANYIO_FAULT_READ, -EIO, false, 1);
}

static void an_operation_of_a_collection_may_fail(void **state)
{
	sweep(ANYIO_FAULT_OPERATION, -EMFILE, false, 2);
}

/* For a tree more, beside what is kept free for the index. */
static uint64_t little_room(void *arg)
{
	return (2 << 20) + 17000;
}

/* It goes in parts, each of which is cut off. */
static void sweep_where_scarce(enum anyio_fault_kind kind, int error, uint64_t step)
{
	test_room = little_room;
	sweep(kind, error, false, step);
	test_room = NULL;
}

static void what_is_cut_may_fail_to_be_written(void **state)
{
	sweep_where_scarce(ANYIO_FAULT_WRITE, -EIO, 1);
}

static void what_is_cut_may_fail_to_be_read(void **state)
{
	sweep_where_scarce(ANYIO_FAULT_READ, -EIO, 3);
}

static void an_operation_of_a_cut_may_fail(void **state)
{
	sweep_where_scarce(ANYIO_FAULT_OPERATION, -EMFILE, 2);
}

static void an_allocation_of_a_cut_may_fail(void **state)
{
	sweep_where_scarce(ANYIO_FAULT_MEMORY, -ENOMEM, 9);
}

static int pin_one(void *arg)
{
	static struct life life;
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	pin_tree(store, &life, 1);
	CHECK_RC(0, life.error);
	return store_close(store);
}

static int collect_unreadable(void *arg)
{
	struct store_collect_result result;
	struct store *store;
	struct mf_cid root;
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	anyio_fault_set(ANYIO_FAULT_READ, 1, -EIO);
	int rc = store_collect(store, NULL, &result);
	anyio_fault_set(ANYIO_FAULT_READ, 0, 0);
	CHECK_RC(-ENOENT, rc);
	CHECK_RC(0, test_put_tree(store, 10, LEAVES, length_in(1), &root, &ticket));
	CHECK(mf_cid_equal(&result.missing, &root) && mf_cid_equal(&result.pin, &root));
	CHECK_RC(0, store_collect(store, NULL, &result));
	return store_close(store);
}

/* It is told by its pin, as one that is missing. */
static void a_node_that_cannot_be_read_is_missing(void **state)
{
	simulated_start();
	test_options = (struct store_options){ .create = true };
	int rc = run_simulated(pin_one, NULL, 1, NULL);
	if (rc == 0)
		rc = run_simulated(collect_unreadable, NULL, 2, NULL);
	simulated_end();
	assert_int_equal(rc, 0);
}

static int empty_repo(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s/*", test_repo);
	return system(command);
}

static int damage_heads(int leaves, size_t len)
{
	struct store *store;
	struct store_collect_options how = { .every = true };
	struct store_collect_result result;
	struct index_place place;
	struct mf_cid root, other, leaf;
	static uint8_t data[TEST_BLOCK_MAX];
	store_ticket ticket = 0;

	test_options = (struct store_options){ .create = true, .segment_bytes = 16 << 20 };
	/* Before its bytes lies the digest, before that the length of the section. */
	for (int before = 1; before <= (len < 16000 ? 2 : 3) + 36; before++) {
		CHECK_RC(0, empty_repo());
		CHECK_RC(0, test_open(&store, NULL));
		CHECK_RC(0, test_put_tree(store, 0, leaves, len, &root, &ticket));
		CHECK_RC(0, test_put_tree(store, 100, leaves, len, &other, &ticket));
		CHECK_RC(0, store_pin_add(store, &root, STORE_PIN_RECURSIVE, &ticket));
		CHECK_RC(0, store_sync(store, ticket));
		test_block(3, len, data, &leaf);
		CHECK(store_find(store, &leaf, &place) == 1);
		test_flip(test_segment(1), (long)place.offset - before);
		CHECK_RC(0, store_collect(store, &how, &result));
		CHECK(result.kept_damaged == 1 && result.segments == 0);
		for (int i = 0; i < leaves; i++)
			CHECK_RC(0, test_get(store, i, len));
		CHECK_RC(0, store_close(store));
	}
	return 0;
}

/* A live block whose head says another name by now is found by the index alone: its segment stays. */
static int a_damaged_head_keeps_its_segment(void *arg)
{
	CHECK_RC(0, damage_heads(20, 2000));
	return damage_heads(6, 70000);
}

/* Puts blocks of these lengths, of which those are pinned that have a bit: durable, and where they lie. */
static int put_some(struct store *store, const size_t *lengths, int count, unsigned pinned,
	struct index_place *places)
{
	struct mf_cid cid;
	static uint8_t data[TEST_BLOCK_MAX];
	store_ticket ticket = 0;

	for (int i = 0; i < count; i++) {
		CHECK_RC(0, test_put(store, i, lengths[i], &ticket));
		test_block(i, lengths[i], data, &cid);
		CHECK_RC(1, store_find(store, &cid, &places[i]));
		if (pinned & 1u << i % 32)
			CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	}
	return store_sync(store, ticket);
}

/* Those are there, and the index says so before anybody reads them. */
static int look_for_some(struct store *store, const size_t *lengths, int count, unsigned pinned)
{
	struct mf_cid cid;
	static uint8_t data[TEST_BLOCK_MAX];

	for (int i = 0; i < count; i++) {
		if (!(pinned & 1u << i % 32))
			continue;
		test_block(i, lengths[i], data, &cid);
		CHECK_RC(1, store_has(store, &cid));
		CHECK_RC(0, test_get(store, i, lengths[i]));
	}
	return 0;
}

struct reading {
	struct store *store;
	bool reads;
	int windows, seen; /* that were swept, and of them those in which somebody read */
};

static int read_meanwhile(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	struct reading *reading = arg;

	if (sweeping) {
		if (reading->reads)
			CHECK_RC(0, test_get(reading->store, 1000, 90000));
		reading->windows++;
		reading->seen += store_is_read(reading->store);
	}
	return 0;
}

/* Behind a large block little but a head is read; little ones before, between and behind them are met all the same. The reads of a
 * marking are nobody's. */
static int large_ones_are_met_among_little_ones(void *arg)
{
	enum { KINDS = 16, COUNT = 6 * KINDS, TREE = 3 };
	static const unsigned PINNED = 0x653d9ac2; /* each kind lives as often as not */
	static const size_t kinds[KINDS] = { 100000, 64, 65536, 65535, 300000, 10, 2000, 70000,
		70001, 4000, 40, 200000, 300000, 262144, 15, 66000 };
	size_t lengths[COUNT];
	struct index_place places[COUNT];

	for (int i = 0; i < COUNT; i++)
		lengths[i] = kinds[i % KINDS];
	for (int reads = 0; reads < 2; reads++) {
		struct reading reading = { .reads = reads };
		struct store_collect_options how = {
			.dead_percent = 1, .progress = read_meanwhile, .arg = &reading
		};
		struct store_collect_result result;
		struct mf_cid root;
		struct store *store;
		store_ticket ticket = 0;

		CHECK_RC(0, empty_repo());
		test_options = (struct store_options){ .create = true, .segment_bytes = 16 << 20 };
		CHECK_RC(0, test_open(&store, NULL));
		reading.store = store;
		CHECK_RC(0, test_put_tree(store, 1000, TREE - 1, 90000, &root, &ticket));
		CHECK_RC(0, store_pin_add(store, &root, STORE_PIN_RECURSIVE, &ticket));
		CHECK_RC(0, put_some(store, lengths, COUNT, PINNED, places));
		CHECK_RC(0, store_collect(store, &how, &result));
		CHECK(result.moved == COUNT / 2 + TREE && result.dropped == COUNT / 2);
		CHECK(result.segments == 1 && result.kept_damaged == 0);
		CHECK(reading.windows > COUNT / 2);
		CHECK(reads ? reading.seen > 0 : reading.seen == 0);
		CHECK_RC(0, look_for_some(store, lengths, COUNT, PINNED));
		CHECK_RC(0, test_verify(store));
		CHECK_RC(0, store_close(store));
	}
	return 0;
}

enum { BEFORE = 2 + 36 }; /* the data of a block its head begins, with its length */

/* By its head a block is so long that it covers the next one; the index has both as they are. */
static int change_a_length(bool every)
{
	enum { FIRST = 664, SECOND = 27, COUNT = 4, PINNED = 0xe };
	static const size_t lengths[COUNT] = { 3000, FIRST, SECOND, 500 };
	struct store *store;
	struct store_collect_options how = { .dead_percent = 1, .every = every };
	struct store_collect_result result;
	struct index_place places[COUNT];

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, put_some(store, lengths, COUNT, PINNED, places));
	test_alter(
		test_segment(places[1].segment), (long)places[1].offset - BEFORE, 1 + 36 + SECOND);
	CHECK_RC(0, store_collect(store, &how, &result));
	CHECK(result.kept_damaged == 1 && result.segments == 0 && result.dropped == 1);
	CHECK_RC(0, look_for_some(store, lengths, COUNT, PINNED));
	return store_close(store);
}

static int a_length_that_changed_keeps_its_segment(void *arg)
{
	CHECK_RC(0, change_a_length(false));
	empty_repo();
	return change_a_length(true);
}

/* By its head a block covers the next one; no commit seals the heads of an adopted file. */
static int change_a_length_of_an_adopted_file(bool every)
{
	enum { COUNT = 4, PINNED = 0xb };
	static const size_t lengths[COUNT] = { 664, 27, 3000, 500 };
	struct store_collect_options options = { .dead_percent = 1, .every = every };
	struct store_collect_result collected;
	struct store_adopt_result result;
	struct archive archive = { 0 };
	struct index_place place;
	struct mf_cid cid;
	struct store *store;
	uint8_t data[3000];
	store_ticket ticket = 0;

	archive_header(&archive, NULL);
	for (int i = 0; i < COUNT; i++)
		archive_blocks(&archive, i, i + 1, lengths[i]);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, archive_adopt(store, &archive, false, &result));
	for (int i = 0; i < COUNT; i++) {
		test_block(i, lengths[i], data, &cid);
		if (PINNED & 1u << i)
			CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	}
	CHECK_RC(0, store_sync(store, ticket));
	test_block(0, lengths[0], data, &cid);
	CHECK_RC(1, store_find(store, &cid, &place));
	test_alter(test_segment(place.segment), (long)place.offset - BEFORE, 64);
	CHECK_RC(0, store_collect(store, &options, &collected));
	CHECK(collected.kept_damaged == 1 && collected.segments == 0);
	CHECK_RC(0, look_for_some(store, lengths, COUNT, PINNED));
	return store_close(store);
}

static int a_length_that_changed_keeps_an_adopted_file(void *arg)
{
	CHECK_RC(0, change_a_length_of_an_adopted_file(false));
	empty_repo();
	return change_a_length_of_an_adopted_file(true);
}

/* The same where the commit that would tell is damaged too. */
static int change_a_length_and_a_commit(bool every)
{
	enum { COUNT = 5, LAST = 600, PINNED = 0xb, SUM = 40 /* of a commit, somewhere in it */ };
	static const size_t lengths[COUNT] = { 664, 27, 3000, 500, LAST };
	struct store *store;
	struct store_collect_options how = { .dead_percent = 1, .every = every };
	struct store_collect_result result;
	struct index_place places[COUNT];

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, put_some(store, lengths, COUNT, PINNED, places));
	const char *path = test_segment(places[0].segment);
	test_alter(path, (long)places[0].offset - BEFORE, 64);
	test_alter(path, (long)places[4].offset + LAST + BEFORE + SUM, 1);
	CHECK_RC(0, store_collect(store, &how, &result));
	CHECK_RC(0, look_for_some(store, lengths, COUNT, PINNED));
	return store_close(store);
}

static int a_length_and_a_commit_keep_their_segment(void *arg)
{
	CHECK_RC(0, change_a_length_and_a_commit(false));
	empty_repo();
	return change_a_length_and_a_commit(true);
}

/* A reader met bad bytes, the sweep good ones: these are kept. */
static int one_that_counts_as_damaged_by_then_is_moved(void *arg)
{
	struct store *store;
	struct index_place place;
	struct store_block block;
	struct mf_cid cid;
	uint8_t data[2000];
	store_ticket ticket = 0;
	struct store_moved moved = { 0 };

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put(store, 1, sizeof(data), &ticket));
	test_block(1, sizeof(data), data, &cid);
	CHECK(store_find(store, &cid, &place) == 1);
	block = (struct store_block){ .cid = cid, .data = data, .len = sizeof(data) };
	index_forget(&store->index, &cid, &place);
	CHECK_RC(0, store_move_many(store, &block, &place, 1, &ticket, &moved));
	CHECK_RC(1, store_has(store, &cid));
	CHECK_RC(0, test_get(store, 1, sizeof(data)));
	CHECK(store->index.counts.blocks == 1);
	/* One that has gone stays away. */
	CHECK(store_find(store, &cid, &place) == 1);
	CHECK_RC(0, index_drop(&store->index, &cid, &place));
	CHECK_RC(0, store_move_many(store, &block, &place, 1, &ticket, &moved));
	CHECK_RC(0, store_has(store, &cid));
	CHECK(moved.blocks == 1 && moved.bytes == sizeof(data) && moved.unknown == 1);
	return store_close(store);
}

/* Whether the files are gone for good nobody knows then: it is told, and what is gone is not forgotten. */
static int no_sync_of_the_folder(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	bool *armed = arg;

	if (sweeping && !*armed) {
		anyio_fault_set_call("fsync", 1, -EIO);
		*armed = true;
	}
	return 0;
}

static int a_folder_that_is_not_synced_is_told(void *arg)
{
	struct store *store;
	bool armed = false;
	struct store_collect_options options = {
		.dead_percent = 1, .progress = no_sync_of_the_folder, .arg = &armed
	};
	struct store_collect_result result;
	store_ticket ticket = 0;

	test_options.segment_bytes = 30000;
	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < 11; i++) {
		CHECK_RC(0, test_put(store, i, 31000, &ticket));
		CHECK_RC(0, store_sync(store, ticket));
	}
	int rc = store_collect(store, &options, &result);
	anyio_fault_set(ANYIO_FAULT_CALL, 0, 0);
	CHECK_RC(-EIO, rc);
	CHECK(store->segments.gone_count == result.segments);
	return store_close(store);
}

ON_BACKENDS(a_damaged_head_keeps_its_segment)
ON_BACKENDS(large_ones_are_met_among_little_ones)
ON_BACKENDS(a_folder_that_is_not_synced_is_told)
ON_BACKENDS(a_length_that_changed_keeps_its_segment)
ON_BACKENDS(a_length_that_changed_keeps_an_adopted_file)
ON_BACKENDS(a_length_and_a_commit_keep_their_segment)
ON_BACKENDS(one_that_counts_as_damaged_by_then_is_moved)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_damaged_head_keeps_its_segment),
		cmocka_unit_test(test_large_ones_are_met_among_little_ones),
		cmocka_unit_test(test_a_folder_that_is_not_synced_is_told),
		cmocka_unit_test(test_a_length_that_changed_keeps_its_segment),
		cmocka_unit_test(test_a_length_that_changed_keeps_an_adopted_file),
		cmocka_unit_test(test_a_length_and_a_commit_keep_their_segment),
		cmocka_unit_test(test_one_that_counts_as_damaged_by_then_is_moved),
		cmocka_unit_test(every_allocation_may_fail),
		cmocka_unit_test(a_write_of_a_collection_may_fail),
		cmocka_unit_test(a_collection_may_find_the_disk_full),
		cmocka_unit_test(the_disk_may_be_full_from_any_write_on),
		cmocka_unit_test(every_read_may_fail),
		cmocka_unit_test(an_operation_of_a_collection_may_fail),
		cmocka_unit_test(what_is_cut_may_fail_to_be_written),
		cmocka_unit_test(what_is_cut_may_fail_to_be_read),
		cmocka_unit_test(an_operation_of_a_cut_may_fail),
		cmocka_unit_test(an_allocation_of_a_cut_may_fail),
		cmocka_unit_test(a_node_that_cannot_be_read_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
