/*
 * Putting: chunk by chunk, each appended, written if anything in it was not copied, and then
 * entered into the index. A block is in the index only when its bytes are in the stage or in the
 * file, so a reader never meets one that is on its way.
 */
#include <errno.h>
#include <string.h>
#include <store/gate.h>
#include "inner.h"

enum {
	CHUNK_BLOCKS = 64,
	CHUNK_BYTES = 16 << 20,
};

struct chunk {
	struct store *store;
	const struct store_block *blocks;
	const struct index_place *from; /* of blocks that are moved: where they lie; or NULL */
	struct store_moved *moved;
	size_t count, next; /* of all; the first not yet dealt with */
	size_t placed_count;
	uint32_t ordinal; /* of the first of them */
	const struct store_block *placed[CHUNK_BLOCKS];
	uint64_t offset[CHUNK_BLOCKS];
	struct index_place found[CHUNK_BLOCKS]; /* of those that are moved */
	size_t bytes;
	bool copied; /* all of them */
};

static void raise_ticket(store_ticket *ticket, uint64_t sequence)
{
	if (*ticket < sequence)
		*ticket = sequence;
}

static bool same_hash(const struct mf_cid *a, const struct mf_cid *b)
{
	return a->digest_len == b->digest_len && a->hash == b->hash &&
		memcmp(a->digest, b->digest, a->digest_len) == 0;
}

/* Whether a block that is to be moved lies elsewhere by now, or nowhere. One that counts as damaged there since it was
 * read is mended by it. */
static bool is_elsewhere(struct chunk *chunk, const struct index_place *place)
{
	const struct index_place *from = &chunk->from[chunk->next];

	bool here = place->state != INDEX_GONE && place->segment == from->segment &&
		place->offset == from->offset;

	chunk->moved->unknown +=
		place->state == INDEX_GONE || (here && place->ordinal != from->ordinal);
	return !here;
}

/* Whether the block needs no writing: 1, 0 or a negative code. */
static int is_known(struct chunk *chunk, const struct mf_cid *cid, store_ticket *ticket)
{
	struct index_place place;

	if (cid->hash == MF_HASH_IDENTITY)
		return 1;
	for (size_t i = 0; i < chunk->placed_count; i++)
		if (same_hash(&chunk->placed[i]->cid, cid))
			return 1;
	int rc = store_find(chunk->store, cid, &place);
	if (rc >= 0 && chunk->from) {
		if (chunk->placed_count < CHUNK_BLOCKS)
			chunk->found[chunk->placed_count] = place;
		return is_elsewhere(chunk, &place);
	}
	if (rc > 0)
		raise_ticket(ticket, place.sequence);
	if (rc > 0 && store_touch(chunk->store, &place) < 0)
		return -ENOMEM;
	return rc;
}

/* Appends as many blocks as one vector takes. */
static int append_chunk(struct chunk *chunk, store_ticket *ticket)
{
	struct store *store = chunk->store;

	chunk->placed_count = chunk->bytes = 0;
	chunk->ordinal = store->log.ordinal;
	chunk->copied = true;
	for (; chunk->next < chunk->count; chunk->next++) {
		const struct store_block *block = &chunk->blocks[chunk->next];
		int rc = is_known(chunk, &block->cid, ticket);

		if (rc < 0)
			return rc;
		if (rc > 0)
			continue;
		if (chunk->placed_count == CHUNK_BLOCKS || chunk->bytes >= CHUNK_BYTES ||
			!log_has_room(&store->log, block->len))
			break;
		chunk->placed[chunk->placed_count] = block;
		chunk->offset[chunk->placed_count++] =
			log_append_block(store, &block->cid, block->data, block->len);
		chunk->bytes += block->len;
		chunk->copied &= block->len <= LOG_SMALL_MAX;
	}
	return 0;
}

static void enter_chunk(struct chunk *chunk)
{
	struct store *store = chunk->store;

	for (size_t i = 0; i < chunk->placed_count; i++) {
		const struct store_block *block = chunk->placed[i];
		struct index_place place = { .offset = chunk->offset[i],
			.sequence = store->log.sequence,
			.segment = store->log.active->number,
			.len = block->len,
			.codec = block->cid.codec,
			.ordinal = chunk->ordinal + i,
			.version = block->cid.version };

		if (!chunk->from)
			index_add(&store->index, &block->cid, &place);
		else if (chunk->copied) /* nobody else ran since it was found */
			index_move(&store->index, &block->cid, &chunk->found[i], &place);
		else
			index_put(&store->index, &block->cid, &place);
		if (chunk->from)
			chunk->moved->bytes += block->len;
	}
	if (chunk->from) {
		chunk->moved->blocks += chunk->placed_count;
		store->moves += chunk->placed_count;
	}
}

static bool has_bulk(const struct chunk *chunk)
{
	for (size_t i = chunk->next; i < chunk->count && i < chunk->next + CHUNK_BLOCKS; i++)
		if (log_is_bulk(chunk->blocks[i].data, chunk->blocks[i].len))
			return true;
	return false;
}

/* One chunk, with the lock held. */
static int put_chunk(struct chunk *chunk, store_ticket *ticket)
{
	struct store *store = chunk->store;
	struct log *log = &store->log;
	struct log_mark mark;
	int rc = log_prepare(log);

	if (rc == 0)
		rc = index_reserve(&store->index, CHUNK_BLOCKS);
	if (rc == 0 && has_bulk(chunk))
		log_open_direct(store);
	if (rc == 0 && !log_has_room(log, chunk->blocks[chunk->next].len))
		rc = log_flush(store);
	if (rc < 0)
		return rc;
	log_mark(log, &mark);
	rc = append_chunk(chunk, ticket);
	if (rc == 0 && !chunk->copied)
		rc = log_flush(store);
	if (rc < 0) {
		log_take_back(log, &mark);
		return rc;
	}
	enter_chunk(chunk);
	if (chunk->placed_count) {
		raise_ticket(ticket, log->sequence);
		anyio_event_set(&store->put);
	}
	if (log->end - log->start >= store->options.group_bytes)
		log_commit(store, false, false);
	return 0;
}

static int put_verified(struct chunk *chunk, store_ticket *ticket)
{
	struct store *store = chunk->store;
	int rc = 0;

	while (chunk->next < chunk->count && rc == 0) {
		if (log_is_full(store) && (rc = log_roll(store)) < 0)
			return rc;
		rc = anyio_lock_acquire(&store->writing);
		if (rc < 0)
			return rc;
		rc = store->broken ? store->broken : put_chunk(chunk, ticket);
		anyio_lock_release(&store->writing);
	}
	return rc;
}

static int gate(const struct store_block *blocks, size_t count)
{
	int *results = anyio_calloc(count, sizeof(*results));
	int rc = results ? store_gate_check_big(blocks, count, results) : -ENOMEM;

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = results[i];
	anyio_free(results);
	return rc;
}

int store_put_many(struct store *store, const struct store_block *blocks, size_t count,
	unsigned flags, store_ticket *ticket)
{
	struct chunk chunk = { .store = store, .blocks = blocks, .count = count };
	uint64_t held;
	int rc;

	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		if ((rc = (flags & STORE_BIG ? ipld_big_block_allowed : ipld_block_allowed)(
			     &blocks[i].cid, blocks[i].len)) < 0)
			return rc;
	if (!(flags & STORE_VERIFIED) && (rc = gate(blocks, count)) < 0)
		return rc;
	rc = limit_enter(store, blocks, count, &held);
	if (rc == 0)
		rc = put_verified(&chunk, ticket);
	if (rc == 0)
		rc = store_checkpoint_if_due(store);
	limit_leave(store, held);
	return rc;
}

int store_move_many(struct store *store, const struct store_block *blocks,
	const struct index_place *places, size_t count, store_ticket *ticket,
	struct store_moved *moved)
{
	struct chunk chunk = {
		.store = store, .blocks = blocks, .from = places, .moved = moved, .count = count
	};

	return put_verified(&chunk, ticket);
}

int store_put(struct store *store, const struct mf_cid *cid, const void *data, size_t len,
	unsigned flags, store_ticket *ticket)
{
	struct store_block block = { .cid = *cid, .data = data, .len = len };

	return store_put_many(store, &block, 1, flags, ticket);
}

int store_sync(struct store *store, store_ticket ticket)
{
	return log_sync(store, ticket);
}
