/*
 * Getting: find, read, pass through the gate. Bytes that are appended but not yet written come from
 * the log's vector.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <multiformats/multihash.h>
#include <store/gate.h>
#include "inner.h"
#include "segment_adopted.h"
#include "tiering.h"

enum {
	GAP_MAX = 16 << 10,  /* bytes between neighbours worth reading over */
	RUN_BLOCKS = 64,     /* blocks read by one call */
	REMOTE_READERS = 16, /* blocks read from tiers at a time, for one who wants many */
};

int store_find(struct store *store, const struct mf_cid *cid, struct index_place *place)
{
	int rc = index_find(&store->index, cid, place);

	/* What a collection was moving is still where it was. */
	if (rc > 0 && store->broken && place->sequence > store->log.durable)
		rc = index_find_durable(&store->index, cid, store->log.durable, place);
	if (rc > 0 && !store_reaches(store, place)) {
		store_forget(store, cid, place);
		place->state = INDEX_DAMAGED;
		return 0;
	}
	return rc;
}

bool store_reaches(const struct store *store, const struct index_place *place)
{
	const struct segment_file *file = segment_set_find(&store->segments, place->segment);
	const struct segment_remote *remote =
		file ? NULL : segment_set_find_remote(&store->segments, place->segment);

	if (remote)
		return !remote->unwanted && place->offset + place->len <= remote->to;
	return file &&
		place->offset + place->len <=
		(file == store->log.active ? store->log.end : file->size);
}

void store_forget(struct store *store, const struct mf_cid *cid, const struct index_place *place)
{
	if (index_forget(&store->index, cid, place) && store->on_damage)
		store->on_damage(store->on_damage_arg, cid);
}

void store_on_damage(
	struct store *store, void (*found)(void *arg, const struct mf_cid *cid), void *arg)
{
	store->on_damage = found;
	store->on_damage_arg = arg;
}

void store_believe(struct store *store, const struct mf_cid *cid, const struct index_place *place)
{
	struct index_place now;

	/* Whoever puts right now may have reserved room: then another time. */
	if (anyio_lock_acquire_nowait(&store->writing) < 0)
		return;
	if (index_find(&store->index, cid, &now) == 0 && now.state == INDEX_DAMAGED &&
		now.segment == place->segment && now.offset == place->offset &&
		now.len == place->len && index_reserve(&store->index, 1) == 0) {
		now.state = INDEX_PRESENT;
		index_put(&store->index, cid, &now);
	}
	anyio_lock_release(&store->writing);
}

/* Whether it is so by now: it may be whole, in a tier that answers. */
static bool explain_remote(struct store *store, const struct segment_remote *remote,
	const struct index_place *place, char *out, size_t cap)
{
	const struct tier *tier = tier_find(store, remote->tier);
	bool attached = tier && tier->stat.attached;
	const char *why = attached && tier->verbs.why ? tier->verbs.why(tier->verbs.arg) : NULL;
	char object[SEGMENT_REMOTE_OBJECT_MAX];

	segment_remote_object(remote, object);
	if (place->state == INDEX_DAMAGED)
		snprintf(out, cap, "is damaged, or lost: bytes %llu to %llu of %s in the tier %s",
			(unsigned long long)place->offset,
			(unsigned long long)(place->offset + place->len), object, remote->tier);
	else if (!attached)
		snprintf(out, cap, "lies in the tier %s, which is not configured, or not open",
			remote->tier);
	else
		snprintf(out, cap, "lies in the tier %s, which fails: %s", remote->tier,
			why ? why : anyio_error_text(tier->stat.last_error));
	return place->state == INDEX_DAMAGED || !attached || why;
}

bool store_explain(struct store *store, const struct mf_cid *cid, char *out, size_t cap)
{
	struct index_place place = { .state = INDEX_GONE };
	int rc = index_find(&store->index, cid, &place);

	snprintf(out, cap, "is damaged");
	if (rc < 0 || place.state == INDEX_GONE)
		return rc < 0;
	const struct segment_file *file = segment_set_find(&store->segments, place.segment);
	const struct segment_remote *remote =
		file ? NULL : segment_set_find_remote(&store->segments, place.segment);

	if (remote)
		return explain_remote(store, remote, &place, out, cap);
	if (file && file->adopted && file->adopted->changed)
		snprintf(out, cap,
			"is lost: segments/%08u.car, a link, was changed since it was adopted",
			place.segment);
	else if (!file || file->size == 0)
		snprintf(out, cap, "is lost: segments/%08u.car is missing", place.segment);
	else if (!store_reaches(store, &place))
		snprintf(out, cap, "is lost: segments/%08u.car has lost its end, where it lay",
			place.segment);
	else
		snprintf(out, cap, "is damaged: bytes %llu to %llu of segments/%08u.car",
			(unsigned long long)place.offset,
			(unsigned long long)(place.offset + place.len), place.segment);
	/* What is whole by now is neither. */
	return place.state == INDEX_DAMAGED || !store_reaches(store, &place);
}

int store_has(struct store *store, const struct mf_cid *cid)
{
	struct index_place place;

	return cid->hash == MF_HASH_IDENTITY ? 1 : store_find(store, cid, &place);
}

ssize_t store_size(struct store *store, const struct mf_cid *cid)
{
	struct index_place place;

	if (cid->hash == MF_HASH_IDENTITY)
		return cid->digest_len;
	int rc = store_find(store, cid, &place);
	return rc > 0 ? (ssize_t)place.len : rc == 0 ? -ENOENT : rc;
}

/* Bytes that several have: callers, and the cache. */
struct shared {
	size_t users;
	uint8_t data[];
};

void store_drop_shared(void *shared)
{
	struct shared *memory = shared;

	if (--memory->users == 0)
		anyio_free(memory);
}

void store_block_release(struct store_block *block)
{
	if (block->shared)
		store_drop_shared(block->memory);
	else
		anyio_free(block->memory);
	*block = (struct store_block){ 0 };
}

static void give_shared(
	const struct mf_cid *cid, struct shared *memory, size_t len, struct store_block *out)
{
	memory->users++;
	*out = (struct store_block){
		.cid = *cid, .data = memory->data, .len = len, .memory = memory, .shared = true
	};
}

/* A block that carries itself, or memory for one that is at place. */
static int make_block(const struct mf_cid *cid, size_t len, struct store_block *out)
{
	struct shared *memory = anyio_malloc(sizeof(*memory) + len + 1);

	if (!memory)
		return -ENOMEM;
	memory->users = 0;
	give_shared(cid, memory, len, out);
	if (cid->hash == MF_HASH_IDENTITY)
		memcpy(memory->data, cid->digest, len);
	return 0;
}

static uint8_t *bytes_of(struct store_block *block)
{
	return ((struct shared *)block->memory)->data;
}

void store_set_cache(struct store *store, uint64_t bytes)
{
	arc_resize(&store->cache, bytes);
}

void store_cache_stat(const struct store *store, struct store_cache_stat *out)
{
	const struct arc *arc = &store->cache;

	*out = (struct store_cache_stat){ .max_bytes = arc->capacity,
		.blocks = arc->lists[ARC_T1].count + arc->lists[ARC_T2].count,
		.bytes = arc_bytes(arc),
		.hits = arc->hits,
		.misses = arc->misses };
}

/* From the cache; the index has said that it is here. */
static bool from_cache(
	struct store *store, const struct mf_cid *cid, size_t len, struct store_block *out)
{
	struct index_key key;

	if (store->cache.capacity == 0)
		return false;
	index_block_key(&key, cid);
	struct shared *memory = arc_get(&store->cache, key.bytes, key.len);
	if (memory)
		give_shared(cid, memory, len, out);
	return memory != NULL;
}

/* What has passed the gate. */
static void into_cache(struct store *store, const struct store_block *block)
{
	struct shared *memory = block->memory;
	struct index_key key;

	if (store->cache.capacity == 0)
		return;
	index_block_key(&key, &block->cid);
	memory->users++;
	if (!arc_put(&store->cache, key.bytes, key.len, memory, (uint32_t)block->len))
		memory->users--;
}

/* Whether the block is still on its way to the file; then it is copied from there. */
static bool peek(struct store *store, const struct index_place *place, void *out)
{
	const struct log *log = &store->log;

	return log->active && place->segment == log->active->number && place->offset >= log->base &&
		log_peek(log, place->offset, out, place->len);
}

bool store_is_read(const struct store *store)
{
	static const anyio_time moment = 100 * ANYIO_MILLISECOND;

	return store->readers > 0 || (store->last_read && anyio_now() - store->last_read < moment);
}

/* Reads pieces of one segment that lie one behind the other. */
static int read_run(
	struct store *store, uint32_t number, const struct iovec *iov, int count, uint64_t offset)
{
	struct segment_file *file = segment_set_find(&store->segments, number);
	struct iovec rest[2 * RUN_BLOCKS];
	int first = 0, rc;

	/* It may have been taken away since the log was opened, too. */
	rc = file ? segment_file_use(&store->segments, file) : -ENOENT;
	if (rc < 0)
		return rc == -ENOENT ? -EBADMSG : rc;
	store->readers++;
	memcpy(rest, iov, count * sizeof(*iov));
	while (first < count) {
		ssize_t n = count - first == 1
			? anyio_pread(file->fd, rest[first].iov_base, rest[first].iov_len, offset)
			: anyio_preadv(file->fd, rest + first, count - first, offset);
		if (n <= 0) {
			rc = n < 0 ? n : -EBADMSG;
			break;
		}
		offset += n;
		for (; first < count && (size_t)n >= rest[first].iov_len; first++)
			n -= rest[first].iov_len;
		if (first < count) {
			rest[first].iov_base = (uint8_t *)rest[first].iov_base + n;
			rest[first].iov_len -= n;
		}
	}
	store->readers--;
	store->last_read = anyio_now();
	segment_file_release(file);
	return rc;
}

static int read_block(struct store *store, const struct index_place *place, void *out)
{
	struct iovec iov = { out, place->len };

	if (place->len == 0 || peek(store, place, out))
		return 0;
	if (segment_set_find_remote(&store->segments, place->segment))
		return tier_read_block(store, place, out);
	return read_run(store, place->segment, &iov, 1, place->offset);
}

/* Whether a collection has written it elsewhere since it was found, or taken it away. */
static bool is_away(struct store *store, const struct mf_cid *cid, const struct index_place *place)
{
	struct index_place now;
	int rc = store_find(store, cid, &now);

	return (rc == 0 && now.state == INDEX_GONE) ||
		(rc > 0 && (now.segment != place->segment || now.offset != place->offset));
}

static int get(struct store *store, const struct mf_cid *cid, bool aside, struct store_block *out)
{
	struct index_place place;
	int rc, result;

	*out = (struct store_block){ 0 };
	if (cid->hash == MF_HASH_IDENTITY)
		return make_block(cid, cid->digest_len, out);
	rc = store_find(store, cid, &place);
	/* What was damaged is tried again: a good copy of the segment may be in its place now. */
	if (rc < 0 || (rc == 0 && place.state == INDEX_GONE))
		return rc == 0 ? -ENOENT : rc;
	bool believed = rc > 0;
	if (believed && !aside && from_cache(store, cid, place.len, out)) {
		rc = anyio_checkpoint();
		if (rc < 0)
			store_block_release(out);
		return rc;
	}
	rc = make_block(cid, place.len, out);
	if (rc == 0)
		rc = read_block(store, &place, bytes_of(out));
	if (rc == 0 && (rc = store_gate_check_big(out, 1, &result)) == 0)
		rc = result;
	if ((rc == -EBADMSG || rc == -EREMOTEIO) && is_away(store, cid, &place)) {
		store_block_release(out);
		return get(store, cid, aside, out);
	}
	if (rc == -EBADMSG)
		store_forget(store, cid, &place);
	if (rc == 0 && !believed)
		store_believe(store, cid, &place);
	if (rc == 0 && !aside)
		into_cache(store, out);
	else if (rc < 0)
		store_block_release(out);
	return rc;
}

int store_get(struct store *store, const struct mf_cid *cid, struct store_block *out)
{
	return get(store, cid, false, out);
}

int store_get_aside(struct store *store, const struct mf_cid *cid, struct store_block *out)
{
	return get(store, cid, true, out);
}

int store_doubt(struct store *store, const struct mf_cid *cid, uint32_t number)
{
	struct store_block block;
	struct index_place place;
	int rc = store_find(store, cid, &place);

	if (rc <= 0 || place.segment == number ||
		segment_set_find_remote(&store->segments, place.segment))
		return rc < 0 ? rc : 0;
	rc = store_get_aside(store, cid, &block);
	store_block_release(&block);
	if (rc == -EIO)
		store_forget(store, cid, &place);
	return rc == -ENOMEM || rc == ANYIO_CANCELLED ? rc : 0;
}

/* One block of a batch. */
struct wanted {
	struct index_place place;
	size_t index;
	bool remote; /* it lies in a tier */
};

struct batch {
	struct store *store;
	const struct mf_cid *cids;
	size_t count;
	struct store_block *out;
	int *results;
	struct index_place *places; /* of cids, where they were found */
	struct wanted *wanted;      /* to be read */
	bool *unproven;             /* of out: its bytes are to pass the gate */
	size_t wanted_count;
	size_t next; /* of wanted, for remote_reader */
};

static int by_place(const void *a, const void *b)
{
	const struct index_place *x = &((const struct wanted *)a)->place;
	const struct index_place *y = &((const struct wanted *)b)->place;

	if (x->segment != y->segment)
		return x->segment < y->segment ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Finds all, makes their memory, and fills those that need no reading. */
static int batch_find(struct batch *batch)
{
	struct store *store = batch->store;

	for (size_t i = 0; i < batch->count; i++) {
		const struct mf_cid *cid = &batch->cids[i];
		struct wanted *wanted = &batch->wanted[batch->wanted_count];

		if (cid->hash == MF_HASH_IDENTITY) {
			batch->results[i] = make_block(cid, cid->digest_len, &batch->out[i]);
			if (batch->results[i] < 0)
				return batch->results[i];
			continue;
		}
		int rc = store_find(store, cid, &wanted->place);
		/* What was damaged is tried again, as store_get does. */
		if (rc < 0 || (rc == 0 && wanted->place.state == INDEX_GONE)) {
			batch->results[i] = rc < 0 ? rc : -ENOENT;
			continue;
		}
		if (rc > 0 && from_cache(store, cid, wanted->place.len, &batch->out[i]))
			continue;
		rc = make_block(cid, wanted->place.len, &batch->out[i]);
		if (rc < 0)
			return rc;
		wanted->index = i;
		wanted->remote =
			segment_set_find_remote(&store->segments, wanted->place.segment) != NULL;
		batch->places[i] = wanted->place;
		batch->unproven[i] = true;
		if (wanted->place.len > 0 && !peek(store, &wanted->place, bytes_of(&batch->out[i])))
			batch->wanted_count++;
	}
	qsort(batch->wanted, batch->wanted_count, sizeof(*batch->wanted), by_place);
	return 0;
}

/* Reads a run of neighbours starting at wanted[first]; returns the index after it, or a code. */
static ssize_t batch_read_run(struct batch *batch, size_t first, uint8_t *gap)
{
	struct iovec iov[2 * RUN_BLOCKS] = { 0 };
	const struct index_place *start = &batch->wanted[first].place;
	uint64_t at = start->offset;
	int pieces = 0;
	size_t i;

	for (i = first; i < batch->wanted_count && i - first < RUN_BLOCKS; i++) {
		const struct wanted *wanted = &batch->wanted[i];
		const struct index_place *place = &wanted->place;

		if (place->segment != start->segment || place->offset < at ||
			place->offset - at > GAP_MAX)
			break;
		if (place->offset > at)
			iov[pieces++] = (struct iovec){ gap, place->offset - at };
		iov[pieces++] = (struct iovec){ bytes_of(&batch->out[wanted->index]), place->len };
		at = place->offset + place->len;
	}
	int rc = read_run(batch->store, start->segment, iov, pieces, start->offset);
	if (rc == -ENOMEM || rc == ANYIO_CANCELLED)
		return rc;
	/* One that can't be read must not take the others with it. */
	for (size_t j = first; rc < 0 && j < i; j++) {
		const struct wanted *wanted = &batch->wanted[j];

		batch->results[wanted->index] = read_block(
			batch->store, &wanted->place, bytes_of(&batch->out[wanted->index]));
	}
	return i;
}

/* One of those that share what lies in tiers. What fails is told of each block. */
static int remote_reader(void *arg)
{
	struct batch *batch = arg;

	while (batch->next < batch->wanted_count) {
		size_t at = batch->next++;
		const struct wanted *wanted = &batch->wanted[at];

		if (!wanted->remote)
			continue;
		int rc = batch->results[wanted->index] = tier_read_block(
			batch->store, &wanted->place, bytes_of(&batch->out[wanted->index]));
		if (rc == -ENOMEM || rc == ANYIO_CANCELLED)
			return rc;
	}
	return 0;
}

static int batch_read_remote(struct batch *batch)
{
	size_t count = 0;

	for (size_t i = 0; i < batch->wanted_count; i++)
		count += batch->wanted[i].remote;
	if (count == 0)
		return 0;
	ANYIO_TASK_GROUP(group);
	for (size_t i = 0; i < count && i < REMOTE_READERS; i++)
		anyio_start_soon(&group, remote_reader, batch, "remote_reader");
	return anyio_task_group_exit(&group, 0);
}

static int batch_read(struct batch *batch)
{
	uint8_t *gap = anyio_malloc(GAP_MAX);
	ssize_t at = gap ? 0 : -ENOMEM;

	while (at >= 0 && (size_t)at < batch->wanted_count) {
		if (batch->wanted[at].remote) {
			at++;
			continue;
		}
		/* The same block asked for twice is read twice: runs never go back. */
		at = batch_read_run(batch, at, gap);
	}
	anyio_free(gap);
	return at < 0 ? at : batch_read_remote(batch);
}

/* What became of one that was read. */
static void batch_judge(struct batch *batch, size_t i, int result)
{
	batch->results[i] = result;
	if (result == 0 && batch->places[i].state == INDEX_DAMAGED)
		store_believe(batch->store, &batch->cids[i], &batch->places[i]);
	if (result == 0)
		into_cache(batch->store, &batch->out[i]);
}

/* Those that were read, one behind the other, pass the gate together. */
static int batch_verify(struct batch *batch)
{
	struct store_block *blocks = anyio_calloc(batch->count, sizeof(*blocks));
	int *results = anyio_calloc(batch->count, sizeof(*results));
	size_t n = 0;
	int rc = blocks && results ? 0 : -ENOMEM;

	for (size_t i = 0; i < batch->count && rc == 0; i++)
		if (batch->unproven[i] && batch->results[i] == 0)
			blocks[n++] = batch->out[i];
	if (rc == 0)
		rc = store_gate_check_big(blocks, n, results);
	for (size_t i = 0, j = 0; i < batch->count && rc == 0; i++) {
		if (batch->unproven[i] && batch->results[i] == 0)
			batch_judge(batch, i, results[j++]);
		if (batch->results[i] < 0)
			store_block_release(&batch->out[i]);
	}
	anyio_free(blocks);
	anyio_free(results);
	return rc;
}

int store_get_many(struct store *store, const struct mf_cid *cids, size_t count,
	struct store_block *out, int *results)
{
	struct batch batch = {
		.store = store, .cids = cids, .count = count, .out = out, .results = results
	};

	memset(out, 0, count * sizeof(*out));
	memset(results, 0, count * sizeof(*results));
	batch.places = anyio_calloc(count + 1, sizeof(*batch.places));
	batch.wanted = anyio_calloc(count + 1, sizeof(*batch.wanted));
	batch.unproven = anyio_calloc(count + 1, sizeof(*batch.unproven));
	int rc = batch.places && batch.wanted && batch.unproven ? batch_find(&batch) : -ENOMEM;
	if (rc == 0)
		rc = batch_read(&batch);
	if (rc == 0)
		rc = batch_verify(&batch);
	for (size_t i = 0; i < count && rc == 0; i++) {
		if ((results[i] != -EBADMSG && results[i] != -EREMOTEIO) || !batch.unproven[i])
			continue;
		if (is_away(store, &cids[i], &batch.places[i]))
			results[i] = store_get(store, &cids[i], &out[i]);
		else if (results[i] == -EBADMSG)
			store_forget(store, &cids[i], &batch.places[i]);
	}
	anyio_free(batch.places);
	anyio_free(batch.wanted);
	anyio_free(batch.unproven);
	for (size_t i = 0; i < count && rc < 0; i++)
		store_block_release(&out[i]);
	return rc;
}
