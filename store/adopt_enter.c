/*
 * The blocks of adopted segments on their way into the index: at the end of an adoption, and again by an opening
 * whose index may not have them all. Only heads are read: what the blocks are, the adoption has seen, and every get
 * sees again; but by an opening what lies elsewhere too is read there.
 */
#include <errno.h>
#include <anyio/anyio.h>
#include <multiformats/multihash.h>
#include "inner.h"
#include "replay.h"
#include "segment_adopted.h"

enum { WINDOW_SIZE = 64 << 10, BATCH = 256 };

struct batch {
	struct scan_event events[BATCH];
	size_t count;
};

static void make_place(const struct scan_event *event, uint32_t number, struct index_place *place)
{
	*place = (struct index_place){ .segment = number,
		.offset = event->offset + event->section.head,
		.len = event->section.len,
		.ordinal = event->ordinal,
		.codec = event->section.cid.codec,
		.version = event->section.cid.version };
}

/* With the lock `writing` held, and room reserved. A block that lies elsewhere, and is whole there as far as known, stays
 * there, and counts as put. */
static int enter_block(
	struct adopt_entering *entering, struct segment_file *file, const struct scan_event *event)
{
	uint32_t number = file->number;
	struct store *store = entering->store;
	const struct mf_cid *cid = &event->section.cid;
	struct index_place place;
	int rc;

	if (cid->hash == MF_HASH_IDENTITY)
		return 0;
	entering->blocks++;
	if (entering->replay &&
		replay_is_void(entering->replay, number, event->offset, event->offset + event->len))
		return 0;
	rc = store_find(store, cid, &place);
	/* Where it lies it may go some day: then nobody knows of this one. */
	if (rc > 0)
		file->swept |= place.segment != number;
	if (rc > 0)
		return store_touch(store, &place);
	if (rc < 0)
		return rc;
	make_place(event, number, &place);
	rc = store_touch(store, &place);
	if (rc < 0)
		return rc;
	index_put(&store->index, cid, &place);
	entering->fresh++;
	return entering->entered ? entering->entered(entering->arg, cid, place.len) : 0;
}

static int enter_batch(
	struct adopt_entering *entering, struct segment_file *file, struct batch *batch)
{
	struct store *store = entering->store;
	int rc = 0;

	for (size_t i = 0; i < batch->count && rc == 0 && entering->replay; i++)
		rc = store_doubt(store, &batch->events[i].section.cid, file->number);
	if (rc == 0)
		rc = anyio_lock_acquire(&store->writing);
	if (rc < 0)
		return rc;
	rc = index_reserve(&store->index, batch->count);
	for (size_t i = 0; i < batch->count && rc == 0; i++)
		rc = enter_block(entering, file, &batch->events[i]);
	anyio_lock_release(&store->writing);
	batch->count = 0;
	return rc < 0 ? rc : anyio_checkpoint();
}

static int take_event(struct adopt_entering *entering, struct segment_file *file,
	struct batch *batch, const struct scan_event *event)
{
	if (event->what == SCAN_LOST)
		return entering->lost
			? entering->lost(entering->arg, event->offset, event->offset + event->len)
			: 0;
	batch->events[batch->count++] = *event;
	return batch->count == BATCH ? enter_batch(entering, file, batch) : 0;
}

/* When a head is another one it names a block that is not there, and hides one that is. */
static int finish(struct adopt_entering *entering, struct segment_file *file,
	const struct scan *scan, struct batch *batch)
{
	int rc = batch->count ? enter_batch(entering, file, batch) : 0;

	return rc == 0 && entering->lost && !segment_adopted_has_heads(file->adopted, scan)
		? entering->lost(entering->arg, file->adopted->from, file->adopted->to)
		: rc;
}

static int enter_all(struct adopt_entering *entering, struct segment_file *file,
	struct batch *batch, uint8_t *window)
{
	struct scan scan;
	struct scan_event event;
	uint64_t from = 0;
	size_t len = 0;
	int rc = 0;

	segment_scan_start(&scan, &entering->store->keys, file, file->size);
	while (rc == 0) {
		scan_next(&scan, window, from, len, &event);
		if (event.what == SCAN_END)
			return finish(entering, file, &scan, batch);
		if (event.what != SCAN_MORE) {
			rc = take_event(entering, file, batch, &event);
			continue;
		}
		if (entering->progress && event.offset > from)
			rc = entering->progress(entering->arg, event.offset - from);
		from = event.offset;
		len = scan.size - from < WINDOW_SIZE ? scan.size - from : WINDOW_SIZE;
		if (rc == 0)
			rc = anyio_pread_all(file->fd, window, len, from);
	}
	return rc;
}

int store_enter_blocks(struct adopt_entering *entering, struct segment_file *file)
{
	struct segment_set *segments = &entering->store->segments;
	int rc = segment_file_use(segments, file);

	if (rc < 0)
		return rc;
	uint8_t *window = anyio_malloc(WINDOW_SIZE);
	struct batch *batch = anyio_calloc(1, sizeof(*batch));
	rc = window && batch ? enter_all(entering, file, batch, window) : -ENOMEM;
	anyio_free(window);
	anyio_free(batch);
	segment_file_release(file);
	return rc;
}

struct opening {
	struct store *store;
	struct store_recovery *recovery;
	uint32_t number;
};

static int on_lost(void *arg, uint64_t from, uint64_t to)
{
	struct opening *opening = arg;

	opening->recovery->damaged++;
	store_say(opening->recovery, "segments/%08u.car is damaged: bytes %llu to %llu",
		opening->number, (unsigned long long)from, (unsigned long long)to);
	return 0;
}

static int on_entered(void *arg, const struct mf_cid *cid, uint32_t len)
{
	((struct opening *)arg)->recovery->blocks++;
	return 0;
}

/* A long way, as of on_settled (recover.c). */
static int on_progress(void *arg, uint64_t bytes)
{
	struct opening *opening = arg;
	struct store *store = opening->store;

	opening->recovery->scanned += bytes;
	if (index_fresh(&store->index) < store->options.checkpoint_blocks)
		return 0;
	index_freeze(&store->index, &store->checkpoint, &store->index.written.ops);
	return index_write(&store->index);
}

int store_enter_adopted(
	struct store *store, const struct replay *replay, struct store_recovery *recovery)
{
	struct segment_set *segments = &store->segments;
	struct opening opening = { .store = store, .recovery = recovery };
	int rc = segment_set_tidy(segments, store->checkpoint.segment, store->broken, recovery);

	for (size_t i = 0; i < segments->adopted_count && rc == 0; i++) {
		struct segment_file *file = segments->adopted[i];
		struct adopt_entering entering = { .store = store,
			.replay = replay,
			.entered = on_entered,
			.lost = on_lost,
			.progress = on_progress,
			.arg = &opening };

		opening.number = file->number;
		if (file->adopted->entered || file->size == 0)
			continue;
		rc = store_enter_blocks(&entering, file);
		/* It went away just now: then it is missing. */
		rc = rc == -ENOENT ? 0 : rc;
	}
	return rc;
}

int store_note_entered(struct store *store)
{
	const struct segment_file *file;
	store_ticket ticket = 0;
	uint32_t number = 0;
	int rc = 0;

	while (rc == 0 && (file = segment_set_next(&store->segments, number))) {
		number = file->number;
		if (file->adopted && !file->adopted->entered && file->size > 0)
			rc = store_note_segment(store, number, SEGMENT_STATE_ENTERED, &ticket);
	}
	return rc;
}
