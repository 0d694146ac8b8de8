/*
 * One task's use of one direction of a resource that another task may close.
 *
 * Closing interrupts the task: the operation in flight ends the way every cancelled operation does, so
 * does all the task would wait for next, and it comes back and finds the resource closed. So
 * closing needs no path of its own into the backends. A resource gives its descriptor back only when
 * no use is left.
 */
#ifndef ANYIO_SYNC_USE_H
#define ANYIO_SYNC_USE_H

#include "../core/core.h"

struct anyio_use {
	struct anyio_task *task; /* NULL: not in use */
	bool interrupted;
};

/* ANYIO_BUSY when another task is at it, ANYIO_NO_LOOP outside a task. */
static inline int anyio_use_begin(struct anyio_use *use)
{
	if (use->task != NULL)
		return ANYIO_BUSY;
	use->task = anyio_current_task();
	return use->task == NULL ? ANYIO_NO_LOOP : 0;
}

static inline void anyio_use_end(struct anyio_use *use)
{
	if (use->interrupted)
		anyio_task_interrupt_over(use->task);
	use->interrupted = false;
	use->task = NULL;
}

static inline void anyio_use_interrupt(struct anyio_use *use)
{
	if (use->task == NULL || use->interrupted)
		return;
	use->interrupted = true;
	anyio_task_interrupt(use->task);
}

#endif
