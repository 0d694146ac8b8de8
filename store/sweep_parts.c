/*
 * Sweeping a segment where the disk has no room for all that lives in it. From its end, in parts that begin behind a commit: what
 * lives in the last one is written again; when that is durable, and in the index, the state says that the segment may be short or
 * away, as of one that goes; then the part is cut off. So there is room for the next one, and the segment is a CARv1 file, and what
 * is left of it in order, all the time. Who finds a block before it is moved, and reads when it is cut off, finds it again.
 */
#include <errno.h>
#include "sweeping.h"

enum {
	PARTS = 128, /* of a segment */
	STEPS_A_TURN = 64,
	SPARE = 2 << 20, /* for the index, and the operation log */
};

/* Where a part begins. */
struct part {
	struct scan scan;
	uint64_t live; /* bytes in it */
};

struct parts {
	struct part *first;
	size_t count, room;
	bool damaged;
};

static int add_part(struct parts *parts, const struct scan *scan)
{
	if (anyio_grow(&parts->first, &parts->room, parts->count + 1, sizeof(*parts->first)))
		return -ENOMEM;
	parts->first[parts->count++] = (struct part){ .scan = *scan };
	return 0;
}

static int take_event(struct sweep *sweep, struct parts *parts, const struct scan *scan,
	const struct scan_event *event)
{
	struct part *last = &parts->first[parts->count - 1];

	if (event->what == SCAN_BLOCK) {
		if (live_has(&sweep->collecting->live, sweep->file->number, event->ordinal))
			last->live += event->len;
		return ++sweep->steps % STEPS_A_TURN == 0 ? anyio_checkpoint() : 0;
	}
	parts->damaged |= event->what == SCAN_LOST;
	if (event->what != SCAN_RECORD || event->record.kind != SEGMENT_RECORD_COMMIT)
		return 0;
	parts->damaged |= !event->intact;
	uint64_t least = sweep->collecting->store->options.segment_bytes / PARTS;
	return scan->at - last->scan.at >= least && scan->at < scan->size ? add_part(parts, scan)
									  : 0;
}

static int find_parts(struct sweep *sweep, struct parts *parts)
{
	struct scan scan;
	struct scan_event event;
	int rc;

	scan_start(&scan, &sweep->collecting->store->keys, sweep->file->number, sweep->file->size);
	rc = add_part(parts, &scan);
	while (rc == 0) {
		scan_next(&scan, sweep->window, sweep->from, sweep->len, &event);
		if (event.what == SCAN_END)
			break;
		rc = event.what == SCAN_MORE ? sweep_read_window(sweep, &scan, &event)
					     : take_event(sweep, parts, &scan, &event);
	}
	parts->damaged |= scan.searching || scan.tail != scan.size;
	return rc;
}

/* How many parts, of those that are left, are swept at a time: as many as fill half of what room there is, or one that fits; or 0. */
static size_t count_next(const struct sweep *sweep, const struct parts *parts)
{
	uint64_t there = store_disk_room(sweep->collecting->store), live = 0;
	uint64_t room = there > SPARE ? there - SPARE : 0;
	size_t count = 0;

	while (count < parts->count) {
		uint64_t more = live + parts->first[parts->count - count - 1].live;

		if (more > room || (count > 0 && more > room / 2))
			break;
		live = more;
		count++;
	}
	return count;
}

/* What was in it is elsewhere. */
static int cut_off(struct sweep *sweep, uint64_t end)
{
	struct collecting *collecting = sweep->collecting;
	struct store *store = collecting->store;
	struct segment_file *file = sweep->file;
	store_ticket ticket = 0;
	int rc = store_checkpoint(store);

	if (rc == 0 && !segment_set_is_gone(&store->segments, file->number)) {
		rc = store_note_segment(store, file->number, SEGMENT_STATE_DROPPED, &ticket);
		if (rc == 0)
			rc = store_sync(store, ticket);
		if (rc == 0)
			rc = segment_set_note_gone(&store->segments, file->number);
	}
	if (rc == 0)
		rc = anyio_ftruncate(file->fd, (int64_t)end);
	if (rc < 0)
		return rc;
	collecting->freed += file->size - end;
	collecting->swept += file->size - end;
	file->size = end;
	return 0;
}

static int sweep_parts(struct sweep *sweep, struct parts *parts)
{
	uint32_t ordinals = UINT32_MAX;

	while (parts->count > 0) {
		size_t count = count_next(sweep, parts);
		struct part *part = &parts->first[parts->count - count];

		if (count == 0) {
			sweep->collecting->without_room = true;
			return 0;
		}
		struct scan scan = part->scan;
		scan.size = sweep->file->size;
		int rc = sweep_through(sweep, &scan, ordinals);
		parts->count -= count;
		if (rc < 0 || sweep->keep || parts->count == 0)
			return rc;
		rc = cut_off(sweep, part->scan.at);
		if (rc < 0)
			return rc;
		ordinals = part->scan.ordinal;
	}
	return 0;
}

int sweep_in_parts(struct sweep *sweep)
{
	struct parts parts = { 0 };
	int rc = find_parts(sweep, &parts);

	/* It would stay anyway. */
	sweep->keep |= parts.damaged;
	if (rc == 0 && !sweep->keep)
		rc = sweep_parts(sweep, &parts);
	anyio_free(parts.first);
	return rc;
}
