/*
 * Waiting for the first of several: receives and sends on memory object streams (anyio/channel.h), and
 * events. As Go's select. A timeout is a deadline scope around it (anyio/cancel.h).
 */
#ifndef ANYIO_CHOOSE_H
#define ANYIO_CHOOSE_H

#include <anyio/channel.h>
#include <anyio/sync.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One branch, in storage of the caller's that may be used again once the choice has returned. Of the
 * three one is given; a branch with none is never taken, so that it is turned off by NULL. */
struct anyio_choice {
	struct anyio_receiver *receive; /* takes an item into *item */
	struct anyio_sender *send;      /* sends *item, which is only read */
	struct anyio_event *event;      /* is set */
	void *item;                     /* of the channel's item size; NULL for an event */
	/* Of the branch taken, what came of it: as anyio_receive (ANYIO_END_OF_STREAM, ANYIO_CLOSED), as
	 * anyio_send (ANYIO_BROKEN, ANYIO_CLOSED), 0 for an event. Of others untouched. */
	int rc;
	uint64_t opaque[12];
};

/* Takes exactly one branch, and returns its index; the others did nothing. Where several are ready
 * each has the same chance. Else it waits in all the queues at once, first in, first out as
 * anyio_receive and anyio_send do: what comes first takes it out of the others. Of no branch at all it
 * waits until cancelled. ANYIO_CANCELLED: no item was taken and none sent. */
ANYIO_API int anyio_choose(struct anyio_choice *choices, size_t count);
/* The same, but ANYIO_WOULD_BLOCK where none is ready; never lets others run. */
ANYIO_API int anyio_choose_nowait(struct anyio_choice *choices, size_t count);

#ifdef __cplusplus
}
#endif
#endif
