/* Collection: what no pin needs goes, what one needs stays, whatever else happens. */
#include "support.h"
#include "../collecting.h"

#include <errno.h>
#include <ipld/dag_pb.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEAVES = 20 };

/* A tree: a node that links to leaves number first..first + LEAVES. */
static int put_tree(struct store *store, int first, struct mf_cid *root, store_ticket *ticket)
{
	return test_put_tree(store, first, LEAVES, 2000, root, ticket);
}

static int leaves_there(struct store *store, int first)
{
	int there = 0;

	for (int i = 0; i < LEAVES; i++)
		there += test_get(store, first + i, 2000) == 0;
	return there;
}

static int collect_with(struct store *store, unsigned percent, struct store_collect_result *result)
{
	struct store_collect_options options = { .dead_percent = percent };

	return store_collect(store, &options, result);
}

static int what_no_pin_needs_goes(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct store_collect_stat stat;
	struct store_recovery recovery;
	struct mf_cid kept[10], root;
	store_ticket ticket = 0;

	test_options.segment_bytes = 100000;
	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < 20; i++) {
		CHECK_RC(0, put_tree(store, i * 100, i % 2 ? &root : &kept[i / 2], &ticket));
		if (i % 2 == 0)
			CHECK_RC(0,
				store_pin_add(store, &kept[i / 2],
					i == 8 ? STORE_PIN_DIRECT : STORE_PIN_RECURSIVE, &ticket));
	}
	CHECK_RC(0, store_sync(store, ticket));
	size_t before = store->segments.count;
	CHECK_RC(0, collect_with(store, 1, &result));
	CHECK(result.dropped == 10 * (LEAVES + 1) + LEAVES && result.live == 9 * (LEAVES + 1) + 1);
	CHECK(result.moved == result.live && result.segments == before && result.kept_damaged == 0);
	CHECK(result.freed > 10 * LEAVES * 2000);
	store_collect_stat(store, &stat);
	CHECK(stat.runs == 1 && stat.failed == 0 && stat.last > 0 && !stat.running);
	CHECK(stat.dropped == result.dropped && stat.bytes == result.bytes &&
		stat.moved_bytes == result.moved_bytes && stat.segments == result.segments &&
		stat.freed == result.freed);
	for (int again = 0; again < 3; again++) {
		for (int i = 0; i < 20; i++)
			CHECK(leaves_there(store, i * 100) == (i % 2 || i == 8 ? 0 : LEAVES));
		CHECK(store_has(store, &kept[4]) == 1);
		CHECK_RC(0, test_verify(store));
		CHECK_RC(0, store_close(store));
		if (again == 1) {
			char command[128];
			snprintf(command, sizeof(command), "rm -rf %s/index", test_repo);
			CHECK(system(command) == 0);
		}
		CHECK_RC(0, test_open(&store, &recovery));
		CHECK(recovery.gaps == 0 && recovery.damaged == 0 && !recovery.read_only);
	}
	/* There is nothing left to do, and then all of it. */
	CHECK_RC(0, collect_with(store, 20, &result));
	CHECK(result.dropped == 0);
	for (int i = 0; i < 10; i++)
		CHECK_RC(0, store_pin_remove(store, &kept[i], &ticket));
	CHECK_RC(0, collect_with(store, 1, &result));
	CHECK(store->index.counts.blocks == 0 && store->segments.count <= 2);
	/* Gone numbers are forgotten when nothing asks for them. */
	CHECK(store->segments.gone_count <= 2);
	CHECK_RC(0, put_tree(store, 7, &root, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 0 && leaves_there(store, 7) == LEAVES);
	return store_close(store);
}

/* What is being added, or was found present, and is not pinned yet. */
static int a_lease_keeps_what_is_on_its_way(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct store_lease lease, other;
	struct mf_cid old, root;
	store_ticket ticket = 0;

	test_options.segment_bytes = 30000;
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, put_tree(store, 0, &old, &ticket));
	CHECK_RC(0, put_tree(store, 100, &root, &ticket));
	CHECK_RC(0, put_tree(store, 300, &root, &ticket));
	store_lease_begin(store, &lease);
	/* Present already, in segments that are collected. */
	CHECK_RC(0, put_tree(store, 0, &old, &ticket));
	store_lease_begin(store, &other);
	/* New; and kept by name. */
	CHECK_RC(0, put_tree(store, 200, &root, &ticket));
	CHECK_RC(1, test_get(store, 105, 2000) == 0);
	uint8_t data[2000];
	struct mf_cid one;
	test_block(105, 2000, data, &one);
	CHECK_RC(1, store_keep(store, &one));
	store_lease_end(&other);
	CHECK_RC(0, collect_with(store, 1, &result));
	CHECK(leaves_there(store, 0) == LEAVES && leaves_there(store, 200) == LEAVES &&
		leaves_there(store, 100) == 1);
	CHECK_RC(0, store_pin_add(store, &old, STORE_PIN_RECURSIVE, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	store_lease_end(&lease);
	CHECK(store->leases.old.count == 0 && store->leases.young.count == 0);
	CHECK_RC(0, collect_with(store, 1, &result));
	CHECK(leaves_there(store, 0) == LEAVES && leaves_there(store, 200) == 0 &&
		leaves_there(store, 100) == 0);
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

/* What was touched stays as long as one lease does that was open then, however many come and go. */
static int leases_may_overlap(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct store_lease first, second, other;
	struct mf_cid root;
	store_ticket ticket = 0;

	test_options.segment_bytes = 30000;
	CHECK_RC(0, test_open(&store, NULL));
	for (int n = 0; n < 400; n += 100)
		CHECK_RC(0, put_tree(store, n, &root, &ticket));
	store_lease_begin(store, &first);
	store_lease_begin(store, &second);
	CHECK_RC(0, put_tree(store, 0, &root, &ticket));
	store_lease_end(&first);
	for (int turn = 0; turn < 3; turn++) {
		store_lease_begin(store, &other);
		CHECK_RC(0, put_tree(store, 100, &root, &ticket));
		store_lease_end(&other);
		CHECK_RC(0, collect_with(store, 1, &result));
		CHECK(leaves_there(store, 0) == LEAVES && leaves_there(store, 100) == LEAVES);
	}
	CHECK(leaves_there(store, 200) == 0);
	store_lease_begin(store, &first);
	CHECK_RC(0, put_tree(store, 100, &root, &ticket));
	store_lease_end(&second);
	CHECK_RC(0, collect_with(store, 1, &result));
	CHECK(leaves_there(store, 100) == LEAVES);
	/* Of what was touched a million times the same is kept in mind as of what was once. */
	for (int again = 0; again < 1000; again++)
		CHECK_RC(0, test_put(store, 105, 2000, &ticket));
	CHECK(store->leases.young.count + store->leases.old.count < 20);
	store_lease_end(&first);
	CHECK(store->leases.old.count == 0 && store->leases.young.count == 0);
	CHECK_RC(0, collect_with(store, 1, &result));
	CHECK(leaves_there(store, 0) == 0 && leaves_there(store, 100) == 0);
	return store_close(store);
}

struct traffic {
	struct store *store;
	struct mf_cid kept;
	bool over;
	int puts, gets;
	int rc;
};

/* Puts what is there, dead, and pins it: under a lease it must be whole ever after. */
static int putter(void *arg)
{
	struct traffic *traffic = arg;

	for (int i = 0; !traffic->over && traffic->rc == 0; i++) {
		struct store_lease lease;
		struct mf_cid root;
		store_ticket ticket = 0;
		int first = i % 15 * 100;

		store_lease_begin(traffic->store, &lease);
		int rc = put_tree(traffic->store, first, &root, &ticket);
		if (rc == 0)
			rc = store_pin_add(traffic->store, &root, STORE_PIN_RECURSIVE, &ticket);
		if (rc == 0)
			rc = store_sync(traffic->store, ticket);
		store_lease_end(&lease);
		if (rc == 0 && leaves_there(traffic->store, first) != LEAVES)
			rc = -EPROTO;
		if (rc == 0)
			rc = store_pin_remove(traffic->store, &root, &ticket);
		traffic->rc = rc;
		traffic->puts++;
		anyio_checkpoint();
	}
	return 0;
}

static int getter(void *arg)
{
	struct traffic *traffic = arg;

	while (!traffic->over && traffic->rc == 0) {
		if (leaves_there(traffic->store, 5000) != LEAVES ||
			store_has(traffic->store, &traffic->kept) != 1)
			traffic->rc = -EBADMSG;
		traffic->gets++;
		anyio_checkpoint();
	}
	return 0;
}

static int others_go_on_meanwhile(void *arg)
{
	struct traffic traffic = { 0 };
	struct store_collect_result result;
	store_ticket ticket = 0;
	int rc = 0;

	test_options.segment_bytes = 60000;
	CHECK_RC(0, test_open(&traffic.store, NULL));
	CHECK_RC(0, put_tree(traffic.store, 5000, &traffic.kept, &ticket));
	CHECK_RC(0, store_pin_add(traffic.store, &traffic.kept, STORE_PIN_RECURSIVE, &ticket));
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, putter, &traffic, "putter");
	anyio_start_soon(&group, getter, &traffic, "getter");
	for (int i = 0; i < 25 && rc == 0 && traffic.rc == 0; i++) {
		rc = collect_with(traffic.store, 1, &result);
		anyio_checkpoint();
	}
	traffic.over = true;
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	CHECK_RC(0, rc);
	CHECK_RC(0, traffic.rc);
	CHECK(traffic.puts > 3 && traffic.gets > 3);
	CHECK_RC(0, test_verify(traffic.store));
	return store_close(traffic.store);
}

/* Nothing is taken away when what is below a pin cannot be told. */
static int a_node_that_is_missing_stops_it(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct mf_cid root, stranger;
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, put_tree(store, 0, &root, &ticket));
	mf_cid_of(&stranger, 1, MF_CODEC_DAG_PB, "stranger", 8);
	CHECK_RC(0, store_pin_add(store, &stranger, STORE_PIN_RECURSIVE, &ticket));
	CHECK_RC(-ENOENT, collect_with(store, 1, &result));
	CHECK(mf_cid_equal(&result.missing, &stranger) && mf_cid_equal(&result.pin, &stranger));
	CHECK(leaves_there(store, 0) == LEAVES && result.dropped == 0);
	CHECK_RC(0, store_pin_remove(store, &stranger, &ticket));
	CHECK_RC(0, collect_with(store, 1, &result));
	CHECK(leaves_there(store, 0) == 0);
	return store_close(store);
}

/* A live block that is damaged keeps its segment, where it may be mended from. */
static int damage_keeps_its_segment(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct index_place place;
	struct mf_cid root, other, leaf;
	uint8_t data[2000];
	store_ticket ticket = 0;

	test_options.segment_bytes = 1 << 20;
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, put_tree(store, 0, &root, &ticket));
	CHECK_RC(0, put_tree(store, 100, &other, &ticket));
	CHECK_RC(0, store_pin_add(store, &root, STORE_PIN_RECURSIVE, &ticket));
	test_block(3, 2000, data, &leaf);
	CHECK(store_find(store, &leaf, &place) == 1);
	CHECK_RC(0, store_close(store));
	test_flip(test_segment(1), (long)place.offset + 50);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, collect_with(store, 1, &result));
	CHECK(result.kept_damaged == 1 && result.segments == 0);
	CHECK(access(test_segment(1), F_OK) == 0 && leaves_there(store, 0) == LEAVES - 1);
	CHECK(leaves_there(store, 100) == 0);
	/* Also when it is known to be damaged, until a whole one has come. */
	CHECK_RC(0, collect_with(store, 1, &result));
	CHECK(result.kept_damaged == 1 && access(test_segment(1), F_OK) == 0);
	CHECK_RC(0, test_put(store, 3, 2000, &ticket));
	CHECK_RC(0, collect_with(store, 1, &result));
	CHECK(result.kept_damaged == 0 && access(test_segment(1), F_OK) < 0);
	CHECK(leaves_there(store, 0) == LEAVES);
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

/* What is dead can be had no more, where its segment stays too, and nobody misses it. */
static int every_dead_block_can_be_asked_for(void *arg)
{
	struct store *store;
	struct store_collect_options options = { .every = true };
	struct store_collect_result result;
	struct mf_cid root;
	store_ticket ticket = 0;

	test_options.segment_bytes = 1 << 20;
	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < 20; i++) {
		CHECK_RC(0, put_tree(store, i * 100, &root, &ticket));
		if (i != 7)
			CHECK_RC(0, store_pin_add(store, &root, STORE_PIN_RECURSIVE, &ticket));
	}
	CHECK_RC(0, store_collect(store, NULL, &result));
	CHECK(result.dropped == 0 && leaves_there(store, 700) == LEAVES);
	CHECK_RC(0, store_collect(store, &options, &result));
	CHECK(result.dropped == LEAVES + 1 && result.segments == 0 && result.moved == 0);
	CHECK(access(test_segment(1), F_OK) == 0);
	for (int again = 0; again < 2; again++) {
		for (int i = 0; i < 20; i++)
			CHECK(leaves_there(store, i * 100) == (i == 7 ? 0 : LEAVES));
		CHECK_RC(0, test_verify(store));
		CHECK_RC(0, store_close(store));
		CHECK_RC(0, test_open(&store, NULL));
	}
	CHECK_RC(0, store_collect(store, &options, &result));
	CHECK(result.dropped == 0);
	/* Put again it is there again. */
	CHECK_RC(0, put_tree(store, 700, &root, &ticket));
	CHECK(leaves_there(store, 700) == LEAVES);
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

/* Segments half of whose trees are pinned: number first, and on by hundreds. */
static int put_half_pinned(struct store *store, int count, struct mf_cid *kept)
{
	struct mf_cid root;
	store_ticket ticket = 0;

	for (int i = 0; i < count; i++) {
		CHECK_RC(0, put_tree(store, i * 100, i % 2 ? &root : &kept[i / 2], &ticket));
		if (i % 2 == 0)
			CHECK_RC(0,
				store_pin_add(store, &kept[i / 2], STORE_PIN_RECURSIVE, &ticket));
	}
	return store_sync(store, ticket);
}

static int all_kept_there(struct store *store, int count)
{
	for (int i = 0; i < count; i += 2)
		CHECK(leaves_there(store, i * 100) == LEAVES);
	return 0;
}

struct stopping {
	struct store *store;
	int calls, at;
	int told; /* calls in which the store said that a collection runs */
};

static int stop_at(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	struct stopping *stopping = arg;
	struct store_collect_stat stat;

	store_collect_stat(stopping->store, &stat);
	stopping->told += stat.running;
	return ++stopping->calls == stopping->at;
}

/* By whatever value, wherever. */
static int a_stop_takes_nothing_that_is_pinned(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct store_collect_stat stat;
	struct mf_cid kept[6];
	int rc = 1;

	test_options.segment_bytes = 60000;
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, put_half_pinned(store, 12, kept));
	for (int at = 1; rc == 1; at++) {
		struct stopping stopping = { .store = store, .at = at };
		struct store_collect_options options = {
			.dead_percent = 1, .progress = stop_at, .arg = &stopping
		};

		rc = store_collect(store, &options, &result);
		CHECK(rc == (stopping.calls >= at));
		store_collect_stat(store, &stat);
		CHECK(stopping.told == stopping.calls && !stat.running);
		CHECK(stat.runs == (uint64_t)at && stat.failed == stat.runs - !rc);
		CHECK_RC(0, all_kept_there(store, 12));
	}
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

/* Heads of sections are no dead bytes. */
static int what_lives_is_not_written_again(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct mf_cid cid;
	uint8_t data[100];
	store_ticket ticket = 0;

	test_options.segment_bytes = 60000;
	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < 1500; i++) {
		test_block(i, sizeof(data), data, &cid);
		CHECK_RC(0, store_put(store, &cid, data, sizeof(data), 0, &ticket));
		CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	}
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, store_collect(store, NULL, &result));
	CHECK(result.live == 1500 && result.moved == 0 && result.segments == 0);
	return store_close(store);
}

/* In the fourth segment, for one write: the sweeping's own, or one of those that have segments dropped meanwhile. */
static int fill_the_disk(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	bool *full = arg;

	if (sweeping && done > 200000 && !*full) {
		anyio_fault_set(ANYIO_FAULT_WRITE, 1, -ENOSPC);
		*full = true;
	}
	return 0;
}

/* What was swept until then goes: else there would never be room. */
static int a_full_disk_is_given_back_what_can_be(void *arg)
{
	struct store *store;
	bool full = false;
	struct store_collect_options options = {
		.dead_percent = 1, .progress = fill_the_disk, .arg = &full
	};
	struct store_collect_result result;
	struct mf_cid kept[10];

	test_options.segment_bytes = 60000;
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, put_half_pinned(store, 20, kept));
	/* Many of them together. */
	store->options.segment_bytes = 1 << 20;
	int rc = store_collect(store, &options, &result);
	anyio_fault_set(ANYIO_FAULT_WRITE, 0, 0);
	CHECK_RC(-ENOSPC, rc);
	CHECK(result.segments >= 2);
	CHECK_RC(0, all_kept_there(store, 20));
	return store_close(store);
}

static void close_files(struct store *store)
{
	for (size_t i = 0; i < store->segments.count; i++) {
		struct segment_file *file = store->segments.files[i];

		if (file->users == 0 && file->fd >= 0) {
			anyio_close(file->fd);
			file->fd = -1;
			store->segments.open--;
		}
	}
}

static int a_file_that_somebody_took_away_stops_nothing(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct mf_cid kept[6];

	test_options.segment_bytes = 60000;
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, put_half_pinned(store, 12, kept));
	/* Nodes are needed to mark. */
	store_set_cache(store, 1 << 20);
	CHECK_RC(0, all_kept_there(store, 12));
	for (int i = 0; i < 6; i++) {
		struct store_block block;
		CHECK_RC(0, store_get(store, &kept[i], &block));
		store_block_release(&block);
	}
	close_files(store);
	CHECK(unlink(test_segment(1)) == 0);
	CHECK_RC(0, collect_with(store, 1, &result));
	CHECK(result.kept_damaged == 1 && result.segments > 3);
	return store_close(store);
}

struct telling {
	uint64_t since, most;
};

static void count_dropped(void *arg, const struct mf_cid *cid, uint32_t len)
{
	struct telling *telling = arg;

	if (++telling->since > telling->most)
		telling->most = telling->since;
}

static int tell(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	((struct telling *)arg)->since = 0;
	return 0;
}

/* So that who tells others of what went need not hold all of it in memory. */
static int what_goes_is_told_meanwhile(void *arg)
{
	enum { MANY = 5000 };
	struct telling telling = { 0 };
	struct store_collect_options options = {
		.every = true, .progress = tell, .dropped = count_dropped, .arg = &telling
	};
	struct store_collect_result result;
	struct store *store;
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < MANY; i++)
		CHECK_RC(0, test_put(store, i, 50, &ticket));
	CHECK_RC(0, store_collect(store, &options, &result));
	CHECK(result.dropped == MANY && telling.most < MANY / 2);
	return store_close(store);
}

ON_BACKENDS(every_dead_block_can_be_asked_for)
ON_BACKENDS(what_no_pin_needs_goes)
ON_BACKENDS(a_lease_keeps_what_is_on_its_way)
ON_BACKENDS(leases_may_overlap)
ON_BACKENDS(others_go_on_meanwhile)
ON_BACKENDS(a_node_that_is_missing_stops_it)
ON_BACKENDS(damage_keeps_its_segment)
ON_BACKENDS(a_stop_takes_nothing_that_is_pinned)
ON_BACKENDS(what_lives_is_not_written_again)
ON_BACKENDS(a_full_disk_is_given_back_what_can_be)
ON_BACKENDS(a_file_that_somebody_took_away_stops_nothing)
ON_BACKENDS(what_goes_is_told_meanwhile)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_no_pin_needs_goes),
		cmocka_unit_test(test_a_lease_keeps_what_is_on_its_way),
		cmocka_unit_test(test_leases_may_overlap),
		cmocka_unit_test(test_others_go_on_meanwhile),
		cmocka_unit_test(test_a_node_that_is_missing_stops_it),
		cmocka_unit_test(test_damage_keeps_its_segment),
		cmocka_unit_test(test_every_dead_block_can_be_asked_for),
		cmocka_unit_test(test_a_stop_takes_nothing_that_is_pinned),
		cmocka_unit_test(test_what_lives_is_not_written_again),
		cmocka_unit_test(test_a_full_disk_is_given_back_what_can_be),
		cmocka_unit_test(test_a_file_that_somebody_took_away_stops_nothing),
		cmocka_unit_test(test_what_goes_is_told_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
