/* Collection where the disk has less room than lives in a segment: it goes from its end, in parts. */
#include "little.h"

#include <errno.h>
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

ON_BACKENDS(a_nearly_full_disk_is_collected_in_parts)
ON_BACKENDS(without_room_for_a_part_it_stays)
ON_BACKENDS(what_is_cut_is_whole_at_every_step)
ON_BACKENDS(who_reads_what_is_cut_finds_it)
ON_BACKENDS(where_a_block_is_damaged_nothing_is_cut)
ON_BACKENDS(where_a_head_is_damaged_nothing_is_cut)
ON_BACKENDS(what_is_cut_meanwhile_is_not_exported)
ON_BACKENDS(nor_as_it_lies)

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
