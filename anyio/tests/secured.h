/* What the tests of TLS share: contexts, and two streams over a pair in memory. */
#ifndef ANYIO_TESTS_SECURED_H
#define ANYIO_TESTS_SECURED_H

#include "certificates.h"
#include "sockets.h"

typedef struct anyio_tls_context_options context_options;

static inline struct anyio_tls_context *context_make(context_options options)
{
	struct anyio_tls_context *context;
	char reason[256];

	options.reason = reason;
	options.reason_size = sizeof(reason);
	if (anyio_tls_context_create(&options, &context) < 0)
		conformance_fail(__FILE__, __LINE__, "no context: %s", reason);
	return context;
}

static inline struct anyio_tls_context *server_make(
	const struct identity *identity, context_options options)
{
	options.server = true;
	options.certificate = pem_of(identity->chain);
	options.key = pem_of(identity->key);
	return context_make(options);
}

static inline struct anyio_tls_context *client_make(context_options options)
{
	options.roots = pem_of(certificates.root.chain);
	return context_make(options);
}

struct secured {
	struct anyio_stream *client, *server;
	struct anyio_stream *raw[2]; /* the client's and the server's transport */
	int client_rc, server_rc;
};

/* Both ends over raw[0] and raw[1]. */
static inline void secure_kept(struct secured *self, struct anyio_tls_context *client,
	struct anyio_tls_context *server, struct anyio_tls_options options)
{
	bool ragged = options.allow_ragged;

	if (options.server_name == NULL && !options.any_name)
		options.server_name = "localhost";
	CHECK_RC(anyio_tls_wrap(self->raw[0], client, &options, &self->client), 0);
	options = (struct anyio_tls_options){ .allow_ragged = ragged };
	CHECK_RC(anyio_tls_wrap(self->raw[1], server, &options, &self->server), 0);
}

/* The contexts are given up. */
static inline void secure_over(struct secured *self, struct anyio_tls_context *client,
	struct anyio_tls_context *server, struct anyio_tls_options options)
{
	secure_kept(self, client, server, options);
	anyio_tls_context_free(client);
	anyio_tls_context_free(server);
}

static inline void secure(struct secured *self, struct anyio_tls_context *client,
	struct anyio_tls_context *server, struct anyio_tls_options options)
{
	*self = (struct secured){ .client_rc = 1, .server_rc = 1 };
	CHECK_RC(anyio_stream_pair(0, self->raw), 0);
	secure_over(self, client, server, options);
}

static inline int shake_client(void *arg)
{
	struct secured *self = arg;

	self->client_rc = anyio_tls_handshake(self->client);
	return 0;
}

static inline int shake_server(void *arg)
{
	struct secured *self = arg;

	self->server_rc = anyio_tls_handshake(self->server);
	return 0;
}

/* Runs both handshakes; the results are in self. */
static inline void shake(struct secured *self)
{
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	spawn(&group, shake_client, self, NULL);
	spawn(&group, shake_server, self, NULL);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
}

/* With a version alone (0: the highest), shaken. */
static inline void secure_plain(struct secured *self, enum anyio_tls_version version)
{
	secure(self, client_make((context_options){ .max_version = version }),
		server_make(&certificates.server, (context_options){ .max_version = version }),
		(struct anyio_tls_options){ .server_name = NULL });
	shake(self);
	CHECK_RC(self->client_rc, 0);
	CHECK_RC(self->server_rc, 0);
}

static inline void secured_free(struct secured *self)
{
	anyio_stream_free(self->client);
	anyio_stream_free(self->server);
}

/* What is sent on one comes out at the other, whole. */
static inline void expect(struct anyio_stream *to, const char *text)
{
	char buffer[64] = "";
	size_t size = strlen(text);

	CHECK_RC(anyio_stream_receive_exactly(to, buffer, size), 0);
	CHECK(memcmp(buffer, text, size) == 0);
}

static inline void pass(struct anyio_stream *from, struct anyio_stream *to, const char *text)
{
	CHECK_RC(anyio_stream_send(from, text, strlen(text)), 0);
	expect(to, text);
}

/* Handshakes take their time: where the order of tasks decides nothing one in ten of the simulation's many
 * seeds does. A body that is asked to returns 0 at once. */
static inline bool not_this_seed(unsigned *runs)
{
	return strcmp(anyio_backend_name(), "sim") == 0 && (*runs)++ % 10 != 0;
}

static inline int run_secured(const struct conformance_case *cases, size_t count)
{
	int failed;

	certificates_make();
	failed = run_conformance(cases, count);
	certificates_free();
	return failed;
}

#endif
