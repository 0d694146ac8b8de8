/*
 * A memory object stream's record, shared with the choice over several of them.
 *
 * An item moves once: from the sender's storage straight to a waiting receiver's, or into the ring
 * when nobody waits. A sender that waits keeps its item until a receiver takes it, so that a
 * cancelled send sent nothing; a receiver that waits is in the queue only while it can still
 * take an item, so that a cancelled receive ate none. Hence never both: receivers waiting
 * and items in the ring; and senders wait only while the ring is full. Receivers and senders wait
 * both only where one task chooses between the two ends of a rendezvous.
 */
#ifndef ANYIO_STREAM_CHANNEL_H
#define ANYIO_STREAM_CHANNEL_H

#include "../sync/wait.h"

struct channel {
	size_t item_size, capacity;
	void (*drop)(void *item);
	uint8_t *ring;
	size_t first, used;
	size_t senders, receivers; /* open ends; the channel goes with the last */
	struct anyio_wait_queue sending, receiving;
};

struct anyio_sender {
	struct channel *channel;
};

struct anyio_receiver {
	struct channel *channel;
};

/* A task at either end. */
struct party {
	struct anyio_waiter waiter;
	const void *end; /* the handle it waits on */
	void *item;      /* read by a receiver, or written by a sender */
};

/* Whether the nowait form would do something else than ANYIO_WOULD_BLOCK. */
static inline bool channel_may_send(const struct channel *channel)
{
	return channel->receivers == 0 || channel->receiving.first != NULL ||
		channel->used < channel->capacity;
}
static inline bool channel_may_receive(const struct channel *channel)
{
	return channel->senders == 0 || channel->sending.first != NULL || channel->used > 0;
}

#endif
