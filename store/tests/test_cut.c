/* Who reads the log while segments are cut, who stops that; losses and damage; and files that are not to be cut. */
#include "little.h"
#include "archives.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The kernel has cut it, and the answer takes its time. */
int __real_anyio_ftruncate(int fd, off_t size);
int __wrap_anyio_ftruncate(int fd, off_t size);
static anyio_time delay;

int __wrap_anyio_ftruncate(int fd, off_t size)
{
	int rc = __real_anyio_ftruncate(fd, size);

	if (rc == 0 && delay)
		rc = anyio_sleep(delay);
	return rc;
}

/* Who has asked how long a file is reads it later. */
int __real_anyio_pread_all(int fd, void *buffer, size_t size, off_t offset);
int __wrap_anyio_pread_all(int fd, void *buffer, size_t size, off_t offset);

int __wrap_anyio_pread_all(int fd, void *buffer, size_t size, off_t offset)
{
	int rc = delay ? anyio_sleep(delay / 4) : 0;

	return rc < 0 ? rc : __real_anyio_pread_all(fd, buffer, size, offset);
}

enum { STOPPED = 77 };

static int stop_at(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	int *left = arg;

	return sweeping && total && (*left)-- == 0 ? STOPPED : 0;
}

static int a_stop_while_it_is_cut_loses_nothing(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct little_disk disk;
	int rc = STOPPED, stops = 0;

	CHECK_RC(0, little_fill(&store));
	for (int at = 0; rc == STOPPED; at++) {
		int left = at;
		struct store_collect_options options = {
			.every = true, .progress = stop_at, .arg = &left
		};

		little_disk_fill(&disk, store, MARGIN);
		rc = store_collect(store, &options, &result);
		test_room = NULL;
		CHECK(rc == STOPPED || rc == 0);
		stops += rc == STOPPED;
		CHECK_RC(0, little_check_kept(store));
		CHECK_RC(0, test_verify(store));
	}
	CHECK(stops > 3);
	CHECK_RC(0, little_check_gone(store));
	return store_close(store);
}

/* Of a segment that was cut, too, it is told when what is left of it goes. */
static int loss_is_noticed(bool whole)
{
	struct store *store;
	struct store_recovery recovery;
	char command[128];

	CHECK_RC(0, little_fill(&store));
	CHECK_RC(0, little_roll(store));
	CHECK_RC(0, little_cut(store, 2));
	CHECK_RC(0, store_close(store));
	if (whole)
		CHECK_RC(0, unlink(test_segment(1)));
	else
		CHECK_RC(0, truncate(test_segment(1), 100000));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 1);
	CHECK_RC(0, store_close(store));
	snprintf(command, sizeof(command), "rm -rf %s/index", test_repo);
	CHECK(system(command) == 0);
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 1);
	return store_close(store);
}

static int what_is_lost_of_what_was_cut_is_noticed(void *arg)
{
	return loss_is_noticed(true);
}

static int its_end_too(void *arg)
{
	return loss_is_noticed(false);
}

static int accept_loss(struct store *store)
{
	struct store_verify_options options = { .accept_loss = true };
	struct store_verify_result result;

	return store_verify(store, &options, &result);
}

/* The word of it may lie behind the cut, and what it is about before it. */
static int what_was_given_up_stays_so(void *arg)
{
	struct store *store;
	struct mf_cid root, cid;
	struct index_place place;
	uint8_t data[LEN];
	store_ticket ticket = 0;

	CHECK_RC(0, little_fill(&store));
	test_block(5, LEN, data, &cid);
	CHECK_RC(1, store_find(store, &cid, &place));
	test_flip(test_segment(1), (long)place.offset + 50);
	CHECK_RC(1, test_verify_segments(store));
	CHECK_RC(0, accept_loss(store));
	CHECK_RC(0, test_put_tree(store, TREES * 100, LEAVES, LEN, &root, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK(store->segments.count == 1);
	for (int cuts = 0; cuts < 3; cuts++) {
		CHECK_RC(0, little_cut(store, 1));
		CHECK_RC(0, little_look_again(&store, false));
	}
	return store_close(store);
}

/* A loss at a segment's end that was accepted is not told again because a collection was at it. */
static int an_accepted_loss(int cuts, int past)
{
	struct store *store;
	struct store_recovery recovery;
	struct store_collect_result result;
	struct little_disk disk;
	struct mf_cid cid, root;
	struct index_place place;
	uint8_t data[LEN], head[SEGMENT_HEAD_MAX];
	store_ticket ticket = 0;
	int left = 1;
	struct store_collect_options options = { .every = true, .progress = stop_at, .arg = &left };

	CHECK_RC(0, little_fill(&store));
	CHECK_RC(0, little_roll(store));
	test_block((TREES - 1) * 100, LEN, data, &cid);
	CHECK_RC(1, store_find(store, &cid, &place));
	CHECK_RC(0, test_put_tree(store, (TREES - 1) * 100, LEAVES, LEN, &root, &ticket));
	CHECK_RC(0, store_pin_remove(store, &root, &ticket));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0,
		truncate(test_segment(1),
			(off_t)(place.offset - segment_section_encode(&cid, LEN, head)) + past));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 1);
	CHECK_RC(0, accept_loss(store));
	if (past) {
		little_disk_fill(&disk, store, MARGIN);
		CHECK_RC(0, little_collect(store, &result));
		test_room = NULL;
		CHECK(result.kept_damaged == 1 && disk.cuts == 0);
	} else if (cuts) {
		CHECK_RC(0, little_cut(store, cuts));
	} else {
		CHECK_RC(STOPPED, store_collect(store, &options, &result));
	}
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 0 && !recovery.read_only);
	return store_close(store);
}

static int an_accepted_loss_is_not_told_again(void *arg)
{
	return an_accepted_loss(0, 0);
}

static int nor_when_more_was_cut(void *arg)
{
	return an_accepted_loss(1, 0);
}

static int nor_where_it_ends_in_the_middle(void *arg)
{
	return an_accepted_loss(0, 100);
}

/* Two segments: of the first what `damage` does at that byte, and no cut of it; the other goes all the same. */
static int spares_the_first(void (*damage)(const char *path, long offset), int tree, long at)
{
	struct store *store;
	struct store_collect_result result;
	struct little_disk disk;
	struct index_place place;
	struct mf_cid cid, root;
	uint8_t data[LEN];
	store_ticket ticket = 0;

	CHECK_RC(0, little_fill(&store));
	CHECK_RC(0, test_put_tree(store, TREES * 100, LEAVES, LEN, &root, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, log_roll_anyway(store));
	for (int i = 100; i < 120; i++) {
		CHECK_RC(0, test_put_tree(store, i * 100, LEAVES, LEN, &root, &ticket));
		if (i % 4 == 0)
			CHECK_RC(0, store_pin_add(store, &root, STORE_PIN_RECURSIVE, &ticket));
		CHECK_RC(0, store_sync(store, ticket));
	}
	test_block(tree * 100 + 5, LEN, data, &cid);
	CHECK_RC(1, store_find(store, &cid, &place));
	damage(test_segment(1), (long)place.offset + at);
	little_disk_fill(&disk, store, MARGIN);
	CHECK_RC(0, little_collect(store, &result));
	test_room = NULL;
	CHECK(disk.cuts == 0 && !disk.over);
	CHECK(result.kept_damaged == 1 && result.segments == 1);
	return store_close(store);
}

static void cut_short(const char *path, long offset)
{
	if (truncate(path, offset) < 0)
		abort();
}

static int one_that_cannot_be_read_stops_no_other(void *arg)
{
	return spares_the_first(cut_short, TREES, 100);
}

/* Far from the end that would be cut first. */
static int a_damaged_head_is_seen_first(void *arg)
{
	return spares_the_first(test_flip, 1, -20);
}

static int a_damaged_length_is_seen_first(void *arg)
{
	return spares_the_first(test_flip, 1, -37);
}

static uint64_t room;

static uint64_t fixed_room(void *arg)
{
	return room;
}

static int collect_with_room(
	struct store *store, uint64_t bytes, struct store_collect_result *result)
{
	room = bytes;
	test_room = fixed_room;
	int rc = little_collect(store, result);
	test_room = NULL;
	return rc;
}

/* It may be somebody else's; so it goes whole, if it can. */
static int an_adopted_file_is_not_cut(void *arg)
{
	struct store *store;
	struct store_adopt_result adopted;
	struct store_collect_result result;
	struct archive archive = archive_make(0, 30);
	struct mf_cid cid;
	uint8_t data[ARCHIVE_BLOCK];
	store_ticket ticket = 0;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, archive_adopt(store, &archive, false, &adopted));
	test_block(3, ARCHIVE_BLOCK, data, &cid);
	CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	uint64_t size = store->segments.adopted[0]->size;
	CHECK_RC(-ENOSPC, collect_with_room(store, (2 << 20) + ARCHIVE_BLOCK, &result));
	CHECK(result.segments == 0 && store->segments.adopted[0]->size == size);
	CHECK_RC(0, test_get(store, 3, ARCHIVE_BLOCK));
	CHECK_RC(0, collect_with_room(store, (2 << 20) + 2 * ARCHIVE_BLOCK, &result));
	CHECK(result.segments == 1 && store->segments.adopted_count == 0);
	CHECK_RC(0, test_get(store, 3, ARCHIVE_BLOCK));
	return store_close(store);
}

static int where_nobody_tells_there_is_room(void *arg)
{
	struct store *store;
	struct store_collect_result result;

	CHECK_RC(0, little_fill(&store));
	CHECK_RC(0, collect_with_room(store, TEST_ROOM_UNTOLD, &result));
	CHECK(result.segments == 1);
	return store_close(store);
}

/* Nothing is written to where there is no room, and what has nothing alive goes all the same. */
static int what_is_dead_takes_no_room(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct mf_cid root;
	store_ticket ticket = 0;

	test_options.segment_bytes = 2 << 20;
	test_options.checkpoint_blocks = 10000;
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_tree(store, 0, LEAVES, LEN, &root, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, collect_with_room(store, 1000, &result));
	CHECK(result.segments == 1 && !store->index.sparing);
	CHECK(store->options.checkpoint_blocks == 10000);
	test_options.checkpoint_blocks = 50;
	return store_close(store);
}

/* Its bytes are not ours alone. */
static int a_backup_by_hard_links_is_not_cut(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct little_disk disk;
	char backup[128];

	CHECK_RC(0, little_fill(&store));
	CHECK_RC(0, little_roll(store));
	snprintf(backup, sizeof(backup), "%s/backup.car", test_repo);
	CHECK_RC(0, link(test_segment(1), backup));
	long before = test_file_size(backup);
	little_disk_fill(&disk, store, MARGIN);
	CHECK_RC(-ENOSPC, little_collect(store, &result));
	test_room = NULL;
	CHECK(test_file_size(backup) == before);
	CHECK_RC(0, unlink(backup));
	return store_close(store);
}

/* Under a limit: who puts and finds no room does not collect each time, in vain. */
static int puts_do_not_collect_again_and_again(void *arg)
{
	struct store *store;
	struct store_collect_stat stat;
	store_ticket ticket = 0;

	test_options.segment_bytes = 1 << 20;
	CHECK_RC(0, test_open(&store, NULL));
	store_set_limit(store, 4 << 20);
	room = 1 << 20;
	test_room = fixed_room;
	CHECK_RC(-ENOSPC, little_fill_up(store, 10));
	store_collect_stat(store, &stat);
	uint64_t before = stat.runs;
	for (int i = 0; i < 10; i++)
		CHECK(test_put(store, 5000000 + i, LEN, &ticket) < 0);
	store_collect_stat(store, &stat);
	test_room = NULL;
	CHECK(stat.runs - before <= 1);
	return store_close(store);
}

struct beside {
	struct store *store;
	bool over;
	int rounds, damaged, put;
};

static int write_nothing(void *arg, const void *data, size_t len)
{
	return 0;
}

static int note_nothing(void *arg, const struct store_wal_entry *entry)
{
	return 0;
}

static int note_damage(void *arg, uint32_t segment, uint64_t from, uint64_t to)
{
	((struct beside *)arg)->damaged++;
	return 0;
}

static int export_all_the_time(void *arg)
{
	struct beside *beside = arg;
	struct store_wal_export_options options = { .fd = -1, .write = write_nothing };
	struct store_wal_exported exported;

	for (; !beside->over; beside->rounds++) {
		int rc = store_wal_export(beside->store, 1, &options, &exported);

		CHECK(rc == 0 || rc == -ENOENT || rc == -ESTALE);
		CHECK(exported.faults == 0);
		CHECK_RC(0, anyio_checkpoint());
	}
	return 0;
}

static int list_all_the_time(void *arg)
{
	struct beside *beside = arg;

	for (; !beside->over; beside->rounds++) {
		CHECK_RC(0, store_wal_each(beside->store, 0, 0, note_nothing, NULL));
		CHECK_RC(0, anyio_checkpoint());
	}
	return 0;
}

static int rehearse_all_the_time(void *arg)
{
	struct beside *beside = arg;
	struct store_wal_replay replay;

	for (; !beside->over; beside->rounds++) {
		CHECK_RC(0,
			store_wal_replay(beside->store,
				&(struct store_wal_replay_options){
					.all = true, .fault = note_damage, .arg = beside },
				&replay));
		CHECK_RC(0, anyio_checkpoint());
	}
	return 0;
}

static int who_reads_the_log_meanwhile_finds_no_damage(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct little_disk disk;
	struct beside beside = { 0 };

	CHECK_RC(0, little_fill(&store));
	beside.store = store;
	little_disk_fill(&disk, store, MARGIN);
	delay = 5 * ANYIO_MILLISECOND;
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 3; i++) {
		anyio_start_soon(&group, export_all_the_time, &beside, "export");
		anyio_start_soon(&group, list_all_the_time, &beside, "list");
		anyio_start_soon(&group, rehearse_all_the_time, &beside, "rehearse");
	}
	CHECK_RC(0, little_collect(store, &result));
	beside.over = true;
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	delay = 0;
	test_room = NULL;
	CHECK(disk.cuts >= 4 && beside.rounds > 3 && beside.damaged == 0);
	return store_close(store);
}

static int get_many(void *arg)
{
	enum { MANY = TREES / 2 * LEAVES };
	struct beside *beside = arg;
	struct mf_cid *cids = calloc(MANY, sizeof(*cids));
	struct store_block *blocks = calloc(MANY, sizeof(*blocks));
	int results[MANY];
	uint8_t data[LEN];

	for (int i = 0; i < MANY; i++)
		test_block((i / LEAVES * 2 + 1) * 100 + i % LEAVES, LEN, data, &cids[i]);
	for (; !beside->over; beside->rounds++) {
		CHECK_RC(0, store_get_many(beside->store, cids, MANY, blocks, results));
		for (int i = 0; i < MANY; i++) {
			CHECK_RC(0, results[i]);
			store_block_release(&blocks[i]);
		}
		CHECK_RC(0, anyio_checkpoint());
	}
	free(cids);
	free(blocks);
	return 0;
}

/* What is dead and not gone yet is found present, or written anew. */
static int put_again(void *arg)
{
	struct beside *beside = arg;
	struct store_lease lease;
	struct mf_cid root;
	store_ticket ticket = 0;

	for (int n = 0; !beside->over && n < TREES; n += 2) {
		store_lease_begin(beside->store, &lease);
		CHECK_RC(0, test_put_tree(beside->store, n * 100, LEAVES, LEN, &root, &ticket));
		CHECK_RC(0, anyio_sleep(ANYIO_MILLISECOND));
		CHECK_RC(0, store_pin_add(beside->store, &root, STORE_PIN_RECURSIVE, &ticket));
		CHECK_RC(0, store_sync(beside->store, ticket));
		store_lease_end(&lease);
		beside->put = n + 1;
	}
	return 0;
}

static void on_damage(void *arg, const struct mf_cid *cid)
{
	((struct beside *)arg)->damaged++;
}

static int others_beside(bool every)
{
	struct store *store;
	struct store_collect_options options = { .every = every, .dead_percent = 1 };
	struct store_collect_result result;
	struct beside beside = { 0 };

	CHECK_RC(0, little_fill(&store));
	beside.store = store;
	store_on_damage(store, on_damage, &beside);
	room = (2 << 20) + 200000;
	test_room = fixed_room;
	delay = 3 * ANYIO_MILLISECOND;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, get_many, &beside, "many");
	anyio_start_soon(&group, get_many, &beside, "many");
	anyio_start_soon(&group, put_again, &beside, "put");
	CHECK_RC(0, anyio_sleep(2 * ANYIO_MILLISECOND));
	CHECK_RC(0, store_collect(store, &options, &result));
	beside.over = true;
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	delay = 0;
	test_room = NULL;
	CHECK(beside.rounds > 0 && beside.put > 0);
	CHECK(beside.damaged == 0 && result.kept_damaged == 0);
	for (int n = 0; n < beside.put; n += 2)
		for (int leaf = 0; leaf < LEAVES; leaf++)
			CHECK_RC(0, test_get(store, n * 100 + leaf, LEN));
	CHECK_RC(0, little_look_again(&store, false));
	return store_close(store);
}

static int others_get_and_put_beside_it(void *arg)
{
	return others_beside(true);
}

static int also_where_only_room_is_needed(void *arg)
{
	return others_beside(false);
}

ON_BACKENDS(a_stop_while_it_is_cut_loses_nothing)
ON_BACKENDS(what_is_lost_of_what_was_cut_is_noticed)
ON_BACKENDS(its_end_too)
ON_BACKENDS(what_was_given_up_stays_so)
ON_BACKENDS(an_accepted_loss_is_not_told_again)
ON_BACKENDS(nor_when_more_was_cut)
ON_BACKENDS(nor_where_it_ends_in_the_middle)
ON_BACKENDS(one_that_cannot_be_read_stops_no_other)
ON_BACKENDS(a_damaged_head_is_seen_first)
ON_BACKENDS(a_damaged_length_is_seen_first)
ON_BACKENDS(an_adopted_file_is_not_cut)
ON_BACKENDS(where_nobody_tells_there_is_room)
ON_BACKENDS(what_is_dead_takes_no_room)
ON_BACKENDS(a_backup_by_hard_links_is_not_cut)
ON_BACKENDS(puts_do_not_collect_again_and_again)
ON_BACKENDS(who_reads_the_log_meanwhile_finds_no_damage)
ON_BACKENDS(others_get_and_put_beside_it)
ON_BACKENDS(also_where_only_room_is_needed)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stop_while_it_is_cut_loses_nothing),
		cmocka_unit_test(test_what_is_lost_of_what_was_cut_is_noticed),
		cmocka_unit_test(test_its_end_too),
		cmocka_unit_test(test_what_was_given_up_stays_so),
		cmocka_unit_test(test_an_accepted_loss_is_not_told_again),
		cmocka_unit_test(test_nor_when_more_was_cut),
		cmocka_unit_test(test_nor_where_it_ends_in_the_middle),
		cmocka_unit_test(test_one_that_cannot_be_read_stops_no_other),
		cmocka_unit_test(test_a_damaged_head_is_seen_first),
		cmocka_unit_test(test_a_damaged_length_is_seen_first),
		cmocka_unit_test(test_an_adopted_file_is_not_cut),
		cmocka_unit_test(test_where_nobody_tells_there_is_room),
		cmocka_unit_test(test_what_is_dead_takes_no_room),
		cmocka_unit_test(test_a_backup_by_hard_links_is_not_cut),
		cmocka_unit_test(test_puts_do_not_collect_again_and_again),
		cmocka_unit_test(test_who_reads_the_log_meanwhile_finds_no_damage),
		cmocka_unit_test(test_others_get_and_put_beside_it),
		cmocka_unit_test(test_also_where_only_room_is_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
