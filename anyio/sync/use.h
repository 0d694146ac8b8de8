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

#include <errno.h>
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

/*
 * A descriptor that one task closes while others use it. Closing marks it and interrupts its uses; it is
 * given back by whoever leaves last, because closing it under an operation in flight would leave
 * that operation pending. So each way out ends with settling, after which the object may be gone.
 */
struct anyio_closable {
	int fd; /* -1 once given back, or none yet */
	bool closed, destroyed;
	/* What one task at a time uses has the first alone. */
	struct anyio_use receiving, sending;
};

static inline int anyio_closable_enter(struct anyio_closable *self, struct anyio_use *use)
{
	return self->closed ? ANYIO_CLOSED : anyio_use_begin(use);
}

/* What the use came to. */
static inline int64_t anyio_closable_leave(
	struct anyio_closable *self, struct anyio_use *use, int64_t result)
{
	anyio_use_end(use);
	return result == ANYIO_CANCELLED && self->closed ? ANYIO_CLOSED : result;
}

/* The same of a stream. */
static inline int64_t anyio_closable_leave_stream(
	struct anyio_closable *self, struct anyio_use *use, int64_t result)
{
	result = anyio_closable_leave(self, use, result);
	/* What is done is done; but who goes on would find a freed stream gone. */
	if (result >= 0 && self->destroyed)
		return ANYIO_CLOSED;
	return result == -EPIPE ? ANYIO_BROKEN : result;
}

static inline void anyio_closable_close(struct anyio_closable *self)
{
	self->closed = true;
	anyio_use_interrupt(&self->receiving);
	anyio_use_interrupt(&self->sending);
}

/* Closed, and nobody is inside. */
static inline bool anyio_closable_unused(const struct anyio_closable *self)
{
	return self->closed && self->receiving.task == NULL && self->sending.task == NULL;
}

/* Whether its descriptor is to be given back now. */
static inline bool anyio_closable_ends(const struct anyio_closable *self)
{
	return anyio_closable_unused(self) && self->fd >= 0;
}

/* Gives back what nobody needs any more, unless it is a file: true when it is unused, so that the object
 * may be freed once it was destroyed. */
static inline bool anyio_closable_settle(struct anyio_closable *self)
{
	if (!anyio_closable_unused(self))
		return false;
	if (self->fd >= 0)
		anyio_fd_close(self->fd);
	self->fd = -1;
	return true;
}

#endif
