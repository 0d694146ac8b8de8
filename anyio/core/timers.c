/*
 * Timers: a pairing heap of those that are near, a wheel of those that are far. They lie inside the
 * storage of who sets them, so setting one never fails; equal times fire in the order they were set.
 *
 * Time is counted in grains of a millisecond. The horizon is the grain of now: timers up to it are
 * in the heap, which alone knows an order; later ones are in a bucket of the wheel. Level and
 * bucket are the highest byte in which a timer's grain differs from the horizon, and that byte. So
 * the horizon may move on freely as long as it enters no bucket; one that it enters is dealt out
 * anew, to lower levels and to the heap. Setting and cancelling take the same short time with a
 * million others pending, and no turn has to order more of them than a bucket holds.
 */
#include "loop.h"

enum {
	GRAIN_SHIFT = 20, /* of nanoseconds */
	SCAN_MOST = 16,   /* timers looked at to know when the first of them ends */
};

static bool before(const struct timer *a, const struct timer *b)
{
	return a->when != b->when ? a->when < b->when : a->order < b->order;
}

/* Both are roots or NULL. prev of a first child is its parent, of others the elder sibling. */
static struct timer *meld(struct timer *a, struct timer *b)
{
	if (!a || !b)
		return a ? a : b;
	if (before(b, a)) {
		struct timer *swap = a;
		a = b;
		b = swap;
	}
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	b->prev = a;
	a->child = b;
	return a;
}

/* Makes one heap of a list of siblings: pairs from the left, then melds from the right. */
static struct timer *meld_siblings(struct timer *list)
{
	struct timer *pairs = NULL;
	while (list) {
		struct timer *a = list, *b = a->next;
		list = b ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	struct timer *root = NULL;
	while (pairs) {
		struct timer *pair = pairs;
		pairs = pair->next;
		pair->next = NULL;
		root = meld(root, pair);
	}
	return root;
}

static void heap_remove(struct clock *clock, struct timer *timer)
{
	struct timer *below = meld_siblings(timer->child);
	timer->child = NULL;
	if (timer == clock->root) {
		clock->root = below;
		return;
	}
	if (timer->prev->child == timer)
		timer->prev->child = timer->next;
	else
		timer->prev->next = timer->next;
	if (timer->next)
		timer->next->prev = timer->prev;
	clock->root = meld(clock->root, below);
}

/* What is before all time is near, too. */
static uint64_t grain(anyio_time when)
{
	return when < 0 ? 0 : (uint64_t)when >> GRAIN_SHIFT;
}

/* Its place in the wheel: the level's 256 buckets begin at level * 256. */
static unsigned bucket_of(const struct clock *clock, uint64_t at)
{
	unsigned level = (63 - (unsigned)__builtin_clzll(at ^ clock->horizon)) / 8;
	return level << 8 | (at >> 8 * level & 0xff);
}

static void mark(struct clock *clock, unsigned bucket, bool taken)
{
	uint64_t bit = UINT64_C(1) << bucket % 64, *word = &clock->taken[bucket / 64];
	*word = taken ? *word | bit : *word & ~bit;
}

static void wheel_add(struct clock *clock, struct timer *timer, uint64_t at)
{
	unsigned bucket = bucket_of(clock, at);
	struct timer **first = &clock->wheel[bucket];
	timer->prev = NULL;
	timer->next = *first;
	if (*first)
		(*first)->prev = timer;
	*first = timer;
	mark(clock, bucket, true);
	clock->far++;
}

static void wheel_remove(struct clock *clock, struct timer *timer, uint64_t at)
{
	if (timer->next)
		timer->next->prev = timer->prev;
	if (timer->prev) {
		timer->prev->next = timer->next;
	} else {
		unsigned bucket = bucket_of(clock, at);
		clock->wheel[bucket] = timer->next;
		if (!timer->next)
			mark(clock, bucket, false);
	}
	clock->far--;
}

static void place(struct clock *clock, struct timer *timer)
{
	uint64_t at = grain(timer->when);
	if (at > clock->horizon) {
		wheel_add(clock, timer, at);
	} else {
		timer->child = timer->next = timer->prev = NULL;
		clock->root = meld(clock->root, timer);
	}
}

void timer_unset(struct clock *clock, struct timer *timer)
{
	if (!timer->fire)
		return;
	timer->fire = NULL;
	uint64_t at = grain(timer->when);
	if (at > clock->horizon)
		wheel_remove(clock, timer, at);
	else
		heap_remove(clock, timer);
}

void timer_set(struct clock *clock, struct timer *timer, anyio_time when,
	void (*fire)(struct timer *timer))
{
	timer_unset(clock, timer);
	timer->when = when;
	timer->order = clock->order++;
	timer->fire = fire;
	place(clock, timer);
}

/* The earliest bucket, and its first grain; -1 when the wheel is empty. */
static int wheel_first(struct clock *clock, uint64_t *start)
{
	for (unsigned word = 0; clock->far > 0 && word < CLOCK_LEVELS * 4; word++)
		if (clock->taken[word]) {
			unsigned bucket = word * 64 + (unsigned)__builtin_ctzll(clock->taken[word]);
			unsigned level = bucket >> 8;
			uint64_t above = clock->horizon >> 8 * level >> 8;
			*start = (above << 8 | (bucket & 0xff)) << 8 * level;
			return (int)bucket;
		}
	return -1;
}

static void deal_out(struct clock *clock, unsigned bucket, uint64_t start)
{
	struct timer *at = clock->wheel[bucket], *next;
	clock->wheel[bucket] = NULL;
	mark(clock, bucket, false);
	clock->horizon = start;
	for (; at; at = next) {
		next = at->next;
		clock->far--;
		place(clock, at);
	}
}

void clock_set(struct clock *clock, anyio_time now)
{
	uint64_t to = grain(now), start;
	int bucket;
	clock->now = now;
	while (to > clock->horizon && (bucket = wheel_first(clock, &start)) >= 0 && start <= to)
		deal_out(clock, (unsigned)bucket, start);
	if (to > clock->horizon)
		clock->horizon = to;
}

void clock_fire(struct clock *clock)
{
	while (clock_due(clock)) {
		struct timer *timer = clock->root;
		void (*fire)(struct timer *) = timer->fire;
		timer_unset(clock, timer);
		fire(timer);
	}
}

anyio_time clock_next(struct clock *clock)
{
	uint64_t start;
	int bucket = clock->root ? -1 : wheel_first(clock, &start);
	if (bucket < 0)
		return clock->root ? clock->root->when : ANYIO_FOREVER;
	anyio_time first = ANYIO_FOREVER;
	unsigned scanned = 0;
	for (struct timer *at = clock->wheel[bucket]; at; at = at->next) {
		if (++scanned > SCAN_MOST)
			return (anyio_time)(start << GRAIN_SHIFT);
		first = at->when < first ? at->when : first;
	}
	return first;
}
