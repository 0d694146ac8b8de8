/*
 * Collecting: mark (mark.c), take what is dead out of the index, if every dead block is to go or a tier has some, then sweep the
 * segments that were closed when marking began (sweep.c). A segment goes when what was
 * moved out of it is durable, the index that says so is written, and the state of the repo says that it is gone
 * (collect_drop.c); so whatever stops this in between, no block is lost, and nobody misses the file.
 */
#include <errno.h>
#include <stdlib.h>
#include "segment_adopted.h"
#include "sweeping.h"

enum {
	DEAD_PERCENT = 20,
	LIMIT_PERCENT = 5,      /* where room is needed, more is written for less */
	DROPS_A_TURN = 16,      /* blocks that are looked at before others have a turn */
	ROOM_LEAST = 8 << 20,   /* bytes to be free on the disk beside what is to be moved */
	SPARING_BLOCKS = 4096,  /* that are new at most, then */
	ROOM_ENOUGH = 64 << 20, /* beside the index: with less it is written in smaller parts */
};

/* Whether a segment belongs to this collection. Of one that is being adopted, or was adopted since the marking began,
 * all blocks are live or marked by whoever holds a lease; what is missing, or not what it was, is nobody's to touch. */
static bool may_sweep(const struct collecting *collecting, const struct segment_file *file)
{
	return file->adopted ? file->adopted->entered && file->size > 0
			     : file->number < collecting->below;
}

/* A segment and its dead bytes. */
struct candidate {
	uint32_t number;
	uint64_t dead;
};

static int by_dead(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return (x->dead < y->dead) - (x->dead > y->dead);
}

static size_t find_candidates(struct collecting *collecting, struct candidate *out)
{
	const struct segment_set *segments = &collecting->store->segments;
	unsigned percent = collecting->options->dead_percent;
	const struct segment_file *file;
	size_t count = 0;

	if (percent == 0)
		percent = DEAD_PERCENT;
	for (uint32_t number = 0; (file = segment_set_next(segments, number));) {
		const struct live_segment *live = live_of(&collecting->live, file->number);
		uint64_t bytes = live ? live->bytes : 0;
		uint64_t dead = file->size > bytes ? file->size - bytes : 0;

		number = file->number;
		if (!may_sweep(collecting, file) || dead * 100 < file->size * percent)
			continue;
		out[count++] = (struct candidate){ file->number, dead };
		collecting->to_sweep += file->size;
	}
	qsort(out, count, sizeof(*out), by_dead);
	return count;
}

static bool is_enough(const struct collecting *collecting)
{
	uint64_t freed = collecting->freed, written = collecting->written;

	return collecting->options->enough && freed > written &&
		freed - written >= collecting->options->enough;
}

/* Whether the disk has no room to move so much; what waits to be dropped goes first. 1, 0, or a negative code. */
static int is_scarce(struct collecting *collecting, uint64_t bytes)
{
	uint64_t wanted = bytes + ROOM_LEAST;

	if (bytes == 0 || store_disk_room(collecting->store) >= wanted)
		return 0;
	int rc = collecting_drop_rest(collecting);
	return rc < 0 ? rc : store_disk_room(collecting->store) < wanted;
}

/* An adopted file is not cut: it may be somebody else's. */
static int sweep_where_scarce(struct collecting *collecting, uint32_t number, uint64_t bytes)
{
	bool whole = segment_set_find_adopted(&collecting->store->segments, number) != NULL;
	uint64_t wanted = SWEEP_SPARE + (whole ? bytes + bytes / 8 : 0);

	collecting->without_room = store_disk_room(collecting->store) < wanted;
	return collecting->without_room ? 0 : collecting_sweep(collecting, number, !whole);
}

/* One segment, if there is room for what lives in it. */
static int sweep_next(struct collecting *collecting, uint32_t number)
{
	const struct live_segment *live = live_of(&collecting->live, number);
	uint64_t bytes = live ? live->bytes : 0, held;

	collecting->without_room = false;
	if (!limit_hold(collecting->store, bytes, &held))
		return 0;
	int rc = is_scarce(collecting, bytes);
	if (rc == 0)
		rc = collecting_sweep(collecting, number, false);
	else if (rc > 0)
		rc = sweep_where_scarce(collecting, number, bytes);
	if (rc == 0)
		rc = collecting_drop_if_time(collecting);
	limit_leave(collecting->store, held);
	return rc;
}

/* Each of them; those for which the disk had no room once more, when others have gone. */
static int sweep_each(struct collecting *collecting, struct candidate *candidates, size_t count)
{
	size_t left = 0, before;
	uint64_t freed;

	do {
		before = count;
		freed = collecting->freed;
		left = 0;
		for (size_t i = 0; i < count && !is_enough(collecting); i++) {
			int rc = sweep_next(collecting, candidates[i].number);

			if (rc != 0)
				return rc;
			if (collecting->without_room)
				candidates[left++] = candidates[i];
		}
		count = left;
	} while (
		left > 0 && (left < before || collecting->freed > freed) && !is_enough(collecting));
	return left > 0 && !is_enough(collecting) ? -ENOSPC : 0;
}

static int sweep_all(struct collecting *collecting)
{
	const struct segment_set *segments = &collecting->store->segments;
	size_t room = segments->count + segments->adopted_count + 1, count;
	struct candidate *candidates = anyio_calloc(room, sizeof(*candidates));
	int rc = 0;

	if (!candidates)
		return -ENOMEM;
	count = find_candidates(collecting, candidates);
	collecting->store->last_read = 0; /* what the marking read, nobody else did */
	ANYIO_TASK_GROUP(group);
	collecting->droppers = &group;
	rc = sweep_each(collecting, candidates, count);
	anyio_free(candidates);
	int dropped = anyio_task_group_exit(&group, collecting_drop_rest(collecting));
	collecting->droppers = NULL;
	return dropped ? dropped : rc;
}

/* Whether a block where the index says that it is is to leave it: one that is only in a tier, if not every one. */
static bool is_dead(const struct collecting *collecting, const struct index_place *place,
	const struct segment_file *file)
{
	return place->state != INDEX_GONE &&
		(file ? may_sweep(collecting, file) && collecting->options->every
		      : place->segment < collecting->below) &&
		!live_has(&collecting->live, place->segment, place->ordinal);
}

/* Some, up to one in a segment of which it is yet to be said that blocks of it have left the index: *unsaid. 0 at the end;
 * more when there may be others; or a negative code. */
static ssize_t drop_some(
	struct collecting *collecting, struct index_key *key, struct segment_file **unsaid)
{
	struct store *store = collecting->store;
	struct index_block blocks[DROPS_A_TURN];
	struct index_key before = *key;
	ssize_t count = index_next_blocks(&store->index, key, blocks, DROPS_A_TURN);
	int rc = 0;

	for (ssize_t i = 0; i < count && rc == 0; i++) {
		const struct index_place *place = &blocks[i].place;
		struct segment_file *file = segment_set_find(&store->segments, place->segment);

		if (!is_dead(collecting, place, file))
			continue;
		if (file && !file->swept) {
			*unsaid = file;
			*key = i ? blocks[i - 1].key : before;
			break;
		}
		rc = collecting_drop(collecting, &blocks[i].cid, place);
	}
	return rc < 0 ? rc : count;
}

/* Whatever is dead leaves the index, in its order, also where it is not worth writing its segment anew; or only what is in a tier.
 * A put looks at the index under the same lock, and either finds the block, which marks it live, or writes it anew. */
static int drop_all_dead(struct collecting *collecting)
{
	const struct store_collect_options *options = collecting->options;
	struct store *store = collecting->store;
	struct index_key key = { 0 };
	ssize_t count = 1;
	int rc = store_checkpoint(store);

	while (rc == 0 && count > 0 && (rc = anyio_lock_acquire(&store->writing)) == 0) {
		struct segment_file *unsaid = NULL;

		count = drop_some(collecting, &key, &unsaid);
		anyio_lock_release(&store->writing);
		rc = count < 0 ? (int)count : unsaid ? store_begin_sweeping(store, unsaid) : 0;
		if (rc == 0)
			rc = store_checkpoint_if_due(store);
		if (rc == 0)
			rc = anyio_checkpoint();
		if (rc == 0 && options->progress)
			rc = options->progress(options->arg, true, 0, 0);
	}
	/* What is moved then will be in nearly every leaf there is. */
	return rc == 0 ? store_compact_index(store) : rc;
}

static int collect(struct collecting *collecting)
{
	struct store *store = collecting->store;
	/* What is being written belongs to this collection too. */
	int rc = log_roll_anyway(store);

	if (rc < 0)
		return rc;
	collecting->below = store->log.active->number;
	if (collecting->below > leases_segment(store))
		collecting->below = leases_segment(store);
	store->collecting = collecting;
	rc = collecting_mark(collecting);
	if (rc == 0 && (collecting_judge_remote(collecting) || collecting->options->every))
		rc = drop_all_dead(collecting);
	if (rc == 0)
		rc = sweep_all(collecting);
	/* Which takes no room. */
	if (rc == 0 || rc == -ENOSPC) {
		int dropped = collecting_drop_remote(collecting);
		rc = rc ? rc : dropped;
	}
	store->collecting = NULL;
	if (collecting->freed > collecting->written)
		collecting->result->freed = collecting->freed - collecting->written;
	return rc;
}

static void count(struct store_collect_stat *stat, const struct store_collect_result *result,
	int rc, anyio_time took)
{
	stat->runs++;
	stat->failed += rc != 0;
	stat->dropped += result->dropped;
	stat->bytes += result->bytes;
	stat->moved_bytes += result->moved_bytes;
	stat->segments += result->segments;
	stat->freed += result->freed;
	stat->last = took > 0 ? took : 1;
}

/* With the lock `arranging` held. */
static int run(struct store *store, const struct store_collect_options *options,
	struct store_collect_result *result)
{
	struct collecting collecting = { .store = store, .options = options, .result = result };
	anyio_time began = anyio_now();
	size_t blocks = store->options.checkpoint_blocks;
	int rc = store->broken;

	if (rc == 0 && store_disk_room(store) < ROOM_ENOUGH + index_file_size(&store->index)) {
		store->index.sparing = true;
		if (blocks > SPARING_BLOCKS)
			store->options.checkpoint_blocks = SPARING_BLOCKS;
	}
	if (rc == 0)
		rc = collect(&collecting);
	store->index.sparing = store->limit.max != 0;
	store->options.checkpoint_blocks = blocks;
	live_free(&collecting.live);
	count(&store->collected, result, rc, anyio_now() - began);
	return rc;
}

void store_collect_stat(const struct store *store, struct store_collect_stat *out)
{
	*out = store->collected;
	out->running = store->collecting != NULL;
}

int store_collect(struct store *store, const struct store_collect_options *options,
	struct store_collect_result *result)
{
	static const struct store_collect_options defaults;
	int rc = store->broken;

	*result = (struct store_collect_result){ 0 };
	if (rc == 0 && anyio_lock_acquire_nowait(&store->arranging) < 0)
		rc = -EALREADY;
	if (rc < 0)
		return rc;
	rc = run(store, options ? options : &defaults, result);
	anyio_lock_release(&store->arranging);
	return rc;
}

int collect_down_to(struct store *store, uint64_t mark, uint64_t goal)
{
	struct store_collect_options options = { .dead_percent = LIMIT_PERCENT };
	struct store_collect_result result = { 0 };
	int rc = anyio_lock_acquire(&store->arranging);

	if (rc < 0)
		return rc;
	/* Another's collection may have done it meanwhile; or there is no limit any more. */
	uint64_t used = store_used(store);
	if (used > mark && store->limit.max) {
		options.enough = used - goal;
		rc = run(store, &options, &result);
	}
	anyio_lock_release(&store->arranging);
	return rc;
}
