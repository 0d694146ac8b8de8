/* Connecting, listening and names: which address is raced when, and what accept does without
 * descriptors. */
#include "sockets.h"
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>
#include "../net/net.h"

static int close_of_a_listener_wakes_accept(void *arg)
{
	struct anyio_address address;
	struct accepting accepting = { .listener = listen_local(&address) };
	struct anyio_stream *stream;
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_accept(accepting.listener, &stream), ANYIO_BUSY);
	anyio_listener_free(accepting.listener);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(accepting.rc, ANYIO_CLOSED);
	CHECK_RC(anyio_connect_address(&address, &stream), -ECONNREFUSED);
	return 0;
}

static bool simulated(void)
{
	return strcmp(anyio_backend_name(), "sim") == 0;
}

/* A listener whose queue is full and never emptied: connecting to it hangs. On the simulation a host
 * that nobody reaches. */
struct deaf {
	int fd, fillers[8];
	struct anyio_address address;
};

static void deaf_cut(struct deaf *deaf, bool cut)
{
	struct anyio_address here;

	CHECK_RC(anyio_address_parse(&here, "127.0.0.1", 0), 0);
	CHECK_RC(anyio_address_parse(&deaf->address, "127.0.0.9", 9), 0);
	anyio_sim_partition(here.ip4.sin_addr.s_addr, deaf->address.ip4.sin_addr.s_addr, cut);
}

static void deaf_open(struct deaf *deaf)
{
	if (simulated()) {
		deaf_cut(deaf, true);
		return;
	}
	deaf->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_RC(anyio_address_parse(&deaf->address, "127.0.0.1", 0), 0);
	CHECK_RC(bind(deaf->fd, &deaf->address.any, deaf->address.len), 0);
	CHECK_RC(listen(deaf->fd, 0), 0);
	CHECK_RC(getsockname(deaf->fd, &deaf->address.any, &deaf->address.len), 0);
	for (int i = 0; i < 8; i++) {
		struct pollfd connected = { .events = POLLOUT };

		deaf->fillers[i] = connected.fd =
			socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(connected.fd, &deaf->address.any, deaf->address.len) < 0)
			poll(&connected, 1, 20);
	}
}

static void deaf_close(struct deaf *deaf)
{
	if (simulated()) {
		deaf_cut(deaf, false);
		return;
	}
	close(deaf->fd);
	for (int i = 0; i < 8; i++)
		close(deaf->fillers[i]);
}

static int c54_r14_slow_first_address_starts_the_second_after_the_delay(void *arg)
{
	struct deaf deaf;
	struct anyio_address addresses[2];
	struct accepting accepting;
	struct anyio_stream *stream;
	struct anyio_task_group group;
	anyio_time began;

	deaf_open(&deaf);
	addresses[0] = deaf.address;
	accepting = (struct accepting){ .listener = listen_local(&addresses[1]) };
	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, NULL);
	began = anyio_now();
	CHECK_RC(anyio_connect_race(addresses, 2, NULL, &stream), 0);
	CHECK(anyio_now() - began >= 250 * ANYIO_MILLISECOND);
	if (simulated())
		CHECK(anyio_now() - began < 252 * ANYIO_MILLISECOND);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(accepting.rc, 0);
	anyio_stream_free(stream);
	anyio_stream_free(accepting.stream);
	anyio_listener_free(accepting.listener);
	deaf_close(&deaf);
	return 0;
}

static int c54b_r14b_a_failure_starts_the_next_at_once(void *arg)
{
	struct anyio_address addresses[3], nobody;
	struct accepting accepting;
	struct anyio_stream *stream;
	struct anyio_task_group group;
	anyio_time began;

	anyio_listener_free(listen_local(&nobody));
	addresses[0] = addresses[1] = nobody;
	CHECK_RC(anyio_connect_race(addresses, 0, NULL, &stream), -ENOENT);
	CHECK_RC(anyio_connect_race(addresses, 2, NULL, &stream), -ECONNREFUSED);
	CHECK(stream == NULL);
	accepting = (struct accepting){ .listener = listen_local(&addresses[2]) };
	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, NULL);
	began = anyio_now();
	CHECK_RC(anyio_connect_race(addresses, 3, NULL, &stream), 0);
	/* Elsewhere the machine may be slow. */
	if (simulated())
		CHECK(anyio_now() - began < 250 * ANYIO_MILLISECOND);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	anyio_stream_free(stream);
	anyio_stream_free(accepting.stream);
	anyio_listener_free(accepting.listener);
	return 0;
}

/* The same with another delay; and with none the second waits until the first has failed. */
static int the_delay_is_the_callers(void *arg)
{
	const struct anyio_connect_options options = { .delay = 20 * ANYIO_MILLISECOND },
					   patient = { .delay = ANYIO_FOREVER };
	struct deaf deaf;
	struct anyio_address addresses[2];
	struct anyio_listener *listener = listen_local(&addresses[1]);
	struct anyio_stream *stream;
	struct anyio_cancel_scope scope;
	anyio_time began = anyio_now();

	deaf_open(&deaf);
	addresses[0] = deaf.address;
	CHECK_RC(anyio_connect_race(addresses, 2, &options, &stream), 0);
	CHECK(anyio_now() - began >= options.delay);
	if (simulated())
		CHECK(anyio_now() - began < options.delay + 2 * ANYIO_MILLISECOND);
	anyio_stream_free(stream);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, 300 * ANYIO_MILLISECOND);
	anyio_cancel_scope_enter(&scope);
	CHECK_RC(anyio_cancel_scope_exit(
			 &scope, anyio_connect_race(addresses, 2, &patient, &stream)),
		0);
	CHECK(anyio_cancel_scope_cancelled_caught(&scope));
	anyio_listener_free(listener);
	deaf_close(&deaf);
	return 0;
}

static int connect_race(void *arg)
{
	struct anyio_address addresses[2] = { *(struct anyio_address *)arg,
		*(struct anyio_address *)arg };
	struct anyio_stream *stream;
	int rc = anyio_connect_race(addresses, 2, NULL, &stream);

	CHECK_RC(rc, ANYIO_CANCELLED);
	CHECK(stream == NULL);
	return rc;
}

static int c54c_r14c_a_cancelled_race_leaves_nothing(void *arg)
{
	struct deaf deaf;

	deaf_open(&deaf);
	CHECK_RC(
		anyio_fail_after(300 * ANYIO_MILLISECOND, connect_race, &deaf.address), -ETIMEDOUT);
	deaf_close(&deaf);
	return 0;
}

static int addresses_alternate_with_ipv6_first(void *arg)
{
	static const char *hosts[] = { "127.0.0.1", "127.0.0.2", "::1", "127.0.0.3", "::2" };
	static const char *want[] = { "[::1]:1", "127.0.0.1:1", "[::2]:1", "127.0.0.2:1",
		"127.0.0.3:1" };
	struct anyio_address addresses[5];
	char text[64];

	for (int i = 0; i < 5; i++)
		CHECK_RC(anyio_address_parse(&addresses[i], hosts[i], 1), 0);
	anyio_addresses_interleave(addresses, 5);
	for (int i = 0; i < 5; i++) {
		CHECK_RC(anyio_address_format(&addresses[i], text, sizeof(text)),
			(int64_t)strlen(want[i]));
		CHECK(strcmp(text, want[i]) == 0);
	}
	return 0;
}

static int addresses_are_read_and_written(void *arg)
{
	struct anyio_address address;
	char text[64];

	CHECK_RC(anyio_address_parse(&address, "localhost", 1), -EINVAL);
	CHECK_RC(anyio_address_parse(&address, "", 1), -EINVAL);
	CHECK_RC(anyio_address_parse(&address, "1.2.3.4", 65535), 0);
	CHECK_RC(anyio_address_format(&address, text, sizeof(text)), 13);
	CHECK(strcmp(text, "1.2.3.4:65535") == 0);
	CHECK_RC(anyio_address_format(&address, text, 13), -ENOSPC);
	CHECK_RC(anyio_address_unix(&address, "/run/x"), 0);
	CHECK_RC(anyio_address_format(&address, text, sizeof(text)), 6);
	CHECK(strcmp(text, "/run/x") == 0);
	CHECK_RC(anyio_address_unix(&address, ""), -EINVAL);
	memset(text, 'p', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	CHECK_RC(anyio_address_unix(&address, text), 0);
	address.any.sa_family = AF_UNSPEC;
	CHECK_RC(anyio_address_format(&address, text, sizeof(text)), -EAFNOSUPPORT);
	/* Abstract ones begin with a NUL, which people write as @. */
	struct sockaddr_un *un = (struct sockaddr_un *)&address.storage;
	*un = (struct sockaddr_un){ .sun_family = AF_UNIX, .sun_path = "\0name" };
	address.len = offsetof(struct sockaddr_un, sun_path) + 5;
	CHECK_RC(anyio_address_format(&address, text, sizeof(text)), 5);
	CHECK(strcmp(text, "@name") == 0);
	return 0;
}

/* Descriptors run out for real; the connection waits until there are some again. The simulation has
 * no end of them: there the next accept fails as if. */
struct shortage {
	struct rlimit before;
	int kept;
};

static void shortage_begin(struct shortage *shortage)
{
	struct rlimit now;

	if (simulated()) {
		CHECK_RC(anyio_fault_set_call("accept", 1, -EMFILE), 0);
		return;
	}
	getrlimit(RLIMIT_NOFILE, &shortage->before);
	shortage->kept = dup(2);
	now = shortage->before;
	now.rlim_cur = (rlim_t)shortage->kept;
	close(shortage->kept);
	CHECK_RC(setrlimit(RLIMIT_NOFILE, &now), 0);
	CHECK(dup(2) < 0);
}

static void shortage_end(struct shortage *shortage)
{
	if (!simulated())
		CHECK_RC(setrlimit(RLIMIT_NOFILE, &shortage->before), 0);
	anyio_fault_set(ANYIO_FAULT_CALL, 0, 0);
}

static int c55_r16_emfile_in_accept_backs_off(void *arg)
{
	struct anyio_address address;
	struct accepting accepting = { .listener = listen_local(&address) };
	struct anyio_stream *stream;
	struct shortage shortage;
	struct anyio_task_group group;

	CHECK_RC(anyio_connect_address(&address, &stream), 0);
	shortage_begin(&shortage);
	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, &accepting.handle);
	CHECK_RC(anyio_sleep((simulated() ? 99 : 250) * ANYIO_MILLISECOND), 0);
	CHECK(accepting.stream == NULL);
	CHECK_RC(accepting.rc, 0);
	shortage_end(&shortage);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(accepting.rc, 0);
	CHECK(accepting.stream != NULL);
	anyio_stream_free(accepting.stream);
	anyio_stream_free(stream);
	anyio_listener_free(accepting.listener);
	return 0;
}

/* Without memory for the stream a connection is lost, but not the listener. */
static int no_memory_in_accept_backs_off(void *arg)
{
	struct anyio_address address;
	struct accepting accepting = { .listener = listen_local(&address) };
	struct anyio_stream *lost, *stream;
	struct anyio_task_group group;

	CHECK_RC(anyio_connect_address(&address, &lost), 0);
	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, NULL);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	while (anyio_fault_count(ANYIO_FAULT_MEMORY) == 0)
		CHECK_RC(anyio_sleep(ANYIO_MICROSECOND), 0); /* simulated time moves only so */
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	CHECK(accepting.stream == NULL);
	CHECK_RC(anyio_connect_address(&address, &stream), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(accepting.rc, 0);
	CHECK(accepting.stream != NULL);
	anyio_stream_free(accepting.stream);
	anyio_stream_free(lost);
	anyio_stream_free(stream);
	anyio_listener_free(accepting.listener);
	return 0;
}

static int c55b_close_ends_the_back_off(void *arg)
{
	struct anyio_address address;
	struct accepting accepting = { .listener = listen_local(&address) };
	struct anyio_stream *stream;
	struct shortage shortage;
	struct anyio_task_group group;

	CHECK_RC(anyio_connect_address(&address, &stream), 0);
	shortage_begin(&shortage);
	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, NULL);
	CHECK_RC(anyio_sleep(20 * ANYIO_MILLISECOND), 0);
	anyio_listener_free(accepting.listener);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(accepting.rc, ANYIO_CLOSED);
	shortage_end(&shortage);
	anyio_stream_free(stream);
	return 0;
}

static int names_and_numbers_resolve(void *arg)
{
	struct anyio_address *addresses;
	size_t count;
	char text[64];

	CHECK_RC(anyio_getaddrinfo("127.0.0.1", 80, AF_UNSPEC, &addresses, &count), 0);
	CHECK_RC((int64_t)count, 1);
	CHECK_RC(anyio_address_format(&addresses[0], text, sizeof(text)), 12);
	free(addresses);
	CHECK_RC(anyio_getaddrinfo("127.0.0.1", 80, AF_INET6, &addresses, &count), -ENOENT);
	CHECK_RC(anyio_getaddrinfo("localhost", 80, AF_INET, &addresses, &count), 0);
	CHECK(count >= 1);
	CHECK_RC(anyio_address_format(&addresses[0], text, sizeof(text)), 12);
	CHECK(strcmp(text, "127.0.0.1:80") == 0);
	free(addresses);
	return 0;
}

static int addresses_have_names(void *arg)
{
	struct anyio_address address;
	char host[64], service[16];

	CHECK_RC(anyio_address_parse(&address, "127.0.0.1", 80), 0);
	CHECK_RC(anyio_getnameinfo(&address, host, sizeof(host), service, sizeof(service),
			 NI_NUMERICHOST | NI_NUMERICSERV),
		0);
	CHECK(strcmp(host, "127.0.0.1") == 0 && strcmp(service, "80") == 0);
	CHECK_RC(anyio_getnameinfo(&address, host, 9, NULL, 0, NI_NUMERICHOST), -ENOSPC);
	CHECK_RC(anyio_getnameinfo(&address, NULL, 0, service, sizeof(service), NI_NUMERICSERV), 0);
	CHECK_RC(anyio_getnameinfo(
			 &address, host, sizeof(host), NULL, 0, NI_NAMEREQD | NI_NUMERICSERV),
		0);
	CHECK(strncmp(host, "localhost", 9) == 0);
	CHECK_RC(anyio_address_unix(&address, "/run/x"), 0);
	CHECK_RC(anyio_getnameinfo(&address, host, sizeof(host), NULL, 0, 0), -EAFNOSUPPORT);
	return 0;
}

static int name_of(void *arg)
{
	char host[64];

	return anyio_getnameinfo(arg, host, sizeof(host), NULL, 0, NI_NUMERICSERV);
}

static int a_name_that_fails_or_is_cancelled_leaves_nothing(void *arg)
{
	struct anyio_address address;
	struct anyio_cancel_scope scope;
	uint64_t at = 0, seen;

	CHECK_RC(anyio_address_parse(&address, "127.0.0.1", 80), 0);
	CHECK_RC(name_of(&address), 0);
	do {
		int rc;

		anyio_fault_set(ANYIO_FAULT_MEMORY, ++at, 0);
		rc = name_of(&address);
		seen = anyio_fault_count(ANYIO_FAULT_MEMORY);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		CHECK(rc == 0 || rc == -ENOMEM);
	} while (at <= seen && at < 100);
	CHECK(at > 1);
	anyio_fault_set(ANYIO_FAULT_OPERATION, 1, -EIO);
	CHECK_RC(name_of(&address), -EIO);
	anyio_fault_set(ANYIO_FAULT_OPERATION, 0, 0);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "test");
	CHECK_RC(anyio_cancel_scope_run(&scope, name_of, &address), 0);
	CHECK(anyio_cancel_scope_cancelled_caught(&scope));
	/* While it is under way: it may have been quicker. */
	CHECK_RC(anyio_move_on_after(ANYIO_MICROSECOND, name_of, &address), 0);
	while (anyio_task_count() > 1) /* the lookup goes on without us */
		CHECK_RC(anyio_sleep(ANYIO_MICROSECOND), 0);
	return 0;
}

static int connect_by_name(void *arg)
{
	struct anyio_address address;
	struct accepting accepting = { .listener = listen_local(&address) };
	struct anyio_stream *stream;
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, NULL);
	CHECK_RC(anyio_connect_tcp("localhost", ntohs(address.ip4.sin_port), &stream), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	anyio_stream_free(stream);
	anyio_stream_free(accepting.stream);
	anyio_listener_free(accepting.listener);
	return 0;
}

/* Whom the other side sees; by an address, and by a name. */
static void comes_from(struct anyio_listener *listener, struct anyio_stream *stream,
	const struct anyio_address *local)
{
	struct anyio_address seen;
	struct anyio_stream *other;

	CHECK_RC(anyio_accept(listener, &other), 0);
	CHECK_RC(anyio_stream_remote_address(other, &seen), 0);
	CHECK(seen.ip4.sin_addr.s_addr == local->ip4.sin_addr.s_addr);
	CHECK(seen.ip4.sin_port != 0);
	anyio_stream_free(other);
	anyio_stream_free(stream);
}

static int connections_come_from_the_local_address(void *arg)
{
	struct anyio_address address, local, local6;
	const struct anyio_connect_options options = { .local = &local },
					   six = { .local = &local6 };
	struct anyio_listener *listener = listen_local(&address);
	uint16_t port = ntohs(address.ip4.sin_port);
	struct anyio_stream *stream;

	CHECK_RC(anyio_address_parse(&local, "127.0.0.2", 0), 0);
	CHECK_RC(anyio_address_parse(&local6, "::1", 0), 0);
	CHECK_RC(anyio_connect_address_with(&address, &options, &stream), 0);
	comes_from(listener, stream, &local);
	/* Of a host of both families only what fits is tried. */
	CHECK_RC(anyio_connect_tcp_with("localhost", port, &options, &stream), 0);
	comes_from(listener, stream, &local);
	CHECK_RC(anyio_connect_tcp_with("127.0.0.1", port, &six, &stream), -ENOENT);
	CHECK(stream == NULL);
	CHECK_RC(anyio_connect_address_with(&address, &six, &stream), -EAFNOSUPPORT);
	CHECK(stream == NULL);
	CHECK_RC(anyio_address_unix(&local, "/nowhere"), 0);
	CHECK_RC(anyio_connect_tcp_with("localhost", port, &options, &stream), -EAFNOSUPPORT);
	anyio_listener_free(listener);
	return 0;
}

static int a_local_address_of_others_or_taken_is_refused(void *arg)
{
	struct anyio_address address, local;
	const struct anyio_connect_options options = { .local = &local };
	struct anyio_listener *listener = listen_local(&address);
	struct anyio_stream *stream;

	local = address;
	CHECK_RC(anyio_connect_address_with(&address, &options, &stream), -EADDRINUSE);
	CHECK(stream == NULL);
	/* In the simulation every address is this machine's. 192.0.2.0/24 is nobody's, RFC 5737. */
	if (!simulated()) {
		CHECK_RC(anyio_address_parse(&local, "192.0.2.1", 0), 0);
		CHECK_RC(anyio_connect_address_with(&address, &options, &stream), -EADDRNOTAVAIL);
		CHECK_RC(anyio_connect_tcp_with(
				 "127.0.0.1", ntohs(address.ip4.sin_port), &options, &stream),
			-EADDRNOTAVAIL);
		CHECK(stream == NULL);
	}
	anyio_listener_free(listener);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(close_of_a_listener_wakes_accept, 0),
		CONFORM(c54_r14_slow_first_address_starts_the_second_after_the_delay, 0),
		CONFORM(c54b_r14b_a_failure_starts_the_next_at_once, 0),
		CONFORM(the_delay_is_the_callers, 0),
		CONFORM(connections_come_from_the_local_address, 0),
		CONFORM(a_local_address_of_others_or_taken_is_refused, 0),
		CONFORM(c54c_r14c_a_cancelled_race_leaves_nothing, 0),
		CONFORM(addresses_alternate_with_ipv6_first, 0),
		CONFORM(addresses_are_read_and_written, 0),
		CONFORM(c55_r16_emfile_in_accept_backs_off, 0),
		CONFORM(no_memory_in_accept_backs_off, 0),
		CONFORM(c55b_close_ends_the_back_off, 0),
		CONFORM(names_and_numbers_resolve, 0),
		CONFORM(addresses_have_names, 0),
		CONFORM(a_name_that_fails_or_is_cancelled_leaves_nothing, 0),
		CONFORM(connect_by_name, 0),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
