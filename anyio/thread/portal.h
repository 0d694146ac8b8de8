/* The portal's record, shared with the thread that may be started for it. */
#ifndef ANYIO_THREAD_PORTAL_H
#define ANYIO_THREAD_PORTAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <anyio/sync.h>
#include "../core/core.h"

struct anyio_portal {
	atomic_uint references; /* of the memory */
	atomic_uint users;
	atomic_bool stop_sent, cancel_sent;
	struct anyio_call stop_call, cancel_call;
	struct anyio_token *token;
	pthread_t thread; /* the users' */
	bool own_thread;
	pthread_mutex_t mutex; /* for these */
	pthread_cond_t room;   /* full was cleared, or closed set */
	bool closed;           /* no call is accepted any more */
	bool full;             /* from the bound until half of them have begun */
	unsigned pending;      /* accepted, and not begun */
	/* The loop's. */
	bool served;
	struct anyio_event stop;
	struct anyio_event begun; /* it is closed, and nothing is pending */
	struct anyio_task_group tasks;
};

#endif
