/*
 * Serving listeners: one task a connection (AnyIO's listener.serve and MultiListener).
 */
#ifndef ANYIO_SERVE_H
#define ANYIO_SERVE_H

#include <anyio/net.h>
#include <anyio/service.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One connection's conversation, in a task of its own. The stream is the handler's, which frees it or
 * hands it on. A negative code other than a cancellation ends this connection alone. */
typedef int (*anyio_handler_fn)(struct anyio_stream *stream, void *arg);

/* All zero is the default everywhere. */
struct anyio_serve_options {
	/* Handlers at a time, over all listeners; 0: no limit. With so many nobody is accepted, but that
	 * of several listeners each may have one already who waits for a place. */
	size_t max_connections;
	const char *name;  /* of the tasks; NULL: "connection" */
	size_t stack_size; /* of the tasks, bytes; 0: the loop's default */
	/* Told the code that a handler returned, with what it said by anyio_fail (anyio/task.h), or
	 * why a connection got no task (-ENOMEM, ANYIO_TOO_MANY; it is closed then). error lives for
	 * the call. NULL: nobody is. Must not wait. */
	void (*failed)(void *arg, const struct anyio_task_error *error);
	void *reserved[4];
};

/* Accepts from count listeners until it is stopped; arg goes to every handler. Out of descriptors or
 * memory it backs off and goes on, as anyio_accept does. The array is the caller's and stays until this
 * returns. options may be NULL. -EINVAL for no listeners. It has three ends:
 *
 * Closing or freeing every listener, from any task of the loop: the connections there are go on until
 * they end, then 0. Where some are left, they are served on.
 *
 * service is not NULL and is asked to stop (anyio/service.h): closes the listeners, so that newcomers are
 * refused and not left waiting, and the rest as above. When its grace is over they are cancelled.
 *
 * ANYIO_CANCELLED: the listeners are closed and the connections are cancelled and waited for. The same
 * after an error of a listener, or when there is no task for one (-ENOMEM, ANYIO_TOO_MANY), which is
 * returned. */
ANYIO_API int anyio_serve(struct anyio_listener *const *listeners, size_t count,
	anyio_handler_fn handler, void *arg, struct anyio_service *service,
	const struct anyio_serve_options *options);

#ifdef __cplusplus
}
#endif
#endif
