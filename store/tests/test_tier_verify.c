/* A verification of tiers: every block there is read, what is wrong is told and counts as damaged, and nothing else is. */
#include "cold.h"
#include "../index.h"
#include "../inner.h"

#include <unistd.h>

/* What a verification has told. */
struct told {
	int tier, unread, pins, blocks, indexes, others;
	bool following;    /* all pins */
	struct mf_cid cid; /* of the last block that was told of the tier */
	uint64_t from, to, lacking;
	char object[80];
	int error;
	uint64_t done, total;
	int stop_after; /* calls of progress; 0: none stops it */
	struct store_verify_result result;
};

static void note_fault(void *arg, const struct store_fault *fault)
{
	struct told *told = arg;

	switch (fault->kind) {
	case STORE_FAULT_TIER:
		told->tier += fault->cid != NULL;
		told->indexes += fault->cid == NULL;
		if (fault->cid)
			told->cid = *fault->cid;
		break;
	case STORE_FAULT_UNREAD:
		told->unread++;
		told->lacking += fault->blocks;
		break;
	case STORE_FAULT_PIN:
		told->following &= fault->follows;
		told->pins++;
		return;
	case STORE_FAULT_BLOCK: told->blocks++; return;
	default: told->others++; return;
	}
	told->error = fault->error;
	told->from = fault->from;
	told->to = fault->to;
	snprintf(told->object, sizeof(told->object), "%s/%s", fault->tier, fault->object);
}

static int note_progress(void *arg, uint64_t done, uint64_t total)
{
	struct told *told = arg;

	if (done < told->done || done > total)
		return -EPROTO;
	told->done = done;
	told->total = total;
	return told->stop_after && --told->stop_after == 0 ? 7 : 0;
}

static long verify(struct store *store, struct store_verify_options options, struct told *told)
{
	int stop_after = told->stop_after;

	*told = (struct told){ .following = true, .stop_after = stop_after };
	options.progress = note_progress;
	options.fault = note_fault;
	options.arg = told;
	int rc = store_verify(store, &options, &told->result);
	return rc != 0 ? rc : (long)told->result.faults;
}

static long verify_tiers(struct store *store, struct told *told)
{
	return verify(store, (struct store_verify_options){ .tiers = true }, told);
}

/* A store of trees, of which the leaves of some lie in the tier, an object each, and are nowhere else. */
static int begin_cold(struct store **store, int trees)
{
	struct mf_cid roots[TREES];
	struct store_move_result moved;
	struct store_collect_result collected;

	CHECK_RC(0, begin(store));
	CHECK_RC(0, put_trees(*store, roots));
	for (int tree = 1; tree <= trees; tree++)
		CHECK_RC(0, demote(*store, tree, &moved));
	CHECK_RC(0, collect(*store, &collected));
	place.calls = place.reads = 0;
	return 0;
}

static int find_leaf(struct store *store, int i, struct mf_cid *cid, struct index_place *at)
{
	struct mf_cid cids[LEAVES];

	leaves_of(1, cids);
	*cid = cids[i];
	return index_find(&store->index, cid, at);
}

static int a_whole_tier_is_no_fault(void *arg)
{
	struct store_cache_stat before, after;
	struct store *store;
	struct told told = { 0 };

	CHECK_RC(0, begin_cold(&store, 2));
	CHECK_RC(0, verify(store, (struct store_verify_options){ 0 }, &told));
	/* Nobody asked for it. */
	CHECK(place.calls == 0);
	uint64_t blocks = told.result.blocks, bytes = told.result.bytes;
	store_set_cache(store, 1 << 20);
	store_cache_stat(store, &before);
	CHECK_RC(0,
		verify(store, (struct store_verify_options){ .tiers = true, .skip_pins = true },
			&told));
	CHECK(told.result.blocks == blocks + 2 * LEAVES);
	CHECK(told.result.bytes == bytes + 2 * LEAVES * LEN);
	CHECK(told.done == told.total && told.total > bytes + 2 * LEAVES * LEN);
	/* Many at a time: a read gives 5000 bytes. */
	CHECK(place.reads <= 2 * (1 + LEAVES * (LEN + 50) / 5000 + 1));
	store_cache_stat(store, &after);
	CHECK(after.blocks == before.blocks && after.hits == before.hits &&
		after.misses == before.misses);
	return end(store);
}

/* More than is read by one call, of bytes and of blocks, with what is dead in between. */
enum { MANY = 1300, LARGE = 20, LARGE_LEN = 300000 };

static size_t many_length(int i)
{
	return i < MANY ? 60 : LARGE_LEN;
}

static int demote_many(struct store *store, struct mf_cid *cids)
{
	static uint8_t data[LARGE_LEN];
	struct store_move_result moved;
	store_ticket ticket = 0;

	for (int i = 0; i < MANY + LARGE; i++) {
		test_block(i, many_length(i), data, &cids[i]);
		CHECK_RC(0, test_put(store, i, many_length(i), &ticket));
	}
	CHECK_RC(0, store_demote(store, "cold", cids, MANY + LARGE, NULL, &moved));
	/* Some small ones, and a large one. */
	CHECK_RC(0, store_promote(store, cids + 100, 400, NULL, &moved));
	return store_promote(store, cids + MANY + 5, 1, NULL, &moved);
}

static int all_of_a_large_object_is_read(void *arg)
{
	static struct mf_cid cids[MANY + LARGE];
	static const int spoilt[] = { 0, 99, 500, 1100, MANY - 1, MANY + 4, MANY + 6,
		MANY + LARGE - 1 };
	enum { SPOILT = sizeof(spoilt) / sizeof(*spoilt) };
	struct store_tier_stat before, after;
	struct store *store;
	struct told told = { 0 };
	struct index_place at;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, demote_many(store, cids));
	CHECK_RC(0, verify(store, (struct store_verify_options){ 0 }, &told));
	uint64_t blocks = told.result.blocks;
	CHECK_RC(0, store_tier_stat(store, "cold", &before));
	CHECK_RC(0, verify_tiers(store, &told));
	CHECK(told.result.blocks == blocks + MANY + LARGE - 401 && told.done == told.total);
	/* What is dead only where it is little. */
	CHECK_RC(0, store_tier_stat(store, "cold", &after));
	CHECK(after.read_bytes - before.read_bytes < after.bytes - LARGE_LEN);
	for (int i = 0; i < SPOILT; i++) {
		CHECK(index_find(&store->index, &cids[spoilt[i]], &at) == 1);
		test_flip(only_object(), (long)(at.offset + at.len) - 1);
	}
	/* And one that nobody asks there for. */
	test_flip(only_object(), (long)(at.offset - 14 * (uint64_t)LARGE_LEN));
	CHECK_RC(SPOILT, verify_tiers(store, &told));
	CHECK(told.tier == SPOILT && told.result.blocks == blocks + MANY + LARGE - 401 - SPOILT);
	for (int i = 0; i < MANY + LARGE; i++) {
		bool damaged = false;

		for (int j = 0; j < SPOILT; j++)
			damaged |= i == spoilt[j];
		CHECK(store_has(store, &cids[i]) == !damaged);
	}
	return end(store);
}

static void hear(void *arg, const struct mf_cid *cid)
{
	++*(int *)arg;
}

static int what_is_damaged_there_is_found(void *arg)
{
	static const struct store_verify_options accepting = { .tiers = true, .accept_loss = true };
	struct store *store;
	struct told told = { 0 };
	struct index_place at;
	struct mf_cid cid;
	char object[80];

	CHECK_RC(0, begin_cold(&store, 1));
	CHECK(find_leaf(store, 5, &cid, &at) == 1);
	snprintf(object, sizeof(object), "cold/%s", strrchr(only_object(), '/') + 1);
	test_flip(only_object(), (long)at.offset + 1000);
	int heard = 0;
	store_on_damage(store, hear, &heard);
	for (int again = 0; again < 2; again++) {
		CHECK_RC(1, verify_tiers(store, &told));
		CHECK(heard == 1);
		CHECK(told.tier == 1 && told.error == -EBADMSG && told.others == 0);
		CHECK(mf_cid_equal(&told.cid, &cid) && strcmp(told.object, object) == 0);
		CHECK(told.from == at.offset && told.to == at.offset + LEN);
		CHECK(told.pins == 1 && told.following);
		CHECK_RC(0, store_has(store, &cid));
		CHECK_RC(-EBADMSG, test_get(store, 105, LEN));
	}
	CHECK(there(store) == TREES * LEAVES - 1);
	/* Believed again when it is whole again. */
	test_flip(only_object(), (long)at.offset + 1000);
	CHECK_RC(0, verify_tiers(store, &told));
	CHECK(store_has(store, &cid) == 1 && cold_leaves(store) == LEAVES);
	test_flip(only_object(), (long)at.offset + 1000);
	/* Given up, it is only the pin's affair. */
	CHECK_RC(1, verify(store, accepting, &told));
	CHECK(told.tier == 1 && told.result.accepted == 1 && told.pins == 1 && !told.following);
	CHECK_RC(1, verify_tiers(store, &told));
	CHECK(told.tier == 0 && told.pins == 1);
	return end(store);
}

static int an_object_that_is_missing_is_told(void *arg)
{
	struct store *store;
	struct told told = { 0 };
	char object[320], away[320];

	CHECK_RC(0, begin_cold(&store, 1));
	snprintf(object, sizeof(object), "%s", only_object());
	snprintf(away, sizeof(away), "%s.away", test_repo);
	CHECK(rename(object, away) == 0);
	CHECK_RC(LEAVES, verify_tiers(store, &told));
	CHECK(told.tier == LEAVES && told.indexes == 0 && told.pins == 1 && told.following);
	CHECK(there(store) == (TREES - 1) * LEAVES && told.done == told.total);
	CHECK(rename(away, object) == 0);
	CHECK_RC(0, verify_tiers(store, &told));
	/* Nor is the end of it. */
	CHECK(cold_leaves(store) == LEAVES && truncate(object, 3000) == 0);
	CHECK_RC(LEAVES, verify_tiers(store, &told));
	CHECK(told.tier == LEAVES - 1 && told.indexes == 1 && there(store) == 3 * LEAVES + 1);
	return end(store);
}

/* What nobody needs as long as the repo has an index. */
static int an_index_there_is_looked_at(void *arg)
{
	struct store_verify_options options = { .tiers = true, .skip_pins = true };
	struct store_cache_stat cache;
	struct store *store;
	struct told told = { 0 };

	CHECK_RC(0, begin_cold(&store, 1));
	CHECK_RC(0, verify(store, options, &told));
	uint64_t blocks = told.result.blocks;
	long size = test_file_size(only_object());
	test_flip(only_object(), size - 20);
	store_set_cache(store, 1 << 20);
	for (int i = 0; i < 2; i++) {
		CHECK_RC(1, verify(store, options, &told));
		CHECK(told.indexes == 1 && told.to == (uint64_t)size && told.from < told.to);
		CHECK(told.tier == 0 && told.result.blocks == blocks);
		/* It is no loss yet. */
		options.accept_loss = true;
	}
	store_cache_stat(store, &cache);
	CHECK(cache.blocks == 0 && cache.misses == 0);
	CHECK(there(store) == TREES * LEAVES);
	return end(store);
}

static int fail_third(void)
{
	return place.calls == 3 ? -ETIMEDOUT : 0;
}

/* And what is wrong elsewhere is told. */
static int a_tier_that_is_down_is_told_once(void *arg)
{
	struct store *store;
	struct told told = { 0 };
	struct mf_cid cids[LEAVES];
	struct index_place at;

	CHECK_RC(0, begin_cold(&store, 2));
	leaves_of(0, cids);
	CHECK(index_find(&store->index, &cids[3], &at) == 1);
	test_flip(test_segment(at.segment), (long)at.offset + 7);
	place.fail_read = -EHOSTDOWN;
	CHECK_RC(2, verify_tiers(store, &told));
	CHECK(told.unread == 1 && told.lacking == 2 * LEAVES && told.error == -EREMOTEIO);
	/* By one more object it is known to be the tier. */
	CHECK(told.blocks == 1 && told.tier == 0 && place.calls == 2);
	CHECK(told.pins == 1 && told.following && told.done == told.total);
	/* Taken away; and in the middle of an object. */
	store_tier_detach(store, "cold");
	CHECK_RC(2, verify_tiers(store, &told));
	CHECK(told.unread == 1 && told.lacking == 2 * LEAVES && place.calls == 2);
	CHECK_RC(0, attach(store));
	place.fail_read = 0;
	place.calls = 0;
	place.before = fail_third;
	CHECK_RC(2, verify_tiers(store, &told));
	CHECK(told.unread == 1 && told.lacking == LEAVES && place.calls > 3);
	place.before = NULL;
	CHECK_RC(1, verify_tiers(store, &told));
	CHECK(told.unread == 0 && cold_leaves(store) == 2 * LEAVES);
	return end(store);
}

/* One sector that cannot be read takes its object, and of no other anything. */
static int one_object_that_cannot_be_read(void *arg)
{
	struct store *store;
	struct told told = { 0 };
	struct mf_cid cids[LEAVES];
	struct index_place at;
	char command[300];

	CHECK_RC(0, begin_cold(&store, 3));
	leaves_of(3, cids);
	CHECK(index_find(&store->index, &cids[4], &at) == 1);
	snprintf(command, sizeof(command),
		"for f in %s/%08u-*; do printf X | dd of=$f bs=1 seek=%llu conv=notrunc 2>/dev/null; done",
		place.dir, at.segment, (unsigned long long)at.offset + 3);
	CHECK_RC(0, system(command));
	place.before = fail_third;
	CHECK_RC(2, verify_tiers(store, &told));
	CHECK(told.unread == 1 && told.lacking == LEAVES && told.tier == 1 &&
		mf_cid_equal(&told.cid, &cids[4]));
	place.before = NULL;
	return end(store);
}

/* What is known to be damaged is told by its name all the same. */
static int damage_in_a_tier_that_is_down(void *arg)
{
	static const struct store_verify_options accepting = { .tiers = true, .accept_loss = true };
	struct store *store;
	struct told told = { 0 };
	struct index_place at;
	struct mf_cid cid;

	CHECK_RC(0, begin_cold(&store, 1));
	CHECK(find_leaf(store, 5, &cid, &at) == 1);
	test_flip(only_object(), (long)at.offset + 1000);
	CHECK_RC(1, verify_tiers(store, &told));
	place.fail_read = -EHOSTDOWN;
	place.calls = 0;
	CHECK_RC(2, verify(store, accepting, &told));
	CHECK(told.unread == 1 && told.lacking == LEAVES - 1 && place.calls == 1);
	CHECK(told.tier == 1 && mf_cid_equal(&told.cid, &cid) && told.result.accepted == 0);
	return end(store);
}

/* ---- meanwhile ---- */

static struct store *other;
static int at_call;
static bool spoils;

/* All of it comes back, and the object goes, or nobody cares what is in it. */
static int bring_back(void)
{
	struct store_move_result moved;
	struct store_collect_result collected;

	if (place.calls != at_call)
		return 0;
	place.before = NULL;
	CHECK_RC(0, promote(other, 1, &moved));
	CHECK(moved.blocks == LEAVES);
	if (spoils)
		for (long at = 500; at < LEAVES * LEN; at += 500)
			test_flip(only_object(), at);
	else
		CHECK_RC(0, collect(other, &collected));
	CHECK_RC(0, store_tier_tend(other, "cold"));
	return 0;
}

static int verify_meanwhile(void *arg)
{
	struct told told = { 0 };

	CHECK_RC(0, begin_cold(&other, 1));
	place.before = bring_back;
	CHECK_RC(0, verify_tiers(other, &told));
	CHECK(place.before == NULL && objects() == spoils);
	CHECK(there(other) == TREES * LEAVES && cold_leaves(other) == 0);
	return end(other);
}

/* While its index is read, and while its blocks are. */
static void what_moves_meanwhile_is_no_fault(void **state)
{
	for (at_call = 1; at_call <= 3; at_call++) {
		spoils = false;
		run_body(verify_meanwhile);
		spoils = true;
		run_body(verify_meanwhile);
	}
}

/* Back here, and damaged here. */
static int bring_back_and_spoil(void)
{
	struct index_place at;
	struct mf_cid cid;

	if (place.calls != at_call)
		return 0;
	CHECK_RC(0, bring_back());
	CHECK_RC(0, store_checkpoint(other));
	for (int i = 0; i < LEAVES; i++) {
		CHECK(find_leaf(other, i, &cid, &at) == 1);
		test_flip(test_segment(at.segment), (long)at.offset + 7);
	}
	return 0;
}

static int what_is_damaged_elsewhere_is_not_told_of_it(void *arg)
{
	struct told told = { 0 };

	CHECK_RC(0, begin_cold(&other, 1));
	test_flip(only_object(), test_file_size(only_object()) - 20);
	at_call = 2;
	spoils = true;
	place.before = bring_back_and_spoil;
	CHECK_RC(0, verify_tiers(other, &told));
	CHECK(place.before == NULL && told.tier == 0 && there(other) == (TREES - 1) * LEAVES);
	return end(other);
}

static int verify_briefly(void *arg)
{
	struct told told = { 0 };
	long rc = verify_tiers(arg, &told);

	return rc == ANYIO_CANCELLED ? 0 : -EPROTO;
}

static int it_can_be_stopped(void *arg)
{
	struct store *store;
	struct told told = { 0 };
	struct anyio_event hold;
	struct anyio_cancel_scope limit;

	CHECK_RC(0, begin_cold(&store, 1));
	anyio_event_init(&hold);
	place.hold = &hold;
	anyio_cancel_scope_init(&limit);
	anyio_cancel_scope_set_timeout(&limit, ANYIO_MILLISECOND);
	CHECK_RC(0, anyio_cancel_scope_run(&limit, verify_briefly, store));
	place.hold = NULL;
	/* By who is told of the progress, at each step of it. */
	for (int spoilt = 0; spoilt < 2; spoilt++) {
		long rc = 7;
		int steps = 0;

		/* In the digest of the last entry of its index: then block by block. */
		if (spoilt)
			test_flip(only_object(), test_file_size(only_object()) - 20);
		while (rc == 7) {
			told.stop_after = ++steps;
			rc = verify_tiers(store, &told);
		}
		CHECK_RC(spoilt, rc);
		CHECK(steps > (spoilt ? LEAVES : 3));
	}
	return end(store);
}

ON_BACKENDS(a_whole_tier_is_no_fault)
ON_BACKENDS(all_of_a_large_object_is_read)
ON_BACKENDS(what_is_damaged_there_is_found)
ON_BACKENDS(an_object_that_is_missing_is_told)
ON_BACKENDS(an_index_there_is_looked_at)
ON_BACKENDS(a_tier_that_is_down_is_told_once)
ON_BACKENDS(one_object_that_cannot_be_read)
ON_BACKENDS(damage_in_a_tier_that_is_down)
ON_BACKENDS(what_is_damaged_elsewhere_is_not_told_of_it)
ON_BACKENDS(it_can_be_stopped)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_tier_is_no_fault),
		cmocka_unit_test(test_all_of_a_large_object_is_read),
		cmocka_unit_test(test_what_is_damaged_there_is_found),
		cmocka_unit_test(test_an_object_that_is_missing_is_told),
		cmocka_unit_test(test_an_index_there_is_looked_at),
		cmocka_unit_test(test_a_tier_that_is_down_is_told_once),
		cmocka_unit_test(test_one_object_that_cannot_be_read),
		cmocka_unit_test(test_damage_in_a_tier_that_is_down),
		cmocka_unit_test(what_moves_meanwhile_is_no_fault),
		cmocka_unit_test(test_what_is_damaged_elsewhere_is_not_told_of_it),
		cmocka_unit_test(test_it_can_be_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
