/*
 * Portals: how threads that have no loop call into one (AnyIO's BlockingPortal). Unless said otherwise
 * the functions here are called from such threads, any number at a time, and may block; on the
 * portal's own loop those that block are -EDEADLK.
 *
 * Of calls that were accepted and have not begun to run a portal has some thousand at most: those that
 * come then wait until the loop has begun half of them (or the portal is stopped), but for those made on
 * the portal's own loop.
 */
#ifndef ANYIO_PORTAL_H
#define ANYIO_PORTAL_H

#include <anyio/task.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyio_portal;
struct anyio_portal_task;

/* In a task: opens a portal into the running loop, whose tasks are children of one in group. That one
 * ends, and lets the group end, once the portal was stopped and all its tasks have ended; a
 * cancellation of the group stops it too, and cancels them. The reference is the caller's. -ENOMEM,
 * ANYIO_TOO_MANY, ANYIO_CANCELLED. */
ANYIO_API int anyio_portal_open(struct anyio_task_group *group, struct anyio_portal **portal);

/* Starts a loop in a thread of its own, with a portal into it; options may be NULL, no_signals is set
 * anyhow. The last unref stops it, waits for its tasks and joins the thread. Errors as of anyio_run,
 * -EAGAIN when no thread can be made. */
ANYIO_API int anyio_portal_start(const struct anyio_options *options, struct anyio_portal **portal);

/* One reference more; returns portal. On the portal's own loop too. */
ANYIO_API struct anyio_portal *anyio_portal_ref(struct anyio_portal *portal);
/* Gives one back. The portal is stopped, as by stop(false), when it was the last. On the portal's own loop
 * too. */
ANYIO_API void anyio_portal_unref(struct anyio_portal *portal);

/* From now on calls are ANYIO_STOPPED. A call that comes at the same time is either that, or was
 * accepted and runs. What runs goes on to its end, or is cancelled. Never blocks; on the portal's own
 * loop too. */
ANYIO_API void anyio_portal_stop(struct anyio_portal *portal, bool cancel_remaining);

/* Runs fn(arg) in a task of the loop and waits for its result; ANYIO_TASK_CANCELLED when it was
 * cancelled, ANYIO_STOPPED, -ENOMEM, ANYIO_TOO_MANY. */
ANYIO_API int anyio_portal_call(struct anyio_portal *portal, anyio_task_fn fn, void *arg);

/* The same without the wait: the result is asked of *task, which is to be freed; with task NULL nobody
 * asks. An error of the task is its result and nothing more. On the portal's own loop too.
 * ANYIO_STOPPED, -ENOMEM; what is accepted runs, unless the loop has no room for one more task
 * (ANYIO_TOO_MANY, -ENOMEM): then that is the result, and where nobody asks it is an error of the
 * portal's task, which ends the group of anyio_portal_open as the error of any task does, and stops a
 * portal of anyio_portal_start. name is copied, at most 47 bytes. */
ANYIO_API int anyio_portal_start_soon(struct anyio_portal *portal, anyio_task_fn fn, void *arg,
	const char *name, struct anyio_portal_task **task);

/* The same, and waits until the task calls anyio_started, whose value is stored in *value (may be
 * NULL). Errors before that are returned from here, and there is no task then; ANYIO_NOT_STARTED when
 * it ended without. */
ANYIO_API int anyio_portal_start_task(struct anyio_portal *portal, anyio_task_fn fn, void *arg,
	const char *name, struct anyio_portal_task **task, void **value);

/* Waits at most that long (0 or less: not at all) for the end: the result as of anyio_portal_call, or
 * -ETIMEDOUT (which may be its result too: see done). */
ANYIO_API int anyio_portal_task_wait(struct anyio_portal_task *task, anyio_time timeout);
/* Never blocks. */
ANYIO_API bool anyio_portal_task_done(struct anyio_portal_task *task);
/* Cancels it soon, or before it begins; nothing when it has ended. Never blocks, never fails. On
 * the portal's own loop too. */
ANYIO_API void anyio_portal_task_cancel(struct anyio_portal_task *task);
/* Gives the handle back; the task goes on. NULL is allowed. */
ANYIO_API void anyio_portal_task_free(struct anyio_portal_task *task);

#ifdef __cplusplus
}
#endif
#endif
