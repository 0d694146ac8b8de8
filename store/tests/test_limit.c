/* The limit: much more flows through than fits, the repo never grows past it, and what is pinned stays. */
#include "archives.h"
#include "../inner.h"

#include <errno.h>

enum { LIMIT = 24 << 20, LEN = 200000, MANY = 600, PINNED = 20 };

static int open_limited(struct store **store)
{
	test_options.segment_bytes = 0;
	CHECK_RC(0, test_open(store, NULL));
	store_set_limit(*store, LIMIT);
	return 0;
}

static int pin_number(struct store *store, int n, store_ticket *ticket)
{
	static uint8_t data[TEST_BLOCK_MAX];
	struct mf_cid cid;

	test_block(n, LEN, data, &cid);
	return store_pin_add(store, &cid, STORE_PIN_RECURSIVE, ticket);
}

/* Puts blocks number from..to, and looks at the size after each. */
static int flow(struct store *store, int from, int to)
{
	store_ticket ticket = 0;
	int rc = 0;

	for (int n = from; n < to && rc == 0; n++) {
		rc = test_put(store, n, LEN, &ticket);
		if (rc == 0 && store_used(store) > LIMIT)
			return -EFBIG;
		if (rc == 0 && n % 50 == 0)
			rc = store_sync(store, ticket);
		anyio_checkpoint();
	}
	return rc < 0 ? rc : store_sync(store, ticket);
}

static int put_pinned(struct store *store)
{
	store_ticket ticket = 0;

	for (int n = 0; n < PINNED; n++) {
		CHECK_RC(0, test_put(store, n, LEN, &ticket));
		CHECK_RC(0, pin_number(store, n, &ticket));
	}
	return store_sync(store, ticket);
}

static int all_pinned_there(struct store *store)
{
	for (int n = 0; n < PINNED; n++)
		CHECK_RC(0, test_get(store, n, LEN));
	return 0;
}

static int what_flows_through_stays_below(void *arg)
{
	struct store *store;

	CHECK_RC(0, open_limited(&store));
	CHECK_RC(0, put_pinned(store));
	CHECK_RC(0, flow(store, 1000, 1000 + MANY));
	CHECK_RC(0, all_pinned_there(store));
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, open_limited(&store));
	CHECK_RC(0, flow(store, 3000, 3200));
	CHECK_RC(0, all_pinned_there(store));
	return store_close(store);
}
ON_BACKENDS(what_flows_through_stays_below)

static int wait_until_less(void *arg)
{
	struct store *store = arg;
	int rc = 0;

	while (store_used(store) > LIMIT / 100 * 87 && rc == 0)
		rc = anyio_checkpoint();
	return rc;
}

/* Beside the puts, at nine tenths: before one has to wait for it. */
static int it_is_kept_by_the_store_itself(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;

	CHECK_RC(0, open_limited(&store));
	CHECK_RC(0, put_pinned(store));
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, store_tend, store, "tend");
	for (int round = 1; round < 4; round++) {
		for (int n = round * 1000; store_used(store) < LIMIT / 100 * 88; n++)
			CHECK_RC(0, test_put(store, n, LEN, &ticket));
		CHECK_RC(0, store_sync(store, ticket));
		CHECK_RC(0, anyio_fail_after(60 * ANYIO_SECOND, wait_until_less, store));
	}
	anyio_task_group_cancel(&group, "done");
	anyio_task_group_exit(&group, 0);
	CHECK_RC(0, all_pinned_there(store));
	return store_close(store);
}
ON_BACKENDS(it_is_kept_by_the_store_itself)

/* All is pinned: a put fails, loses nothing, and succeeds once something is let go. */
static int full_is_full(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;
	struct mf_cid cid;
	static uint8_t data[TEST_BLOCK_MAX];
	int n = 0, rc = 0;

	CHECK_RC(0, open_limited(&store));
	while (n < 200 && (rc = test_put(store, n, LEN, &ticket)) == 0) {
		CHECK_RC(0, pin_number(store, n++, &ticket));
		CHECK(store_used(store) <= LIMIT);
	}
	CHECK_RC(-EDQUOT, rc);
	CHECK((uint64_t)n * LEN > LIMIT / 100 * 90);
	CHECK_RC(-EDQUOT, test_put(store, n, LEN, &ticket));
	/* What is here needs none. */
	CHECK_RC(0, test_put(store, 1, LEN, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, test_get(store, 0, LEN));
	for (int gone = 0; gone < 30; gone++) {
		test_block(gone, LEN, data, &cid);
		CHECK_RC(0, store_pin_remove(store, &cid, &ticket));
	}
	CHECK_RC(0, test_put(store, n, LEN, &ticket));
	for (int kept = 30; kept <= n; kept++)
		CHECK_RC(0, test_get(store, kept, LEN));
	/* Without a limit there is none. */
	store_set_limit(store, 0);
	for (int more = 1000; more < 1060; more++)
		CHECK_RC(0, test_put(store, more, LEN, &ticket));
	CHECK(store_used(store) > LIMIT);
	/* One that is lower than what lives: nothing is put, and nothing goes. */
	store_set_limit(store, LIMIT / 2);
	CHECK_RC(-EDQUOT, test_put(store, 2000, LEN, &ticket));
	for (int kept = 30; kept < n; kept++)
		CHECK_RC(0, test_get(store, kept, LEN));
	return store_close(store);
}
ON_BACKENDS(full_is_full)

/* What the files of the repo have, by the file system. */
static uint64_t on_disk(void)
{
	char command[128];
	unsigned long long bytes = UINT64_MAX;

	snprintf(command, sizeof(command), "du -sb %s", test_repo);
	FILE *out = popen(command, "r");
	if (out && fscanf(out, "%llu", &bytes) != 1)
		bytes = UINT64_MAX;
	if (out)
		pclose(out);
	return bytes;
}

/* Of which the index is a large part, and grows when it is written. */
static int little_blocks_stay_below_too(void *arg)
{
	enum { LITTLE = 40, LOW = 8 << 20 };
	struct store *store;
	struct store_lease lease;
	store_ticket ticket = 0;
	int n = 0, rc = 0;

	struct store_options often = test_options;
	test_options = (struct store_options){ .create = true };
	CHECK_RC(0, test_open(&store, NULL));
	test_options = often;
	store_set_limit(store, LOW);
	store_lease_begin(store, &lease);
	for (; rc == 0; n++) {
		rc = test_put(store, n, LITTLE, &ticket);
		if (n % 1000 == 0)
			CHECK(on_disk() <= LOW);
	}
	CHECK(rc == -EDQUOT && n > LOW / (LITTLE + 64 + 125) * 3 / 4);
	CHECK_RC(0, store_sync(store, ticket));
	store_lease_end(&lease);
	CHECK_RC(0, store_checkpoint(store));
	CHECK(on_disk() <= LOW && store_used(store) <= LOW);
	CHECK_RC(0, store_close(store));
	CHECK(on_disk() <= LOW);
	return 0;
}
ON_BACKENDS(little_blocks_stay_below_too)

static int look_at_size(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	return store_used(arg) > LIMIT ? -EFBIG : 0;
}

/* Nor while a collection has what it moves twice. */
static int a_collection_stays_below_too(void *arg)
{
	struct store *store;
	struct store_collect_options options = { .every = true, .progress = look_at_size };
	struct store_collect_result result;
	store_ticket ticket = 0;

	CHECK_RC(0, open_limited(&store));
	for (int n = 0; store_used(store) + 2 * LEN < LIMIT - (1 << 20); n++) {
		CHECK_RC(0, test_put(store, n, LEN, &ticket));
		if (n % 2)
			CHECK_RC(0, pin_number(store, n, &ticket));
	}
	CHECK_RC(0, store_sync(store, ticket));
	options.arg = store;
	CHECK_RC(0, store_collect(store, &options, &result));
	CHECK(result.segments > 15 && result.moved > 20);
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}
ON_BACKENDS(a_collection_stays_below_too)

struct meanwhile {
	struct store *store;
	bool sweeping; /* when it puts */
	int first, puts;
	size_t most; /* that the index in memory held */
};

static int put_meanwhile(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	struct meanwhile *meanwhile = arg;
	struct store *store = meanwhile->store;
	store_ticket ticket = 0;
	int rc = 0;

	if (sweeping != meanwhile->sweeping || (sweeping && total == 0))
		return 0;
	for (; meanwhile->puts < 150 && rc == 0; meanwhile->puts++) {
		rc = test_put(store, meanwhile->first + meanwhile->puts, 100, &ticket);
		if (index_fresh(&store->index) > meanwhile->most)
			meanwhile->most = index_fresh(&store->index);
	}
	return rc;
}

/* Puts leave the index to a collection that sweeps, up to four times as much; but not under a limit, of which it takes its
 * share when it is written. */
static int a_marking_hides_nothing_from_the_limit(void *arg)
{
	struct store *store;
	struct store_collect_result result;
	struct mf_cid root;
	store_ticket ticket = 0;

	CHECK_RC(0, open_limited(&store));
	CHECK_RC(0, test_put_tree(store, 0, 5, 1000, &root, &ticket));
	CHECK_RC(0, store_pin_add(store, &root, STORE_PIN_RECURSIVE, &ticket));
	for (int i = 0; i < 4; i++) {
		bool limited = i < 2;
		struct meanwhile meanwhile = {
			.store = store, .sweeping = i % 2, .first = 5000 + 1000 * i
		};
		struct store_collect_options options = {
			.every = true, .progress = put_meanwhile, .arg = &meanwhile
		};

		store_set_limit(store, limited ? LIMIT : 0);
		CHECK_RC(0, store_checkpoint(store));
		CHECK_RC(0, store_collect(store, &options, &result));
		CHECK(meanwhile.puts == 150);
		CHECK(limited || !meanwhile.sweeping ? meanwhile.most <= 50
						     : meanwhile.most >= 150);
	}
	return store_close(store);
}
ON_BACKENDS(a_marking_hides_nothing_from_the_limit)

/* It was near the limit, which is none any more: nothing goes. */
static int without_a_limit_nothing_goes(void *arg)
{
	struct store *store;
	store_ticket ticket = 0;
	int n;

	CHECK_RC(0, open_limited(&store));
	for (n = 0; store_used(store) < LIMIT / 100 * 90; n++)
		CHECK_RC(0, test_put(store, n, LEN, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK(anyio_event_is_set(&store->limit.over));
	store_set_limit(store, 0);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, store_tend, store, "tend");
	for (int i = 0; i < 200; i++)
		CHECK_RC(0, anyio_checkpoint());
	CHECK_RC(0, anyio_lock_acquire(&store->arranging));
	anyio_lock_release(&store->arranging);
	anyio_task_group_cancel(&group, "done");
	anyio_task_group_exit(&group, 0);
	while (n-- > 0)
		CHECK_RC(0, test_get(store, n, LEN));
	return store_close(store);
}
ON_BACKENDS(without_a_limit_nothing_goes)

/* What an accepted loss leaves whole is written again, though there is no room for a put. */
static int an_accepted_loss_takes_nothing_more(void *arg)
{
	struct store *store;
	struct store_verify_options options = { .accept_loss = true, .skip_pins = true };
	struct store_verify_result result;
	struct index_place place;
	struct mf_cid cid;
	static uint8_t data[TEST_BLOCK_MAX];
	store_ticket ticket = 0;

	CHECK_RC(0, open_limited(&store));
	CHECK_RC(0, put_pinned(store));
	test_block(3, LEN, data, &cid);
	CHECK(store_find(store, &cid, &place) == 1);
	CHECK_RC(0, store_close(store));
	/* In the head of its section. */
	test_flip(test_segment(place.segment), (long)place.offset - 10);
	CHECK_RC(0, test_open(&store, NULL));
	store_set_limit(store, store_used(store) + (1 << 20) + LEN / 2);
	CHECK_RC(-EDQUOT, test_put(store, 5000, LEN, &ticket));
	CHECK_RC(0, store_verify(store, &options, &result));
	CHECK_RC(0, all_pinned_there(store));
	CHECK_RC(0, store_close(store));
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, all_pinned_there(store));
	return store_close(store);
}
ON_BACKENDS(an_accepted_loss_takes_nothing_more)

/* A file that is adopted counts, but for one that stays somebody else's; it goes as others do. */
static int adopted_files_count(void *arg)
{
	struct store *store;
	struct store_adopt_result result;
	struct archive archive = { 0 };
	store_ticket ticket = 0;

	CHECK_RC(0, open_limited(&store));
	CHECK_RC(0, put_pinned(store));
	archive_header(&archive, NULL);
	archive_blocks(&archive, 1000, 1080, LEN);
	CHECK_RC(0, archive_adopt(store, &archive, false, &result));
	CHECK(store_used(store) > 80 * LEN && store_used(store) < LIMIT);
	archive = (struct archive){ 0 };
	archive_header(&archive, NULL);
	archive_blocks(&archive, 2000, 2080, LEN);
	CHECK_RC(0, archive_adopt(store, &archive, false, &result));
	CHECK(store_used(store) < LIMIT);
	CHECK(test_get(store, 2000, LEN) == 0 && test_get(store, 1000, LEN) == -ENOENT);
	CHECK_RC(0, flow(store, 3000, 3100));
	CHECK_RC(0, all_pinned_there(store));
	archive = (struct archive){ 0 };
	archive_header(&archive, NULL);
	archive_blocks(&archive, 4000, 4140, LEN);
	archive_save(&archive, "large.car");
	CHECK_RC(-EDQUOT, archive_adopt_with(store, "large.car", NULL, &result));
	CHECK(archive_adopted(store) == 0);
	struct store_adopt_options link = { .link = true };
	CHECK_RC(0, archive_adopt_with(store, "large.car", &link, &result));
	CHECK(store_used(store) < LIMIT && test_get(store, 4000, LEN) == 0);
	free(archive.bytes);
	CHECK_RC(0, test_put(store, 9000, LEN, &ticket));
	CHECK_RC(0, test_verify(store));
	return store_close(store);
}
ON_BACKENDS(adopted_files_count)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_flows_through_stays_below),
		cmocka_unit_test(test_it_is_kept_by_the_store_itself),
		cmocka_unit_test(test_full_is_full),
		cmocka_unit_test(test_little_blocks_stay_below_too),
		cmocka_unit_test(test_adopted_files_count),
		cmocka_unit_test(test_a_collection_stays_below_too),
		cmocka_unit_test(test_a_marking_hides_nothing_from_the_limit),
		cmocka_unit_test(test_without_a_limit_nothing_goes),
		cmocka_unit_test(test_an_accepted_loss_takes_nothing_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
