/* What an index that is made anew is told: of blocks in two places, one of which went bad, that the other is the block; of an adopted
 * file, which blocks were in it. */
#include <errno.h>
#include "archives.h"
#include "cold.h"
#include "../inner.h"
#include "../segment_adopted.h"

static int place_of(struct store *store, int number, size_t len, struct index_place *out)
{
	static uint8_t data[TEST_BLOCK_MAX];
	struct mf_cid cid;

	test_block((uint64_t)number, len, data, &cid);
	return index_find(&store->index, &cid, out);
}

/* It would be given up there, too, as nothing is needed of the object. */
static int what_went_bad_here_is_read_from_the_tier(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES];
	struct store_move_result moved;
	struct store_collect_result collected;
	struct index_place here;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(1, place_of(store, 100, LEN, &here));
	CHECK_RC(0, demote(store, 1, &moved));
	test_flip(test_segment(here.segment), (long)here.offset + 7);
	CHECK_RC(0, rebuild_index(store, NULL));
	CHECK_RC(0, store_tier_tend(store, "cold"));
	CHECK_RC(1, cold_leaves(store));
	CHECK_RC(TREES * LEAVES, there(store));
	CHECK_RC(0, collect(store, &collected));
	CHECK_RC(TREES * LEAVES, there(store));
	return end(store);
}

/* Or cannot be read, as is the way of disks. */
static int what_cannot_be_read_here_is_read_from_the_tier(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES];
	struct store_move_result moved;
	struct store_collect_result collected;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(0, demote(store, 1, &moved));
	CHECK_RC(0, rebuild_index(store, NULL));
	CHECK_RC(0, cold_leaves(store));
	anyio_fault_set_sticky(ANYIO_FAULT_READ, 1, -EIO);
	int rc = store_tier_tend(store, "cold");
	anyio_fault_set(ANYIO_FAULT_READ, 0, 0);
	CHECK_RC(0, rc);
	CHECK_RC(LEAVES, cold_leaves(store));
	CHECK_RC(0, collect(store, &collected));
	CHECK_RC(TREES * LEAVES, there(store));
	return end(store);
}

/* What was moved back lies there until a collection. */
static int what_went_bad_since_is_found_there(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES];
	struct store_move_result moved;
	struct store_collect_result collected;
	struct index_place here;
	uint64_t mended;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	CHECK_RC(0, demote(store, 1, &moved));
	CHECK_RC(0, promote(store, 1, &moved));
	CHECK_RC(0, cold_leaves(store));
	CHECK_RC(0, store_tier_mend(store, "cold", &mended));
	CHECK(mended == 0);
	CHECK_RC(1, place_of(store, 100, LEN, &here));
	test_flip(test_segment(here.segment), (long)here.offset + 7);
	CHECK_RC(-EBADMSG, test_get(store, 100, LEN));
	CHECK_RC(-ENODEV, store_tier_mend(store, "none", &mended));
	CHECK_RC(0, store_tier_mend(store, "cold", &mended));
	CHECK(mended == 1);
	CHECK_RC(1, cold_leaves(store));
	CHECK_RC(TREES * LEAVES, there(store));
	CHECK_RC(0, collect(store, &collected));
	CHECK_RC(0, store_tier_tend(store, "cold"));
	CHECK_RC(TREES * LEAVES, there(store));
	CHECK_RC(0, test_verify(store));
	return end(store);
}

static int calls_left;

static int fail_by_and_by(void)
{
	return calls_left-- > 0 ? 0 : -EIO;
}

/* Also when the tier fails behind the object in which it is. */
static int what_was_found_there_lasts(void *arg)
{
	struct store *store;
	struct mf_cid roots[TREES];
	struct store_move_result moved;
	struct index_place here;
	uint64_t mended;

	CHECK_RC(0, begin(&store));
	CHECK_RC(0, put_trees(store, roots));
	for (int tree = 1; tree < 3; tree++) {
		CHECK_RC(0, demote(store, tree, &moved));
		CHECK_RC(0, promote(store, tree, &moved));
	}
	CHECK_RC(1, place_of(store, 100, LEN, &here));
	test_flip(test_segment(here.segment), (long)here.offset + 7);
	place.calls = 0;
	CHECK_RC(0, store_tier_mend(store, "cold", &mended));
	CHECK(mended == 0 && place.calls > 1);
	CHECK_RC(-EBADMSG, test_get(store, 100, LEN));
	calls_left = place.calls / 2;
	place.before = fail_by_and_by;
	CHECK_RC(-EREMOTEIO, store_tier_mend(store, "cold", &mended));
	place.before = NULL;
	CHECK(mended == 1);
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, open_again(&store));
	CHECK_RC(1, cold_leaves(store));
	CHECK_RC(TREES * LEAVES, there(store));
	return end(store);
}

/* By an adoption that mended it. */
static int what_went_bad_is_read_from_an_adopted_file(void *arg)
{
	struct store *store;
	struct archive archive = archive_make(0, 10);
	struct store_adopt_result result;
	struct index_place here;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 5000, 5001, false));
	CHECK_RC(0, test_put(store, 3, ARCHIVE_BLOCK, &(store_ticket){ 0 }));
	CHECK_RC(0, store_sync(store, store->log.sequence));
	CHECK_RC(1, place_of(store, 3, ARCHIVE_BLOCK, &here));
	test_flip(test_segment(here.segment), (long)here.offset + 7);
	CHECK_RC(-EBADMSG, test_get(store, 3, ARCHIVE_BLOCK));
	CHECK_RC(0, archive_adopt(store, &archive, false, &result));
	for (int again = 0; again < 2; again++) {
		CHECK_RC(10, archive_there(store, 0, 10));
		CHECK_RC(0, rebuild_index(store, NULL));
	}
	return store_close(store);
}

/* A bit of a CID in it names another block, and no commit protects it. */
static int a_name_that_changed_is_told(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	struct store_wal_replay replay;
	struct store_adopt_result result;
	struct archive archive = archive_make(0, 10);
	struct index_place third;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, archive_adopt(store, &archive, false, &result));
	CHECK_RC(1, place_of(store, 3, ARCHIVE_BLOCK, &third));
	for (int summed = 1; summed >= 0; summed--) {
		/* As it was adopted before there was a sum. */
		if (!summed) {
			segment_set_find_adopted(&store->segments, third.segment)->adopted->summed =
				false;
			CHECK_RC(0,
				store_note_segment(store, third.segment, SEGMENT_STATE_ENTERED,
					&(store_ticket){ 0 }));
			CHECK_RC(0, store_close(store));
			CHECK_RC(0, test_open(&store, &recovery));
		}
		CHECK_RC(0,
			store_wal_replay(
				store, &(struct store_wal_replay_options){ .all = true }, &replay));
		CHECK(replay.damaged == 0);
		test_flip(test_segment(third.segment), (long)third.offset - 5);
		CHECK_RC(0,
			store_wal_replay(
				store, &(struct store_wal_replay_options){ .all = true }, &replay));
		CHECK((int)replay.damaged == summed);
		CHECK_RC(10, archive_there(store, 0, 10));
		CHECK(test_verify(store) > 0);
		CHECK_RC(0, rebuild_index(store, &recovery));
		CHECK((int)recovery.damaged == summed &&
			(!summed || strstr(recovery.text, "is damaged: bytes")));
		CHECK_RC(9, archive_there(store, 0, 10));
		test_flip(test_segment(third.segment), (long)third.offset - 5);
		CHECK_RC(0, rebuild_index(store, &recovery));
		CHECK(recovery.damaged == 0);
		CHECK_RC(10, archive_there(store, 0, 10));
	}
	return store_close(store);
}

/* Then the block is written anew, as its bytes are whole, and nobody complains any more. */
static int a_name_that_changed_can_be_given_up(void *arg)
{
	struct store_verify_options accept = { .accept_loss = true };
	struct store *store;
	struct store_recovery recovery;
	struct store_wal_replay replay;
	struct store_adopt_result result;
	struct store_verify_result verified;
	struct archive archive = archive_make(0, 10);
	struct index_place third;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, archive_adopt(store, &archive, false, &result));
	CHECK_RC(1, place_of(store, 3, ARCHIVE_BLOCK, &third));
	test_flip(test_segment(third.segment), (long)third.offset - 5);
	CHECK_RC(0, store_verify(store, &accept, &verified));
	CHECK(verified.faults == 0 && verified.accepted == 1);
	for (int again = 0; again < 2; again++) {
		CHECK_RC(0,
			store_wal_replay(
				store, &(struct store_wal_replay_options){ .all = true }, &replay));
		CHECK(replay.damaged == 0);
		CHECK_RC(0, rebuild_index(store, &recovery));
		CHECK(recovery.damaged == 0);
		CHECK_RC(10, archive_there(store, 0, 10));
		CHECK_RC(0, test_verify(store));
		CHECK_RC(0, store_close(store));
		CHECK_RC(0, test_open(&store, &recovery));
	}
	return store_close(store);
}

ON_BACKENDS(what_went_bad_here_is_read_from_the_tier)
ON_BACKENDS(what_cannot_be_read_here_is_read_from_the_tier)
ON_BACKENDS(what_went_bad_since_is_found_there)
ON_BACKENDS(what_was_found_there_lasts)
ON_BACKENDS(what_went_bad_is_read_from_an_adopted_file)
ON_BACKENDS(a_name_that_changed_is_told)
ON_BACKENDS(a_name_that_changed_can_be_given_up)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_went_bad_here_is_read_from_the_tier),
		cmocka_unit_test(test_what_cannot_be_read_here_is_read_from_the_tier),
		cmocka_unit_test(test_what_went_bad_since_is_found_there),
		cmocka_unit_test(test_what_was_found_there_lasts),
		cmocka_unit_test(test_what_went_bad_is_read_from_an_adopted_file),
		cmocka_unit_test(test_a_name_that_changed_is_told),
		cmocka_unit_test(test_a_name_that_changed_can_be_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
