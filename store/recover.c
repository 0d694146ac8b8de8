/*
 * Opening the log again. Read on from the last checkpoint, believe what replay.h says can be
 * believed, cut the tail, write down what is void; then go on writing behind it. Being killed
 * anywhere in here is harmless: nothing is cut but what no commit covers, and the index is written
 * in whole steps.
 *
 * A checkpoint is written when the log is durable up to its position. So a log that ends before that
 * position has lost what was acknowledged: no crash looks like this. Such a log is not touched, and
 * nothing is written behind it (read_only), until store_go_on. So it is when the operation log is missing, ends
 * before what the index knows, or is damaged behind it. When the log is long enough but its
 * bytes there are no commit, they are damaged, and nothing tells where the tail begins: nothing is
 * cut, and writing goes on in a new segment.
 *
 * A repo that cannot be written to is read in the same way, and believed the same; but all of it stays in memory.
 */
#include <errno.h>
#include <string.h>
#include "inner.h"
#include "replay.h"
#include "segment_adopted.h"

enum { RANGES_MAX = 4096 }; /* remembered; more than that is no torn write */

struct ranges {
	struct store_range *of;
	size_t count;
};

struct recovering {
	struct store *store;
	struct store_recovery *report;
	struct ranges voids, damaged;
};

static int on_block(void *arg, const struct replay_block *block)
{
	struct recovering *recovering = arg;
	struct index *index = &recovering->store->index;
	int rc = index_reserve(index, 1);

	recovering->report->blocks++;
	if (rc == 0)
		index_put(index, block->cid, &block->place);
	return rc;
}

/* 1, 0 when there are too many already, or -ENOMEM. */
static int remember(struct ranges *ranges, const struct replay_fault *fault)
{
	if (ranges->count == RANGES_MAX)
		return 0;
	if (!ranges->of)
		ranges->of = anyio_calloc(RANGES_MAX, sizeof(*ranges->of));
	if (!ranges->of)
		return -ENOMEM;
	ranges->of[ranges->count++] =
		(struct store_range){ fault->segment, fault->from, fault->to };
	return 1;
}

static int on_fault(void *arg, const struct replay_fault *fault)
{
	struct recovering *recovering = arg;
	int rc = fault->unfinished ? remember(&recovering->voids, fault) : 0;

	if (rc != 0) {
		recovering->report->unfinished += rc > 0;
		return rc < 0 ? rc : 0;
	}
	rc = remember(&recovering->damaged, fault);
	recovering->report->damaged += rc == 0;
	return rc < 0 ? rc : 0;
}

/* A long way: write the index now and then, so that it need not be held in memory, nor all be done
 * again. */
static int on_settled(void *arg, const struct index_position *position)
{
	struct recovering *recovering = arg;
	struct store *store = recovering->store;

	if (index_fresh(&store->index) < store->options.checkpoint_blocks)
		return 0;
	index_freeze(&store->index, position, &store->index.written.ops);
	int rc = index_write(&store->index);
	if (rc == 0)
		store->checkpoint = *position;
	return rc;
}

static int on_progress(void *arg, uint64_t bytes)
{
	struct recovering *recovering = arg;

	recovering->report->scanned += bytes;
	return 0;
}

static const struct replay_calls calls = { on_block, on_fault, on_settled, on_progress };

/* Whether the log really has a commit (or a segment record) where the index says. */
static int position_holds(struct store *store, const struct index_position *position)
{
	struct segment_file *file = segment_set_find(&store->segments, position->segment);
	uint8_t bytes[SEGMENT_RECORD_SECTION_MAX];
	struct segment_section section;
	struct segment_record record;
	uint64_t len = position->end - position->offset;

	if (!file || position->end > file->size || len > sizeof(bytes))
		return 0;
	int rc = segment_file_use(&store->segments, file);
	if (rc < 0)
		return rc;
	rc = anyio_pread_all(file->fd, bytes, len, position->offset);
	segment_file_release(file);
	if (rc < 0)
		return rc;
	return segment_section_decode(&section, bytes, len) > 0 &&
		section.head + section.len == len &&
		segment_record_decode(&store->keys, &section, bytes + section.head, file->number,
			position->offset, &record);
}

/* Whatever is in the page cache is made durable before it is believed: of the last segment, which
 * may have been killed at any time, its name too. */
static int sync_last(struct store *store, struct segment_file *file)
{
	int rc = segment_file_use(&store->segments, file);

	if (rc == 0) {
		rc = anyio_fdatasync(file->fd);
		segment_file_release(file);
	}
	if (rc == 0)
		rc = anyio_fsync(store->segments.dir_fd);
	return rc;
}

static int cut_tail(const struct store *store, struct segment_file *file, uint64_t tail,
	struct store_recovery *report)
{
	report->cut = file->size - tail;
	if (file->size == tail || store->unwritable)
		return 0;
	int rc = anyio_ftruncate(file->fd, tail);
	if (rc == 0)
		rc = anyio_fdatasync(file->fd);
	if (rc == 0)
		file->size = tail;
	return rc;
}

int store_write_voids(struct store *store, const struct store_range *ranges, size_t count)
{
	int rc = anyio_lock_acquire(&store->writing);

	if (rc < 0)
		return rc;
	if (count)
		rc = log_prepare(&store->log);
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct segment_record record = { .kind = SEGMENT_RECORD_VOID };

		record.nothing.segment = ranges[i].segment;
		record.nothing.from = ranges[i].from;
		record.nothing.to = ranges[i].to;
		if (!log_has_room(&store->log, 0))
			rc = log_flush(store);
		if (rc == 0)
			log_append_record(store, &record);
	}
	uint64_t ticket = store->log.sequence;
	anyio_lock_release(&store->writing);
	return rc < 0 || count == 0 ? rc : log_sync(store, ticket);
}

/* Goes on in a segment of its own; everything up to `durable` is. */
static int start_segment(struct store *store, uint64_t sequence, uint64_t durable)
{
	struct segment_file *file;
	int rc = segment_set_add(&store->segments, &store->keys, sequence + 1, durable, &file);

	if (rc < 0)
		return rc;
	struct index_position position = { .segment = file->number,
		.offset = SEGMENT_HEADER_SIZE,
		.end = file->size,
		.sequence = sequence };
	log_start(store, file, &position);
	return 0;
}

/* A segment that has nothing but its first record may have been torn while it was made. */
static int finish_making(const struct segment_file *file)
{
	int rc = anyio_pwrite_all(file->fd, segment_header, SEGMENT_HEADER_SIZE, 0);

	return rc < 0 ? rc : anyio_fdatasync(file->fd);
}

/* Goes on writing in the last segment, if it can be written to. */
static int start_log(
	struct store *store, const struct replay *replay, struct store_recovery *report)
{
	struct segment_set *segments = &store->segments;
	struct segment_file *file = segments->files[segments->count - 1];
	struct index_position position = replay->last;
	int rc = segment_file_use(segments, file);

	if (rc == 0)
		rc = cut_tail(store, file, replay->tail, report);
	if (rc == 0 && position.offset == SEGMENT_HEADER_SIZE && !store->unwritable)
		rc = finish_making(file);
	if (rc < 0)
		return rc;
	if (position.sequence < replay->sequence)
		position.sequence = replay->sequence;
	log_start(store, file, &position);
	return 0;
}

/* The operations go on in a file that holds what the index knows of them. */
static int renew_operations(struct store *store)
{
	int rc = store_checkpoint(store);

	if (rc == 0)
		rc = anyio_lock_acquire(&store->checkpointing);
	if (rc < 0)
		return rc;
	rc = ops_rewrite(store);
	anyio_lock_release(&store->checkpointing);
	return rc;
}

int store_go_on(struct store *store)
{
	struct segment_set *segments = &store->segments;
	uint64_t sequence = store->recovered;
	int rc = store->broken == -EUCLEAN ? 0 : store->broken;

	/* Should the last one come back some day, its place must be free. */
	if (segments->last_number < store->checkpoint.segment)
		segments->last_number = store->checkpoint.segment;
	if (rc == 0 && !store->log.active)
		rc = start_segment(store, sequence, sequence);
	if (rc < 0)
		return rc;
	store->broken = 0;
	rc = store->ops.lost ? renew_operations(store) : 0;
	if (rc < 0)
		store->broken = -EUCLEAN;
	return rc;
}

/* Whether the log ends before the position of the index. */
static bool is_cut_short(const struct store *store, const struct index_position *position)
{
	const struct segment_file *file = segment_set_find(&store->segments, position->segment);

	return position->segment && (!file || file->size < position->end);
}

static int tell_gap(const struct store *store, uint32_t number, uint64_t known,
	int (*each)(void *arg, const struct store_gap *gap), void *arg)
{
	const struct segment_file *file = segment_set_find(&store->segments, number);
	struct store_gap gap = {
		.segment = number, .there = file ? file->size : 0, .known = known, .missing = !file
	};

	uint64_t from = segment_set_gone_from(&store->segments, number);
	if (from < known)
		gap.known = from;
	if (gap.known == 0 || (file && file->size >= gap.known))
		return 0;
	return each(arg, &gap);
}

static int tell_adopted_gap(const struct segment_file *file,
	int (*each)(void *arg, const struct store_gap *gap), void *arg)
{
	const struct segment_adopted *adopted = file->adopted;
	struct store_gap gap = { .segment = file->number,
		.there = file->size,
		.known = adopted->size,
		.missing = file->size == 0 && !adopted->changed,
		.changed = adopted->changed };

	return file->size >= adopted->size || adopted->given_up ? 0 : each(arg, &gap);
}

int store_each_gap(
	const struct store *store, int (*each)(void *arg, const struct store_gap *gap), void *arg)
{
	const struct segment_set *segments = &store->segments;
	const struct index_position *position = &store->checkpoint;
	bool told = !is_cut_short(store, position);
	int rc = 0;

	for (size_t i = 0; i < segments->adopted_count && rc == 0; i++)
		rc = tell_adopted_gap(segments->adopted[i], each, arg);
	for (size_t i = 0; i < segments->count && rc == 0; i++) {
		const struct segment_file *file = segments->files[i];

		if (!file->previous)
			continue;
		rc = tell_gap(store, file->previous, file->previous_len, each, arg);
		told |= file->previous == position->segment;
	}
	return rc < 0 || told ? rc : tell_gap(store, position->segment, position->end, each, arg);
}

static int say_gap(void *arg, const struct store_gap *gap)
{
	struct store_recovery *report = arg;

	report->gaps++;
	if (gap->changed)
		store_say(report,
			"segments/%08u.car, a link, was changed since it was adopted, or is a copy of it, as in a copied repo: its blocks "
			"are not believed; import the file again, or copy its original onto the link (cp -p)",
			gap->segment);
	else if (gap->missing)
		store_say(report, "segments/%08u.car is missing, or nothing of it is left",
			gap->segment);
	else
		store_say(report, "segments/%08u.car has lost its end: it has %llu bytes of %llu",
			gap->segment, (unsigned long long)gap->there,
			(unsigned long long)gap->known);
	return 0;
}

/* Says what is worst. */
static void summarise(const struct recovering *recovering)
{
	struct store_recovery *report = recovering->report;
	const struct store_range *first = recovering->damaged.of;

	store_each_gap(recovering->store, say_gap, report);
	if (report->damaged && first)
		store_say(report, "segments/%08u.car is damaged: bytes %llu to %llu%s",
			first->segment, (unsigned long long)first->from,
			(unsigned long long)first->to,
			report->damaged > 1 ? ", and other places" : "");
	if (report->unfinished)
		store_say(report,
			"what was written last before a crash is not whole, or was damaged since: %llu %s of it, and pins that were "
			"set with it or later, are disregarded",
			(unsigned long long)report->unfinished,
			report->unfinished == 1 ? "place" : "places");
	else if (report->rebuilt)
		store_say(report, "the index was made anew from the segments");
	else if (report->cut && !recovering->store->unwritable)
		store_say(report, "unfinished writing of an earlier run was taken back");
}

static void count_damaged(struct recovering *recovering, const struct replay *replay)
{
	struct ranges *damaged = &recovering->damaged;

	damaged->count = replay_without_void(replay, damaged->of, damaged->count);
	recovering->report->damaged += damaged->count;
}

/* Whether what is written next goes to a new segment: there is none, or the last one is damaged where
 * the index ends. 1, 0 or a negative code. */
static int must_be_apart(struct recovering *recovering, const struct index_position *from)
{
	const struct store *store = recovering->store;
	const struct segment_set *segments = &store->segments;
	struct replay_fault fault = {
		.segment = from->segment, .from = from->offset, .to = from->end
	};
	int rc = 1;

	if (segments->count == 0)
		return 1;
	if (from->segment && !is_cut_short(store, from))
		rc = position_holds(recovering->store, from);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = remember(&recovering->damaged, &fault);
	return rc < 0 ? rc : segments->files[segments->count - 1]->number == from->segment;
}

/* The end of the log, or of the operation log, is lost. */
static void stop_writing(struct store *store)
{
	if (!store->unwritable)
		store->broken = -EUCLEAN;
}

/* What was found is all there is; nothing is changed but the index, which knows more now than it says: in memory, where it
 * cannot be written. */
static int only_read(struct store *store)
{
	index_freeze(&store->index, &store->checkpoint, &store->index.written.ops);
	return index_write(&store->index);
}

/* The logs are ready to be written to. */
static int write_on(struct recovering *recovering, const struct replay *replay, bool apart)
{
	struct store *store = recovering->store;
	const struct ranges *voids = &recovering->voids;
	int rc = apart ? start_segment(store, replay->sequence, replay->proven)
		       : start_log(store, replay, recovering->report);

	if (rc == 0)
		rc = store_write_voids(store, voids->of, voids->count);
	return rc < 0 ? rc : store_note_entered(store);
}

/* The log, as far as it is believed, is there to be asked about. */
static int look_on(struct recovering *recovering, const struct replay *replay, bool apart)
{
	int rc = apart ? 0 : start_log(recovering->store, replay, recovering->report);

	return rc < 0 ? rc : only_read(recovering->store);
}

/* Everything behind the checkpoint, and then the logs are ready, unless they are only read. */
static int read_on(struct recovering *recovering)
{
	struct store *store = recovering->store;
	struct store_recovery *report = recovering->report;
	struct segment_set *segments = &store->segments;
	struct index_position from = store->checkpoint;
	uint64_t believed = 0;
	int apart = must_be_apart(recovering, &from), rc = apart < 0 ? apart : 0;
	struct replay replay = { .store = store,
		.calls = &calls,
		.arg = recovering,
		.proven = from.sequence,
		.sequence = from.sequence,
		.last = from };

	if (rc == 0 && segments->count && !store->unwritable)
		rc = sync_last(store, segments->files[segments->count - 1]);
	if (rc == 0)
		rc = replay_all(&replay, &from, apart);
	if (replay.unreadable)
		store_say(report,
			"segments/%08u.car cannot be read: %s; make the disk give it back, or put a copy in its place",
			replay.unreadable, anyio_error_text(rc));
	if (store->recovered < replay.sequence)
		store->recovered = replay.sequence;
	if (rc == 0)
		rc = store_last_believed(store, &replay, ops_known(store), &believed);
	if (rc == 0 && replay.operations_lost) {
		store->ops.lost = report->read_only = true;
		report->gaps++;
		stop_writing(store);
		store_say(report, "ops/%08u.log has lost its end, or is an older copy",
			store->ops.generation);
	}
	if (rc == 0)
		rc = store_fold(store, store->ops.lost ? UINT64_MAX : believed);
	/* What was written with a commit, and is not believed, must not be missed when a later one proves that. */
	if (rc == 0 && !store->ops.lost && replay.operations_fewer) {
		/* Of a group that is torn it is told already. */
		report->unfinished += !replay.torn;
		rc = store->unwritable ? 0 : ops_mark(store, replay.sequence);
	}
	if (rc == 0)
		rc = store_enter_adopted(store, &replay, report);
	if (rc == 0 && store->ops.lost)
		rc = only_read(store);
	else if (rc == 0)
		rc = store->unwritable ? look_on(recovering, &replay, apart)
				       : write_on(recovering, &replay, apart);
	count_damaged(recovering, &replay);
	replay_free(&replay);
	return rc;
}

int store_recover(struct store *store, struct store_recovery *report)
{
	struct segment_set *segments = &store->segments;
	struct recovering recovering = { .store = store, .report = report };
	bool first = segments->count == 0;
	bool cut_short = is_cut_short(store, &store->checkpoint) &&
		(first ||
			segments->files[segments->count - 1]->number <= store->checkpoint.segment);
	/* And of the operations, whatever becomes of the segments: a number is not used twice. */
	store->recovered = store->checkpoint.sequence;
	int rc = store_fold_segments(store, report);

	report->rebuilt |= store->checkpoint.segment == 0 && !first;
	report->read_only = cut_short || store->ops.lost;
	if (report->read_only)
		stop_writing(store);
	if (rc == 0 && cut_short) {
		rc = store_fold(store, UINT64_MAX);
		if (rc == 0)
			rc = store_enter_adopted(store, NULL, report);
		if (rc == 0)
			rc = only_read(store);
	} else if (rc == 0) {
		rc = read_on(&recovering);
	}
	if (rc == 0)
		summarise(&recovering);
	anyio_free(recovering.voids.of);
	anyio_free(recovering.damaged.of);
	if (rc < 0 || store_only_reads(store))
		return rc;
	return first ? store_checkpoint(store) : store_checkpoint_if_due(store);
}
