/*
 * Time. The loop's time is read once a poll, by a checkpoint while any timer is set, so that a
 * task that computes notices its deadline, and by whatever begins to count a time from now.
 */
#include <time.h>
#include "loop.h"

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

anyio_time clock_from_now(anyio_time duration)
{
	return clock_after(anyio_loop_here ? loop_look(anyio_loop_here) : clock_real(), duration);
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
	return anyio_sleep_until(clock_from_now(duration > 0 ? duration : 0));
}

int anyio_sleep_forever(void)
{
	return anyio_sleep_until(ANYIO_FOREVER);
}

anyio_time anyio_now(void)
{
	return anyio_loop_here ? anyio_loop_here->clock.now : clock_real();
}
