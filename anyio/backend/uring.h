/* What the io_uring backend keeps of a loop and of an operation. For uring.c and uring_prepare.c alone. */
#ifndef ANYIO_BACKEND_URING_H
#define ANYIO_BACKEND_URING_H

#include "../core/core.h"

#include <liburing.h>

enum { CHAINS = 64 };

struct uring {
	struct io_uring ring;
	struct anyio_loop *loop;
	unsigned generation;
	int wake_fd;
	uint64_t wake_count;
	bool wake_armed;
	bool closing;
	struct anyio_op *unsent, **unsent_last; /* found no room, first in, first out */
	bool native[ANYIO_OP_COUNT];
	unsigned to_reap;                     /* completions that have come, and wait their turn */
	size_t copies;                        /* bytes of files to be copied at the next submit */
	struct anyio_op *open_to_all[CHAINS]; /* in flight, by descriptor */
};

/* What is kept in op->backend while it is in flight. */
struct uring_op {
	uint64_t data; /* its user_data */
	struct statx *statx;
	struct anyio_op *next, **at; /* in uring->open_to_all; at: what points here, or NULL */
	bool closed;                 /* its descriptor is */
	bool unsent;                 /* in uring->unsent */
	bool cancel_unsent;
	bool polling; /* waits for readiness, to be tried again */
	bool blocks;  /* OPENAT: may wait, for a lease to end */
};
_Static_assert(sizeof(struct uring_op) <= sizeof((struct anyio_op *)0)->backend, "it fits");

static inline struct uring_op *mine(struct anyio_op *op)
{
	return (struct uring_op *)op->backend;
}

/* uring_prepare.c: says to the kernel what op, or the next step of it, is. */
void uring_prepare(struct uring *uring, struct io_uring_sqe *sqe, struct anyio_op *op);
/* With which an OPENAT is asked. */
int uring_open_flags(struct anyio_op *op);

#endif
