/* TLS with who breaks the rules, or the connection: each gets a clear error, and an end. */
#include "../tls/tls.h"
#include "secured.h"

static struct anyio_tls_context *plain_server(void)
{
	return server_make(&certificates.server, (context_options){ .server = true });
}

static struct anyio_tls_context *plain_client(void)
{
	return client_make((context_options){ .server = false });
}

/* What a server, and a client, say to bytes that are sent and then ended. */
static void hears(const void *data, size_t size, int server_rc, int client_rc, const char *text)
{
	for (int server = 0; server < 2; server++) {
		struct anyio_tls_context *context = server ? plain_server() : plain_client();
		struct anyio_tls_options options = { .any_name = !server };
		struct anyio_stream *ends[2], *stream;
		int expected = server ? server_rc : client_rc;
		char byte;

		CHECK_RC(anyio_stream_pair(1 << 20, ends), 0);
		CHECK_RC(anyio_tls_wrap(ends[0], context, &options, &stream), 0);
		anyio_tls_context_free(context);
		CHECK_RC(anyio_stream_send(ends[1], data, size), 0);
		CHECK_RC(anyio_stream_send_eof(ends[1]), 0);
		CHECK_RC(anyio_stream_receive(stream, &byte, 1), expected);
		CHECK_RC(anyio_stream_send(stream, "x", 1), expected);
		CHECK_RC(anyio_stream_send_eof(stream), expected);
		CHECK(anyio_tls_error_text(stream) != NULL);
		if (server && text != NULL && strcmp(anyio_tls_error_text(stream), text) != 0)
			conformance_fail(__FILE__, __LINE__, "\"%s\" is not \"%s\"",
				anyio_tls_error_text(stream), text);
		anyio_stream_free(stream);
		anyio_stream_free(ends[1]);
	}
}

static int garbage_and_other_protocols(void *arg)
{
	static unsigned runs;
	static const char http[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	static const char proxy[] = "CONNECT example.com:443 HTTP/1.1\r\n\r\n";
	static const char ssh[] = "SSH-2.0-OpenSSH_9.2\r\n";
	uint8_t noise[512];

	if (not_this_seed(&runs))
		return 0;
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i * 197 + 31);
	hears(http, sizeof(http) - 1, ANYIO_TLS_FAILED, ANYIO_TLS_FAILED, "http request");
	hears(proxy, sizeof(proxy) - 1, ANYIO_TLS_FAILED, ANYIO_TLS_FAILED, "https proxy request");
	hears(ssh, sizeof(ssh) - 1, ANYIO_TLS_FAILED, ANYIO_TLS_FAILED, "wrong version number");
	hears(noise, sizeof(noise), ANYIO_TLS_FAILED, ANYIO_TLS_FAILED, NULL);
	memset(noise, 0, sizeof(noise));
	hears(noise, sizeof(noise), ANYIO_TLS_FAILED, ANYIO_TLS_FAILED, NULL);
	return 0;
}

static int records_cut_short_and_too_long(void *arg)
{
	static unsigned runs;
	static uint8_t big[5 + 65535] = { 22, 3, 1, 0xff, 0xff };
	static const uint8_t shorter[] = { 22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3 };
	static const uint8_t alert[] = { 21, 3, 1, 0, 2, 2, 40 }; /* handshake failure */
	static const uint8_t bye[] = { 21, 3, 1, 0, 2, 1, 0 };    /* close_notify */

	if (not_this_seed(&runs))
		return 0;
	hears("", 0, ANYIO_TLS_RAGGED_END, ANYIO_TLS_RAGGED_END, NULL);
	hears(shorter, 3, ANYIO_TLS_RAGGED_END, ANYIO_TLS_RAGGED_END, NULL);
	hears(shorter, sizeof(shorter), ANYIO_TLS_RAGGED_END, ANYIO_TLS_RAGGED_END, NULL);
	hears(big, sizeof(big), ANYIO_TLS_FAILED, ANYIO_TLS_FAILED, NULL);
	hears(alert, sizeof(alert), ANYIO_TLS_FAILED, ANYIO_TLS_FAILED, NULL);
	hears(bye, sizeof(bye), ANYIO_TLS_FAILED, ANYIO_TLS_FAILED, NULL);
	return 0;
}

/* Records, and alerts, that never end: it is not the memory that does. */
static int endless_records_of_nothing(void *arg)
{
	static uint8_t empty[5 * 4000], warnings[7 * 4000];

	for (size_t i = 0; i < sizeof(empty); i += 5)
		memcpy(empty + i, (uint8_t[]){ 22, 3, 1, 0, 0 }, 5);
	for (size_t i = 0; i < sizeof(warnings); i += 7)
		memcpy(warnings + i, (uint8_t[]){ 21, 3, 1, 0, 2, 1, 90 }, 7);
	hears(empty, sizeof(empty), ANYIO_TLS_FAILED, ANYIO_TLS_FAILED, NULL);
	hears(warnings, sizeof(warnings), ANYIO_TLS_FAILED, ANYIO_TLS_FAILED, NULL);
	return 0;
}

/* The alert that says why goes out before the error comes back. */
static int other_side_is_told(void *arg)
{
	struct anyio_tls_context *context = plain_server();
	struct anyio_stream *ends[2], *stream;
	uint8_t alert[16];

	CHECK_RC(anyio_stream_pair(0, ends), 0);
	CHECK_RC(anyio_tls_wrap(ends[0], context, NULL, &stream), 0);
	anyio_tls_context_free(context);
	CHECK_RC(anyio_stream_send(ends[1], "\x16\x03\x01\x00\x05\x02\0\0\0\0", 10), 0);
	CHECK_RC(anyio_tls_handshake(stream), ANYIO_TLS_FAILED);
	CHECK_RC(anyio_stream_receive(ends[1], alert, sizeof(alert)), 7);
	CHECK(alert[0] == SSL3_RT_ALERT && alert[5] == SSL3_AL_FATAL &&
		alert[6] == SSL_AD_UNEXPECTED_MESSAGE);
	anyio_stream_free(stream);
	anyio_stream_free(ends[1]);
	return 0;
}

/* After the handshake somebody changes, cuts or repeats what is on its way. */
static int records_that_were_tampered_with(void *arg)
{
	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		struct secured self;
		char byte;

		secure_plain(&self, v);
		pass(self.client, self.server, "good");
		CHECK_RC(anyio_stream_send(self.raw[0], "\x17\x03\x03\x00\x20", 5), 0);
		CHECK_RC(anyio_stream_send(self.raw[0], "0123456789abcdef0123456789abcdef", 32), 0);
		CHECK_RC(anyio_stream_receive(self.server, &byte, 1), ANYIO_TLS_FAILED);
		CHECK(strcmp(anyio_tls_error_text(self.server),
			      "decryption failed or bad record mac") == 0);
		CHECK_RC(anyio_stream_send(self.server, "x", 1), ANYIO_TLS_FAILED);
		/* The other side hears that too. */
		CHECK_RC(anyio_stream_receive(self.client, &byte, 1), ANYIO_TLS_FAILED);
		CHECK(strstr(anyio_tls_error_text(self.client), "bad record mac") != NULL);
		secured_free(&self);
	}
	return 0;
}

/* Bytes that came before the bad record are still handed out, then its error. */
static int good_bytes_before_a_bad_record(void *arg)
{
	struct secured self;
	char buffer[64];

	secure_plain(&self, ANYIO_TLS_VERSION_1_3);
	CHECK_RC(anyio_stream_send(self.client, "good", 4), 0);
	CHECK_RC(anyio_stream_send(self.raw[0], "\x17\x03\x03\x00\x01z", 6), 0);
	CHECK_RC(anyio_stream_receive(self.server, buffer, sizeof(buffer)), 4);
	CHECK_RC(anyio_stream_receive(self.server, buffer, sizeof(buffer)), ANYIO_TLS_FAILED);
	secured_free(&self);
	return 0;
}

static int receive_only(void *arg)
{
	struct anyio_stream *stream = arg;
	char byte;

	CHECK(anyio_stream_receive(stream, &byte, 1) < 0);
	return 0;
}

/* A side that asks for a new handshake is told that there is none, by one that only receives. */
static int renegotiation_is_refused(void *arg)
{
	for (int server = 0; server < 2; server++) {
		struct anyio_stream *asks, *refuses;
		struct secured self;
		struct anyio_task_group group;
		char byte;

		secure_plain(&self, ANYIO_TLS_VERSION_1_2);
		asks = server ? self.server : self.client;
		refuses = server ? self.client : self.server;
		SSL_clear_options(tls_of(asks)->ssl, SSL_OP_NO_RENEGOTIATION);
		CHECK_RC(SSL_renegotiate(tls_of(asks)->ssl), 1);
		anyio_task_group_enter(&group);
		spawn(&group, receive_only, refuses, NULL);
		/* Its own handshake fails by that answer, RFC 5246 section 7.2.2. */
		CHECK_RC(anyio_stream_receive(asks, &byte, 1), ANYIO_TLS_FAILED);
		CHECK(strcmp(anyio_tls_error_text(asks), "no renegotiation") == 0);
		anyio_stream_close(asks);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		secured_free(&self);
	}
	return 0;
}

/* One side asks without end for what OpenSSL answers by itself, and reads no answer: in TLS 1.3 a client for
 * new keys, in TLS 1.2 a server for a new handshake. */
struct flood {
	struct secured pair;
	struct anyio_stream *asks, *answers, *under; /* under: the transport of who asks */
	size_t most, asked;
};

/* Much more than a transport holds; of what goes nowhere, less shows as much, and each answer costs new keys. */
enum { FLOOD = 800 << 10, FLOOD_KEPT = 400 << 10, DROPPED = 100 << 10, DROPPED_KEPT = 50 << 10 };

static void flood_ask(struct flood *self)
{
	struct tls *tls = tls_of(self->asks);
	bool keys = SSL_version(tls->ssl) == TLS1_3_VERSION;

	CHECK_RC(keys ? SSL_key_update(tls->ssl, SSL_KEY_UPDATE_REQUESTED)
		      : SSL_renegotiate(tls->ssl),
		1);
	CHECK_RC(SSL_do_handshake(tls->ssl), 1);
}

static int flood_run(void *arg)
{
	struct flood *self = arg;
	struct tls *tls = tls_of(self->asks);
	int rc = 0;

	while (rc == 0 && self->asked < self->most) {
		for (int i = 0; i < 200; i++)
			flood_ask(self);
		rc = anyio_stream_send(
			self->under, tls->out.data + tls->out.start, buffer_used(&tls->out));
		self->asked += buffer_used(&tls->out);
		tls_buffer_free(&tls->out);
	}
	return rc;
}

static int flood_send(void *arg)
{
	static const char much[1 << 20];
	struct flood *self = arg;

	return anyio_stream_send(self->answers, much, sizeof(much));
}

static int flood_receive(void *arg)
{
	struct flood *self = arg;
	char byte;

	return (int)anyio_stream_receive(self->answers, &byte, 1);
}

static void flood_begin(struct flood *self, enum anyio_tls_version version)
{
	bool client = version == ANYIO_TLS_VERSION_1_3;

	*self = (struct flood){ .most = FLOOD };
	secure_plain(&self->pair, version);
	pass(self->pair.server, self->pair.client, "tickets too");
	self->asks = client ? self->pair.client : self->pair.server;
	self->answers = client ? self->pair.server : self->pair.client;
	self->under = self->pair.raw[client ? 0 : 1];
	SSL_clear_options(tls_of(self->asks)->ssl, SSL_OP_NO_RENEGOTIATION);
}

static size_t flood_kept(const struct flood *self)
{
	return tls_of(self->answers)->out.size + tls_of(self->answers)->going.size;
}

static int answers_nobody_reads_are_bounded(void *arg)
{
	static unsigned runs;

	if (not_this_seed(&runs))
		return 0;
	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		struct anyio_task_group group;
		struct flood self;

		flood_begin(&self, v);
		anyio_task_group_enter(&group);
		spawn(&group, flood_send, &self, NULL);
		anyio_wait_all_tasks_blocked();
		spawn(&group, flood_receive, &self, NULL);
		spawn(&group, flood_run, &self, NULL);
		anyio_wait_all_tasks_blocked();
		/* Who asks waits until he reads. */
		CHECK(self.asked > 0 && self.asked < FLOOD);
		CHECK(flood_kept(&self) <= FLOOD_KEPT);
		anyio_task_group_cancel(&group, "test");
		anyio_task_group_exit(&group, 0);
		secured_free(&self.pair);
	}
	return 0;
}

/* As over a UNIX socket whose other side has shut its receiving down. */
static int answers_nobody_can_be_sent_are_dropped(void *arg)
{
	static unsigned runs;

	if (not_this_seed(&runs))
		return 0;
	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		struct anyio_task_group group;
		struct flood self;

		flood_begin(&self, v);
		anyio_task_group_enter(&group);
		self.most = DROPPED;
		tls_of(self.answers)->out_failed = ANYIO_BROKEN;
		spawn(&group, flood_receive, &self, NULL);
		spawn(&group, flood_run, &self, NULL);
		anyio_wait_all_tasks_blocked();
		CHECK(self.asked >= DROPPED);
		CHECK(flood_kept(&self) <= DROPPED_KEPT);
		anyio_task_group_cancel(&group, "test");
		anyio_task_group_exit(&group, 0);
		secured_free(&self.pair);
	}
	return 0;
}

/* A server could choose numbers that take seconds to compute with. */
static int client_offers_no_dhe(void *arg)
{
	static unsigned runs;
	context_options tls_1_2 = { .max_version = ANYIO_TLS_VERSION_1_2 };

	if (not_this_seed(&runs))
		return 0;
	for (int curves = 0; curves < 2; curves++) {
		struct secured self;

		secure(&self, plain_client(), server_make(&certificates.rsa, tls_1_2),
			(struct anyio_tls_options){ .server_name = NULL });
		SSL_set_dh_auto(tls_of(self.server)->ssl, 1);
		CHECK_RC(SSL_set_cipher_list(tls_of(self.server)->ssl, curves ? "kECDHE" : "kDHE"),
			1);
		shake(&self);
		CHECK_RC(self.server_rc, curves ? 0 : ANYIO_TLS_FAILED);
		CHECK_RC(self.client_rc, curves ? 0 : ANYIO_TLS_FAILED);
		secured_free(&self);
	}
	return 0;
}

/* Closed with bytes unread on both sides. */
static int closed_with_unread_data(void *arg)
{
	struct secured self;
	char byte;

	secure(&self, plain_client(), plain_server(),
		(struct anyio_tls_options){ .server_name = NULL });
	shake(&self);
	CHECK_RC(anyio_stream_send(self.client, "unread", 6), 0);
	CHECK_RC(anyio_stream_send(self.server, "unread", 6), 0);
	CHECK_RC(anyio_stream_receive(self.server, &byte, 1), 1);
	anyio_stream_close(self.server);
	CHECK_RC(anyio_stream_receive(self.client, &byte, 1), 1);
	secured_free(&self);
	return 0;
}

/* Aborting is the transport's, and no clean end. */
static int transport_that_is_aborted(void *arg)
{
	struct secured self;
	char byte;

	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		secure_plain(&self, v);
		anyio_stream_abort(self.client);
		CHECK_RC(anyio_stream_receive(self.server, &byte, 1), ANYIO_BROKEN);
		CHECK_RC(anyio_stream_receive(self.server, &byte, 1), ANYIO_BROKEN);
		CHECK_RC(anyio_stream_send(self.server, "x", 1), ANYIO_BROKEN);
		secured_free(&self);
	}
	return 0;
}

/* What OpenSSL leaves in its queue of errors is nobody else's failure. */
static int errors_do_not_leak_between_streams(void *arg)
{
	struct secured one, two;
	char byte;

	secure_plain(&one, 0);
	secure_plain(&two, 0);
	CHECK_RC(anyio_stream_send(one.raw[0], "GET / HTTP/1.1\r\n", 16), 0);
	CHECK_RC(anyio_stream_receive(one.server, &byte, 1), ANYIO_TLS_FAILED);
	CHECK_RC((int64_t)ERR_peek_error(), 0);
	pass(two.client, two.server, "fine");
	ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
	pass(two.server, two.client, "fine");
	CHECK_RC((int64_t)ERR_peek_error(), 0);
	secured_free(&one);
	secured_free(&two);
	return 0;
}

/* The simulated network does less than asked, and breaks: every end is an error or a whole. */
struct storm {
	struct anyio_listener *listener;
	struct anyio_address address;
	size_t whole;
};

enum { STORM_SIZE = 40000 };

static int storm_server(void *arg)
{
	struct storm *storm = arg;
	struct anyio_tls_context *context = plain_server();
	struct anyio_stream *stream;
	static uint8_t data[STORM_SIZE];
	int rc = anyio_tls_accept(storm->listener, context, NULL, &stream);

	anyio_tls_context_free(context);
	if (rc < 0)
		return rc;
	rc = anyio_stream_receive_exactly(stream, data, sizeof(data));
	if (rc == 0)
		rc = anyio_stream_send(stream, data, sizeof(data));
	if (rc == 0)
		anyio_stream_send_eof(stream);
	anyio_stream_free(stream);
	return 0;
}

static int storm_client(void *arg)
{
	struct storm *storm = arg;
	struct anyio_tls_context *context = plain_client();
	struct anyio_stream *raw = NULL, *stream = NULL;
	static uint8_t sent[STORM_SIZE], got[STORM_SIZE];
	char byte;
	int rc = anyio_connect_address(&storm->address, &raw);

	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7 >> 2);
	if (rc == 0)
		rc = anyio_tls_wrap(raw, context,
			&(struct anyio_tls_options){ .server_name = "localhost" }, &stream);
	anyio_tls_context_free(context);
	if (rc == 0)
		rc = anyio_stream_send(stream, sent, sizeof(sent));
	if (rc == 0)
		rc = anyio_stream_receive_exactly(stream, got, sizeof(got));
	if (rc == 0) {
		CHECK(memcmp(sent, got, sizeof(sent)) == 0);
		rc = (int)anyio_stream_receive(stream, &byte, 1);
		storm->whole += rc == 0;
	}
	CHECK(rc == 0 || rc == ANYIO_BROKEN || rc == ANYIO_TLS_RAGGED_END || rc == -ECONNRESET ||
		rc == ANYIO_INCOMPLETE_READ || rc == ANYIO_END_OF_STREAM);
	anyio_stream_free(stream);
	anyio_listener_free(storm->listener);
	return 0;
}

static int storm_body(void *arg)
{
	struct storm *storm = arg;
	struct anyio_task_group group;
	int rc;

	storm->listener = listen_local(&storm->address);
	anyio_task_group_enter(&group);
	spawn(&group, storm_server, storm, NULL);
	spawn(&group, storm_client, storm, NULL);
	rc = anyio_task_group_exit(&group, 0);
	/* The server's accept, when the client did not come. */
	CHECK(rc == 0 || rc == ANYIO_CLOSED);
	return 0;
}

static int storm_on_the_simulated_network(void *arg)
{
	struct anyio_options *given = arg, options = *given;
	struct anyio_sim_options sim = { .latency_max = ANYIO_MILLISECOND, .short_io = 500000 };
	struct storm storm = { .whole = 0 };

	if (given->backend == NULL || strcmp(given->backend, "sim") != 0)
		return 0;
	options.sim = &sim;
	CHECK_RC(anyio_run(storm_body, &storm, &options), 0);
	CHECK_RC((int64_t)storm.whole, 1);
	sim.connection_break = 30000;
	sim.late_cancel = 300000;
	for (unsigned i = 0; i < 10; i++) {
		options.seed = given->seed * 1000 + i;
		CHECK_RC(anyio_run(storm_body, &storm, &options), 0);
	}
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(garbage_and_other_protocols, CONFORM_MOCK),
		CONFORM(records_cut_short_and_too_long, CONFORM_MOCK),
		CONFORM(endless_records_of_nothing, CONFORM_MOCK),
		CONFORM(other_side_is_told, CONFORM_MOCK),
		CONFORM(records_that_were_tampered_with, CONFORM_MOCK),
		CONFORM(good_bytes_before_a_bad_record, CONFORM_MOCK),
		CONFORM(answers_nobody_reads_are_bounded, 0),
		CONFORM(answers_nobody_can_be_sent_are_dropped, 0),
		CONFORM(renegotiation_is_refused, CONFORM_MOCK),
		CONFORM(client_offers_no_dhe, CONFORM_MOCK),
		CONFORM(closed_with_unread_data, CONFORM_MOCK),
		CONFORM(transport_that_is_aborted, CONFORM_MOCK),
		CONFORM(errors_do_not_leak_between_streams, CONFORM_MOCK),
		CONFORM(storm_on_the_simulated_network, CONFORM_BARE),
	};
	return run_secured(cases, sizeof(cases) / sizeof(*cases));
}
