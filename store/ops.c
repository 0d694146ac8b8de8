#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "inner.h"
#include "numbered.h"

enum {
	FIRST_ROOM = 4096,
	WORTH = 4, /* times as long as what it says */
};

/* ---- The file ---- */

/* A batch without operations, of the sequence up to which the file says all: its length. */
static int write_empty(
	struct store *store, int fd, uint32_t generation, uint64_t at, uint64_t sequence)
{
	uint8_t bytes[OPS_HEAD_SIZE + OPS_SEAL_SIZE];
	size_t len = ops_batch_seal(&store->keys, generation, at, sequence, 0, bytes);
	int rc = anyio_pwrite_all(fd, bytes, len, (int64_t)at);

	return rc < 0 ? rc : (int)len;
}

/* A new file under a name of its own: its descriptor. */
static int make_file(struct store *store)
{
	int rc = anyio_unlinkat(store->ops.dir_fd, "new", 0);

	if (rc < 0 && rc != -ENOENT)
		return rc == -EISDIR ? ANYIO_NOT_A_FILE : rc;
	return anyio_plain_openat(store->ops.dir_fd, "new", O_RDWR | O_CREAT | O_EXCL, 0644);
}

/* Of the file that counted when it began. */
struct ops_reading {
	struct store *store;
	struct ops_reading *next;
	int fd;
	uint32_t generation;
	uint64_t last; /* where the file ended when another took its place */
	uint8_t *window;
	uint64_t from; /* of the window in the file */
	size_t len;
};

static bool is_read(const struct ops *ops, int fd)
{
	for (const struct ops_reading *reading = ops->readings; reading; reading = reading->next)
		if (reading->fd == fd)
			return true;
	return false;
}

/* It is whole: it takes the old one's place. Who reads that reads it to its end. */
static int take_place(struct store *store, int fd, uint32_t generation, uint64_t end)
{
	struct ops *ops = &store->ops;
	char name[NUMBERED_MAX];

	numbered_name(generation, "log", name);
	int rc = anyio_fsync(fd);
	if (rc == 0)
		rc = anyio_renameat(ops->dir_fd, "new", ops->dir_fd, name);
	if (rc < 0)
		return rc;
	rc = anyio_fsync(ops->dir_fd);
	if (rc < 0) {
		/* Nobody knows which of them the next opening will find. */
		store->broken = ANYIO_BROKEN;
		return rc;
	}
	for (struct ops_reading *reading = ops->readings; reading; reading = reading->next)
		if (reading->fd == ops->fd)
			reading->last = ops->end;
	if (ops->fd >= 0) {
		if (!is_read(ops, ops->fd))
			anyio_close(ops->fd);
		numbered_name(ops->generation, "log", name);
		anyio_unlinkat(ops->dir_fd, name, 0);
	}
	ops->fd = fd;
	ops->generation = generation;
	ops->end = ops->durable_end = end;
	ops->lost = false;
	return 0;
}

static int make_first(struct store *store)
{
	int fd = make_file(store);

	if (fd < 0)
		return fd;
	int rc = write_empty(store, fd, 1, 0, 0);
	if (rc > 0)
		rc = take_place(store, fd, 1, rc);
	if (rc < 0)
		anyio_close(fd);
	return rc;
}

/* Whether a file begins as one of that generation does: 1, 0, or a negative code. */
static int begins(struct store *store, uint32_t generation)
{
	uint8_t bytes[OPS_HEAD_SIZE + OPS_SEAL_SIZE];
	struct ops_batch batch;
	char name[NUMBERED_MAX];

	numbered_name(generation, "log", name);
	int fd = anyio_plain_openat(store->ops.dir_fd, name, O_RDONLY, 0);
	if (fd < 0)
		return fd == ANYIO_NOT_A_FILE ? 0 : fd;
	int rc = anyio_pread_all(fd, bytes, sizeof(bytes), 0);
	anyio_close(fd);
	if (rc < 0)
		return rc == ANYIO_INCOMPLETE_READ ? 0 : rc;
	return ops_batch_decode(&store->keys, generation, 0, bytes, sizeof(bytes), &batch) > 0;
}

/* The highest that begins as it should, 0: none does; and the highest of all. */
static int choose_file(
	struct store *store, const struct anyio_names *names, uint32_t *sound, uint32_t *highest)
{
	*sound = *highest = 0;
	for (size_t i = 0; i < names->count; i++) {
		uint32_t number = numbered_of(names->names[i], "log");
		int rc = number > *sound ? begins(store, number) : 0;

		if (rc < 0)
			return rc;
		if (rc > 0)
			*sound = number;
		if (number > *highest)
			*highest = number;
	}
	return 0;
}

/* The generation that counts. Older ones are taken away; a newer one that is none, a stray copy perhaps, counts for
 * nothing, unless there is no other. */
static int find_file(struct store *store, uint32_t *generation)
{
	struct ops *ops = &store->ops;
	struct anyio_names names;
	uint32_t sound, highest;
	int rc = anyio_listdir(ops->dir_fd, ".", &names);

	*generation = 0;
	if (rc < 0)
		return rc;
	rc = choose_file(store, &names, &sound, &highest);
	for (size_t i = 0; i < names.count && rc == 0; i++) {
		uint32_t number = numbered_of(names.names[i], "log");

		if (!store->unwritable &&
			((number && number < sound) || strcmp(names.names[i], "new") == 0))
			anyio_unlinkat(ops->dir_fd, names.names[i], 0);
	}
	anyio_names_free(&names);
	*generation = sound ? sound : highest;
	return rc;
}

static int open_file(struct store *store)
{
	struct ops *ops = &store->ops;
	char name[NUMBERED_MAX];
	struct stat st;

	numbered_name(ops->generation, "log", name);
	int fd = anyio_plain_openat(ops->dir_fd, name, store->unwritable ? O_RDONLY : O_RDWR, 0);
	if (fd < 0)
		return fd;
	ops->fd = fd;
	int rc = anyio_fstat(fd, &st);
	/* What is in the page cache is made durable before it is believed, its name too. */
	if (rc == 0 && !store->unwritable)
		rc = anyio_fdatasync(fd);
	if (rc == 0 && !store->unwritable)
		rc = anyio_fsync(ops->dir_fd);
	if (rc == 0)
		ops->end = ops->durable_end = st.st_size;
	return rc;
}

int ops_open(struct store *store, bool first, struct store_recovery *recovery)
{
	struct ops *ops = &store->ops;
	const struct ops_position *known = &store->index.written.ops;
	bool none = first && !known->generation;

	int rc = store->unwritable ? 0 : anyio_mkdirat(store->dir_fd, "ops", 0755);
	if (rc == 0 || rc == -EEXIST)
		rc = ops->dir_fd = anyio_openat(store->dir_fd, "ops", O_RDONLY | O_DIRECTORY, 0);
	if (rc >= 0)
		rc = find_file(store, &ops->generation);
	else if (rc == -ENOENT && store->unwritable)
		rc = 0;
	if (rc == 0 && ops->generation)
		rc = open_file(store);
	else if (rc == 0 && none && !store->unwritable)
		rc = make_first(store);
	if (rc < 0) {
		store_say(recovery, "ops/: %s", anyio_error_text(rc));
		return rc;
	}
	ops->lost = (ops->fd < 0 && !none) || ops->generation < known->generation ||
		(ops->generation == known->generation && ops->end < known->end);
	return 0;
}

void ops_close(struct ops *ops)
{
	if (ops->fd >= 0)
		anyio_close(ops->fd);
	if (ops->dir_fd >= 0)
		anyio_close(ops->dir_fd);
	anyio_free(ops->batch);
	*ops = (struct ops){ .dir_fd = -1, .fd = -1 };
}

uint64_t ops_known(const struct store *store)
{
	const struct ops_position *known = &store->index.written.ops;

	return known->generation == store->ops.generation   ? known->end
		: known->generation < store->ops.generation ? 0
							    : UINT64_MAX;
}

int ops_cut(struct store *store, uint64_t end)
{
	struct ops *ops = &store->ops;

	if (ops->end == end)
		return 0;
	int rc = store->unwritable ? 0 : anyio_ftruncate(ops->fd, end);
	if (rc == 0 && !store->unwritable)
		rc = anyio_fdatasync(ops->fd);
	if (rc == 0)
		ops->end = ops->durable_end = end;
	return rc;
}

int ops_mark(struct store *store, uint64_t sequence)
{
	struct ops *ops = &store->ops;
	int len = write_empty(store, ops->fd, ops->generation, ops->end, sequence);
	int rc = len < 0 ? len : anyio_fdatasync(ops->fd);

	if (rc == 0)
		ops->end = ops->durable_end = ops->end + (uint64_t)len;
	return rc;
}

/* ---- Reading ---- */

static uint64_t end_of(const struct ops_reading *reading)
{
	const struct ops *ops = &reading->store->ops;

	return reading->generation == ops->generation ? ops->end : reading->last;
}

/* Makes at least one batch's worth of bytes from `at` on, or all there are, be in the window. */
static int look_at(struct ops_reading *reading, uint64_t at, const uint8_t **data, size_t *len)
{
	uint64_t left = end_of(reading) - at;

	if (at < reading->from ||
		at + (left < OPS_BATCH_MAX ? left : OPS_BATCH_MAX) > reading->from + reading->len) {
		size_t size = left < 2 * OPS_BATCH_MAX ? left : 2 * OPS_BATCH_MAX;
		int rc = anyio_pread_all(reading->fd, reading->window, size, at);

		reading->from = at;
		reading->len = rc < 0 ? 0 : size;
		if (rc < 0)
			return rc;
	}
	*data = reading->window + (at - reading->from);
	*len = reading->len - (at - reading->from);
	return 0;
}

/* Looks for the next batch behind bytes that are none: 1 and its place, 0, or a negative code. */
static int search(struct ops_reading *reading, uint64_t *at, struct ops_batch *batch)
{
	struct store *store = reading->store;
	uint64_t from = *at + 1;
	const uint8_t *data;
	size_t len;

	while (from + OPS_HEAD_SIZE <= end_of(reading)) {
		int rc = look_at(reading, from, &data, &len);
		if (rc < 0)
			return rc;
		const uint8_t *found = memmem(data, len, ops_magic, sizeof(ops_magic));
		if (!found) {
			from += len - (sizeof(ops_magic) - 1);
			continue;
		}
		from += found - data;
		rc = look_at(reading, from, &data, &len);
		if (rc < 0)
			return rc;
		if (ops_batch_decode(&store->keys, reading->generation, from, data, len, batch) >
			0) {
			*at = from;
			return 1;
		}
		from++;
	}
	return 0;
}

static int take_batch(
	struct ops_batch *batch, uint64_t offset, const struct ops_calls *calls, void *arg)
{
	const uint8_t *first = batch->at, *at = first;
	struct ops_operation operation;
	int rc = 0;

	while (rc == 0 && (rc = ops_batch_next(batch, &operation)) > 0) {
		rc = calls->operation ? calls->operation(arg, offset + OPS_HEAD_SIZE + (at - first),
						batch->sequence, &operation)
				      : 0;
		at = batch->at;
	}
	return rc == -EINVAL ? -EUCLEAN : rc;
}

static int read_batches(struct ops_reading *reading, uint64_t last, const struct ops_calls *calls,
	void *arg, uint64_t *end)
{
	struct store *store = reading->store;
	struct ops_batch batch;
	const uint8_t *data;
	size_t len;
	int rc = 0;

	while (rc == 0 && *end < end_of(reading)) {
		uint64_t at = *end;

		rc = look_at(reading, at, &data, &len);
		if (rc < 0)
			return rc;
		if (ops_batch_decode(&store->keys, reading->generation, at, data, len, &batch) <
			0) {
			rc = search(reading, &at, &batch);
			if (rc <= 0)
				return rc;
			rc = calls->damaged ? calls->damaged(arg, *end, at) : 0;
			*end = at;
		}
		if (rc < 0 || batch.sequence > last)
			return rc;
		rc = calls->batch ? calls->batch(arg, batch.sequence) : 0;
		if (rc == 0)
			rc = take_batch(&batch, *end, calls, arg);
		*end += batch.len;
		if (rc == 0)
			rc = anyio_checkpoint();
	}
	return rc;
}

int ops_read(struct store *store, uint64_t from, uint64_t last, const struct ops_calls *calls,
	void *arg, uint64_t *end)
{
	struct ops *ops = &store->ops;
	struct ops_reading reading = {
		.store = store, .next = ops->readings, .fd = ops->fd, .generation = ops->generation
	};
	struct ops_reading **link = &ops->readings;

	*end = from;
	if (ops->fd < 0)
		return 0;
	reading.window = anyio_malloc(2 * OPS_BATCH_MAX);
	if (!reading.window)
		return -ENOMEM;
	ops->readings = &reading;
	int rc = read_batches(&reading, last, calls, arg, end);
	while (*link != &reading)
		link = &(*link)->next;
	*link = reading.next;
	if (reading.fd != ops->fd && !is_read(ops, reading.fd))
		anyio_close(reading.fd);
	anyio_free(reading.window);
	return rc;
}

/* ---- Writing ---- */

int ops_reserve(struct ops *ops)
{
	size_t used = ops->used ? ops->used : OPS_HEAD_SIZE;
	size_t need = used + OPS_OPERATION_MAX + OPS_SEAL_SIZE;

	if (need > OPS_BATCH_MAX)
		return -EAGAIN;
	if (need > ops->room) {
		size_t room = ops->room ? ops->room * 2 : FIRST_ROOM;
		uint8_t *more = anyio_realloc(ops->batch, room);

		if (!more)
			return -ENOMEM;
		ops->batch = more;
		ops->room = room;
	}
	ops->used = used;
	return 0;
}

void ops_append(struct ops *ops, const struct ops_operation *operation)
{
	ops->used += ops_operation_encode(operation, ops->batch + ops->used);
}

bool ops_pending(const struct ops *ops)
{
	return ops->used > OPS_HEAD_SIZE;
}

/* What was appended becomes a batch at the end of the file. */
static int write_batch(const struct segment_keys *keys, struct ops *ops, uint64_t sequence)
{
	if (!ops_pending(ops))
		return 0;
	size_t len = ops_batch_seal(
		keys, ops->generation, ops->end, sequence, ops->used - OPS_HEAD_SIZE, ops->batch);
	int rc = anyio_pwrite_all(ops->fd, ops->batch, len, ops->end);
	if (rc < 0)
		return rc;
	ops->end += len;
	ops->used = 0;
	return 0;
}

int ops_flush(struct store *store, uint64_t sequence)
{
	return write_batch(&store->keys, &store->ops, sequence);
}

int ops_sync(struct ops *ops)
{
	uint64_t end = ops->end;
	int rc = end > ops->durable_end ? anyio_fdatasync(ops->fd) : 0;

	if (rc == 0)
		ops->durable_end = end;
	return rc;
}

void ops_rest(struct ops *ops)
{
	if (ops_pending(ops))
		return;
	anyio_free(ops->batch);
	ops->batch = NULL;
	ops->used = ops->room = 0;
}

/* ---- The next generation ---- */

bool ops_is_long(const struct store *store)
{
	return store->ops.end >
		store->options.operations_bytes + WORTH * store->index.counts.state_bytes;
}

/* A file being written: batches as full as they get. */
struct writing {
	struct store *store;
	struct ops to;
	uint64_t sequence;
};

static int finish_batch(struct writing *writing)
{
	return write_batch(&writing->store->keys, &writing->to, writing->sequence);
}

static int write_operation(
	void *arg, uint64_t offset, uint64_t sequence, const struct ops_operation *operation)
{
	struct writing *writing = arg;
	int rc = 0;

	/* Sequences stay with what they belong to. */
	if (sequence != writing->sequence)
		rc = finish_batch(writing);
	writing->sequence = sequence;
	if (rc == 0 && (rc = ops_reserve(&writing->to)) == -EAGAIN) {
		rc = finish_batch(writing);
		if (rc == 0)
			rc = ops_reserve(&writing->to);
	}
	if (rc == 0)
		ops_append(&writing->to, operation);
	return rc;
}

/* An empty batch behind what was written: what is damaged before it cannot pass for the end; and when this one is missing, too, the
 * commits tell. */
static int write_mark(struct writing *writing, uint64_t sequence)
{
	struct store *store = writing->store;
	struct ops *to = &writing->to;
	int rc = finish_batch(writing);
	int len = rc < 0 ? rc : write_empty(store, to->fd, to->generation, to->end, sequence);

	to->end += len > 0 ? (uint64_t)len : 0;
	return len < 0 ? len : 0;
}

/* All that LMDB holds: no crash takes it back, so that it has no sequence. */
static int write_fold(struct writing *writing)
{
	struct store *store = writing->store;
	struct index_key key = { 0 };
	uint8_t value[STORE_STATE_VALUE_MAX];
	size_t len;
	int rc;

	while ((rc = index_next_state(&store->index, &key, value, &len)) > 0) {
		struct ops_operation operation = { .space = key.bytes[0],
			.put = true,
			.key = key.bytes + 1,
			.key_len = key.len - 1,
			.value = value,
			.value_len = len };

		rc = write_operation(writing, 0, 0, &operation);
		if (rc == 0)
			rc = anyio_checkpoint();
		if (rc < 0)
			break;
	}
	/* A crash may take back what comes behind this. */
	return rc < 0 ? rc : write_mark(writing, store->checkpoint.sequence);
}

/* And what came since. With `syncing` held, so that nothing more comes. */
static int write_rest(struct writing *writing)
{
	static const struct ops_calls calls = { .operation = write_operation };
	struct store *store = writing->store;
	uint64_t end;
	int rc = ops_read(store, ops_known(store), UINT64_MAX, &calls, writing, &end);

	if (rc == 0)
		rc = write_mark(writing, store->log.durable);
	return rc < 0 ? rc
		      : take_place(store, writing->to.fd, writing->to.generation, writing->to.end);
}

static int rewrite(struct writing *writing)
{
	struct store *store = writing->store;
	int rc = write_empty(store, writing->to.fd, writing->to.generation, 0, 0);

	if (rc < 0)
		return rc;
	writing->to.end = rc;
	rc = write_fold(writing);
	if (rc == 0)
		rc = anyio_lock_acquire(&store->syncing);
	if (rc < 0)
		return rc;
	rc = store->broken ? store->broken : write_rest(writing);
	anyio_lock_release(&store->syncing);
	return rc;
}

int ops_rewrite(struct store *store)
{
	const struct ops *ops = &store->ops;
	uint32_t known = store->index.written.ops.generation;
	struct writing writing = { .store = store };
	int fd = make_file(store);

	if (fd < 0)
		return fd;
	writing.to.fd = fd;
	writing.to.generation = (ops->generation > known ? ops->generation : known) + 1;
	int rc = rewrite(&writing);
	if (rc < 0)
		anyio_close(fd);
	anyio_free(writing.to.batch);
	return rc;
}
