/* TCP and UNIX sockets, listeners, connecting, name resolution, waiting on descriptors. */
#include "conformance.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../net/net.h"

static void spawn(struct anyio_task_group *group, anyio_task_fn fn, void *arg,
        struct anyio_task_handle *handle)
{
	struct anyio_task_options options = { .name = "child", .handle = handle };

	CHECK_RC(anyio_start_soon_with(group, fn, arg, &options), 0);
}

static struct anyio_listener *listen_local(struct anyio_address *address)
{
	struct anyio_listener *listener;

	CHECK_RC(anyio_address_parse(address, "127.0.0.1", 0), 0);
	CHECK_RC(anyio_listen_address(address, NULL, &listener), 0);
	CHECK_RC(anyio_listener_address(listener, address), 0);
	CHECK(address->ip4.sin_port != 0);
	return listener;
}

struct accepting {
	struct anyio_listener *listener;
	struct anyio_stream *stream;
	struct anyio_task_handle handle;
	int rc;
};

static int accept_one(void *arg)
{
	struct accepting *self = arg;

	self->rc = anyio_accept(self->listener, &self->stream);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

/* ends[0] connected to ends[1]. */
static void connect_pair(struct anyio_stream *ends[2])
{
	struct anyio_address address;
	struct accepting accepting = { .listener = listen_local(&address) };
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, NULL);
	CHECK_RC(anyio_connect_address(&address, &ends[0]), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(accepting.rc, 0);
	ends[1] = accepting.stream;
	anyio_listener_free(accepting.listener);
}

static void pair_free(struct anyio_stream *ends[2])
{
	anyio_stream_free(ends[0]);
	anyio_stream_free(ends[1]);
}

struct receiving {
	struct anyio_stream *stream;
	struct anyio_task_handle handle;
	ssize_t rc;
	char buffer[16];
};

static int receive_some(void *arg)
{
	struct receiving *self = arg;

	self->rc = anyio_stream_receive(self->stream, self->buffer, sizeof(self->buffer));
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static void *lend(void *arg, size_t *size)
{
	struct receiving *self = arg;

	*size = sizeof(self->buffer);
	return self->buffer;
}

static int receive_lazily(void *arg)
{
	struct receiving *self = arg;

	self->rc = anyio_stream_receive_lazy(self->stream, lend, self);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int c48_second_concurrent_reader_gets_busy(void *arg)
{
	struct anyio_stream *ends[2];
	struct receiving self;
	struct anyio_task_group group;
	char byte;

	connect_pair(ends);
	self = (struct receiving){ .stream = ends[0] };
	anyio_task_group_enter(&group);
	spawn(&group, receive_some, &self, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_stream_receive(ends[0], &byte, 1), ANYIO_BUSY);
	CHECK_RC(anyio_stream_receive_lazy(ends[0], lend, &self), ANYIO_BUSY);
	/* A writer is no reader. */
	CHECK_RC(anyio_stream_send(ends[0], "a", 1), 0);
	CHECK_RC(anyio_stream_send(ends[1], "b", 1), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, 1);
	CHECK(self.buffer[0] == 'b');
	pair_free(ends);
	return 0;
}

static void close_wakes(anyio_task_fn receive, bool free_it)
{
	struct anyio_stream *ends[2];
	struct receiving self;
	struct anyio_task_group group;

	connect_pair(ends);
	self = (struct receiving){ .stream = ends[0] };
	anyio_task_group_enter(&group);
	spawn(&group, receive, &self, NULL);
	anyio_wait_all_tasks_blocked();
	if (free_it)
		anyio_stream_free(ends[0]);
	else
		anyio_stream_close(ends[0]);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, ANYIO_CLOSED);
	if (!free_it) {
		CHECK_RC(anyio_stream_receive(ends[0], self.buffer, 1), ANYIO_CLOSED);
		CHECK_RC(anyio_stream_send(ends[0], "x", 1), ANYIO_CLOSED);
		CHECK_RC(anyio_stream_send_eof(ends[0]), ANYIO_CLOSED);
		anyio_stream_close(ends[0]);
		anyio_stream_free(ends[0]);
	}
	/* The descriptor is gone as well: the other side sees the end. */
	CHECK_RC(anyio_stream_receive(ends[1], self.buffer, 1), 0);
	anyio_stream_free(ends[1]);
}

static int c49_close_wakes_a_blocked_reader_with_closed(void *arg)
{
	close_wakes(receive_some, false);
	close_wakes(receive_some, true);
	close_wakes(receive_lazily, false);
	close_wakes(receive_lazily, true);
	return 0;
}

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

static int c50_data_then_eof_data_first(void *arg)
{
	struct anyio_stream *ends[2];
	char buffer[16];

	connect_pair(ends);
	CHECK_RC(anyio_stream_send(ends[0], "hello", 5), 0);
	CHECK_RC(anyio_stream_send_eof(ends[0]), 0);
	CHECK_RC(anyio_stream_send_eof(ends[0]), 0);
	CHECK_RC(anyio_stream_send(ends[0], "x", 1), ANYIO_CLOSED);
	CHECK_RC(anyio_stream_receive_exactly(ends[1], buffer, 5), 0);
	CHECK(memcmp(buffer, "hello", 5) == 0);
	CHECK_RC(anyio_stream_receive(ends[1], buffer, sizeof(buffer)), 0);
	CHECK_RC(anyio_stream_receive(ends[1], buffer, sizeof(buffer)), 0);
	/* Half closed: the answer still comes. */
	CHECK_RC(anyio_stream_send(ends[1], "bye", 3), 0);
	anyio_stream_close(ends[1]);
	CHECK_RC(anyio_stream_receive_exactly(ends[0], buffer, 3), 0);
	CHECK_RC(anyio_stream_receive(ends[0], buffer, sizeof(buffer)), 0);
	pair_free(ends);
	return 0;
}

enum { PARTS = 3000, PART = 1001 };

static uint8_t bulk_byte(size_t i)
{
	return (uint8_t)(i * 2654435761u >> 13);
}

/* Many parts, some of them empty, far more than the kernel's buffers or one sendmsg take. */
static int send_bulk(void *arg)
{
	uint8_t *data = malloc((size_t)PARTS * PART);
	struct iovec *iov = calloc(PARTS, sizeof(*iov));
	size_t sent, at = 0;
	int rc;

	for (size_t i = 0; i < (size_t)PARTS * PART; i++)
		data[i] = bulk_byte(i);
	for (size_t i = 0; i < PARTS; i++) {
		iov[i] = (struct iovec){ data + at, i % 7 == 3 ? 0 : PART };
		at += iov[i].iov_len;
	}
	rc = anyio_stream_sendv(arg, iov, PARTS, &sent);
	CHECK_RC((int64_t)sent, (int64_t)at);
	CHECK(iov[0].iov_base == data && iov[0].iov_len == PART);
	free(iov);
	free(data);
	return rc < 0 ? rc : anyio_stream_send_eof(arg);
}

static int c51_large_send_survives_partial_writes(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_task_group group;
	uint8_t *buffer = malloc(70001);
	size_t total = 0, wrong = 0;
	ssize_t n;

	connect_pair(ends);
	anyio_task_group_enter(&group);
	spawn(&group, send_bulk, ends[0], NULL);
	while ((n = anyio_stream_receive(ends[1], buffer, 70001)) > 0)
		for (ssize_t i = 0; i < n; i++, total++)
			wrong += buffer[i] != bulk_byte(total);
	CHECK_RC(n, 0);
	CHECK_RC((int64_t)wrong, 0);
	CHECK_RC((int64_t)total, (int64_t)PART * (PARTS - PARTS / 7 - (PARTS % 7 > 3)));
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	free(buffer);
	pair_free(ends);
	return 0;
}

struct cut {
	struct anyio_stream *stream;
	struct anyio_task_handle handle;
	size_t sent;
	int rc;
};

static int send_until_cut(void *arg)
{
	struct cut *cut = arg;
	size_t size = 32 << 20;
	struct iovec iov = { calloc(1, size), size };

	cut->rc = anyio_stream_sendv(cut->stream, &iov, 1, &cut->sent);
	free(iov.iov_base);
	return cut->rc;
}

static int cut_off_send_says_how_much_went_out(void *arg)
{
	struct anyio_stream *ends[2];
	struct cut cut = { .rc = 0 };
	struct anyio_task_group group;
	char *buffer = malloc(100000);
	size_t total = 0;
	ssize_t n;

	connect_pair(ends);
	cut.stream = ends[0];
	anyio_task_group_enter(&group);
	spawn(&group, send_until_cut, &cut, &cut.handle);
	anyio_wait_all_tasks_blocked();
	anyio_task_handle_cancel(&cut.handle, "test");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(cut.rc, ANYIO_CANCELLED);
	anyio_stream_close(ends[0]);
	while ((n = anyio_stream_receive(ends[1], buffer, 100000)) > 0)
		total += (size_t)n;
	CHECK_RC(n, 0);
	CHECK_RC((int64_t)total, (int64_t)cut.sent);
	free(buffer);
	pair_free(ends);
	return 0;
}

static int cancelled_receive_leaves_the_data(void *arg)
{
	struct anyio_stream *ends[2];
	struct receiving self;
	struct anyio_task_group group;
	char byte = 0;

	connect_pair(ends);
	self = (struct receiving){ .stream = ends[1] };
	anyio_task_group_enter(&group);
	spawn(&group, receive_some, &self, &self.handle);
	anyio_wait_all_tasks_blocked();
	anyio_task_handle_cancel(&self.handle, "test");
	CHECK_RC(anyio_stream_send(ends[0], "x", 1), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	if (self.rc == 1)
		byte = self.buffer[0];
	else
		CHECK_RC(anyio_stream_receive(ends[1], &byte, 1), 1);
	CHECK(byte == 'x');
	pair_free(ends);
	return 0;
}

static int abort_resets_the_other_side(void *arg)
{
	struct anyio_stream *ends[2];
	char byte;

	connect_pair(ends);
	anyio_stream_abort(ends[0]);
	CHECK_RC(anyio_stream_receive(ends[1], &byte, 1), ANYIO_BROKEN);
	CHECK_RC(anyio_stream_send(ends[1], "x", 1), ANYIO_BROKEN);
	pair_free(ends);
	return 0;
}

static int addresses_of_a_stream(void *arg)
{
	struct anyio_stream *ends[2], *memory[2];
	struct anyio_address local, remote;

	connect_pair(ends);
	CHECK_RC(anyio_stream_local_address(ends[0], &local), 0);
	CHECK_RC(anyio_stream_remote_address(ends[1], &remote), 0);
	CHECK(local.len == remote.len && memcmp(&local.ip4, &remote.ip4, local.len) == 0);
	CHECK_RC(anyio_stream_pair(0, memory), 0);
	CHECK_RC(anyio_stream_local_address(memory[0], &local), -ENOTSOCK);
	pair_free(memory);
	pair_free(ends);
	return 0;
}

/* A listener whose queue is full and never emptied: connecting to it hangs. */
struct deaf {
	int fd, fillers[8];
	struct anyio_address address;
};

static void deaf_open(struct deaf *deaf)
{
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
	close(deaf->fd);
	for (int i = 0; i < 8; i++)
		close(deaf->fillers[i]);
}

static int c54_slow_first_address_starts_the_second_after_the_delay(void *arg)
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
	CHECK_RC(anyio_connect_race(addresses, 2, &stream), 0);
	CHECK(anyio_now() - began >= 250 * ANYIO_MILLISECOND);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(accepting.rc, 0);
	anyio_stream_free(stream);
	anyio_stream_free(accepting.stream);
	anyio_listener_free(accepting.listener);
	deaf_close(&deaf);
	return 0;
}

static int c54b_a_failure_starts_the_next_at_once(void *arg)
{
	struct anyio_address addresses[3], nobody;
	struct accepting accepting;
	struct anyio_stream *stream;
	struct anyio_task_group group;
	anyio_time began;

	anyio_listener_free(listen_local(&nobody));
	addresses[0] = addresses[1] = nobody;
	CHECK_RC(anyio_connect_race(addresses, 2, &stream), -ECONNREFUSED);
	CHECK(stream == NULL);
	accepting = (struct accepting){ .listener = listen_local(&addresses[2]) };
	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, NULL);
	began = anyio_now();
	CHECK_RC(anyio_connect_race(addresses, 3, &stream), 0);
	/* Elsewhere the machine may be slow. */
	if (strcmp(anyio_backend_name(), "sim") == 0)
		CHECK(anyio_now() - began < 250 * ANYIO_MILLISECOND);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	anyio_stream_free(stream);
	anyio_stream_free(accepting.stream);
	anyio_listener_free(accepting.listener);
	return 0;
}

static int connect_race(void *arg)
{
	struct anyio_address addresses[2] = { *(struct anyio_address *)arg,
		*(struct anyio_address *)arg };
	struct anyio_stream *stream;
	int rc = anyio_connect_race(addresses, 2, &stream);

	CHECK_RC(rc, ANYIO_CANCELLED);
	CHECK(stream == NULL);
	return rc;
}

static int c54c_a_cancelled_race_leaves_nothing(void *arg)
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
	return 0;
}

/* Descriptors run out for real; the connection waits until there are some again. */
struct shortage {
	struct rlimit before;
	int kept;
};

static void shortage_begin(struct shortage *shortage)
{
	struct rlimit now;

	getrlimit(RLIMIT_NOFILE, &shortage->before);
	shortage->kept = dup(2);
	now = shortage->before;
	now.rlim_cur = (rlim_t)shortage->kept;
	close(shortage->kept);
	CHECK_RC(setrlimit(RLIMIT_NOFILE, &now), 0);
	CHECK(dup(2) < 0);
}

static int c55_emfile_in_accept_backs_off(void *arg)
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
	CHECK_RC(anyio_sleep(250 * ANYIO_MILLISECOND), 0);
	CHECK(accepting.stream == NULL);
	CHECK_RC(accepting.rc, 0);
	CHECK_RC(setrlimit(RLIMIT_NOFILE, &shortage.before), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(accepting.rc, 0);
	CHECK(accepting.stream != NULL);
	anyio_stream_free(accepting.stream);
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
	CHECK_RC(setrlimit(RLIMIT_NOFILE, &shortage.before), 0);
	anyio_stream_free(stream);
	return 0;
}

struct folder {
	char folder[64], path[96];
};

static void folder_make(struct folder *self)
{
	const char *base = getenv("TMPDIR");

	snprintf(self->folder, sizeof(self->folder), "%s/anyio-XXXXXX",
	        base != NULL && strlen(base) < 40 ? base : "/tmp");
	CHECK(mkdtemp(self->folder) != NULL);
	snprintf(self->path, sizeof(self->path), "%s/socket", self->folder);
}

static void folder_remove(struct folder *self)
{
	unlink(self->path);
	CHECK_RC(rmdir(self->folder), 0);
}

static int unix_listener_replaces_only_what_is_stale(void *arg)
{
	struct folder folder;
	struct anyio_listener *listener, *second;
	struct accepting accepting;
	struct anyio_stream *stream;
	struct anyio_task_group group;
	struct stat st;
	int file;

	folder_make(&folder);
	CHECK_RC(anyio_connect_unix(folder.path, &stream), -ENOENT);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &listener), 0);
	CHECK_RC(stat(folder.path, &st), 0);
	CHECK((st.st_mode & 07777) == 0600);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &second), -EADDRINUSE);
	accepting = (struct accepting){ .listener = listener };
	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, NULL);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0); /* the one that looked whether we answer */
	CHECK_RC(accepting.rc, 0);
	anyio_stream_free(accepting.stream);
	anyio_listener_free(listener);
	/* The file is still there, and nobody behind it. */
	CHECK_RC(anyio_connect_unix(folder.path, &stream), -ECONNREFUSED);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &listener), 0);
	anyio_listener_free(listener);
	unlink(folder.path);
	file = open(folder.path, O_CREAT | O_CLOEXEC, 0600);
	close(file);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &listener), -EADDRINUSE);
	CHECK_RC(stat(folder.path, &st), 0);
	folder_remove(&folder);
	return 0;
}

struct connecting {
	const char *path;
	struct anyio_stream *stream;
	int rc;
};

static int connect_one(void *arg)
{
	struct connecting *self = arg;

	self->rc = anyio_connect_unix(self->path, &self->stream);
	return 0;
}

/* Where the kernel says EAGAIN instead of letting us wait, we wait all the same. */
static int a_full_unix_queue_is_waited_for(void *arg)
{
	static const struct anyio_listen_options options = { .backlog = 1, .unix_mode = 0644 };
	struct folder folder;
	struct anyio_listener *listener, *second;
	struct connecting all[4];
	struct anyio_stream *stream;
	struct anyio_task_group group;

	folder_make(&folder);
	CHECK_RC(anyio_listen_unix(folder.path, &options, &listener), 0);
	anyio_task_group_enter(&group);
	for (int i = 0; i < 4; i++) {
		all[i] = (struct connecting){ .path = folder.path };
		spawn(&group, connect_one, &all[i], NULL);
	}
	CHECK_RC(anyio_sleep(5 * ANYIO_MILLISECOND), 0);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &second), -EADDRINUSE);
	for (int i = 0; i < 4; i++) {
		CHECK_RC(anyio_accept(listener, &stream), 0);
		anyio_stream_free(stream);
	}
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	for (int i = 0; i < 4; i++) {
		CHECK_RC(all[i].rc, 0);
		anyio_stream_free(all[i].stream);
	}
	anyio_listener_free(listener);
	folder_remove(&folder);
	return 0;
}

static int unix_streams_carry_data(void *arg)
{
	struct folder folder;
	struct accepting accepting = { .rc = 0 };
	struct anyio_stream *stream;
	struct anyio_task_group group;
	char buffer[4];

	folder_make(&folder);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &accepting.listener), 0);
	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, NULL);
	CHECK_RC(anyio_connect_unix(folder.path, &stream), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(anyio_stream_send(stream, "ping", 4), 0);
	CHECK_RC(anyio_stream_receive_exactly(accepting.stream, buffer, 4), 0);
	CHECK(memcmp(buffer, "ping", 4) == 0);
	anyio_stream_free(stream);
	CHECK_RC(anyio_stream_receive(accepting.stream, buffer, 4), 0);
	anyio_stream_free(accepting.stream);
	anyio_listener_free(accepting.listener);
	folder_remove(&folder);
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

static int echo(void *arg)
{
	struct accepting *self = arg;
	struct receiving lent;
	ssize_t n;

	self->rc = anyio_accept(self->listener, &self->stream);
	if (self->rc < 0)
		return self->rc; /* the other side would wait for ever */
	while ((n = anyio_stream_receive_lazy(self->stream, lend, &lent)) > 0)
		if (anyio_stream_send(self->stream, lent.buffer, (size_t)n) < 0)
			break;
	anyio_stream_free(self->stream);
	return 0;
}

static int talk(const struct anyio_address *address)
{
	struct anyio_stream *stream;
	char answer[4];
	int rc = anyio_connect_tcp("localhost", ntohs(address->ip4.sin_port), &stream);

	if (rc < 0)
		return rc;
	rc = anyio_stream_send(stream, "ping", 4);
	if (rc == 0)
		rc = anyio_stream_receive_exactly(stream, answer, 4);
	anyio_stream_free(stream);
	return rc;
}

static int converse(void)
{
	struct accepting accepting = { .rc = 0 };
	struct anyio_address address;
	struct anyio_task_group group;
	int rc;

	anyio_address_parse(&address, "127.0.0.1", 0);
	rc = anyio_listen_address(&address, NULL, &accepting.listener);
	if (rc < 0)
		return rc;
	rc = anyio_listener_address(accepting.listener, &address);
	anyio_task_group_enter(&group);
	if (rc == 0)
		rc = anyio_start_soon(&group, echo, &accepting, "echo");
	if (rc == 0)
		rc = talk(&address);
	rc = anyio_task_group_exit(&group, rc);
	anyio_listener_free(accepting.listener);
	return rc;
}

/* Whatever fails, a conversation ends, and leaves no descriptor, task or memory behind. */
static void sweep(enum anyio_fault_kind kind, int error)
{
	uint64_t at = 0, seen;

	do {
		anyio_fault_set(kind, ++at, error);
		converse();
		seen = anyio_fault_count(kind);
		anyio_fault_set(kind, 0, 0);
	} while (at <= seen && at < 1000);
	CHECK(at > 5 && at < 1000);
	CHECK_RC(converse(), 0);
}

static int any_fault_leaves_nothing_behind(void *arg)
{
	sweep(ANYIO_FAULT_MEMORY, -ENOMEM);
	sweep(ANYIO_FAULT_OPERATION, -EIO);
	return 0;
}

struct ready {
	int fd, rc;
	struct anyio_task_handle handle;
};

static int wait_ready(void *arg)
{
	struct ready *self = arg;

	self->rc = anyio_wait_readable(self->fd);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int waiting_on_descriptors(void *arg)
{
	struct ready self;
	struct anyio_task_group group;
	int fds[2];

	CHECK_RC(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	self = (struct ready){ .fd = fds[0] };
	CHECK_RC(anyio_wait_writable(fds[1]), 0);
	anyio_task_group_enter(&group);
	spawn(&group, wait_ready, &self, &self.handle);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_wait_readable(fds[0]), ANYIO_BUSY);
	anyio_notify_closing(fds[0]);
	CHECK_RC(anyio_task_handle_wait(&self.handle), 0);
	CHECK_RC(self.rc, ANYIO_CLOSED);
	spawn(&group, wait_ready, &self, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(write(fds[1], "x", 1), 1);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, 0);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

/* The same on a network that does less than asked, is slow, and completes what was cancelled. */
static int a_hostile_network_changes_nothing(void *arg)
{
	static const anyio_task_fn bodies[] = {
		c48_second_concurrent_reader_gets_busy,
		c49_close_wakes_a_blocked_reader_with_closed,
		close_of_a_listener_wakes_accept,
		c50_data_then_eof_data_first,
		c51_large_send_survives_partial_writes,
		cut_off_send_says_how_much_went_out,
		cancelled_receive_leaves_the_data,
	};
	struct anyio_sim_options sim = {
		.latency_min = ANYIO_MILLISECOND,
		.latency_max = 20 * ANYIO_MILLISECOND,
		.short_io = 500000,
		.late_cancel = 500000,
	};
	struct anyio_options options = *(const struct anyio_options *)arg;

	options.sim = &sim;
	if (strcmp(options.backend, "sim") != 0)
		return 0;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
		CHECK_RC(anyio_run(bodies[i], NULL, &options), 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(c48_second_concurrent_reader_gets_busy, 0),
		CONFORM(c49_close_wakes_a_blocked_reader_with_closed, 0),
		CONFORM(close_of_a_listener_wakes_accept, 0),
		CONFORM(c50_data_then_eof_data_first, 0),
		CONFORM(c51_large_send_survives_partial_writes, 0),
		CONFORM(cut_off_send_says_how_much_went_out, 0),
		CONFORM(cancelled_receive_leaves_the_data, 0),
		CONFORM(abort_resets_the_other_side, 0),
		CONFORM(addresses_of_a_stream, 0),
		CONFORM(c54_slow_first_address_starts_the_second_after_the_delay, CONFORM_NO_SIM),
		CONFORM(c54b_a_failure_starts_the_next_at_once, 0),
		CONFORM(c54c_a_cancelled_race_leaves_nothing, CONFORM_NO_SIM),
		CONFORM(addresses_alternate_with_ipv6_first, 0),
		CONFORM(addresses_are_read_and_written, 0),
		CONFORM(c55_emfile_in_accept_backs_off, CONFORM_NO_SIM),
		CONFORM(c55b_close_ends_the_back_off, CONFORM_NO_SIM),
		CONFORM(unix_listener_replaces_only_what_is_stale, CONFORM_NO_SIM),
		CONFORM(a_full_unix_queue_is_waited_for, CONFORM_NO_SIM),
		CONFORM(unix_streams_carry_data, CONFORM_NO_SIM),
		CONFORM(names_and_numbers_resolve, CONFORM_NO_SIM),
		CONFORM(connect_by_name, CONFORM_NO_SIM),
		CONFORM(waiting_on_descriptors, CONFORM_NO_SIM),
		CONFORM(any_fault_leaves_nothing_behind, CONFORM_NO_SIM),
		CONFORM(a_hostile_network_changes_nothing, CONFORM_BARE),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
