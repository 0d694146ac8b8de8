#include <errno.h>
#include <string.h>
#include <anyio/channel.h>
#include "channel.h"

static void *ring_slot(const struct channel *channel, size_t index)
{
	return channel->ring + (channel->first + index) % channel->capacity * channel->item_size;
}

static struct party *party_first(const struct anyio_wait_queue *queue)
{
	return queue->first == NULL ? NULL : anyio_container(queue->first, struct party, waiter);
}

static int party_wait(
	struct anyio_wait_queue *queue, struct party *party, const void *end, const void *item)
{
	party->end = end;
	party->item = (void *)item;
	anyio_waits_for("a channel");
	return anyio_wait(queue, &party->waiter);
}

/* Wakes those who wait on one end with ANYIO_CLOSED. Who waits there several times goes as one. */
static void end_wake(struct anyio_wait_queue *queue, const void *end)
{
	struct anyio_waiter *next;

	for (struct anyio_waiter *waiter = queue->first; waiter != NULL; waiter = next) {
		next = anyio_wait_next(waiter);
		if (anyio_container(waiter, struct party, waiter)->end != end)
			continue;
		while (next != NULL && anyio_wait_together(waiter, next))
			next = anyio_wait_next(next);
		anyio_wait_wake(waiter, ANYIO_CLOSED);
	}
}

int anyio_channel_create(size_t item_size, size_t capacity, void (*drop)(void *item),
	struct anyio_sender **sender, struct anyio_receiver **receiver)
{
	struct channel *channel = anyio_calloc(1, sizeof(*channel));

	*sender = anyio_calloc(1, sizeof(**sender));
	*receiver = anyio_calloc(1, sizeof(**receiver));
	if (channel != NULL && capacity > 0)
		channel->ring = anyio_calloc(capacity, item_size);
	if (channel == NULL || *sender == NULL || *receiver == NULL ||
		(capacity > 0 && channel->ring == NULL)) {
		if (channel != NULL)
			anyio_free(channel->ring);
		anyio_free(channel);
		anyio_free(*sender);
		anyio_free(*receiver);
		*sender = NULL;
		*receiver = NULL;
		return -ENOMEM;
	}
	channel->item_size = item_size;
	channel->capacity = capacity;
	channel->drop = drop;
	channel->senders = channel->receivers = 1;
	(*sender)->channel = (*receiver)->channel = channel;
	return 0;
}

int anyio_send_nowait(struct anyio_sender *sender, const void *item)
{
	struct channel *channel = sender->channel;
	struct party *receiver = party_first(&channel->receiving);

	if (channel->receivers == 0)
		return ANYIO_BROKEN;
	if (receiver != NULL) {
		memcpy(receiver->item, item, channel->item_size);
		anyio_wait_wake(&receiver->waiter, 0);
		return 0;
	}
	if (channel->used == channel->capacity)
		return ANYIO_WOULD_BLOCK;
	memcpy(ring_slot(channel, channel->used), item, channel->item_size);
	channel->used++;
	return 0;
}

int anyio_send(struct anyio_sender *sender, const void *item)
{
	struct party self;
	int rc = anyio_checkpoint_if_cancelled();

	if (rc < 0)
		return rc;
	rc = anyio_send_nowait(sender, item);
	if (rc == ANYIO_WOULD_BLOCK)
		return party_wait(&sender->channel->sending, &self, sender, item);
	anyio_pass();
	return rc;
}

/* Takes the oldest item: from the ring, whose free place the first waiting sender then fills, or
 * from that sender itself when there is no ring. */
int anyio_receive_nowait(struct anyio_receiver *receiver, void *item)
{
	struct channel *channel = receiver->channel;
	struct party *sender = party_first(&channel->sending);

	if (channel->used == 0 && sender == NULL)
		return channel->senders == 0 ? ANYIO_END_OF_STREAM : ANYIO_WOULD_BLOCK;
	if (channel->used == 0) {
		memcpy(item, sender->item, channel->item_size);
		anyio_wait_wake(&sender->waiter, 0);
		return 0;
	}
	memcpy(item, ring_slot(channel, 0), channel->item_size);
	channel->first = (channel->first + 1) % channel->capacity;
	channel->used--;
	if (sender != NULL) {
		memcpy(ring_slot(channel, channel->used++), sender->item, channel->item_size);
		anyio_wait_wake(&sender->waiter, 0);
	}
	return 0;
}

int anyio_receive(struct anyio_receiver *receiver, void *item)
{
	struct party self;
	int rc = anyio_checkpoint_if_cancelled();

	if (rc < 0)
		return rc;
	rc = anyio_receive_nowait(receiver, item);
	if (rc == ANYIO_WOULD_BLOCK)
		return party_wait(&receiver->channel->receiving, &self, receiver, item);
	anyio_pass();
	return rc;
}

int anyio_sender_clone(struct anyio_sender *sender, struct anyio_sender **clone)
{
	*clone = anyio_calloc(1, sizeof(**clone));
	if (*clone == NULL)
		return -ENOMEM;
	(*clone)->channel = sender->channel;
	sender->channel->senders++;
	return 0;
}

int anyio_receiver_clone(struct anyio_receiver *receiver, struct anyio_receiver **clone)
{
	*clone = anyio_calloc(1, sizeof(**clone));
	if (*clone == NULL)
		return -ENOMEM;
	(*clone)->channel = receiver->channel;
	receiver->channel->receivers++;
	return 0;
}

static void channel_release(struct channel *channel)
{
	if (channel->senders > 0 || channel->receivers > 0)
		return;
	anyio_free(channel->ring);
	anyio_free(channel);
}

void anyio_sender_close(struct anyio_sender *sender)
{
	struct channel *channel;

	if (sender == NULL)
		return;
	channel = sender->channel;
	end_wake(&channel->sending, sender);
	if (--channel->senders == 0)
		anyio_wait_wake_all(&channel->receiving, ANYIO_END_OF_STREAM);
	anyio_free(sender);
	channel_release(channel);
}

/* An item may own an end of its own channel, the last sender too: what drops them counts as a sender. */
static void drop_all(struct channel *channel)
{
	channel->senders++;
	for (; channel->used > 0; channel->used--) {
		if (channel->drop != NULL)
			channel->drop(ring_slot(channel, 0));
		channel->first = (channel->first + 1) % channel->capacity;
	}
	channel->senders--;
}

void anyio_receiver_close(struct anyio_receiver *receiver)
{
	struct channel *channel;

	if (receiver == NULL)
		return;
	channel = receiver->channel;
	end_wake(&channel->receiving, receiver);
	if (--channel->receivers == 0) {
		anyio_wait_wake_all(&channel->sending, ANYIO_BROKEN);
		drop_all(channel);
	}
	anyio_free(receiver);
	channel_release(channel);
}

static struct anyio_channel_statistics channel_statistics(const struct channel *channel)
{
	return (struct anyio_channel_statistics){
		.used = channel->used,
		.capacity = channel->capacity,
		.senders = channel->senders,
		.receivers = channel->receivers,
		.tasks_sending = channel->sending.count,
		.tasks_receiving = channel->receiving.count,
	};
}

struct anyio_channel_statistics anyio_sender_statistics(const struct anyio_sender *sender)
{
	return channel_statistics(sender->channel);
}

struct anyio_channel_statistics anyio_receiver_statistics(const struct anyio_receiver *receiver)
{
	return channel_statistics(receiver->channel);
}
