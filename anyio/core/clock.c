/*
 * Time. Timers lie in a pairing heap inside the storage of who sets them, so setting one never
 * fails; equal times fire in the order they were set. The loop's time is read once a poll, and
 * by a checkpoint while any timer is set, so that a task that computes notices its deadline.
 */
#include <time.h>
#include "loop.h"

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

void timer_unset(struct clock *clock, struct timer *timer)
{
	if (!timer->fire)
		return;
	timer->fire = NULL;
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
	timer->next = timer->prev = NULL;
	clock->root = meld(clock->root, below);
}

void timer_set(struct clock *clock, struct timer *timer, anyio_time when,
	void (*fire)(struct timer *timer))
{
	timer_unset(clock, timer);
	timer->when = when;
	timer->order = clock->order++;
	timer->fire = fire;
	timer->child = timer->next = timer->prev = NULL;
	clock->root = meld(clock->root, timer);
}

void clock_fire(struct clock *clock)
{
	while (clock->root && clock->root->when <= clock->now) {
		struct timer *timer = clock->root;
		void (*fire)(struct timer *) = timer->fire;
		timer_unset(clock, timer);
		fire(timer);
	}
}

anyio_time clock_real(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * ANYIO_SECOND + ts.tv_nsec;
}

anyio_time clock_after(anyio_time now, anyio_time duration)
{
	anyio_time when;
	if (duration == ANYIO_FOREVER || __builtin_add_overflow(now, duration, &when))
		return duration < 0 ? INT64_MIN : ANYIO_FOREVER;
	return when;
}

struct sleeper {
	struct timer timer;
	struct anyio_task *task;
	struct clock *clock;
};

static void sleep_over(struct timer *timer)
{
	anyio_wake(anyio_container(timer, struct sleeper, timer)->task, 0);
}

static enum anyio_abort sleep_abort(struct anyio_task *task, void *arg)
{
	struct sleeper *sleeper = arg;
	timer_unset(sleeper->clock, &sleeper->timer);
	return ANYIO_ABORTED;
}

int anyio_sleep_until(anyio_time deadline)
{
	struct anyio_task *task = anyio_current_task();
	if (!task)
		return ANYIO_NO_LOOP;
	struct clock *clock = &task->loop->clock;
	if (deadline <= clock->now)
		return anyio_checkpoint();
	struct sleeper sleeper = { .task = task, .clock = clock };
	if (deadline != ANYIO_FOREVER)
		timer_set(clock, &sleeper.timer, deadline, sleep_over);
	anyio_waits_for("sleep");
	task->waits_until = deadline;
	return (int)anyio_park(sleep_abort, &sleeper);
}

int anyio_sleep(anyio_time duration)
{
	return anyio_sleep_until(clock_after(anyio_now(), duration > 0 ? duration : 0));
}

int anyio_sleep_forever(void)
{
	return anyio_sleep_until(ANYIO_FOREVER);
}

anyio_time anyio_now(void)
{
	return anyio_loop_here ? anyio_loop_here->clock.now : clock_real();
}
