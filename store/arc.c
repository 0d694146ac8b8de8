#include "arc.h"

#include <string.h>
#include <anyio/memory.h>
#include <sodium.h>

enum { BUCKETS_FIRST = 64, LARGEST = 8, MEMORIES = 4 /* parts of the capacity */ };

struct arc_entry {
	struct arc_entry *next; /* of its bucket */
	struct arc_entry *newer, *older;
	void *value; /* NULL: a memory */
	uint32_t size;
	uint8_t list;
	uint8_t key_len;
	uint8_t key[];
};

void arc_init(struct arc *arc, uint64_t capacity, void (*drop)(void *value))
{
	*arc = (struct arc){ .capacity = capacity, .drop = drop };
	randombytes_buf(arc->seed, sizeof(arc->seed));
}

void arc_free(struct arc *arc)
{
	for (size_t i = 0; i < arc->bucket_count; i++)
		for (struct arc_entry *entry = arc->buckets[i], *next; entry; entry = next) {
			next = entry->next;
			if (entry->value)
				arc->drop(entry->value);
			anyio_free(entry);
		}
	anyio_free(arc->buckets);
	arc_init(arc, arc->capacity, arc->drop);
}

/* ---- Keys ---- */

static struct arc_entry **bucket_of(const struct arc *arc, const uint8_t *key, size_t len)
{
	uint64_t hash;

	crypto_shorthash((uint8_t *)&hash, key, len, arc->seed);
	return &arc->buckets[hash & (arc->bucket_count - 1)];
}

/* The link that leads to the key's entry, or to nothing. */
static struct arc_entry **find(const struct arc *arc, const uint8_t *key, size_t len)
{
	struct arc_entry **at = bucket_of(arc, key, len);

	while (*at && ((*at)->key_len != len || memcmp((*at)->key, key, len) != 0))
		at = &(*at)->next;
	return at;
}

/* As many buckets as entries, or where memory is short longer chains. */
static void grow(struct arc *arc)
{
	size_t entries = 0, count = arc->bucket_count ? arc->bucket_count * 2 : BUCKETS_FIRST;

	for (int i = 0; i < ARC_LISTS; i++)
		entries += arc->lists[i].count;
	if (entries < arc->bucket_count)
		return;
	struct arc_entry **old = arc->buckets, **buckets = anyio_calloc(count, sizeof(*buckets));
	size_t old_count = arc->bucket_count;
	if (!buckets)
		return;
	arc->buckets = buckets;
	arc->bucket_count = count;
	for (size_t i = 0; i < old_count; i++)
		for (struct arc_entry *entry = old[i], *next; entry; entry = next) {
			struct arc_entry **at = bucket_of(arc, entry->key, entry->key_len);

			next = entry->next;
			entry->next = *at;
			*at = entry;
		}
	anyio_free(old);
}

/* ---- Lists ---- */

static void take_out(struct arc *arc, struct arc_entry *entry)
{
	if (entry->newer)
		entry->newer->older = entry->older;
	else
		arc->lists[entry->list].newest = entry->older;
	if (entry->older)
		entry->older->newer = entry->newer;
	else
		arc->lists[entry->list].oldest = entry->newer;
	arc->lists[entry->list].bytes -= entry->size;
	arc->lists[entry->list].count--;
}

static void put_in(struct arc *arc, struct arc_entry *entry, enum arc_list list)
{
	struct arc_entry *newest = arc->lists[list].newest;

	entry->list = list;
	entry->newer = NULL;
	entry->older = newest;
	if (newest)
		newest->newer = entry;
	else
		arc->lists[list].oldest = entry;
	arc->lists[list].newest = entry;
	arc->lists[list].bytes += entry->size;
	arc->lists[list].count++;
}

static void move(struct arc *arc, struct arc_entry *entry, enum arc_list list)
{
	take_out(arc, entry);
	put_in(arc, entry, list);
}

static void forget(struct arc *arc, struct arc_entry *entry)
{
	take_out(arc, entry);
	*find(arc, entry->key, entry->key_len) = entry->next;
	if (entry->value)
		arc->drop(entry->value);
	anyio_free(entry);
}

/* What a list takes or, of a list of memories, stands for. */
static uint64_t weight(const struct arc *arc, enum arc_list list)
{
	return arc->lists[list].bytes + arc->lists[list].count * ARC_COST;
}

uint64_t arc_bytes(const struct arc *arc)
{
	return weight(arc, ARC_T1) + weight(arc, ARC_T2);
}

/* ---- The policy ---- */

/* Drops a block's bytes and remembers it. (REPLACE; in_b2: for one that B2 remembers) */
static void replace(struct arc *arc, bool in_b2)
{
	uint64_t t1 = weight(arc, ARC_T1);
	bool from_t1 =
		t1 > arc->target || (in_b2 && t1 == arc->target) || arc->lists[ARC_T2].count == 0;
	struct arc_entry *entry = arc->lists[from_t1 && t1 > 0 ? ARC_T1 : ARC_T2].oldest;

	arc->drop(entry->value);
	entry->value = NULL;
	move(arc, entry, entry->list == ARC_T1 ? ARC_B1 : ARC_B2);
}

/* Room for size bytes among the blocks. */
static void make_room(struct arc *arc, uint64_t size, bool in_b2)
{
	while (arc_bytes(arc) > 0 && arc_bytes(arc) + size > arc->capacity)
		replace(arc, in_b2);
}

static bool remembers_too_much(const struct arc *arc, uint64_t size)
{
	size_t count = arc->lists[ARC_B1].count + arc->lists[ARC_B2].count;

	return arc_bytes(arc) + weight(arc, ARC_B1) + weight(arc, ARC_B2) + size >
		2 * arc->capacity ||
		count * ARC_COST > arc->capacity / MEMORIES;
}

/* For size bytes that come to T1: that and what it had stay within the capacity, and all within twice as
 * much. */
static void forget_some(struct arc *arc, uint64_t size)
{
	while (arc->lists[ARC_B1].count &&
		weight(arc, ARC_T1) + weight(arc, ARC_B1) + size > arc->capacity)
		forget(arc, arc->lists[ARC_B1].oldest);
	while (arc->lists[ARC_B2].count && remembers_too_much(arc, size))
		forget(arc, arc->lists[ARC_B2].oldest);
	while (arc->lists[ARC_B1].count && remembers_too_much(arc, size))
		forget(arc, arc->lists[ARC_B1].oldest);
}

/* By how much a memory's hit moves the target. */
static uint64_t step(const struct arc *arc, enum arc_list hit, enum arc_list other, uint64_t size)
{
	uint64_t here = weight(arc, hit), there = weight(arc, other);

	return there > here ? size * (there / here) : size;
}

static void learn(struct arc *arc, const struct arc_entry *entry)
{
	uint64_t size = entry->size + ARC_COST;

	if (entry->list == ARC_B1) {
		arc->target += step(arc, ARC_B1, ARC_B2, size);
		if (arc->target > arc->capacity)
			arc->target = arc->capacity;
	} else {
		uint64_t less = step(arc, ARC_B2, ARC_B1, size);

		arc->target -= less < arc->target ? less : arc->target;
	}
}

void arc_resize(struct arc *arc, uint64_t capacity)
{
	arc->capacity = capacity;
	arc->target = arc->target < capacity ? arc->target : capacity;
	make_room(arc, 0, false);
	forget_some(arc, 0);
}

void *arc_get(struct arc *arc, const uint8_t *key, size_t len)
{
	struct arc_entry *entry = arc->bucket_count ? *find(arc, key, len) : NULL;

	if (!entry || !entry->value) {
		arc->misses++;
		return NULL;
	}
	arc->hits++;
	move(arc, entry, ARC_T2);
	return entry->value;
}

/* One that is remembered comes back; what is made room for does not take the entry away. */
static void put_back(struct arc *arc, struct arc_entry *entry, void *value, uint32_t size)
{
	bool in_b2 = entry->list == ARC_B2;

	learn(arc, entry);
	take_out(arc, entry);
	make_room(arc, (uint64_t)size + ARC_COST, in_b2);
	entry->value = value;
	entry->size = size;
	put_in(arc, entry, ARC_T2);
}

bool arc_put(struct arc *arc, const uint8_t *key, size_t len, void *value, uint32_t size)
{
	uint64_t cost = (uint64_t)size + ARC_COST;

	if (cost > arc->capacity / LARGEST || len > UINT8_MAX)
		return false;
	grow(arc);
	if (!arc->bucket_count)
		return false;
	struct arc_entry *entry = *find(arc, key, len);
	if (entry && entry->value)
		return false;
	if (entry) {
		put_back(arc, entry, value, size);
		return true;
	}
	entry = anyio_malloc(sizeof(*entry) + len);
	if (!entry)
		return false;
	make_room(arc, cost, false);
	forget_some(arc, cost);
	*entry = (struct arc_entry){ .value = value, .size = size, .key_len = (uint8_t)len };
	memcpy(entry->key, key, len);
	struct arc_entry **at = bucket_of(arc, key, len);
	entry->next = *at;
	*at = entry;
	put_in(arc, entry, ARC_T1);
	return true;
}

void arc_remove(struct arc *arc, const uint8_t *key, size_t len)
{
	struct arc_entry *entry = arc->bucket_count ? *find(arc, key, len) : NULL;

	if (entry)
		forget(arc, entry);
}
