/*
 * Timeouts while many are pending: those of scopes, one within the other, all of one task. What is
 * measured is the clock's structure, whoever waits.
 */
#include <errno.h>
#include "runtime.h"

enum { SET = 2000000, MOVED = 1000000 };

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
	double began = now();

	for (int i = 0; i < SET && rc == 0; i++) {
		struct anyio_cancel_scope scope;
		anyio_cancel_scope_init(&scope);
		anyio_cancel_scope_set_timeout(&scope, within(60 * ANYIO_SECOND));
		anyio_cancel_scope_enter(&scope);
		rc = anyio_cancel_scope_exit(&scope, rc);
	}
	printf("%.2f\n", (now() - began) / SET);
	return pending_end(&pending, rc);
}

int timers_moved(void *arg)
{
	struct pending pending;
	int rc = pending_make(&pending, 10 * ANYIO_SECOND, 60 * ANYIO_SECOND);
	double began = now();

	for (int i = 0; i < MOVED && rc == 0; i++)
		anyio_cancel_scope_set_timeout(&pending.scopes[draw() % pending.count],
			10 * ANYIO_SECOND + within(50 * ANYIO_SECOND));
	printf("%.2f\n", (now() - began) / MOVED);
	return pending_end(&pending, rc);
}

static int sleep_once(void *arg)
{
	return anyio_sleep_until(*(anyio_time *)arg);
}

/* The longest time between two turns of the root task, and how long it took in all. */
int timers_fired(void *arg)
{
	size_t count = (size_t)argument(0);
	anyio_time *deadlines = anyio_calloc(count, sizeof(*deadlines));
	double longest = 0, began = now(), last;

	if (!deadlines)
		return -ENOMEM;
	ANYIO_TASK_GROUP(group);
	for (size_t i = 0; i < count; i++) {
		deadlines[i] = anyio_now() + 4 * ANYIO_SECOND + within(ANYIO_SECOND);
		anyio_start_soon(&group, sleep_once, &deadlines[i], "sleeper");
	}
	anyio_checkpoint();
	last = now();
	while (anyio_task_count() > 1) {
		anyio_sleep(ANYIO_MILLISECOND);
		double here = now();
		longest = here - last > longest ? here - last : longest;
		last = here;
	}
	printf("%.2f %.0f\n", longest / 1e6, (last - began) / 1e6);
	int rc = anyio_task_group_exit(&group, 0);
	anyio_free(deadlines);
	return rc;
}
