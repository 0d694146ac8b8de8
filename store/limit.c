/*
 * The limit: how many bytes a repo may take. Above the high mark a collection begins beside the puts, and goes down
 * to the low one (tend.c); a put for which there is no room collects itself, and waits. A segment's worth is kept
 * free, into which a collection moves what lives, and a little, by which the index and the operation log grow then.
 */
#include <errno.h>
#include "collecting.h"
#include "segment_adopted.h"

enum {
	SEGMENTS_LEAST = 64,
	SEGMENT_LEAST = 1 << 20,
	ROOM_AGAIN = 1 << 20, /* bytes more on the disk that are worth another try */
	BLOCK_MOST = 64 +
		INDEX_GROWN_BLOCK, /* beside its data: its head, and what the index has of it */
};

uint64_t store_used(const struct store *store)
{
	const struct segment_set *segments = &store->segments;
	const struct segment_file *active = store->log.active;
	/* A file that was written in one go has full leaves: a little more, and it is twice as large. */
	uint64_t index =
		store->limit.max ? index_grown_size(&store->index) : index_file_size(&store->index);
	uint64_t used = index + store->ops.end + store->ops.used;

	for (size_t i = 0; i < segments->count; i++)
		used += segments->files[i] == active ? store->log.end : segments->files[i]->size;
	for (size_t i = 0; i < segments->adopted_count; i++)
		used += segments->adopted[i]->adopted->foreign ? 0 : segments->adopted[i]->size;
	return used;
}

uint64_t store_disk_room(const struct store *store)
{
	return disk_room(store->dir);
}

static uint64_t ceiling(const struct store *store)
{
	uint64_t segment = store->options.segment_bytes;
	uint64_t max = store->limit.max, spare = segment + segment / 16;

	return max > spare ? max - spare : 0;
}

static uint64_t high_mark(const struct store *store)
{
	return ceiling(store) / 10 * 9;
}

static uint64_t low_mark(const struct store *store)
{
	return ceiling(store) / 4 * 3;
}

void store_set_limit(struct store *store, uint64_t max_bytes)
{
	uint64_t part = max_bytes / SEGMENTS_LEAST;

	if (max_bytes == store->limit.max)
		return;
	store->limit.max = max_bytes;
	store->index.sparing = max_bytes != 0;
	store->limit.stuck = store->limit.settled = 0;
	store->options.segment_bytes = store->limit.segment_bytes;
	if (max_bytes && part < store->options.segment_bytes)
		store->options.segment_bytes = part > SEGMENT_LEAST ? part : SEGMENT_LEAST;
	limit_look(store);
}

uint64_t store_limit(const struct store *store)
{
	return store->limit.max;
}

void limit_look(struct store *store)
{
	struct limit *limit = &store->limit;

	if (!limit->max)
		return;
	uint64_t used = store_used(store);
	if (used > high_mark(store) && used > limit->settled + limit->max / 32)
		anyio_event_set(&limit->over);
}

int limit_settle(struct store *store)
{
	int rc = collect_down_to(store, high_mark(store), low_mark(store));

	store->limit.settled = store_used(store);
	return rc;
}

/* Collecting has been in vain, and nothing has gone since that could be worth another try. */
static bool is_stuck(const struct store *store, uint64_t used)
{
	const struct limit *limit = &store->limit;

	if (!limit->stuck || used < limit->stuck || used - limit->stuck >= limit->max / 64)
		return false;
	/* If it was for want of room on the disk, there may be some by now. */
	return limit->stuck_room == UINT64_MAX ||
		store_disk_room(store) <= limit->stuck_room + ROOM_AGAIN;
}

static bool has_room(const struct store *store, uint64_t bytes)
{
	return !store->limit.max ||
		store_used(store) + store->limit.reserved + bytes <= ceiling(store);
}

/* Others write meanwhile: what was enough when a collection began may not be when it ends. */
static int make_room(struct store *store, uint64_t bytes)
{
	struct limit *limit = &store->limit;
	uint64_t most = ceiling(store);
	int rc = 0;

	for (int vain = 0; vain < 2 && rc == 0;) {
		uint64_t wanted = limit->reserved + bytes, used = store_used(store);

		if (is_stuck(store, used))
			return limit->stuck_room < UINT64_MAX ? -ENOSPC : -EDQUOT;
		if (wanted > most)
			return -EDQUOT;
		uint64_t mark = most - wanted, goal = low_mark(store);
		rc = collect_down_to(store, mark, goal < mark ? goal : mark);
		if ((rc == 0 || rc == -ENOSPC) && has_room(store, bytes))
			return 0;
		/* A pin lacks a node: what it keeps is not known, so nothing can go; or the disk has no room to move what lives. */
		if (rc < 0 && rc != -ENOENT && rc != -ENOSPC)
			return rc;
		vain += store_used(store) >= used;
	}
	limit->stuck = store_used(store);
	limit->stuck_room = rc == -ENOSPC ? store_disk_room(store) : UINT64_MAX;
	return rc == -ENOSPC ? rc : -EDQUOT;
}

/* What is here already is not written again. */
static uint64_t absent_bytes(struct store *store, const struct store_block *blocks, size_t count)
{
	struct index_place place;
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		if (store_find(store, &blocks[i].cid, &place) <= 0)
			bytes += blocks[i].len + BLOCK_MOST;
	return bytes;
}

int limit_enter(struct store *store, const struct store_block *blocks, size_t count, uint64_t *held)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count && store->limit.max; i++)
		bytes += blocks[i].len + BLOCK_MOST;
	if (!has_room(store, bytes))
		bytes = absent_bytes(store, blocks, count);
	return limit_enter_bytes(store, bytes, held);
}

int limit_enter_bytes(struct store *store, uint64_t bytes, uint64_t *held)
{
	struct limit *limit = &store->limit;
	int rc = 0;

	*held = 0;
	if (!limit->max || bytes == 0)
		return 0;
	if (!has_room(store, bytes))
		rc = make_room(store, bytes);
	if (rc < 0)
		return rc;
	limit->reserved += *held = bytes;
	return 0;
}

bool limit_hold(struct store *store, uint64_t bytes, uint64_t *held)
{
	struct limit *limit = &store->limit;
	uint64_t used = store_used(store);

	*held = 0;
	if (!limit->max || bytes <= store->options.segment_bytes)
		return true;
	/* One that is above it already comes below it only so. */
	if (used <= ceiling(store) && used + limit->reserved + bytes > limit->max)
		return false;
	limit->reserved += *held = bytes;
	return true;
}

void limit_leave(struct store *store, uint64_t held)
{
	if (held == 0)
		return;
	store->limit.reserved -= held;
	limit_look(store);
}
