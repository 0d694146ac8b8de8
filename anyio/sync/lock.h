/*
 * The lock's record, shared with the condition that gives it up and takes it back.
 *
 * A held lock is in the list of its owner's locks, so that the owner's end finds it. Release
 * hands it on before the next owner runs: between the two nobody else can take it.
 */
#ifndef ANYIO_SYNC_LOCK_H
#define ANYIO_SYNC_LOCK_H

#include <anyio/sync.h>
#include "wait.h"

struct lock {
	struct anyio_list held; /* in the owner's list while there is an owner */
	struct anyio_task *owner;
	struct anyio_wait_queue waiting;
	bool broken;
};
_Static_assert(sizeof(struct lock) <= sizeof(struct anyio_lock), "lock outgrew its storage");

/* Takes the lock, whatever is cancelled meanwhile. 0 or ANYIO_BROKEN. */
int anyio_lock_retake(struct lock *lock);

#endif
