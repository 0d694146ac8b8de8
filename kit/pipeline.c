#include "pipeline.h"

#include <errno.h>
#include <multiformats/multihash.h>
#include <multiformats/sha256.h>
#include <string.h>
#include "room.h"

static size_t align(size_t size, size_t to)
{
	return (size + to - 1) & ~(to - 1);
}

/* Room for a chunk and what makes it a leaf: for a raw one, nothing, so that large chunks lie as the
 * disk can take them. */
static void lay_out(struct pipeline *pipeline)
{
	size_t chunk = pipeline->profile.chunk_size;
	struct unixfs_leaf_frame frame;

	unixfs_leaf_frame(&frame, &pipeline->profile, chunk);
	pipeline->head = frame.head_len ? BATCH_HEAD : 0;
	pipeline->align = chunk >= STORE_BULK ? STORE_BULK_ALIGN : 64;
	pipeline->slot =
		align(pipeline->head + chunk + (frame.tail_len ? BATCH_TAIL : 0), pipeline->align);
}

/* ---- Hashing ---- */

/* Makes the CIDs of the leaves that have none yet and gives them to the open file's builder. */
static int hash_batch(struct pipeline *pipeline, struct batch *batch)
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
			rc = unixfs_file_builder_add_leaf(pipeline->builder, &leaf);
		if (!rc)
			journal_leaf(pipeline->journal, batch->number, &block->cid,
				(uint32_t)leaf.file_size);
	}
	return rc;
}

/* What stands before a bad block is put, nothing behind it is. */
static int check_batch(struct pipeline *pipeline, struct batch *batch)
{
	if (pipeline->refused.rc) {
		batch->count = 0;
		return 0;
	}
	int rc = store_gate_check(batch->blocks, batch->count, batch->results);
	for (size_t i = 0; !rc && i < batch->count; i++) {
		if (!batch->results[i])
			continue;
		pipeline->refused.cid = batch->blocks[i].cid;
		pipeline->refused.place = batch->places[i];
		pipeline->refused.rc = batch->results[i];
		batch->count = i;
	}
	return rc;
}

/* ---- The two tasks ---- */

static void fail(struct pipeline *pipeline, int rc)
{
	if (rc && !pipeline->failure)
		pipeline->failure = rc;
}

static int hasher(void *arg)
{
	struct pipeline *pipeline = arg;
	struct batch *batch;
	int rc;

	while ((rc = anyio_receive(pipeline->from_read, &batch)) == 0) {
		if (!pipeline->failure)
			fail(pipeline,
				(pipeline->checking ? check_batch : hash_batch)(pipeline, batch));
		if (--pipeline->in_flight == 0)
			anyio_event_set(&pipeline->hashed);
		if ((rc = anyio_send(pipeline->to_put, &batch)))
			break;
	}
	/* Nothing will reach the builder any more: whoever waits for that must not wait for ever. */
	pipeline->hasher_ended = true;
	anyio_event_set(&pipeline->hashed);
	anyio_sender_close(pipeline->to_put);
	pipeline->to_put = NULL;
	return rc == ANYIO_END_OF_STREAM ? 0 : rc;
}

/* Meanwhile the next batches are read and hashed. What an interrupted add leaves behind is durable
 * but for the last of it, with a journal or without. An import that is interrupted begins anew: syncs
 * are the log's own, for that of small blocks, which waits for each, would be slower by them. */
static void make_durable(struct pipeline *pipeline, uint64_t number)
{
	int rc = kit_sync(pipeline->node, pipeline->ticket);

	if (!rc && pipeline->node->durable_within == 0)
		journal_commit(pipeline->journal, number);
	fail(pipeline, rc);
}

/* Peers are told of what was imported; of what is added, by whoever adds. */
static void count_taken(struct pipeline *pipeline, const struct batch *batch)
{
	struct bitswap *bitswap = pipeline->node->core->bitswap;

	for (size_t i = 0; i < batch->count; i++) {
		pipeline->taken.blocks++;
		pipeline->taken.bytes += batch->blocks[i].len;
		if (bitswap)
			bitswap_have(bitswap, &batch->blocks[i].cid);
	}
}

static void put_batch(struct pipeline *pipeline, const struct batch *batch)
{
	int rc = store_put_many(pipeline->node->core->store, batch->blocks, batch->count,
		STORE_VERIFIED, &pipeline->ticket);

	if (!rc && pipeline->checking)
		count_taken(pipeline, batch);
	fail(pipeline, rc);
}

static int putter(void *arg)
{
	struct pipeline *pipeline = arg;
	struct batch *batch;
	size_t bytes = 0, blocks = 0;
	int rc;

	while ((rc = anyio_receive(pipeline->from_hash, &batch)) == 0) {
		if (!pipeline->failure && !pipeline->only_hash && batch->count)
			put_batch(pipeline, batch);
		bytes += batch->used;
		blocks += batch->count;
		if (!pipeline->only_hash && !pipeline->checking && !pipeline->failure &&
			(bytes >= SYNC_BYTES || blocks >= SYNC_BLOCKS)) {
			make_durable(pipeline, batch->number);
			bytes = blocks = 0;
		}
		batch->used = batch->count = batch->hashed = 0;
		if ((rc = anyio_send(pipeline->to_free, &batch)))
			break;
	}
	return rc == ANYIO_END_OF_STREAM ? 0 : rc;
}

/* ---- The caller's end ---- */

static void batch_free(struct pipeline *pipeline, struct batch *batch)
{
	if (!batch)
		return;
	anyio_pages_free(batch->data, batch->size);
	if (pipeline->node->room)
		kit_room_hold(pipeline->node->room, &batch->held, 0);
	anyio_free(batch);
}

/* As many chunks as are hashed side by side, or that many several times: but a node that bounds its
 * memory serves many at once, and huge chunks are few. */
static size_t batch_size(const struct pipeline *pipeline)
{
	size_t chunk = pipeline->profile.chunk_size, lanes = mf_sha256_lanes();

	if (pipeline->node->room || lanes * chunk > BATCH_BYTES_MAX)
		lanes = 2;
	size_t times = BATCH_BYTES / lanes / chunk, most = BATCH_BLOCKS / lanes;
	times = times < most ? times : most;
	return pipeline->slot * lanes * (times ? times : 1);
}

/* The first is waited for, where memory is bounded; the others are taken if there is room. NULL with
 * 0: there is none. */
static int batch_new(struct pipeline *pipeline, bool first, struct batch **out)
{
	struct kit_room *room = pipeline->node->room;
	struct batch *batch = anyio_calloc(1, sizeof(*batch));
	int rc = batch ? 0 : -ENOMEM;
	bool fits = true;

	*out = NULL;
	if (!rc) {
		batch->size = batch_size(pipeline);
		if (room && first)
			rc = kit_room_hold(room, &batch->held, batch->size);
		else if (room)
			fits = room_try(room, &batch->held, batch->size);
	}
	if (!rc && fits && !(batch->data = anyio_pages_alloc(batch->size)))
		rc = -ENOMEM;
	if (!rc && fits)
		*out = batch;
	else
		batch_free(pipeline, batch);
	return rc;
}

static void pipeline_free(struct pipeline *pipeline)
{
	anyio_sender_close(pipeline->to_hash);
	anyio_sender_close(pipeline->to_put);
	anyio_sender_close(pipeline->to_free);
	anyio_receiver_close(pipeline->from_read);
	anyio_receiver_close(pipeline->from_hash);
	anyio_receiver_close(pipeline->free);
	pipeline->to_hash = pipeline->to_put = pipeline->to_free = NULL;
	pipeline->from_read = pipeline->from_hash = pipeline->free = NULL;
	anyio_free(pipeline->ahead);
	pipeline->ahead = NULL;
	for (size_t i = 0; i < BATCHES; i++) {
		batch_free(pipeline, pipeline->batches[i]);
		pipeline->batches[i] = NULL;
	}
	pipeline->filling = NULL;
}

static int begin(struct pipeline *pipeline)
{
	struct kit_node *node = pipeline->node;

	anyio_event_init(&pipeline->hashed);
	lay_out(pipeline);
	int rc = anyio_channel_create(
		sizeof(struct batch *), BATCHES, NULL, &pipeline->to_hash, &pipeline->from_read);

	if (!rc)
		rc = anyio_channel_create(sizeof(struct batch *), BATCHES, NULL, &pipeline->to_put,
			&pipeline->from_hash);
	if (!rc)
		rc = anyio_channel_create(
			sizeof(struct batch *), BATCHES, NULL, &pipeline->to_free, &pipeline->free);
	if (rc) {
		pipeline_free(pipeline);
		return rc;
	}
	/* Whoever holds memory does not wait for it. */
	if (node->room) {
		rc = batch_new(pipeline, true, &pipeline->batches[0]);
		pipeline->filling = pipeline->batches[0];
	}
	if (rc) {
		pipeline_free(pipeline);
		return rc;
	}
	anyio_task_group_enter(&pipeline->group);
	rc = anyio_start_soon(&pipeline->group, hasher, pipeline, "hash blocks");
	if (!rc)
		rc = anyio_start_soon(&pipeline->group, putter, pipeline, "put blocks");
	return rc ? pipeline_end(pipeline, rc) : 0;
}

int pipeline_begin(struct pipeline *pipeline, struct kit_node *node,
	const struct unixfs_profile *profile, bool only_hash)
{
	*pipeline = (struct pipeline){ .node = node, .only_hash = only_hash, .profile = *profile };
	return begin(pipeline);
}

/* Batches are as large as for the largest chunks that are common. */
int pipeline_begin_checking(struct pipeline *pipeline, struct kit_node *node)
{
	*pipeline = (struct pipeline){ .node = node, .checking = true, .profile = unixfs_v1_2025 };
	return begin(pipeline);
}

int pipeline_end(struct pipeline *pipeline, int rc)
{
	anyio_sender_close(pipeline->to_hash);
	pipeline->to_hash = NULL;
	if (rc)
		anyio_task_group_cancel(&pipeline->group, "given up");
	rc = anyio_task_group_exit(&pipeline->group, rc);
	pipeline_free(pipeline);
	return rc;
}

/* A new batch while there are few, else one that comes back. */
static int find_batch(struct pipeline *pipeline)
{
	if (anyio_receive_nowait(pipeline->free, &pipeline->filling) == 0)
		return 0;
	size_t i = 0, most = pipeline->checking ? BATCHES_CHECKED : BATCHES;
	while (i < most && pipeline->batches[i])
		i++;
	if (i < most) {
		int rc = batch_new(pipeline, i == 0, &pipeline->batches[i]);
		pipeline->filling = pipeline->batches[i];
		if (rc || pipeline->filling)
			return rc;
	}
	return anyio_receive(pipeline->free, &pipeline->filling);
}

/* A batch to fill. */
static int want_batch(struct pipeline *pipeline)
{
	int rc = pipeline->filling ? 0 : find_batch(pipeline);

	if (!rc && !pipeline->filling->count)
		pipeline->filling->number = pipeline->number + 1;
	if (!rc)
		pipeline->number = pipeline->filling->number;
	return rc ? rc : pipeline->failure ? pipeline->failure : pipeline->refused.rc;
}

static int submit(struct pipeline *pipeline)
{
	struct batch *batch = pipeline->filling;

	if (!batch || !batch->count)
		return pipeline->failure;
	if (pipeline->hasher_ended)
		return pipeline->failure ? pipeline->failure : ANYIO_CANCELLED;
	/* There is room for every batch, so this neither waits nor is cancelled in between. */
	int rc = anyio_send_nowait(pipeline->to_hash, &batch);
	if (rc)
		return rc;
	pipeline->filling = NULL;
	if (pipeline->in_flight++ == 0)
		anyio_event_init(&pipeline->hashed);
	return pipeline->failure;
}

int pipeline_flush(struct pipeline *pipeline)
{
	int rc = submit(pipeline);

	/* Every batch that comes back is in the log. */
	size_t out = 0;
	for (size_t i = 0; i < BATCHES; i++)
		out += pipeline->batches[i] && pipeline->batches[i] != pipeline->filling;
	struct batch *back[BATCHES];
	size_t n = 0;
	while (!rc && n < out)
		if ((rc = anyio_receive(pipeline->free, &back[n])) == 0)
			n++;
	for (size_t i = 0; i < n; i++) {
		int sent = anyio_send_nowait(pipeline->to_free, &back[i]);
		rc = rc ? rc : sent;
	}
	return rc ? rc : pipeline->failure;
}

/* Room for size more bytes at a place for chunks, and one more block. */
static int want_room(struct pipeline *pipeline, size_t size)
{
	int rc = want_batch(pipeline);

	if (!rc &&
		(align(pipeline->filling->used, pipeline->align) + size > pipeline->filling->size ||
			pipeline->filling->count == BATCH_BLOCKS)) {
		rc = submit(pipeline);
		if (!rc)
			rc = want_batch(pipeline);
	}
	return rc;
}

int pipeline_put(void *arg, const struct mf_cid *cid, const void *block, size_t len)
{
	struct pipeline *pipeline = arg;

	if (pipeline->only_hash || cid->hash == MF_HASH_IDENTITY)
		return 0;
	/* Behind leaves that have no CIDs yet, and while a chunk is being read in there, nodes of the
	 * tree go straight to the log. */
	if (!pipeline->filling || pipeline->reading ||
		pipeline->filling->hashed != pipeline->filling->count)
		return store_put(pipeline->node->core->store, cid, block, len, STORE_VERIFIED,
			&pipeline->ticket);
	int rc = want_room(pipeline, len);
	if (rc)
		return rc;
	struct batch *batch = pipeline->filling;
	memcpy(batch->data + batch->used, block, len);
	batch->blocks[batch->count++] =
		(struct store_block){ .cid = *cid, .data = batch->data + batch->used, .len = len };
	batch->hashed = batch->count;
	batch->used += (len + 63) & ~(size_t)63;
	return 0;
}

int pipeline_room(struct pipeline *pipeline, size_t len, uint8_t **data)
{
	bool bulk = len >= STORE_BULK && len % STORE_BULK_ALIGN == 0;
	int rc = want_room(pipeline, len);

	if (!rc)
		*data = pipeline->filling->data +
			align(pipeline->filling->used, bulk ? STORE_BULK_ALIGN : 64);
	return rc;
}

void pipeline_check(struct pipeline *pipeline, const struct mf_cid *cid, const uint8_t *data,
	size_t len, uint64_t place)
{
	struct batch *batch = pipeline->filling;

	batch->places[batch->count] = place;
	batch->blocks[batch->count++] =
		(struct store_block){ .cid = *cid, .data = data, .len = len };
	batch->used = (size_t)(data - batch->data) + len;
}

/* Small chunks are cut from larger reads. */
static ssize_t read_some(
	struct pipeline *pipeline, const struct kit_source *source, uint8_t *out, size_t size)
{
	if (pipeline->profile.chunk_size >= READ_LEAST)
		return source->read(source->arg, out, size);
	if (pipeline->ahead_start == pipeline->ahead_end) {
		if (!pipeline->ahead && !(pipeline->ahead = anyio_malloc(READ_LEAST)))
			return -ENOMEM;
		ssize_t n = source->read(source->arg, pipeline->ahead, READ_LEAST);
		if (n <= 0)
			return n;
		pipeline->ahead_start = 0;
		pipeline->ahead_end = (size_t)n;
	}
	size_t n = pipeline->ahead_end - pipeline->ahead_start;
	n = n < size ? n : size;
	memcpy(out, pipeline->ahead + pipeline->ahead_start, n);
	pipeline->ahead_start += n;
	return (ssize_t)n;
}

/* Reads one chunk into the batch being filled: its length, 0 at the end. */
static ssize_t read_chunk(struct pipeline *pipeline, const struct kit_source *source)
{
	struct batch *batch = pipeline->filling;
	uint8_t *chunk = batch->data + align(batch->used, pipeline->align) + pipeline->head;
	size_t len = 0;
	ssize_t n = 1;

	pipeline->reading = true;
	while (n > 0 && len < pipeline->profile.chunk_size)
		if ((n = read_some(pipeline, source, chunk + len,
			     pipeline->profile.chunk_size - len)) > 0)
			len += (size_t)n;
	pipeline->reading = false;
	if (n < 0 || len == 0)
		return n < 0 ? n : 0;

	struct unixfs_leaf_frame frame;
	unixfs_leaf_frame(&frame, &pipeline->profile, len);
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
	batch->used = align((size_t)(chunk + len + frame.tail_len - batch->data), 64);
	return (ssize_t)len;
}

/* Waits until every leaf of the open file that was handed over has reached the builder. */
static int settle(struct pipeline *pipeline)
{
	int rc = 0;

	if (pipeline->in_flight && !pipeline->hasher_ended) {
		rc = submit(pipeline);
		if (!rc)
			rc = anyio_event_wait(&pipeline->hashed);
	} else if (pipeline->filling) {
		rc = hash_batch(pipeline, pipeline->filling);
	}
	return rc ? rc : pipeline->failure;
}

void pipeline_known_leaf(const struct unixfs_profile *profile, const struct journal_leaf *known,
	struct unixfs_built *leaf)
{
	struct unixfs_leaf_frame frame;

	unixfs_leaf_frame(&frame, profile, known->size);
	*leaf = (struct unixfs_built){ .file_size = known->size,
		.tsize = frame.head_len + known->size + frame.tail_len };
	mf_cid_of_sha256(&leaf->cid, frame.cid_version, frame.codec, known->digest);
}

/* A file with metadata may need it in its only leaf: the builder then makes the leaves. */
static int file_with_meta(struct pipeline *pipeline, const struct kit_source *source,
	void (*progress)(void *arg, size_t bytes), void *arg)
{
	uint8_t *chunk = anyio_malloc(pipeline->profile.chunk_size);
	int rc = chunk ? 0 : -ENOMEM;

	for (bool end = false; !rc && !end;) {
		size_t len = 0;
		while (!rc && len < pipeline->profile.chunk_size) {
			ssize_t n = read_some(
				pipeline, source, chunk + len, pipeline->profile.chunk_size - len);
			if (n <= 0) {
				rc = (int)n;
				end = true;
				break;
			}
			len += (size_t)n;
		}
		if (!rc && len)
			rc = unixfs_file_builder_add_chunk(pipeline->builder, chunk, len);
		if (progress && len)
			progress(arg, len);
	}
	anyio_free(chunk);
	return rc;
}

/* Gives the builder leaves that are in the store already. */
static int take_leaves(struct pipeline *pipeline, const struct journal_leaf *leaves, size_t count)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < count; i++) {
		struct unixfs_built leaf;
		pipeline_known_leaf(&pipeline->profile, &leaves[i], &leaf);
		rc = unixfs_file_builder_add_leaf(pipeline->builder, &leaf);
	}
	return rc;
}

int pipeline_file(struct pipeline *pipeline, const struct kit_source *source,
	const struct journal_leaf *leaves, size_t count, const struct unixfs_meta *meta,
	void (*progress)(void *arg, size_t bytes), void *arg, struct unixfs_built *root)
{
	int rc = unixfs_file_builder_new(
		&pipeline->builder, &pipeline->profile, meta, pipeline_put, pipeline);
	ssize_t n = 1;

	pipeline->ahead_start = pipeline->ahead_end = 0;
	if (!rc)
		rc = take_leaves(pipeline, leaves, count);
	if (!rc && meta && (meta->has_mode || meta->has_mtime)) {
		rc = file_with_meta(pipeline, source, progress, arg);
	} else {
		while (!rc && n > 0) {
			rc = want_room(pipeline, pipeline->slot);
			if (!rc && (n = read_chunk(pipeline, source)) < 0)
				rc = (int)n;
			if (n > 0 && progress)
				progress(arg, (size_t)n);
		}
		if (!rc)
			rc = settle(pipeline);
	}
	if (!rc)
		rc = unixfs_file_builder_finish(pipeline->builder, root);
	if (rc && pipeline->in_flight && !pipeline->hasher_ended) {
		/* The hasher must not meet a builder that is gone. */
		fail(pipeline, rc);
		struct anyio_cancel_scope shield;
		anyio_cancel_scope_init(&shield);
		anyio_cancel_scope_set_shield(&shield, true);
		anyio_cancel_scope_enter(&shield);
		anyio_event_wait(&pipeline->hashed);
		anyio_cancel_scope_exit(&shield, 0);
	}
	unixfs_file_builder_free(pipeline->builder);
	pipeline->builder = NULL;
	return rc;
}
