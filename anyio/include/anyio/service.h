/*
 * Services: what a program runs as long as it lives, started one after another and stopped in the
 * reverse order, each with time to finish what it has begun (Trio's "service nursery" and "graceful
 * shutdown").
 *
 * Stopping has three steps. A service is asked to stop, and has the grace period to end by itself.
 * Then it is cancelled, and has the patience period to clean up. Then it is reported by name, and
 * the next one's turn comes: one that cannot end keeps nobody else from ending well. Where the group
 * is cancelled from outside the first step has no time, but the order is kept: a service sees no
 * cancellation from around its group before those that were started after it have ended. All of one
 * loop.
 */
#ifndef ANYIO_SERVICE_H
#define ANYIO_SERVICE_H

#include <anyio/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Both are caller-owned storage that never moves between the group's enter and exit. */
struct anyio_service {
	uint64_t opaque[64];
};
/* Those of one program, in their order. */
struct anyio_service_group {
	uint64_t opaque[192];
};

/* A service's body. It calls anyio_started (anyio/task.h) once it serves. */
typedef int (*anyio_service_fn)(struct anyio_service *service, void *arg);

/* All zero is the default everywhere. */
struct anyio_service_options {
	anyio_time grace;    /* from being asked to being cancelled; 0: 10 s. ANYIO_FOREVER */
	anyio_time patience; /* from being cancelled to being reported; 0: 10 s */
	/* Called by the exit for each service that outlived its patience; NULL: a line on stderr. */
	void (*report)(void *arg, const char *service);
	void *arg; /* for report */
	void *reserved[4];
};

/* Enters a group, with the place to be named in messages. options may be NULL. */
ANYIO_API void anyio_service_group_enter_at(struct anyio_service_group *group,
	const struct anyio_service_options *options, const char *file, int line);
/* Enters it here. */
#define anyio_service_group_enter(group, options)                                                  \
	anyio_service_group_enter_at(group, options, __FILE__, __LINE__)

/* Runs fn(service, arg) as the next service and waits until it serves, as anyio_start does; errors
 * before that are returned from here alone. name is copied, at most 47 bytes; NULL: "service".
 * ANYIO_WRONG_ORDER from another task than the one that entered the group, ANYIO_STOPPED when the group was
 * asked to stop, -EBUSY when this service was started in it before. */
ANYIO_API int anyio_service_start(struct anyio_service_group *group, struct anyio_service *service,
	anyio_service_fn fn, void *arg, const char *name);

/* Waits until the group is asked to stop: 0, or ANYIO_CANCELLED when a service ended by itself or the
 * caller was cancelled. */
ANYIO_API int anyio_service_group_wait(struct anyio_service_group *group);

/* Asks the group to stop: the wait ends, and the exit is up to the group's task. From any task of
 * the loop. Idempotent. */
ANYIO_API void anyio_service_group_stop(struct anyio_service_group *group);
/* The same, and takes the grace of those that have not ended yet. */
ANYIO_API void anyio_service_group_hurry(struct anyio_service_group *group);
/* From now to the exit the first of these signals (0 ends them) stops the group and the next hurries
 * it. Errors as of anyio_signal_open; ANYIO_BUSY when it was called before. */
ANYIO_API int anyio_service_group_stop_on(struct anyio_service_group *group, const int *signals);

/* Stops all services, waits for them, and leaves. rc is the result of the group's own block. Returns
 * the first of: a service's error (ANYIO_SERVICE_ENDED where it ended without one though nobody had
 * asked it to), rc, ANYIO_CANCELLED when the caller is cancelled from outside. A service's error carries
 * along what was said of it by anyio_fail. ANYIO_WRONG_ORDER from another task than the one that entered the
 * group, and then nothing is stopped. */
ANYIO_API int anyio_service_group_exit(struct anyio_service_group *group, int rc);

/* For the service and the tasks it has started. */

/* Runs fn(arg) until the service is asked to stop, which cancels it there: then 0, and the rest of the
 * service goes on, not cancelled, for as long as its grace is. Else what fn returned. */
ANYIO_API int anyio_service_until_stop(struct anyio_service *service, anyio_task_fn fn, void *arg);
/* Waits until it is asked to stop. */
ANYIO_API int anyio_service_wait_stop(struct anyio_service *service);
/* Whether it was asked to. Never waits. */
ANYIO_API bool anyio_service_stopping(const struct anyio_service *service);

/* How it ended, valid after the group's exit too. */
enum anyio_service_state {
	ANYIO_SERVICE_RUNS,      /* or was never started */
	ANYIO_SERVICE_FINISHED,  /* by itself, once asked */
	ANYIO_SERVICE_CUT_SHORT, /* because it was cancelled */
	ANYIO_SERVICE_FAILED,    /* with an error, or without being asked */
};
/* Which of these it is by now. Of storage that anyio_service_start was never called with it says RUNS if
 * that was zeroed. */
ANYIO_API enum anyio_service_state anyio_service_state(const struct anyio_service *service);
/* The error it ended with, its start's too, in the service's storage: ANYIO_SERVICE_ENDED when it ended
 * without one and unasked; NULL: none. */
ANYIO_API const struct anyio_task_error *anyio_service_error(const struct anyio_service *service);

#ifdef __cplusplus
}
#endif
#endif
