/*
 * Memory object streams: bounded queues of fixed-size items between tasks of one loop, with ends
 * that can be cloned and closed. Last sender closed, then drained, then ANYIO_END_OF_STREAM; last
 * receiver closed gives senders ANYIO_BROKEN; closing an end wakes whoever waits on it with
 * ANYIO_CLOSED. A waiting receiver owns the next item; a cancelled receive never eats one.
 */
#ifndef ANYIO_CHANNEL_H
#define ANYIO_CHANNEL_H

#include <anyio/task.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyio_sender;   /* an end into which items go */
struct anyio_receiver; /* one out of which they come */

/* capacity in items; 0 is a rendezvous. drop, when not NULL, is called for every item that was
 * sent and will never be received. -ENOMEM. Both ends are to be closed. */
ANYIO_API int anyio_channel_create(size_t item_size, size_t capacity, void (*drop)(void *item),
	struct anyio_sender **sender, struct anyio_receiver **receiver);

/* Copies item_size bytes in, and waits while there is no room. ANYIO_BROKEN when no receiver is left,
 * ANYIO_CLOSED when this end is closed meanwhile, ANYIO_CANCELLED: then it was not sent. */
ANYIO_API int anyio_send(struct anyio_sender *sender, const void *item);
/* The same, but ANYIO_WOULD_BLOCK where it had to wait; no checkpoint. */
ANYIO_API int anyio_send_nowait(struct anyio_sender *sender, const void *item);
/* Copies an item out, and waits for one. ANYIO_END_OF_STREAM when there is none and no sender is left,
 * ANYIO_CLOSED when this end is closed meanwhile, ANYIO_CANCELLED: then none was taken. */
ANYIO_API int anyio_receive(struct anyio_receiver *receiver, void *item);
/* The same, but ANYIO_WOULD_BLOCK where it had to wait; no checkpoint. */
ANYIO_API int anyio_receive_nowait(struct anyio_receiver *receiver, void *item);

/* Another handle of the same end, to be closed by itself. -ENOMEM. */
ANYIO_API int anyio_sender_clone(struct anyio_sender *sender, struct anyio_sender **clone);
/* The same of a receiver. */
ANYIO_API int anyio_receiver_clone(struct anyio_receiver *receiver, struct anyio_receiver **clone);
/* Closes and frees the handle; who waits on it gets ANYIO_CLOSED. Never waits. NULL is allowed. */
ANYIO_API void anyio_sender_close(struct anyio_sender *sender);
/* The same of a receiver. The last one's end drops what is queued. */
ANYIO_API void anyio_receiver_close(struct anyio_receiver *receiver);

/* A channel at this moment. */
struct anyio_channel_statistics {
	size_t used;            /* items in the queue */
	size_t capacity;        /* the most there may be */
	size_t senders;         /* open handles, clones included */
	size_t receivers;       /* the same */
	size_t tasks_sending;   /* that wait for room */
	size_t tasks_receiving; /* that wait for an item */
};
/* What it looks like from either end. Never waits. */
ANYIO_API struct anyio_channel_statistics anyio_sender_statistics(
	const struct anyio_sender *sender);
/* The same. */
ANYIO_API struct anyio_channel_statistics anyio_receiver_statistics(
	const struct anyio_receiver *receiver);

#ifdef __cplusplus
}
#endif
#endif
