/* TLS as a byte stream: both directions, ends, cancelling, closing, new keys. */
#include "../tls/tls.h"
#include "secured.h"
#include "receiving.h"

static const enum anyio_tls_version versions[] = { ANYIO_TLS_VERSION_1_2, ANYIO_TLS_VERSION_1_3 };

/* Runs a body with each version. */
#define EACH_VERSION(self)                                                                         \
	for (size_t each = 0; each < 2 && (secure_plain(self, versions[each]), true);              \
		each++, secured_free(self))

static int carries_both_ways(void *arg)
{
	struct secured self;
	struct iovec parts[] = { { "on", 2 }, { NULL, 0 }, { "e ", 2 }, { "two", 3 } };
	size_t sent = 0;
	char byte;

	EACH_VERSION(&self)
	{
		pass(self.client, self.server, "hello");
		pass(self.server, self.client, "back");
		CHECK_RC(anyio_stream_sendv(self.client, parts, 4, &sent), 0);
		CHECK_RC(sent, 7);
		expect(self.server, "one two");
		CHECK_RC(anyio_stream_sendv(self.client, parts, 0, &sent), 0);
		CHECK_RC(anyio_stream_sendv(self.client, parts + 1, 1, &sent), 0);
		CHECK_RC(sent, 0);
		CHECK_RC(anyio_stream_receive(self.client, &byte, 0), -EINVAL);
	}
	return 0;
}

static int first_use_runs_the_handshake(void *arg)
{
	struct secured self;
	struct anyio_task_group group;
	struct receiving receiving;

	secure(&self, client_make((context_options){ .server = false }),
		server_make(&certificates.server, (context_options){ .server = true }),
		(struct anyio_tls_options){ .server_name = NULL });
	receiving = (struct receiving){ .stream = self.server };
	anyio_task_group_enter(&group);
	spawn(&group, receive_some, &receiving, NULL);
	CHECK_RC(anyio_stream_send(self.client, "hello", 5), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(receiving.rc, 5);
	CHECK_RC(anyio_tls_handshake(self.client), 0);
	secured_free(&self);
	return 0;
}

static void *lend(void *arg, size_t *size)
{
	*size = 16;
	return arg;
}

static void *lend_nothing(void *arg, size_t *size)
{
	return NULL;
}

static void *lend_and_tell(void *arg, size_t *size)
{
	struct receiving *self = arg;

	self->rc = 0;
	*size = sizeof(self->buffer);
	return self->buffer;
}

static int receive_lazily(void *arg)
{
	struct receiving *self = arg;

	self->rc = 1;
	CHECK_RC(anyio_stream_receive_lazy(self->stream, lend_and_tell, self), 3);
	CHECK(memcmp(self->buffer, "abc", 3) == 0);
	return 0;
}

/* Nothing is borrowed before there are bytes of the other side's, not even when the transport moves. */
static int lazy_receive_borrows_late(void *arg)
{
	struct secured self;
	struct receiving receiving;
	struct anyio_task_group group;
	char buffer[16];

	EACH_VERSION(&self)
	{
		receiving = (struct receiving){ .stream = self.client };
		anyio_task_group_enter(&group);
		spawn(&group, receive_lazily, &receiving, NULL);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(receiving.rc, 1);
		CHECK_RC(anyio_stream_send(self.server, "abc", 3), 0);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(anyio_stream_send(self.client, "def", 3), 0);
		CHECK_RC(anyio_stream_receive_lazy(self.server, lend_nothing, NULL), -ENOMEM);
		CHECK_RC(anyio_stream_receive_lazy(self.server, lend, buffer), 3);
		CHECK(memcmp(buffer, "def", 3) == 0);
	}
	return 0;
}

static int busy_closed_freed_under_a_reader(void *arg)
{
	struct secured self;
	struct receiving receiving;
	struct anyio_task_group group;
	char byte;

	secure_plain(&self, 0);
	receiving = (struct receiving){ .stream = self.client };
	anyio_task_group_enter(&group);
	spawn(&group, receive_some, &receiving, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_stream_receive(self.client, &byte, 1), ANYIO_BUSY);
	CHECK_RC(anyio_stream_send(self.client, "x", 1), 0);
	anyio_stream_close(self.client);
	anyio_stream_close(self.client);
	CHECK_RC(anyio_stream_receive(self.client, &byte, 1), ANYIO_CLOSED);
	CHECK_RC(anyio_stream_send(self.client, "x", 1), ANYIO_CLOSED);
	CHECK_RC(anyio_stream_send_eof(self.client), ANYIO_CLOSED);
	CHECK_RC(anyio_tls_handshake(self.client), ANYIO_CLOSED);
	CHECK_RC(anyio_tls_key_update(self.client, false), ANYIO_CLOSED);
	secured_free(&self);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(receiving.rc, ANYIO_CLOSED);
	return 0;
}

/* Two in the handshake of one stream, and it is closed under both. */
static int closed_under_a_handshake(void *arg)
{
	struct secured self;
	struct receiving receiving;
	struct anyio_task_group group;

	secure(&self, client_make((context_options){ .server = false }),
		server_make(&certificates.server, (context_options){ .server = true }),
		(struct anyio_tls_options){ .server_name = NULL });
	receiving = (struct receiving){ .stream = self.client };
	anyio_task_group_enter(&group);
	spawn(&group, shake_client, &self, NULL);
	spawn(&group, receive_some, &receiving, NULL);
	anyio_wait_all_tasks_blocked();
	anyio_stream_abort(self.client);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.client_rc, ANYIO_CLOSED);
	CHECK_RC(receiving.rc, ANYIO_CLOSED);
	CHECK_RC(anyio_tls_handshake(self.server), ANYIO_BROKEN);
	secured_free(&self);
	return 0;
}

static int c56_ragged_end_is_told_apart_from_a_clean_one(void *arg)
{
	struct secured self;
	char byte;

	EACH_VERSION(&self)
	{
		CHECK_RC(anyio_stream_send(self.client, "x", 1), 0);
		CHECK_RC(anyio_stream_send_eof(self.client), 0);
		CHECK_RC(anyio_stream_send_eof(self.client), 0);
		CHECK_RC(anyio_stream_send(self.client, "x", 1), ANYIO_CLOSED);
		expect(self.server, "x");
		CHECK_RC(anyio_stream_receive(self.server, &byte, 1), 0);
		CHECK_RC(anyio_stream_receive(self.server, &byte, 1), 0);
		/* The other way still works. */
		pass(self.server, self.client, "answer");
		anyio_stream_close(self.server);
		CHECK_RC(anyio_stream_receive(self.client, &byte, 1), ANYIO_TLS_RAGGED_END);
		CHECK_RC(anyio_stream_receive(self.client, &byte, 1), ANYIO_TLS_RAGGED_END);
	}
	return 0;
}

static int ragged_end_may_be_allowed(void *arg)
{
	struct secured self;
	char byte;

	secure(&self, client_make((context_options){ .server = false }),
		server_make(&certificates.server, (context_options){ .server = true }),
		(struct anyio_tls_options){ .allow_ragged = true });
	/* But not in the handshake. */
	anyio_stream_close(self.client);
	CHECK(anyio_stream_receive(self.server, &byte, 1) < 0);
	secured_free(&self);
	secure(&self, client_make((context_options){ .server = false }),
		server_make(&certificates.server, (context_options){ .server = true }),
		(struct anyio_tls_options){ .allow_ragged = true });
	shake(&self);
	CHECK_RC(anyio_stream_send(self.client, "x", 1), 0);
	anyio_stream_close(self.client);
	expect(self.server, "x");
	CHECK_RC(anyio_stream_receive(self.server, &byte, 1), 0);
	secured_free(&self);
	return 0;
}

struct cut {
	struct anyio_stream *stream;
	struct anyio_task_handle handle;
	size_t sent;
	int rc;
};

/* More than a pair in memory holds. */
static int send_too_much(void *arg)
{
	static char data[200000];
	struct cut *cut = arg;
	struct iovec iov[] = { { data, 3 }, { data, sizeof(data) - 3 } };

	cut->rc = anyio_stream_sendv(cut->stream, iov, 2, &cut->sent);
	return cut->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int r10_c57_cut_off_write_breaks_the_stream(void *arg)
{
	struct secured self;
	struct cut cut;
	struct anyio_task_group group;
	static char buffer[200000];
	size_t total = 0;
	ssize_t n;

	EACH_VERSION(&self)
	{
		cut = (struct cut){ .stream = self.client };
		anyio_task_group_enter(&group);
		spawn(&group, send_too_much, &cut, &cut.handle);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(anyio_stream_send(self.client, "x", 1), ANYIO_BUSY);
		anyio_task_handle_cancel(&cut.handle, "test");
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(cut.rc, ANYIO_CANCELLED);
		/* The pair took 64 KiB: three records of 16 KiB, and most of a fourth. */
		CHECK_RC(cut.sent, 3 * 16384);
		CHECK_RC(anyio_stream_send(self.client, "x", 1), ANYIO_BROKEN);
		CHECK_RC(anyio_stream_receive(self.client, buffer, 1), ANYIO_BROKEN);
		CHECK_RC(anyio_stream_send_eof(self.client), ANYIO_BROKEN);
		CHECK(anyio_tls_error_text(self.client) != NULL);
		anyio_stream_close(self.client);
		for (total = 0; (n = anyio_stream_receive(self.server, buffer, 99999)) > 0;)
			total += (size_t)n;
		CHECK_RC(n, ANYIO_TLS_RAGGED_END);
		CHECK_RC(total, cut.sent);
	}
	return 0;
}

/* What was not begun breaks nothing. */
static int send_cancelled_before_it_began(void *arg)
{
	struct secured self;
	struct anyio_cancel_scope scope;
	size_t sent = 9;
	struct iovec iov = { "x", 1 };

	secure_plain(&self, 0);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_enter(&scope);
	anyio_cancel_scope_cancel(&scope, "test");
	CHECK_RC(anyio_stream_sendv(self.client, &iov, 1, &sent), ANYIO_CANCELLED);
	CHECK_RC(anyio_stream_send_eof(self.client), ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&scope, ANYIO_CANCELLED), 0);
	CHECK_RC(sent, 0);
	pass(self.client, self.server, "still");
	secured_free(&self);
	return 0;
}

/* The other side goes in the middle of a write: later ones are broken, what it sent is there. */
static int c57_failed_write_breaks_the_stream(void *arg)
{
	struct secured self;
	struct cut cut;
	struct anyio_task_group group;

	EACH_VERSION(&self)
	{
		CHECK_RC(anyio_stream_send(self.server, "last words", 10), 0);
		cut = (struct cut){ .stream = self.client };
		anyio_task_group_enter(&group);
		spawn(&group, send_too_much, &cut, NULL);
		anyio_wait_all_tasks_blocked();
		anyio_stream_close(self.server);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(cut.rc, ANYIO_BROKEN);
		CHECK_RC(anyio_stream_send(self.client, "x", 1), ANYIO_BROKEN);
		CHECK_RC(anyio_stream_send_eof(self.client), ANYIO_BROKEN);
		expect(self.client, "last words");
	}
	return 0;
}

static int cancelled_receive_loses_nothing(void *arg)
{
	struct secured self;
	struct receiving receiving;
	struct anyio_task_group group;

	EACH_VERSION(&self)
	{
		receiving = (struct receiving){ .stream = self.server };
		anyio_task_group_enter(&group);
		spawn(&group, receive_some, &receiving, &receiving.handle);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(anyio_stream_send(self.client, "one", 3), 0);
		anyio_task_handle_cancel(&receiving.handle, "test");
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		/* Woken with bytes or cancelled, by the turn of the tasks; never both. */
		CHECK(receiving.rc == 3 || receiving.rc == ANYIO_CANCELLED);
		if (receiving.rc == ANYIO_CANCELLED)
			expect(self.server, "one");
		pass(self.client, self.server, "two");
	}
	return 0;
}

static int unwrap_and_say(void *arg)
{
	struct cut *cut = arg;
	struct anyio_stream *raw;
	uint8_t *left;

	cut->rc = anyio_tls_unwrap(cut->stream, &raw, &left, &cut->sent);
	CHECK_RC(cut->sent, 0);
	CHECK(left == NULL);
	if (cut->rc == 0)
		CHECK_RC(anyio_stream_send(raw, "plain", 5), 0);
	anyio_stream_free(raw);
	return cut->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int unwrap_gives_the_transport_back(void *arg)
{
	struct secured self;
	struct anyio_task_group group;
	struct anyio_stream *raw;
	struct cut cut;
	uint8_t *left;
	size_t size;
	char rest[5];

	EACH_VERSION(&self)
	{
		cut = (struct cut){ .stream = self.client };
		anyio_task_group_enter(&group);
		spawn(&group, unwrap_and_say, &cut, NULL);
		CHECK_RC(anyio_tls_unwrap(self.server, &raw, &left, &size), 0);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(cut.rc, 0);
		CHECK(size <= 5 && (size == 0) == (left == NULL));
		CHECK(raw == self.raw[1] && anyio_tls_transport(self.server) == NULL);
		if (size < 5)
			CHECK_RC(anyio_stream_receive_exactly(raw, rest, 5 - size), 0);
		CHECK(size == 0 || memcmp(left, "plain", size) == 0);
		CHECK(size == 5 || memcmp(rest, &"plain"[size], 5 - size) == 0);
		anyio_free(left);
		CHECK_RC(anyio_stream_send(self.server, "x", 1), ANYIO_CLOSED);
		CHECK_RC(anyio_stream_receive(raw, rest, 1), 0);
		anyio_stream_free(raw);
	}
	return 0;
}

/* What comes with the other side's close_notify in one piece is left over. */
static int unwrap_hands_out_what_came_behind(void *arg)
{
	struct secured self;
	struct anyio_stream *raw;
	uint8_t *left;
	size_t size;

	EACH_VERSION(&self)
	{
		CHECK_RC(anyio_stream_send_eof(self.client), 0);
		CHECK_RC(anyio_stream_send(self.raw[0], "plain", 5), 0);
		CHECK_RC(anyio_tls_unwrap(self.server, &raw, &left, &size), 0);
		CHECK_RC(size, 5);
		CHECK(left != NULL && memcmp(left, "plain", 5) == 0);
		anyio_free(left);
		anyio_stream_free(raw);
	}
	return 0;
}

static int unwrap_does_not_drop_what_is_unread(void *arg)
{
	struct secured self;
	struct anyio_stream *raw;
	uint8_t *left;
	size_t size;
	struct anyio_task_group group;
	struct cut cut;

	EACH_VERSION(&self)
	{
		CHECK_RC(anyio_stream_send(self.client, "unread", 6), 0);
		CHECK_RC(anyio_tls_unwrap(self.server, &raw, &left, &size), -ENOTEMPTY);
		CHECK(raw == NULL && left == NULL && size == 0);
		expect(self.server, "unread");
		cut = (struct cut){ .stream = self.server };
		anyio_task_group_enter(&group);
		spawn(&group, unwrap_and_say, &cut, &cut.handle);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(anyio_tls_unwrap(self.server, &raw, &left, &size), ANYIO_BUSY);
		CHECK_RC(anyio_stream_receive(self.server, &size, 1), ANYIO_BUSY);
		anyio_task_handle_cancel(&cut.handle, "test");
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(cut.rc, ANYIO_CANCELLED);
		/* And goes on. */
		anyio_stream_close(self.client);
		CHECK_RC(anyio_tls_unwrap(self.server, &raw, &left, &size), ANYIO_TLS_RAGGED_END);
	}
	return 0;
}

/* The tickets of a server whose client only sends, and goes: they break nothing, and its bytes and
 * clean end are read (openssl#7948). */
static int client_that_never_receives_is_heard(void *arg)
{
	struct secured self;
	char byte;

	secure_plain(&self, ANYIO_TLS_VERSION_1_3);
	CHECK_RC(anyio_stream_send(self.client, "bye", 3), 0);
	CHECK_RC(anyio_stream_send_eof(self.client), 0);
	anyio_stream_close(self.client);
	expect(self.server, "bye");
	CHECK_RC(anyio_stream_receive(self.server, &byte, 1), 0);
	secured_free(&self);
	return 0;
}

static int others_are_told_apart(void *arg)
{
	struct anyio_stream *ends[2], *raw;
	uint8_t *left;
	size_t size;

	CHECK_RC(anyio_stream_pair(0, ends), 0);
	CHECK_RC(anyio_tls_handshake(ends[0]), -EINVAL);
	CHECK_RC(anyio_tls_unwrap(ends[0], &raw, &left, &size), -EINVAL);
	CHECK_RC(anyio_tls_key_update(ends[0], true), -EINVAL);
	CHECK_RC(anyio_tls_verify_result(ends[0]), -EINVAL);
	CHECK(anyio_tls_error_text(ends[0]) == NULL && anyio_tls_transport(ends[0]) == NULL);
	CHECK(anyio_tls_session_get(ends[0]) == NULL && !anyio_tls_session_reused(ends[0]));
	pair_free(ends);
	return 0;
}

/* Asked for new keys, a side that only receives answers when it sends. */
static int asked_for_keys_while_receiving(void *arg)
{
	struct secured self;

	secure_plain(&self, ANYIO_TLS_VERSION_1_3);
	for (int i = 0; i < 3; i++) {
		CHECK_RC(anyio_tls_key_update(self.client, true), 0);
		pass(self.client, self.server, "new");
	}
	pass(self.server, self.client, "answer");
	pass(self.client, self.server, "fine");
	secured_free(&self);
	return 0;
}

/* Keys are changed before a cipher has done too much with them. */
static int keys_change_by_themselves(void *arg)
{
	struct secured self;

	secure_plain(&self, ANYIO_TLS_VERSION_1_3);
	tls_of(self.client)->records = 1 << 23;
	pass(self.client, self.server, "x");
	CHECK_RC(tls_of(self.client)->records, 1);
	pass(self.client, self.server, "y");
	secured_free(&self);
	secure_plain(&self, ANYIO_TLS_VERSION_1_2);
	tls_of(self.client)->records = 1 << 23;
	pass(self.client, self.server, "x");
	secured_free(&self);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(carries_both_ways, CONFORM_MOCK),
		CONFORM(first_use_runs_the_handshake, CONFORM_MOCK),
		CONFORM(lazy_receive_borrows_late, CONFORM_MOCK),
		CONFORM(busy_closed_freed_under_a_reader, CONFORM_MOCK),
		CONFORM(closed_under_a_handshake, CONFORM_MOCK),
		CONFORM(c56_ragged_end_is_told_apart_from_a_clean_one, CONFORM_MOCK),
		CONFORM(ragged_end_may_be_allowed, CONFORM_MOCK),
		CONFORM(r10_c57_cut_off_write_breaks_the_stream, CONFORM_MOCK),
		CONFORM(send_cancelled_before_it_began, CONFORM_MOCK),
		CONFORM(c57_failed_write_breaks_the_stream, CONFORM_MOCK),
		CONFORM(cancelled_receive_loses_nothing, CONFORM_MOCK),
		CONFORM(unwrap_gives_the_transport_back, CONFORM_MOCK),
		CONFORM(unwrap_hands_out_what_came_behind, CONFORM_MOCK),
		CONFORM(unwrap_does_not_drop_what_is_unread, CONFORM_MOCK),
		CONFORM(client_that_never_receives_is_heard, CONFORM_MOCK),
		CONFORM(others_are_told_apart, CONFORM_MOCK),
		CONFORM(asked_for_keys_while_receiving, CONFORM_MOCK),
		CONFORM(keys_change_by_themselves, CONFORM_MOCK),
	};
	return run_secured(cases, sizeof(cases) / sizeof(*cases));
}
