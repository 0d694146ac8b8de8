/* Streams in lockstep. */
#include "sockets.h"
#include <anyio/testing.h>

struct sending {
	struct anyio_stream *stream;
	struct anyio_task_handle handle;
	const char *text;
	size_t sent;
	bool back;
	int rc;
};

static int send_text(void *arg)
{
	struct sending *self = arg;
	struct iovec iov = { (void *)self->text, strlen(self->text) };

	self->rc = anyio_stream_sendv(self->stream, &iov, 1, &self->sent);
	self->back = true;
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int send_waits_until_all_was_received(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_task_group group;
	struct sending self = { .text = "hello" };
	char buffer[8];

	CHECK_RC(anyio_lockstep_pair(ends), 0);
	self.stream = ends[0];
	anyio_task_group_enter(&group);
	spawn(&group, send_text, &self, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK(!self.back);
	CHECK_RC(anyio_stream_receive(ends[1], buffer, 3), 3);
	anyio_wait_all_tasks_blocked();
	CHECK(!self.back);
	CHECK_RC(anyio_stream_receive(ends[1], buffer + 3, 5), 2);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(self.back && memcmp(buffer, "hello", 5) == 0);
	CHECK_RC(self.rc, 0);
	CHECK_RC(self.sent, 5);
	pair_free(ends);
	return 0;
}

/* What the other side has not received was never sent. */
static int cut_off_send_takes_the_rest_back(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_task_group group;
	struct sending self = { .text = "hello" }, next = { .text = "next" };
	char buffer[8];

	CHECK_RC(anyio_lockstep_pair(ends), 0);
	self.stream = next.stream = ends[0];
	anyio_task_group_enter(&group);
	spawn(&group, send_text, &self, &self.handle);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_stream_receive(ends[1], buffer, 2), 2);
	anyio_wait_all_tasks_blocked();
	anyio_task_handle_cancel(&self.handle, "test");
	anyio_wait_all_tasks_blocked();
	CHECK_RC(self.rc, ANYIO_CANCELLED);
	CHECK_RC(self.sent, 2);
	spawn(&group, send_text, &next, NULL);
	CHECK_RC(anyio_stream_receive(ends[1], buffer, 8), 4);
	CHECK(memcmp(buffer, "next", 4) == 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	pair_free(ends);
	return 0;
}

static int closing_either_end_tells_the_sender_what_went(void *arg)
{
	for (int other = 0; other < 2; other++) {
		struct anyio_stream *ends[2];
		struct anyio_task_group group;
		struct sending self = { .text = "hello" };
		char buffer[8];

		CHECK_RC(anyio_lockstep_pair(ends), 0);
		self.stream = ends[0];
		anyio_task_group_enter(&group);
		spawn(&group, send_text, &self, NULL);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(anyio_stream_receive(ends[1], buffer, 1), 1);
		anyio_stream_close(ends[other]);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(self.rc, other ? ANYIO_BROKEN : ANYIO_CLOSED);
		CHECK_RC(self.sent, 1);
		if (!other)
			CHECK_RC(anyio_stream_receive(ends[1], buffer, 8), 0);
		pair_free(ends);
	}
	return 0;
}

static int no_memory_for_a_pair(void *arg)
{
	struct anyio_stream *ends[2];

	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	CHECK_RC(anyio_lockstep_pair(ends), -ENOMEM);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(send_waits_until_all_was_received, CONFORM_MOCK),
		CONFORM(cut_off_send_takes_the_rest_back, CONFORM_MOCK),
		CONFORM(closing_either_end_tells_the_sender_what_went, CONFORM_MOCK),
		CONFORM(no_memory_for_a_pair, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
