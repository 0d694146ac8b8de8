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

struct anyio_sender;
struct anyio_receiver;

/* capacity in items; 0 is a rendezvous. drop, when not NULL, is called for every item that was
 * sent and will never be received. -ENOMEM. Both ends are to be closed. */
ANYIO_API int anyio_channel_create(size_t item_size, size_t capacity, void (*drop)(void *item),
	struct anyio_sender **sender, struct anyio_receiver **receiver);

ANYIO_API int anyio_send(struct anyio_sender *sender, const void *item);
ANYIO_API int anyio_send_nowait(struct anyio_sender *sender, const void *item);
ANYIO_API int anyio_receive(struct anyio_receiver *receiver, void *item);
ANYIO_API int anyio_receive_nowait(struct anyio_receiver *receiver, void *item);

ANYIO_API int anyio_sender_clone(struct anyio_sender *sender, struct anyio_sender **clone);
ANYIO_API int anyio_receiver_clone(struct anyio_receiver *receiver, struct anyio_receiver **clone);
ANYIO_API void anyio_sender_close(struct anyio_sender *sender); /* frees the handle; NULL ok */
ANYIO_API void anyio_receiver_close(struct anyio_receiver *receiver);

struct anyio_channel_statistics {
	size_t used, capacity, senders, receivers, tasks_sending, tasks_receiving;
};
ANYIO_API void anyio_sender_stat(
	const struct anyio_sender *sender, struct anyio_channel_statistics *out);
ANYIO_API void anyio_receiver_stat(
	const struct anyio_receiver *receiver, struct anyio_channel_statistics *out);

#ifdef __cplusplus
}
#endif
#endif
