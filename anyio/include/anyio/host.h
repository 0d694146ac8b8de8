/*
 * Running inside a program that has a libuv loop of its own (Trio's "guest mode"): the host runs
 * uv_run as ever, and our tasks run between its callbacks, on its thread.
 *
 * While it lives our loop is that thread's: anyio_run and a second start there are -EBUSY. The host's
 * callbacks may call what never waits: set events, send and receive by the nowait forms, cancel
 * scopes, spawn into a group that a task keeps open. They run outside any task.
 */
#ifndef ANYIO_HOST_H
#define ANYIO_HOST_H

#include <anyio/run.h>

#ifdef __cplusplus
extern "C" {
#endif

struct uv_loop_s; /* uv_loop_t, of <uv.h> */
struct anyio_host;

/* Makes a loop inside uv, whose root task runs body(arg) from the host's next uv_run on. done is
 * called once, by uv_run, with body's result, when every task has ended and none of our handles is left
 * in uv; it may start the next. Until then our handles keep uv_run going. Where the host stops early
 * (uv_stop, UV_RUN_ONCE) the tasks stand still until it runs again; it is left for good only by
 * anyio_host_cancel and running on until done.
 *
 * options may be NULL; signals are left to the host. ANYIO_NO_BACKEND for another backend than "uv",
 * -EINVAL for mock_clock, -EBUSY, -ENOMEM and libuv's errors: done is not called then, but let uv run
 * once before uv_loop_close. *host (host may be NULL) is valid until done is called. */
ANYIO_API int anyio_host_start(struct uv_loop_s *uv, anyio_task_fn body, void *arg,
	const struct anyio_options *options, void (*done)(void *arg, int rc), void *done_arg,
	struct anyio_host **host);

/* Cancels every task. reason as of anyio_cancel_scope_cancel. From the host's thread. */
ANYIO_API void anyio_host_cancel(struct anyio_host *host, const char *reason);

#ifdef __cplusplus
}
#endif
#endif
