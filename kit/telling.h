/*
 * What a call tells while it holds locks of the store, to somebody who may read it slowly or not at all: notes of it are
 * kept, and told by a task of their own, so that nobody waits for him but the call itself: at its end, and where it holds
 * nothing that others want, if it is far ahead of him.
 */
#ifndef KIT_TELLING_H
#define KIT_TELLING_H

#include "node.h"

struct telling {
	/* Tells a note; without one, NULL, whatever else there is. May wait. Non-zero: no more is told. */
	int (*tell)(void *arg, const void *note, size_t len);
	void *arg;
	struct kit_room *room; /* that counts what is kept, or NULL */
	int failed;            /* what tell gave */
	bool lost;             /* more was to be kept than fits, and is not told */
	/* From here on private. */
	uint8_t *notes; /* each behind its length, u32 */
	size_t used, place, held;
	bool too_slow; /* he who is told, to be waited for again */
	struct anyio_event more, taken;
	bool over;
};

/* Runs body(arg), and returns its result when everything is told that was noted by then. Or -EAGAIN, -ENOMEM, and
 * it was not run. */
int telling_run(struct telling *telling, anyio_task_fn body, void *arg);
/* Keeps a note. Never waits. */
void telling_note(struct telling *telling, const void *note, size_t len);
/* Waits until what is kept, when it is much, is taken, so that all can be told; but no more after once 5 s were not
 * enough: who reads a byte now and then holds up nobody. 0 or ANYIO_CANCELLED. */
int telling_pace(struct telling *telling);
/* Has what is not a note told. Never waits. */
void telling_wake(struct telling *telling);

#endif
