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

enum { BLOCKS = 6000, LEN = 30 };

static int kept; /* every so manieth block is pinned */

/* The next calls that the store itself makes fail with these, once. What it calls, in order: 's'ync of LMDB's file, 'r'ename, and
 * 'f'sync of the folder of the index. */
static int rename_fails, fsync_fails;
static char called[64];

static void note_call(char what)
{
	size_t len = strlen(called);

	if (len + 1 < sizeof(called))
		called[len] = what;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
	note_call('r');
	errno = rename_fails;
	return rename_fails ? rename_fails = 0, -1 : __real_rename(from, to);
}

int __real_mdb_env_sync(MDB_env *env, int force);
int __wrap_mdb_env_sync(MDB_env *env, int force);
int __wrap_mdb_env_sync(MDB_env *env, int force)
{
	note_call('s');
	return __real_mdb_env_sync(env, force);
}

static const char *index_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/index/%s", test_repo, name);
	return path;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	struct stat folder, file;

	if (stat(index_path("."), &folder) < 0 || fstat(fd, &file) < 0 ||
		folder.st_ino != file.st_ino)
		return __real_fsync(fd);
	note_call('f');
	errno = fsync_fails;
	return fsync_fails ? fsync_fails = 0, -1 : __real_fsync(fd);
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

/* Blocks from..to of which some are pinned; then the others go from the index, which is written. Collections do not
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
		if (i % kept == 0)
			CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	}
	CHECK_RC(0, store_checkpoint(store));
	CHECK_RC(0, store_collect(store, &all, &result));
	CHECK((int)result.dropped == (to - from) * (kept - 1) / kept);
	return store_checkpoint(store);
}

static int what_is_pinned_is_there(struct store *store, int to)
{
	for (int i = 0; i < to; i++) {
		uint8_t data[LEN];
		struct mf_cid cid;

		test_block(i, LEN, data, &cid);
		CHECK(store_has(store, &cid) == (i % kept == 0));
		CHECK(store_pin_get(store, &cid) ==
			(i % kept == 0 ? STORE_PIN_DIRECT : STORE_PIN_NONE));
		if (i % kept == 0)
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

static int compact(void *arg)
{
	return index_compact(&((struct store *)arg)->index, 1);
}

static void never_by_itself(void)
{
	kept = 10;
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
	uint64_t before = size_now(), bytes;
	CHECK(index_is_loose(&store->index, before, &bytes) && bytes < before / 4);
	CHECK(!index_is_loose(&store->index, before + 1, &bytes)); /* it is too small for that */
	store->options.compact_bytes = before;
	CHECK_RC(0, fill(store, BLOCKS, 2 * BLOCKS));
	CHECK(size_now() < before / 2 && index_file_size(&store->index) <= size_now());
	CHECK(!index_is_loose(&store->index, 0, &bytes));
	uint64_t less = size_now();
	CHECK_RC(0, compact(store));
	CHECK(size_now() <= less && size_now() < bytes * 3 / 2); /* leaves are full */
	CHECK_RC(0, fill(store, 2 * BLOCKS, 3 * BLOCKS));
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

struct impatient {
	struct anyio_cancel_scope scope;
	bool over;
};

/* As soon as there is something of it. */
static int cancel_it(void *arg)
{
	struct impatient *impatient = arg;

	while (!is_left() && !impatient->over)
		anyio_checkpoint();
	anyio_cancel_scope_cancel(&impatient->scope, "not now");
	return 0;
}

static int compact_cancelled(struct store *store)
{
	struct impatient impatient = { 0 };

	anyio_cancel_scope_init(&impatient.scope);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, cancel_it, &impatient, "impatient");
	int rc = anyio_cancel_scope_run(&impatient.scope, compact, store);
	bool was = anyio_cancel_scope_cancelled_caught(&impatient.scope);
	impatient.over = true;
	anyio_task_group_exit(&group, 0);
	return was ? ANYIO_CANCELLED : rc;
}

/* While no file may grow further than that. */
static int compact_without_room(struct store *store, rlim_t room)
{
	struct rlimit before, less;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	less = before;
	less.rlim_cur = room;
	setrlimit(RLIMIT_FSIZE, &less);
	int rc = compact(store);
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
		if (i == 0)
			CHECK_RC(0, compact(store));
		else if (i < 4)
			CHECK_RC(0,
				compact_without_room(store, (rlim_t[]){ 0, 4096, 8192, 20000 }[i]));
		else /* more than there is on any disk */
			CHECK_RC(0, index_compact(&store->index, UINT64_MAX / 4));
		CHECK(rename_fails == 0 && size_now() == before && !is_left());
		CHECK(index_file_size(&store->index) > before / 2); /* and that is the open one */
		CHECK_RC(0, what_is_pinned_is_there(store, BLOCKS));
	}
	memset(called, 0, sizeof(called));
	CHECK_RC(0, compact(store));
	CHECK(strcmp(called, "srf") == 0);
	unsigned flags;
	CHECK(mdb_env_get_flags(store->index.env, &flags) == 0 && !(flags & MDB_NOSYNC));
	CHECK(size_now() < before / 2 && !is_left());
	CHECK_RC(0, what_is_pinned_is_there(store, BLOCKS));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, opened_as_it_was(&store));
	return store_close(store);
}

static int readers(MDB_env *env)
{
	MDB_envinfo info;

	mdb_env_info(env, &info);
	return (int)info.me_numreaders;
}

/* Neither is anything left of it in LMDB, where a reader that stays keeps all pages. */
static int without_memory_it_leaves_nothing(void *arg)
{
	struct store *store;

	never_by_itself();
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, fill(store, 0, 1000));
	int had = readers(store->index.env);
	anyio_fault_set(ANYIO_FAULT_MEMORY, UINT64_MAX, 0);
	CHECK_RC(0, compact(store));
	uint64_t all = anyio_fault_count(ANYIO_FAULT_MEMORY);
	for (uint64_t at = 1; at <= all; at++) {
		anyio_fault_set_sticky(ANYIO_FAULT_MEMORY, at, -ENOMEM);
		int rc = compact(store);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		CHECK(rc == 0 && !is_left() && readers(store->index.env) <= had + 1);
	}
	CHECK(all > 3);
	CHECK_RC(0, what_is_pinned_is_there(store, 1000));
	return store_close(store);
}

static int in_the_middle_it_can_be_cancelled(void *arg)
{
	static const struct store_collect_options all = { .every = true, .dead_percent = 1 };
	struct store_collect_result result;
	struct store *store;
	uint64_t bytes;
	store_ticket ticket = 0;

	never_by_itself();
	CHECK_RC(0, test_open(&store, NULL));
	for (int i = 0; i < 40000; i++)
		CHECK_RC(0, test_put(store, i, LEN, &ticket));
	CHECK_RC(0, store_checkpoint(store));
	uint64_t before = size_now();
	int had = readers(store->index.env);
	CHECK_RC(ANYIO_CANCELLED, compact_cancelled(store));
	CHECK(size_now() == before && !is_left() && readers(store->index.env) <= had + 1);
	CHECK(!index_is_loose(&store->index, 1, &bytes)); /* it has only grown */
	CHECK_RC(0, compact(store));
	CHECK(size_now() < bytes * 9 / 8); /* leaves are full */
	for (int i = 0; i < 40000; i += 97)
		CHECK_RC(0, test_get(store, i, LEN));
	/* With no leaf left that could be empty. */
	store->options.compact_bytes = 1;
	CHECK_RC(0, store_collect(store, &all, &result));
	CHECK(result.dropped == 40000 && size_now() < before / 20);
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
	CHECK_RC(-EIO, compact(store));
	CHECK_RC(-EIO, compact(store)); /* no later one makes that good */
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

/* Killed between the two, or when it did not come to be known: the next opening sees to the name before it uses it. */
static int an_opening_makes_sure_of_the_name(void *arg)
{
	struct store *store;

	never_by_itself();
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, fill(store, 0, 1000));
	for (int i = 0; i < 4; i++) {
		fsync_fails = i < 2 ? EIO : 0;
		CHECK_RC(i < 2 ? -EIO : 0, compact(store));
		if (i % 2)
			store_close(store); /* which could not write the index */
		else
			CHECK_RC(0, test_crash(store));
		fsync_fails = EIO;
		/* What was closed in order had its name made sure of. */
		CHECK_RC(i < 3 ? -EIO : 0, test_open(&store, NULL));
		CHECK((fsync_fails == 0) == (i < 3));
		fsync_fails = 0;
		if (i < 3)
			CHECK_RC(0, opened_as_it_was(&store));
		CHECK_RC(0, what_is_pinned_is_there(store, 1000));
	}
	CHECK_RC(0, store_close(store));
	/* So is that of one that was made anew. */
	for (int i = 0; i < 2; i++) {
		CHECK((i ? truncate(index_path("data.mdb"), 5000)
			 : unlink(index_path("data.mdb"))) == 0);
		fsync_fails = EIO;
		CHECK_RC(-EIO, test_open(&store, NULL));
		CHECK_RC(0, test_open(&store, NULL));
		CHECK_RC(0, what_is_pinned_is_there(store, 1000));
		CHECK_RC(0, store_close(store));
	}
	return 0;
}

/* Then it waits for a collection that finds some. */
static int a_limit_without_room_for_it_is_kept(void *arg)
{
	static const struct store_collect_options all = { .every = true, .dead_percent = 1 };
	struct store *store;
	struct store_collect_result result;
	uint64_t bytes;

	never_by_itself();
	kept = 3;
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, fill(store, 0, 10 * BLOCKS));
	store->options.compact_bytes = 1;
	CHECK(index_is_loose(&store->index, 1, &bytes) && bytes > 2 << 20);
	uint64_t before = size_now();
	store_set_limit(store, store_used(store) + (1 << 20) + bytes / 2);
	CHECK_RC(0, store_collect(store, &all, &result));
	CHECK(size_now() >= before);
	store_set_limit(store, store_used(store) + (1 << 20) + bytes + bytes / 2);
	CHECK_RC(0, store_collect(store, &all, &result));
	CHECK(size_now() < before / 2);
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
	CHECK_RC(-EUCLEAN, compact(store));
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
		CHECK_RC(0, compact(store));
		CHECK_RC(0, what_is_pinned_is_there(store, 1000));
		CHECK_RC(0, store_close(store));
	}
	return 0;
}

enum { FEW = 1500 };

struct others {
	struct store *store;
	bool over;
	int rounds, puts;
};

static int read_all_the_time(void *arg)
{
	struct others *others = arg;
	int rc = 0;

	while (!others->over && rc == 0) {
		rc = what_is_pinned_is_there(others->store, FEW);
		others->rounds++;
		if (rc == 0)
			rc = anyio_checkpoint();
	}
	return rc;
}

static int put_all_the_time(void *arg)
{
	struct others *others = arg;
	store_ticket ticket = 0;
	int rc = 0;

	for (int i = 10 * FEW; !others->over && rc == 0; i++) {
		rc = test_put(others->store, i, LEN, &ticket);
		others->puts++;
		if (rc == 0 && i % 20 == 0)
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
	CHECK_RC(0, fill(others.store, 0, FEW));
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, read_all_the_time, &others, "reader");
	anyio_start_soon(&group, put_all_the_time, &others, "putter");
	int rc = 0;
	for (int i = 0; i < 20 && rc == 0; i++) {
		rc = anyio_lock_acquire(&others.store->checkpointing);
		if (rc == 0) {
			rc = index_write(&others.store->index);
			if (rc == 0)
				rc = compact(others.store);
			anyio_lock_release(&others.store->checkpointing);
		}
		int rounds = others.rounds + 2, puts = others.puts + 100;
		while (rc == 0 && (others.rounds < rounds || others.puts < puts))
			rc = anyio_checkpoint();
	}
	others.over = true;
	CHECK_RC(0, anyio_task_group_exit(&group, rc));
	CHECK_RC(0, what_is_pinned_is_there(others.store, FEW));
	CHECK_RC(0, test_verify(others.store));
	CHECK_RC(0, test_crash(others.store));
	CHECK_RC(0, opened_as_it_was(&others.store));
	CHECK_RC(0, what_is_pinned_is_there(others.store, FEW));
	return store_close(others.store);
}

ON_BACKENDS(a_collection_gives_the_room_of_the_index_back)
ON_BACKENDS(whatever_stops_it_the_index_is_as_it_was)
ON_BACKENDS(a_name_that_may_not_last_is_not_built_on)
ON_BACKENDS(a_damaged_index_is_not_copied)
ON_BACKENDS(what_a_killed_one_left_is_taken_away)
ON_BACKENDS(without_memory_it_leaves_nothing)
ON_BACKENDS(in_the_middle_it_can_be_cancelled)
ON_BACKENDS(an_opening_makes_sure_of_the_name)
ON_BACKENDS(a_limit_without_room_for_it_is_kept)
ON_BACKENDS(others_notice_nothing)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_collection_gives_the_room_of_the_index_back),
		cmocka_unit_test(test_whatever_stops_it_the_index_is_as_it_was),
		cmocka_unit_test(test_a_name_that_may_not_last_is_not_built_on),
		cmocka_unit_test(test_a_damaged_index_is_not_copied),
		cmocka_unit_test(test_what_a_killed_one_left_is_taken_away),
		cmocka_unit_test(test_without_memory_it_leaves_nothing),
		cmocka_unit_test(test_in_the_middle_it_can_be_cancelled),
		cmocka_unit_test(test_an_opening_makes_sure_of_the_name),
		cmocka_unit_test(test_a_limit_without_room_for_it_is_kept),
		cmocka_unit_test(test_others_notice_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
