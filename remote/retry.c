#include "retry.h"

#include <errno.h>

/* A step of splitmix64: enough for spreading pauses. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static anyio_time twice(anyio_time pause, anyio_time most)
{
	return pause < most / 2 ? 2 * pause : most;
}

static anyio_time least(anyio_time a, anyio_time b)
{
	return a < b ? a : b;
}

anyio_time retry_next(struct retry *retry, anyio_time asked)
{
	anyio_time pause = least(retry->pause, RETRY_PAUSE_MOST), drawn;

	if (++retry->made >= retry->attempts)
		return ANYIO_FOREVER;
	drawn = (anyio_time)(draw(&retry->random) % (uint64_t)(pause + 1));
	retry->pause = twice(pause, RETRY_PAUSE_MOST);
	asked = least(asked, RETRY_PAUSE_MOST);
	return drawn > asked ? drawn : asked;
}

int breaker_enter(struct breaker *breaker, anyio_time now)
{
	if (breaker->state == BREAKER_CLOSED)
		return 0;
	if (breaker->state == BREAKER_HALF_OPEN || now < breaker->until)
		return -EHOSTDOWN;
	breaker->state = BREAKER_HALF_OPEN;
	return 1;
}

static void open_it(struct breaker *breaker, anyio_time now)
{
	anyio_time before = breaker->pause_now;

	breaker->pause_now = before ? twice(before, BREAKER_PAUSE_MOST)
				    : least(breaker->pause, BREAKER_PAUSE_MOST);
	breaker->until = now + breaker->pause_now;
	breaker->state = BREAKER_OPEN;
}

static void leave_probe(struct breaker *breaker, enum breaker_outcome outcome, anyio_time now)
{
	switch (outcome) {
	case BREAKER_ANSWERED:
		breaker->state = BREAKER_CLOSED;
		breaker->failures = 0;
		breaker->pause_now = 0;
		break;
	case BREAKER_FAILED: open_it(breaker, now); break;
	case BREAKER_UNKNOWN:
		breaker->state = BREAKER_OPEN;
		breaker->until = now;
		break;
	}
}

void breaker_leave(
	struct breaker *breaker, int entered, enum breaker_outcome outcome, anyio_time now)
{
	if (entered == 1) {
		leave_probe(breaker, outcome, now);
		return;
	}
	/* Who entered before it opened, and comes late, says nothing new. */
	if (breaker->state != BREAKER_CLOSED || outcome == BREAKER_UNKNOWN)
		return;
	if (outcome == BREAKER_ANSWERED)
		breaker->failures = 0;
	else if (++breaker->failures >= breaker->failures_most)
		open_it(breaker, now);
}
