#include <errno.h>
#include "net.h"

struct serve {
	struct anyio_listener *listener;
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

static void serve_failed(const struct serve *serve, int rc)
{
	if (serve->options->failed != NULL)
		serve->options->failed(serve->arg, rc);
}

static int connection_main(void *arg)
{
	struct connection *connection = arg;
	struct serve *serve = connection->serve;
	struct anyio_stream *stream = connection->stream;
	int rc;

	anyio_free(connection);
	rc = serve->handler(stream, serve->arg);
	anyio_semaphore_release(&serve->places);
	if (rc == ANYIO_CANCELLED && anyio_cancel_pending())
		return rc;
	if (rc < 0)
		serve_failed(serve, rc);
	return 0;
}

static int connection_start(struct serve *serve, struct anyio_stream *stream)
{
	const struct anyio_task_options options = {
		.name = serve->options->name == NULL ? "connection" : serve->options->name,
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

/* Never returns 0: ends with what ended the accepting. */
static int serve_accept(void *arg)
{
	struct serve *serve = arg;

	for (;;) {
		struct anyio_stream *stream;
		int rc = anyio_semaphore_acquire(&serve->places);

		if (rc == 0)
			rc = anyio_accept(serve->listener, &stream);
		if (rc < 0)
			return rc;
		rc = connection_start(serve, stream);
		if (rc < 0) {
			anyio_semaphore_release(&serve->places);
			anyio_stream_free(stream);
			serve_failed(serve, rc);
		}
	}
}

int anyio_serve(struct anyio_listener *listener, anyio_handler_fn handler, void *arg,
	struct anyio_service *service, const struct anyio_serve_options *options)
{
	static const struct anyio_serve_options defaults;
	struct serve serve = { .listener = listener, .handler = handler, .arg = arg };
	size_t most;
	int rc;

	serve.options = options == NULL ? &defaults : options;
	most = serve.options->max_connections;
	anyio_semaphore_init(&serve.places, most == 0 ? UINT64_MAX : most, 0);
	anyio_listener_hold(listener);
	anyio_task_group_enter(&serve.connections);
	rc = service == NULL ? serve_accept(&serve)
			     : anyio_service_until_stop(service, serve_accept, &serve);
	anyio_listener_close(listener);
	anyio_listener_release(listener);
	return anyio_task_group_exit(&serve.connections, rc == ANYIO_CLOSED ? 0 : rc);
}
