/*
 * Instruments: being told what the loop does, for profilers, traces and counters. After Trio's
 * instruments. While none is installed they cost a branch or two where something would be told.
 */
#ifndef ANYIO_INSTRUMENT_H
#define ANYIO_INSTRUMENT_H

#include <anyio/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * An instrument is caller-owned storage that stays while it is installed; any callback may be NULL. One on a
 * task's stack is removed before the task ends, one in a function's frame before that returns: an instrument
 * whose task has ended, or that was overwritten, stops the program by name.
 *
 * Callbacks run on the loop's thread, at the moment they tell of and on the stack of whoever runs
 * then, a task's small one too. They may look (anyio/tree.h), and remove instruments, and do nothing else to
 * the loop; they are not in a task: anyio_current_task is NULL, and what would wait or spawn is ANYIO_NO_LOOP.
 */
struct anyio_instrument {
	void *arg; /* passed to each */

	/* The task will run for the first time, soon. */
	void (*task_spawned)(void *arg, const struct anyio_task *task);
	/* Its function has returned result, as it is; the task exists until this returns. */
	void (*task_ended)(void *arg, const struct anyio_task *task, int result);
	/* The task is about to run on. A task that yields and is next in turn does not stop. */
	void (*before_switch)(void *arg, const struct anyio_task *task);
	/* It has stopped running: in turns with the other, also at its end, after task_ended. */
	void (*after_switch)(void *arg, const struct anyio_task *task);

	/* An operation was handed to the backend. operation is a static name ("receive"), fd its
	 * descriptor or -1, task NULL for one that no task waits for. */
	void (*operation_started)(
		void *arg, const struct anyio_task *task, const char *operation, int fd);
	/* And ended: each that starts completes once. result as the operation gives it, or
	 * ANYIO_CANCELLED. */
	void (*operation_completed)(void *arg, const struct anyio_task *task, const char *operation,
		int fd, int64_t result);

	/* The loop asks the backend for news, and waits for at most timeout (0: only looks). */
	void (*before_poll)(void *arg, anyio_time timeout);
	/* And has them: completions, calls from other threads and timers lie between the two. */
	void (*after_poll)(void *arg);

	void *reserved[4];
	uint64_t opaque[2];
};

/* Installs on this thread's loop; several are told in the order they came. -EBUSY when it is
 * installed already, ANYIO_NO_LOOP. One that is to
 * see the root task spawned is named in struct anyio_options, and installed by that. An instrument is
 * in one loop at a time, and gone from it when the run ends. */
ANYIO_API int anyio_instrument_add(struct anyio_instrument *instrument);
/* No callback of it is called any more. -ENOENT when it is not installed here,
 * ANYIO_NO_LOOP. */
ANYIO_API int anyio_instrument_remove(struct anyio_instrument *instrument);

#ifdef __cplusplus
}
#endif
#endif
