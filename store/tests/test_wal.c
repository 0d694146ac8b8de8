/* The log seen from outside: how far it is durable, where everything lies, what an opening would do. */
#include "archives.h"
#include "little.h"
#include <errno.h>

static uint8_t bytes[TEST_BLOCK_MAX];

struct seen {
	size_t blocks, pins, commits, segments, lost, pending;
	uint64_t operations_end;
	uint64_t bytes;     /* of blocks */
	uint64_t commit_of; /* the last commit's sequence */
	uint32_t segment;
	uint64_t end;
	bool gap, intact;
	struct mf_cid pinned;
	struct store_wal_entry fifth; /* block */
	size_t stop;                  /* after so many entries */
};

static int see(void *arg, const struct store_wal_entry *entry)
{
	struct seen *seen = arg;

	/* Sections lie one behind the other, and cover the file; operations lie in batches, behind all. */
	if (entry->segment == 0)
		seen->gap |= entry->operations != 1 || entry->offset < seen->operations_end;
	else if (entry->segment != seen->segment)
		seen->gap |= entry->kind != STORE_WAL_SEGMENT || entry->of != seen->segment;
	else
		seen->gap |= entry->offset != seen->end;
	if (entry->segment == 0) {
		seen->operations_end = entry->end;
	} else {
		seen->segment = entry->segment;
		seen->end = entry->end;
	}
	seen->pending += !entry->durable;
	switch (entry->kind) {
	case STORE_WAL_BLOCK:
		if (++seen->blocks == 5)
			seen->fifth = *entry;
		seen->bytes += entry->len;
		break;
	case STORE_WAL_PIN:
		seen->pins++;
		seen->pinned = entry->cid;
		break;
	case STORE_WAL_COMMIT:
		seen->commits++;
		seen->intact &= entry->intact;
		seen->commit_of = entry->sequence;
		break;
	case STORE_WAL_SEGMENT: seen->segments++; break;
	case STORE_WAL_LOST: seen->lost++; break;
	default: break;
	}
	return seen->stop && --seen->stop == 0 ? 77 : 0;
}

static int look(struct store *store, struct seen *seen)
{
	*seen = (struct seen){ .intact = true };
	return store_wal_each(store, 0, 0, see, seen);
}

static int what_is_pending_is_told_from_what_is_durable(void *arg)
{
	struct store *store;
	struct store_wal_status status;
	struct seen seen;
	store_ticket ticket = 0;
	struct mf_cid cid;

	CHECK_RC(0, test_open(&store, NULL));
	store_wal_status(store, &status);
	CHECK(status.pending_bytes == 0 && status.behind_entries == 0 && !status.stopped);
	for (uint64_t n = 0; n < 6; n++)
		CHECK_RC(0, test_put(store, n, 300 + n, &ticket));
	test_block(2, 302, bytes, &cid);
	CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_DIRECT, &ticket));
	store_wal_status(store, &status);
	CHECK(status.pending_bytes > 6 * 300 && status.behind_bytes == 0);
	CHECK(status.behind_entries == 7 && status.end.sequence == status.durable.sequence + 1);
	CHECK_RC(0, store_sync(store, ticket));
	store_wal_status(store, &status);
	CHECK(status.pending_bytes == 0 && status.durable.sequence == ticket);
	CHECK(status.behind_bytes > 6 * 300);
	CHECK_RC(0, look(store, &seen));
	CHECK(seen.blocks == 6 && seen.bytes == 6 * 300 + 15 && seen.pins == 1 &&
		seen.segments == 1);
	CHECK(!seen.gap && !seen.lost && !seen.pending && seen.intact);
	CHECK(seen.commit_of == ticket && seen.end == status.durable.offset);
	CHECK(mf_cid_equal(&seen.pinned, &cid));
	CHECK_RC(0, store_checkpoint(store));
	store_wal_status(store, &status);
	CHECK(status.behind_bytes == 0 && status.behind_entries == 0);
	CHECK(status.checkpoint.sequence >= ticket);
	return store_close(store);
}

static int a_walk_covers_all_segments_and_begins_anywhere(void *arg)
{
	struct store *store;
	struct seen seen, rest;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 300, true));
	CHECK_RC(0, look(store, &seen));
	CHECK(seen.blocks == 300 && seen.segments >= 2 && !seen.gap && !seen.lost && seen.intact);
	/* From the fifth block on. */
	rest = (struct seen){ .intact = true };
	CHECK_RC(0, store_wal_each(store, seen.fifth.segment, seen.fifth.offset, see, &rest));
	CHECK(rest.blocks == 296);
	/* The last segment alone. */
	rest = (struct seen){ .intact = true };
	CHECK_RC(0, store_wal_each(store, seen.segment, 0, see, &rest));
	CHECK(rest.segments == 1 && rest.end == seen.end && rest.blocks < 300);
	rest = (struct seen){ .stop = 3 };
	CHECK_RC(77, store_wal_each(store, 0, 0, see, &rest));
	CHECK_RC(0, test_crash(store));
	return 0;
}

struct damage {
	uint64_t from, to;
	size_t count;
};

static int see_damage(void *arg, uint32_t segment, uint64_t from, uint64_t to)
{
	struct damage *damage = arg;

	damage->count++;
	damage->from = from;
	damage->to = to;
	return 0;
}

/* What it says is what an opening then does. */
static int a_rehearsal_is_true(void *arg)
{
	struct store *store;
	struct store_recovery recovery;
	struct store_wal_replay replay;
	struct damage damage = { 0 };
	struct seen seen;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, test_put_range(store, 0, 20, true));
	CHECK_RC(0, test_put_range(store, 20, 30, true));
	CHECK_RC(0, test_put_range(store, 30, 40, false));
	CHECK_RC(0, store_wal_replay(store, NULL, &replay));
	CHECK_RC(0, test_crash(store));
	CHECK_RC(0, test_open(&store, &recovery));
	CHECK(replay.blocks == recovery.blocks && replay.blocks == 30 && replay.cut > 0 &&
		replay.cut == recovery.cut);
	CHECK(replay.bytes > 30 * 700 && replay.bytes == recovery.scanned && replay.damaged == 0 &&
		replay.unfinished == 0);

	/* A block that was durable is damaged: found, and where. */
	CHECK_RC(0, look(store, &seen));
	CHECK_RC(0, store_close(store));
	test_flip(test_segment(seen.fifth.segment), (long)seen.fifth.end - 3);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0,
		store_wal_replay(store,
			&(struct store_wal_replay_options){
				.all = true, .fault = see_damage, .arg = &damage },
			&replay));
	CHECK(replay.damaged == 0); /* heads are whole: bytes are store_verify's business */
	CHECK_RC(0, store_close(store));
	test_flip(test_segment(seen.fifth.segment), (long)seen.fifth.offset + 6);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0,
		store_wal_replay(store,
			&(struct store_wal_replay_options){
				.all = true, .fault = see_damage, .arg = &damage },
			&replay));
	CHECK(replay.damaged == 1 && damage.count == 1);
	CHECK(damage.from == seen.fifth.offset && damage.to == seen.fifth.end);
	CHECK(replay.blocks >= 29);
	return store_close(store);
}

/* The index that was written has some of its blocks, for a checkpoint came in the midst of the adoption: an opening, one that only
 * reads too, enters the others alone. */
static int what_is_half_adopted_is_foretold(void *arg)
{
	/* So many are entered at a time: the rest comes behind the last checkpoint. */
	enum { BLOCKS = 300, BATCH = 256, REST = BLOCKS - BATCH };
	struct archive archive = archive_make(0, BLOCKS);
	struct store_adopt_result result;
	struct store *store;
	struct store_recovery recovery;
	struct store_wal_replay replay;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, archive_adopt(store, &archive, false, &result));
	CHECK_RC(0, store_wal_replay(store, NULL, &replay));
	CHECK(replay.blocks == REST);
	CHECK_RC(0, test_crash(store));
	for (int only_read = 1; only_read >= 0; only_read--) {
		test_options.only_read = only_read;
		int rc = test_open(&store, &recovery);
		test_options.only_read = false;
		CHECK_RC(0, rc);
		CHECK(recovery.blocks == REST && recovery.unwritable == (only_read ? -EROFS : 0));
		CHECK_RC(0, store_wal_replay(store, NULL, &replay));
		CHECK(replay.blocks == REST);
		CHECK(archive_there(store, 0, BLOCKS) == BLOCKS);
		CHECK_RC(0, test_verify(store));
		/* Without an index all of them would be entered. */
		CHECK_RC(0,
			store_wal_replay(
				store, &(struct store_wal_replay_options){ .all = true }, &replay));
		CHECK(replay.blocks == BLOCKS);
		CHECK_RC(0, store_close(store));
	}
	return 0;
}

static struct {
	int cuts; /* of the first segment; 0: it is dropped */
	int at;   /* the call of progress in which that is done */
	bool rolled;
	struct store *store;
	int calls;
} meanwhile;

/* The header says that it must not wait. Here what else a collection does while a replay reads is done at one place. */
static int collect_meanwhile(void *arg, uint64_t done, uint64_t total)
{
	struct store_collect_result result;

	if (++meanwhile.calls != meanwhile.at)
		return 0;
	return meanwhile.cuts ? little_cut(meanwhile.store, meanwhile.cuts)
			      : little_collect(meanwhile.store, &result);
}

static int rehearse_and_collect(void *arg)
{
	const struct store_wal_replay_options options = {
		.all = true, .fault = see_damage, .progress = collect_meanwhile, .arg = arg
	};
	struct store_wal_replay replay;
	struct store *store;

	CHECK_RC(0, little_fill(&store));
	if (meanwhile.rolled)
		CHECK_RC(0, little_roll(store));
	meanwhile.store = store;
	meanwhile.calls = 0;
	CHECK_RC(0, store_wal_replay(store, &options, &replay));
	CHECK(replay.damaged == 0 && replay.cut == 0);
	CHECK_RC(0, store_wal_replay(store, &options, &replay));
	CHECK(replay.damaged == 0);
	return store_close(store);
}

static void test_what_goes_meanwhile_is_no_damage(void **state)
{
	for (int rolled = 0; rolled < 2; rolled++)
		for (int cuts = 0; cuts < 3; cuts++) {
			meanwhile.cuts = cuts;
			meanwhile.rolled = rolled;
			meanwhile.calls = meanwhile.at = 0;
			while (meanwhile.calls >= meanwhile.at) {
				meanwhile.at++;
				run_body(rehearse_and_collect);
			}
			assert_true(meanwhile.at > 3);
		}
}

ON_BACKENDS(what_is_pending_is_told_from_what_is_durable)
ON_BACKENDS(a_walk_covers_all_segments_and_begins_anywhere)
ON_BACKENDS(a_rehearsal_is_true)
ON_BACKENDS(what_is_half_adopted_is_foretold)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_pending_is_told_from_what_is_durable),
		cmocka_unit_test(test_a_walk_covers_all_segments_and_begins_anywhere),
		cmocka_unit_test(test_a_rehearsal_is_true),
		cmocka_unit_test(test_what_is_half_adopted_is_foretold),
		cmocka_unit_test(test_what_goes_meanwhile_is_no_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
