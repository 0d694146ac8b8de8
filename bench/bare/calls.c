/* What libuv does of the same: a call on a thread of its pool, and timers; and bare memory. */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>
#include "bare.h"

enum { CALLS = 20000 };

static int left = CALLS;
static double began;

static void nothing(uv_work_t *work)
{
}

static void call_ended(uv_work_t *work, int status)
{
	if (left-- == CALLS)
		began = now();
	if (left > 0)
		uv_queue_work(work->loop, work, nothing, call_ended);
}

int calls_uv(void)
{
	uv_work_t work;

	uv_queue_work(uv_default_loop(), &work, nothing, call_ended);
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	printf("%.1f\n", (now() - began) / (CALLS - 1));
	return 0;
}

static void never(uv_timer_t *timer)
{
}

/* Of some millions, as random as timers need. */
static uint64_t within(uint64_t most)
{
	return (uint64_t)mrand48() % most;
}

/* Setting and cancelling one timer while count are pending. */
int timers_uv(int count)
{
	enum { SET = 1000000, MINUTE = 60000 };
	uv_timer_t *timers = calloc((size_t)count + 1, sizeof(*timers)), *one = timers + count;

	if (!timers)
		die("timers");
	for (int i = 0; i <= count; i++)
		uv_timer_init(uv_default_loop(), &timers[i]);
	for (int i = 0; i < count; i++)
		uv_timer_start(&timers[i], never, 1000 + within(MINUTE - 1000), 0);
	began = used();
	for (int i = 0; i < SET; i++) {
		uv_timer_start(one, never, within(MINUTE), 0);
		uv_timer_stop(one);
	}
	printf("%.2f\n", (used() - began) / SET);
	return 0;
}

/* Going to one of count places of the size of a scope: what moving a random timeout cannot beat. */
int touch(int count)
{
	enum { TOUCHED = 4000000, SCOPE = 192 };
	char *places = calloc((size_t)count, SCOPE);
	size_t at = 0;

	if (!places)
		die("places");
	for (int i = 0; i < count; i++)
		places[(size_t)i * SCOPE] = 1;
	began = used();
	for (int i = 0; i < TOUCHED; i++)
		at = (at + (size_t)places[at * SCOPE]++ % 2 + within((uint64_t)count)) %
			(size_t)count;
	printf("%.2f\n", (used() - began) / TOUCHED);
	return 0;
}
