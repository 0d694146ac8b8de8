/*
 * Sweeping a segment where the disk has no room for all that lives in it. From its end, in parts that begin behind a commit: what
 * lives in the last one is written again; when that is durable, and in the index, the state says that the segment may be short or
 * away, as of one that goes; then the part is cut off. So there is room for the next one, and the segment is a CARv1 file, and what
 * is left of it in order, all the time. Who finds a block before it is moved, and reads when it is cut off, finds it again.
 */
#include <errno.h>
#include <sys/stat.h>
#include "sweeping.h"

enum {
	PARTS = 128, /* of a segment */
	PART_MOST = 256 << 10,
	STEPS_A_TURN = 64,
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
		if (event->section.len >= SWEEP_LARGE)
			sweep->ahead = SWEEP_AHEAD;
		if (live_has(&sweep->collecting->live, sweep->file->number, event->ordinal))
			last->live += event->len;
		return ++sweep->steps % STEPS_A_TURN == 0 ? anyio_checkpoint() : 0;
	}
	if (event->what != SCAN_RECORD || event->record.kind != SEGMENT_RECORD_COMMIT)
		return 0;
	parts->damaged |= !event->intact; /* so is one in which something is lost */
	uint64_t least = scan->size / PARTS;
	if (least > PART_MOST)
		least = PART_MOST;
	return scan->at - last->scan.at >= least && scan->at < scan->size ? add_part(parts, scan)
									  : 0;
}

static int read_on(struct sweep *sweep, const struct scan *scan, const struct scan_event *wanted)
{
	const struct collecting *collecting = sweep->collecting;
	const struct store_collect_options *options = collecting->options;
	int rc = sweep_read_window(sweep, scan, wanted);

	return rc == 0 && options->progress
		? options->progress(options->arg, true, collecting->swept, collecting->to_sweep)
		: rc;
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
		rc = event.what == SCAN_MORE ? read_on(sweep, &scan, &event)
					     : take_event(sweep, parts, &scan, &event);
	}
	/* What cannot be read keeps its segment, as what is damaged. */
	parts->damaged |= scan.searching || scan.tail != scan.size || rc == -EIO ||
		rc == ANYIO_INCOMPLETE_READ;
	return rc == -EIO || rc == ANYIO_INCOMPLETE_READ ? 0 : rc;
}

/* By another name, as a backup has it, its bytes are not ours alone. 1, 0, or a negative code. */
static int has_other_names(const struct segment_file *file)
{
	struct stat st;
	int rc = anyio_fstat(file->fd, &st);

	return rc < 0 ? rc : st.st_nlink > 1;
}

/* How many parts, of those that are left, are swept at a time: as many as fill half of what room there is, or one that fits; or 0.
 * *live: what lives in them. */
static size_t count_next(const struct sweep *sweep, const struct parts *parts, uint64_t *live)
{
	uint64_t there = store_disk_room(sweep->collecting->store);
	uint64_t room = there > SWEEP_SPARE ? there - SWEEP_SPARE : 0;
	size_t count = 0;

	for (*live = 0; count < parts->count; count++) {
		uint64_t more = *live + parts->first[parts->count - count - 1].live;

		if (more > room || (count > 0 && more > room / 2))
			break;
		*live = more;
	}
	return count;
}

/* What was in it is elsewhere. 1: it has other names by now, and stays. */
static int cut_off(struct sweep *sweep, uint64_t end)
{
	struct collecting *collecting = sweep->collecting;
	struct store *store = collecting->store;
	struct segment_file *file = sweep->file;
	store_ticket ticket = 0;
	int rc = store_checkpoint(store);

	if (rc == 0)
		rc = store_note_cut(store, file->number, end, &ticket);
	if (rc == 0)
		rc = store_sync(store, ticket);
	if (rc == 0)
		rc = segment_set_note_gone(&store->segments, file->number, end);
	/* A backup may have been made of it meanwhile. */
	if (rc == 0)
		rc = has_other_names(file);
	if (rc != 0)
		return rc;
	/* Before it is shorter, as who reads meets its end from then on. */
	uint64_t size = file->size;
	file->size = end;
	rc = anyio_ftruncate(file->fd, (int64_t)end);
	if (rc < 0) {
		file->size = size;
		return rc;
	}
	collecting->freed += size - end;
	collecting->swept += size - end;
	return 0;
}

static int sweep_parts(struct sweep *sweep, struct parts *parts)
{
	uint32_t ordinals = UINT32_MAX;

	while (parts->count > 0) {
		uint64_t live;
		size_t count = count_next(sweep, parts, &live);
		struct part *part = &parts->first[parts->count - count];

		if (count == 0) {
			sweep->collecting->without_room = true;
			return 0;
		}
		struct scan scan = part->scan;
		scan.size = sweep->file->size;
		int rc = sweep_through(sweep, &scan, ordinals);
		parts->count -= count;
		if (rc != 0 || sweep->keep || parts->count == 0)
			return rc;
		rc = cut_off(sweep, part->scan.at);
		sweep->collecting->without_room |= rc > 0;
		if (rc != 0)
			return rc < 0 ? rc : 0;
		ordinals = part->scan.ordinal;
		live_cut(&sweep->collecting->live, sweep->file->number, ordinals, live);
		leases_cut(sweep->collecting->store, sweep->file->number, ordinals);
	}
	return 0;
}

int sweep_in_parts(struct sweep *sweep)
{
	struct parts parts = { 0 };
	int rc = has_other_names(sweep->file);

	if (rc != 0) {
		sweep->collecting->without_room = rc > 0;
		return rc < 0 ? rc : 0;
	}
	rc = find_parts(sweep, &parts);
	/* It would stay anyway. */
	sweep->keep |= parts.damaged;
	if (rc == 0 && !sweep->keep)
		rc = sweep_parts(sweep, &parts);
	anyio_free(parts.first);
	return rc;
}
