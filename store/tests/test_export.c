/* Segments go out as the CAR files they are: whole and verified, or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <ipld/block.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "archives.h"
#include "../copy.h"

struct exported {
	struct archive archive;
	struct store *collect; /* when the first bytes come, all that is dead goes */
	struct store_collect_result collected;
	size_t faults;
	uint64_t from, to;
	struct mf_cid cid;
};

static int take(void *arg, const void *data, size_t len)
{
	struct exported *exported = arg;

	if (exported->collect) {
		struct store_collect_options all = { .every = true };

		CHECK_RC(0, store_collect(exported->collect, &all, &exported->collected));
		exported->collect = NULL;
	}
	archive_bytes(&exported->archive, data, len);
	return 0;
}

static void see_fault(void *arg, uint64_t from, uint64_t to, const struct mf_cid *cid)
{
	struct exported *exported = arg;

	exported->faults++;
	exported->from = from;
	exported->to = to;
	if (cid)
		exported->cid = *cid;
}

static int export(struct store *store, uint32_t segment, bool unverified, struct exported *exported)
{
	struct store_wal_export_options options = { .fd = -1,
		.unverified = unverified,
		.write = take,
		.fault = see_fault,
		.arg = exported };
	struct store_wal_exported result;
	int rc = store_wal_export(store, segment, &options, &result);

	CHECK(result.faults == exported->faults);
	CHECK(rc < 0 || result.bytes == exported->archive.len);
	return rc;
}

/* How many blocks a reader of CAR files finds in it, all of them whole; negative when it is none. */
static int read_archive(struct exported *exported)
{
	const uint8_t *data = exported->archive.bytes;
	size_t len = exported->archive.len;
	struct car_reader *reader;
	struct car_event event;
	int more, blocks = 0;

	CHECK_RC(0, car_reader_new(&reader, false));
	while ((more = car_reader_next(reader, &data, &len, &event)) == 1) {
		if (event.kind != CAR_BLOCK)
			continue;
		struct ipld_block block = {
			.cid = &event.cid, .data = event.data, .len = event.len
		};
		ipld_blocks_pass(&block, 1);
		if (block.result < 0) {
			more = block.result;
			break;
		}
		blocks++;
	}
	if (more == 0)
		more = car_reader_finish(reader);
	car_reader_free(reader);
	free(exported->archive.bytes);
	exported->archive = (struct archive){ 0 };
	return more < 0 ? more : blocks;
}

struct writing {
	struct store *store;
	bool done;
};

static int write_on(void *arg)
{
	struct writing *writing = arg;

	for (int from = 100; from < 400; from += 20)
		CHECK_RC(0, test_put_range(writing->store, from, from + 20, from % 40 == 0));
	writing->done = true;
	return 0;
}

static int export_all(struct store *store, int *blocks)
{
	struct store_wal_status status;
	struct exported exported = { 0 };

	*blocks = 0;
	store_wal_status(store, &status);
	for (uint32_t number = 1; number <= status.durable.segment; number++) {
		CHECK_RC(0, export(store, number, false, &exported));
		int n = read_archive(&exported);
		CHECK(n > 0);
		*blocks += n;
	}
	return 0;
}

/* Each is an archive at any time; together they have what was durable when they began. */
static int they_are_whole_while_others_write(void *arg)
{
	struct writing writing = { 0 };
	int blocks, before = 100;

	CHECK_RC(0, test_open(&writing.store, NULL));
	CHECK_RC(0, test_put_range(writing.store, 0, before, true));
	ANYIO_TASK_GROUP(group);
	int rc = anyio_start_soon(&group, write_on, &writing, "write_on");
	while (rc == 0 && !writing.done) {
		rc = export_all(writing.store, &blocks);
		CHECK(blocks > before);
	}
	CHECK_RC(0, anyio_task_group_exit(&group, rc));
	CHECK_RC(0, export_all(writing.store, &blocks));
	CHECK(blocks > before + 240);
	return store_close(writing.store);
}

/* What is not durable is not promised to anybody. */
static int it_ends_where_it_is_durable(void *arg)
{
	struct store *store;
	struct store_wal_status status;
	struct exported exported = { 0 };
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 3, true));
	CHECK_RC(0, test_put(store, 50, 900, &ticket));
	store_wal_status(store, &status);
	CHECK_RC(0, export(store, 1, true, &exported));
	CHECK(exported.archive.len == status.durable.offset);
	CHECK(read_archive(&exported) >= 3);
	CHECK_RC(-ENOENT, export(store, 2, false, &exported));
	return store_close(store);
}

static int a_collection_does_not_wait_for_it(void *arg)
{
	struct store *store;
	struct exported exported = { 0 };

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 300, true));
	exported.collect = store;
	CHECK_RC(0, export(store, 1, false, &exported));
	CHECK(exported.collected.segments > 1);
	CHECK(read_archive(&exported) > 10);
	CHECK_RC(-ENOENT, export(store, 1, false, &exported));
	return store_close(store);
}

static int damage_is_not_exported(void *arg)
{
	struct store *store;
	struct exported exported = { 0 };

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 20, true));
	CHECK_RC(0, store_close(store));
	long size = test_file_size(test_segment(1));
	test_flip(test_segment(1), size / 2);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(-EBADMSG, export(store, 1, false, &exported));
	CHECK(exported.faults == 1 && exported.archive.len == 0);
	CHECK(exported.from <= (uint64_t)size / 2 && exported.to > (uint64_t)size / 2);
	exported.faults = 0;
	CHECK_RC(0, export(store, 1, true, &exported));
	CHECK(exported.archive.len > (size_t)size / 2 && read_archive(&exported) < 0);
	return store_close(store);
}

/* The owner of a linked file writes to it, and sets its time back. */
static int change_meanwhile(void *arg, const void *data, size_t len)
{
	struct exported *exported = arg;
	const char *path = archive_path("given.car");
	struct stat st;

	if (exported->archive.len == 0) {
		CHECK(stat(path, &st) == 0);
		test_flip(path, 2000);
		struct timespec times[2] = { st.st_atim, st.st_mtim };
		CHECK(utimensat(AT_FDCWD, path, times, 0) == 0);
	}
	archive_bytes(&exported->archive, data, len);
	return 0;
}

static int what_changes_meanwhile_is_told(void *arg)
{
	struct archive archive = archive_make(0, ARCHIVE_BLOCKS);
	struct exported exported = { 0 };
	struct store_wal_export_options options = {
		.fd = -1, .write = change_meanwhile, .arg = &exported
	};
	struct store_wal_exported result;
	struct store_adopt_result adopted;
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, archive_adopt(store, &archive, true, &adopted));
	CHECK_RC(-ESTALE, store_wal_export(store, adopted.segment, &options, &result));
	free(exported.archive.bytes);
	return store_close(store);
}
ON_BACKENDS(what_changes_meanwhile_is_told)

ON_BACKENDS(they_are_whole_while_others_write)
ON_BACKENDS(it_ends_where_it_is_durable)
ON_BACKENDS(a_collection_does_not_wait_for_it)
ON_BACKENDS(damage_is_not_exported)

static void test_in_simulations(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		simulated_start();
		assert_int_equal(
			run_simulated(they_are_whole_while_others_write, NULL, seed, NULL), 0);
		simulated_end();
		simulated_start();
		assert_int_equal(
			run_simulated(a_collection_does_not_wait_for_it, NULL, seed, NULL), 0);
		simulated_end();
	}
}

struct life {
	int error;
};

static int live(void *arg)
{
	struct life *life = arg;
	struct store *store;
	struct exported exported = { 0 };
	int rc = test_open(&store, NULL);

	if (rc == 0) {
		rc = test_put_range(store, 0, 40, true);
		if (rc == 0)
			rc = export(store, 1, false, &exported);
		/* Nothing is said to be there that is not. */
		CHECK(rc != 0 || read_archive(&exported) > 0);
		free(exported.archive.bytes);
		store_close(store);
	}
	life->error = rc;
	return 0;
}

static int look_after(void *arg)
{
	struct store *store;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK(test_verify(store) == 0);
	return store_close(store);
}

static void test_every_operation_and_allocation_may_fail(void **state)
{
	struct life life;
	struct faulty faulty = { .options = { .create = true,
					 .segment_bytes = 60000,
					 .group_bytes = 30000,
					 .checkpoint_blocks = 10 },
		.live = live,
		.look_after = look_after,
		.life = &life,
		.size = sizeof(life),
		.error = &life.error };

	fail_each(&faulty, ANYIO_FAULT_OPERATION, -EIO, false, 1);
	fail_each(&faulty, ANYIO_FAULT_MEMORY, -ENOMEM, false, 1);
}

/* Who reads from a pipe later than it was filled gets what it was filled with, and not what a cut has left. */
static int what_is_in_a_pipe_is_not_cut(void *arg)
{
	static uint8_t bytes[40000], read_back[sizeof(bytes)];
	int file = memfd_create("segment", MFD_CLOEXEC), ends[2];
	struct copy copy = { .from = file, .to_at = -1, .len = sizeof(bytes) };

	memset(bytes, 'x', sizeof(bytes));
	CHECK(file >= 0 && pipe2(ends, O_CLOEXEC) == 0);
	CHECK(write(file, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes));
	copy.to = ends[1];
	CHECK_RC(0, copy_bytes(&copy));
	CHECK(ftruncate(file, 10000) == 0);
	CHECK(read(ends[0], read_back, sizeof(read_back)) == (ssize_t)sizeof(read_back));
	CHECK(memcmp(read_back, bytes, sizeof(bytes)) == 0);
	close(file);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

ON_BACKENDS(what_is_in_a_pipe_is_not_cut)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_changes_meanwhile_is_told),
		cmocka_unit_test(test_they_are_whole_while_others_write),
		cmocka_unit_test(test_it_ends_where_it_is_durable),
		cmocka_unit_test(test_a_collection_does_not_wait_for_it),
		cmocka_unit_test(test_damage_is_not_exported),
		cmocka_unit_test(test_what_is_in_a_pipe_is_not_cut),
		cmocka_unit_test(test_in_simulations),
		cmocka_unit_test(test_every_operation_and_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
