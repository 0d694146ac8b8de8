/* Serving TLS: what is anyio_serve's stays so (test_serve.c), and what the handshake adds. */
#include "secured.h"

struct server {
	struct anyio_listener *listener;
	struct anyio_tls_context *context;
	struct anyio_address address;
	struct anyio_tls_options tls;
	struct anyio_serve_options options;
	struct anyio_task_group group;
	struct anyio_event ended, failed; /* one did */
	const char *reason;
	int rc, conversations, failures, failure;
};

/* Answers with what it hears; 'x' fails. */
static int converse(struct anyio_stream *stream, void *arg)
{
	struct server *self = arg;
	char byte;
	int rc = 0;

	self->conversations++;
	while (rc == 0 && anyio_stream_receive(stream, &byte, 1) > 0)
		rc = byte == 'x' ? -EDOM : anyio_stream_send(stream, &byte, 1);
	if (rc == 0)
		(void)anyio_stream_send_eof(stream);
	anyio_stream_free(stream);
	anyio_event_set(&self->ended);
	return rc;
}

static void count_failure(void *arg, const struct anyio_task_error *error)
{
	struct server *self = arg;

	self->failures++;
	self->failure = error->code;
	CHECK((self->reason == NULL) == (error->code == -EDOM));
	CHECK(self->reason == NULL || error->text == self->reason);
	anyio_event_set(&self->failed);
}

static int serve(void *arg)
{
	struct server *self = arg;

	self->rc = anyio_tls_serve(&self->listener, 1, self->context, &self->tls, converse, self,
		NULL, &self->options);
	return self->rc == ANYIO_CANCELLED ? self->rc : 0;
}

static void server_start(struct server *self, const struct identity *identity)
{
	*self = (struct server){
		.tls = { .reason = &self->reason },
		.options = { .failed = count_failure },
		.rc = 1,
	};
	anyio_event_init(&self->ended);
	anyio_event_init(&self->failed);
	self->listener = listen_local(&self->address);
	self->context = server_make(identity, (context_options){ .max_version = 0 });
	anyio_task_group_enter(&self->group);
	spawn(&self->group, serve, self, NULL);
}

/* Lets conversations end. */
static void server_end(struct server *self)
{
	anyio_listener_free(self->listener);
	CHECK_RC(anyio_task_group_exit(&self->group, 0), 0);
	CHECK_RC(self->rc, 0);
	anyio_tls_context_free(self->context);
}

static uint16_t port_of(const struct server *self)
{
	return ntohs(self->address.ip4.sin_port);
}

static struct anyio_stream *client(const struct server *self)
{
	struct anyio_tls_context *context = client_make((context_options){ .max_version = 0 });
	struct anyio_stream *stream;

	CHECK_RC(anyio_tls_connect("localhost", port_of(self), context, NULL, &stream), 0);
	anyio_tls_context_free(context);
	return stream;
}

static void client_end(struct anyio_stream *stream)
{
	char byte;

	CHECK_RC(anyio_stream_send_eof(stream), 0);
	CHECK_RC(anyio_stream_receive(stream, &byte, 1), 0);
	anyio_stream_free(stream);
}

static struct anyio_stream *silent_client(const struct server *self)
{
	struct anyio_stream *stream;

	CHECK_RC(anyio_connect_address(&self->address, &stream), 0);
	return stream;
}

static void on_completed(
	void *arg, const struct anyio_task *task, const char *operation, int fd, int64_t result)
{
	if (strcmp(operation, "accept") == 0 && result >= 0)
		*(bool *)arg = true;
}

static int come(void *arg)
{
	struct anyio_stream *stream;
	int rc = anyio_connect_address(arg, &stream);

	anyio_stream_free(stream);
	CHECK(rc == 0 || rc == -ECONNREFUSED || rc == ANYIO_BROKEN || rc == -ECONNRESET);
	return 0;
}

/* In the turn in which the connection is there and who accepts has not run yet. */
static int freed_as_a_client_comes(void *arg)
{
	bool simulated = strcmp(anyio_backend_name(), "sim") == 0, accepted = false;
	struct anyio_instrument instrument = { .arg = &accepted,
		.operation_completed = on_completed };
	struct server server;

	server_start(&server, &certificates.server);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_instrument_add(&instrument), 0);
	spawn(&server.group, come, &server.address, NULL);
	while (!accepted)
		CHECK_RC(simulated ? anyio_sleep(ANYIO_MICROSECOND) : anyio_checkpoint(), 0);
	CHECK_RC(anyio_instrument_remove(&instrument), 0);
	server_end(&server);
	return 0;
}

/* Nor is it turned away before its time. */
static int who_is_silent_keeps_nobody_waiting(void *arg)
{
	struct server server;
	struct anyio_stream *silent, *stream;

	server_start(&server, &certificates.server);
	silent = silent_client(&server);
	stream = client(&server);
	pass(stream, stream, "echo");
	client_end(stream);
	CHECK_RC(server.conversations, 1);
	CHECK_RC(server.failures, 0);
	anyio_stream_free(silent);
	server_end(&server);
	CHECK_RC(server.failures, 1);
	CHECK(server.reason != NULL);
	return 0;
}

static int who_is_silent_is_turned_away_in_time(void *arg)
{
	struct server server;
	struct anyio_stream *silent;
	char byte;

	server_start(&server, &certificates.server);
	server.tls.handshake_timeout = ANYIO_MILLISECOND;
	silent = silent_client(&server);
	CHECK_RC(anyio_event_wait(&server.failed), 0);
	CHECK_RC(server.failure, -ETIMEDOUT);
	CHECK(anyio_stream_receive(silent, &byte, 1) <= 0);
	anyio_stream_free(silent);
	server_end(&server);
	CHECK_RC(server.conversations, 0);
	return 0;
}

/* Of the handshake as of the handler. */
static int a_failure_ends_its_connection_alone(void *arg)
{
	struct server server;
	struct anyio_stream *good, *bad, *silent;
	char byte;

	server_start(&server, &certificates.server);
	good = client(&server);
	pass(good, good, "before");
	silent = silent_client(&server);
	CHECK_RC(anyio_stream_send(silent, "no hello of TLS", 15), 0);
	CHECK_RC(anyio_event_wait(&server.failed), 0);
	CHECK_RC(server.failure, ANYIO_TLS_FAILED);
	bad = client(&server);
	CHECK_RC(anyio_stream_send(bad, "x", 1), 0);
	CHECK(anyio_stream_receive(bad, &byte, 1) < 0);
	pass(good, good, "after");
	CHECK_RC(server.failures, 2);
	CHECK_RC(server.failure, -EDOM);
	anyio_stream_free(silent);
	anyio_stream_free(bad);
	client_end(good);
	server_end(&server);
	return 0;
}

static int connecting_says_why_it_failed(void *arg)
{
	struct server server;
	struct anyio_tls_context *context = client_make((context_options){ .max_version = 0 });
	const char *reason = NULL;
	struct anyio_tls_options options = { .reason = &reason };
	struct anyio_stream *stream;
	uint16_t port;

	server_start(&server, &certificates.elsewhere);
	port = port_of(&server);
	CHECK_RC(anyio_tls_connect("localhost", port, context, &options, &stream),
		ANYIO_TLS_CERTIFICATE);
	CHECK(stream == NULL && strcmp(reason, "hostname mismatch") == 0);
	server_end(&server);
	CHECK_RC(anyio_tls_connect("localhost", port, context, &options, &stream), -ECONNREFUSED);
	CHECK(stream == NULL && reason != NULL);
	anyio_tls_context_free(context);
	return 0;
}

static int connecting_comes_from_the_local_address(void *arg)
{
	struct anyio_address local, seen;
	const struct anyio_connect_options from = { .local = &local };
	const struct anyio_tls_options options = { .connect = &from };
	struct anyio_tls_context *context = client_make((context_options){ .max_version = 0 });
	struct server server;
	struct anyio_stream *stream;

	server_start(&server, &certificates.server);
	CHECK_RC(anyio_address_parse(&local, "127.0.0.2", 0), 0);
	CHECK_RC(anyio_tls_connect("localhost", port_of(&server), context, &options, &stream), 0);
	CHECK_RC(anyio_stream_local_address(stream, &seen), 0);
	CHECK(seen.ip4.sin_addr.s_addr == local.ip4.sin_addr.s_addr);
	pass(stream, stream, "echo");
	client_end(stream);
	server_end(&server);
	anyio_tls_context_free(context);
	return 0;
}

/* Stopped as a service is: nobody new, who is there goes on, who is in the handshake too. */
static int web(struct anyio_service *service, void *arg)
{
	struct server *self = arg;

	anyio_started(NULL);
	self->rc = anyio_tls_serve(&self->listener, 1, self->context, &self->tls, converse, self,
		service, &self->options);
	return self->rc;
}

static int talk_while_it_stops(void *arg)
{
	struct server *server = arg;
	struct anyio_stream *stream = client(server);

	pass(stream, stream, "before");
	anyio_event_set(&server->ended);
	anyio_wait_all_tasks_blocked();
	pass(stream, stream, "after");
	client_end(stream);
	return 0;
}

static int a_stopped_service_drains(void *arg)
{
	struct server server = { .rc = 1, .options = { .max_connections = 1 } };
	struct anyio_service_group services;
	struct anyio_service service;
	struct anyio_task_group group;

	server.listener = listen_local(&server.address);
	server.context = server_make(&certificates.server, (context_options){ .max_version = 0 });
	anyio_event_init(&server.ended);
	anyio_task_group_enter(&group);
	anyio_service_group_enter(&services, NULL);
	CHECK_RC(anyio_service_start(&services, &service, web, &server, "web"), 0);
	spawn(&group, talk_while_it_stops, &server, NULL);
	CHECK_RC(anyio_event_wait(&server.ended), 0);
	CHECK_RC(anyio_service_group_exit(&services, 0), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(server.rc, 0);
	CHECK(anyio_service_state(&service) == ANYIO_SERVICE_FINISHED);
	anyio_listener_free(server.listener);
	anyio_tls_context_free(server.context);
	return 0;
}

static int what_is_for_clients_is_refused(void *arg)
{
	struct anyio_address address;
	struct anyio_listener *listener = listen_local(&address);
	struct anyio_tls_context *context = client_make((context_options){ .max_version = 0 });
	const struct anyio_tls_options named = { .server_name = "localhost" };

	CHECK_RC(anyio_tls_serve(&listener, 1, context, NULL, converse, NULL, NULL, NULL), -EINVAL);
	anyio_tls_context_free(context);
	context = server_make(&certificates.server, (context_options){ .max_version = 0 });
	CHECK_RC(anyio_tls_serve(&listener, 1, context, &named, converse, NULL, NULL, NULL),
		-EINVAL);
	CHECK_RC(anyio_listener_address(listener, &address), 0); /* open */
	anyio_tls_context_free(context);
	anyio_listener_free(listener);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(freed_as_a_client_comes, 0),
		CONFORM(who_is_silent_keeps_nobody_waiting, 0),
		CONFORM(who_is_silent_is_turned_away_in_time, 0),
		CONFORM(a_failure_ends_its_connection_alone, 0),
		CONFORM(connecting_says_why_it_failed, 0),
		CONFORM(connecting_comes_from_the_local_address, 0),
		CONFORM(a_stopped_service_drains, 0),
		CONFORM(what_is_for_clients_is_refused, 0),
	};
	return run_secured(cases, sizeof(cases) / sizeof(*cases));
}
