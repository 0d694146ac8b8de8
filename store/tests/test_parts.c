/* Collection where the disk has less room than lives in a segment: it goes from its end, in parts. */
#include "support.h"
#include "../collecting.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TREES = 40, LEAVES = 10, LEN = 3000, SPARE = 2 << 20, MARGIN = 100000 };

/* All in one segment, each tree with a commit of its own; every second one is pinned. */
static int fill(struct store **store)
{
	store_ticket ticket = 0;
	struct mf_cid root;

	test_options.segment_bytes = 2 << 20;
	CHECK_RC(0, test_open(store, NULL));
	for (int i = 0; i < TREES; i++) {
		CHECK_RC(0, test_put_tree(*store, i * 100, LEAVES, LEN, &root, &ticket));
		if (i % 2)
			CHECK_RC(0, store_pin_add(*store, &root, STORE_PIN_RECURSIVE, &ticket));
		CHECK_RC(0, store_sync(*store, ticket));
	}
	CHECK((*store)->segments.count == 1);
	return 0;
}

static int check_kept(struct store *store)
{
	for (int i = 1; i < TREES; i += 2)
		for (int leaf = 0; leaf < LEAVES; leaf++)
			CHECK_RC(0, test_get(store, i * 100 + leaf, LEN));
	return 0;
}

static int check_gone(struct store *store)
{
	for (int i = 0; i < TREES; i += 2)
		for (int leaf = 0; leaf < LEAVES; leaf++)
			CHECK_RC(-ENOENT, test_get(store, i * 100 + leaf, LEN));
	return 0;
}

/* The disk is as full as the first segment's size says: what is cut off is room. */
struct disk {
	struct store *store;
	uint64_t most;  /* bytes that the repo may have */
	uint64_t first; /* the segment's size, seen last */
	int cuts;
};

static uint64_t segment_bytes(const struct store *store)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < store->segments.count; i++)
		sum += store->segments.files[i]->size;
	return sum;
}

static uint64_t room_left(void *arg)
{
	struct disk *disk = arg;
	const struct segment_file *file = segment_set_find(&disk->store->segments, 1);
	uint64_t used = segment_bytes(disk->store);

	disk->cuts += file && file->size < disk->first;
	disk->first = file ? file->size : 0;
	CHECK(used <= disk->most);
	return used < disk->most ? disk->most - used + SPARE : SPARE;
}

static void fill_disk(struct disk *disk, struct store *store, uint64_t room)
{
	*disk = (struct disk){
		.store = store, .most = segment_bytes(store) + room, .first = UINT64_MAX
	};
	disk->first = segment_set_find(&store->segments, 1)->size;
	test_room = room_left;
	test_room_arg = disk;
}

static int collect(struct store *store, struct store_collect_result *result)
{
	static const struct store_collect_options all = { .every = true };

	return store_collect(store, &all, result);
}

/* Nobody complains of it: a verification, an opening, one without the index. */
static int look_again(struct store **store, bool gone)
{
	struct store_recovery recovery;
	char command[128];

	for (int again = 0; again < 3; again++) {
		CHECK_RC(0, check_kept(*store));
		if (gone && again < 2)
			CHECK_RC(0, check_gone(*store));
		CHECK_RC(0, test_verify(*store));
		CHECK_RC(0, again == 1 ? store_close(*store) : test_crash(*store));
		snprintf(command, sizeof(command), "rm -rf %s/index", test_repo);
		if (again == 1)
			CHECK(system(command) == 0);
		CHECK_RC(0, test_open(store, &recovery));
		CHECK(recovery.gaps == 0 && recovery.damaged == 0 && !recovery.read_only);
	}
	return 0;
}

static int a_nearly_full_disk_is_collected_in_parts(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct disk disk;

	CHECK_RC(0, fill(&store));
	fill_disk(&disk, store, MARGIN);
	CHECK_RC(0, collect(store, &result));
	CHECK(disk.cuts >= 4 && result.kept_damaged == 0 && result.segments == 1);
	CHECK(result.dropped == TREES / 2 * (LEAVES + 1) && result.moved == result.dropped);
	CHECK(result.freed > TREES / 2 * LEAVES * LEN * 9 / 10);
	test_room = NULL;
	CHECK_RC(0, look_again(&store, true));
	return store_close(store);
}

/* It stops where it has come to, is whole, and goes on when there is room. */
static int without_room_for_a_part_it_stays(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct disk disk;

	CHECK_RC(0, fill(&store));
	uint64_t before = segment_bytes(store);
	fill_disk(&disk, store, LEN);
	CHECK_RC(-ENOSPC, collect(store, &result));
	CHECK(disk.cuts == 0 && result.segments == 0 && segment_bytes(store) <= before + LEN);
	test_room = NULL;
	CHECK_RC(0, look_again(&store, false));
	CHECK_RC(0, collect(store, &result));
	CHECK(result.kept_damaged == 0);
	CHECK_RC(0, look_again(&store, true));
	return store_close(store);
}

struct stopping {
	struct disk disk;
	int cuts; /* after which there is no room any more */
};

static uint64_t room_until(void *arg)
{
	struct stopping *stopping = arg;
	uint64_t room = room_left(&stopping->disk);

	return stopping->disk.cuts < stopping->cuts ? room : 0;
}

static int what_is_cut_is_whole_at_every_step(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct stopping stopping;

	CHECK_RC(0, fill(&store));
	for (int cuts = 1; cuts <= 3; cuts++) {
		fill_disk(&stopping.disk, store, MARGIN);
		stopping.cuts = 1;
		test_room = room_until;
		uint64_t size = segment_set_find(&store->segments, 1)->size;
		CHECK_RC(-ENOSPC, collect(store, &result));
		test_room = NULL;
		CHECK(segment_set_find(&store->segments, 1)->size < size && result.segments == 0);
		CHECK_RC(0, look_again(&store, false));
	}
	CHECK_RC(0, collect(store, &result));
	CHECK_RC(0, look_again(&store, true));
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
	struct disk disk;
	struct reading reading = { 0 };

	CHECK_RC(0, fill(&store));
	reading.store = store;
	store_on_damage(store, on_damage, &reading);
	fill_disk(&disk, store, MARGIN);
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 4; i++)
		anyio_start_soon(&group, read_all_the_time, &reading, "reader");
	CHECK_RC(0, anyio_checkpoint());
	CHECK_RC(0, collect(store, &result));
	reading.over = true;
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	CHECK(disk.cuts >= 4 && reading.damaged == 0 && result.kept_damaged == 0);
	test_room = NULL;
	CHECK_RC(0, check_gone(store));
	return store_close(store);
}

static int damage_cuts_nothing(long at)
{
	struct store *store;
	struct store_collect_result result;
	struct index_place place;
	struct disk disk;
	uint8_t data[LEN];
	struct mf_cid cid;

	CHECK_RC(0, fill(&store));
	uint64_t size = segment_set_find(&store->segments, 1)->size;
	test_block((TREES - 1) * 100 + 5, LEN, data, &cid);
	CHECK_RC(1, store_find(store, &cid, &place));
	test_flip(test_segment(1), (long)place.offset + at);
	fill_disk(&disk, store, MARGIN);
	CHECK_RC(0, collect(store, &result));
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
	return collect(exporting->store, &result) == -ENOSPC ? 0 : -EINVAL;
}

static int write_nothing(void *arg, const void *data, size_t len)
{
	return 0;
}

/* It meets its end too early, fails, and calls nothing damaged. */
static int export_meanwhile(bool unverified)
{
	struct store *store;
	struct stopping stopping = { .cuts = 1 };
	struct exporting exporting = { 0 };
	struct store_wal_exported exported;
	struct store_wal_export_options options = { .fd = -1,
		.write = write_nothing,
		.progress = collect_meanwhile,
		.arg = &exporting,
		.unverified = unverified };

	CHECK_RC(0, fill(&store));
	CHECK_RC(0, log_roll_anyway(store));
	fill_disk(&stopping.disk, store, MARGIN);
	test_room = room_until;
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
