#include "batch.h"

#include <errno.h>
#include <multiformats/multihash.h>
#include <multiformats/sha256.h>
#include <string.h>

static size_t slot_size(const struct unixfs_profile *profile)
{
	return (profile->chunk_size + BATCH_HEAD + BATCH_TAIL + 63) & ~(size_t)63;
}

/* ---- Hashing ---- */

/* Makes the CIDs of the leaves that have none yet and gives them to the open file's builder. */
static int hash_batch(struct line *line, struct batch *batch)
{
	int rc = store_gate_name(batch->blocks + batch->hashed, batch->count - batch->hashed,
		batch->results + batch->hashed);

	for (; !rc && batch->hashed < batch->count; batch->hashed++) {
		struct store_block *block = &batch->blocks[batch->hashed];
		struct unixfs_built leaf = { .cid = block->cid,
			.file_size = batch->file_bytes[batch->hashed],
			.tsize = block->len };
		rc = batch->results[batch->hashed];
		if (!rc)
			rc = unixfs_file_builder_add_leaf(line->builder, &leaf);
		if (!rc)
			journal_leaf(line->journal, batch->number, &block->cid,
				(uint32_t)leaf.file_size);
	}
	return rc;
}

/* ---- The two tasks ---- */

static void fail(struct line *line, int rc)
{
	if (rc && !line->failure)
		line->failure = rc;
}

static int hasher(void *arg)
{
	struct line *line = arg;
	struct batch *batch;
	int rc;

	while ((rc = anyio_receive(line->from_read, &batch)) == 0) {
		if (!line->failure)
			fail(line, hash_batch(line, batch));
		if (--line->in_flight == 0)
			anyio_event_set(&line->hashed);
		if ((rc = anyio_send(line->to_put, &batch)))
			break;
	}
	/* Nothing will reach the builder any more: whoever waits for that must not wait for ever. */
	line->hasher_ended = true;
	anyio_event_set(&line->hashed);
	anyio_sender_close(line->to_put);
	line->to_put = NULL;
	return rc == ANYIO_END_OF_STREAM ? 0 : rc;
}

/* Meanwhile the next batches are read and hashed. What an interrupted add leaves behind is durable
 * but for the last of it, with a journal or without. */
static void make_durable(struct line *line, uint64_t number)
{
	int rc = store_sync(line->node->core->store, line->ticket);

	if (!rc)
		journal_commit(line->journal, number);
	fail(line, rc);
}

static int putter(void *arg)
{
	struct line *line = arg;
	struct batch *batch;
	size_t bytes = 0, blocks = 0;
	int rc;

	while ((rc = anyio_receive(line->from_hash, &batch)) == 0) {
		if (!line->failure && !line->only_hash && batch->count)
			fail(line,
				store_put_many(line->node->core->store, batch->blocks, batch->count,
					STORE_VERIFIED, &line->ticket));
		bytes += batch->used;
		blocks += batch->count;
		if (!line->only_hash && !line->failure &&
			(bytes >= SYNC_BYTES || blocks >= SYNC_BLOCKS)) {
			make_durable(line, batch->number);
			bytes = blocks = 0;
		}
		batch->used = batch->count = batch->hashed = 0;
		if ((rc = anyio_send(line->to_free, &batch)))
			break;
	}
	return rc == ANYIO_END_OF_STREAM ? 0 : rc;
}

/* ---- The caller's end ---- */

static struct batch *batch_new(const struct unixfs_profile *profile)
{
	struct batch *batch = anyio_malloc(sizeof(*batch));
	/* An even number of chunks, because they are hashed in pairs. */
	size_t pairs = BATCH_BYTES / 2 / profile->chunk_size;
	size_t size = slot_size(profile) * 2 * (pairs ? pairs : 1);

	if (batch) {
		batch->used = batch->count = batch->hashed = 0;
		batch->size = size;
		batch->data = anyio_malloc(size);
		if (!batch->data) {
			anyio_free(batch);
			batch = NULL;
		}
	}
	return batch;
}

static void line_free(struct line *line)
{
	anyio_sender_close(line->to_hash);
	anyio_sender_close(line->to_put);
	anyio_sender_close(line->to_free);
	anyio_receiver_close(line->from_read);
	anyio_receiver_close(line->from_hash);
	anyio_receiver_close(line->free);
	line->to_hash = line->to_put = line->to_free = NULL;
	line->from_read = line->from_hash = line->free = NULL;
	anyio_free(line->ahead);
	line->ahead = NULL;
	for (size_t i = 0; i < BATCHES; i++)
		if (line->batches[i]) {
			anyio_free(line->batches[i]->data);
			anyio_free(line->batches[i]);
			line->batches[i] = NULL;
		}
	line->filling = NULL;
}

int line_begin(struct line *line, struct kit_node *node, const struct unixfs_profile *profile,
	bool only_hash)
{
	*line = (struct line){ .node = node, .only_hash = only_hash, .profile = *profile };
	anyio_event_init(&line->hashed);
	int rc = anyio_channel_create(
		sizeof(struct batch *), BATCHES, NULL, &line->to_hash, &line->from_read);

	if (!rc)
		rc = anyio_channel_create(
			sizeof(struct batch *), BATCHES, NULL, &line->to_put, &line->from_hash);
	if (!rc)
		rc = anyio_channel_create(
			sizeof(struct batch *), BATCHES, NULL, &line->to_free, &line->free);
	if (rc) {
		line_free(line);
		return rc;
	}
	anyio_task_group_enter(&line->group);
	rc = anyio_start_soon(&line->group, hasher, line, "hash blocks");
	if (!rc)
		rc = anyio_start_soon(&line->group, putter, line, "put blocks");
	return rc ? line_end(line, rc) : 0;
}

int line_end(struct line *line, int rc)
{
	anyio_sender_close(line->to_hash);
	line->to_hash = NULL;
	if (rc)
		anyio_task_group_cancel(&line->group, "given up");
	rc = anyio_task_group_exit(&line->group, rc);
	line_free(line);
	return rc;
}

/* A new batch while there are few, else one that comes back. */
static int find_batch(struct line *line)
{
	if (anyio_receive_nowait(line->free, &line->filling) == 0)
		return 0;
	for (size_t i = 0; i < BATCHES; i++)
		if (!line->batches[i]) {
			line->filling = line->batches[i] = batch_new(&line->profile);
			return line->filling ? 0 : -ENOMEM;
		}
	return anyio_receive(line->free, &line->filling);
}

/* A batch to fill. */
static int want_batch(struct line *line)
{
	int rc = line->filling ? 0 : find_batch(line);

	if (!rc && !line->filling->count)
		line->filling->number = line->number + 1;
	if (!rc)
		line->number = line->filling->number;
	return rc ? rc : line->failure;
}

static int submit(struct line *line)
{
	struct batch *batch = line->filling;

	if (!batch || !batch->count)
		return line->failure;
	if (line->hasher_ended)
		return line->failure ? line->failure : ANYIO_CANCELLED;
	/* There is room for every batch, so this neither waits nor is cancelled in between. */
	int rc = anyio_send_nowait(line->to_hash, &batch);
	if (rc)
		return rc;
	line->filling = NULL;
	if (line->in_flight++ == 0)
		anyio_event_init(&line->hashed);
	return line->failure;
}

int line_flush(struct line *line)
{
	int rc = submit(line);

	/* Every batch that comes back is in the log. */
	size_t out = 0;
	for (size_t i = 0; i < BATCHES; i++)
		out += line->batches[i] && line->batches[i] != line->filling;
	struct batch *back[BATCHES];
	size_t n = 0;
	while (!rc && n < out)
		if ((rc = anyio_receive(line->free, &back[n])) == 0)
			n++;
	for (size_t i = 0; i < n; i++) {
		int sent = anyio_send_nowait(line->to_free, &back[i]);
		rc = rc ? rc : sent;
	}
	return rc ? rc : line->failure;
}

/* Room for size more bytes and one more block. */
static int want_room(struct line *line, size_t size)
{
	int rc = want_batch(line);

	if (!rc &&
		(line->filling->used + size > line->filling->size ||
			line->filling->count == BATCH_BLOCKS)) {
		rc = submit(line);
		if (!rc)
			rc = want_batch(line);
	}
	return rc;
}

int line_put(void *arg, const struct mf_cid *cid, const void *block, size_t len)
{
	struct line *line = arg;

	if (line->only_hash || cid->hash == 0)
		return 0;
	/* Behind leaves that have no CIDs yet, and while a chunk is being read in there, nodes of the
	 * tree go straight to the log. */
	if (!line->filling || line->reading || line->filling->hashed != line->filling->count)
		return store_put(
			line->node->core->store, cid, block, len, STORE_VERIFIED, &line->ticket);
	int rc = want_room(line, len);
	if (rc)
		return rc;
	struct batch *batch = line->filling;
	memcpy(batch->data + batch->used, block, len);
	batch->blocks[batch->count++] =
		(struct store_block){ .cid = *cid, .data = batch->data + batch->used, .len = len };
	batch->hashed = batch->count;
	batch->used += (len + 63) & ~(size_t)63;
	return 0;
}

/* Small chunks are cut from larger reads. */
static ssize_t read_some(
	struct line *line, const struct kit_source *source, uint8_t *out, size_t size)
{
	if (line->profile.chunk_size >= READ_LEAST)
		return source->read(source->arg, out, size);
	if (line->ahead_start == line->ahead_end) {
		if (!line->ahead && !(line->ahead = anyio_malloc(READ_LEAST)))
			return -ENOMEM;
		ssize_t n = source->read(source->arg, line->ahead, READ_LEAST);
		if (n <= 0)
			return n;
		line->ahead_start = 0;
		line->ahead_end = (size_t)n;
	}
	size_t n = line->ahead_end - line->ahead_start;
	n = n < size ? n : size;
	memcpy(out, line->ahead + line->ahead_start, n);
	line->ahead_start += n;
	return (ssize_t)n;
}

/* Reads one chunk into the batch being filled: its length, 0 at the end. */
static ssize_t read_chunk(struct line *line, const struct kit_source *source)
{
	struct batch *batch = line->filling;
	uint8_t *chunk = batch->data + batch->used + BATCH_HEAD;
	size_t len = 0;
	ssize_t n = 1;

	line->reading = true;
	while (n > 0 && len < line->profile.chunk_size)
		if ((n = read_some(line, source, chunk + len, line->profile.chunk_size - len)) > 0)
			len += (size_t)n;
	line->reading = false;
	if (n < 0 || len == 0)
		return n < 0 ? n : 0;

	struct unixfs_leaf_frame frame;
	unixfs_leaf_frame(&frame, &line->profile, len);
	memcpy(chunk - frame.head_len, frame.head, frame.head_len);
	memcpy(chunk + len, frame.tail, frame.tail_len);
	struct store_block *block = &batch->blocks[batch->count];
	*block = (struct store_block){ .data = chunk - frame.head_len,
		.len = frame.head_len + len + frame.tail_len };
	block->cid.version = frame.cid_version;
	block->cid.codec = frame.codec;
	block->cid.hash = MF_HASH_SHA2_256;
	block->cid.digest_len = MF_SHA256_SIZE;
	batch->file_bytes[batch->count++] = (uint32_t)len;
	batch->used += (BATCH_HEAD + len + frame.tail_len + 63) & ~(size_t)63;
	return (ssize_t)len;
}

/* Waits until every leaf of the open file that was handed over has reached the builder. */
static int settle(struct line *line)
{
	int rc = 0;

	if (line->in_flight && !line->hasher_ended) {
		rc = submit(line);
		if (!rc)
			rc = anyio_event_wait(&line->hashed);
	} else if (line->filling) {
		rc = hash_batch(line, line->filling);
	}
	return rc ? rc : line->failure;
}

void batch_known_leaf(const struct unixfs_profile *profile, const struct journal_leaf *known,
	struct unixfs_built *leaf)
{
	struct unixfs_leaf_frame frame;

	unixfs_leaf_frame(&frame, profile, known->size);
	*leaf = (struct unixfs_built){ .file_size = known->size,
		.tsize = frame.head_len + known->size + frame.tail_len };
	mf_cid_of_sha256(&leaf->cid, frame.cid_version, frame.codec, known->digest);
}

/* A file with metadata may need it in its only leaf: the builder then makes the leaves. */
static int file_with_meta(struct line *line, const struct kit_source *source,
	void (*progress)(void *arg, size_t bytes), void *arg)
{
	uint8_t *chunk = anyio_malloc(line->profile.chunk_size);
	int rc = chunk ? 0 : -ENOMEM;

	for (bool end = false; !rc && !end;) {
		size_t len = 0;
		while (!rc && len < line->profile.chunk_size) {
			ssize_t n = read_some(
				line, source, chunk + len, line->profile.chunk_size - len);
			if (n <= 0) {
				rc = (int)n;
				end = true;
				break;
			}
			len += (size_t)n;
		}
		if (!rc && len)
			rc = unixfs_file_builder_add_chunk(line->builder, chunk, len);
		if (progress && len)
			progress(arg, len);
	}
	anyio_free(chunk);
	return rc;
}

/* Gives the builder leaves that are in the store already. */
static int take_leaves(struct line *line, const struct journal_leaf *leaves, size_t count)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++) {
		struct unixfs_built leaf;
		batch_known_leaf(&line->profile, &leaves[i], &leaf);
		rc = unixfs_file_builder_add_leaf(line->builder, &leaf);
	}
	return rc;
}

int line_file(struct line *line, const struct kit_source *source, const struct journal_leaf *leaves,
	size_t count, const struct unixfs_meta *meta, void (*progress)(void *arg, size_t bytes),
	void *arg, struct unixfs_built *root)
{
	int rc = unixfs_file_builder_new(&line->builder, &line->profile, meta, line_put, line);
	ssize_t n = 1;

	line->ahead_start = line->ahead_end = 0;
	if (!rc)
		rc = take_leaves(line, leaves, count);
	if (!rc && meta && (meta->has_mode || meta->has_mtime)) {
		rc = file_with_meta(line, source, progress, arg);
	} else {
		while (!rc && n > 0) {
			rc = want_room(line, slot_size(&line->profile));
			if (!rc && (n = read_chunk(line, source)) < 0)
				rc = (int)n;
			if (n > 0 && progress)
				progress(arg, (size_t)n);
		}
		if (!rc)
			rc = settle(line);
	}
	if (!rc)
		rc = unixfs_file_builder_finish(line->builder, root);
	if (rc && line->in_flight && !line->hasher_ended) {
		/* The hasher must not meet a builder that is gone. */
		fail(line, rc);
		struct anyio_cancel_scope shield;
		anyio_cancel_scope_init(&shield);
		anyio_cancel_scope_set_shield(&shield, true);
		anyio_cancel_scope_enter(&shield);
		anyio_event_wait(&line->hashed);
		anyio_cancel_scope_exit(&shield, 0);
	}
	unixfs_file_builder_free(line->builder);
	line->builder = NULL;
	return rc;
}
