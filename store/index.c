#include "index.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <anyio/memory.h>
#include "index_db.h"

enum { SHA256_SIZE = 32 };

/* A SHA-256, as most are, is its digest alone; any other hash is a multihash, which says itself how long it is,
 * so that a byte behind one that would be as long as a digest makes no other of it. */
void index_block_key(struct index_key *key, const struct mf_cid *cid)
{
	if (cid->hash == MF_HASH_SHA2_256 && cid->digest_len == SHA256_SIZE) {
		memcpy(key->bytes, cid->digest, SHA256_SIZE);
		key->len = SHA256_SIZE;
		return;
	}
	key->len = mf_multihash_encode(
		cid->hash, cid->digest, cid->digest_len, key->bytes, sizeof(key->bytes));
	if (key->len == SHA256_SIZE)
		key->bytes[key->len++] = 0;
}

/* The hash of a block, from its key; false when it is none. */
static bool read_block_key(const struct index_key *key, struct mf_cid *cid)
{
	struct mf_multihash hash = {
		.code = MF_HASH_SHA2_256, .digest_len = SHA256_SIZE, .digest = key->bytes
	};

	if (key->len != SHA256_SIZE) {
		ssize_t len = mf_multihash_decode(&hash, key->bytes, key->len);

		if (len != key->len && !(len == SHA256_SIZE && key->len == SHA256_SIZE + 1))
			return false;
	}
	cid->hash = hash.code;
	cid->digest_len = hash.digest_len;
	memcpy(cid->digest, hash.digest, hash.digest_len);
	return true;
}

void index_state_key(struct index_key *key, uint8_t space, const void *bytes, size_t len)
{
	key->len = 1 + len;
	key->bytes[0] = space;
	memcpy(key->bytes + 1, bytes, len);
}

/* The place of a key in the newest generation that knows it and is not written yet: whether there is one. */
static bool find_unwritten(
	const struct index *index, const struct index_key *key, struct index_place *place)
{
	const struct index_place *found = table_find(&index->fresh.blocks, key->bytes, key->len);

	if (!found)
		found = table_find(&index->frozen.blocks, key->bytes, key->len);
	if (found)
		*place = *found;
	return found != NULL;
}

/* The same of all generations, damaged or not. */
static int find_key(struct index *index, const struct index_key *key, struct index_place *place)
{
	if (find_unwritten(index, key, place))
		return 1;
	place->state = INDEX_GONE;
	return index_db_block(index, key, place);
}

int index_find(struct index *index, const struct mf_cid *cid, struct index_place *place)
{
	struct index_key key;

	index_block_key(&key, cid);
	int rc = find_key(index, &key, place);
	return rc > 0 && place->state != INDEX_PRESENT ? 0 : rc;
}

int index_find_durable(
	struct index *index, const struct mf_cid *cid, uint64_t durable, struct index_place *place)
{
	const struct index_generation *generations[] = { &index->fresh, &index->frozen };
	struct index_key key;

	index_block_key(&key, cid);
	for (int i = 0; i < 2; i++) {
		const struct index_place *found =
			table_find(&generations[i]->blocks, key.bytes, key.len);

		if (!found || found->sequence > durable)
			continue;
		*place = *found;
		return place->state == INDEX_PRESENT;
	}
	place->state = INDEX_GONE;
	int rc = index_db_block(index, &key, place);
	return rc > 0 && place->state != INDEX_PRESENT ? 0 : rc;
}

/* Of a generation, but for what a newer one knows too. */
static uint64_t count_after(const struct table *blocks, const struct table *newer, uint64_t durable)
{
	const uint8_t *key;
	uint64_t count = 0;
	size_t at = 0, len;
	void *value;

	while (table_walk(blocks, &at, &key, &len, &value)) {
		const struct index_place *place = value;

		count += place->state == INDEX_PRESENT && place->sequence > durable &&
			(!newer || !table_find(newer, key, len));
	}
	return count;
}

uint64_t index_count_after(const struct index *index, uint64_t durable)
{
	const struct table *fresh = &index->fresh.blocks;

	return count_after(fresh, NULL, durable) +
		count_after(&index->frozen.blocks, fresh, durable);
}

int index_reserve(struct index *index, size_t count)
{
	int rc = table_reserve(&index->fresh.blocks, count, MF_MULTIHASH_BYTES_MAX);

	if (rc == 0)
		index->promised = count;
	return rc;
}

void index_add(struct index *index, const struct mf_cid *cid, const struct index_place *place)
{
	struct index_key key;

	index_block_key(&key, cid);
	index->counts.blocks++;
	index->counts.bytes += place->len;
	*(struct index_place *)table_put(&index->fresh.blocks, key.bytes, key.len) = *place;
}

static void count_out(struct index *index, const struct index_place *place)
{
	if (place->state != INDEX_PRESENT)
		return;
	index->counts.blocks--;
	index->counts.bytes -= place->len;
}

void index_move(struct index *index, const struct mf_cid *cid, const struct index_place *found,
	const struct index_place *place)
{
	count_out(index, found);
	index_add(index, cid, place);
}

void index_put(struct index *index, const struct mf_cid *cid, const struct index_place *place)
{
	struct index_place before;

	if (index_find(index, cid, &before) <= 0)
		before.state = INDEX_GONE;
	index_move(index, cid, &before, place);
}

/* Makes a block absent that was found: 1, or -ENOMEM. */
static int take_found(struct index *index, const struct index_key *key,
	const struct index_place *found, enum index_state state)
{
	struct index_place now = *found;

	if (table_reserve(&index->fresh.blocks, index->promised + 1, MF_MULTIHASH_BYTES_MAX) < 0)
		return -ENOMEM;
	count_out(index, found);
	now.state = state;
	*(struct index_place *)table_put(&index->fresh.blocks, key->bytes, key->len) = now;
	return 1;
}

/* The same of one that may be at this place, or not: 0. */
static int take_away(struct index *index, const struct mf_cid *cid, const struct index_place *place,
	enum index_state state)
{
	struct index_key key;
	struct index_place now;

	index_block_key(&key, cid);
	if (find_key(index, &key, &now) <= 0 || now.state >= state ||
		now.segment != place->segment || now.offset != place->offset)
		return 0;
	return take_found(index, &key, &now, state);
}

bool index_forget(struct index *index, const struct mf_cid *cid, const struct index_place *place)
{
	/* The block may be well, and its place wrong. */
	if (take_away(index, cid, place, INDEX_DAMAGED) <= 0)
		return false;
	index->doubtful = true;
	index->damaged++;
	return true;
}

int index_drop(struct index *index, const struct mf_cid *cid, const struct index_place *place)
{
	int rc = take_away(index, cid, place, INDEX_GONE);

	return rc < 0 ? rc : 0;
}

int index_drop_found(struct index *index, const struct mf_cid *cid, const struct index_place *found)
{
	struct index_key key;

	index_block_key(&key, cid);
	int rc = take_found(index, &key, found, INDEX_GONE);
	return rc < 0 ? rc : 0;
}

ssize_t index_next_blocks(
	struct index *index, struct index_key *key, struct index_block *blocks, size_t most)
{
	ssize_t count = index->only_read ? index_kept_next_block(index, key, blocks)
					 : index_db_next_blocks(index, key, blocks, most);

	for (ssize_t i = 0; i < count; i++) {
		struct index_block *block = &blocks[i];

		block->cid = (struct mf_cid){ .version = block->place.version,
			.codec = block->place.codec };
		if (!read_block_key(&block->key, &block->cid)) {
			index->doubtful = true;
			return -EUCLEAN;
		}
		find_unwritten(index, &block->key, &block->place);
	}
	return count;
}

ssize_t index_state_find(struct index *index, const struct index_key *key, void *value, size_t size,
	uint64_t *sequence)
{
	const struct index_state_value *found =
		table_find(&index->fresh.state, key->bytes, key->len);

	if (!found)
		found = table_find(&index->frozen.state, key->bytes, key->len);
	*sequence = found ? found->sequence : 0;
	if (!found)
		return index_db_state(index, key, value, size);
	if (!found->bytes)
		return -ENOENT;
	memcpy(value, found->bytes, found->len < size ? found->len : size);
	return found->len;
}

/* What a piece of state adds to the counts: 1, or -1 to take it from them. */
static void count_state(struct index *index, const struct index_key *key, size_t len, int sign)
{
	index->counts.state_bytes += sign * (int64_t)(key->len + len);
	if (key->bytes[0] == STORE_SPACE_PINS)
		index->counts.pins += sign;
}

int index_state_put(struct index *index, const struct index_key *key, const void *value, size_t len,
	uint64_t sequence)
{
	uint8_t before[STORE_STATE_VALUE_MAX], *copy = NULL;
	uint64_t ignored;
	ssize_t had = index_state_find(index, key, before, sizeof(before), &ignored);

	if (had < 0 && had != -ENOENT)
		return had;
	if (table_reserve(&index->fresh.state, 1, key->len) < 0)
		return -ENOMEM;
	if (value && !(copy = anyio_malloc(len + 1)))
		return -ENOMEM;
	if (value)
		memcpy(copy, value, len);
	if (had >= 0)
		count_state(index, key, had, -1);
	if (value)
		count_state(index, key, len, 1);
	struct index_state_value *now = table_put(&index->fresh.state, key->bytes, key->len);
	anyio_free(now->bytes);
	*now = (struct index_state_value){ .sequence = sequence, .bytes = copy, .len = len };
	return 0;
}

uint64_t index_grown_size(const struct index *index)
{
	uint64_t file = index_file_size(index),
		 grown = index->counts.blocks * INDEX_GROWN_BLOCK + index->counts.state_bytes * 2;

	return file > grown ? file : grown;
}

size_t index_fresh(const struct index *index)
{
	return index->fresh.blocks.count + index->fresh.state.count;
}

size_t index_unwritten(const struct index *index)
{
	return index_fresh(index) +
		(index->frozen.used ? index->frozen.blocks.count + index->frozen.state.count : 0);
}

void index_freeze(
	struct index *index, const struct index_position *position, const struct ops_position *ops)
{
	index->frozen = index->fresh;
	index->frozen.position = *position;
	index->frozen.ops = *ops;
	index->frozen.counts = index->counts;
	index->frozen.used = true;
	table_init(&index->fresh.blocks, sizeof(struct index_place));
	table_init(&index->fresh.state, sizeof(struct index_state_value));
}

static void free_generation(struct index_generation *generation)
{
	const uint8_t *key;
	size_t at = 0, len;
	void *value;

	while (table_walk(&generation->state, &at, &key, &len, &value))
		anyio_free(((struct index_state_value *)value)->bytes);
	table_free(&generation->blocks);
	table_free(&generation->state);
	generation->used = false;
}

int index_write(struct index *index)
{
	if (!index->frozen.used)
		return 0;
	if (index->only_read)
		return index_keep(index);
	int rc = index->unsynced ? index->unsynced : index_db_write(index);
	if (rc == 0)
		free_generation(&index->frozen);
	return rc;
}

static int open_in(struct index *index, const char *dir, const uint8_t repo[16], bool only_read,
	struct index_position *position)
{
	*index = (struct index){ .dir = anyio_strdup(dir), .only_read = only_read };
	if (!index->dir)
		return -ENOMEM;
	memcpy(index->repo, repo, sizeof(index->repo));
	table_init(&index->fresh.blocks, sizeof(struct index_place));
	table_init(&index->fresh.state, sizeof(struct index_state_value));
	table_init(&index->frozen.blocks, sizeof(struct index_place));
	table_init(&index->frozen.state, sizeof(struct index_state_value));
	int rc = index_db_open(index, position);
	if (rc < 0)
		index_close(index);
	return rc;
}

int index_open(struct index *index, const char *dir, const uint8_t repo[16],
	struct index_position *position)
{
	return open_in(index, dir, repo, false, position);
}

int index_open_to_read(struct index *index, const char *dir, const uint8_t repo[16],
	struct index_position *position)
{
	return open_in(index, dir, repo, true, position);
}

void index_close(struct index *index)
{
	index_db_close(index);
	index_let_go(index);
	free_generation(&index->fresh);
	free_generation(&index->frozen);
	anyio_free(index->dir);
	index->dir = NULL;
}

int index_clear(struct index *index)
{
	struct index_position position;

	free_generation(&index->fresh);
	free_generation(&index->frozen);
	index->counts = (struct index_counts){ 0 };
	index->written = (struct index_meta){ 0 };
	index_db_close(index);
	int rc = index_db_remove(index);
	return rc < 0 ? rc : index_db_open(index, &position);
}
