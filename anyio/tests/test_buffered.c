/* The buffered reader: what it gives, and that it loses nothing. */
#include "sockets.h"
#include <anyio/testing.h>

static void pair_make(size_t capacity, struct anyio_stream *ends[2])
{
	CHECK_RC(anyio_stream_pair(capacity, ends), 0);
}

static void send_text(struct anyio_stream *stream, const char *text)
{
	CHECK_RC(anyio_stream_send(stream, text, strlen(text)), 0);
}

/* A call in a task of its own, cut off while it waits. */
struct call {
	struct anyio_reader *reader;
	size_t exactly; /* else until "\r\n" */
	struct anyio_task_handle handle;
	char *buffer;
	ssize_t rc;
};

static int call_run(void *arg)
{
	struct call *call = arg;

	call->rc = call->exactly > 0
		? anyio_reader_receive_exactly(call->reader, call->buffer, call->exactly)
		: anyio_reader_receive_until(call->reader, "\r\n", 2, call->buffer, 100);
	return call->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static void call_cut_off(struct call *call)
{
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	spawn(&group, call_run, call, &call->handle);
	anyio_wait_all_tasks_blocked();
	anyio_task_handle_cancel(&call->handle, "test");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(call->rc, ANYIO_CANCELLED);
}

static int gives_what_is_asked_for(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	char buffer[32];

	pair_make(0, ends);
	anyio_reader_init(&reader, ends[1], 5);
	send_text(ends[0], "one\ntwo\n\n0123456789abcrest");
	anyio_stream_close(ends[0]);
	CHECK_RC(anyio_reader_receive_until(&reader, "\n", 1, buffer, sizeof(buffer)), 3);
	CHECK(memcmp(buffer, "one", 3) == 0);
	CHECK_RC(anyio_reader_receive_until(&reader, "\n", 1, buffer, sizeof(buffer)), 3);
	CHECK(memcmp(buffer, "two", 3) == 0);
	CHECK_RC(anyio_reader_receive_until(&reader, "\n", 1, NULL, 0), 0);
	CHECK_RC(anyio_reader_receive_exactly(&reader, buffer, 10), 0);
	CHECK(memcmp(buffer, "0123456789", 10) == 0);
	CHECK_RC(anyio_reader_receive(&reader, buffer, 2), 2);
	CHECK(memcmp(buffer, "ab", 2) == 0);
	CHECK_RC(anyio_reader_receive_exactly(&reader, buffer, 0), 0);
	CHECK_RC(anyio_reader_receive_exactly(&reader, buffer, 5), 0);
	CHECK(memcmp(buffer, "crest", 5) == 0);
	CHECK_RC(anyio_reader_receive(&reader, buffer, 1), 0);
	CHECK_RC(anyio_reader_receive_exactly(&reader, buffer, 1), ANYIO_END_OF_STREAM);
	CHECK_RC(anyio_reader_receive_until(&reader, "\n", 1, buffer, 1), ANYIO_END_OF_STREAM);
	CHECK_RC(anyio_reader_receive(&reader, buffer, 0), -EINVAL);
	CHECK_RC(anyio_reader_receive_until(&reader, "", 0, buffer, 1), -EINVAL);
	/* What is drained needs no destroying: the address sanitizer would see what is left. */
	pair_free(ends);
	return 0;
}

/* The end in the middle takes nothing away. */
static int end_in_the_middle_keeps_what_there_was(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	char buffer[16];

	pair_make(0, ends);
	anyio_reader_init(&reader, ends[1], 4);
	send_text(ends[0], "abcdefg");
	anyio_stream_close(ends[0]);
	CHECK_RC(anyio_reader_receive_until(&reader, "\n", 1, buffer, sizeof(buffer)),
		ANYIO_INCOMPLETE_READ);
	CHECK_RC(anyio_reader_receive_exactly(&reader, buffer, 8), ANYIO_INCOMPLETE_READ);
	CHECK_RC(anyio_reader_receive_exactly(&reader, buffer, 16), ANYIO_INCOMPLETE_READ);
	CHECK_RC(anyio_reader_receive(&reader, buffer, sizeof(buffer)), 7);
	CHECK(memcmp(buffer, "abcdefg", 7) == 0);
	CHECK_RC(anyio_reader_receive_exactly(&reader, buffer, 16), ANYIO_END_OF_STREAM);
	anyio_reader_destroy(&reader);
	pair_free(ends);
	return 0;
}

/* Also past the buffer, where what came lies with the caller until all has come. */
static int cancelled_exactly_loses_nothing(void *arg)
{
	for (size_t size = 1; size < 64; size *= 2) {
		struct anyio_stream *ends[2];
		struct anyio_reader reader;
		char buffer[64] = "";
		struct call call = { .reader = &reader, .exactly = 20, .buffer = buffer };

		pair_make(0, ends);
		anyio_reader_init(&reader, ends[1], size);
		send_text(ends[0], "01");
		CHECK_RC(anyio_reader_peek(&reader, 1, &(const uint8_t *){ NULL }),
			size < 2 ? 1 : 2);
		send_text(ends[0], "23456");
		call_cut_off(&call);
		memset(buffer, 'x', sizeof(buffer));
		send_text(ends[0], "789");
		call_cut_off(&call);
		CHECK_RC(anyio_reader_buffered(&reader, NULL), 10);
		memset(buffer, 'x', sizeof(buffer));
		send_text(ends[0], "abcdefghijklm");
		CHECK_RC(anyio_reader_receive_exactly(&reader, buffer, 20), 0);
		CHECK(memcmp(buffer, "0123456789abcdefghijx", 21) == 0);
		CHECK_RC(anyio_reader_receive_exactly(&reader, buffer, 3), 0);
		CHECK(memcmp(buffer, "klm", 3) == 0);
		anyio_reader_destroy(&reader);
		pair_free(ends);
	}
	return 0;
}

/* Also between the bytes of the delimiter. */
static int cancelled_until_loses_nothing(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	char buffer[100];
	struct call call = { .reader = &reader, .buffer = buffer };

	pair_make(0, ends);
	anyio_reader_init(&reader, ends[1], 3);
	send_text(ends[0], "some");
	call_cut_off(&call);
	send_text(ends[0], "thing\r");
	call_cut_off(&call);
	send_text(ends[0], "\nmore");
	CHECK_RC(anyio_reader_receive_until(&reader, "\r\n", 2, buffer, 100), 9);
	CHECK(memcmp(buffer, "something", 9) == 0);
	CHECK_RC(anyio_reader_receive_exactly(&reader, buffer, 4), 0);
	CHECK(memcmp(buffer, "more", 4) == 0);
	anyio_reader_destroy(&reader);
	pair_free(ends);
	return 0;
}

static int send_byte_by_byte(void *arg)
{
	static const char text[] = "aaabaab--aab";
	int rc = 0;

	for (size_t i = 0; i < sizeof(text) - 1 && rc == 0; i++)
		rc = anyio_stream_send(arg, &text[i], 1);
	anyio_stream_close(arg);
	return rc;
}

/* A beginning of the delimiter that was none does not hide the next. */
static int delimiter_of_several_bytes_in_any_pieces(void *arg)
{
	for (size_t size = 1; size < 14; size++) {
		struct anyio_stream *ends[2];
		struct anyio_reader reader;
		struct anyio_task_group group;
		char buffer[16];

		pair_make(1 + size % 3, ends);
		anyio_reader_init(&reader, ends[1], size);
		anyio_task_group_enter(&group);
		spawn(&group, send_byte_by_byte, ends[0], NULL);
		CHECK_RC(anyio_reader_receive_until(&reader, "aab", 3, buffer, 16), 1);
		CHECK(buffer[0] == 'a');
		CHECK_RC(anyio_reader_receive_until(&reader, "aab", 3, buffer, 16), 0);
		CHECK_RC(anyio_reader_receive_until(&reader, "aab", 3, buffer, 16), 2);
		CHECK(memcmp(buffer, "--", 2) == 0);
		CHECK_RC(anyio_reader_receive_until(&reader, "aab", 3, buffer, 16),
			ANYIO_END_OF_STREAM);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		anyio_reader_destroy(&reader);
		pair_free(ends);
	}
	return 0;
}

static int limit_is_what_comes_before_the_delimiter(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	char buffer[8] = "", *line = buffer;

	pair_make(0, ends);
	anyio_reader_init(&reader, ends[1], 64);
	send_text(ends[0], "12345\r\n67");
	CHECK_RC(
		anyio_reader_receive_until(&reader, "\r\n", 2, line, 4), ANYIO_DELIMITER_NOT_FOUND);
	CHECK_RC(
		anyio_reader_receive_until(&reader, "\r\n", 2, line, 0), ANYIO_DELIMITER_NOT_FOUND);
	CHECK(line[0] == '\0');
	CHECK_RC(anyio_reader_receive_until(&reader, "\r\n", 2, line, 5), 5);
	CHECK(memcmp(line, "12345", 6) == 0);
	/* The limit is known to be passed before there is a delimiter, and no sooner. */
	CHECK_RC(
		anyio_reader_receive_until(&reader, "\r\n", 2, line, 0), ANYIO_DELIMITER_NOT_FOUND);
	anyio_stream_close(ends[0]);
	CHECK_RC(anyio_reader_receive_until(&reader, "\r\n", 2, line, 1), ANYIO_INCOMPLETE_READ);
	CHECK_RC(anyio_reader_receive_until(&reader, "\r\n", 2, line, SIZE_MAX),
		ANYIO_INCOMPLETE_READ);
	anyio_reader_destroy(&reader);
	pair_free(ends);
	return 0;
}

static int fed_comes_first(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	const uint8_t *data;
	char buffer[16];

	pair_make(0, ends);
	anyio_reader_init(&reader, ends[1], 4);
	send_text(ends[0], " and more");
	CHECK_RC(anyio_reader_feed(&reader, "", 0), 0);
	CHECK_RC(anyio_reader_buffered(&reader, &data), 0);
	CHECK_RC(anyio_reader_feed(&reader, "this ", 5), 0);
	CHECK_RC(anyio_reader_feed(&reader, "one", 3), 0);
	CHECK_RC(anyio_reader_buffered(&reader, &data), 8);
	CHECK(memcmp(data, "this one", 8) == 0);
	CHECK_RC(anyio_reader_receive(&reader, buffer, 2), 2);
	CHECK_RC(anyio_reader_receive_exactly(&reader, buffer, 15), 0);
	CHECK(memcmp(buffer, "is one and more", 15) == 0);
	anyio_reader_destroy(&reader);
	pair_free(ends);
	return 0;
}

static int peek_shows_at_least_that_much(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	const uint8_t *data;

	pair_make(0, ends);
	anyio_reader_init(&reader, ends[1], 2);
	send_text(ends[0], "abcde");
	anyio_stream_close(ends[0]);
	CHECK(anyio_reader_peek(&reader, 1, &data) >= 1 && data[0] == 'a');
	CHECK(anyio_reader_peek(&reader, 4, &data) >= 4 && memcmp(data, "abcd", 4) == 0);
	anyio_reader_consume(&reader, 2);
	CHECK_RC(anyio_reader_peek(&reader, 4, &data), 3);
	CHECK(memcmp(data, "cde", 3) == 0);
	anyio_reader_consume(&reader, 100);
	CHECK_RC(anyio_reader_peek(&reader, 1, &data), 0);
	anyio_reader_destroy(&reader);
	pair_free(ends);
	return 0;
}

static int second_task_gets_busy(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	struct anyio_task_group group;
	char buffer[100], byte;
	struct call call = { .reader = &reader, .buffer = buffer };

	pair_make(0, ends);
	anyio_reader_init(&reader, ends[1], 4);
	send_text(ends[0], "ab");
	anyio_task_group_enter(&group);
	spawn(&group, call_run, &call, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_reader_receive(&reader, &byte, 1), ANYIO_BUSY);
	CHECK_RC(anyio_reader_receive_exactly(&reader, &byte, 1), ANYIO_BUSY);
	CHECK_RC(anyio_reader_receive_until(&reader, "b", 1, &byte, 1), ANYIO_BUSY);
	CHECK_RC(anyio_reader_peek(&reader, 1, &(const uint8_t *){ NULL }), ANYIO_BUSY);
	CHECK_RC(anyio_reader_feed(&reader, "x", 1), ANYIO_BUSY);
	CHECK_RC(anyio_stream_receive(anyio_reader_stream(&reader), &byte, 1), ANYIO_BUSY);
	send_text(ends[0], "\r\n");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(call.rc, 2);
	anyio_reader_destroy(&reader);
	pair_free(ends);
	return 0;
}

/* In a cancelled scope nothing is taken, though all is there. */
static int every_call_is_a_checkpoint(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	struct anyio_cancel_scope scope;
	const uint8_t *data;
	char buffer[8];

	pair_make(0, ends);
	anyio_reader_init(&reader, ends[1], 64);
	CHECK_RC(anyio_reader_feed(&reader, "a\nb", 3), 0);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_enter(&scope);
	anyio_cancel_scope_cancel(&scope, "test");
	CHECK_RC(anyio_reader_receive(&reader, buffer, 1), ANYIO_CANCELLED);
	CHECK_RC(anyio_reader_receive_exactly(&reader, buffer, 1), ANYIO_CANCELLED);
	CHECK_RC(anyio_reader_receive_exactly(&reader, buffer, 0), ANYIO_CANCELLED);
	CHECK_RC(anyio_reader_receive_until(&reader, "\n", 1, buffer, 8), ANYIO_CANCELLED);
	CHECK_RC(anyio_reader_peek(&reader, 1, &data), ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&scope, ANYIO_CANCELLED), 0);
	CHECK_RC(anyio_reader_buffered(&reader, NULL), 3);
	anyio_reader_destroy(&reader);
	pair_free(ends);
	return 0;
}

static int note_that_it_ran(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

/* Who lives from the buffer alone stops nobody. */
static int buffered_calls_let_others_run(void *arg)
{
	enum { BYTES = 500 };

	for (int kind = 0; kind < 4; kind++) {
		struct anyio_stream *ends[2];
		struct anyio_reader reader;
		struct anyio_task_group group;
		char bytes[BYTES], out[1];
		bool ran = false;

		memset(bytes, '\n', sizeof(bytes));
		pair_make(0, ends);
		anyio_reader_init(&reader, ends[1], 64);
		CHECK_RC(anyio_reader_feed(&reader, bytes, sizeof(bytes)), 0);
		anyio_task_group_enter(&group);
		spawn(&group, note_that_it_ran, &ran, NULL);
		for (int i = 0; i < BYTES && !ran; i++)
			switch (kind) {
			case 0: CHECK_RC(anyio_reader_receive(&reader, out, 1), 1); break;
			case 1: CHECK_RC(anyio_reader_receive_exactly(&reader, out, 1), 0); break;
			case 2:
				CHECK_RC(anyio_reader_receive_until(&reader, "\n", 1, out, 1), 0);
				break;
			default: anyio_reader_peek(&reader, 1, &(const uint8_t *){ NULL }); break;
			}
		CHECK(ran);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		anyio_reader_destroy(&reader);
		pair_free(ends);
	}
	return 0;
}

static int waiting_reader_holds_no_buffer(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	struct anyio_task_group group;
	char buffer[16];
	struct call call = { .reader = &reader, .exactly = 3, .buffer = buffer };

	pair_make(0, ends);
	for (int large = 0; large < 2; large++) {
		anyio_reader_init(&reader, ends[1], large ? 1 : 64);
		anyio_task_group_enter(&group);
		spawn(&group, call_run, &call, NULL);
		anyio_fault_set(ANYIO_FAULT_MEMORY, UINT64_MAX, 0);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(anyio_fault_count(ANYIO_FAULT_MEMORY), 0);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		send_text(ends[0], "abc");
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(call.rc, 0);
		anyio_reader_destroy(&reader);
	}
	pair_free(ends);
	return 0;
}

/* Whichever allocation fails, the call made again gives what it would have given. */
static int failed_allocations_lose_nothing(void *arg)
{
	for (int kind = 0; kind < 3; kind++)
		for (uint64_t at = 1;; at++) {
			struct anyio_stream *ends[2];
			struct anyio_reader reader;
			char buffer[64];
			ssize_t rc, again;
			uint64_t seen;

			pair_make(8, ends);
			anyio_reader_init(&reader, ends[1], 4);
			send_text(ends[0], "0123\r\n");
			anyio_stream_send_eof(ends[0]);
			anyio_fault_set(ANYIO_FAULT_MEMORY, at, 0);
			for (int i = 0; i < 2; i++) {
				rc = kind == 0
					? anyio_reader_receive_until(&reader, "\r\n", 2, buffer, 64)
					: kind == 1
					? anyio_reader_receive_exactly(&reader, buffer, 4)
					: anyio_reader_receive_exactly(&reader, buffer, 3);
				again = i == 0 ? rc : again;
				seen = anyio_fault_count(ANYIO_FAULT_MEMORY);
				anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
				if (rc != -ENOMEM)
					break;
			}
			CHECK(seen < at || again == -ENOMEM);
			CHECK_RC(rc, kind == 0 ? 4 : 0);
			CHECK(memcmp(buffer, "0123", kind == 2 ? 3 : 4) == 0);
			anyio_reader_destroy(&reader);
			pair_free(ends);
			if (again != -ENOMEM)
				break;
		}
	return 0;
}

static void *lend(void *arg, size_t *size)
{
	*size = 3;
	return arg;
}

static int works_as_a_stream_itself(void *arg)
{
	struct anyio_stream *ends[2], *view;
	struct anyio_reader reader;
	struct anyio_address under, over;
	char buffer[8];

	connect_pair(ends);
	anyio_reader_init(&reader, ends[1], 0);
	view = anyio_reader_stream(&reader);
	send_text(ends[0], "head\nbody");
	CHECK_RC(anyio_reader_receive_until(&reader, "\n", 1, buffer, 8), 4);
	CHECK_RC(anyio_stream_receive_lazy(view, lend, buffer), 3);
	CHECK(memcmp(buffer, "bod", 3) == 0);
	CHECK_RC(anyio_stream_receive(view, buffer, 8), 1);
	CHECK(buffer[0] == 'y');
	send_text(ends[0], "late");
	CHECK_RC(anyio_stream_receive_lazy(view, lend, buffer), 3);
	send_text(view, "back");
	CHECK_RC(anyio_stream_send_eof(view), 0);
	CHECK_RC(anyio_stream_receive_exactly(ends[0], buffer, 4), 0);
	CHECK(memcmp(buffer, "back", 4) == 0);
	CHECK_RC(anyio_stream_receive(ends[0], buffer, 1), 0);
	CHECK_RC(anyio_stream_remote_address(view, &over), 0);
	CHECK_RC(anyio_stream_remote_address(ends[1], &under), 0);
	CHECK(over.len == under.len && over.ip4.sin_port == under.ip4.sin_port);
	CHECK_RC(anyio_reader_feed(&reader, "x", 1), 0);
	anyio_stream_free(view);
	CHECK_RC(anyio_reader_receive(&reader, buffer, 1), ANYIO_CLOSED);
	CHECK_RC(anyio_reader_feed(&reader, "x", 1), ANYIO_CLOSED);
	CHECK_RC(anyio_stream_receive(ends[1], buffer, 1), ANYIO_CLOSED);
	pair_free(ends);
	return 0;
}

static int closing_the_stream_wakes_who_reads(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	struct anyio_task_group group;
	char buffer[100];
	struct call call = { .reader = &reader, .buffer = buffer };

	pair_make(0, ends);
	anyio_reader_init(&reader, ends[1], 0);
	send_text(ends[0], "abc");
	anyio_task_group_enter(&group);
	spawn(&group, call_run, &call, NULL);
	anyio_wait_all_tasks_blocked();
	anyio_stream_close(anyio_reader_stream(&reader));
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(call.rc, ANYIO_CLOSED);
	CHECK_RC(anyio_reader_buffered(&reader, NULL), 0);
	anyio_reader_destroy(&reader);
	pair_free(ends);
	return 0;
}

/* What was done when it closed is the answer; the next call says closed. */
static int closing_takes_nothing_back(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	struct anyio_task_group group;
	char buffer[8] = "";
	struct call call = { .reader = &reader, .buffer = buffer, .exactly = 3 };

	pair_make(0, ends);
	anyio_reader_init(&reader, ends[1], 0);
	CHECK_RC(anyio_reader_feed(&reader, "abc", 3), 0);
	anyio_task_group_enter(&group);
	spawn(&group, call_run, &call, NULL);
	anyio_cancel_shielded_checkpoint();
	anyio_stream_close(anyio_reader_stream(&reader));
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(call.rc, 0);
	CHECK(memcmp(buffer, "abc", 3) == 0);
	CHECK_RC(anyio_reader_receive(&reader, buffer, 1), ANYIO_CLOSED);
	anyio_reader_destroy(&reader);
	pair_free(ends);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(gives_what_is_asked_for, CONFORM_MOCK),
		CONFORM(end_in_the_middle_keeps_what_there_was, CONFORM_MOCK),
		CONFORM(cancelled_exactly_loses_nothing, CONFORM_MOCK),
		CONFORM(cancelled_until_loses_nothing, CONFORM_MOCK),
		CONFORM(delimiter_of_several_bytes_in_any_pieces, CONFORM_MOCK),
		CONFORM(limit_is_what_comes_before_the_delimiter, CONFORM_MOCK),
		CONFORM(fed_comes_first, CONFORM_MOCK),
		CONFORM(peek_shows_at_least_that_much, CONFORM_MOCK),
		CONFORM(second_task_gets_busy, CONFORM_MOCK),
		CONFORM(every_call_is_a_checkpoint, CONFORM_MOCK),
		CONFORM(buffered_calls_let_others_run, CONFORM_MOCK),
		CONFORM(waiting_reader_holds_no_buffer, CONFORM_MOCK),
		CONFORM(failed_allocations_lose_nothing, CONFORM_MOCK),
		CONFORM(works_as_a_stream_itself, 0),
		CONFORM(closing_takes_nothing_back, CONFORM_ORDERED),
		CONFORM(closing_the_stream_wakes_who_reads, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
