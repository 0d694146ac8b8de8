/* Tiers: what is moved there is read from there, whatever happens on the way, and nothing is moved that was not seen whole. */
#include "cold.h"
#include "../collecting.h"
#include "../tiering.h"

#include <ipld/car.h>
#include <unistd.h>

/* Anybody can read the object: so many blocks, and an index that tells where they are. */
static int count_entry(void *arg, const struct car_index_entry *entry)
{
	++*(int *)arg;
	return 0;
}

static int object_blocks(void)
{
	static uint8_t bytes[200000];
	FILE *file = fopen(only_object(), "r");
	size_t len = file ? fread(bytes, 1, sizeof(bytes), file) : 0, left = len;
	const uint8_t *at = bytes;
	struct car_reader *reader;
	struct car_event event;
	struct car_v2 v2;
	int blocks = 0, entries = 0;

	CHECK(file && fclose(file) == 0 && car_v2_decode(&v2, bytes) == 0 && v2.fully_indexed);
	CHECK_RC(0, car_reader_new(&reader, false));
	while (car_reader_next(reader, &at, &left, &event) == 1)
		if (event.kind == CAR_BLOCK &&
			ipld_block_verify(&event.cid, event.data, event.len) == 0)
			blocks++;
	CHECK_RC(0, car_reader_finish(reader));
	car_reader_free(reader);
	CHECK_RC(0, car_index_read(bytes + v2.index_at, len - v2.index_at, count_entry, &entries));
	return entries == blocks ? blocks : -1;
}

static int what_is_demoted_is_read_from_there(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES];
	struct store_move_result moved;
	struct store_collect_result collected;
	struct store_tier_stat stat;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(0, demote(store, 1, &moved));
	CHECK(moved.blocks == LEAVES && moved.bytes == LEAVES * LEN && moved.skipped == 0);
	CHECK_RC(LEAVES, object_blocks());
	/* Once is enough; and nodes stay. */
	CHECK_RC(0, demote(store, 1, &moved));
	CHECK(moved.blocks == 0 && moved.skipped == LEAVES);
	CHECK_RC(0, store_demote(store, "cold", roots, TREES, NULL, &moved));
	CHECK(moved.blocks == 0 && moved.skipped == TREES && objects() == 1);

	/* What they left behind is dead, and goes. */
	uint64_t bytes = store->index.counts.bytes;
	CHECK_RC(0, collect(store, &collected));
	CHECK(collected.freed > LEAVES * LEN && collected.dropped == 0 && collected.objects == 0);
	CHECK(store->index.counts.bytes == bytes);
	for (int again = 0; again < 4; again++) {
		place.reads = 0;
		CHECK(there(store) == TREES * LEAVES && place.reads == LEAVES);
		CHECK(cold_leaves(store) == LEAVES);
		CHECK_RC(0, store_tier_stat(store, "cold", &stat));
		CHECK(stat.objects == 1 && stat.blocks == LEAVES && stat.attached &&
			stat.errors == 0 && stat.unread == 0);
		CHECK_RC(0, test_verify(store));
		CHECK_RC(0, again % 2 ? store_close(store) : test_crash(store));
		CHECK_RC(0, open_again(&store));
	}
	/* The index made anew has them from the object's. */
	CHECK_RC(0, rebuild_index(store, NULL));
	CHECK(there(store) == (TREES - 1) * LEAVES);
	CHECK_RC(0, store_tier_stat(store, "cold", &stat));
	CHECK(stat.unread == 1);
	CHECK_RC(0, collect(store, &collected));
	CHECK(collected.objects == 0);
	CHECK_RC(0, store_tier_tend(store, "cold"));
	CHECK(there(store) == TREES * LEAVES);
	CHECK_RC(0, test_verify(store));
	return end(store);
}

static int what_is_promoted_leaves_nothing(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES];
	struct store_move_result moved;
	struct store_collect_result collected;
	struct store_tier_stat stat;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(0, demote(store, 0, &moved));
	CHECK_RC(0, demote(store, 2, &moved));
	CHECK_RC(0, collect(store, &collected));
	CHECK_RC(0, promote(store, 2, &moved));
	CHECK(moved.blocks == LEAVES && objects() == 2 && cold_leaves(store) == LEAVES);
	CHECK_RC(0, promote(store, 2, &moved));
	CHECK(moved.blocks == 0 && moved.skipped == LEAVES);
	CHECK_RC(0, collect(store, &collected));
	CHECK(collected.objects == 1);
	/* The tier is down: another time, also after a restart. */
	place.fail_remove = -EHOSTDOWN;
	CHECK_RC(-EREMOTEIO, store_tier_tend(store, "cold"));
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, open_again(&store));
	CHECK_RC(0, store_tier_stat(store, "cold", &stat));
	CHECK(stat.unwanted == 1 && stat.objects == 1 && objects() == 2);
	place.fail_remove = 0;
	CHECK_RC(0, store_tier_tend(store, "cold"));
	CHECK(objects() == 1 && there(store) == TREES * LEAVES);
	CHECK_RC(0, test_verify(store));
	/* Nothing needs the other one any more either. */
	CHECK(store_pin_remove(store, &roots[0], &(store_ticket){ 0 }) == 0);
	CHECK_RC(0, collect(store, &collected));
	CHECK(collected.objects == 1 && collected.dropped == LEAVES + 1);
	CHECK_RC(0, store_tier_tend(store, "cold"));
	CHECK(objects() == 0 && there(store) == (TREES - 1) * LEAVES);
	CHECK_RC(0, store_tier_stat(store, "cold", &stat));
	CHECK(stat.objects == 0 && stat.unwanted == 0);
	CHECK_RC(0, test_verify(store));
	return end(store);
}

static int a_tier_that_fails_says_so(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES], cids[LEAVES + 1];
	struct store_block blocks[LEAVES + 1];
	int results[LEAVES + 1];
	struct store_move_result moved;
	struct store_tier_stat stat;
	struct mf_cid absent;
	uint8_t data[LEN];
	char text[320], other[320];

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(-ENODEV, store_demote(store, "warm", roots, TREES, NULL, &moved));
	CHECK_RC(-EINVAL, store_tier_attach(store, "no/name", &(struct store_tier){ 0 }));
	/* Who is refused at once leaves nothing to be removed. */
	place.fail_ready = -ENXIO;
	CHECK_RC(-EREMOTEIO, demote(store, 1, &moved));
	place.fail_ready = 0;
	CHECK_RC(0, store_tier_stat(store, "cold", &stat));
	CHECK(stat.errors == 1 && stat.last_error == -ENXIO && stat.unwanted == 0);
	/* Nothing is moved that was not written, or was written wrong. */
	place.fail_write = -ENOSPC;
	CHECK_RC(-EREMOTEIO, demote(store, 1, &moved));
	place.fail_write = 0;
	place.spoil = true;
	CHECK_RC(-EBADMSG, demote(store, 1, &moved));
	place.spoil = false;
	place.fail_read = -ETIMEDOUT;
	CHECK_RC(-EREMOTEIO, demote(store, 1, &moved));
	CHECK(cold_leaves(store) == 0 && there(store) == TREES * LEAVES && objects() == 2);
	CHECK_RC(0, store_tier_tend(store, "cold"));
	CHECK(objects() == 0);
	place.fail_read = 0;

	CHECK_RC(0, demote(store, 1, &moved));
	leaves_of(1, cids);
	cids[LEAVES] = roots[0];
	CHECK(!store_explain(store, &cids[5], text, sizeof(text)));
	place.fail_read = -EHOSTDOWN;
	CHECK_RC(0, store_get_many(store, cids, LEAVES + 1, blocks, results));
	for (int i = 0; i < LEAVES; i++)
		CHECK(results[i] == -EREMOTEIO && !blocks[i].data);
	CHECK(results[LEAVES] == 0);
	store_block_release(&blocks[LEAVES]);
	CHECK_RC(-EREMOTEIO, test_get(store, 105, LEN));
	CHECK(store_explain(store, &cids[5], text, sizeof(text)));
	CHECK(strcmp(text,
		      "lies in the tier cold, which fails: the disk is not plugged in; plug it in") ==
		0);
	CHECK_RC(0, store_tier_stat(store, "cold", &stat));
	CHECK(stat.last_error == -EHOSTDOWN && stat.errors == 4 + LEAVES + 1);
	/* It is there all the same. */
	CHECK(store_has(store, &cids[5]) == 1 && store_size(store, &cids[5]) == LEN);
	CHECK_RC(-EREMOTEIO, promote(store, 1, &moved));
	place.fail_read = 0;
	store_tier_detach(store, "cold");
	CHECK_RC(-EREMOTEIO, test_get(store, 105, LEN));
	CHECK(store_explain(store, &cids[5], text, sizeof(text)));
	/* Asked behind that, one that was never here has nothing to do with the tier. */
	test_block(999999, LEN, data, &absent);
	CHECK(!store_explain(store, &absent, other, sizeof(other)));
	CHECK(strcmp(text, "lies in the tier cold, which is not configured, or not open") == 0);
	CHECK_RC(0, attach(store));
	CHECK_RC(0, store_get_many(store, cids, LEAVES + 1, blocks, results));
	for (int i = 0; i <= LEAVES; i++) {
		CHECK(results[i] == 0);
		store_block_release(&blocks[i]);
	}
	return end(store);
}

/* What is moved away is read past the cache, which keeps what is in use. */
static int a_move_leaves_the_cache_alone(void *arg)
{
	struct store *store;
	struct store_cache_stat before, after;
	struct mf_cid roots[TREES];
	struct store_move_result moved;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	store_set_cache(store, (LEAVES + 2) * (LEN + 500));
	for (int i = 0; i < 2 * LEAVES; i++)
		CHECK_RC(0, test_get(store, i % LEAVES, LEN));
	store_cache_stat(store, &before);
	CHECK_RC(0, demote(store, 1, &moved));
	CHECK_RC(0, demote(store, 2, &moved));
	for (int i = 0; i < LEAVES; i++)
		CHECK_RC(0, test_get(store, i, LEN));
	store_cache_stat(store, &after);
	CHECK(moved.blocks == LEAVES && after.hits == before.hits + LEAVES);
	return end(store);
}

static int what_is_damaged_there_is_not_served(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES], cids[LEAVES];
	struct store_move_result moved;
	struct index_place at;
	store_ticket ticket = 0;
	char text[320], expected[320];

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(0, demote(store, 1, &moved));
	leaves_of(1, cids);
	CHECK(index_find(&store->index, &cids[5], &at) == 1);
	test_flip(only_object(), (long)at.offset + 1000);
	for (int again = 0; again < 2; again++) {
		CHECK_RC(-EBADMSG, test_get(store, 105, LEN));
		store_explain(store, &cids[5], text, sizeof(text));
		snprintf(expected, sizeof(expected),
			"is damaged, or lost: bytes %llu to %llu of %s in the tier cold",
			(unsigned long long)at.offset, (unsigned long long)at.offset + LEN,
			strrchr(only_object(), '/') + 1);
		CHECK(strcmp(text, expected) == 0);
		CHECK(there(store) == TREES * LEAVES - 1);
	}
	/* A put mends it, here. */
	CHECK_RC(0, test_put(store, 105, LEN, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK(there(store) == TREES * LEAVES && cold_leaves(store) == LEAVES - 1);
	CHECK_RC(0, test_verify(store));
	/* Cut off; away, and back. */
	CHECK(truncate(only_object(), 3000) == 0);
	CHECK_RC(-EBADMSG, test_get(store, 110, LEN));
	snprintf(text, sizeof(text), "%s", only_object());
	snprintf(expected, sizeof(expected), "%s.away", test_repo);
	CHECK(rename(text, expected) == 0);
	CHECK_RC(-EBADMSG, test_get(store, 100, LEN));
	CHECK(store_has(store, &cids[0]) == 0);
	CHECK(rename(expected, text) == 0);
	CHECK_RC(0, test_get(store, 100, LEN));
	CHECK(store_has(store, &cids[0]) == 1);
	return end(store);
}

/* The repo as it was before some verb: everything is where it was, or there. */
static int live_on(int image)
{
	struct store_collect_result collected;
	struct store *store;
	char command[400];

	snprintf(command, sizeof(command), "rm -rf %s; mv %s.image%d %s", test_repo, test_repo,
		image, test_repo);
	CHECK(system(command) == 0);
	CHECK_RC(0, open_again(&store));
	CHECK(there(store) == TREES * LEAVES);
	CHECK_RC(0, test_verify(store));
	CHECK_RC(0, collect(store, &collected));
	CHECK(there(store) == TREES * LEAVES);
	return store_close(store);
}

static int a_move_may_stop_anywhere(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES];
	struct store_move_result moved;
	struct store_collect_result collected;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	place.images = true;
	CHECK_RC(0, demote(store, 1, &moved));
	take_image();
	CHECK_RC(0, collect(store, &collected));
	take_image();
	CHECK_RC(0, promote(store, 1, &moved));
	take_image();
	CHECK_RC(0, collect(store, &collected));
	CHECK(collected.objects == 1);
	take_image();
	place.images = false;
	CHECK_RC(0, store_close(store));
	CHECK(place.image_count > 10);
	for (int i = 0; i < place.image_count; i++)
		CHECK_RC(0, live_on(i));
	/* In the last of them it is to go. */
	CHECK_RC(0, open_again(&store));
	CHECK_RC(0, store_tier_tend(store, "cold"));
	CHECK(objects() == 0 && there(store) == TREES * LEAVES);
	return end(store);
}

struct waiter {
	struct store *store;
	int rc;
};

static int get_cold(void *arg)
{
	struct waiter *waiter = arg;

	waiter->rc = test_get(waiter->store, 105, LEN);
	return 0;
}

static int get_cold_briefly(void *arg)
{
	return test_get(arg, 106, LEN);
}

/* Somebody waits for a tier, and nobody else does. */
static int a_slow_tier_delays_only_who_asks_it(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES];
	struct store_move_result moved;
	struct store_collect_result collected;
	struct anyio_event hold;
	struct anyio_cancel_scope limit;
	store_ticket ticket = 0;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(0, demote(store, 1, &moved));
	anyio_event_init(&hold);
	place.hold = &hold;
	struct waiter waiter = { store, 1 };
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, get_cold, &waiter, "get_cold");
	CHECK(test_get(store, 5, LEN) == 0 && test_get(store, 305, LEN) == 0);
	CHECK_RC(0, test_put(store, 1000, LEN, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, demote(store, 9, &moved));
	CHECK_RC(0, collect(store, &collected));
	CHECK_RC(0, store_checkpoint(store));
	CHECK_RC(0, test_verify(store));
	/* Nor longer than he wants to. */
	anyio_cancel_scope_init(&limit);
	anyio_cancel_scope_set_timeout(&limit, ANYIO_MILLISECOND);
	CHECK_RC(0, anyio_cancel_scope_run(&limit, get_cold_briefly, store));
	CHECK(waiter.rc == 1);
	place.hold = NULL;
	anyio_event_set(&hold);
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	CHECK(waiter.rc == 0);
	return end(store);
}

/* Little of an object is needed: that goes into a new one, and the object goes. */
static int an_object_that_is_mostly_dead_is_written_anew(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES], cids[3 * LEAVES];
	struct store_move_result moved;
	struct store_collect_result collected;
	struct store_tier_stat stat;
	store_ticket ticket = 0;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	for (int i = 0; i < 3; i++)
		leaves_of(i, cids + i * LEAVES);
	CHECK_RC(0, store_demote(store, "cold", cids, 3 * LEAVES, NULL, &moved));
	CHECK_RC(0, collect(store, &collected));
	CHECK_RC(0, store_tier_tend(store, "cold"));
	CHECK(objects() == 1 && collected.objects == 0);
	long before = test_file_size(only_object());
	for (int i = 0; i < 2; i++)
		CHECK_RC(0, store_pin_remove(store, &roots[i], &ticket));
	CHECK_RC(0, collect(store, &collected));
	CHECK(collected.objects == 0);
	/* Stopped half way, it is as it was. */
	place.fail_write = -ENOSPC;
	CHECK_RC(-EREMOTEIO, store_tier_tend(store, "cold"));
	place.fail_write = 0;
	CHECK(there(store) == 2 * LEAVES && cold_leaves(store) == LEAVES);
	CHECK_RC(0, collect(store, &collected));
	CHECK_RC(0, store_tier_tend(store, "cold"));
	CHECK(objects() == 2 && cold_leaves(store) == LEAVES);
	CHECK_RC(0, collect(store, &collected));
	CHECK(collected.objects == 1);
	CHECK_RC(0, store_tier_tend(store, "cold"));
	CHECK(objects() == 1 && test_file_size(only_object()) < before / 2);
	for (int again = 0; again < 2; again++) {
		CHECK_RC(0, collect(store, &collected));
		place.calls = 0;
		CHECK_RC(0, store_tier_tend(store, "cold"));
		CHECK(place.calls == 0 && there(store) == 2 * LEAVES && object_blocks() == LEAVES);
		CHECK_RC(0, test_verify(store));
		CHECK_RC(0, test_crash(store));
		CHECK_RC(0, open_again(&store));
		CHECK_RC(0, store_tier_tend(store, "cold"));
	}
	CHECK_RC(0, store_tier_stat(store, "cold", &stat));
	CHECK(stat.objects == 1 && stat.blocks == LEAVES && stat.unwanted == 0);
	return end(store);
}

struct told {
	uint64_t done, stop;
	int times;
	bool grows;
};

static int see_progress(void *arg, uint64_t done)
{
	struct told *told = arg;

	told->grows &= done >= told->done;
	told->done = done;
	told->times++;
	return told->stop && done >= told->stop ? -ECANCELED : 0;
}

/* What is written is half of it, and all is told at the end; who has seen enough ends it, and nothing is moved that was not whole. */
static int a_move_tells_how_far_it_is(void *arg)
{
	static const uint64_t all = LEAVES * LEN, stops[] = { 1, all / 2 + 1 };
	struct told told;
	struct store_move_options options = { see_progress, &told };
	struct store *store;
	struct mf_cid roots[TREES], cids[LEAVES];
	struct store_move_result moved;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	leaves_of(1, cids);
	for (int i = 0; i < 2; i++) {
		told = (struct told){ .stop = stops[i], .grows = true };
		CHECK_RC(-ECANCELED, store_demote(store, "cold", cids, LEAVES, &options, &moved));
		CHECK(moved.blocks == 0 && cold_leaves(store) == 0 && told.grows);
		CHECK(i == 0 ? told.done <= all / 2 : told.done > all / 2);
	}
	told = (struct told){ .grows = true };
	CHECK_RC(0, store_demote(store, "cold", cids, LEAVES, &options, &moved));
	CHECK(told.grows && told.times > 1 && told.done == all && moved.bytes == all);
	told = (struct told){ .grows = true, .stop = 1 };
	CHECK_RC(-ECANCELED, store_promote(store, cids, LEAVES, &options, &moved));
	CHECK(told.times == 1 && told.done == moved.bytes && moved.bytes > 0);
	CHECK_RC(0, demote(store, 1, &moved));
	told = (struct told){ .grows = true };
	CHECK_RC(0, store_promote(store, cids, LEAVES, &options, &moved));
	CHECK(told.grows && told.done == all && cold_leaves(store) == 0);
	CHECK(there(store) == TREES * LEAVES);
	CHECK_RC(0, test_verify(store));
	return end(store);
}

ON_BACKENDS(a_move_tells_how_far_it_is)
ON_BACKENDS(what_is_demoted_is_read_from_there)
ON_BACKENDS(an_object_that_is_mostly_dead_is_written_anew)
ON_BACKENDS(what_is_promoted_leaves_nothing)
ON_BACKENDS(a_tier_that_fails_says_so)
ON_BACKENDS(a_move_leaves_the_cache_alone)
ON_BACKENDS(what_is_damaged_there_is_not_served)
ON_BACKENDS(a_move_may_stop_anywhere)
ON_BACKENDS(a_slow_tier_delays_only_who_asks_it)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_move_tells_how_far_it_is),
		cmocka_unit_test(test_what_is_demoted_is_read_from_there),
		cmocka_unit_test(test_an_object_that_is_mostly_dead_is_written_anew),
		cmocka_unit_test(test_what_is_promoted_leaves_nothing),
		cmocka_unit_test(test_a_tier_that_fails_says_so),
		cmocka_unit_test(test_a_move_leaves_the_cache_alone),
		cmocka_unit_test(test_what_is_damaged_there_is_not_served),
		cmocka_unit_test(test_a_move_may_stop_anywhere),
		cmocka_unit_test(test_a_slow_tier_delays_only_who_asks_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
