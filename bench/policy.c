/*
 * What a cache of the same bytes would have held: the store's ARC (store/arc.c itself) beside LRU, LFU
 * and Belady's choice, on traces made from a fixed seed. Prints hit rates in percent of the requests;
 * nothing is timed.
 *
 * An object costs all of them its bytes and ARC_COST. LFU counts uses while an object is held, and of
 * equals drops the one not used for longest. Belady's drops what is asked for last, or does not take it
 * at all: no policy does better where objects are of one size; where they are not it is no bound.
 */
#include "../store/arc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OBJECTS = 100000,
	REQUESTS = 500000,
	LOOP = 10000,
	BURST = 10000,
	SMALL = 1 << 10,
	LARGE = 256 << 10
};
enum { ABSENT = UINT32_MAX };

static void *made(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory) {
		perror("memory");
		exit(1);
	}
	return memory;
}

/* ---- Traces ---- */

struct trace {
	const char *name;
	uint32_t *requests;
	uint32_t objects; /* whose numbers are below this */
	bool two_sizes;   /* every second object is small; else all are large */
};

static uint64_t random_state;

static double next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (double)(random_state >> 11) / (double)(1ull << 53);
}

/* sums[i] is how likely a number up to i is, by Zipf's law with this exponent. */
static double *zipf_sums(double exponent)
{
	double *sums = made(OBJECTS, sizeof(*sums)), sum = 0;

	for (size_t i = 0; i < OBJECTS; i++)
		sums[i] = sum += pow((double)i + 1, -exponent);
	for (size_t i = 0; i < OBJECTS; i++)
		sums[i] /= sum;
	return sums;
}

static uint32_t zipf_next(const double *sums)
{
	double wanted = next_random();
	size_t low = 0, high = OBJECTS - 1;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (sums[middle] < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return (uint32_t)low;
}

static struct trace new_trace(const char *name)
{
	random_state = 88172645463325252u;
	return (struct trace){ name, made(REQUESTS, sizeof(uint32_t)), OBJECTS, false };
}

static struct trace zipf(const char *name, double exponent)
{
	struct trace trace = new_trace(name);
	double *sums = zipf_sums(exponent);

	for (size_t i = 0; i < REQUESTS; i++)
		trace.requests[i] = zipf_next(sums);
	free(sums);
	return trace;
}

static struct trace zipf_of_two_sizes(const char *name, double exponent)
{
	struct trace trace = zipf(name, exponent);

	trace.two_sizes = true;
	return trace;
}

/* Over and over the same, or never the same again. */
static struct trace cycle(const char *name, uint32_t objects)
{
	struct trace trace = new_trace(name);

	for (size_t i = 0; i < REQUESTS; i++)
		trace.requests[i] = (uint32_t)i % objects;
	trace.objects = objects;
	return trace;
}

/* By turns a burst by Zipf's law and a burst of what nobody asks for again. */
static struct trace zipf_and_scan(const char *name, double exponent)
{
	struct trace trace = new_trace(name);
	double *sums = zipf_sums(exponent);

	for (size_t i = 0; i < REQUESTS; i++)
		trace.requests[i] = i / BURST % 2 ? OBJECTS + (uint32_t)i : zipf_next(sums);
	trace.objects = OBJECTS + REQUESTS;
	free(sums);
	return trace;
}

static uint32_t size_of(const struct trace *trace, uint32_t object)
{
	return trace->two_sizes && object % 2 ? SMALL : LARGE;
}

static uint64_t cost_of(const struct trace *trace, uint32_t object)
{
	return (uint64_t)size_of(trace, object) + ARC_COST;
}

/* ---- ARC ---- */

static void drop_nothing(void *value)
{
}

static size_t arc_hits(const struct trace *trace, uint64_t capacity)
{
	static int value;
	struct arc arc;
	size_t hits = 0;

	arc_init(&arc, capacity, drop_nothing);
	for (size_t i = 0; i < REQUESTS; i++) {
		uint32_t object = trace->requests[i];
		const uint8_t *key = (const uint8_t *)&object;

		if (arc_get(&arc, key, sizeof(object)))
			hits++;
		else
			arc_put(&arc, key, sizeof(object), &value, size_of(trace, object));
	}
	arc_free(&arc);
	return hits;
}

/* ---- The others: each drops the object of the lowest rank, which a heap finds ---- */

enum policy { LRU, LFU, BELADY };

struct cache {
	uint64_t used;
	uint32_t *heap; /* objects that are held, the lowest rank first */
	uint32_t count;
	uint32_t *places; /* in the heap by object, or ABSENT */
	uint64_t *ranks;  /* by object */
	uint32_t *uses;   /* by object, while it is held */
};

static void set(struct cache *cache, uint32_t place, uint32_t object)
{
	cache->heap[place] = object;
	cache->places[object] = place;
}

/* An object whose rank changed, or that stands at the end, goes where it belongs. */
static void settle(struct cache *cache, uint32_t object)
{
	uint32_t place = cache->places[object];
	uint64_t rank = cache->ranks[object];

	for (; place > 0; place = (place - 1) / 2) {
		uint32_t above = cache->heap[(place - 1) / 2];
		if (cache->ranks[above] <= rank)
			break;
		set(cache, place, above);
	}
	for (;;) {
		uint32_t below = 2 * place + 1;
		if (below + 1 < cache->count &&
			cache->ranks[cache->heap[below + 1]] < cache->ranks[cache->heap[below]])
			below++;
		if (below >= cache->count || cache->ranks[cache->heap[below]] >= rank)
			break;
		set(cache, place, cache->heap[below]);
		place = below;
	}
	set(cache, place, object);
}

static void insert(struct cache *cache, const struct trace *trace, uint32_t object)
{
	set(cache, cache->count++, object);
	settle(cache, object);
	cache->used += cost_of(trace, object);
}

static void drop_lowest(struct cache *cache, const struct trace *trace)
{
	uint32_t object = cache->heap[0], last = cache->heap[--cache->count];

	cache->places[object] = ABSENT;
	cache->uses[object] = 0;
	cache->used -= cost_of(trace, object);
	if (cache->count > 0) {
		set(cache, 0, last);
		settle(cache, last);
	}
}

/* For each request when the same object is asked for again; REQUESTS: never. */
static uint32_t *next_uses(const struct trace *trace)
{
	uint32_t *next = made(REQUESTS, sizeof(*next));
	uint32_t *later = made(trace->objects, sizeof(*later));

	for (size_t i = 0; i < trace->objects; i++)
		later[i] = REQUESTS;
	for (size_t i = REQUESTS; i-- > 0;) {
		next[i] = later[trace->requests[i]];
		later[trace->requests[i]] = (uint32_t)i;
	}
	free(later);
	return next;
}

static uint64_t rank_of(enum policy policy, uint32_t uses, size_t time, uint32_t next)
{
	return policy == LRU ? time : policy == LFU ? (uint64_t)uses << 32 | time : REQUESTS - next;
}

/* Makes room, but for Belady's choice not by what is asked for sooner. */
static bool makes_room(struct cache *cache, const struct trace *trace, enum policy policy,
	uint32_t object, uint64_t capacity)
{
	while (cache->count > 0 && cache->used + cost_of(trace, object) > capacity) {
		if (policy == BELADY && cache->ranks[cache->heap[0]] >= cache->ranks[object])
			return false;
		drop_lowest(cache, trace);
	}
	return true;
}

static size_t hits_of(enum policy policy, const struct trace *trace, uint64_t capacity)
{
	struct cache cache = { .heap = made(trace->objects, sizeof(uint32_t)),
		.places = made(trace->objects, sizeof(uint32_t)),
		.ranks = made(trace->objects, sizeof(uint64_t)),
		.uses = made(trace->objects, sizeof(uint32_t)) };
	uint32_t *next = next_uses(trace);
	size_t hits = 0;

	memset(cache.places, 0xff, trace->objects * sizeof(uint32_t));
	for (size_t i = 0; i < REQUESTS; i++) {
		uint32_t object = trace->requests[i];
		bool hit = cache.places[object] != ABSENT;

		cache.uses[object]++;
		cache.ranks[object] = rank_of(policy, cache.uses[object], i, next[i]);
		if (hit)
			settle(&cache, object);
		else if (makes_room(&cache, trace, policy, object, capacity))
			insert(&cache, trace, object);
		hits += hit;
	}
	free(next);
	free(cache.heap);
	free(cache.places);
	free(cache.ranks);
	free(cache.uses);
	return hits;
}

static double percent(size_t hits)
{
	return 100.0 * (double)hits / REQUESTS;
}

/* Capacities in percent of the bytes of OBJECTS objects. */
static void compare(struct trace trace)
{
	static const unsigned capacities[] = { 1, 5, 20 };
	uint64_t all = 0;

	for (uint32_t i = 0; i < OBJECTS; i++)
		all += cost_of(&trace, i);
	for (size_t i = 0; i < sizeof(capacities) / sizeof(*capacities); i++) {
		uint64_t capacity = all / 100 * capacities[i];

		printf("%-28s %5u%% %6.2f %6.2f %6.2f %6.2f\n", trace.name, capacities[i],
			percent(arc_hits(&trace, capacity)),
			percent(hits_of(LRU, &trace, capacity)),
			percent(hits_of(LFU, &trace, capacity)),
			percent(hits_of(BELADY, &trace, capacity)));
	}
	free(trace.requests);
}

int main(void)
{
	printf("%-28s %6s %6s %6s %6s %6s\n", "trace", "cache", "ARC", "LRU", "LFU", "Belady");
	compare(zipf("Zipf 0.7", 0.7));
	compare(zipf("Zipf 0.9", 0.9));
	compare(zipf("Zipf 1.1", 1.1));
	compare(zipf_of_two_sizes("Zipf 0.9 of 1 and 256 KiB", 0.9));
	compare(cycle("scan", REQUESTS));
	compare(cycle("loop of 10%", LOOP));
	compare(zipf_and_scan("Zipf 0.9 and scan by turns", 0.9));
	return 0;
}
