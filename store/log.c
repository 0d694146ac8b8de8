#include "log.h"

#include <errno.h>
#include <string.h>
#include "inner.h"

void log_start(
	struct store *store, struct segment_file *file, const struct index_position *position)
{
	struct log *log = &store->log;

	log->active = file;
	log->base = log->end = log->start = log->durable_end = position->end;
	log->cached = 0;
	log->ordinal = position->ordinal;
	log->committed = *position;
	log->durable = log->started = position->sequence;
	log->sequence = position->sequence + 1;
	segment_sum_start(&log->sum, &store->keys);
}

void log_stop(struct store *store)
{
	if (store->log.active) {
		log_close_direct(&store->log);
		segment_file_release(store->log.active);
	}
	anyio_free(store->log.stage);
	anyio_free(store->log.vector);
	store->log = (struct log){ .direct_fd = -1 };
}

/* The stage and the vector are made by the first put. */
int log_prepare(struct log *log)
{
	if (!log->stage)
		log->stage = anyio_aligned_alloc(SEGMENT_ALIGN, LOG_STAGE_SIZE);
	if (!log->vector)
		log->vector = anyio_calloc(LOG_VECTOR_MAX, sizeof(*log->vector));
	return log->stage && log->vector ? 0 : -ENOMEM;
}

void log_rest(struct store *store)
{
	struct log *log = &store->log;

	if (anyio_lock_acquire_nowait(&store->writing) < 0)
		return;
	ops_rest(&store->ops);
	if (log->count == 0) {
		log_close_direct(log);
		anyio_free(log->stage);
		anyio_free(log->vector);
		log->stage = NULL;
		log->vector = NULL;
	}
	anyio_lock_release(&store->writing);
}

void log_mark(const struct log *log, struct log_mark *mark)
{
	*mark = (struct log_mark){ .end = log->end,
		.staged = log->staged,
		.count = log->count,
		.last_len = log->count ? log->vector[log->count - 1].iov_len : 0,
		.ordinal = log->ordinal,
		.sum = log->sum };
}

void log_take_back(struct log *log, const struct log_mark *mark)
{
	log->end = mark->end;
	log->staged = mark->staged;
	log->count = mark->count;
	log->ordinal = mark->ordinal;
	log->sum = mark->sum;
	if (log->count)
		log->vector[log->count - 1].iov_len = mark->last_len;
}

bool log_has_room(const struct log *log, size_t len)
{
	size_t copied = SEGMENT_HEAD_MAX +
		(len <= LOG_SMALL_MAX               ? len
				: len >= STORE_BULK ? SEGMENT_FILL_SECTION_MAX + SEGMENT_ALIGN
						    : 0);

	/* A commit must always fit behind it. */
	return log->staged + copied + SEGMENT_RECORD_SECTION_MAX <= LOG_STAGE_SIZE &&
		log->count + 3 <= LOG_VECTOR_MAX;
}

static void append_bytes(struct log *log, const void *data, size_t len)
{
	struct iovec *last = log->count ? &log->vector[log->count - 1] : NULL;

	if (last && (uint8_t *)last->iov_base + last->iov_len == data)
		last->iov_len += len;
	else
		log->vector[log->count++] = (struct iovec){ (void *)data, len };
	log->end += len;
}

static void append_copy(struct log *log, const void *data, size_t len)
{
	uint8_t *copy = log->stage + log->staged;

	memcpy(copy, data, len);
	log->staged += len;
	append_bytes(log, copy, len);
}

/* So that what follows head_len bytes of head begins at a boundary. */
static void append_fill(struct store *store, size_t head_len)
{
	struct segment_record record = { .kind = SEGMENT_RECORD_FILL };
	size_t gap = -(store->log.end + head_len) % SEGMENT_ALIGN;

	if (gap == 0)
		return;
	if (segment_fill_zeros(gap) == 0)
		gap += SEGMENT_ALIGN;
	record.fill.zeros = segment_fill_zeros(gap);
	log_append_record(store, &record);
}

uint64_t log_append_block(
	struct store *store, const struct mf_cid *cid, const void *data, size_t len)
{
	struct log *log = &store->log;
	uint8_t head[SEGMENT_HEAD_MAX];
	size_t head_len = segment_section_encode(cid, len, head);
	bool direct = log->direct_fd >= 0 && log_is_bulk(data, len);

	if (direct)
		append_fill(store, head_len);
	segment_sum_add(&log->sum, head, head_len);
	log->ordinal++;
	append_copy(log, head, head_len);
	uint64_t offset = log->end;
	if (len == 0)
		return offset;
	if (len <= LOG_SMALL_MAX)
		append_copy(log, data, len);
	else
		append_bytes(log, data, len);
	/* What is copied behind it may be written with it. */
	if (direct)
		log->staged = (log->staged + SEGMENT_ALIGN - 1) / SEGMENT_ALIGN * SEGMENT_ALIGN;
	return offset;
}

void log_append_record(struct store *store, struct segment_record *record)
{
	struct log *log = &store->log;
	uint8_t *section = log->stage + log->staged;

	record->segment = log->active->number;
	record->offset = log->end;
	record->sequence = log->sequence;
	size_t len = segment_record_encode(&store->keys, record, section);
	if (record->kind != SEGMENT_RECORD_COMMIT) {
		struct segment_section head;

		segment_sum_add(&log->sum, section, segment_section_decode(&head, section, len));
	}
	log->staged += len;
	append_bytes(log, section, len);
}

void log_commit(struct store *store, bool always, bool operations)
{
	struct log *log = &store->log;
	struct segment_record record = { .kind = SEGMENT_RECORD_COMMIT };

	if (log->sum.count == 0 && !always)
		return;
	record.commit.start = log->start;
	record.commit.synced = log->durable;
	record.commit.count = log->sum.count;
	record.commit.operations = operations;
	segment_sum_get(&log->sum, record.commit.heads);
	log->committed.segment = log->active->number;
	log->committed.offset = log->end;
	log_append_record(store, &record);
	log->committed.end = log->start = log->end;
	log->committed.ordinal = log->ordinal;
	log->committed.sequence = log->sequence++;
	segment_sum_start(&log->sum, &store->keys);
}

/* After a failed fdatasync nobody knows what is on the disk, and the page cache may claim what is
 * not: what is not durable is cut off, and nothing more is written. */
static void stop_writing(struct store *store)
{
	struct log *log = &store->log;

	anyio_lock_acquire(&store->writing);
	store->broken = ANYIO_BROKEN;
	anyio_ftruncate(log->active->fd, log->durable_end);
	anyio_ftruncate(store->ops.fd, store->ops.durable_end);
	log->base = log->end = log->active->size = log->durable_end;
	log->staged = 0;
	log->count = 0;
	store->ops.end = store->ops.durable_end;
	store->ops.used = 0;
	anyio_lock_release(&store->writing);
}

/* With the lock held: commits and writes out. */
static int write_commit(struct store *store, bool freeze)
{
	int rc = store->broken ? store->broken : log_prepare(&store->log);

	if (rc < 0)
		return rc;
	if (!log_has_room(&store->log, 0) && (rc = log_flush(store)) < 0)
		return rc;
	/* Operations count with a commit of their own. */
	log_commit(store, ops_pending(&store->ops), ops_pending(&store->ops));
	if ((rc = log_flush(store)) < 0 ||
		(rc = ops_flush(store, store->log.committed.sequence)) < 0)
		return rc;
	if (freeze)
		index_freeze(&store->index, &store->log.committed,
			&(struct ops_position){ store->ops.generation, store->ops.end });
	return 0;
}

static int sync_ops(void *arg)
{
	return ops_sync(arg);
}

/* Both files at once. */
static int sync_files(struct store *store, int fd)
{
	int rc;

	if (store->ops.end == store->ops.durable_end)
		return anyio_fdatasync(fd);
	ANYIO_TASK_GROUP(group);
	rc = anyio_try_start_soon(&group, sync_ops, &store->ops, "sync");
	if (rc < 0)
		rc = ops_sync(&store->ops);
	if (rc == 0)
		rc = anyio_fdatasync(fd);
	return anyio_task_group_exit(&group, rc);
}

/* With the lock `syncing` held. */
static int sync_now(struct store *store, bool freeze)
{
	struct log *log = &store->log;
	int rc = anyio_lock_acquire(&store->writing);

	if (rc < 0)
		return rc;
	rc = write_commit(store, freeze);
	struct segment_file *file = log->active;
	struct index_position position = log->committed;
	file->users++;
	anyio_lock_release(&store->writing);

	if (rc == 0 && position.sequence > log->durable) {
		rc = sync_files(store, file->fd);
		if (rc < 0)
			stop_writing(store);
	}
	if (rc == 0 && position.sequence > log->durable) {
		log->durable = position.sequence;
		log->syncs++;
		if (file == log->active)
			log->durable_end = position.end;
	}
	segment_file_release(file);
	return rc;
}

struct sync_call {
	struct store *store;
	bool freeze;
};

static int sync_body(void *arg)
{
	struct sync_call *call = arg;

	return sync_now(call->store, call->freeze);
}

/* Others rely on the one who syncs: his being cancelled must not be seen inside. */
static int sync_shielded(struct store *store, bool freeze)
{
	struct sync_call call = { store, freeze };
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	return anyio_cancel_scope_run(&scope, sync_body, &call);
}

int log_sync(struct store *store, uint64_t ticket)
{
	if (ticket <= store->log.durable)
		return 0;
	int rc = anyio_lock_acquire(&store->syncing);
	if (rc < 0)
		return rc;
	if (ticket > store->log.durable)
		rc = store->broken ? store->broken : sync_shielded(store, false);
	anyio_lock_release(&store->syncing);
	return rc;
}

int log_sync_frozen(struct store *store)
{
	int rc = anyio_lock_acquire(&store->syncing);

	if (rc < 0)
		return rc;
	rc = store->broken ? store->broken : sync_shielded(store, true);
	anyio_lock_release(&store->syncing);
	return rc;
}

/* A closed segment ends where the log in it does: whatever else is there would pass for damage. */
static int cut_torn(struct log *log)
{
	int rc = log->torn ? anyio_ftruncate(log->active->fd, log->end) : 0;

	if (rc == 0 && log->torn)
		rc = anyio_fdatasync(log->active->fd);
	if (rc == 0)
		log->torn = false;
	return rc;
}

/* The full segment must be durable before the next one says so. */
static int roll(struct store *store)
{
	struct log *log = &store->log;
	struct segment_file *file;
	int rc = sync_now(store, false);

	if (rc < 0 || (rc = anyio_lock_acquire(&store->writing)) < 0)
		return rc;
	/* Somebody may have appended meanwhile; then it is his put that rolls. */
	if (store->broken)
		rc = store->broken;
	else if (log->end == log->committed.end && log->committed.sequence == log->durable) {
		rc = cut_torn(log);
		if (rc == 0)
			rc = segment_set_add(
				&store->segments, &store->keys, log->sequence, log->durable, &file);
		if (rc == ANYIO_BROKEN)
			store->broken = rc;
		if (rc == 0) {
			log_close_direct(log);
			segment_file_release(log->active);
			log->active = file;
			log->base = log->end = log->start = log->durable_end = file->size;
			log->cached = log->ordinal = 0;
			log->no_direct = false;
		}
	}
	anyio_lock_release(&store->writing);
	return rc;
}

static int roll_body(void *arg)
{
	struct store *store = arg;

	return log_is_full(store) ? roll(store) : 0;
}

static int roll_anyway_body(void *arg)
{
	struct store *store = arg;

	return store->log.ordinal > 0 ? roll(store) : 0;
}

bool log_is_full(const struct store *store)
{
	return store->log.end >= store->options.segment_bytes;
}

static int roll_shielded(struct store *store, anyio_task_fn body)
{
	struct anyio_cancel_scope scope;
	int rc = anyio_lock_acquire(&store->syncing);

	if (rc < 0)
		return rc;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	rc = store->broken ? store->broken : anyio_cancel_scope_run(&scope, body, store);
	anyio_lock_release(&store->syncing);
	return rc;
}

int log_roll(struct store *store)
{
	return roll_shielded(store, roll_body);
}

int log_roll_anyway(struct store *store)
{
	return roll_shielded(store, roll_anyway_body);
}

bool log_peek(const struct log *log, uint64_t offset, void *out, size_t len)
{
	uint64_t at = log->base;
	uint8_t *to = out;

	for (int i = 0; i < log->count && len > 0; i++) {
		const struct iovec *piece = &log->vector[i];

		if (offset < at + piece->iov_len) {
			size_t there = at + piece->iov_len - offset;

			there = there < len ? there : len;
			memcpy(to, (uint8_t *)piece->iov_base + (offset - at), there);
			to += there;
			offset += there;
			len -= there;
		}
		at += piece->iov_len;
	}
	return len == 0;
}
