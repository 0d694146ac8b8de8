#include <errno.h>
#include "detached.h"

enum { CALLS_MOST = 40, LOOKUPS_MOST = 8 };

static void threads_close(void *value)
{
	struct anyio_threads *threads = value;

	anyio_limiter_destroy(&threads->calls);
	anyio_limiter_destroy(&threads->lookups);
	anyio_free(threads);
}

struct anyio_threads *anyio_threads_here(void)
{
	struct anyio_loop *loop = anyio_loop_current();
	struct anyio_slot *slot = anyio_loop_slot(loop, ANYIO_SLOT_THREAD);
	unsigned most = anyio_loop_options(loop)->worker_threads;
	struct anyio_threads *threads = slot->value;

	if (threads != NULL)
		return threads;
	threads = anyio_malloc(sizeof(*threads));
	if (threads == NULL)
		return NULL;
	anyio_limiter_init(&threads->calls, most == 0 ? CALLS_MOST : most);
	anyio_limiter_init(&threads->lookups, LOOKUPS_MOST);
	slot->value = threads;
	slot->close = threads_close;
	return threads;
}

void anyio_detached_wake(struct anyio_detached *detached)
{
	struct anyio_task *waiter = detached->waiter;

	detached->waiter = NULL;
	if (waiter != NULL)
		anyio_wake(waiter, 0);
}

static int detached_run(void *arg)
{
	struct anyio_detached *detached = arg;

	detached->result = anyio_op_run_shielded(&detached->op);
	anyio_limiter_release_for(detached->limiter, detached);
	detached->ended = true;
	if (detached->abandoned)
		detached->release(detached);
	else
		anyio_detached_wake(detached);
	return 0;
}

int anyio_detached_start(struct anyio_detached *detached, struct anyio_limiter *limiter)
{
	int rc = anyio_limiter_acquire_for(limiter, detached);

	if (rc < 0)
		return rc;
	detached->limiter = limiter;
	rc = anyio_task_spawn_loose(detached_run, detached, "thread");
	if (rc < 0)
		anyio_limiter_release_for(limiter, detached);
	return rc;
}

int64_t anyio_detached_park(struct anyio_detached *detached, anyio_abort_fn abort, void *arg)
{
	detached->waiter = anyio_current_task();
	anyio_waits_for("a thread");
	return anyio_park(abort, arg);
}

enum anyio_abort anyio_detached_abandon(struct anyio_detached *detached)
{
	detached->waiter = NULL;
	detached->abandoned = true;
	return ANYIO_ABORTED;
}

static enum anyio_abort detached_abort(struct anyio_task *task, void *arg)
{
	return anyio_detached_abandon(arg);
}

int anyio_detached_wait(struct anyio_detached *detached)
{
	return detached->ended ? 0 : (int)anyio_detached_park(detached, detached_abort, detached);
}
