/*
 * Timeouts while many are pending: those of scopes, one within the other, all of one task. What is
 * measured is the clock's structure, whoever waits.
 */
#include <errno.h>
#include "runtime.h"

enum { SET = 2000000, MOVED = 1000000, MILLION = 1000000 };

struct pending {
	size_t count;
	struct anyio_cancel_scope *scopes;
};

static anyio_time within(anyio_time most)
{
	return (anyio_time)(draw() % (uint64_t)most);
}

static int pending_make(struct pending *pending, anyio_time least, anyio_time most)
{
	pending->count = (size_t)argument(0);
	pending->scopes = anyio_calloc(pending->count, sizeof(*pending->scopes));
	if (!pending->scopes)
		return -ENOMEM;
	for (size_t i = 0; i < pending->count; i++) {
		anyio_cancel_scope_init(&pending->scopes[i]);
		anyio_cancel_scope_set_timeout(&pending->scopes[i], least + within(most - least));
		anyio_cancel_scope_enter(&pending->scopes[i]);
	}
	return 0;
}

static int pending_end(struct pending *pending, int rc)
{
	for (size_t i = pending->count; i-- > 0;)
		rc = anyio_cancel_scope_exit(&pending->scopes[i], rc);
	anyio_free(pending->scopes);
	return rc;
}

int timers(void *arg)
{
	struct pending pending;
	int rc = pending_make(&pending, ANYIO_SECOND, 60 * ANYIO_SECOND);
	double began = used();

	for (int i = 0; i < SET && rc == 0; i++) {
		struct anyio_cancel_scope scope;
		anyio_cancel_scope_init(&scope);
		anyio_cancel_scope_set_timeout(&scope, within(60 * ANYIO_SECOND));
		anyio_cancel_scope_enter(&scope);
		rc = anyio_cancel_scope_exit(&scope, rc);
	}
	printf("%.2f\n", (used() - began) / SET);
	return pending_end(&pending, rc);
}

int timers_moved(void *arg)
{
	struct pending pending;
	int rc = pending_make(&pending, 10 * ANYIO_SECOND, 60 * ANYIO_SECOND);
	double began = used();

	for (int i = 0; i < MOVED && rc == 0; i++)
		anyio_cancel_scope_set_timeout(&pending.scopes[draw() % pending.count],
			10 * ANYIO_SECOND + within(50 * ANYIO_SECOND));
	printf("%.2f\n", (used() - began) / MOVED);
	return pending_end(&pending, rc);
}

/* Tasks that sleep until some time of the second after the next, all set before it. */
struct sleepers {
	struct anyio_event begin;
	anyio_time from;
};

static int sleep_once(void *arg)
{
	struct sleepers *sleepers = arg;
	int rc = anyio_event_wait(&sleepers->begin);

	return rc < 0 ? rc : anyio_sleep_until(sleepers->from + within(ANYIO_SECOND));
}

/* The longest time between two turns of a task that sleeps a millisecond each. */
static double longest_turn(void)
{
	double longest = 0, last = used();

	while (anyio_task_count() > 1) {
		anyio_sleep(ANYIO_MILLISECOND);
		double here = used();
		longest = here - last > longest ? here - last : longest;
		last = here;
	}
	return longest;
}

int timers_fired(void *arg)
{
	long count = (long)argument(0);
	struct sleepers sleepers;

	anyio_event_init(&sleepers.begin);
	ANYIO_TASK_GROUP(group);
	for (long i = 0; i < count; i++)
		anyio_start_soon(&group, sleep_once, &sleepers, "sleeper");
	anyio_checkpoint();
	sleepers.from = anyio_now() + (3 * count / MILLION + 1) * ANYIO_SECOND;
	anyio_event_set(&sleepers.begin);
	anyio_checkpoint();
	printf("%.2f\n", longest_turn() / 1e6);
	return anyio_task_group_exit(&group, 0);
}
