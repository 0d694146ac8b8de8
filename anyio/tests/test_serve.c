/* Serving: a task a connection, limits, failures, and how it ends. */
#include "sockets.h"

/* A server whose conversations are one byte in, the same byte out, until the end; 'x' fails, and 's'
 * is answered only after a long time. */
struct server {
	struct anyio_listener *listener, *second;
	struct anyio_address address, second_address;
	struct anyio_serve_options options;
	struct anyio_task_handle handle;
	struct anyio_event serving; /* somebody began */
	int rc, at_once, most, ended, cancelled, failures, failure;
	struct anyio_task_error last;
};

#define LONG (5 * ANYIO_SECOND)

static int talk(struct anyio_stream *stream)
{
	char byte;
	ssize_t n;

	while ((n = anyio_stream_receive(stream, &byte, 1)) > 0) {
		if (byte == 'x')
			return anyio_fail(-EBADMSG, "an x");
		n = byte == 's' ? anyio_sleep(LONG) : 0;
		if (n == 0)
			n = anyio_stream_send(stream, &byte, 1);
		if (n < 0)
			break;
	}
	return (int)n;
}

static int converse(struct anyio_stream *stream, void *arg)
{
	struct server *self = arg;
	int rc;

	anyio_event_set(&self->serving);
	if (++self->at_once > self->most)
		self->most = self->at_once;
	rc = talk(stream);
	anyio_stream_free(stream);
	self->at_once--;
	self->ended++;
	self->cancelled += rc == ANYIO_CANCELLED;
	return rc;
}

static void count_failure(void *arg, const struct anyio_task_error *error)
{
	struct server *self = arg;

	self->failures++;
	self->failure = error->code;
	self->last = *error;
}

static int serve(void *arg)
{
	struct server *self = arg;

	struct anyio_listener *listeners[] = { self->listener, self->second };

	self->rc = anyio_serve(
		listeners, self->second == NULL ? 1 : 2, converse, self, NULL, &self->options);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static void server_init(struct server *self, size_t most)
{
	*self = (struct server){
		.options = { .max_connections = most, .failed = count_failure },
		.rc = 1,
	};
	anyio_event_init(&self->serving);
	self->listener = listen_local(&self->address);
}

static void server_init_two(struct server *self, size_t most)
{
	server_init(self, most);
	self->second = listen_local(&self->second_address);
}

static struct anyio_stream *client_at(const struct anyio_address *address)
{
	struct anyio_stream *stream;

	CHECK_RC(anyio_connect_address(address, &stream), 0);
	return stream;
}

static struct anyio_stream *client(const struct server *server)
{
	return client_at(&server->address);
}

/* A cancelled accept may take the kernel a while; from its end on newcomers are refused. */
static void wait_refused(const struct server *server)
{
	struct anyio_stream *late;
	int rc;

	while ((rc = anyio_connect_address(&server->address, &late)) == 0)
		anyio_stream_free(late);
	CHECK(rc == -ECONNREFUSED || rc == ANYIO_BROKEN || rc == -ECONNRESET);
}

static void check_echo(struct anyio_stream *stream, char byte)
{
	char back = 0;

	CHECK_RC(anyio_stream_send(stream, &byte, 1), 0);
	CHECK_RC(anyio_stream_receive(stream, &back, 1), 1);
	CHECK_RC(back, byte);
}

/* The end of a listener lets conversations go on, whichever way it ends. */
static int closing_the_listener_lets_connections_end(void *arg)
{
	for (int freed = 0; freed < 2; freed++) {
		struct server server;
		struct anyio_task_group group;
		struct anyio_stream *clients[3];

		server_init(&server, 0);
		anyio_task_group_enter(&group);
		spawn(&group, serve, &server, NULL);
		for (int i = 0; i < 3; i++) {
			clients[i] = client(&server);
			check_echo(clients[i], 'a');
		}
		CHECK_RC(server.most, 3);
		if (freed)
			anyio_listener_free(server.listener);
		else
			anyio_listener_close(server.listener);
		anyio_wait_all_tasks_blocked();
		wait_refused(&server);
		CHECK_RC(server.rc, 1);
		for (int i = 0; i < 3; i++) {
			check_echo(clients[i], 'b');
			anyio_stream_free(clients[i]);
		}
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(server.rc, 0);
		CHECK_RC(server.ended, 3);
		CHECK_RC(server.failures, 0);
		if (!freed) {
			CHECK_RC(
				anyio_serve(&server.listener, 1, converse, &server, NULL, NULL), 0);
			CHECK_RC(anyio_listener_address(server.listener, &server.address),
				ANYIO_CLOSED);
			anyio_listener_free(server.listener);
		}
	}
	return 0;
}

static int a_failure_ends_its_connection_alone(void *arg)
{
	struct server server;
	struct anyio_task_group group;
	struct anyio_stream *good, *bad;
	char byte = 'x';

	server_init(&server, 0);
	anyio_task_group_enter(&group);
	spawn(&group, serve, &server, NULL);
	good = client(&server);
	check_echo(good, 'a');
	bad = client(&server);
	CHECK_RC(anyio_stream_send(bad, &byte, 1), 0);
	CHECK_RC(anyio_stream_receive(bad, &byte, 1), 0);
	CHECK_RC(server.failures, 1);
	CHECK_RC(server.failure, -EBADMSG);
	CHECK(strcmp(server.last.text, "an x") == 0);
	CHECK(strcmp(server.last.task, "connection") == 0);
	check_echo(good, 'b');
	anyio_stream_free(bad);
	anyio_stream_free(good);
	anyio_listener_free(server.listener);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(server.rc, 0);
	return 0;
}

static int a_full_house_accepts_nobody(void *arg)
{
	struct server server;
	struct anyio_task_group group;
	struct anyio_stream *clients[3];
	char byte = 'c';

	server_init(&server, 2);
	anyio_task_group_enter(&group);
	spawn(&group, serve, &server, NULL);
	for (int i = 0; i < 3; i++)
		clients[i] = client(&server);
	check_echo(clients[0], 'a');
	check_echo(clients[1], 'b');
	CHECK_RC(anyio_stream_send(clients[2], &byte, 1), 0);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(server.at_once, 2);
	anyio_stream_free(clients[0]);
	CHECK_RC(anyio_stream_receive(clients[2], &byte, 1), 1);
	CHECK_RC(server.most, 2);
	/* Freed while it waits for a place, not for a connection. */
	anyio_listener_free(server.listener);
	anyio_stream_free(clients[1]);
	anyio_stream_free(clients[2]);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(server.rc, 0);
	CHECK_RC(server.ended, 3);
	return 0;
}

/* And a listener where nobody comes takes no place. */
static int several_listeners_have_one_limit(void *arg)
{
	struct server server;
	struct anyio_task_group group;
	struct anyio_stream *at_second, *at_first;
	char byte = 'b';

	server_init_two(&server, 1);
	anyio_task_group_enter(&group);
	spawn(&group, serve, &server, NULL);
	at_second = client_at(&server.second_address);
	check_echo(at_second, 'a');
	at_first = client(&server);
	CHECK_RC(anyio_stream_send(at_first, &byte, 1), 0);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(server.at_once, 1);
	anyio_stream_free(at_second);
	CHECK_RC(anyio_stream_receive(at_first, &byte, 1), 1);
	anyio_stream_free(at_first);
	/* Again, the other way round. */
	at_first = client(&server);
	check_echo(at_first, 'c');
	anyio_stream_free(at_first);
	at_second = client_at(&server.second_address);
	check_echo(at_second, 'd');
	anyio_stream_free(at_second);
	CHECK_RC(server.most, 1);
	anyio_listener_free(server.listener);
	anyio_listener_free(server.second);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(server.rc, 0);
	CHECK_RC(server.ended, 4);
	return 0;
}

static int closing_one_listener_leaves_the_others(void *arg)
{
	for (int first = 0; first < 2; first++) {
		struct server server;
		struct anyio_task_group group;
		struct anyio_stream *stream;

		server_init_two(&server, 0);
		anyio_task_group_enter(&group);
		spawn(&group, serve, &server, NULL);
		anyio_wait_all_tasks_blocked();
		anyio_listener_free(first ? server.listener : server.second);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(server.rc, 1);
		stream = client_at(first ? &server.second_address : &server.address);
		check_echo(stream, 'a');
		anyio_stream_free(stream);
		anyio_listener_free(first ? server.second : server.listener);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(server.rc, 0);
		CHECK_RC(server.ended, 1);
	}
	return 0;
}

static int without_a_task_for_a_listener_none_is_served(void *arg)
{
	struct server server;

	server_init_two(&server, 0);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	CHECK_RC(serve(&server), 0);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	CHECK_RC(server.rc, -ENOMEM);
	CHECK_RC(anyio_listener_address(server.listener, &server.address), ANYIO_CLOSED);
	CHECK_RC(anyio_listener_address(server.second, &server.address), ANYIO_CLOSED);
	CHECK_RC(anyio_serve(&server.listener, 0, converse, &server, NULL, NULL), -EINVAL);
	anyio_listener_free(server.listener);
	anyio_listener_free(server.second);
	return 0;
}

static int cancelling_cancels_the_connections(void *arg)
{
	struct server server;
	struct anyio_task_group group;
	struct anyio_stream *stream, *late;

	server_init(&server, 0);
	anyio_task_group_enter(&group);
	spawn(&group, serve, &server, &server.handle);
	stream = client(&server);
	check_echo(stream, 'a');
	anyio_task_handle_cancel(&server.handle, "test");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(server.rc, ANYIO_CANCELLED);
	CHECK_RC(server.cancelled, 1);
	CHECK_RC(server.failures, 0);
	CHECK_RC(anyio_connect_address(&server.address, &late), -ECONNREFUSED);
	anyio_stream_free(stream);
	anyio_listener_free(server.listener);
	return 0;
}

/* Stops accepting, lets what runs drain up to the grace period, cancels the rest. */
static int web(struct anyio_service *service, void *arg)
{
	struct server *self = arg;

	anyio_started(NULL);
	return anyio_serve(&self->listener, 1, converse, self, service, &self->options);
}

static int drain(void *arg)
{
	anyio_wait_all_tasks_blocked();
	wait_refused(arg);
	return 0;
}

static int a_stopped_service_drains(void *arg)
{
	for (int slow = 0; slow < 2; slow++) {
		const struct anyio_service_options grace = { .grace = slow ? LONG / 2 : LONG * 2 };
		struct server server;
		struct anyio_service_group services;
		struct anyio_service service;
		struct anyio_stream *stream;
		struct anyio_task_group group;
		char byte = 's';

		server_init(&server, 0);
		anyio_task_group_enter(&group);
		anyio_service_group_enter(&services, &grace);
		CHECK_RC(anyio_service_start(&services, &service, web, &server, "web"), 0);
		stream = client(&server);
		CHECK_RC(anyio_stream_send(stream, &byte, 1), 0);
		CHECK_RC(anyio_stream_send_eof(stream), 0);
		CHECK_RC(anyio_event_wait(&server.serving), 0);
		spawn(&group, drain, &server, NULL);
		CHECK_RC(anyio_service_group_exit(&services, 0), 0);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(server.ended, 1);
		CHECK_RC(server.cancelled, slow);
		CHECK(anyio_service_state(&service) ==
			(slow ? ANYIO_SERVICE_CUT_SHORT : ANYIO_SERVICE_FINISHED));
		/* Who was served in time has the answer. */
		if (!slow)
			CHECK_RC(anyio_stream_receive(stream, &byte, 1), 1);
		anyio_stream_free(stream);
		anyio_listener_free(server.listener);
	}
	return 0;
}

/* Short of memory at any point, one may be turned away; the next is served. */
static int a_shortage_turns_one_away(void *arg)
{
	struct server server;
	struct anyio_task_group group;
	int turned_away = 0;

	server_init(&server, 0);
	anyio_task_group_enter(&group);
	spawn(&group, serve, &server, NULL);
	for (uint64_t at = 1; at <= 8; at++) {
		struct anyio_stream *stream;
		char byte = 'a';

		anyio_fault_set(ANYIO_FAULT_MEMORY, at, -ENOMEM);
		if (anyio_connect_address(&server.address, &stream) == 0) {
			(void)anyio_stream_send(stream, &byte, 1);
			turned_away += anyio_stream_receive(stream, &byte, 1) != 1;
		}
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		anyio_stream_free(stream);
		stream = client(&server);
		check_echo(stream, 'b');
		anyio_stream_free(stream);
	}
	CHECK(turned_away >= 2);
	CHECK(server.failures >= 2);
	CHECK_RC(server.failure, -ENOMEM);
	CHECK(strcmp(server.last.text, anyio_error_text(-ENOMEM)) == 0);
	CHECK(strcmp(server.last.task, "connection") == 0);
	anyio_listener_free(server.listener);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(server.rc, 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(closing_the_listener_lets_connections_end, 0),
		CONFORM(a_failure_ends_its_connection_alone, 0),
		CONFORM(a_full_house_accepts_nobody, 0),
		CONFORM(several_listeners_have_one_limit, 0),
		CONFORM(closing_one_listener_leaves_the_others, 0),
		CONFORM(without_a_task_for_a_listener_none_is_served, 0),
		CONFORM(cancelling_cancels_the_connections, 0),
		CONFORM(a_stopped_service_drains, CONFORM_MOCK),
		CONFORM(a_shortage_turns_one_away, 0),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
