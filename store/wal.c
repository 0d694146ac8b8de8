/*
 * The log seen from outside. A walk reads the heads of sections through small windows, so that it takes
 * as long as there are sections, not as there are bytes; a rehearsal of an opening is a replay whose
 * finds are counted, and go nowhere.
 */
#include <store/wal.h>

#include <errno.h>
#include <string.h>
#include "bytes.h"
#include "index_db.h"
#include "inner.h"
#include "replay.h"
#include "segment_adopted.h"

enum {
	WINDOW_SIZE = 64 << 10,
	STEPS_A_TURN = 256,
};

/* Bytes of the log between two places. */
static uint64_t distance(const struct store *store, const struct store_wal_place *from,
	const struct store_wal_place *to)
{
	const struct segment_set *segments = &store->segments;
	uint64_t bytes = 0;

	for (size_t i = 0; i < segments->count; i++) {
		const struct segment_file *file = segments->files[i];
		uint64_t first = file->number == from->segment ? from->offset : 0;
		uint64_t last = file->number == to->segment ? to->offset : file->size;

		if (file->number >= from->segment && file->number <= to->segment && last > first)
			bytes += last - first;
	}
	return bytes;
}

static void count_file(struct store_wal_status *out, const struct segment_file *file)
{
	if (file->size == 0)
		return;
	out->bytes += file->size;
	out->files++;
	if (out->first == 0 || out->first > file->number)
		out->first = file->number;
	if (out->last < file->number)
		out->last = file->number;
}

void store_wal_status(struct store *store, struct store_wal_status *out)
{
	const struct log *log = &store->log;
	const struct index_position *checkpoint = &store->checkpoint;

	*out = (struct store_wal_status){
		.checkpoint = { checkpoint->segment, checkpoint->end, checkpoint->sequence },
		.behind_entries = index_unwritten(&store->index),
		.segments = store->segments.count + store->segments.adopted_count,
		.syncs = store->log.syncs,
		.stopped = store->broken,
	};
	for (size_t i = 0; i < store->segments.count; i++)
		count_file(out, store->segments.files[i]);
	for (size_t i = 0; i < store->segments.adopted_count; i++)
		count_file(out, store->segments.adopted[i]);
	if (log->active) {
		uint32_t number = log->active->number;

		out->durable = (struct store_wal_place){ number, log->durable_end, log->durable };
		out->end = (struct store_wal_place){ number, log->end, log->sequence };
	} else {
		out->durable = out->end = out->checkpoint;
	}
	out->operations = store->ops.generation;
	out->operations_bytes = store->ops.end;
	out->operations_pending = store->ops.end - store->ops.durable_end +
		(ops_pending(&store->ops) ? store->ops.used - OPS_HEAD_SIZE : 0);
	out->pending_bytes = out->end.offset - out->durable.offset;
	out->behind_bytes = distance(store, &out->checkpoint, &out->durable);
}

struct walk {
	struct store *store;
	uint8_t *window;
	uint64_t from; /* entries that end before it are not told */
	uint64_t sequence;
	uint32_t operations; /* generation of the file of operations that is read */
	int (*each)(void *arg, const struct store_wal_entry *entry);
	void *arg;
	size_t steps;
};

static void describe_record(
	struct walk *walk, const struct scan_event *event, struct store_wal_entry *entry)
{
	const struct segment_record *record = &event->record;

	switch (record->kind) {
	case SEGMENT_RECORD_SEGMENT:
		entry->kind = STORE_WAL_SEGMENT;
		entry->of = record->previous.number;
		entry->to = record->previous.len;
		entry->sequence = walk->sequence = record->sequence;
		return;
	case SEGMENT_RECORD_COMMIT:
		entry->kind = STORE_WAL_COMMIT;
		entry->from = record->commit.start;
		entry->count = record->commit.count;
		entry->intact = event->intact;
		entry->sequence = record->sequence;
		walk->sequence = record->sequence + 1;
		return;
	case SEGMENT_RECORD_VOID:
		entry->kind = STORE_WAL_VOID;
		entry->of = record->nothing.segment;
		entry->from = record->nothing.from;
		entry->to = record->nothing.to;
		return;
	case SEGMENT_RECORD_FILL: entry->kind = STORE_WAL_FILL; return;
	}
}

static int tell(struct walk *walk, const struct segment_file *file, const struct scan_event *event)
{
	const struct log *log = &walk->store->log;
	struct store_wal_entry entry = { .segment = file->number,
		.offset = event->offset,
		.end = event->offset + event->len,
		.sequence = walk->sequence };

	entry.durable = file != log->active || entry.end <= log->durable_end;
	if (event->what == SCAN_RECORD) {
		describe_record(walk, event, &entry);
	} else if (event->what == SCAN_BLOCK) {
		entry.kind = STORE_WAL_BLOCK;
		entry.cid = event->section.cid;
		entry.len = event->section.len;
	} else {
		entry.kind = STORE_WAL_LOST;
		entry.sequence = walk->sequence = 0;
	}
	int rc = entry.end > walk->from ? walk->each(walk->arg, &entry) : 0;
	return rc == 0 && ++walk->steps % STEPS_A_TURN == 0 ? anyio_checkpoint() : rc;
}

/* Behind the last record that holds the scanner finds nothing to tell. */
static int tell_rest(struct walk *walk, const struct segment_file *file, const struct scan *scan)
{
	struct scan_event rest = {
		.what = SCAN_LOST, .offset = scan->at, .len = scan->size - scan->at
	};

	return scan->searching ? tell(walk, file, &rest) : 0;
}

/* It has no record that would say so. */
static int tell_adopted(struct walk *walk, const struct segment_file *file)
{
	struct store_wal_entry entry = { .kind = STORE_WAL_ADOPTED,
		.segment = file->number,
		.end = file->adopted->from,
		.durable = true,
		.from = file->adopted->from,
		.to = file->adopted->to,
		.linked = file->adopted->foreign };

	return walk->each(walk->arg, &entry);
}

static int walk_file(struct walk *walk, struct segment_file *file)
{
	struct scan scan;
	struct scan_event event;
	uint64_t from = 0;
	size_t len = 0;
	int rc = 0;

	walk->sequence = 0;
	segment_scan_start(&scan, &walk->store->keys, file, file->size);
	if (file->adopted)
		rc = tell_adopted(walk, file);
	while (rc == 0) {
		scan_next(&scan, walk->window, from, len, &event);
		if (event.what == SCAN_END)
			return tell_rest(walk, file, &scan);
		if (event.what != SCAN_MORE) {
			rc = tell(walk, file, &event);
			continue;
		}
		from = event.offset;
		len = scan.size - from < WINDOW_SIZE ? scan.size - from : WINDOW_SIZE;
		rc = anyio_pread_all(file->fd, walk->window, len, from);
	}
	return rc == ANYIO_INCOMPLETE_READ && file->size < scan.size ? 0 : rc;
}

/* A collection may take one away meanwhile, or its end. */
static int walk_segments(struct walk *walk, uint32_t segment)
{
	struct segment_set *segments = &walk->store->segments;
	struct segment_file *file;
	uint64_t from = walk->from;
	uint32_t last = segment ? segment - 1 : 0;
	int rc = 0;

	while (rc == 0 && (file = segment_set_next(segments, last))) {
		last = file->number;
		walk->from = last == segment ? from : 0;
		rc = segment_file_use(segments, file);
		if (rc == -ENOENT) {
			rc = 0;
			continue;
		}
		if (rc == 0) {
			rc = walk_file(walk, file);
			segment_file_release(file);
		}
	}
	return rc;
}

static int tell_operation(
	void *arg, uint64_t offset, uint64_t sequence, const struct ops_operation *operation)
{
	struct walk *walk = arg;
	const struct ops *ops = &walk->store->ops;
	struct store_wal_entry entry = { .kind = STORE_WAL_STATE,
		.operations = walk->operations,
		.offset = offset,
		.end = offset + 8 + operation->key_len + operation->value_len,
		.sequence = sequence,
		.of = operation->space,
		.len = operation->value_len,
		.mode = operation->put };

	entry.durable = walk->operations != ops->generation || entry.end <= ops->durable_end;
	if (operation->space == STORE_SPACE_PINS &&
		mf_cid_decode(&entry.cid, operation->key, operation->key_len) ==
			operation->key_len) {
		entry.kind = STORE_WAL_PIN;
		entry.mode = operation->value_len ? *operation->value : STORE_PIN_NONE;
	}
	return walk->each(walk->arg, &entry);
}

static int tell_lost(void *arg, uint64_t from, uint64_t to)
{
	struct walk *walk = arg;
	struct store_wal_entry entry = { .kind = STORE_WAL_LOST,
		.operations = walk->operations,
		.offset = from,
		.end = to,
		.durable = true };

	return walk->each(walk->arg, &entry);
}

/* Those that wait to be written, as they are now: each may take its time. */
static int walk_pending(struct walk *walk)
{
	const struct ops *ops = &walk->store->ops;
	uint64_t sequence = walk->store->log.sequence, first = ops->end + OPS_HEAD_SIZE;
	size_t len = ops_pending(ops) ? ops->used - OPS_HEAD_SIZE : 0;
	uint8_t *copy = anyio_malloc(len + 1);
	struct ops_batch batch = { .at = copy, .end = copy + len };
	struct ops_operation operation;
	int rc = copy ? 0 : -ENOMEM;

	if (len > 0 && rc == 0)
		memcpy(copy, ops->batch + OPS_HEAD_SIZE, len);
	while (rc == 0) {
		uint64_t offset = first + (batch.at - copy);

		if (ops_batch_next(&batch, &operation) <= 0)
			break;
		rc = tell_operation(walk, offset, sequence, &operation);
	}
	anyio_free(copy);
	return rc;
}

/* Those written, and those that wait to be. */
static int walk_operations(struct walk *walk)
{
	static const struct ops_calls calls = { tell_operation, tell_lost };
	uint64_t end;

	walk->operations = walk->store->ops.generation;
	int rc = ops_read(walk->store, 0, UINT64_MAX, &calls, walk, &end);

	walk->operations = walk->store->ops.generation;
	return rc ? rc : walk_pending(walk);
}

int store_wal_each(struct store *store, uint32_t segment, uint64_t offset,
	int (*each)(void *arg, const struct store_wal_entry *entry), void *arg)
{
	struct walk walk = { .store = store,
		.window = anyio_malloc(WINDOW_SIZE),
		.from = offset,
		.each = each,
		.arg = arg };
	int rc = walk.window ? walk_segments(&walk, segment) : -ENOMEM;

	if (rc == 0 && segment == 0)
		rc = walk_operations(&walk);
	anyio_free(walk.window);
	return rc;
}

struct rehearsal {
	struct store *store;
	const struct store_wal_replay_options *options;
	struct store_wal_replay *out;
	uint64_t total; /* bytes to go over */
	struct store_range *damaged;
	size_t count, room;
};

static int on_block(void *arg, const struct replay_block *block)
{
	((struct rehearsal *)arg)->out->blocks++;
	return 0;
}

static int on_operation(
	void *arg, uint64_t offset, uint64_t sequence, const struct ops_operation *operation)
{
	((struct rehearsal *)arg)->out->operations++;
	return 0;
}

static int remember(struct rehearsal *rehearsal, uint32_t segment, uint64_t from, uint64_t to)
{
	if (anyio_grow(&rehearsal->damaged, &rehearsal->room, rehearsal->count + 1,
		    sizeof(*rehearsal->damaged)))
		return -ENOMEM;
	rehearsal->damaged[rehearsal->count++] = (struct store_range){ segment, from, to };
	return 0;
}

/* A collection may have moved what lay there, and dropped or cut its file. What is missing otherwise is a gap. */
static bool is_there(const struct store *store, uint32_t segment, uint64_t to)
{
	const struct segment_file *file = segment_set_find(&store->segments, segment);

	return file && file->size >= to;
}

static int on_fault(void *arg, const struct replay_fault *fault)
{
	struct rehearsal *rehearsal = arg;

	if (!is_there(rehearsal->store, fault->segment, fault->to))
		return 0;
	rehearsal->out->unfinished += fault->unfinished;
	return fault->unfinished ? 0 : remember(rehearsal, fault->segment, fault->from, fault->to);
}

static int on_gap(void *arg, const struct store_gap *gap)
{
	return remember(arg, gap->segment, gap->there, gap->known);
}

/* Segment 0: it is the operation log. */
static int on_operations_damaged(void *arg, uint64_t from, uint64_t to)
{
	return remember(arg, 0, from, to);
}

/* A file that was cut or taken away under who has it open is what the next opening meets, whatever the descriptor still
 * gives. In the order of an opening: lost as a whole tells more than where. */
static int find_operations_lost(struct rehearsal *rehearsal)
{
	const struct ops *ops = &rehearsal->store->ops;
	uint32_t generation = ops->generation;
	uint64_t durable = ops->durable_end;
	struct stat st;

	if (ops->lost)
		return on_operations_damaged(rehearsal, 0, 0);
	if (ops->fd < 0)
		return 0;
	int rc = anyio_fstat(ops->fd, &st);
	/* Another took its place meanwhile. */
	if (generation != ops->generation)
		return 0;
	if (rc == 0 && (st.st_nlink == 0 || (uint64_t)st.st_size < durable))
		rc = on_operations_damaged(rehearsal, 0, 0);
	return rc;
}

static int on_progress(void *arg, uint64_t bytes)
{
	struct rehearsal *rehearsal = arg;
	const struct store_wal_replay_options *options = rehearsal->options;
	uint64_t done = rehearsal->out->bytes += bytes;

	/* A file may be adopted meanwhile. */
	if (rehearsal->total < done)
		rehearsal->total = done;
	return options->progress ? options->progress(options->arg, done, rehearsal->total) : 0;
}

static bool lies_at(const struct index_place *place, const struct replay_block *block)
{
	return place->segment == block->place.segment && place->offset == block->place.offset;
}

/* Whether the index that was written has it there: a checkpoint may have come in the midst of its segment. */
static int is_written(struct store *store, const struct replay_block *block)
{
	struct index_place place;
	struct index_key key;

	index_block_key(&key, block->cid);
	int rc = index_db_block(&store->index, &key, &place);
	return rc > 0 ? place.state == INDEX_PRESENT && lies_at(&place, block) : rc;
}

/* Those that an opening would enter: whose blocks lie there, and not elsewhere. all: as if no index was written. */
static int on_adopted_block(void *arg, const struct replay_block *block)
{
	struct rehearsal *rehearsal = arg;
	struct store *store = rehearsal->store;
	struct index_place place;
	int rc = index_find(&store->index, block->cid, &place);

	if (rc <= 0 || !lies_at(&place, block))
		return rc < 0 ? rc : 0;
	rc = rehearsal->options->all ? 0 : is_written(store, block);
	rehearsal->out->blocks += rc == 0;
	return rc < 0 ? rc : 0;
}

/* Whether the index that was written has all of its blocks. */
static int is_entered(struct store *store, uint32_t number)
{
	uint8_t number_key[4], value[STORE_STATE_VALUE_MAX];
	struct segment_adopted written;
	struct index_key key;

	put_u32(number_key, number);
	index_state_key(&key, STORE_SPACE_SEGMENTS, number_key, sizeof(number_key));
	ssize_t len = index_db_state(&store->index, &key, value, sizeof(value));
	if (len < 0 && len != -ENOENT)
		return (int)len;
	return len > 0 && segment_adopted_decode(&written, value, len) == 0 && written.entered;
}

/* Whether an opening would go over an adopted file: 1, 0, or a negative code. */
static int is_to_enter(const struct rehearsal *rehearsal, const struct segment_file *file)
{
	if (!file->adopted || file->size == 0)
		return 0;
	int rc = rehearsal->options->all ? 0 : is_entered(rehearsal->store, file->number);
	return rc < 0 ? rc : rc == 0;
}

/* What the scans of them are going to pass. */
static int count_total(struct rehearsal *rehearsal, const struct index_position *from)
{
	const struct segment_set *segments = &rehearsal->store->segments;
	const struct segment_file *file;

	for (size_t i = 0; i < segments->count; i++) {
		file = segments->files[i];
		uint64_t first = file->number == from->segment ? from->end : SEGMENT_HEADER_SIZE;

		if (file->number >= from->segment && file->size > first)
			rehearsal->total += file->size - first;
	}
	for (size_t i = 0; i < segments->adopted_count; i++) {
		file = segments->adopted[i];
		int rc = is_to_enter(rehearsal, file);

		if (rc < 0)
			return rc;
		rehearsal->total += rc ? file->adopted->to - file->adopted->from : 0;
	}
	return 0;
}

/* As store_enter_adopted would. */
static int rehearse_adopted(struct rehearsal *rehearsal)
{
	static const struct replay_calls calls = { on_adopted_block, on_fault, NULL, on_progress };
	struct store *store = rehearsal->store;
	struct segment_file *file;
	uint32_t number = 0;
	int rc = 0;

	while (rc == 0 && (file = segment_set_next(&store->segments, number))) {
		struct replay replay = { .store = store, .calls = &calls, .arg = rehearsal };

		number = file->number;
		rc = is_to_enter(rehearsal, file);
		if (rc <= 0)
			continue;
		rc = replay_adopted(&replay, file);
		replay_free(&replay);
	}
	return rc;
}

int store_wal_replay(struct store *store, const struct store_wal_replay_options *options,
	struct store_wal_replay *out)
{
	static const struct store_wal_replay_options none;
	static const struct replay_calls calls = { on_block, on_fault, NULL, on_progress };
	static const struct ops_calls operations = { on_operation, on_operations_damaged };
	struct rehearsal rehearsal = {
		.store = store, .options = options ? options : &none, .out = out
	};
	bool all = rehearsal.options->all;
	uint64_t end, believed, first = all ? 0 : ops_known(store);
	struct index_position from = all ? (struct index_position){ 0 } : store->checkpoint;
	struct replay replay = { .store = store,
		.calls = &calls,
		.arg = &rehearsal,
		.proven = from.sequence,
		.durable = store->unwritable ? 0 : store->log.durable,
		.sequence = from.sequence,
		.last = from };

	*out = (struct store_wal_replay){ 0 };
	int rc = store_each_gap(store, on_gap, &rehearsal);
	size_t gaps = rehearsal.count;
	if (rc == 0)
		rc = find_operations_lost(&rehearsal);
	bool lost = rehearsal.count > gaps;
	if (rc == 0)
		rc = count_total(&rehearsal, &from);
	if (rc == 0)
		rc = replay_all(&replay, &from, false);
	if (rc == 0)
		rc = rehearse_adopted(&rehearsal);
	if (rc == 0 && store->log.active)
		out->cut = replay.end - replay.tail;
	if (rc == 0 && !lost)
		rc = store_last_believed(store, &replay, first, &believed);
	/* Then nothing of them is unfinished, and an opening only reads. */
	if (rc == 0 && replay.operations_lost)
		rc = on_operations_damaged(&rehearsal, 0, 0);
	else
		out->unfinished += rc == 0 && replay.operations_fewer && !replay.torn;
	/* Of what is cut under who has it open not even the length is known. */
	if (rc == 0 && (!lost || store->ops.lost))
		rc = ops_read(
			store, first, lost ? UINT64_MAX : believed, &operations, &rehearsal, &end);
	out->damaged = replay_without_void(&replay, rehearsal.damaged, rehearsal.count);
	for (size_t i = 0; i < out->damaged && rehearsal.options->fault && rc == 0; i++) {
		const struct store_range *range = &rehearsal.damaged[i];

		rc = rehearsal.options->fault(
			rehearsal.options->arg, range->segment, range->from, range->to);
	}
	anyio_free(rehearsal.damaged);
	replay_free(&replay);
	return rc;
}
