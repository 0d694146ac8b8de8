/* Tiers that answer wrong, are taken away, or are damaged: nothing is believed that was not seen, and it is told. */
#include "cold.h"
#include "../index.h"
#include "../inner.h"

#include <unistd.h>

/* What a verification has told, by kind. */
struct told {
	int tier, unread, pins, following;
	bool named;
};

static void note_fault(void *arg, const struct store_fault *fault)
{
	struct told *told = arg;

	told->tier += fault->kind == STORE_FAULT_TIER;
	told->unread += fault->kind == STORE_FAULT_UNREAD;
	told->pins += fault->kind == STORE_FAULT_PIN;
	told->following += fault->follows;
	if (fault->kind == STORE_FAULT_TIER || fault->kind == STORE_FAULT_UNREAD)
		told->named = strcmp(fault->tier, "cold") == 0 &&
			strcmp(fault->object, strrchr(only_object(), '/') + 1) == 0;
}

static long verify(struct store *store, bool accept, struct told *told)
{
	struct store_verify_options options = {
		.fault = note_fault, .arg = told, .accept_loss = accept
	};
	struct store_verify_result result;

	*told = (struct told){ 0 };
	int rc = store_verify(store, &options, &result);
	return rc < 0 ? rc : (long)result.faults;
}

static long damaged_at;

/* One leaf is damaged in its object, there, and was found to be. */
static int damage_one(struct store *store)
{
	struct mf_cid cids[LEAVES];
	struct index_place at;

	leaves_of(1, cids);
	CHECK(index_find(&store->index, &cids[5], &at) == 1);
	damaged_at = (long)at.offset + 1000;
	test_flip(only_object(), damaged_at);
	CHECK_RC(-EBADMSG, test_get(store, 105, LEN));
	return 0;
}

static int damage_in_a_tier_is_told(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES];
	struct store_move_result moved;
	store_ticket ticket = 0;
	struct told told;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(0, demote(store, 1, &moved));
	CHECK_RC(0, verify(store, false, &told));
	CHECK_RC(0, damage_one(store));
	for (int again = 0; again < 2; again++) {
		CHECK_RC(1, verify(store, false, &told));
		CHECK(told.tier == 1 && told.named && told.pins == 1 && told.following == 1);
		CHECK_RC(0, store_close(store));
		CHECK_RC(0, open_again(&store));
	}
	/* Given up, it is only the pin's affair; put again, nobody's. */
	CHECK_RC(1, verify(store, true, &told));
	CHECK(told.tier == 1 && told.pins == 1 && told.following == 0);
	CHECK_RC(1, verify(store, false, &told));
	CHECK(told.tier == 0 && told.pins == 1);
	CHECK_RC(0, test_put(store, 105, LEN, &ticket));
	CHECK_RC(0, verify(store, false, &told));
	return end(store);
}

/* All leaves of a tree, read together: how many are whole. */
static int read_together(struct store *store)
{
	struct mf_cid cids[LEAVES];
	struct store_block blocks[LEAVES];
	int results[LEAVES], whole = 0;

	leaves_of(1, cids);
	CHECK_RC(0, store_get_many(store, cids, LEAVES, blocks, results));
	for (int i = 0; i < LEAVES; i++) {
		CHECK(results[i] == 0 || results[i] == -EBADMSG);
		whole += results[i] == 0;
		store_block_release(&blocks[i]);
	}
	return whole;
}

/* Found lost or damaged by all who read: that is true only as long as it is. */
static int what_was_out_of_sight_is_not_given_up(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES];
	struct store_move_result moved;
	struct store_collect_result collected;
	struct told told;
	char object[320], away[320];

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(0, demote(store, 1, &moved));
	CHECK_RC(0, collect(store, &collected));
	snprintf(object, sizeof(object), "%s", only_object());
	snprintf(away, sizeof(away), "%s.away", test_repo);
	CHECK(rename(object, away) == 0);
	CHECK_RC(0, read_together(store));
	CHECK(rename(away, object) == 0);
	/* Nor what cannot be asked now. */
	place.fail_read = -EIO;
	CHECK_RC(LEAVES, verify(store, true, &told));
	CHECK(told.tier == LEAVES);
	place.fail_read = 0;
	CHECK_RC(0, verify(store, true, &told));
	CHECK(rename(object, away) == 0);
	CHECK_RC(0, read_together(store));
	CHECK(rename(away, object) == 0);
	CHECK_RC(LEAVES, read_together(store));
	CHECK(cold_leaves(store) == LEAVES);
	/* One that is damaged stays there, the others come. */
	CHECK_RC(0, damage_one(store));
	CHECK_RC(-EBADMSG, promote(store, 1, &moved));
	CHECK(moved.blocks == LEAVES - 1 && moved.skipped == 0);
	CHECK_RC(LEAVES - 1, read_together(store));
	test_flip(object, damaged_at);
	CHECK_RC(0, promote(store, 1, &moved));
	CHECK(moved.blocks == 1 && moved.skipped == LEAVES - 1 && cold_leaves(store) == 0);
	CHECK_RC(0, verify(store, false, &told));
	return end(store);
}

static int what_is_not_known_yet_is_told(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES];
	struct store_move_result moved;
	struct store_collect_result collected;
	store_ticket ticket = 0;
	struct told told;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(0, demote(store, 1, &moved));
	CHECK_RC(0, collect(store, &collected));
	CHECK_RC(0, rebuild_index(store, NULL));
	CHECK_RC(1, verify(store, false, &told));
	CHECK(told.unread == 1 && told.named && told.pins == 1 && told.following == 1);
	/* More is lacking than can be there. */
	CHECK_RC(0, test_put_tree(store, 900, LEAVES, LEN, &roots[0], &ticket));
	CHECK_RC(0, store_pin_add(store, &roots[0], STORE_PIN_RECURSIVE, &ticket));
	CHECK_RC(0, demote(store, 9, &moved));
	CHECK_RC(0, store_tier_tend(store, "cold"));
	CHECK_RC(0, verify(store, false, &told));
	CHECK(told.unread == 0 && told.pins == 0);
	return end(store);
}

/* An index is believed when it is the one that was written, and not in part. */
static int an_index_that_is_damaged_is_not_believed(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES], cids[LEAVES];
	struct store_move_result moved;
	struct store_collect_result collected;
	struct store_tier_stat stat;
	long size;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(0, demote(store, 1, &moved));
	CHECK_RC(0, collect(store, &collected));
	size = test_file_size(only_object());
	/* In the digest of the last entry. */
	test_flip(only_object(), size - 20);
	CHECK_RC(0, rebuild_index(store, NULL));
	uint64_t blocks = store->index.counts.blocks;
	CHECK_RC(0, store_tier_tend(store, "cold"));
	CHECK(store->index.counts.blocks == blocks);
	CHECK_RC(0, store_tier_stat(store, "cold", &stat));
	CHECK(stat.unread == 1 && stat.errors == 1 && stat.last_error == -EBADMSG);
	CHECK_RC(0, collect(store, &collected));
	CHECK(collected.objects == 0);
	test_flip(only_object(), size - 20);
	CHECK_RC(0, store_tier_tend(store, "cold"));
	leaves_of(1, cids);
	CHECK(there(store) == TREES * LEAVES && cold_leaves(store) == LEAVES);
	return end(store);
}

static int what_many_find_damaged_is_remembered(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES], cids[LEAVES];
	struct store_block blocks[LEAVES];
	struct store_move_result moved;
	int results[LEAVES];

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(0, demote(store, 1, &moved));
	leaves_of(1, cids);
	CHECK(truncate(only_object(), 3000) == 0);
	CHECK_RC(0, store_get_many(store, cids, LEAVES, blocks, results));
	CHECK(results[0] == 0 && results[LEAVES - 1] == -EBADMSG);
	for (int i = 0; i < LEAVES; i++) {
		CHECK(store_has(store, &cids[i]) == (results[i] == 0));
		store_block_release(&blocks[i]);
	}
	return end(store);
}

/* ---- taken away ---- */

static struct store *taken_from;

static int take_away(void)
{
	store_tier_detach(taken_from, "cold");
	return 0;
}

static int a_tier_may_be_taken_away_meanwhile(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES], cids[LEAVES];
	struct store_block blocks[LEAVES];
	struct store_move_result moved;
	int results[LEAVES];

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	taken_from = store;
	/* Nothing is asked of it any more, whatever was being done. */
	place.before = take_away;
	CHECK_RC(-EREMOTEIO, demote(store, 1, &moved));
	CHECK(place.calls == 1);
	place.before = NULL;
	place.fail_read = -EIO;
	CHECK_RC(0, attach(store));
	CHECK_RC(-EREMOTEIO, demote(store, 1, &moved));
	place.fail_read = 0;
	place.before = take_away;
	place.calls = 0;
	CHECK_RC(-EREMOTEIO, store_tier_tend(store, "cold"));
	CHECK(place.calls == 1);
	place.before = NULL;
	CHECK_RC(0, attach(store));
	CHECK_RC(0, store_tier_tend(store, "cold"));
	CHECK(objects() == 0 && there(store) == TREES * LEAVES);
	CHECK_RC(0, demote(store, 1, &moved));
	leaves_of(1, cids);
	place.before = take_away;
	CHECK_RC(0, store_get_many(store, cids, LEAVES, blocks, results));
	for (int i = 0; i < LEAVES; i++)
		store_block_release(&blocks[i]);
	place.before = NULL;
	return end(store);
}

/* ---- strange answers ---- */

static ssize_t read_too_much(
	void *arg, const char *object, uint64_t offset, void *buffer, size_t len)
{
	memset(buffer, 0, len);
	return (ssize_t)len + 1;
}

struct part {
	const struct store_tier_source *source;
	ssize_t n;
};

static int read_part(void *arg)
{
	struct part *part = arg;
	uint8_t buffer[700];

	part->n = part->source->read(part->source->arg, buffer, sizeof(buffer), 300);
	return (int)part->n;
}

/* Its own patience is over while it asks for bytes. */
static int write_impatiently(void *arg, const char *object, const struct store_tier_source *source)
{
	struct anyio_cancel_scope scope;
	struct part part = { source, 0 };

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "patience");
	anyio_cancel_scope_run(&scope, read_part, &part);
	return part.n == ANYIO_CANCELLED ? -ETIMEDOUT : -EPROTO;
}

static int remove_nothing(void *arg, const char *object)
{
	return 0;
}

static int a_tier_may_answer_anything(void *arg)
{
	static const struct store_tier strange = { read_too_much, write_impatiently, remove_nothing,
		NULL, NULL };
	struct store *store;
	struct mf_cid roots[TREES];
	struct store_move_result moved;
	struct store_tier_stat stat;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(0, demote(store, 1, &moved));
	CHECK_RC(0, store_tier_attach(store, "cold", &strange));
	CHECK_RC(-EBADMSG, test_get(store, 105, LEN));
	CHECK_RC(-EREMOTEIO, demote(store, 2, &moved));
	CHECK_RC(0, store_tier_stat(store, "cold", &stat));
	CHECK(stat.last_error == -ETIMEDOUT);
	CHECK_RC(0, attach(store));
	CHECK(there(store) == TREES * LEAVES);
	return end(store);
}

/* ---- nodes ---- */

/* What was put as a raw block, and is asked for as a node, may have links. */
static int a_node_by_its_name_stays(void *arg)
{
	struct store *store;
	struct mf_cid node, raw;
	struct store_move_result moved;
	store_ticket ticket = 0;

	CHECK_RC(0, begin(&store));
	mf_cid_of(&raw, 1, MF_CODEC_RAW, "\x0a\x00", 2);
	mf_cid_of(&node, 1, MF_CODEC_DAG_PB, "\x0a\x00", 2);
	CHECK_RC(0, store_put(store, &raw, "\x0a\x00", 2, 0, &ticket));
	CHECK_RC(0, store_demote(store, "cold", &node, 1, NULL, &moved));
	CHECK(moved.blocks == 0 && moved.skipped == 1);
	CHECK_RC(0, store_demote(store, "cold", &raw, 1, NULL, &moved));
	CHECK(moved.blocks == 1);
	return end(store);
}

ON_BACKENDS(damage_in_a_tier_is_told)
ON_BACKENDS(what_was_out_of_sight_is_not_given_up)
ON_BACKENDS(what_is_not_known_yet_is_told)
ON_BACKENDS(an_index_that_is_damaged_is_not_believed)
ON_BACKENDS(what_many_find_damaged_is_remembered)
ON_BACKENDS(a_tier_may_be_taken_away_meanwhile)
ON_BACKENDS(a_tier_may_answer_anything)
ON_BACKENDS(a_node_by_its_name_stays)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damage_in_a_tier_is_told),
		cmocka_unit_test(test_what_was_out_of_sight_is_not_given_up),
		cmocka_unit_test(test_what_is_not_known_yet_is_told),
		cmocka_unit_test(test_an_index_that_is_damaged_is_not_believed),
		cmocka_unit_test(test_what_many_find_damaged_is_remembered),
		cmocka_unit_test(test_a_tier_may_be_taken_away_meanwhile),
		cmocka_unit_test(test_a_tier_may_answer_anything),
		cmocka_unit_test(test_a_node_by_its_name_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
