/* UDP: addresses, whole datagrams, busy and closing users, what a cancel leaves, the
 * misfortunes of the simulated network. */
#include "sockets.h"
#include <errno.h>

static struct anyio_datagram *bind_host(const char *host, struct anyio_address *address)
{
	struct anyio_datagram *datagram;

	CHECK_RC(anyio_address_parse(address, host, 0), 0);
	CHECK_RC(anyio_datagram_bind(address, NULL, &datagram), 0);
	CHECK_RC(anyio_datagram_local_address(datagram, address), 0);
	return datagram;
}

static struct anyio_datagram *bind_local(struct anyio_address *address)
{
	return bind_host("127.0.0.1", address);
}

static bool same(const struct anyio_address *a, const struct anyio_address *b)
{
	char text[2][160];

	return anyio_address_format(a, text[0], sizeof(text[0])) > 0 &&
		anyio_address_format(b, text[1], sizeof(text[1])) > 0 &&
		strcmp(text[0], text[1]) == 0;
}

struct receiving {
	struct anyio_datagram *datagram;
	struct anyio_task_handle handle;
	ssize_t rc;
	char buffer[16];
};

static int receive_one(void *arg)
{
	struct receiving *self = arg;

	self->rc = anyio_datagram_receive(self->datagram, self->buffer, sizeof(self->buffer), NULL);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static void exchange(const char *host)
{
	struct anyio_address addresses[2];
	struct anyio_datagram *ends[2] = { bind_host(host, &addresses[0]),
		bind_host(host, &addresses[1]) };
	struct anyio_datagram_info info;
	char buffer[16];

	CHECK_RC(anyio_datagram_send_to(ends[0], "hello", 5, &addresses[1]), 0);
	CHECK_RC(anyio_datagram_send_to(ends[0], "", 0, &addresses[1]), 0);
	CHECK_RC(anyio_datagram_receive(ends[1], buffer, sizeof(buffer), &info), 5);
	CHECK(memcmp(buffer, "hello", 5) == 0);
	CHECK(same(&info.from, &addresses[0]) && info.size == 5);
	/* An empty one is one too. */
	CHECK_RC(anyio_datagram_receive(ends[1], buffer, sizeof(buffer), &info), 0);
	CHECK_RC(anyio_datagram_send_to(ends[1], "bye", 3, &info.from), 0);
	CHECK_RC(anyio_datagram_receive(ends[0], buffer, sizeof(buffer), NULL), 3);
	CHECK_RC(anyio_datagram_send(ends[0], "x", 1), -EDESTADDRREQ);
	CHECK_RC(anyio_datagram_remote_address(ends[0], &addresses[0]), -ENOTCONN);
	anyio_datagram_free(ends[0]);
	anyio_datagram_free(ends[1]);
}

static int plain_sockets_exchange(void *arg)
{
	exchange("127.0.0.1");
	if (has_ip6())
		exchange("::1");
	return 0;
}

static int connected_sockets_hear_their_other_side_alone(void *arg)
{
	struct anyio_address server_at, client_at, stranger_at, address;
	struct anyio_datagram *server = bind_local(&server_at), *client;
	struct anyio_datagram *stranger = bind_local(&stranger_at);
	struct anyio_datagram_info info;
	char buffer[16];

	CHECK_RC(anyio_datagram_connect(&server_at, NULL, NULL, &client), 0);
	CHECK_RC(anyio_datagram_local_address(client, &client_at), 0);
	CHECK_RC(anyio_datagram_remote_address(client, &address), 0);
	CHECK(same(&address, &server_at));
	CHECK_RC(anyio_datagram_send_to(stranger, "stranger", 8, &client_at), 0);
	CHECK_RC(anyio_datagram_send(client, "ping", 4), 0);
	CHECK_RC(anyio_datagram_receive(server, buffer, sizeof(buffer), &info), 4);
	CHECK(same(&info.from, &client_at));
	CHECK_RC(anyio_datagram_send_to(server, "pong", 4, &client_at), 0);
	CHECK_RC(anyio_datagram_receive(client, buffer, sizeof(buffer), &info), 4);
	CHECK(memcmp(buffer, "pong", 4) == 0 && same(&info.from, &server_at));
	/* Nobody there is news, and the socket goes on. */
	anyio_datagram_free(server);
	for (int i = 0; i < 2; i++) {
		CHECK_RC(anyio_datagram_send(client, "ping", 4), 0);
		CHECK_RC(anyio_datagram_receive(client, buffer, sizeof(buffer), NULL),
			-ECONNREFUSED);
	}
	CHECK_RC(anyio_datagram_bind(&server_at, NULL, &server), 0);
	CHECK_RC(anyio_datagram_send(client, "ping", 4), 0);
	CHECK_RC(anyio_datagram_receive(server, buffer, sizeof(buffer), NULL), 4);
	anyio_datagram_free(server);
	anyio_datagram_free(client);
	anyio_datagram_free(stranger);
	return 0;
}

static int both_ends_may_be_named(void *arg)
{
	struct anyio_address server_at, local;
	struct anyio_datagram *server, *client, *second;
	struct anyio_datagram_info info;
	char buffer[4];

	CHECK_RC(anyio_udp_bind("localhost", 0, NULL, &server), 0);
	CHECK_RC(anyio_datagram_local_address(server, &server_at), 0);
	/* The port lies in the same place in both families. */
	CHECK_RC(anyio_udp_connect("localhost", ntohs(server_at.ip4.sin_port), NULL, &client), 0);
	CHECK_RC(anyio_datagram_send(client, "ping", 4), 0);
	CHECK_RC(anyio_datagram_receive(server, buffer, 4, &info), 4);
	CHECK_RC(anyio_datagram_local_address(client, &local), 0);
	CHECK(same(&info.from, &local));
	CHECK_RC(anyio_udp_bind("127.0.0.1", ntohs(server_at.ip4.sin_port), NULL, &second),
		server_at.any.sa_family == AF_INET ? -EADDRINUSE : 0);
	anyio_datagram_free(second);
	CHECK_RC(anyio_datagram_connect(&server_at, &local, NULL, &second), -EADDRINUSE);
	CHECK(second == NULL);
	anyio_datagram_free(client);
	CHECK_RC(anyio_datagram_connect(&server_at, &local, NULL, &second), 0);
	CHECK_RC(anyio_datagram_local_address(second, &server_at), 0);
	CHECK(same(&server_at, &local));
	anyio_datagram_free(second);
	anyio_datagram_free(server);
	return 0;
}

static int an_open_socket_gets_a_port_by_sending(void *arg)
{
	static const struct anyio_datagram_options options = {
		.broadcast = true, .receive_buffer = 1 << 16, .send_buffer = 1 << 16
	};
	struct anyio_address address;
	struct anyio_datagram *server = bind_local(&address), *client;
	struct anyio_datagram_info info;
	char buffer[4];

	CHECK_RC(anyio_datagram_open(AF_INET, &options, &client), 0);
	CHECK_RC(anyio_datagram_send_to(client, "ping", 4, &address), 0);
	CHECK_RC(anyio_datagram_receive(server, buffer, 4, &info), 4);
	CHECK_RC(anyio_datagram_send_to(server, "pong", 4, &info.from), 0);
	CHECK_RC(anyio_datagram_receive(client, buffer, 4, NULL), 4);
	anyio_datagram_free(client);
	anyio_datagram_free(server);
	CHECK_RC(anyio_datagram_open(-1, NULL, &client), -EAFNOSUPPORT);
	CHECK(client == NULL);
	return 0;
}

static int a_buffer_that_is_too_small_is_told(void *arg)
{
	struct anyio_address address;
	struct anyio_datagram *self = bind_local(&address);
	struct anyio_datagram_info info;
	char buffer[8] = { 0 };
	char *large = calloc(1, 70000);

	CHECK_RC(anyio_datagram_send_to(self, "truncated", 9, &address), 0);
	CHECK_RC(anyio_datagram_send_to(self, "whole", 5, &address), 0);
	CHECK_RC(anyio_datagram_receive(self, buffer, 5, &info), -EMSGSIZE);
	CHECK(info.size == 9 && same(&info.from, &address));
	CHECK(memcmp(buffer, "trunc\0\0\0", 8) == 0);
	/* The rest is gone, not the next one. */
	CHECK_RC(anyio_datagram_receive(self, buffer, 5, &info), 5);
	CHECK(memcmp(buffer, "whole", 5) == 0);
	CHECK_RC(anyio_datagram_send_to(self, "x", 1, &address), 0);
	CHECK_RC(anyio_datagram_receive(self, NULL, 0, NULL), -EMSGSIZE);
	CHECK_RC(anyio_datagram_send_to(self, large, 70000, &address), -EMSGSIZE);
	CHECK_RC(anyio_datagram_send_to(self, large, 60000, &address), 0);
	CHECK_RC(anyio_datagram_receive(self, large, 70000, NULL), 60000);
	free(large);
	anyio_datagram_free(self);
	return 0;
}

static int c48_second_concurrent_receiver_gets_busy(void *arg)
{
	struct anyio_address address;
	struct anyio_datagram *datagram = bind_local(&address);
	struct receiving self = { .datagram = datagram };
	struct anyio_task_group group;
	char byte;

	anyio_task_group_enter(&group);
	spawn(&group, receive_one, &self, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_datagram_receive(datagram, &byte, 1, NULL), ANYIO_BUSY);
	/* A sender is no receiver. */
	CHECK_RC(anyio_datagram_send_to(datagram, "a", 1, &address), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, 1);
	anyio_datagram_free(datagram);
	return 0;
}

static int c49_close_wakes_a_blocked_receiver_with_closed(void *arg)
{
	for (int i = 0; i < 2; i++) {
		struct anyio_address address;
		struct receiving self = { .datagram = bind_local(&address) };
		struct anyio_datagram *datagram = self.datagram;
		struct anyio_task_group group;

		anyio_task_group_enter(&group);
		spawn(&group, receive_one, &self, NULL);
		anyio_wait_all_tasks_blocked();
		if (i == 0)
			anyio_datagram_close(datagram);
		else
			anyio_datagram_free(datagram);
		CHECK_RC(self.rc, ANYIO_CLOSED);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		if (i == 1)
			continue;
		CHECK_RC(anyio_datagram_receive(datagram, self.buffer, 1, NULL), ANYIO_CLOSED);
		CHECK_RC(anyio_datagram_send_to(datagram, "x", 1, &address), ANYIO_CLOSED);
		CHECK_RC(anyio_datagram_send(datagram, "x", 1), ANYIO_CLOSED);
		CHECK_RC(anyio_datagram_local_address(datagram, &address), ANYIO_CLOSED);
		anyio_datagram_close(datagram);
		anyio_datagram_free(datagram);
	}
	return 0;
}

static int close_one(void *arg)
{
	anyio_datagram_close(arg);
	return 0;
}

static int c53_udp_close_returns_after_the_descriptor_is_free(void *arg)
{
	struct anyio_address address;
	struct anyio_datagram *datagram = bind_local(&address);

	for (int i = 0; i < 20; i++) {
		struct receiving self = { .datagram = datagram };
		struct anyio_cancel_scope scope;
		struct anyio_task_group group;

		anyio_task_group_enter(&group);
		spawn(&group, receive_one, &self, NULL);
		anyio_wait_all_tasks_blocked();
		/* A closer who is cancelled waits all the same; a second one waits too. */
		if (i % 3 == 1)
			spawn(&group, close_one, datagram, NULL);
		anyio_cancel_scope_init(&scope);
		anyio_cancel_scope_enter(&scope);
		if (i % 3 == 2)
			anyio_cancel_scope_cancel(&scope, "test");
		anyio_datagram_close(datagram);
		CHECK_RC(anyio_cancel_scope_exit(&scope, 0), 0);
		CHECK_RC(self.rc, ANYIO_CLOSED);
		{
			struct anyio_datagram *old = datagram;

			CHECK_RC(anyio_datagram_bind(&address, NULL, &datagram), 0);
			CHECK_RC(anyio_task_group_exit(&group, 0), 0);
			anyio_datagram_free(old);
		}
	}
	anyio_datagram_free(datagram);
	return 0;
}

static int a_socket_is_freed_by_the_last_closer(void *arg)
{
	struct anyio_address address;
	struct receiving self = { .datagram = bind_local(&address) };
	struct anyio_datagram *datagram = self.datagram;
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	spawn(&group, receive_one, &self, NULL);
	anyio_wait_all_tasks_blocked();
	spawn(&group, close_one, datagram, NULL);
	while (anyio_datagram_local_address(datagram, &address) == 0)
		CHECK_RC(anyio_checkpoint(), 0);
	anyio_datagram_free(datagram); /* the closer may still wait inside */
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, ANYIO_CLOSED);
	anyio_datagram_free(NULL);
	return 0;
}

static int a_cancelled_receive_leaves_the_datagram(void *arg)
{
	struct anyio_address address;
	struct anyio_datagram *datagram = bind_local(&address);

	for (int i = 0; i < 20; i++) {
		struct receiving self = { .datagram = datagram };
		struct anyio_task_group group;

		anyio_task_group_enter(&group);
		spawn(&group, receive_one, &self, &self.handle);
		anyio_wait_all_tasks_blocked();
		if (i % 2 == 0)
			anyio_task_handle_cancel(&self.handle, "test");
		CHECK_RC(anyio_datagram_send_to(datagram, "x", 1, &address), 0);
		if (i % 2 == 1)
			anyio_task_handle_cancel(&self.handle, "test");
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		if (self.rc == ANYIO_CANCELLED)
			CHECK_RC(anyio_datagram_receive(datagram, self.buffer, 16, NULL), 1);
		else
			CHECK_RC(self.rc, 1);
		CHECK(self.buffer[0] == 'x');
	}
	anyio_datagram_free(datagram);
	return 0;
}

static int cancelled_before(void *arg)
{
	struct receiving *self = arg;
	struct anyio_address address;

	CHECK_RC(anyio_datagram_local_address(self->datagram, &address), 0);
	CHECK_RC(anyio_datagram_send_to(self->datagram, "y", 1, &address), ANYIO_CANCELLED);
	return receive_one(self);
}

static int in_a_cancelled_scope_nothing_is_sent_or_taken(void *arg)
{
	struct anyio_address address;
	struct receiving self = { .datagram = bind_local(&address) };
	struct anyio_cancel_scope scope;

	CHECK_RC(anyio_datagram_send_to(self.datagram, "x", 1, &address), 0);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "test");
	CHECK_RC(anyio_cancel_scope_run(&scope, cancelled_before, &self), 0);
	CHECK_RC(self.rc, ANYIO_CANCELLED);
	CHECK_RC(anyio_datagram_receive(self.datagram, self.buffer, 16, NULL), 1);
	CHECK(self.buffer[0] == 'x');
	anyio_datagram_free(self.datagram);
	return 0;
}

/* One round over all calls that open and use a UDP socket. */
static int converse(void)
{
	struct anyio_address address;
	struct anyio_datagram *server, *client = NULL;
	char buffer[4];
	int rc = anyio_udp_bind("127.0.0.1", 0, NULL, &server);

	if (rc < 0)
		return rc;
	rc = anyio_datagram_local_address(server, &address);
	if (rc == 0)
		rc = anyio_datagram_connect(&address, NULL, NULL, &client);
	if (rc == 0)
		rc = anyio_datagram_send(client, "ping", 4);
	if (rc == 0)
		rc = (int)anyio_datagram_receive(server, buffer, 4, NULL);
	anyio_datagram_free(client);
	client = NULL;
	if (rc == 4)
		rc = anyio_udp_connect("127.0.0.1", ntohs(address.ip4.sin_port), NULL, &client);
	if (rc == 0)
		rc = anyio_datagram_send_to(client, "ping", 4, &address);
	anyio_datagram_free(client);
	anyio_datagram_free(server);
	return rc < 0 ? rc : 0;
}

static void sweep(enum anyio_fault_kind kind, int error)
{
	uint64_t at, seen;

	CHECK_RC(converse(), 0);
	anyio_fault_set(kind, UINT64_MAX, error);
	CHECK_RC(converse(), 0);
	seen = anyio_fault_count(kind);
	CHECK(seen > 1);
	for (at = 1; at <= seen; at++) {
		int rc;

		anyio_fault_set(kind, at, error);
		rc = converse();
		anyio_fault_set(kind, 0, 0);
		CHECK_RC(rc, error);
	}
	anyio_fault_set(kind, 0, 0);
	CHECK_RC(converse(), 0);
}

static int any_fault_leaves_nothing_behind(void *arg)
{
	sweep(ANYIO_FAULT_OPERATION, -EIO);
	sweep(ANYIO_FAULT_MEMORY, -ENOMEM);
	return 0;
}

/* The simulated network's misfortunes: what arrived of count datagrams, in which order. */
enum { COUNT = 200 };

struct misfortune {
	struct anyio_sim_options sim;
	int got, out_of_order, twice;
	uint64_t trace;
};

static int drain(struct anyio_datagram *datagram, struct misfortune *what)
{
	bool seen[COUNT] = { false };
	int number = 0, last = -1;

	while (number < COUNT) {
		CHECK_RC(anyio_datagram_receive(datagram, &number, sizeof(number), NULL),
			sizeof(number));
		if (number >= COUNT)
			break;
		what->got++;
		what->twice += seen[number];
		what->out_of_order += number < last;
		seen[number] = true;
		last = number;
		what->trace = what->trace * 31 + (uint64_t)number;
	}
	return 0;
}

static int send_numbers(void *arg)
{
	struct misfortune *what = arg;
	struct anyio_address address;
	struct anyio_datagram *server = bind_host("127.0.0.1", &address), *client;
	int end = COUNT;

	CHECK_RC(anyio_datagram_connect(&address, NULL, NULL, &client), 0);
	for (int i = 0; i < COUNT; i++)
		CHECK_RC(anyio_datagram_send(client, &i, sizeof(i)), 0);
	CHECK_RC(anyio_sleep(ANYIO_SECOND), 0); /* simulated: all has arrived that ever will */
	/* Until one gets through. */
	for (int i = 0; i < 50; i++)
		CHECK_RC(anyio_datagram_send(client, &end, sizeof(end)), 0);
	drain(server, what);
	anyio_datagram_free(client);
	anyio_datagram_free(server);
	return 0;
}

static struct misfortune suffer(struct anyio_options options, struct anyio_sim_options sim)
{
	struct misfortune what = { .sim = sim };

	options.sim = &sim;
	CHECK_RC(anyio_run(send_numbers, &what, &options), 0);
	return what;
}

static int datagrams_are_lost_repeated_and_late_by_seed(void *arg)
{
	const struct anyio_options *options = arg;
	struct anyio_sim_options sim = { .latency_max = ANYIO_MILLISECOND };
	struct misfortune what, again;

	what = suffer(*options, sim);
	CHECK(what.got == COUNT && what.out_of_order == 0 && what.twice == 0);
	sim.datagram_loss = 300000;
	what = suffer(*options, sim);
	CHECK(what.got > COUNT / 2 && what.got < COUNT && what.out_of_order == 0);
	sim.datagram_loss = 0;
	sim.datagram_duplicate = 300000;
	what = suffer(*options, sim);
	CHECK(what.got > COUNT && what.twice == what.got - COUNT && what.out_of_order == 0);
	sim.datagram_duplicate = 0;
	sim.datagram_reorder = 300000;
	what = suffer(*options, sim);
	CHECK(what.got == COUNT && what.out_of_order > 0 && what.twice == 0);
	sim.datagram_loss = sim.datagram_duplicate = 300000;
	what = suffer(*options, sim);
	again = suffer(*options, sim);
	CHECK(what.trace == again.trace && what.got == again.got);
	return 0;
}

static int a_partition_loses_datagrams(void *arg)
{
	struct anyio_address server_at, client_at;
	struct anyio_datagram *server = bind_host("127.0.0.2", &server_at);
	struct anyio_datagram *client = bind_host("127.0.0.3", &client_at);
	uint32_t ends[2] = { server_at.ip4.sin_addr.s_addr, client_at.ip4.sin_addr.s_addr };
	char buffer[8];

	if (strcmp(anyio_backend_name(), "sim") == 0) {
		anyio_sim_partition(ends[0], ends[1], true);
		CHECK_RC(anyio_datagram_send_to(client, "lost", 4, &server_at), 0);
		CHECK_RC(anyio_sleep(ANYIO_SECOND), 0);
		anyio_sim_partition(ends[0], ends[1], false);
	}
	CHECK_RC(anyio_datagram_send_to(client, "healed", 6, &server_at), 0);
	CHECK_RC(anyio_datagram_receive(server, buffer, sizeof(buffer), NULL), 6);
	anyio_datagram_free(client);
	anyio_datagram_free(server);
	return 0;
}

static int left_open(void *arg)
{
	struct anyio_address address;
	struct anyio_datagram *datagram;

	CHECK_RC(anyio_address_unix(&address, "/sim/socket"), 0);
	CHECK_RC(anyio_datagram_bind(&address, NULL, &datagram), 0);
	CHECK_RC(anyio_datagram_send_to(datagram, "unread", 6, &address), 0);
	anyio_datagram_free(datagram);
	datagram = bind_local(&address);
	CHECK_RC(anyio_datagram_send_to(datagram, "queued", 6, &address), 0);
	CHECK_RC(anyio_sleep(ANYIO_SECOND), 0);
	CHECK_RC(anyio_datagram_send_to(datagram, "under way", 9, &address), 0);
	anyio_datagram_free(datagram);
	return 0;
}

/* The same on a network that completes what was cancelled; and what is under way at the end. */
static int a_hostile_network_changes_nothing(void *arg)
{
	static const anyio_task_fn bodies[] = {
		plain_sockets_exchange,
		connected_sockets_hear_their_other_side_alone,
		c48_second_concurrent_receiver_gets_busy,
		c49_close_wakes_a_blocked_receiver_with_closed,
		c53_udp_close_returns_after_the_descriptor_is_free,
		a_cancelled_receive_leaves_the_datagram,
		left_open,
	};

	return conformance_hostile(bodies, sizeof(bodies) / sizeof(*bodies), arg);
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(plain_sockets_exchange, 0),
		CONFORM(connected_sockets_hear_their_other_side_alone, 0),
		CONFORM(both_ends_may_be_named, 0),
		CONFORM(an_open_socket_gets_a_port_by_sending, 0),
		CONFORM(a_buffer_that_is_too_small_is_told, 0),
		CONFORM(c48_second_concurrent_receiver_gets_busy, 0),
		CONFORM(c49_close_wakes_a_blocked_receiver_with_closed, 0),
		CONFORM(c53_udp_close_returns_after_the_descriptor_is_free, 0),
		CONFORM(a_socket_is_freed_by_the_last_closer, 0),
		CONFORM(a_cancelled_receive_leaves_the_datagram, 0),
		CONFORM(in_a_cancelled_scope_nothing_is_sent_or_taken, 0),
		CONFORM(any_fault_leaves_nothing_behind, 0),
		CONFORM(a_partition_loses_datagrams, 0),
		CONFORM(datagrams_are_lost_repeated_and_late_by_seed, CONFORM_BARE | CONFORM_SIM),
		CONFORM(a_hostile_network_changes_nothing, CONFORM_BARE | CONFORM_SIM),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
