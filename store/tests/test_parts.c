/* Collection where the disk has less room than lives in a segment: it goes from its end, in parts. */
#include "little.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int a_nearly_full_disk_is_collected_in_parts(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct little_disk disk;

	CHECK_RC(0, little_fill(&store));
	little_disk_fill(&disk, store, MARGIN);
	CHECK_RC(0, little_collect(store, &result));
	CHECK(disk.cuts >= 4 && !disk.over && result.kept_damaged == 0 && result.segments == 1);
	CHECK(result.dropped == TREES / 2 * (LEAVES + 1) && result.moved == result.dropped);
	CHECK(result.freed > TREES / 2 * LEAVES * LEN * 9 / 10);
	test_room = NULL;
	CHECK_RC(0, little_look_again(&store, true));
	return store_close(store);
}

/* It stops where it has come to, is whole, and goes on when there is room. */
static int without_room_for_a_part_it_stays(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct little_disk disk;

	CHECK_RC(0, little_fill(&store));
	little_disk_fill(&disk, store, LEN);
	CHECK_RC(-ENOSPC, little_collect(store, &result));
	CHECK(disk.cuts == 0 && !disk.over && result.segments == 0);
	test_room = NULL;
	CHECK_RC(0, little_look_again(&store, false));
	CHECK_RC(0, little_collect(store, &result));
	CHECK(result.kept_damaged == 0);
	CHECK_RC(0, little_look_again(&store, true));
	return store_close(store);
}

static int what_is_cut_is_whole_at_every_step(void *arg)
{
	struct store *store;
	struct store_collect_result result;

	CHECK_RC(0, little_fill(&store));
	for (int cuts = 1; cuts <= 3; cuts++) {
		CHECK_RC(0, little_cut(store, 1));
		CHECK_RC(0, little_look_again(&store, false));
	}
	CHECK_RC(0, little_collect(store, &result));
	CHECK_RC(0, little_look_again(&store, true));
	return store_close(store);
}

struct reading {
	struct store *store;
	bool over;
	int damaged;
};

static int read_all_the_time(void *arg)
{
	struct reading *reading = arg;

	for (uint64_t n = 1; !reading->over; n += 2) {
		CHECK_RC(0,
			test_get(reading->store, n * 7 % TREES / 2 * 200 + 100 + n % LEAVES, LEN));
		CHECK_RC(0, anyio_checkpoint());
	}
	return 0;
}

static void on_damage(void *arg, const struct mf_cid *cid)
{
	((struct reading *)arg)->damaged++;
}

static int who_reads_what_is_cut_finds_it(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct little_disk disk;
	struct reading reading = { 0 };

	CHECK_RC(0, little_fill(&store));
	reading.store = store;
	store_on_damage(store, on_damage, &reading);
	little_disk_fill(&disk, store, MARGIN);
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 4; i++)
		anyio_start_soon(&group, read_all_the_time, &reading, "reader");
	CHECK_RC(0, anyio_checkpoint());
	CHECK_RC(0, little_collect(store, &result));
	reading.over = true;
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	CHECK(disk.cuts >= 4 && reading.damaged == 0 && result.kept_damaged == 0);
	test_room = NULL;
	CHECK_RC(0, little_check_gone(store));
	return store_close(store);
}

static int damage_cuts_nothing(long at)
{
	struct store *store;
	struct store_collect_result result;
	struct index_place place;
	struct little_disk disk;
	uint8_t data[LEN];
	struct mf_cid cid;

	CHECK_RC(0, little_fill(&store));
	uint64_t size = segment_set_find(&store->segments, 1)->size;
	test_block((TREES - 1) * 100 + 5, LEN, data, &cid);
	CHECK_RC(1, store_find(store, &cid, &place));
	test_flip(test_segment(1), (long)place.offset + at);
	little_disk_fill(&disk, store, MARGIN);
	CHECK_RC(0, little_collect(store, &result));
	test_room = NULL;
	CHECK(result.kept_damaged == 1 && result.segments == 0 && disk.cuts == 0);
	CHECK(segment_set_find(&store->segments, 1)->size == size);
	return store_close(store);
}

static int where_a_block_is_damaged_nothing_is_cut(void *arg)
{
	return damage_cuts_nothing(50);
}

static int where_a_head_is_damaged_nothing_is_cut(void *arg)
{
	return damage_cuts_nothing(-10);
}

struct exporting {
	struct store *store;
	bool collected;
};

static int collect_meanwhile(void *arg, uint64_t done, uint64_t total)
{
	struct exporting *exporting = arg;
	struct store_collect_result result;

	if (exporting->collected)
		return 0;
	exporting->collected = true;
	return little_collect(exporting->store, &result) == -ENOSPC ? 0 : -EINVAL;
}

static int write_nothing(void *arg, const void *data, size_t len)
{
	return 0;
}

/* It meets its end too early, fails, and calls nothing damaged. */
static int export_meanwhile(bool unverified)
{
	struct store *store;
	struct little_disk disk;
	struct exporting exporting = { 0 };
	struct store_wal_exported exported;
	struct store_wal_export_options options = { .fd = -1,
		.write = write_nothing,
		.progress = collect_meanwhile,
		.arg = &exporting,
		.unverified = unverified };

	CHECK_RC(0, little_fill(&store));
	CHECK_RC(0, log_roll_anyway(store));
	little_disk_fill(&disk, store, MARGIN);
	disk.cuts_most = 1;
	exporting = (struct exporting){ store, false };
	int rc = store_wal_export(store, 1, &options, &exported);
	test_room = NULL;
	CHECK(exporting.collected && (rc == -ENOENT || rc == -ESTALE));
	CHECK(exported.faults == 0);
	exporting.collected = true;
	CHECK_RC(0, store_wal_export(store, 1, &options, &exported));
	return store_close(store);
}

static int what_is_cut_meanwhile_is_not_exported(void *arg)
{
	return export_meanwhile(false);
}

static int nor_as_it_lies(void *arg)
{
	return export_meanwhile(true);
}

/* Trees with a commit each; pinned: every second one, or none. */
static int put_trees(struct store *store, int first, int count, bool pinned)
{
	struct mf_cid root;
	store_ticket ticket = 0;

	for (int i = first; i < first + count; i++) {
		CHECK_RC(0, test_put_tree(store, i * 100, LEAVES, LEN, &root, &ticket));
		if (pinned && i % 2)
			CHECK_RC(0, store_pin_add(store, &root, STORE_PIN_RECURSIVE, &ticket));
		CHECK_RC(0, store_sync(store, ticket));
	}
	return 0;
}

static int put_large(struct store *store, int number, size_t len)
{
	static uint8_t data[TEST_BLOCK_MAX];
	store_ticket ticket = 0;
	struct mf_cid cid;

	test_block(number, len, data, &cid);
	CHECK_RC(0, test_put(store, number, len, &ticket));
	CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	return store_sync(store, ticket);
}

/* The first segment is cut, and then a block is too large for the room; what the second gives makes it, going or cut. */
static int looks_once_more(bool second_goes)
{
	struct store *store;
	struct store_collect_result result;
	struct little_disk disk;

	test_options.segment_bytes = 2 << 20;
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, put_trees(store, 0, 30, true));
	CHECK_RC(0, put_large(store, 777777, 250000));
	CHECK_RC(0, put_trees(store, 70, 6, true));
	CHECK_RC(0, log_roll_anyway(store));
	CHECK_RC(0, put_trees(store, 100, second_goes ? 10 : 2, false));
	if (!second_goes) {
		CHECK_RC(0, put_large(store, 888888, 300000));
		CHECK_RC(0, put_trees(store, 130, 3, false));
		CHECK_RC(0, put_trees(store, 137, 1, true));
	}
	CHECK_RC(0, log_roll_anyway(store));
	little_disk_fill(&disk, store, MARGIN);
	CHECK_RC(0, little_collect(store, &result));
	test_room = NULL;
	CHECK(result.kept_damaged == 0 && result.segments == 2 && !disk.over);
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}

static int what_had_no_room_is_looked_at_when_others_have_gone(void *arg)
{
	return looks_once_more(true);
}

static int and_when_others_are_shorter(void *arg)
{
	return looks_once_more(false);
}

/* What left the index is not missed in what is left of it. */
static int an_accepted_loss_of_what_was_cut_is_one(void *arg)
{
	struct store *store;
	struct store_verify_options options = { .accept_loss = true };
	struct store_verify_result result;
	struct store_recovery recovery;

	CHECK_RC(0, little_fill(&store));
	CHECK_RC(0, little_roll(store));
	CHECK_RC(0, little_cut(store, 2));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, truncate(test_segment(1), 300000));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 1);
	CHECK_RC(0, store_verify(store, &options, &result));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(recovery.gaps == 0);
	CHECK_RC(0, test_verify_segments(store));
	return store_close(store);
}

struct backup {
	struct store *store;
	uint64_t first; /* the segment's size */
	char path[128];
	long size; /* 0: not made yet */
};

static int back_up_when_cut(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	struct backup *backup = arg;

	if (backup->size || segment_set_find(&backup->store->segments, 1)->size == backup->first)
		return 0;
	backup->size = test_file_size(test_segment(1));
	return link(test_segment(1), backup->path);
}

static int a_backup_made_meanwhile_is_not_cut(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct little_disk disk;
	struct backup backup = { .size = 0 };
	struct store_collect_options options = {
		.every = true, .progress = back_up_when_cut, .arg = &backup
	};

	CHECK_RC(0, little_fill(&store));
	backup.store = store;
	backup.first = segment_set_find(&store->segments, 1)->size;
	snprintf(backup.path, sizeof(backup.path), "%s/backup.car", test_repo);
	little_disk_fill(&disk, store, MARGIN);
	CHECK_RC(-ENOSPC, store_collect(store, &options, &result));
	test_room = NULL;
	CHECK(backup.size > 0 && test_file_size(backup.path) == backup.size);
	CHECK_RC(0, unlink(backup.path));
	CHECK_RC(0, little_look_again(&store, false));
	return store_close(store);
}

static uint64_t one_mebibyte(void *arg)
{
	return 1 << 20;
}

/* Under a limit: puts that were refused for the disk go through when it has room. */
static int puts_go_on_when_the_disk_has_room(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;

	test_options.segment_bytes = 1 << 20;
	CHECK_RC(0, test_open(&store, NULL));
	store_set_limit(store, 4 << 20);
	test_room = one_mebibyte;
	CHECK_RC(-ENOSPC, little_fill_up(store, 2));
	CHECK_RC(-ENOSPC, test_put(store, 4999999, LEN, &ticket));
	test_room = NULL;
	CHECK_RC(0, test_put(store, 5000000, LEN, &ticket));
	return store_close(store);
}

/* What it has kept was moved, which is no damage, and goes with the others when it has ended. */
static int a_lease_ends_what_it_kept_of_what_was_cut(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct store_lease lease;
	struct mf_cid cid;
	uint8_t data[LEN];

	CHECK_RC(0, little_fill(&store));
	CHECK_RC(0, little_roll(store));
	store_lease_begin(store, &lease);
	test_block((TREES - 2) * 100, LEN, data, &cid);
	CHECK_RC(1, store_keep(store, &cid));
	CHECK_RC(0, little_cut(store, 1));
	CHECK_RC(0, little_collect(store, &result));
	CHECK(result.kept_damaged == 0 && result.segments == 1);
	CHECK_RC(0, test_get(store, (TREES - 2) * 100, LEN));
	store_lease_end(&lease);
	CHECK_RC(0, little_collect(store, &result));
	CHECK_RC(0, little_look_again(&store, true));
	return store_close(store);
}

ON_BACKENDS(a_lease_ends_what_it_kept_of_what_was_cut)
ON_BACKENDS(a_nearly_full_disk_is_collected_in_parts)
ON_BACKENDS(without_room_for_a_part_it_stays)
ON_BACKENDS(what_is_cut_is_whole_at_every_step)
ON_BACKENDS(who_reads_what_is_cut_finds_it)
ON_BACKENDS(where_a_block_is_damaged_nothing_is_cut)
ON_BACKENDS(where_a_head_is_damaged_nothing_is_cut)
ON_BACKENDS(what_is_cut_meanwhile_is_not_exported)
ON_BACKENDS(nor_as_it_lies)
ON_BACKENDS(what_had_no_room_is_looked_at_when_others_have_gone)
ON_BACKENDS(and_when_others_are_shorter)
ON_BACKENDS(an_accepted_loss_of_what_was_cut_is_one)
ON_BACKENDS(a_backup_made_meanwhile_is_not_cut)
ON_BACKENDS(puts_go_on_when_the_disk_has_room)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_nearly_full_disk_is_collected_in_parts),
		cmocka_unit_test(test_without_room_for_a_part_it_stays),
		cmocka_unit_test(test_what_is_cut_is_whole_at_every_step),
		cmocka_unit_test(test_who_reads_what_is_cut_finds_it),
		cmocka_unit_test(test_where_a_block_is_damaged_nothing_is_cut),
		cmocka_unit_test(test_where_a_head_is_damaged_nothing_is_cut),
		cmocka_unit_test(test_what_is_cut_meanwhile_is_not_exported),
		cmocka_unit_test(test_nor_as_it_lies),
		cmocka_unit_test(test_what_had_no_room_is_looked_at_when_others_have_gone),
		cmocka_unit_test(test_and_when_others_are_shorter),
		cmocka_unit_test(test_an_accepted_loss_of_what_was_cut_is_one),
		cmocka_unit_test(test_a_backup_made_meanwhile_is_not_cut),
		cmocka_unit_test(test_puts_go_on_when_the_disk_has_room),
		cmocka_unit_test(test_a_lease_ends_what_it_kept_of_what_was_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
