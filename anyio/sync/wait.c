#include "wait.h"

static void queue_append(struct anyio_wait_queue *queue, struct anyio_waiter *waiter)
{
	waiter->queue = queue;
	waiter->task = anyio_current_task();
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
	queue_append(queue, waiter);
	return (int)anyio_park(wait_abort, waiter);
}

int anyio_wait_shielded(struct anyio_wait_queue *queue, struct anyio_waiter *waiter)
{
	queue_append(queue, waiter);
	return (int)anyio_park(NULL, NULL);
}

void anyio_wait_wake(struct anyio_waiter *waiter, int result)
{
	queue_remove(waiter);
	anyio_wake(waiter->task, result);
}

void anyio_wait_wake_all(struct anyio_wait_queue *queue, int result)
{
	while (queue->first != NULL)
		anyio_wait_wake(queue->first, result);
}
