/*
 * Looking over a repo: what lies in tiers. Each object is read by ranges, in the order of its own index; what that does not
 * lead to, as it is damaged or not there, block by block, by the index of the repo. An object that cannot be read is asked for
 * once; when the next cannot be, either, its tier is asked no more. Nobody waits for this: what is moved or collected
 * meanwhile is no fault where it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <store/gate.h>
#include "tier_index.h"
#include "tiering.h"
#include "verifying.h"

enum {
	RANGE_MAX = 4 << 20, /* bytes read by one call */
	GAP_MAX = 16 << 10,  /* between neighbours worth reading over */
	RANGE_BLOCKS = 1024, /* passed through the gate together */
	ENTRIES_A_TURN = 1024,
};

struct object {
	uint32_t number;
	uint64_t size, done; /* bytes; those that counted as progress */
	uint64_t read;       /* blocks that lie before this have been */
	uint64_t whole;      /* blocks */
	bool lost_index;     /* its own is damaged, or not there */
	bool refused;        /* it could not be read */
};

/* A tier of which something could not be read, and the first object that was in. */
struct refusal {
	char tier[STORE_TIER_NAME_MAX + 1], object[SEGMENT_REMOTE_OBJECT_MAX];
	uint32_t number;
	unsigned in_row; /* objects of it, one after the other */
	uint64_t blocks; /* that were to be read */
};

/* One bad sector is no tier that is down. */
enum { DOWN = 2 };

struct tiers {
	struct verifying *verifying;
	struct object *objects; /* by number */
	size_t count;
	struct refusal *refusals;
	size_t refusal_count, refusal_room;
	bool rest; /* of some not all was read */
};

/* Blocks of an object that lie one behind the other. */
struct range {
	struct tiers *tiers;
	struct object *object;
	struct segment_remote remote;
	struct store_block blocks[RANGE_BLOCKS];
	struct index_place places[RANGE_BLOCKS];
	int results[RANGE_BLOCKS];
	size_t count;
	uint64_t end;
	uint8_t *bytes;
};

/* ---- one block ---- */

int verifying_report_remote(struct verifying *verifying, const struct segment_remote *remote,
	const struct mf_cid *cid, const struct index_place *place, int error)
{
	bool accept = verifying->options->accept_loss && error == -EBADMSG;
	char object[SEGMENT_REMOTE_OBJECT_MAX];

	segment_remote_object(remote, object);
	verifying_report(verifying,
		&(struct store_fault){ .kind = STORE_FAULT_TIER,
			.segment = remote->number,
			.from = place->offset,
			.to = place->offset + place->len,
			.cid = cid,
			.tier = remote->tier,
			.object = object,
			.error = error,
			.accepted = accept });
	return accept ? index_drop(&verifying->store->index, cid, place) : 0;
}

/* Whether it has not been moved, or collected, since. */
static bool is_there(struct store *store, const struct mf_cid *cid, const struct index_place *place)
{
	struct index_place now;
	int rc = index_find(&store->index, cid, &now);

	return rc >= 0 && now.state != INDEX_GONE && now.segment == place->segment &&
		now.offset == place->offset;
}

int verifying_read_remote(struct verifying *verifying, const struct segment_remote *remote,
	const struct mf_cid *cid, const struct index_place *place)
{
	struct store *store = verifying->store;
	struct store_block block;
	int rc = store_get_aside(store, cid, &block);

	store_block_release(&block);
	if (rc == 0)
		return 1;
	/* Of what is elsewhere by now this tier knows nothing. */
	if (rc == -ENOENT || rc == -EIO ||
		((rc == -EBADMSG || rc == -EREMOTEIO) && !is_there(store, cid, place)))
		return 0;
	return rc == -EBADMSG ? verifying_report_remote(verifying, remote, cid, place, rc) : rc;
}

static void count_whole(
	struct verifying *verifying, struct object *object, const struct index_place *place)
{
	object->whole++;
	verifying->result->blocks++;
	verifying->result->bytes += place->len;
}

/* ---- tiers that cannot be asked ---- */

static struct refusal *find_refusal(const struct tiers *tiers, const char *tier)
{
	for (size_t i = 0; i < tiers->refusal_count; i++)
		if (strcmp(tiers->refusals[i].tier, tier) == 0)
			return &tiers->refusals[i];
	return NULL;
}

static bool is_refused(
	const struct tiers *tiers, const struct object *object, const struct segment_remote *remote)
{
	const struct refusal *refusal = find_refusal(tiers, remote->tier);

	return object->refused || (refusal && refusal->in_row >= DOWN);
}

static struct refusal *note_refusal(
	struct tiers *tiers, struct object *object, const struct segment_remote *remote)
{
	struct refusal *refusal = find_refusal(tiers, remote->tier);

	object->refused = true;
	if (refusal) {
		refusal->in_row++;
		return refusal;
	}
	if (anyio_grow(&tiers->refusals, &tiers->refusal_room, tiers->refusal_count + 1,
		    sizeof(*tiers->refusals)))
		return NULL;
	refusal = &tiers->refusals[tiers->refusal_count++];
	*refusal = (struct refusal){ .number = remote->number, .in_row = 1 };
	memcpy(refusal->tier, remote->tier, sizeof(refusal->tier));
	segment_remote_object(remote, refusal->object);
	return refusal;
}

/* ---- by ranges ---- */

static int advance(struct tiers *tiers, struct object *object, uint64_t done)
{
	uint64_t before = object->done;

	if (done <= before)
		return 0;
	object->done = done;
	return verifying_progress(tiers->verifying, done - before);
}

static int judge(struct range *range, size_t i)
{
	struct verifying *verifying = range->tiers->verifying;
	struct store *store = verifying->store;
	const struct mf_cid *cid = &range->blocks[i].cid;
	const struct index_place *place = &range->places[i];

	if (range->results[i] == 0) {
		count_whole(verifying, range->object, place);
		if (place->state == INDEX_DAMAGED)
			store_believe(store, cid, place);
		return 0;
	}
	if (range->results[i] != -EBADMSG)
		return range->results[i];
	if (!is_there(store, cid, place))
		return 0;
	store_forget(store, cid, place);
	return verifying_report_remote(verifying, &range->remote, cid, place, -EBADMSG);
}

/* Reads those that were taken. */
static int read_range(struct range *range)
{
	struct object *object = range->object;
	size_t count = range->count;
	uint64_t from = range->places[0].offset;

	range->count = 0;
	if (count == 0)
		return 0;
	int rc = tier_read(range->tiers->verifying->store, &range->remote, from, range->bytes,
		(size_t)(range->end - from));
	for (size_t i = 0; i < count; i++)
		range->blocks[i].data = range->bytes + (range->places[i].offset - from);
	if (rc == 0)
		rc = store_gate_check_big(range->blocks, count, range->results);
	if (rc < 0)
		return rc;
	object->read = range->end + 1;
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = judge(range, i);
	return rc < 0
		? rc
		: advance(range->tiers, object, range->remote.size - range->remote.to + range->end);
}

/* One that fits into no range, or lies where no block can be. */
static int read_alone(
	struct range *range, const struct mf_cid *cid, const struct index_place *place)
{
	struct verifying *verifying = range->tiers->verifying;
	int rc = verifying_read_remote(verifying, &range->remote, cid, place);

	if (rc > 0)
		count_whole(verifying, range->object, place);
	if (rc >= 0)
		range->object->read = place->offset + place->len + 1;
	return rc < 0 ? rc : 0;
}

static bool fits(const struct range *range, const struct index_place *place)
{
	return range->count == 0 ||
		(range->count < RANGE_BLOCKS && place->offset >= range->end &&
			place->offset - range->end <= GAP_MAX &&
			place->offset + place->len - range->places[0].offset <= RANGE_MAX);
}

static int take(struct range *range, const struct mf_cid *cid, const struct index_place *place)
{
	bool alone = place->len > RANGE_MAX || place->offset + place->len > range->remote.to;
	int rc = alone || !fits(range, place) ? read_range(range) : 0;

	if (rc != 0 || alone)
		return rc != 0 ? rc : read_alone(range, cid, place);
	range->blocks[range->count] = (struct store_block){ .cid = *cid, .len = place->len };
	range->places[range->count++] = *place;
	range->end = place->offset + place->len;
	return 0;
}

/* All that the index has in the object, damaged or not. */
static int read_blocks(struct range *range, const struct tier_index *index)
{
	struct store *store = range->tiers->verifying->store;
	struct index_place place;
	struct mf_cid cid;
	int rc = 0;

	for (size_t i = 0; i < index->count && rc == 0; i++) {
		rc = (i + 1) % ENTRIES_A_TURN == 0 ? anyio_checkpoint() : 0;
		if (rc < 0)
			break;
		tier_index_cid(&index->entries[i], &cid);
		rc = index_find(&store->index, &cid, &place);
		if (rc < 0)
			break;
		rc = place.state == INDEX_GONE || place.segment != range->remote.number
			? 0
			: take(range, &cid, &place);
	}
	return rc == 0 ? read_range(range) : rc;
}

static int read_object(struct range *range)
{
	struct tiers *tiers = range->tiers;
	struct object *object = range->object;
	struct tier_index index;
	int rc = tier_index_read(tiers->verifying->store, &range->remote, &index);

	object->lost_index = rc == -EBADMSG;
	if (rc == 0)
		rc = advance(tiers, object, range->remote.size - range->remote.to);
	if (rc == 0)
		rc = read_blocks(range, &index);
	tier_index_free(&index);
	struct refusal *refusal = find_refusal(tiers, range->remote.tier);
	if (rc == 0)
		object->read = UINT64_MAX;
	if (rc == 0 && refusal)
		refusal->in_row = 0;
	if (rc == -EREMOTEIO && !note_refusal(tiers, object, &range->remote))
		return -ENOMEM;
	return rc == -EBADMSG || rc == -EREMOTEIO ? 0 : rc;
}

static int read_objects(struct tiers *tiers)
{
	struct segment_set *segments = &tiers->verifying->store->segments;
	struct range *range = anyio_calloc(1, sizeof(*range));
	uint8_t *bytes = anyio_malloc(RANGE_MAX);
	int rc = range && bytes ? 0 : -ENOMEM;

	if (rc == 0) {
		range->tiers = tiers;
		range->bytes = bytes;
	}
	for (size_t i = 0; i < tiers->count && rc == 0; i++) {
		struct object *object = &tiers->objects[i];
		const struct segment_remote *remote =
			segment_set_find_remote(segments, object->number);

		if (remote && !remote->unwanted && !is_refused(tiers, object, remote)) {
			range->object = object;
			range->remote = *remote;
			range->count = 0;
			rc = read_object(range);
		}
		if (object->read < UINT64_MAX)
			tiers->rest = true;
		else if (rc == 0)
			rc = advance(tiers, object, object->size);
	}
	anyio_free(range);
	anyio_free(bytes);
	return rc;
}

/* ---- the rest, by the index of the repo ---- */

static int by_number(const void *a, const void *b)
{
	const struct object *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static struct object *find_object(const struct tiers *tiers, uint32_t number)
{
	const struct object key = { .number = number };

	return bsearch(&key, tiers->objects, tiers->count, sizeof(key), by_number);
}

static int look_at(void *arg, const struct mf_cid *cid, const struct index_place *place)
{
	struct tiers *tiers = arg;
	struct verifying *verifying = tiers->verifying;
	const struct segment_remote *known =
		segment_set_find_remote(&verifying->store->segments, place->segment);
	struct object *object = known ? find_object(tiers, place->segment) : NULL;

	if (!object || known->unwanted || place->offset < object->read)
		return 0;
	struct segment_remote remote = *known;
	int rc = advance(tiers, object,
		object->done + place->len < object->size ? object->done + place->len
							 : object->size);
	if (rc != 0)
		return rc;
	struct refusal *refusal = find_refusal(tiers, remote.tier);
	if (!is_refused(tiers, object, &remote)) {
		rc = verifying_read_remote(verifying, &remote, cid, place);
		if (rc > 0)
			count_whole(verifying, object, place);
		if (rc != -EREMOTEIO)
			return rc < 0 ? rc : 0;
		refusal = note_refusal(tiers, object, &remote);
		if (!refusal)
			return -ENOMEM;
	}
	if (place->state == INDEX_DAMAGED)
		return verifying_report_remote(verifying, &remote, cid, place, -EREMOTEIO);
	refusal->blocks++;
	return 0;
}

static int read_rest(struct tiers *tiers)
{
	int rc = verifying_each_block(tiers->verifying, look_at, tiers);

	for (size_t i = 0; i < tiers->count && rc == 0; i++)
		rc = advance(tiers, &tiers->objects[i], tiers->objects[i].size);
	return rc;
}

/* ---- all ---- */

static void report_refusals(const struct tiers *tiers)
{
	for (size_t i = 0; i < tiers->refusal_count; i++) {
		const struct refusal *refusal = &tiers->refusals[i];

		if (refusal->blocks)
			verifying_report(tiers->verifying,
				&(struct store_fault){ .kind = STORE_FAULT_UNREAD,
					.segment = refusal->number,
					.blocks = refusal->blocks,
					.tier = refusal->tier,
					.object = refusal->object,
					.error = -EREMOTEIO });
	}
}

/* Where no block is left, it goes without saying. */
static void report_lost_indexes(const struct tiers *tiers)
{
	const struct segment_set *segments = &tiers->verifying->store->segments;

	for (size_t i = 0; i < tiers->count; i++) {
		const struct object *object = &tiers->objects[i];
		const struct segment_remote *remote =
			segment_set_find_remote(segments, object->number);
		char name[SEGMENT_REMOTE_OBJECT_MAX];

		if (!object->lost_index || !object->whole || !remote || remote->unwanted)
			continue;
		segment_remote_object(remote, name);
		verifying_report(tiers->verifying,
			&(struct store_fault){ .kind = STORE_FAULT_TIER,
				.segment = remote->number,
				.from = remote->to,
				.to = remote->size,
				.tier = remote->tier,
				.object = name,
				.error = -EBADMSG });
	}
}

/* Those that are there now. */
static int list_objects(struct tiers *tiers)
{
	struct verifying *verifying = tiers->verifying;
	const struct segment_set *segments = &verifying->store->segments;

	verifying->total = verifying->done;
	tiers->objects = anyio_calloc(segments->remote_count + 1, sizeof(*tiers->objects));
	if (!tiers->objects)
		return -ENOMEM;
	for (size_t i = 0; i < segments->remote_count; i++) {
		const struct segment_remote *remote = segments->remote[i];

		if (remote->unwanted)
			continue;
		tiers->objects[tiers->count++] =
			(struct object){ .number = remote->number, .size = remote->size };
		verifying->total += remote->size;
	}
	return 0;
}

int verifying_tiers(struct verifying *verifying)
{
	struct tiers tiers = { .verifying = verifying };
	struct store *store = verifying->store;
	int rc = list_objects(&tiers);

	if (rc == 0)
		rc = read_objects(&tiers);
	if (rc == 0 && tiers.rest)
		rc = read_rest(&tiers);
	if (rc == 0) {
		report_refusals(&tiers);
		report_lost_indexes(&tiers);
	}
	if (rc == 0 && verifying->options->accept_loss && !store->broken)
		rc = store_checkpoint(store);
	anyio_free(tiers.objects);
	anyio_free(tiers.refusals);
	return rc;
}

uint64_t verifying_tiers_size(const struct store *store)
{
	const struct segment_set *segments = &store->segments;
	uint64_t size = 0;

	for (size_t i = 0; i < segments->remote_count; i++)
		if (!segments->remote[i]->unwanted)
			size += segments->remote[i]->size;
	return size;
}
