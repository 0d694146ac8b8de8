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
	atomic_bool closed; /* calls need not be made any more */
	atomic_bool stop_sent, cancel_sent;
	struct anyio_call stop_call, cancel_call;
	struct anyio_token *token;
	pthread_t thread; /* the users' */
	bool own_thread;
	/* The loop's. */
	bool served, open;
	struct anyio_event stop;
	struct anyio_task_group tasks;
};

#endif
