/*
 * SIGINT: the first cancels the root task of the loop that came first, the second ends the
 * process. The handler only sets a flag and wakes the backend, whose wake() is safe in a signal
 * handler. Unwatching waits until no handler is inside, so the loop cannot go from under it.
 */
#include <sched.h>
#include "loop.h"

static _Atomic(struct anyio_loop *) watched;
static atomic_int inside;
static struct sigaction before;

static void on_interrupt(int number)
{
	atomic_fetch_add(&inside, 1);
	struct anyio_loop *loop = atomic_load(&watched);
	if (!loop || atomic_exchange(&loop->interrupted, true)) {
		signal(SIGINT, SIG_DFL);
		raise(SIGINT);
	} else {
		anyio_loop_wake(loop);
	}
	atomic_fetch_sub(&inside, 1);
}

bool interrupt_watch(struct anyio_loop *loop)
{
	struct anyio_loop *nobody = NULL;
	if (!atomic_compare_exchange_strong(&watched, &nobody, loop))
		return false;
	struct sigaction action = { .sa_handler = on_interrupt,
		.sa_flags = SA_RESTART | SA_ONSTACK };
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, NULL, &before);
	if (before.sa_handler == SIG_DFL && sigaction(SIGINT, &action, NULL) == 0)
		return true;
	atomic_store(&watched, NULL);
	return false;
}

void interrupt_unwatch(struct anyio_loop *loop)
{
	struct sigaction now;
	if (atomic_load(&watched) != loop)
		return;
	sigaction(SIGINT, NULL, &now);
	if (now.sa_handler == on_interrupt)
		sigaction(SIGINT, &before, NULL);
	atomic_store(&watched, NULL);
	while (atomic_load(&inside) > 0)
		sched_yield();
}
