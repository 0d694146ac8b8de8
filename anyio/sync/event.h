/* The event's record, shared with the choice that waits for one among others. */
#ifndef ANYIO_SYNC_EVENT_H
#define ANYIO_SYNC_EVENT_H

#include <anyio/sync.h>
#include "wait.h"

struct event {
	struct anyio_wait_queue waiting;
	bool set;
};
_Static_assert(sizeof(struct event) <= sizeof(struct anyio_event), "event outgrew its storage");

#endif
