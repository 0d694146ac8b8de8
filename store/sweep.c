/*
 * Sweeping one segment: what lives in it is written again at the end of the log; what is dead leaves the index, where it has
 * not (collect.c).
 *
 * A block found dead leaves the index in the same step that finds it so, with the lock `writing` held: a put looks
 * at the index under that lock, and either finds the block, which marks it live, or writes it anew.
 */
#include <errno.h>
#include <string.h>
#include <store/gate.h>
#include "segment_adopted.h"
#include "sweeping.h"

enum {
	BATCH_BYTES = 4 << 20,
	POLITE_BYTES = 1 << 20, /* the same while others read */
	STEPS_A_TURN = 8,       /* blocks, before others have a turn */
	TINY = 2048, /* bytes of a block, in the mean, up to which so many are hashed at a time */
	TINY_A_TURN = 16,
};

static void free_batch(struct sweep *sweep)
{
	for (size_t i = 0; i < sweep->count; i++)
		anyio_free(sweep->blocks[i].memory);
	sweep->count = sweep->bytes = 0;
	sweep->borrowed = false;
}

/* What cannot be read keeps its segment. */
static int spare(struct sweep *sweep, int rc)
{
	if (rc != -EIO && rc != ANYIO_INCOMPLETE_READ)
		return rc;
	sweep->keep = true;
	return 0;
}

/* One that did not pass, again: if its head is damaged it may not be as long as that says, and the index knows better. 0; -EBADMSG;
 * or why it could not be read. */
static int check_as_known(struct sweep *sweep, struct store_block *block, struct index_place *place)
{
	struct index_place known;
	int result, rc = store_find(sweep->collecting->store, &block->cid, &known);

	if (rc < 0)
		return rc;
	if (known.state == INDEX_GONE || known.segment != place->segment ||
		known.offset != place->offset || known.len == place->len)
		return -EBADMSG;
	void *data = anyio_malloc(known.len + 1);
	if (!data)
		return -ENOMEM;
	anyio_free(block->memory);
	block->data = block->memory = data;
	block->len = known.len;
	*place = known;
	rc = anyio_pread_all(sweep->file->fd, data, known.len, known.offset);
	if (rc == 0)
		rc = store_gate_check_big(block, 1, &result);
	return rc < 0 ? rc : result ? -EBADMSG : 0;
}

/* Little ones a few at a time, on the loop: waking other threads for them takes longer than they do. */
static int pass_gate(struct sweep *sweep, int *results)
{
	size_t part = sweep->bytes <= sweep->count * TINY ? TINY_A_TURN : sweep->count;
	int rc = 0;

	for (size_t at = 0; at < sweep->count && rc == 0; at += part) {
		size_t left = sweep->count - at;

		rc = store_gate_check_big(
			sweep->blocks + at, left < part ? left : part, results + at);
		if (rc == 0 && left > part)
			rc = anyio_checkpoint();
	}
	return rc;
}

/* Those that pass the gate, at the front; the others keep the segment. */
static int check_batch(struct sweep *sweep)
{
	int results[SWEEP_BATCH];
	size_t good = 0;
	int rc = pass_gate(sweep, results);

	for (size_t i = 0; i < sweep->count && rc == 0; i++) {
		struct store_block block = sweep->blocks[i];
		struct index_place place = sweep->places[i];

		sweep->blocks[i].memory = NULL;
		if (results[i] == 0 || (rc = check_as_known(sweep, &block, &place)) == 0) {
			sweep->blocks[good] = block;
			sweep->places[good++] = place;
			continue;
		}
		anyio_free(block.memory);
		if (rc == -EBADMSG) {
			store_forget(sweep->collecting->store, &block.cid, &place);
			sweep->keep = true;
			rc = 0;
		}
		rc = spare(sweep, rc);
	}
	if (rc == 0)
		sweep->count = good;
	return rc;
}

static int move_batch(struct sweep *sweep)
{
	struct collecting *collecting = sweep->collecting;
	struct store_moved moved = { 0 };
	store_ticket ticket = 0;
	int rc = sweep->count ? check_batch(sweep) : 0;

	for (size_t at = 0; at < sweep->count && rc == 0; at += STEPS_A_TURN) {
		size_t left = sweep->count - at;

		rc = store_move_many(collecting->store, sweep->blocks + at, sweep->places + at,
			left < STEPS_A_TURN ? left : STEPS_A_TURN, &ticket, &moved);
		if (rc == 0)
			rc = anyio_checkpoint();
	}
	free_batch(sweep);
	collecting->result->moved += moved.blocks;
	collecting->result->moved_bytes += moved.bytes;
	collecting->written += moved.bytes + moved.blocks * LIVE_HEAD;
	/* What lives here by the index may have another name by its head, which was damaged then, or be another one than is
	 * counted, as a head before it covers more than its own. */
	sweep->keep |= moved.unknown > 0;
	return rc < 0 ? rc : collecting_write_if_late(collecting);
}

int collecting_drop(
	struct collecting *collecting, const struct mf_cid *cid, const struct index_place *place)
{
	const struct store_collect_options *options = collecting->options;
	int rc = index_drop_found(&collecting->store->index, cid, place);

	if (rc < 0)
		return rc;
	collecting->result->dropped++;
	collecting->result->bytes += place->len;
	if (options->dropped)
		options->dropped(options->arg, cid, place->len);
	return 0;
}

/* Decides about a block that was not live, whose data is at offset of a segment: 1: it is live by now, and lies here; 0: it is not,
 * or is gone now; or a negative code. */
static int judge(
	struct collecting *collecting, const struct mf_cid *cid, uint32_t segment, uint64_t offset)
{
	struct store *store = collecting->store;
	struct index_place place;
	int rc = anyio_lock_acquire(&store->writing);

	if (rc < 0)
		return rc;
	rc = index_find(&store->index, cid, &place);
	if (rc < 0 || place.state == INDEX_GONE || place.segment != segment ||
		place.offset != offset) {
		rc = rc < 0 ? rc : 0;
	} else if (live_has(&collecting->live, segment, place.ordinal)) {
		rc = 1;
	} else {
		rc = collecting_drop(collecting, cid, &place);
	}
	anyio_lock_release(&store->writing);
	return rc;
}

/* A little one that lies whole in the window stays there until it is moved, unless the next window, before which it must be, is
 * near; others get memory of their own. */
static int read_block(
	struct sweep *sweep, const struct index_place *place, struct store_block *block)
{
	bool whole = place->offset >= sweep->from &&
		place->offset + place->len <= sweep->from + sweep->len;

	block->data = sweep->window + (place->offset - sweep->from);
	if (whole && place->len <= LOG_SMALL_MAX && sweep->lends) {
		sweep->borrowed = true;
		return 0;
	}
	/* Not aligned, so that it is not written by O_DIRECT: the disk writes while the next ones are read. */
	void *memory = anyio_malloc(place->len + 1);
	if (!memory)
		return -ENOMEM;
	if (whole)
		memcpy(memory, block->data, place->len);
	int rc = whole ? 0 : anyio_pread_all(sweep->file->fd, memory, place->len, place->offset);
	block->data = block->memory = memory;
	return rc;
}

static int take_live(struct sweep *sweep, const struct scan_event *event)
{
	struct store_block *block = &sweep->blocks[sweep->count];
	struct index_place *place = &sweep->places[sweep->count];

	*place = (struct index_place){ .segment = sweep->file->number,
		.offset = event->offset + event->section.head,
		.len = event->section.len,
		.ordinal = event->ordinal };
	*block = (struct store_block){ .cid = event->section.cid, .len = place->len };
	int rc = read_block(sweep, place, block);
	if (rc < 0) {
		anyio_free(block->memory);
		return spare(sweep, rc);
	}
	sweep->count++;
	sweep->bytes += place->len;
	size_t most = store_is_read(sweep->collecting->store) ? POLITE_BYTES : BATCH_BYTES;
	return sweep->count == SWEEP_BATCH || sweep->bytes >= most ? move_batch(sweep) : 0;
}

static int take_block(struct sweep *sweep, const struct scan_event *event)
{
	struct collecting *collecting = sweep->collecting;
	uint32_t number = sweep->file->number;
	int rc = 1;

	bool live = live_has(&collecting->live, number, event->ordinal);
	/* Where everything dead was to leave the index, it has; but what is adopted may have come since. */
	if (!live && collecting->options->every && !sweep->file->adopted)
		return 0;
	if (!live)
		rc = judge(collecting, &event->section.cid, number,
			event->offset + event->section.head);
	if (rc <= 0)
		return rc < 0 ? rc : collecting_write_if_late(collecting);
	sweep->live++;
	return take_live(sweep, event);
}

/* What it says of a segment that stays is said again. */
static int take_record(struct sweep *sweep, const struct segment_record *record)
{
	struct store *store = sweep->collecting->store;
	struct store_range range = { record->nothing.segment, record->nothing.from,
		record->nothing.to };

	if (record->kind != SEGMENT_RECORD_VOID ||
		(range.segment == sweep->file->number && range.from >= sweep->start) ||
		!segment_set_find(&store->segments, range.segment))
		return 0;
	return store_write_voids(store, &range, 1);
}

static int take_event(struct sweep *sweep, const struct scan_event *event)
{
	if (event->what == SCAN_BLOCK) {
		int rc = take_block(sweep, event);
		bool large = event->section.len >= SWEEP_LARGE;

		if (large)
			sweep->ahead = SWEEP_AHEAD;
		return rc == 0 && (large || ++sweep->steps % STEPS_A_TURN == 0) ? anyio_checkpoint()
										: rc;
	}
	if (event->what == SCAN_RECORD) {
		sweep->keep |= event->record.kind == SEGMENT_RECORD_COMMIT && !event->intact;
		return take_record(sweep, &event->record);
	}
	sweep->keep = true;
	return 0;
}

/* Whether all that are marked live by now, of those that lie where it has been, were met. */
static bool has_met_all(const struct sweep *sweep, uint32_t first, uint32_t end)
{
	return sweep->live >= live_count(&sweep->collecting->live, sweep->file->number, first, end);
}

int sweep_read_window(struct sweep *sweep, const struct scan *scan, const struct scan_event *wanted)
{
	uint64_t left = scan->size - wanted->offset;
	size_t len = scan->searching ? SWEEP_WINDOW : sweep->ahead;

	if (len < wanted->len)
		len = wanted->len;
	sweep->from = wanted->offset;
	sweep->len = left < len ? left : len;
	sweep->lends = sweep->len == SWEEP_WINDOW || sweep->len == left;
	sweep->ahead = 2 * len < SWEEP_WINDOW ? 2 * len : SWEEP_WINDOW;
	return anyio_pread_all(sweep->file->fd, sweep->window, sweep->len, sweep->from);
}

int sweep_through(struct sweep *sweep, struct scan *scan, uint32_t end)
{
	struct collecting *collecting = sweep->collecting;
	const struct store_collect_options *options = collecting->options;
	uint32_t first = scan->ordinal;
	struct scan_event event;
	int rc = 0;

	sweep->live = 0;
	sweep->start = scan->at;
	sweep->len = 0;
	while (rc == 0) {
		scan_next(scan, sweep->window, sweep->from, sweep->len, &event);
		if (event.what == SCAN_END) {
			sweep->keep |= scan->searching || !has_met_all(sweep, first, end) ||
				(sweep->file->adopted &&
					!segment_adopted_has_heads(sweep->file->adopted, scan));
			return move_batch(sweep);
		}
		if (event.what != SCAN_MORE) {
			rc = take_event(sweep, &event);
			continue;
		}
		if (sweep->borrowed && (rc = move_batch(sweep)) < 0)
			return rc;
		rc = sweep_read_window(sweep, scan, &event);
		if (rc < 0)
			return (rc = spare(sweep, rc)) < 0 ? rc : move_batch(sweep);
		if (options->progress)
			rc = options->progress(options->arg, true, collecting->swept + sweep->from,
				collecting->to_sweep);
	}
	return rc;
}

static int sweep_whole(struct sweep *sweep)
{
	struct scan scan;

	segment_scan_start(&scan, &sweep->collecting->store->keys, sweep->file, sweep->file->size);
	return sweep_through(sweep, &scan, UINT32_MAX);
}

int collecting_sweep(struct collecting *collecting, uint32_t number, bool in_parts)
{
	struct segment_set *segments = &collecting->store->segments;
	struct segment_file *file = segment_set_find(segments, number);
	struct sweep *sweep = anyio_calloc(1, sizeof(*sweep));
	int rc = sweep ? segment_file_use(segments, file) : -ENOMEM;

	if (rc < 0) {
		anyio_free(sweep);
		/* Taken away by somebody else: it is as one that is damaged. */
		collecting->result->kept_damaged += rc == -ENOENT;
		return rc == -ENOENT ? 0 : rc;
	}
	sweep->collecting = collecting;
	sweep->file = file;
	sweep->ahead = SWEEP_AHEAD;
	sweep->window = anyio_malloc(file->size < SWEEP_WINDOW ? file->size + 1 : SWEEP_WINDOW);
	rc = sweep->window ? store_begin_sweeping(collecting->store, file) : -ENOMEM;
	if (rc == 0)
		rc = in_parts ? sweep_in_parts(sweep) : sweep_whole(sweep);
	segment_file_release(file);
	free_batch(sweep);
	if (rc == 0) {
		collecting->swept += collecting->without_room ? 0 : file->size;
		collecting->result->kept_damaged += sweep->keep;
	}
	if (rc == 0 && !sweep->keep && !collecting->without_room)
		collecting->ready.numbers[collecting->ready.count++] = number;
	anyio_free(sweep->window);
	anyio_free(sweep);
	return rc;
}
