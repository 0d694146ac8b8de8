#include "little.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { SPARE = 2 << 20 }; /* what a collection leaves to the index */

int little_fill(struct store **store)
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

int little_fill_up(struct store *store, int nth)
{
	store_ticket ticket = 0;
	struct mf_cid root;
	int rc = 0;

	for (int n = 0; n < 200 && rc == 0; n++) {
		rc = test_put_tree(store, n * 100, LEAVES, LEN, &root, &ticket);
		if (rc == 0 && n % nth)
			rc = store_pin_add(store, &root, STORE_PIN_RECURSIVE, &ticket);
		if (rc == 0)
			rc = store_sync(store, ticket);
	}
	return rc;
}

int little_roll(struct store *store)
{
	store_ticket ticket = 0;
	uint8_t data[10];
	struct mf_cid cid;

	CHECK_RC(0, log_roll_anyway(store));
	test_block(999999, sizeof(data), data, &cid);
	CHECK_RC(0, test_put(store, 999999, sizeof(data), &ticket));
	CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	return store_sync(store, ticket);
}

int little_check_kept(struct store *store)
{
	for (int i = 1; i < TREES; i += 2)
		for (int leaf = 0; leaf < LEAVES; leaf++)
			CHECK_RC(0, test_get(store, i * 100 + leaf, LEN));
	return 0;
}

int little_check_gone(struct store *store)
{
	for (int i = 0; i < TREES; i += 2)
		for (int leaf = 0; leaf < LEAVES; leaf++)
			CHECK_RC(-ENOENT, test_get(store, i * 100 + leaf, LEN));
	return 0;
}

static uint64_t segment_bytes(const struct store *store)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < store->segments.count; i++)
		sum += store->segments.files[i]->size;
	return sum;
}

static uint64_t room_left(void *arg)
{
	struct little_disk *disk = arg;
	const struct segment_file *file = segment_set_find(&disk->store->segments, 1);
	uint64_t used = segment_bytes(disk->store);

	disk->cuts += file && file->size < disk->first;
	disk->first = file ? file->size : 0;
	disk->over |= used > disk->most;
	if (disk->cuts_most && disk->cuts >= disk->cuts_most)
		return 0;
	return used < disk->most ? disk->most - used + SPARE : SPARE;
}

void little_disk_fill(struct little_disk *disk, struct store *store, uint64_t room)
{
	*disk = (struct little_disk){ .store = store,
		.most = segment_bytes(store) + room,
		.first = segment_set_find(&store->segments, 1)->size };
	test_room = room_left;
	test_room_arg = disk;
}

int little_collect(struct store *store, struct store_collect_result *result)
{
	static const struct store_collect_options all = { .every = true };

	return store_collect(store, &all, result);
}

int little_cut(struct store *store, int cuts)
{
	struct store_collect_result result;
	struct little_disk disk;

	little_disk_fill(&disk, store, MARGIN);
	disk.cuts_most = cuts;
	int rc = little_collect(store, &result);
	test_room = NULL;
	CHECK_RC(-ENOSPC, rc);
	CHECK(disk.cuts == cuts && result.segments == 0);
	return 0;
}

int little_look_again(struct store **store, bool gone)
{
	struct store_recovery recovery;
	char command[128];

	for (int again = 0; again < 3; again++) {
		CHECK_RC(0, little_check_kept(*store));
		if (gone && again < 2)
			CHECK_RC(0, little_check_gone(*store));
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
