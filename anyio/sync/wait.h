/*
 * The one wait queue under every object tasks wait for.
 *
 * A waiter lies on the stack of the task that waits. It is in a queue exactly as long as nobody
 * has woken it: who wakes takes it out first, and a cancelled wait takes itself out, so that a
 * cancelled waiter can never be handed anything. An empty queue is all zero and may be moved.
 *
 * A task may wait in several queues at once, by the waiters of one set: waking one of them takes all
 * out of their queues in the same step, so that nothing is ever handed to a second.
 */
#ifndef ANYIO_SYNC_WAIT_H
#define ANYIO_SYNC_WAIT_H

#include "../core/core.h"

struct anyio_waiter {
	struct anyio_list node; /* a ring of waiters, without a head */
	struct anyio_wait_queue *queue;
	struct anyio_task *task;
	struct anyio_wait_set *set; /* NULL: the only one of its task */
	struct anyio_waiter *other; /* the next of the set */
};

struct anyio_wait_queue {
	struct anyio_waiter *first;
	size_t count;
};

/* Parks the running task at the end of queue; returns the wake's result, or ANYIO_CANCELLED. */
ANYIO_PRIVATE int anyio_wait(struct anyio_wait_queue *queue, struct anyio_waiter *waiter);
/* The same, but a cancellation is never seen. */
int anyio_wait_shielded(struct anyio_wait_queue *queue, struct anyio_waiter *waiter);

/* Waiters of one task, at most one of which is woken. Begins as all zero. */
struct anyio_wait_set {
	struct anyio_waiter *first, *last;
	struct anyio_waiter *woken; /* after the wait; NULL: none, it was cancelled */
};
/* Puts waiter at the end of queue, for a wait that follows at once. */
void anyio_wait_set_add(
	struct anyio_wait_set *set, struct anyio_wait_queue *queue, struct anyio_waiter *waiter);
/* Parks until one of the set is woken; an empty set until it is cancelled. */
int anyio_wait_any(struct anyio_wait_set *set);

/* Takes waiter, and those of its set, out of the queues and makes its task ready with result. */
void anyio_wait_wake(struct anyio_waiter *waiter, int result);
ANYIO_PRIVATE void anyio_wait_wake_all(struct anyio_wait_queue *queue, int result);

/* The one behind waiter, or NULL when it is the last. */
static inline struct anyio_waiter *anyio_wait_next(const struct anyio_waiter *waiter)
{
	struct anyio_waiter *next = anyio_container(waiter->node.next, struct anyio_waiter, node);

	return next == waiter->queue->first ? NULL : next;
}

/* Whether waking one takes the other out of its queue too. */
static inline bool anyio_wait_together(const struct anyio_waiter *a, const struct anyio_waiter *b)
{
	return a->set != NULL && a->set == b->set;
}

#endif
