/*
 * The runtime by itself. The backend is $ANYIO_BACKEND, as everywhere. What only computes is timed by
 * the processor, what waits for others by the clock on the wall. The last line counts: what has no
 * warm round inside is done twice.
 *
 *	runtime switch           ns of one switch between two tasks
 *	runtime spawn COUNT      ns of starting and joining a task, COUNT to a group
 *	runtime parked COUNT     bytes of a parked task, and how many tasks live then
 *	runtime handover         ns of an item through a rendezvous: half a ping-pong
 *	runtime timeout          ns of a scope whose time is over: enter, wait, be cancelled, leave
 *	runtime cancel COUNT     ns of starting, cancelling and joining a task, COUNT to a group
 *	runtime timers COUNT     ns of setting and cancelling a timeout while COUNT are pending
 *	runtime moved COUNT      ns of moving a random one of COUNT timeouts
 *	runtime fired COUNT      ms of processor of the longest turn while COUNT timeouts end
 *	runtime thread           ns of a call on a worker thread, to and fro
 *	runtime echo             an echo server, a task a connection; prints its port
 *	runtime sink             takes what connections send; prints its port
 *	runtime pour PORT SECONDS  GB/s into a sink, until it has taken all
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "runtime.h"

static const struct {
	const char *name;
	anyio_task_fn body;
	bool twice;
} measures[] = {
	{ "switch", switches, true },
	{ "spawn", spawns },
	{ "parked", parked },
	{ "handover", handovers, true },
	{ "timeout", timeouts, true },
	{ "cancel", cancels },
	{ "timers", timers },
	{ "moved", timers_moved },
	{ "fired", timers_fired },
	{ "thread", threads },
	{ "echo", echo },
	{ "sink", sink },
	{ "pour", pour },
};

static char **arguments;
static int argument_count;

static double read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

double used(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

double argument(int i)
{
	return i < argument_count ? atof(arguments[i]) : 0;
}

/* splitmix64 */
uint64_t draw(void)
{
	static uint64_t state;
	uint64_t z = state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static int measure(void *arg)
{
	int rc = measures[*(size_t *)arg].body(NULL);

	return rc == 0 && measures[*(size_t *)arg].twice ? measures[*(size_t *)arg].body(NULL) : rc;
}

int main(int argc, char **argv)
{
	int rc;

	arguments = argv + 2;
	argument_count = argc - 2;
	for (size_t i = 0; argc > 1 && i < sizeof(measures) / sizeof(*measures); i++) {
		if (strcmp(argv[1], measures[i].name) != 0)
			continue;
		rc = anyio_run(measure, &i, NULL);
		if (rc < 0)
			fprintf(stderr, "runtime %s: %s\n", argv[1], anyio_error_text(rc));
		return rc < 0;
	}
	fprintf(stderr, "usage: runtime MEASURE [ARGUMENT...]; the measures are in main.c\n");
	return 2;
}
