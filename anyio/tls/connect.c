/* Making TLS streams over TCP: connecting, accepting, serving. */
#include <errno.h>
#include "tls.h"

#define HANDSHAKE_TIMEOUT (30 * ANYIO_SECOND)

static int connect_over(struct anyio_stream *transport, struct anyio_tls_context *context,
	const struct anyio_tls_options *options, struct anyio_stream **stream)
{
	int rc = anyio_tls_wrap(transport, context, options, stream);

	if (rc < 0) {
		anyio_stream_free(transport);
		return rc;
	}
	rc = anyio_tls_handshake(*stream);
	if (rc == 0)
		return 0;
	if (options->reason != NULL)
		*options->reason = anyio_tls_error_text(*stream);
	anyio_stream_free(*stream);
	*stream = NULL;
	return rc;
}

int anyio_tls_connect(const char *host, uint16_t port, struct anyio_tls_context *context,
	const struct anyio_tls_options *options, struct anyio_stream **stream)
{
	struct anyio_tls_options own = { .server_name = NULL };
	struct anyio_stream *transport;
	int rc;

	if (options != NULL)
		own = *options;
	if (own.server_name == NULL)
		own.server_name = host;
	if (own.reason != NULL)
		*own.reason = NULL;
	*stream = NULL;
	rc = anyio_connect_tcp(host, port, &transport);
	if (rc == 0)
		rc = connect_over(transport, context, &own, stream);
	if (own.reason != NULL && *own.reason == NULL && rc < 0)
		*own.reason = anyio_error_text(rc);
	return rc;
}

int anyio_tls_accept(struct anyio_listener *listener, struct anyio_tls_context *context,
	const struct anyio_tls_options *options, struct anyio_stream **stream)
{
	struct anyio_stream *transport;
	int rc = anyio_accept(listener, &transport);

	*stream = NULL;
	if (rc < 0)
		return rc;
	rc = anyio_tls_wrap(transport, context, options, stream);
	if (rc < 0)
		anyio_stream_free(transport);
	return rc;
}

struct service {
	struct anyio_task_group group;
	struct anyio_tls_context *context;
	const struct anyio_tls_serve_options *options;
	anyio_tls_client_fn handle;
	void *arg;
};

struct client {
	struct service *service;
	struct anyio_stream *stream;
};

static void refuse(const struct service *service, int rc, const char *text)
{
	if (service->options->refused != NULL)
		service->options->refused(
			service->arg, rc, text == NULL ? anyio_error_text(rc) : text);
}

static int client_handshake(void *arg)
{
	return anyio_tls_handshake(arg);
}

static int client_run(void *arg)
{
	struct client *client = arg;
	struct service *service = client->service;
	anyio_time timeout = service->options->handshake_timeout;
	int rc = anyio_fail_after(
		timeout == 0 ? HANDSHAKE_TIMEOUT : timeout, client_handshake, client->stream);

	if (rc == 0) {
		rc = service->handle(client->stream, service->arg);
	} else if (rc != ANYIO_CANCELLED) {
		refuse(service, rc, anyio_tls_error_text(client->stream));
		rc = 0;
	}
	anyio_stream_free(client->stream);
	anyio_free(client);
	return rc;
}

/* The stream is the client's from here on. */
static int client_start(struct service *service, struct anyio_stream *stream)
{
	struct anyio_task_options options = {
		.name = "tls client", .stack_size = service->options->stack_size, .may_fail = true
	};
	struct client *client = anyio_malloc(sizeof(*client));
	int rc = -ENOMEM;

	if (client != NULL) {
		*client = (struct client){ service, stream };
		rc = anyio_start_soon_with(&service->group, client_run, client, &options);
	}
	if (rc < 0) {
		anyio_stream_free(stream);
		anyio_free(client);
	}
	return rc;
}

static int serve(struct service *service, struct anyio_listener *listener)
{
	for (;;) {
		struct anyio_stream *transport, *stream;
		int rc = anyio_accept(listener, &transport);

		if (rc < 0)
			return rc;
		rc = anyio_tls_wrap(
			transport, service->context, &service->options->stream, &stream);
		if (rc < 0)
			anyio_stream_free(transport);
		else
			rc = client_start(service, stream);
		if (rc == -EINVAL)
			return rc;
		if (rc < 0)
			refuse(service, rc, NULL);
	}
}

int anyio_tls_serve(struct anyio_listener *listener, struct anyio_tls_context *context,
	const struct anyio_tls_serve_options *options, anyio_tls_client_fn handle, void *arg)
{
	static const struct anyio_tls_serve_options defaults;
	struct service service = { .context = context,
		.options = options == NULL ? &defaults : options,
		.handle = handle,
		.arg = arg };

	if (!context->server)
		return -EINVAL;
	anyio_task_group_enter(&service.group);
	return anyio_task_group_exit(&service.group, serve(&service, listener));
}
