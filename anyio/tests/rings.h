/*
 * A kernel that refuses. In test programs two functions of liburing are ours (rings.c): they do what
 * they should unless told to fail here. The library itself knows nothing of it.
 */
#ifndef ANYIO_TESTS_RINGS_H
#define ANYIO_TESTS_RINGS_H

#include <stdbool.h>

enum { RUNGS = 3 }; /* DEFER_TASKRUN, COOP_TASKRUN, plain */

struct rings {
	int refused;       /* so many rungs of the ladder, from the top; $ANYIO_RUNG at the start */
	int error;         /* with which they are, positive */
	bool drops;        /* a kernel without IORING_FEAT_NODROP */
	bool unprobed;     /* one that cannot be asked for its operations */
	int missing;       /* the operation (IORING_OP_*) it lacks; -1: none */
	unsigned stalled;  /* so many submissions fail with EBUSY */
	int stood_on;      /* the rung of the last ring that was made */
	unsigned refusals; /* of all kinds, so far */
};
extern struct rings rings;

void rings_begin(void);

#endif
