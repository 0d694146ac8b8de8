/*
 * Worker threads, for calls that block, and the CPU pool, for work that computes. A forked child has none of
 * them and may only exec (run.h).
 */
#ifndef ANYIO_THREAD_H
#define ANYIO_THREAD_H

#include <anyio/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All zero is the default. */
struct anyio_thread_options {
	struct anyio_limiter *limiter; /* NULL: the loop's default of 40; outlives abandoned work */
	bool abandon_on_cancel; /* a cancelled wait returns at once; the thread goes on and keeps its
				 * token until it ends */
	/* With abandon_on_cancel, called once for arg whenever the call returns ANYIO_CANCELLED: by
	 * the thread when it was abandoned, else (not started, or so returned by fn) before the
	 * return. After any other result arg is the caller's. */
	void (*destroy)(void *arg);
	void *reserved[4];
};

/* Runs fn(arg) on a worker thread and waits; returns what it returned, or ANYIO_CANCELLED when
 * cancelled before it was started. By default the wait for its end is not cancellable. -ENOMEM,
 * -EAGAIN when no thread can be made, ANYIO_NO_LOOP outside a task. options may be NULL.
 *
 * ANYIO_THREAD_ENDED when fn ended its thread (pthread_exit); in the simulation, which has no threads but the
 * loop's, it may not. pthread_cancel does nothing to a worker thread, unless fn lets it
 * (pthread_setcancelstate); then it is the same. */
ANYIO_API int anyio_to_thread(
	int (*fn)(void *arg), void *arg, const struct anyio_thread_options *options);

/* The loop's default limiter, whose total may be changed; anyio_options.worker_threads run at a time
 * whatever it is. NULL outside a loop and without memory. */
ANYIO_API struct anyio_limiter *anyio_default_thread_limiter(void);

/* From a worker thread started by anyio_to_thread: ANYIO_CANCELLED when the task that waits is
 * cancelled, else 0; ANYIO_NO_LOOP from other threads. */
ANYIO_API int anyio_from_thread_check_cancelled(void);
/* From a worker thread: runs fn(arg) on the loop, in the task that waits in anyio_to_thread and so
 * under its cancel scopes, and waits for its result. ANYIO_CANCELLED when the call was abandoned,
 * ANYIO_NO_LOOP from other threads, -ENOTSUP in the simulation, which has no threads. */
ANYIO_API int anyio_from_thread_run(anyio_task_fn fn, void *arg);

/* The process-wide CPU pool: one thread a core (sched_getaffinity), started at first use. Runs
 * fn(arg, i) for i in [0, count) on it and waits for all; the wait is not cancellable, so
 * arg may live on the stack. Several maps at a time, of whichever loops, take turns index by
 * index. fn must not block, end its thread or call this library. ANYIO_CANCELLED when cancelled
 * before, -EAGAIN when not one thread can be made: nothing ran. In the simulation it runs on the
 * loop's thread. In a child forked after the first use it ends the process by name. */
ANYIO_API int anyio_cpu_map(void (*fn)(void *arg, size_t index), void *arg, size_t count);
/* How many cores this process may use, and so threads that pool has at most. Any thread. */
ANYIO_API unsigned anyio_cpu_count(void);

#ifdef __cplusplus
}
#endif
#endif
