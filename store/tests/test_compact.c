/* Compaction of the index: what is left takes little room, and whatever stops it, the index is as it was. */
#include "support.h"
#include "../inner.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCKS = 6000, KEPT = 10, LEN = 30 }; /* every tenth */

/* The next calls that the store itself makes fail with these, once. */
static int rename_fails, fsync_fails;

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
	errno = rename_fails;
	return rename_fails ? rename_fails = 0, -1 : __real_rename(from, to);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	errno = fsync_fails;
	return fsync_fails ? fsync_fails = 0, -1 : __real_fsync(fd);
}

static const char *index_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/index/%s", test_repo, name);
	return path;
}

/* Whether what a compaction makes is there. */
static bool is_left(void)
{
	return access(index_path("compact.mdb"), F_OK) == 0 ||
		access(index_path("compact.mdb-lock"), F_OK) == 0;
}

static uint64_t size_now(void)
{
	return test_file_size(index_path("data.mdb"));
}

/* Blocks from..to of which every tenth is pinned; then the others go from the index, which is written. Collections do not
 * compact by themselves. */
static int fill(struct store *store, int from, int to)
{
	static const struct store_collect_options all = { .every = true, .dead_percent = 1 };
	struct store_collect_result result;
	struct mf_cid cid;
	uint8_t data[LEN];
	store_ticket ticket = 0;

	for (int i = from; i < to; i++) {
		CHECK_RC(0, test_put(store, i, LEN, &ticket));
		test_block(i, LEN, data, &cid);
		if (i % KEPT == 0)
			CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	}
	CHECK_RC(0, store_checkpoint(store));
	CHECK_RC(0, store_collect(store, &all, &result));
	CHECK((int)result.dropped == (to - from) * (KEPT - 1) / KEPT);
	return store_checkpoint(store);
}

static int what_is_pinned_is_there(struct store *store, int to)
{
	for (int i = 0; i < to; i++) {
		uint8_t data[LEN];
		struct mf_cid cid;

		test_block(i, LEN, data, &cid);
		CHECK(store_has(store, &cid) == (i % KEPT == 0));
		CHECK(store_pin_get(store, &cid) ==
			(i % KEPT == 0 ? STORE_PIN_DIRECT : STORE_PIN_NONE));
		if (i % KEPT == 0)
			CHECK_RC(0, test_get(store, i, LEN));
	}
	return 0;
}

static int opened_as_it_was(struct store **store)
{
	struct store_recovery recovery;

	CHECK_RC(0, test_open(store, &recovery));
	CHECK(!recovery.rebuilt && !recovery.read_only);
	return 0;
}

static void never_by_itself(void)
{
	test_options = (struct store_options){
		.create = true, .segment_bytes = 1 << 20, .compact_bytes = UINT64_MAX
	};
}

static int a_collection_gives_the_room_of_the_index_back(void *arg)
{
	struct store *store;

	never_by_itself();
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, fill(store, 0, BLOCKS));
	uint64_t before = size_now();
	CHECK_RC(0, fill(store, BLOCKS, 2 * BLOCKS));
	CHECK(size_now() >= before);
	store->options.compact_bytes = before;
	CHECK_RC(0, fill(store, 2 * BLOCKS, 3 * BLOCKS));
	CHECK(size_now() < before * 2 / 3 && index_file_size(&store->index) <= size_now());
	CHECK(!index_is_loose(&store->index, 0));
	CHECK_RC(0, what_is_pinned_is_there(store, 3 * BLOCKS));
	/* Killed, and it is believed when it was read; closed, and without. */
	for (int i = 0; i < 2; i++) {
		CHECK_RC(0, i ? store_close(store) : test_crash(store));
		CHECK((access(index_path("sealed"), F_OK) == 0) == i);
		CHECK_RC(0, opened_as_it_was(&store));
		CHECK_RC(0, what_is_pinned_is_there(store, 3 * BLOCKS));
		CHECK_RC(0, fill(store, (3 + i) * BLOCKS, (4 + i) * BLOCKS));
	}
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

static int compact(void *arg)
{
	return index_compact(&((struct store *)arg)->index);
}

/* While it is cancelled; or no file may grow further than that. */
static int compact_cancelled(struct store *store)
{
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "not now");
	return anyio_cancel_scope_run(&scope, compact, store);
}

static int compact_without_room(struct store *store, rlim_t room)
{
	struct rlimit before, less;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	less = before;
	less.rlim_cur = room;
	setrlimit(RLIMIT_FSIZE, &less);
	int rc = index_compact(&store->index);
	setrlimit(RLIMIT_FSIZE, &before);
	return rc;
}

static int whatever_stops_it_the_index_is_as_it_was(void *arg)
{
	struct store *store;

	never_by_itself();
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, fill(store, 0, BLOCKS));
	uint64_t before = size_now();
	for (int i = 0; i < 5; i++) {
		rename_fails = i == 0 ? EIO : 0;
		compact_cancelled(store);
		if (i == 0)
			CHECK_RC(0, index_compact(&store->index));
		else if (i < 4)
			CHECK_RC(0,
				compact_without_room(store, (rlim_t[]){ 0, 4096, 8192, 20000 }[i]));
		CHECK(rename_fails == 0 && size_now() == before && !is_left());
		CHECK(index_file_size(&store->index) > before / 2); /* and that is the open one */
		CHECK_RC(0, what_is_pinned_is_there(store, BLOCKS));
	}
	CHECK_RC(0, index_compact(&store->index));
	CHECK(size_now() < before / 2 && !is_left());
	CHECK_RC(0, what_is_pinned_is_there(store, BLOCKS));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, opened_as_it_was(&store));
	return store_close(store);
}

/* A power cut may bring the old file back then: whatever was written to the new one would be missing. */
static int a_name_that_may_not_last_is_not_built_on(void *arg)
{
	struct store *store;
	char command[300];
	uint64_t segments;

	never_by_itself();
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, fill(store, 0, BLOCKS));
	snprintf(command, sizeof(command), "cp %s %s/old.mdb", index_path("data.mdb"), test_repo);
	CHECK(system(command) == 0);
	fsync_fails = EIO;
	CHECK_RC(-EIO, index_compact(&store->index));
	CHECK_RC(0, what_is_pinned_is_there(store, BLOCKS));
	/* What is put is durable by the log; but no index says so, and nothing is thrown away by it. */
	CHECK_RC(0, test_put_range(store, BLOCKS * 10, BLOCKS * 10 + 30, true));
	CHECK_RC(-EIO, store_checkpoint(store));
	struct store_collect_options all = { .every = true, .dead_percent = 1 };
	struct store_collect_result result;
	segments = store->segments.count;
	CHECK_RC(-EIO, store_collect(store, &all, &result));
	CHECK(store->segments.count >= segments);
	CHECK_RC(0, test_crash(store));
	snprintf(command, sizeof(command), "mv %s/old.mdb %s", test_repo, index_path("data.mdb"));
	CHECK(system(command) == 0);
	CHECK_RC(0, opened_as_it_was(&store));
	CHECK_RC(0, what_is_pinned_is_there(store, BLOCKS));
	CHECK_RC(0, test_get_range(store, BLOCKS * 10, BLOCKS * 10 + 30));
	return store_close(store);
}

/* It says that it is, and the next opening makes it anew. */
static int a_damaged_index_is_not_copied(void *arg)
{
	struct store *store;
	struct store_recovery recovery;

	never_by_itself();
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, fill(store, 0, BLOCKS));
	uint64_t before = size_now();
	store->index.written.sum++; /* as if an entry had changed since */
	CHECK_RC(-EUCLEAN, index_compact(&store->index));
	CHECK(size_now() == before && !is_left());
	store_close(store);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.rebuilt);
	CHECK_RC(0, what_is_pinned_is_there(store, BLOCKS));
	return store_close(store);
}

static int what_a_killed_one_left_is_taken_away(void *arg)
{
	struct store *store;
	char command[300];

	never_by_itself();
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, fill(store, 0, 1000));
	for (int i = 0; i < 3; i++) {
		static const char *const ways[] = { "cp %s/index/data.mdb %s/index/compact.mdb",
			"ln -s %s/repo.id %s/index/compact.mdb",
			"mkdir -p %s/index/compact.mdb/full %s/index/compact.mdb-lock" };

		if (i)
			CHECK_RC(0, opened_as_it_was(&store));
		CHECK_RC(0, i == 1 ? test_crash(store) : store_close(store));
		snprintf(command, sizeof(command), ways[i], test_repo, test_repo);
		CHECK(system(command) == 0 && is_left() == (i != 1));
		CHECK_RC(0, opened_as_it_was(&store));
		CHECK(!is_left());
		CHECK_RC(0, what_is_pinned_is_there(store, 1000));
		CHECK_RC(0, index_compact(&store->index));
		CHECK_RC(0, what_is_pinned_is_there(store, 1000));
		CHECK_RC(0, store_close(store));
	}
	return 0;
}

struct others {
	struct store *store;
	bool over;
	int rounds;
};

static int read_all_the_time(void *arg)
{
	struct others *others = arg;
	int rc = 0;

	while (!others->over && rc == 0) {
		rc = what_is_pinned_is_there(others->store, BLOCKS);
		others->rounds++;
		if (rc == 0)
			rc = anyio_checkpoint();
	}
	return rc;
}

static int put_all_the_time(void *arg)
{
	struct others *others = arg;
	int rc = 0;

	for (int i = 10 * BLOCKS; !others->over && rc == 0; i += 20) {
		rc = test_put_range(others->store, i, i + 20, false);
		if (rc == 0)
			rc = test_get_range(others->store, i, i + 20);
		if (rc == 0)
			rc = anyio_checkpoint();
	}
	return rc;
}

/* Others read, and put so much that the index is to be written again and again. */
static int others_notice_nothing(void *arg)
{
	struct others others = { 0 };

	never_by_itself();
	test_options.checkpoint_blocks = 50;
	CHECK_RC(0, test_open(&others.store, NULL));
	CHECK_RC(0, fill(others.store, 0, BLOCKS));
	others.store->options.compact_bytes = 1;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, read_all_the_time, &others, "reader");
	anyio_start_soon(&group, put_all_the_time, &others, "putter");
	int rc = 0;
	for (int i = 0; i < 20 && rc == 0; i++) {
		rc = anyio_lock_acquire(&others.store->checkpointing);
		if (rc == 0) {
			rc = index_write(&others.store->index);
			if (rc == 0)
				rc = index_compact(&others.store->index);
			anyio_lock_release(&others.store->checkpointing);
		}
		for (int before = others.rounds; rc == 0 && others.rounds < before + 2;)
			rc = anyio_checkpoint();
	}
	others.over = true;
	CHECK_RC(0, anyio_task_group_exit(&group, rc));
	CHECK_RC(0, what_is_pinned_is_there(others.store, BLOCKS));
	CHECK_RC(0, test_verify(others.store));
	CHECK_RC(0, test_crash(others.store));
	CHECK_RC(0, opened_as_it_was(&others.store));
	CHECK_RC(0, what_is_pinned_is_there(others.store, BLOCKS));
	return store_close(others.store);
}

ON_BACKENDS(a_collection_gives_the_room_of_the_index_back)
ON_BACKENDS(whatever_stops_it_the_index_is_as_it_was)
ON_BACKENDS(a_name_that_may_not_last_is_not_built_on)
ON_BACKENDS(a_damaged_index_is_not_copied)
ON_BACKENDS(what_a_killed_one_left_is_taken_away)
ON_BACKENDS(others_notice_nothing)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_collection_gives_the_room_of_the_index_back),
		cmocka_unit_test(test_whatever_stops_it_the_index_is_as_it_was),
		cmocka_unit_test(test_a_name_that_may_not_last_is_not_built_on),
		cmocka_unit_test(test_a_damaged_index_is_not_copied),
		cmocka_unit_test(test_what_a_killed_one_left_is_taken_away),
		cmocka_unit_test(test_others_notice_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
