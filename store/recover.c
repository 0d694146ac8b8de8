/*
 * Opening the log again. Read on from the last checkpoint, believe what replay.h says can be
 * believed, cut the tail, write down what is void; then go on writing behind it. Being killed
 * anywhere in here is harmless: nothing is cut but what no commit covers, and the index is written
 * in whole steps.
 */
#include <errno.h>
#include <string.h>
#include "inner.h"
#include "replay.h"

enum { VOIDS_MAX = 4096 }; /* remembered; more than that is no torn write */

struct recovering {
	struct store *store;
	struct store_recovery *report;
	struct replay_fault *voids;
	size_t void_count;
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

static int on_pin(void *arg, const struct mf_cid *cid, uint32_t mode)
{
	struct recovering *recovering = arg;
	struct index *index = &recovering->store->index;
	int rc = index_reserve_pin(index);

	if (rc == 0)
		index_pin_put(index, cid, mode, 0);
	return rc;
}

static int on_fault(void *arg, const struct replay_fault *fault)
{
	struct recovering *recovering = arg;

	if (!fault->unfinished || recovering->void_count == VOIDS_MAX) {
		recovering->report->damaged++;
		return 0;
	}
	if (!recovering->voids)
		recovering->voids = anyio_calloc(VOIDS_MAX, sizeof(*recovering->voids));
	if (!recovering->voids)
		return -ENOMEM;
	recovering->report->unfinished++;
	recovering->voids[recovering->void_count++] = *fault;
	return 0;
}

/* A long way: write the index now and then, so that it need not be held in memory, nor all be done
 * again. */
static int on_settled(void *arg, const struct index_position *position)
{
	struct recovering *recovering = arg;
	struct store *store = recovering->store;

	if (index_fresh(&store->index) < store->options.checkpoint_blocks)
		return 0;
	index_freeze(&store->index, position);
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

static const struct replay_calls calls = { on_block, on_pin, on_fault, on_settled, on_progress };

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

/* Where to read on from; an index that does not fit the log is thrown away. */
static int find_position(struct store *store, struct store_recovery *report)
{
	struct index_position *position = &store->checkpoint;
	int rc = position->segment ? position_holds(store, position) : 1;

	if (rc != 0)
		return rc < 0 ? rc : 0;
	report->rebuilt = true;
	*position = (struct index_position){ 0 };
	return index_clear(&store->index);
}

static int replay_all(struct replay *replay, const struct index_position *from)
{
	struct segment_set *segments = &replay->store->segments;
	int rc = 0;

	for (size_t i = 0; i < segments->count && rc == 0; i++) {
		struct segment_file *file = segments->files[i];

		if (file->number >= from->segment)
			rc = replay_segment(
				replay, file, from, file->size, i + 1 == segments->count);
	}
	return rc < 0 ? rc : replay_finish(replay);
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

static int cut_tail(struct segment_file *file, uint64_t tail, struct store_recovery *report)
{
	if (file->size == tail)
		return 0;
	report->cut = file->size - tail;
	int rc = anyio_ftruncate(file->fd, tail);
	if (rc == 0)
		rc = anyio_fdatasync(file->fd);
	if (rc == 0)
		file->size = tail;
	return rc;
}

static int write_voids(struct recovering *recovering)
{
	struct store *store = recovering->store;
	int rc = recovering->void_count ? log_prepare(&store->log) : 0;

	if (rc < 0 || (rc = anyio_lock_acquire(&store->writing)) < 0)
		return rc;
	for (size_t i = 0; i < recovering->void_count && rc == 0; i++) {
		const struct replay_fault *fault = &recovering->voids[i];
		struct segment_record record = { .kind = SEGMENT_RECORD_VOID };

		record.nothing.segment = fault->segment;
		record.nothing.from = fault->from;
		record.nothing.to = fault->to;
		if (!log_has_room(&store->log, 0))
			rc = log_flush(store);
		if (rc == 0)
			log_append_record(store, &record);
	}
	uint64_t ticket = store->log.sequence;
	anyio_lock_release(&store->writing);
	return rc < 0 || recovering->void_count == 0 ? rc : log_sync(store, ticket);
}

/* Goes on writing in the last segment, or in a first one. */
static int start_log(
	struct store *store, const struct replay *replay, struct store_recovery *report)
{
	struct segment_set *segments = &store->segments;
	struct segment_file *file;
	struct index_position position = replay->last;
	int rc;

	if (segments->count == 0) {
		rc = segment_set_add(segments, &store->keys, 1, 0, &file);
		if (rc < 0)
			return rc;
		position = (struct index_position){
			.segment = file->number, .offset = SEGMENT_HEADER_SIZE, .end = file->size
		};
		return log_start(store, file, &position);
	}
	file = segments->files[segments->count - 1];
	rc = segment_file_use(segments, file);
	if (rc == 0)
		rc = cut_tail(file, replay->tail, report);
	if (rc < 0)
		return rc;
	if (position.sequence < replay->sequence)
		position.sequence = replay->sequence;
	return log_start(store, file, &position);
}

static void count_missing(const struct store *store, struct store_recovery *report)
{
	const struct segment_set *segments = &store->segments;

	for (size_t i = 0; i < segments->count; i++) {
		const struct segment_file *file = segments->files[i];
		const struct segment_file *previous =
			file->previous ? segment_set_find(segments, file->previous) : NULL;

		if (file->previous && (!previous || previous->size < file->previous_len))
			report->damaged++;
	}
}

static void summarise(struct store_recovery *report)
{
	if (report->damaged)
		store_say(report,
			"%llu damaged places in the log are being skipped: run a verification",
			(unsigned long long)report->damaged);
	else if (report->rebuilt)
		store_say(report, "the index was made anew from the segments");
	else if (report->cut || report->unfinished)
		store_say(report, "unfinished writing of an earlier run was taken back");
}

int store_recover(struct store *store, struct store_recovery *report)
{
	struct recovering recovering = { .store = store, .report = report };
	struct segment_set *segments = &store->segments;
	struct index_position from;
	bool first = segments->count == 0;
	int rc = find_position(store, report);

	from = store->checkpoint;
	report->rebuilt |= from.segment == 0 && !first;
	struct replay replay = { .store = store,
		.calls = &calls,
		.arg = &recovering,
		.proven = from.sequence,
		.sequence = from.sequence,
		.last = from };
	if (rc == 0 && segments->count)
		rc = sync_last(store, segments->files[segments->count - 1]);
	if (rc == 0)
		rc = replay_all(&replay, &from);
	if (replay.unreadable)
		store_say(report,
			"segments/%08u.car cannot be read: %s; make the disk give it back, or put a copy in its place",
			replay.unreadable, anyio_error_text(rc));
	if (rc == 0)
		rc = start_log(store, &replay, report);
	if (rc == 0)
		rc = write_voids(&recovering);
	replay_free(&replay);
	anyio_free(recovering.voids);
	if (rc == 0) {
		count_missing(store, report);
		summarise(report);
		rc = first ? store_checkpoint(store) : store_checkpoint_if_due(store);
	}
	return rc;
}
