#include <errno.h>
#include <string.h>
#include <anyio/serve.h>
#include <anyio/sync.h>
#include "../core/core.h"
#include "net.h"

/*
 * Each listener has a task that accepts, the first one the caller's own. A place is taken only for a
 * connection that is there, so that a listener where nobody comes keeps none from the others.
 */
struct serve {
	struct anyio_listener *const *listeners;
	size_t count, accepting; /* that many of them have begun */
	anyio_handler_fn handler;
	void *arg;
	const struct anyio_serve_options *options;
	struct anyio_semaphore places;
	struct anyio_task_group connections;
};

struct connection {
	struct serve *serve;
	struct anyio_stream *stream;
};

static const char *serve_name(const struct serve *serve)
{
	return serve->options->name == NULL ? "connection" : serve->options->name;
}

static void serve_failed(const struct serve *serve, const struct anyio_task_error *error)
{
	if (serve->options->failed != NULL)
		serve->options->failed(serve->arg, error);
}

/* There was no task for it. */
static void serve_turned_away(const struct serve *serve, int rc)
{
	struct anyio_task_error error = { .code = rc, .text = anyio_error_text(rc) };

	strncpy(error.task, serve_name(serve), sizeof(error.task) - 1);
	serve_failed(serve, &error);
}

static int connection_main(void *arg)
{
	struct connection *connection = arg;
	struct serve *serve = connection->serve;
	struct anyio_stream *stream = connection->stream;
	struct anyio_task_error error;
	int rc;

	anyio_free(connection);
	rc = serve->handler(stream, serve->arg);
	anyio_semaphore_release(&serve->places);
	if (rc == ANYIO_CANCELLED && anyio_cancel_pending())
		return rc;
	if (rc < 0) {
		anyio_error_of_current(&error, rc);
		serve_failed(serve, &error);
	}
	return 0;
}

static int connection_start(struct serve *serve, struct anyio_stream *stream)
{
	const struct anyio_task_options options = {
		.name = serve_name(serve),
		.stack_size = serve->options->stack_size,
		.may_fail = true,
	};
	struct connection *connection = anyio_malloc(sizeof(*connection));
	int rc;

	if (connection == NULL)
		return -ENOMEM;
	*connection = (struct connection){ serve, stream };
	rc = anyio_start_soon_with(&serve->connections, connection_main, connection, &options);
	if (rc < 0)
		anyio_free(connection);
	return rc;
}

/* Only looks, as others may accept too. */
static int serve_wait_place(struct serve *serve)
{
	int rc = anyio_semaphore_acquire(&serve->places);

	if (rc == 0)
		anyio_semaphore_release(&serve->places);
	return rc;
}

static int serve_next(struct serve *serve, struct anyio_listener *listener)
{
	struct anyio_stream *stream;
	int rc = serve_wait_place(serve);

	if (rc == 0)
		rc = anyio_accept(listener, &stream);
	if (rc < 0)
		return rc;
	if (anyio_semaphore_acquire_nowait(&serve->places) < 0)
		rc = anyio_semaphore_acquire(&serve->places);
	if (rc < 0) {
		anyio_stream_free(stream);
		return rc;
	}
	rc = connection_start(serve, stream);
	if (rc < 0) {
		anyio_semaphore_release(&serve->places);
		anyio_stream_free(stream);
		serve_turned_away(serve, rc);
	}
	return 0;
}

/* Until the next of the listeners is closed. */
static int serve_accept(void *arg)
{
	struct serve *serve = arg;
	struct anyio_listener *listener = serve->listeners[serve->accepting++];
	int rc = 0;

	while (rc == 0)
		rc = serve_next(serve, listener);
	return rc == ANYIO_CLOSED ? 0 : rc;
}

static int serve_accept_all(void *arg)
{
	struct serve *serve = arg;
	struct anyio_task_group group;
	int rc = 0;

	anyio_task_group_enter(&group);
	for (size_t i = 1; i < serve->count && rc == 0; i++)
		rc = anyio_try_start_soon(&group, serve_accept, serve, "accept");
	if (rc == 0)
		rc = serve_accept(serve);
	return anyio_task_group_exit(&group, rc);
}

int anyio_serve(struct anyio_listener *const *listeners, size_t count, anyio_handler_fn handler,
	void *arg, struct anyio_service *service, const struct anyio_serve_options *options)
{
	static const struct anyio_serve_options defaults;
	struct serve serve = {
		.listeners = listeners, .count = count, .handler = handler, .arg = arg
	};
	size_t most;
	int rc;

	if (count == 0)
		return -EINVAL;
	serve.options = options == NULL ? &defaults : options;
	most = serve.options->max_connections;
	anyio_semaphore_init(&serve.places, most == 0 ? UINT64_MAX : most, 0);
	for (size_t i = 0; i < count; i++)
		anyio_listener_hold(listeners[i]);
	anyio_task_group_enter(&serve.connections);
	rc = service == NULL ? serve_accept_all(&serve)
			     : anyio_service_until_stop(service, serve_accept_all, &serve);
	for (size_t i = 0; i < count; i++) {
		anyio_listener_close(listeners[i]);
		anyio_listener_release(listeners[i]);
	}
	return anyio_task_group_exit(&serve.connections, rc);
}
