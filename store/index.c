#include "index.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <anyio/memory.h>
#include <store/pin.h>
#include "index_db.h"

void index_block_key(struct index_key *key, const struct mf_cid *cid)
{
	key->len = mf_multihash_encode(
		cid->hash, cid->digest, cid->digest_len, key->bytes, sizeof(key->bytes));
}

void index_pin_key(struct index_key *key, const struct mf_cid *cid)
{
	key->len = mf_cid_encode(cid, key->bytes, sizeof(key->bytes));
}

/* The place of a key in the newest generation that knows it, damaged or not. */
static int find_key(struct index *index, const struct index_key *key, struct index_place *place)
{
	const struct index_place *found = table_find(&index->fresh.blocks, key->bytes, key->len);

	if (!found)
		found = table_find(&index->frozen.blocks, key->bytes, key->len);
	place->state = INDEX_GONE;
	if (!found)
		return index_db_block(index, key, place);
	*place = *found;
	return 1;
}

int index_find(struct index *index, const struct mf_cid *cid, struct index_place *place)
{
	struct index_key key;

	index_block_key(&key, cid);
	int rc = find_key(index, &key, place);
	return rc > 0 && place->state != INDEX_PRESENT ? 0 : rc;
}

int index_reserve(struct index *index, size_t count)
{
	int rc = table_reserve(&index->fresh.blocks, count, MF_MULTIHASH_BYTES_MAX);

	if (rc == 0)
		index->promised = count;
	return rc;
}

int index_reserve_pin(struct index *index)
{
	return table_reserve(&index->fresh.pins, 1, MF_CID_BYTES_MAX);
}

void index_add(struct index *index, const struct mf_cid *cid, const struct index_place *place)
{
	struct index_key key;

	index_block_key(&key, cid);
	index->counts.blocks++;
	index->counts.bytes += place->len;
	*(struct index_place *)table_put(&index->fresh.blocks, key.bytes, key.len) = *place;
}

void index_put(struct index *index, const struct mf_cid *cid, const struct index_place *place)
{
	struct index_place before;

	if (index_find(index, cid, &before) > 0) {
		index->counts.blocks--;
		index->counts.bytes -= before.len;
	}
	index_add(index, cid, place);
}

/* Makes a block absent that is at this place: 1 when it was there, 0, or -ENOMEM. */
static int take_away(struct index *index, const struct mf_cid *cid, const struct index_place *place,
	enum index_state state)
{
	struct index_key key;
	struct index_place now;

	index_block_key(&key, cid);
	if (find_key(index, &key, &now) <= 0 || now.state >= state ||
		now.segment != place->segment || now.offset != place->offset)
		return 0;
	if (table_reserve(&index->fresh.blocks, index->promised + 1, MF_MULTIHASH_BYTES_MAX) < 0)
		return -ENOMEM;
	if (now.state == INDEX_PRESENT) {
		index->counts.blocks--;
		index->counts.bytes -= now.len;
	}
	now.state = state;
	*(struct index_place *)table_put(&index->fresh.blocks, key.bytes, key.len) = now;
	return 1;
}

void index_forget(struct index *index, const struct mf_cid *cid, const struct index_place *place)
{
	/* The block may be well, and its place wrong. */
	if (take_away(index, cid, place, INDEX_DAMAGED) > 0)
		index->doubtful = true;
}

int index_drop(struct index *index, const struct mf_cid *cid, const struct index_place *place)
{
	int rc = take_away(index, cid, place, INDEX_GONE);

	return rc < 0 ? rc : 0;
}

int index_next_block(
	struct index *index, struct index_key *key, struct mf_cid *cid, struct index_place *place)
{
	struct mf_multihash hash;
	int rc = index_db_next_block(index, key, place);

	if (rc <= 0)
		return rc;
	if (mf_multihash_decode(&hash, key->bytes, key->len) != key->len) {
		index->doubtful = true;
		return -EUCLEAN;
	}
	*cid = (struct mf_cid){ .version = place->version,
		.codec = place->codec,
		.hash = hash.code,
		.digest_len = hash.digest_len };
	memcpy(cid->digest, hash.digest, hash.digest_len);
	return find_key(index, key, place);
}

int index_pin_find(struct index *index, const struct mf_cid *cid, uint64_t *sequence)
{
	struct index_key key;

	index_pin_key(&key, cid);
	const struct index_pin *pin = table_find(&index->fresh.pins, key.bytes, key.len);
	if (!pin)
		pin = table_find(&index->frozen.pins, key.bytes, key.len);
	*sequence = pin ? pin->sequence : 0;
	return pin ? (int)pin->mode : index_db_pin(index, &key);
}

void index_pin_put(struct index *index, const struct mf_cid *cid, uint32_t mode, uint64_t sequence)
{
	struct index_key key;
	uint64_t ignored;
	bool before = index_pin_find(index, cid, &ignored) > 0;

	index_pin_key(&key, cid);
	index->counts.pins += (mode != STORE_PIN_NONE) - before;
	*(struct index_pin *)table_put(&index->fresh.pins, key.bytes, key.len) =
		(struct index_pin){ .sequence = sequence, .mode = mode };
}

size_t index_fresh(const struct index *index)
{
	return index->fresh.blocks.count + index->fresh.pins.count;
}

size_t index_unwritten(const struct index *index)
{
	return index_fresh(index) +
		(index->frozen.used ? index->frozen.blocks.count + index->frozen.pins.count : 0);
}

void index_freeze(struct index *index, const struct index_position *position)
{
	index->frozen = index->fresh;
	index->frozen.position = *position;
	index->frozen.counts = index->counts;
	index->frozen.used = true;
	table_init(&index->fresh.blocks, sizeof(struct index_place));
	table_init(&index->fresh.pins, sizeof(struct index_pin));
}

static void free_generation(struct index_generation *generation)
{
	table_free(&generation->blocks);
	table_free(&generation->pins);
	generation->used = false;
}

int index_write(struct index *index)
{
	if (!index->frozen.used)
		return 0;
	int rc = index_db_write(index);
	if (rc == 0)
		free_generation(&index->frozen);
	return rc;
}

int index_open(struct index *index, const char *dir, const uint8_t repo[16],
	struct index_position *position)
{
	*index = (struct index){ .dir = anyio_strdup(dir) };
	if (!index->dir)
		return -ENOMEM;
	memcpy(index->repo, repo, sizeof(index->repo));
	table_init(&index->fresh.blocks, sizeof(struct index_place));
	table_init(&index->fresh.pins, sizeof(struct index_pin));
	table_init(&index->frozen.blocks, sizeof(struct index_place));
	table_init(&index->frozen.pins, sizeof(struct index_pin));
	int rc = index_db_open(index, position);
	if (rc < 0)
		index_close(index);
	return rc;
}

void index_close(struct index *index)
{
	index_db_close(index);
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
	index_db_close(index);
	int rc = index_db_remove(index);
	return rc < 0 ? rc : index_db_open(index, &position);
}
