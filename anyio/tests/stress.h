/*
 * Stress: cancels at random points while data flows, and everything accounted for afterwards.
 *
 * A world is one loop with lanes: pairs of tasks with something between them (a connection, a channel,
 * a lock, a file, threads). Whatever a lane does it does through risk(), which puts it under one of
 * many ways to be cancelled; what was cancelled is done again, and what was done is counted. When the
 * world's operations are used up each lane runs dry and settles its accounts. All decisions are drawn
 * from the world's seed, so that on the simulation a world runs the same again.
 */
#ifndef ANYIO_TESTS_STRESS_H
#define ANYIO_TESTS_STRESS_H

#include "sockets.h"

enum { STRUCK_MOST = 64 };
enum { BYTES, WIRES, DATAGRAMS, CONNECTIONS, ITEMS, LOCKS, JOBS, RECORDS_DONE, PROCESSES, THINGS };

struct strike {
	struct anyio_cancel_scope scope;
	size_t place;
};

/* Who may be hit by the striker now. */
struct struck {
	struct strike *at[STRUCK_MOST];
	size_t count;
};

/* What a lane sees of its world. Each has operations of its own: simulated time moves only when the
 * lanes in memory are through. */
struct world {
	uint64_t random;
	size_t operations, limit;
	size_t cancelled;
	size_t done[THINGS]; /* what went through */
	bool simulated;
	struct struck *struck;
};

static inline uint64_t draw(struct world *world, uint64_t below)
{
	uint64_t z = world->random += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (z ^ (z >> 31)) % below;
}

/* Whether there are operations left; when not, lanes run dry. */
static inline bool more(const struct world *world)
{
	return world->operations < world->limit;
}

/* Runs fn(arg), which a cancellation may cut short anywhere: fn itself notes how far it came. Returns
 * ANYIO_CANCELLED then. Without operations left nothing cancels it. */
int risk(struct world *world, anyio_task_fn fn, void *arg);

/* Yields up to most times. */
void linger(struct world *world, unsigned most);

/* The lanes: each a task whose argument is the world. stress_bytes.c: */
int lane_tcp(void *arg);
int lane_unix(void *arg);
int lane_memory(void *arg);
int lane_pipe(void *arg);
/* stress_things.c: */
int lane_datagrams(void *arg);
int lane_connections(void *arg);
int lane_channel(void *arg);
int lane_locks(void *arg);
int lane_threads(void *arg);
int lane_file(void *arg);
int lane_process(void *arg);

/* What threads hold between a call that was abandoned and its end. */
extern _Atomic size_t jobs_made, jobs_freed;

#endif
