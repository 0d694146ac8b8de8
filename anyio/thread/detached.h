/*
 * An operation on a worker thread whose waiter may leave before it ends.
 *
 * It is on the heap and run by a loose task, which keeps the loop open until the thread is through.
 * While it runs it holds a token of its limiter, whether or not somebody still waits. When the
 * waiter left first, release() is called at the end; else the waiter gives the storage back.
 */
#ifndef ANYIO_THREAD_DETACHED_H
#define ANYIO_THREAD_DETACHED_H

#include <anyio/sync.h>
#include "../core/core.h"

struct anyio_detached {
	struct anyio_op op;
	struct anyio_limiter *limiter;
	struct anyio_task *waiter; /* parked for it now */
	int64_t result;            /* the operation's, once ended */
	bool ended, abandoned;
	void (*release)(struct anyio_detached *detached);
};

/* Waits for a token and starts the operation. A negative code: nothing was started. */
int anyio_detached_start(struct anyio_detached *detached, struct anyio_limiter *limiter);
/* Parks until the end, or until somebody wakes the waiter before it. */
int64_t anyio_detached_park(struct anyio_detached *detached, anyio_abort_fn abort, void *arg);
/* Makes the parked waiter, if any, look again. */
void anyio_detached_wake(struct anyio_detached *detached);
/* Leaves; an abort function's work. */
enum anyio_abort anyio_detached_abandon(struct anyio_detached *detached);
/* Waits for the end: 0, or ANYIO_CANCELLED after having left. */
int anyio_detached_wait(struct anyio_detached *detached);

/* What thread/ keeps for each loop. */
struct anyio_threads {
	struct anyio_limiter calls;   /* anyio_to_thread's default */
	struct anyio_limiter lookups; /* names being resolved */
};
/* The running loop's, made at first use; NULL when there is no memory. */
struct anyio_threads *anyio_threads_here(void);

#endif
