/* Byte streams: helpers and the pair in memory. */
#include "conformance.h"
#include "receiving.h"
#include <errno.h>
#include <string.h>

static void spawn(struct anyio_task_group *group, anyio_task_fn fn, void *arg,
	struct anyio_task_handle *handle)
{
	struct anyio_task_options options = { .name = "child", .handle = handle };

	CHECK_RC(anyio_start_soon_with(group, fn, arg, &options), 0);
}

static void pair_free(struct anyio_stream *ends[2])
{
	anyio_stream_free(ends[0]);
	anyio_stream_free(ends[1]);
}

static int c50_data_then_eof_data_first(void *arg)
{
	struct anyio_stream *ends[2];
	char buffer[8];

	CHECK_RC(anyio_stream_pair(0, ends), 0);
	CHECK_RC(anyio_stream_send(ends[0], "hello", 5), 0);
	CHECK_RC(anyio_stream_send_eof(ends[0]), 0);
	CHECK_RC(anyio_stream_send(ends[0], "x", 1), ANYIO_CLOSED);
	CHECK_RC(anyio_stream_receive(ends[1], buffer, sizeof(buffer)), 5);
	CHECK(memcmp(buffer, "hello", 5) == 0);
	CHECK_RC(anyio_stream_receive(ends[1], buffer, sizeof(buffer)), 0);
	CHECK_RC(anyio_stream_receive(ends[1], buffer, 0), -EINVAL);
	/* The other way still works. */
	CHECK_RC(anyio_stream_send(ends[1], "back", 4), 0);
	CHECK_RC(anyio_stream_receive_exactly(ends[0], buffer, 4), 0);
	CHECK(memcmp(buffer, "back", 4) == 0);
	pair_free(ends);
	return 0;
}

static int c48_second_concurrent_reader_gets_busy(void *arg)
{
	struct anyio_stream *ends[2];
	struct receiving self;
	struct anyio_task_group group;
	char byte;

	CHECK_RC(anyio_stream_pair(4, ends), 0);
	self = (struct receiving){ .stream = ends[0] };
	anyio_task_group_enter(&group);
	spawn(&group, receive_some, &self, &self.handle);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_stream_receive(ends[0], &byte, 1), ANYIO_BUSY);
	/* The other direction, and the other end, are other people's. */
	CHECK_RC(anyio_stream_send(ends[0], "x", 1), 0);
	CHECK_RC(anyio_stream_receive(ends[1], &byte, 1), 1);
	CHECK_RC(anyio_stream_send(ends[1], "y", 1), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, 1);
	CHECK(self.buffer[0] == 'y');
	pair_free(ends);
	return 0;
}

static int cancelled_reader_takes_nothing(void *arg)
{
	struct anyio_stream *ends[2];
	struct receiving self;
	struct anyio_task_group group;
	char byte;

	CHECK_RC(anyio_stream_pair(4, ends), 0);
	self = (struct receiving){ .stream = ends[0] };
	anyio_task_group_enter(&group);
	spawn(&group, receive_some, &self, &self.handle);
	anyio_wait_all_tasks_blocked();
	anyio_task_handle_cancel(&self.handle, "test");
	CHECK_RC(anyio_stream_send(ends[1], "x", 1), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, ANYIO_CANCELLED);
	CHECK_RC(anyio_stream_receive(ends[0], &byte, 1), 1);
	pair_free(ends);
	return 0;
}

static int c49_close_wakes_a_blocked_reader_with_closed(void *arg)
{
	struct anyio_stream *ends[2];
	struct receiving self;
	struct anyio_task_group group;
	char byte;

	CHECK_RC(anyio_stream_pair(4, ends), 0);
	self = (struct receiving){ .stream = ends[0] };
	anyio_task_group_enter(&group);
	spawn(&group, receive_some, &self, NULL);
	anyio_wait_all_tasks_blocked();
	anyio_stream_close(ends[0]);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, ANYIO_CLOSED);
	CHECK_RC(anyio_stream_send(ends[1], "x", 1), ANYIO_BROKEN);
	CHECK_RC(anyio_stream_receive(ends[1], &byte, 1), 0);
	pair_free(ends);
	return 0;
}

/* The reader is inside when its stream is freed. */
static int pair_freed_under_a_reader(void *arg)
{
	struct anyio_stream *ends[2];
	struct receiving self;
	struct anyio_task_group group;

	CHECK_RC(anyio_stream_pair(4, ends), 0);
	self = (struct receiving){ .stream = ends[0] };
	anyio_task_group_enter(&group);
	spawn(&group, receive_some, &self, NULL);
	anyio_wait_all_tasks_blocked();
	pair_free(ends);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, ANYIO_CLOSED);
	return 0;
}

static int pair_abort_breaks_the_other_side(void *arg)
{
	struct anyio_stream *ends[2];
	char byte;

	CHECK_RC(anyio_stream_pair(4, ends), 0);
	CHECK_RC(anyio_stream_send(ends[0], "x", 1), 0);
	anyio_stream_abort(ends[0]);
	CHECK_RC(anyio_stream_receive(ends[1], &byte, 1), ANYIO_BROKEN);
	pair_free(ends);
	return 0;
}

struct cut {
	struct anyio_stream *stream;
	struct anyio_task_handle handle;
	size_t sent;
	int rc;
};

static int send_too_much(void *arg)
{
	struct cut *cut = arg;
	struct iovec iov[] = { { "abc", 3 }, { "", 0 }, { "defgh", 5 } };

	cut->rc = anyio_stream_sendv(cut->stream, iov, 3, &cut->sent);
	return cut->rc;
}

static int r10_cut_off_send_says_how_much_went_out(void *arg)
{
	struct anyio_stream *ends[2];
	struct cut cut;
	struct anyio_task_group group;
	char buffer[8];

	CHECK_RC(anyio_stream_pair(4, ends), 0);
	cut = (struct cut){ .stream = ends[0] };
	anyio_task_group_enter(&group);
	spawn(&group, send_too_much, &cut, &cut.handle);
	anyio_wait_all_tasks_blocked();
	anyio_task_handle_cancel(&cut.handle, "test");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(cut.rc, ANYIO_CANCELLED);
	CHECK_RC(cut.sent, 4);
	CHECK_RC(anyio_stream_receive(ends[1], buffer, 8), 4);
	CHECK(memcmp(buffer, "abcd", 4) == 0);
	pair_free(ends);
	return 0;
}

enum { BULK = 100000 };

static int send_bulk(void *arg)
{
	static uint8_t data[BULK];
	struct iovec iov[100];
	int rc;

	for (size_t i = 0; i < BULK; i++)
		data[i] = (uint8_t)(i * 31 >> 3);
	for (int i = 0; i < 100; i++)
		iov[i] = (struct iovec){ data + i * (BULK / 100), BULK / 100 };
	rc = anyio_stream_sendv(arg, iov, 100, NULL);
	return rc < 0 ? rc : anyio_stream_send_eof(arg);
}

static int c51_large_send_survives_partial_writes(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_task_group group;
	uint8_t buffer[777];
	size_t total = 0;
	ssize_t n;

	CHECK_RC(anyio_stream_pair(1000, ends), 0);
	anyio_task_group_enter(&group);
	spawn(&group, send_bulk, ends[0], NULL);
	while ((n = anyio_stream_receive(ends[1], buffer, sizeof(buffer))) > 0)
		for (ssize_t i = 0; i < n; i++, total++)
			CHECK_RC(buffer[i], (uint8_t)(total * 31 >> 3));
	CHECK_RC(n, 0);
	CHECK_RC(total, BULK);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	pair_free(ends);
	return 0;
}

static int exactly_tells_the_two_ends_apart(void *arg)
{
	struct anyio_stream *ends[2];
	char buffer[8];

	CHECK_RC(anyio_stream_pair(0, ends), 0);
	CHECK_RC(anyio_stream_send(ends[0], "abcdef", 6), 0);
	anyio_stream_close(ends[0]);
	CHECK_RC(anyio_stream_receive_exactly(ends[1], buffer, 4), 0);
	CHECK_RC(anyio_stream_receive_exactly(ends[1], buffer, 4), ANYIO_INCOMPLETE_READ);
	CHECK_RC(anyio_stream_receive_exactly(ends[1], buffer, 4), ANYIO_END_OF_STREAM);
	CHECK_RC(anyio_stream_receive_exactly(ends[1], buffer, 0), 0);
	pair_free(ends);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(c50_data_then_eof_data_first, CONFORM_MOCK),
		CONFORM(c48_second_concurrent_reader_gets_busy, CONFORM_MOCK),
		CONFORM(cancelled_reader_takes_nothing, CONFORM_MOCK),
		CONFORM(c49_close_wakes_a_blocked_reader_with_closed, CONFORM_MOCK),
		CONFORM(pair_freed_under_a_reader, CONFORM_MOCK),
		CONFORM(pair_abort_breaks_the_other_side, CONFORM_MOCK),
		CONFORM(r10_cut_off_send_says_how_much_went_out, CONFORM_MOCK),
		CONFORM(c51_large_send_survives_partial_writes, CONFORM_MOCK),
		CONFORM(exactly_tells_the_two_ends_apart, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
