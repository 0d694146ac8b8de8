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
	rc = anyio_connect_tcp_with(host, port, own.connect, &transport);
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

/* What anyio_serve hands to each connection. */
struct serve {
	struct anyio_tls_context *context;
	const struct anyio_tls_options *options;
	anyio_handler_fn handler;
	void *arg;
	void (*failed)(void *arg, const struct anyio_task_error *error);
	const char *reason; /* of the handshake that failed, until it is told */
};

static int serve_shake(void *arg)
{
	return anyio_tls_handshake(arg);
}

static int serve_secure(
	struct serve *serve, struct anyio_stream *transport, struct anyio_stream **stream)
{
	anyio_time timeout = serve->options->handshake_timeout;
	const char *reason = NULL;
	int rc = anyio_tls_wrap(transport, serve->context, serve->options, stream);

	if (rc < 0) {
		anyio_stream_free(transport);
	} else {
		rc = anyio_fail_after(
			timeout == 0 ? HANDSHAKE_TIMEOUT : timeout, serve_shake, *stream);
		if (rc == 0)
			return 0;
		reason = anyio_tls_error_text(*stream);
		anyio_stream_free(*stream);
	}
	if (rc == ANYIO_CANCELLED) /* which nobody is told */
		return rc;
	serve->reason = reason == NULL ? anyio_error_text(rc) : reason;
	return anyio_fail(rc, serve->reason);
}

static int serve_connection(struct anyio_stream *transport, void *arg)
{
	struct serve *serve = arg;
	struct anyio_stream *stream;
	int rc = serve_secure(serve, transport, &stream);

	return rc < 0 ? rc : serve->handler(stream, serve->arg);
}

/* No other task runs between a connection's end and this. */
static void serve_failed(void *arg, const struct anyio_task_error *error)
{
	struct serve *serve = arg;

	if (serve->options->reason != NULL)
		*serve->options->reason = serve->reason;
	serve->reason = NULL;
	if (serve->failed != NULL)
		serve->failed(serve->arg, error);
}

int anyio_tls_serve(struct anyio_listener *const *listeners, size_t count,
	struct anyio_tls_context *context, const struct anyio_tls_options *tls,
	anyio_handler_fn handler, void *arg, struct anyio_service *service,
	const struct anyio_serve_options *options)
{
	static const struct anyio_tls_options plain;
	struct serve serve = { context, tls == NULL ? &plain : tls, handler, arg, NULL, NULL };
	struct anyio_serve_options own = { .name = NULL };

	if (!context->server || serve.options->server_name != NULL ||
		serve.options->session != NULL)
		return -EINVAL;
	if (options != NULL)
		own = *options;
	if (own.name == NULL)
		own.name = "TLS connection";
	serve.failed = own.failed;
	own.failed = serve_failed;
	return anyio_serve(listeners, count, serve_connection, &serve, service, &own);
}
