#include "wait.h"

static void queue_append(
	struct anyio_wait_queue *queue, struct anyio_waiter *waiter, struct anyio_wait_set *set)
{
	waiter->queue = queue;
	waiter->task = anyio_current_task();
	waiter->set = set;
	if (queue->first == NULL) {
		anyio_list_init(&waiter->node);
		queue->first = waiter;
	} else {
		anyio_list_append(&queue->first->node, &waiter->node);
	}
	queue->count++;
}

static void queue_remove(struct anyio_waiter *waiter)
{
	struct anyio_wait_queue *queue = waiter->queue;

	if (queue->count == 1)
		queue->first = NULL;
	else if (queue->first == waiter)
		queue->first = anyio_container(waiter->node.next, struct anyio_waiter, node);
	anyio_list_remove(&waiter->node);
	queue->count--;
}

static enum anyio_abort wait_abort(struct anyio_task *task, void *arg)
{
	queue_remove(arg);
	return ANYIO_ABORTED;
}

int anyio_wait(struct anyio_wait_queue *queue, struct anyio_waiter *waiter)
{
	queue_append(queue, waiter, NULL);
	return (int)anyio_park(wait_abort, waiter);
}

int anyio_wait_shielded(struct anyio_wait_queue *queue, struct anyio_waiter *waiter)
{
	queue_append(queue, waiter, NULL);
	return (int)anyio_park(NULL, NULL);
}

void anyio_wait_set_add(
	struct anyio_wait_set *set, struct anyio_wait_queue *queue, struct anyio_waiter *waiter)
{
	queue_append(queue, waiter, set);
	waiter->other = NULL;
	if (set->first == NULL)
		set->first = waiter;
	else
		set->last->other = waiter;
	set->last = waiter;
}

static void set_remove(struct anyio_wait_set *set)
{
	for (struct anyio_waiter *waiter = set->first; waiter != NULL; waiter = waiter->other)
		queue_remove(waiter);
}

static enum anyio_abort set_abort(struct anyio_task *task, void *arg)
{
	set_remove(arg);
	return ANYIO_ABORTED;
}

int anyio_wait_any(struct anyio_wait_set *set)
{
	return (int)anyio_park(set_abort, set);
}

void anyio_wait_wake(struct anyio_waiter *waiter, int result)
{
	if (waiter->set == NULL) {
		queue_remove(waiter);
	} else {
		waiter->set->woken = waiter;
		set_remove(waiter->set);
	}
	anyio_wake(waiter->task, result);
}

void anyio_wait_wake_all(struct anyio_wait_queue *queue, int result)
{
	while (queue->first != NULL)
		anyio_wait_wake(queue->first, result);
}
