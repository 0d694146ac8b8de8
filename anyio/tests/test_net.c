/* Streams over sockets: busy readers, closing, ends, partial writes, faults, a hostile network. */
#include "sockets.h"
#include "receiving.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static void *lend_nothing(void *arg, size_t *size)
{
	return NULL;
}

static void *lend_no_room(void *arg, size_t *size)
{
	*size = 0;
	return arg;
}

static int a_lender_without_room_is_refused(void *arg)
{
	struct anyio_stream *ends[2];
	char byte;

	for (int i = 0; i < 2; i++) {
		if (i == 0)
			connect_pair(ends);
		else
			CHECK_RC(anyio_stream_pair(0, ends), 0);
		CHECK_RC(anyio_stream_send(ends[1], "x", 1), 0);
		CHECK_RC(anyio_stream_receive_lazy(ends[0], lend_no_room, &byte), -EINVAL);
		CHECK_RC(anyio_stream_receive(ends[0], &byte, 1), 1);
		pair_free(ends);
	}
	return 0;
}

static int a_lender_may_have_nothing(void *arg)
{
	struct anyio_stream *ends[2];
	char byte;

	connect_pair(ends);
	CHECK_RC(anyio_stream_send(ends[1], "x", 1), 0);
	CHECK_RC(anyio_stream_receive_lazy(ends[0], lend_nothing, NULL), -ENOMEM);
	CHECK_RC(anyio_stream_receive(ends[0], &byte, 1), 1);
	CHECK(byte == 'x');
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

struct exact {
	struct anyio_stream *stream;
	int rc;
};

static int receive_two(void *arg)
{
	struct exact *self = arg;
	char bytes[2];

	self->rc = anyio_stream_receive_exactly(self->stream, bytes, 2);
	return 0;
}

/* The stream goes at each turn of the scheduler around the one in which the first byte of two comes. */
static int freed_at_any_moment_under_a_reader(void *arg)
{
	for (int turns = 1; turns < 130; turns++) {
		struct anyio_stream *ends[2];
		struct exact exact = { .rc = 1 };
		ANYIO_TASK_GROUP(group);

		connect_pair(ends);
		exact.stream = ends[0];
		spawn(&group, receive_two, &exact, NULL);
		anyio_cancel_shielded_checkpoint();
		CHECK_RC(anyio_stream_send(ends[1], "x", 1), 0);
		for (int i = 0; i < turns; i++)
			anyio_cancel_shielded_checkpoint();
		anyio_stream_free(ends[0]);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(exact.rc, ANYIO_CLOSED);
		anyio_stream_free(ends[1]);
	}
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

/* What becomes of a negative result that is taken for a size. */
static int r10_cut_off_send_says_how_much_went_out(void *arg)
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
	CHECK_RC(anyio_stream_send(ends[0], "x", 1), ANYIO_BUSY);
	CHECK_RC(anyio_stream_send_eof(ends[0]), ANYIO_BUSY);
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

static int r09_cancelled_receive_leaves_the_data(void *arg)
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
	CHECK_RC(anyio_stream_peer_state(memory[0]), -ENOTSOCK);
	pair_free(memory);
	pair_free(ends);
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
	while (anyio_task_count() > 1) /* a lookup that was given up goes on without us */
		CHECK_RC(anyio_sleep(ANYIO_MICROSECOND), 0);
}

static int any_fault_leaves_nothing_behind(void *arg)
{
	sweep(ANYIO_FAULT_MEMORY, -ENOMEM);
	sweep(ANYIO_FAULT_OPERATION, -EIO);
	return 0;
}

static int the_other_side_is_seen_without_reading(void *arg)
{
	struct anyio_stream *ends[2];

	connect_pair(ends);
	CHECK_RC(anyio_stream_peer_state(ends[1]), 0);
	CHECK_RC(anyio_stream_send(ends[0], "unread", 6), 0);
	CHECK_RC(anyio_stream_peer_state(ends[1]), 0);
	CHECK_RC(anyio_stream_send_eof(ends[0]), 0);
	CHECK_RC(anyio_stream_peer_state(ends[1]), ANYIO_END_OF_STREAM);
	anyio_stream_abort(ends[0]);
	CHECK_RC(anyio_stream_peer_state(ends[1]), ANYIO_BROKEN);
	anyio_stream_close(ends[1]);
	CHECK_RC(anyio_stream_peer_state(ends[1]), ANYIO_CLOSED);
	pair_free(ends);
	return 0;
}

/* The same on a network that does less than asked, is slow, and completes what was cancelled. */
static int a_hostile_network_changes_nothing(void *arg)
{
	static const anyio_task_fn bodies[] = {
		c48_second_concurrent_reader_gets_busy,
		c49_close_wakes_a_blocked_reader_with_closed,
		c50_data_then_eof_data_first,
		c51_large_send_survives_partial_writes,
		r10_cut_off_send_says_how_much_went_out,
		r09_cancelled_receive_leaves_the_data,
	};

	return conformance_hostile(bodies, sizeof(bodies) / sizeof(*bodies), arg);
}

enum { MANY = 100 };

struct crowd {
	struct anyio_stream *ends[MANY][2];
	int received, closed;
};

struct member {
	struct crowd *crowd;
	int index;
};

/* Whoever receives in the middle closes the last, for which there is something, too, and which
 * may have had it. */
static int receive_in_a_crowd(void *arg)
{
	struct member *self = arg;
	struct crowd *crowd = self->crowd;
	char byte = 0;
	ssize_t n = anyio_stream_receive(crowd->ends[self->index][1], &byte, 1);

	if (n == 1) {
		CHECK_RC(byte, (char)self->index);
		crowd->received++;
	} else {
		CHECK_RC(self->index, MANY - 1);
		CHECK_RC(n, ANYIO_CLOSED);
		crowd->closed++;
	}
	if (crowd->received == MANY / 2)
		anyio_stream_close(crowd->ends[MANY - 1][1]);
	return 0;
}

/* More become ready at once than a backend serves in one go. */
static int many_ready_at_once_are_all_served(void *arg)
{
	struct crowd crowd = { 0 };
	struct member members[MANY];

	for (int i = 0; i < MANY; i++)
		connect_pair(crowd.ends[i]);
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < MANY; i++) {
		members[i] = (struct member){ &crowd, i };
		anyio_start_soon(&group, receive_in_a_crowd, &members[i], "reader");
	}
	anyio_wait_all_tasks_blocked();
	for (int i = 0; i < MANY; i++) {
		char byte = (char)i;
		CHECK_RC(anyio_stream_send(crowd.ends[i][0], &byte, 1), 0);
	}
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(crowd.received + crowd.closed, MANY);
	for (int i = 0; i < MANY; i++) {
		anyio_stream_free(crowd.ends[i][0]);
		anyio_stream_free(crowd.ends[i][1]);
	}
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(c48_second_concurrent_reader_gets_busy, 0),
		CONFORM(c49_close_wakes_a_blocked_reader_with_closed, 0),
		CONFORM(a_lender_without_room_is_refused, 0),
		CONFORM(a_lender_may_have_nothing, 0),
		CONFORM(freed_at_any_moment_under_a_reader, 0),
		CONFORM(c50_data_then_eof_data_first, 0),
		CONFORM(c51_large_send_survives_partial_writes, 0),
		CONFORM(r10_cut_off_send_says_how_much_went_out, 0),
		CONFORM(r09_cancelled_receive_leaves_the_data, 0),
		CONFORM(abort_resets_the_other_side, 0),
		CONFORM(addresses_of_a_stream, 0),
		CONFORM(many_ready_at_once_are_all_served, 0),
		CONFORM(the_other_side_is_seen_without_reading, CONFORM_NO_SIM),
		CONFORM(any_fault_leaves_nothing_behind, 0),
		CONFORM(a_hostile_network_changes_nothing, CONFORM_BARE | CONFORM_SIM),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
