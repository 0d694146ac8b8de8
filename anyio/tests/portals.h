/* A portal with threads that call it. */
#ifndef ANYIO_TESTS_PORTALS_H
#define ANYIO_TESTS_PORTALS_H

#include <pthread.h>
#include <stdatomic.h>
#include "conformance.h"
#include "../thread/portal.h"

/* What the loop's side shares with the threads; each test has one. */
struct world {
	struct anyio_portal *portal;
	pthread_t loop;
	struct anyio_event event;
	struct anyio_task_handle handle;
	atomic_int calls, cancelled, sent;
	atomic_bool ready, go;
	bool cancel_remaining;
};

static inline void world_open(struct world *world, struct anyio_task_group *group)
{
	*world = (struct world){ .loop = pthread_self() };
	anyio_event_init(&world->event);
	anyio_task_group_enter(group);
	CHECK_RC(anyio_portal_open(group, &world->portal), 0);
}

/* Runs fn in another thread, and waits for it. */
static inline void in_thread(int (*fn)(void *arg), void *arg)
{
	CHECK_RC(anyio_to_thread(fn, arg, NULL), 0);
}

static inline int in_thread_task(void *arg)
{
	void **call = arg;

	in_thread((int (*)(void *))call[0], call[1]);
	return 0;
}

static inline void world_close(struct world *world, struct anyio_task_group *group)
{
	anyio_portal_unref(world->portal);
	CHECK_RC(anyio_task_group_exit(group, 0), 0);
}

static inline int count_call(void *arg)
{
	struct world *world = arg;

	CHECK(pthread_equal(pthread_self(), world->loop));
	CHECK_RC(anyio_checkpoint(), 0);
	return atomic_fetch_add(&world->calls, 1) + 1;
}

#endif
