/* Descriptors that travel over UNIX streams. */
#include "sockets.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>

static const struct anyio_listen_options taking = { .descriptors = true };

/* A pipe's ends as a message; what is written to fds[1] shows that it arrived. */
static struct anyio_descriptors pipe_ends(void)
{
	struct anyio_descriptors ends = { .count = 2 };

	CHECK_RC(pipe2(ends.fds, O_CLOEXEC | O_NONBLOCK), 0);
	return ends;
}

static void check_pipe(const struct anyio_descriptors *ends)
{
	char byte = 0;

	CHECK_RC((int64_t)ends->count, 2);
	CHECK(!ends->lost);
	if (ends->count != 2)
		return;
	CHECK(fcntl(ends->fds[0], F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(ends->fds[1], F_GETFD) == FD_CLOEXEC);
	CHECK_RC(write(ends->fds[1], "!", 1), 1);
	CHECK_RC(read(ends->fds[0], &byte, 1), 1);
	CHECK(byte == '!');
}

static int descriptors_arrive_with_their_bytes(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_descriptors sent = pipe_ends(), got, none = { .count = 0 };
	size_t count;
	char buffer[32];

	connect_unix_pair(ends);
	CHECK_RC(anyio_stream_send(ends[0], "before", 6), 0);
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "with", 4, &sent, &count), 0);
	CHECK_RC((int64_t)count, 4);
	anyio_descriptors_close(&sent);
	CHECK_RC((int64_t)sent.count, 0);
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "after", 5, &none, NULL), 0);
	CHECK_RC(anyio_stream_receive_descriptors(ends[1], buffer, 6, &got), 6);
	CHECK(got.count == 0 && !got.lost);
	CHECK_RC(anyio_stream_receive_descriptors(ends[1], buffer, 32, &got), 4);
	CHECK(memcmp(buffer, "with", 4) == 0);
	check_pipe(&got);
	anyio_descriptors_close(&got);
	CHECK_RC(anyio_stream_receive_descriptors(ends[1], buffer, 32, &got), 5);
	CHECK(got.count == 0 && !got.lost);
	/* Who does not ask gets none, and none stay. */
	sent = pipe_ends();
	CHECK_RC(anyio_stream_send_descriptors(ends[1], "x", 1, &sent, NULL), 0);
	CHECK_RC(anyio_stream_receive(ends[0], buffer, 32), 1);
	anyio_stream_close(ends[1]);
	CHECK_RC(anyio_stream_receive_descriptors(ends[0], buffer, 32, &got), 0);
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "x", 1, &sent, NULL), ANYIO_BROKEN);
	anyio_descriptors_close(&sent);
	pair_free(ends);
	return 0;
}

static int what_cannot_pass_is_refused(void *arg)
{
	struct anyio_stream *ends[2], *memory[2];
	struct anyio_descriptors bad = { .count = 1, .fds = { -1 } }, got;
	struct anyio_descriptors many = { .count = ANYIO_DESCRIPTORS_MAX + 1 };
	char byte;

	CHECK_RC(anyio_stream_pair(0, memory), 0);
	CHECK_RC(anyio_stream_send_descriptors(memory[0], "x", 1, &bad, NULL), -EOPNOTSUPP);
	CHECK_RC(anyio_stream_receive_descriptors(memory[0], &byte, 1, &got), -EOPNOTSUPP);
	pair_free(memory);
	connect_pair(ends);
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "x", 1, &bad, NULL), -EOPNOTSUPP);
	CHECK_RC(anyio_stream_receive_descriptors(ends[0], &byte, 1, &got), -EOPNOTSUPP);
	pair_free(ends);
	connect_unix_pair(ends);
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "", 0, &bad, NULL), -EINVAL);
	CHECK_RC(anyio_stream_receive_descriptors(ends[0], &byte, 0, &got), -EINVAL);
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "x", 1, &many, NULL), ANYIO_TOO_MANY);
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "x", 1, &bad, NULL), -EBADF);
	anyio_stream_close(ends[0]);
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "x", 1, &bad, NULL), ANYIO_CLOSED);
	CHECK_RC(anyio_stream_receive_descriptors(ends[0], &byte, 1, &got), ANYIO_CLOSED);
	CHECK(got.count == 0);
	pair_free(ends);
	return 0;
}

enum { LARGE = 4 << 20 };

static int send_large(void *arg)
{
	struct anyio_descriptors sent = pipe_ends();
	uint8_t *data = malloc(LARGE);
	size_t count;

	for (size_t i = 0; i < LARGE; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	CHECK_RC(anyio_stream_send_descriptors(arg, data, LARGE, &sent, &count), 0);
	CHECK_RC((int64_t)count, LARGE);
	free(data);
	anyio_descriptors_close(&sent);
	return anyio_stream_send_eof(arg);
}

static int c51_large_send_with_descriptors_survives_partial_writes(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_task_group group;
	struct anyio_descriptors got;
	uint8_t *buffer = malloc(70001);
	size_t total = 0, wrong = 0;
	ssize_t n;

	connect_unix_pair(ends);
	anyio_task_group_enter(&group);
	spawn(&group, send_large, ends[0], NULL);
	while ((n = anyio_stream_receive_descriptors(ends[1], buffer, 70001, &got)) > 0) {
		if (total == 0)
			check_pipe(&got);
		else
			CHECK(got.count == 0 && !got.lost);
		anyio_descriptors_close(&got);
		for (ssize_t i = 0; i < n; i++, total++)
			wrong += buffer[i] != (uint8_t)(total * 2654435761u >> 13);
	}
	CHECK_RC(n, 0);
	CHECK_RC((int64_t)wrong, 0);
	CHECK_RC((int64_t)total, LARGE);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	free(buffer);
	pair_free(ends);
	return 0;
}

struct taking {
	struct anyio_stream *stream;
	struct anyio_task_handle handle;
	struct anyio_descriptors got;
	ssize_t rc;
};

static int take_one(void *arg)
{
	struct taking *self = arg;
	char buffer[16];

	self->rc =
		anyio_stream_receive_descriptors(self->stream, buffer, sizeof(buffer), &self->got);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int a_cancelled_receive_leaves_the_descriptors(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_descriptors sent = pipe_ends();

	connect_unix_pair(ends);
	for (int i = 0; i < 20; i++) {
		struct taking self = { .stream = ends[1] };
		struct anyio_task_group group;
		char byte;

		anyio_task_group_enter(&group);
		spawn(&group, take_one, &self, &self.handle);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(
			anyio_stream_receive_descriptors(ends[1], &byte, 1, &self.got), ANYIO_BUSY);
		if (i % 2 == 0)
			anyio_task_handle_cancel(&self.handle, "test");
		CHECK_RC(anyio_stream_send_descriptors(ends[0], "x", 1, &sent, NULL), 0);
		if (i % 2 == 1)
			anyio_task_handle_cancel(&self.handle, "test");
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		if (self.rc == ANYIO_CANCELLED)
			CHECK(self.got.count == 0);
		if (self.rc == ANYIO_CANCELLED)
			CHECK_RC(take_one(&self), 0);
		CHECK_RC(self.rc, 1);
		check_pipe(&self.got);
		anyio_descriptors_close(&self.got);
	}
	anyio_descriptors_close(&sent);
	pair_free(ends);
	return 0;
}

static int c49_close_wakes_who_waits_for_descriptors(void *arg)
{
	struct anyio_stream *ends[2];
	struct taking self;
	struct anyio_task_group group;

	connect_unix_pair(ends);
	self = (struct taking){ .stream = ends[1] };
	anyio_task_group_enter(&group);
	spawn(&group, take_one, &self, NULL);
	anyio_wait_all_tasks_blocked();
	anyio_stream_free(ends[1]);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, ANYIO_CLOSED);
	anyio_stream_free(ends[0]);
	return 0;
}

/* What came while another task closes is the receiver's; of what is freed nothing comes any more, and
 * what came is closed. The close is at each turn around the one in which they come. */
static int what_came_before_the_close_is_not_lost(void *arg)
{
	for (int turns = 0; turns < 140; turns++) {
		struct anyio_stream *ends[2];
		struct anyio_descriptors sent = pipe_ends();
		struct taking self;
		bool frees = turns % 2 == 1;
		ANYIO_TASK_GROUP(group);

		connect_unix_pair(ends);
		self = (struct taking){ .stream = ends[1] };
		spawn(&group, take_one, &self, NULL);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(anyio_stream_send_descriptors(ends[0], "x", 1, &sent, NULL), 0);
		for (int i = 0; i < turns / 2; i++)
			anyio_cancel_shielded_checkpoint();
		(frees ? anyio_stream_free : anyio_stream_close)(ends[1]);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK(self.rc == 1 || self.rc == ANYIO_CLOSED);
		CHECK_RC((int64_t)self.got.count, self.rc == 1 ? 2 : 0);
		if (self.rc == 1)
			anyio_descriptors_close(&self.got);
		anyio_descriptors_close(&sent);
		anyio_stream_free(ends[0]);
		if (!frees)
			anyio_stream_free(ends[1]);
	}
	until_alone(); /* the last may have been closed with the byte unread */
	return 0;
}

/* A sender that is no program of ours: count copies of a descriptor with one byte. */
static void send_raw(int fd, int gift, size_t count)
{
	_Alignas(struct cmsghdr) char bytes[CMSG_SPACE(64 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)"x", 1 };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = bytes,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&msg);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (size_t i = 0; i < count; i++)
		memcpy(CMSG_DATA(header) + i * sizeof(int), &gift, sizeof(int));
	CHECK_RC(sendmsg(fd, &msg, 0), 1);
}

static int descriptors_without_room_are_told_and_closed(void *arg)
{
	struct folder folder;
	struct anyio_address address;
	struct anyio_listener *listener;
	struct anyio_stream *stream;
	struct anyio_descriptors got;
	struct rlimit before, now;
	size_t fds;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char buffer[8];

	folder_make(&folder);
	address = path_address(folder.path);
	CHECK_RC(anyio_listen_unix(folder.path, &taking, &listener), 0);
	CHECK_RC(connect(fd, &address.any, address.len), 0);
	CHECK_RC(anyio_accept(listener, &stream), 0);
	fds = conformance_count_fds();
	send_raw(fd, fd, ANYIO_DESCRIPTORS_MAX);
	CHECK_RC(anyio_stream_receive_descriptors(stream, buffer, 8, &got), 1);
	CHECK(got.count == ANYIO_DESCRIPTORS_MAX && !got.lost);
	anyio_descriptors_close(&got);
	send_raw(fd, fd, ANYIO_DESCRIPTORS_MAX + 1);
	CHECK_RC(anyio_stream_receive_descriptors(stream, buffer, 8, &got), 1);
	CHECK(got.count == ANYIO_DESCRIPTORS_MAX && got.lost);
	anyio_descriptors_close(&got);
	CHECK_RC((int64_t)conformance_count_fds(), (int64_t)fds);
	/* Room in the process for three more. */
	send_raw(fd, fd, 8);
	getrlimit(RLIMIT_NOFILE, &before);
	now = before;
	got.fds[0] = dup(2);
	now.rlim_cur = (rlim_t)got.fds[0] + 3;
	close(got.fds[0]);
	CHECK_RC(setrlimit(RLIMIT_NOFILE, &now), 0);
	CHECK_RC(anyio_stream_receive_descriptors(stream, buffer, 8, &got), 1);
	CHECK_RC(setrlimit(RLIMIT_NOFILE, &before), 0);
	CHECK(got.count == 3 && got.lost);
	anyio_descriptors_close(&got);
	CHECK_RC((int64_t)conformance_count_fds(), (int64_t)fds);
	close(fd);
	anyio_stream_free(stream);
	anyio_listener_free(listener);
	folder_remove(&folder);
	return 0;
}

/* One whose last close blocks, until the other side is closed. */
static int slow_to_close(int *other)
{
	static const struct linger wait = { .l_onoff = 1, .l_linger = 10 };
	static const char zeros[65536];
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_RC(bind(listener, (struct sockaddr *)&address, size), 0);
	CHECK_RC(listen(listener, 1), 0);
	CHECK_RC(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	CHECK_RC(connect(fd, (struct sockaddr *)&address, size), 0);
	*other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	while (send(fd, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
		;
	CHECK_RC(setsockopt(fd, SOL_SOCKET, SO_LINGER, &wait, sizeof(wait)), 0);
	return fd;
}

/* Where a loop could meet the last close. */
enum way { RECEIVED, RECEIVED_LAZILY, ASKED_FOR, TOO_MANY, STREAM_FREED, LISTENER_FREED, WAYS };

struct meeting {
	enum way way;
	struct anyio_stream *stream;
	struct anyio_listener *listener;
	bool done;
};

static void *lend_byte(void *arg, size_t *size)
{
	*size = 1;
	return arg;
}

static int meet(void *arg)
{
	struct meeting *self = arg;
	struct anyio_descriptors got;
	char byte;

	switch (self->way) {
	case RECEIVED: CHECK_RC(anyio_stream_receive(self->stream, &byte, 1), 1); break;
	case RECEIVED_LAZILY:
		CHECK_RC(anyio_stream_receive_lazy(self->stream, lend_byte, &byte), 1);
		break;
	case ASKED_FOR:
	case TOO_MANY:
		CHECK_RC(anyio_stream_receive_descriptors(self->stream, &byte, 1, &got), 1);
		CHECK(got.lost == (self->way == TOO_MANY));
		anyio_descriptors_close(&got);
		break;
	case STREAM_FREED:
		anyio_stream_free(self->stream);
		self->stream = NULL;
		break;
	default:
		anyio_listener_free(self->listener);
		self->listener = NULL;
		break;
	}
	self->done = true;
	return 0;
}

/* A gift that is slow to close holds up nobody but who closes it, be it asked for or come because the
 * kernel cannot refuse it. */
static void meet_by(enum way way, bool asked)
{
	static const struct anyio_listen_options plain;
	struct folder folder;
	struct anyio_address address;
	struct anyio_stream *ends[2];
	struct anyio_task_group group;
	struct meeting self = { .way = way };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), other;
	int slow = slow_to_close(&other);
	bool freed = way == STREAM_FREED || way == LISTENER_FREED;

	folder_make(&folder);
	address = path_address(folder.path);
	if (!asked)
		CHECK_RC(anyio_fault_set_call("setsockopt", 1, -ENOPROTOOPT), 0);
	CHECK_RC(anyio_listen_unix(folder.path, asked ? &taking : &plain, &self.listener), 0);
	anyio_fault_set(ANYIO_FAULT_CALL, 0, 0);
	CHECK_RC(connect(fd, &address.any, address.len), 0);
	if (way != LISTENER_FREED)
		CHECK_RC(anyio_accept(self.listener, &self.stream), 0);
	send_raw(fd, slow, way == TOO_MANY ? ANYIO_DESCRIPTORS_MAX + 1 : 1);
	close(slow);
	connect_pair(ends);
	anyio_task_group_enter(&group);
	spawn(&group, meet, &self, NULL);
	anyio_wait_all_tasks_blocked();
	/* It is still being closed, and the loop answers others. */
	CHECK_RC(anyio_stream_send(ends[0], "ask", 3), 0);
	CHECK_RC(anyio_stream_receive_exactly(ends[1], (char[3]){ 0 }, 3), 0);
	CHECK(self.done == freed);
	CHECK_RC((int64_t)anyio_task_count(), 2);
	close(other);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	until_alone();
	CHECK(self.done);
	close(fd);
	pair_free(ends);
	anyio_stream_free(self.stream);
	anyio_listener_free(self.listener);
	folder_remove(&folder);
}

static int a_slow_close_holds_up_nobody(void *arg)
{
	for (int way = 0; way < WAYS; way++)
		meet_by((enum way)way, true);
	meet_by(RECEIVED, false);
	meet_by(RECEIVED_LAZILY, false);
	meet_by(STREAM_FREED, false);
	meet_by(LISTENER_FREED, false);
	return 0;
}

static int who_asks_for_none_gets_none(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_descriptors gift = { .count = 1, .fds = { 2 } }, got;
	struct folder folder;
	struct anyio_listener *listener;
	char byte;
	int zero = 0, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool refuses =
		setsockopt(fd, SOL_SOCKET, 83 /* SO_PASSRIGHTS */, &zero, sizeof(zero)) == 0 ||
		strcmp(anyio_backend_name(), "sim") == 0;

	close(fd);
	folder_make(&folder);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &listener), 0);
	CHECK_RC(anyio_connect_unix(folder.path, &ends[0]), 0);
	/* What waits to be accepted is bound by that too. */
	CHECK_RC(anyio_stream_send_descriptors(ends[0], "x", 1, &gift, NULL), refuses ? -EPERM : 0);
	CHECK_RC(anyio_accept(listener, &ends[1]), 0);
	for (int i = 0; i < 2; i++) {
		CHECK_RC(anyio_stream_send_descriptors(ends[i], "x", 1, &gift, NULL),
			refuses ? -EPERM : 0);
		CHECK_RC(anyio_stream_receive_descriptors(ends[i], &byte, 1, &got), -EOPNOTSUPP);
		CHECK_RC((int64_t)got.count, 0);
		CHECK_RC(anyio_stream_send(ends[i], "y", 1), 0);
		CHECK_RC(anyio_stream_receive(ends[1 - i], &byte, 1), 1);
	}
	anyio_stream_close(ends[0]);
	pair_free(ends);
	anyio_listener_free(listener);
	until_alone();
	folder_remove(&folder);
	return 0;
}

static int pass_once(const char *path)
{
	struct anyio_address address = path_address(path);
	struct anyio_descriptors sent = { .count = 1, .fds = { 2 } }, got = { .count = 0 };
	struct anyio_listener *listener;
	struct anyio_stream *ends[2] = { NULL, NULL };
	struct anyio_datagram *datagram = NULL;
	char byte;
	int rc = anyio_listen_unix(path, &taking, &listener);

	if (rc < 0)
		return rc;
	rc = anyio_connect_unix(path, &ends[0]);
	if (rc == 0)
		rc = anyio_accept(listener, &ends[1]);
	if (rc == 0)
		rc = anyio_stream_send_descriptors(ends[0], "x", 1, &sent, NULL);
	if (rc == 0)
		rc = (int)anyio_stream_receive_descriptors(ends[1], &byte, 1, &got);
	anyio_descriptors_close(&got);
	anyio_stream_free(ends[0]);
	anyio_stream_free(ends[1]);
	anyio_listener_free(listener);
	if (rc < 0)
		return rc;
	/* The listener's file is stale now. */
	rc = anyio_datagram_bind(&address, NULL, &datagram);
	if (rc == 0)
		rc = anyio_datagram_send_to(datagram, "x", 1, &address);
	if (rc == 0)
		rc = (int)anyio_datagram_receive(datagram, &byte, 1, NULL);
	anyio_datagram_free(datagram);
	return rc < 0 ? rc : 0;
}

static int any_fault_leaves_nothing_behind(void *arg)
{
	/* Without the lock of who binds, opened, locked, looked at twice and removed, it goes on. */
	enum { BINDS = 2, LOCK_CALLS = 5 };
	struct folder folder;
	char lock[sizeof(folder.path) + 16];
	uint64_t at = 0, seen;
	int rc, failed = 0;

	folder_make(&folder);
	snprintf(lock, sizeof(lock), "%s.bind-lock", folder.path);
	CHECK_RC(pass_once(folder.path), 0);
	unlink(folder.path);
	do {
		anyio_fault_set(ANYIO_FAULT_OPERATION, ++at, -EIO);
		rc = pass_once(folder.path);
		seen = anyio_fault_count(ANYIO_FAULT_OPERATION);
		anyio_fault_set(ANYIO_FAULT_OPERATION, 0, 0);
		/* A look at a stale socket that fails is taken again. */
		CHECK(rc == -EIO || rc == 0);
		failed += rc == -EIO;
		unlink(folder.path);
		unlink(lock);
	} while (at <= seen && at < 1000);
	CHECK_RC(failed, (int64_t)at - 2 - BINDS * LOCK_CALLS);
	CHECK(at > 10 && at < 1000);
	folder_remove(&folder);
	return 0;
}

/* Passing allocates nothing, so that what came cannot be dropped for want of memory. */
static int passing_needs_no_memory(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_descriptors sent = pipe_ends(), got;
	struct anyio_datagram *datagram;
	char byte;

	connect_unix_pair(ends);
	/* What the backend keeps of a descriptor is there after the first time. */
	for (int i = 0; i < 2; i++) {
		if (i == 1)
			anyio_fault_set_sticky(ANYIO_FAULT_MEMORY, 1, 0);
		CHECK_RC(anyio_stream_send_descriptors(ends[0], "x", 1, &sent, NULL), 0);
		CHECK_RC(anyio_stream_receive_descriptors(ends[1], &byte, 1, &got), 1);
		check_pipe(&got);
		anyio_descriptors_close(&got);
	}
	CHECK_RC(anyio_datagram_open(AF_UNIX, NULL, &datagram), -ENOMEM);
	CHECK(datagram == NULL);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	anyio_descriptors_close(&sent);
	pair_free(ends);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(descriptors_arrive_with_their_bytes, 0),
		CONFORM(what_cannot_pass_is_refused, 0),
		CONFORM(c51_large_send_with_descriptors_survives_partial_writes, 0),
		CONFORM(a_cancelled_receive_leaves_the_descriptors, 0),
		CONFORM(c49_close_wakes_who_waits_for_descriptors, 0),
		CONFORM(what_came_before_the_close_is_not_lost, 0),
		CONFORM(descriptors_without_room_are_told_and_closed, CONFORM_NO_SIM),
		CONFORM(a_slow_close_holds_up_nobody, CONFORM_NO_SIM),
		CONFORM(who_asks_for_none_gets_none, 0),
		CONFORM(passing_needs_no_memory, 0),
		CONFORM(any_fault_leaves_nothing_behind, 0),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
