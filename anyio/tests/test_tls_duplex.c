/* TLS in both directions at once: bulk, changes of keys in the middle, messages in halves, cancelling
 * wherever it may fall. */
#include "../tls/tls.h"
#include "secured.h"

static uint64_t mix(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* Each byte is known by its place, so that a lost, doubled or moved one is seen. */
static uint8_t byte_at(size_t at)
{
	return (uint8_t)(at * 131 >> 3 ^ at >> 11);
}

static void fill_from(uint8_t *data, size_t size, size_t at)
{
	for (size_t i = 0; i < size; i++)
		data[i] = byte_at(at + i);
}

static bool is_from(const uint8_t *data, size_t size, size_t at)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] != byte_at(at + i))
			return false;
	return true;
}

/* One direction. */
struct flow {
	struct anyio_stream *from, *to;
	size_t total, sent, received;
	size_t update_every; /* sends; 0: no change of keys */
	bool update_both;
};

enum { PIECE = 300000 };

static int flow_send(void *arg)
{
	struct flow *flow = arg;
	uint8_t *data = malloc(PIECE);
	int rc = 0;

	for (size_t sends = 1; rc == 0 && flow->sent < flow->total; sends++) {
		size_t n = flow->total - flow->sent < PIECE ? flow->total - flow->sent : PIECE;

		fill_from(data, n, flow->sent);
		rc = anyio_stream_send(flow->from, data, n);
		flow->sent += n;
		if (flow->update_every > 0 && sends % flow->update_every == 0)
			CHECK_RC(anyio_tls_key_update(flow->from, flow->update_both), 0);
	}
	CHECK_RC(rc, 0);
	CHECK_RC(anyio_stream_send_eof(flow->from), 0);
	free(data);
	return 0;
}

static int flow_receive(void *arg)
{
	struct flow *flow = arg;
	uint8_t *data = malloc(PIECE);
	ssize_t n;

	while ((n = anyio_stream_receive(flow->to, data, PIECE)) > 0) {
		CHECK(is_from(data, (size_t)n, flow->received));
		flow->received += (size_t)n;
	}
	CHECK_RC(n, 0);
	CHECK_RC(flow->received, flow->total);
	free(data);
	return 0;
}

static void flow_both(struct flow *there, struct flow *back)
{
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	spawn(&group, flow_send, there, NULL);
	spawn(&group, flow_send, back, NULL);
	spawn(&group, flow_receive, there, NULL);
	spawn(&group, flow_receive, back, NULL);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
}

/* Both directions of self, from the handshake on. */
static void duplex(struct secured *self, size_t total, size_t update_every, bool update_both)
{
	struct flow there = { .from = self->client, .to = self->server };
	struct flow back = { .from = self->server, .to = self->client };

	there.total = back.total = total;
	there.update_every = back.update_every = update_every;
	there.update_both = back.update_both = update_both;
	flow_both(&there, &back);
	secured_free(self);
}

static void secure_sockets(struct secured *self, enum anyio_tls_version version)
{
	connect_pair(self->raw);
	secure_over(self, client_make((context_options){ .max_version = version }),
		server_make(&certificates.server, (context_options){ .max_version = version }),
		(struct anyio_tls_options){ .server_name = NULL });
}

static void secure_memory(struct secured *self, size_t capacity, enum anyio_tls_version version)
{
	CHECK_RC(anyio_stream_pair(capacity, self->raw), 0);
	secure_over(self, client_make((context_options){ .max_version = version }),
		server_make(&certificates.server, (context_options){ .max_version = version }),
		(struct anyio_tls_options){ .server_name = NULL });
}

static int both_directions_64_mib(void *arg)
{
	struct secured self;

	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		secure_sockets(&self, v);
		duplex(&self, (size_t)64 << 20, 0, false);
	}
	return 0;
}

static int both_directions_through_a_needle(void *arg)
{
	static unsigned runs;
	struct secured self;

	if (not_this_seed(&runs))
		return 0;
	for (int v = ANYIO_TLS_VERSION_1_2; v <= ANYIO_TLS_VERSION_1_3; v++) {
		secure_memory(&self, 7, v);
		duplex(&self, 100000, 0, false);
		secure_memory(&self, 5000, v);
		duplex(&self, 700001, 0, false);
	}
	return 0;
}

static int keys_change_in_both_directions(void *arg)
{
	static unsigned runs;
	struct secured self;

	if (not_this_seed(&runs))
		return 0;
	for (int both = 0; both < 2; both++) {
		secure_sockets(&self, ANYIO_TLS_VERSION_1_3);
		shake(&self);
		duplex(&self, (size_t)4 << 20, 1, both);
		secure_memory(&self, 1000, ANYIO_TLS_VERSION_1_3);
		shake(&self);
		duplex(&self, (size_t)1 << 20, 2, both);
	}
	return 0;
}

/* Passes on what comes, piece by piece, each once the gate is open. */
struct relay {
	struct anyio_stream *from, *to;
	size_t piece;
	struct anyio_event *gate;
	uint8_t data[4096];
};

/* As large as is wished when there is something. */
static void *relay_lend(void *arg, size_t *size)
{
	struct relay *relay = arg;

	*size = relay->piece;
	return relay->data;
}

static int relay_run(void *arg)
{
	struct relay *relay = arg;
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = anyio_stream_receive_lazy(relay->from, relay_lend, relay)) > 0) {
		rc = anyio_stream_send(relay->to, relay->data, (size_t)n);
		if (rc == 0)
			rc = anyio_event_wait(relay->gate);
	}
	return 0;
}

/* Two streams of which what the server sends can be held up. */
struct held_up {
	struct secured pair;
	struct relay up, down;
	struct anyio_event gate, open;
	struct anyio_task_group relays;
	struct anyio_task_handle receiver;
};

/* A server whose tickets come in two records each: small ones, and the client's certificate is in them. */
static void held_up_begin(struct held_up *self)
{
	struct anyio_stream *outer[2], *inner[2];
	context_options client = { .certificate = pem_of(certificates.client.chain),
		.key = pem_of(certificates.client.key) };
	context_options server = { .verify = ANYIO_TLS_VERIFY_REQUIRED,
		.roots = pem_of(certificates.root.chain) };

	CHECK_RC(anyio_stream_pair(0, outer), 0);
	CHECK_RC(anyio_stream_pair(0, inner), 0);
	anyio_event_init(&self->open);
	anyio_event_set(&self->open);
	anyio_event_init(&self->gate);
	anyio_event_set(&self->gate);
	self->up = (struct relay){
		.from = outer[1], .to = inner[0], .piece = 4096, .gate = &self->open
	};
	self->down = (struct relay){
		.from = inner[0], .to = outer[1], .piece = 4096, .gate = &self->gate
	};
	self->pair.raw[0] = outer[0];
	self->pair.raw[1] = inner[1];
	secure_over(&self->pair, client_make(client), server_make(&certificates.server, server),
		(struct anyio_tls_options){ .server_name = NULL });
	SSL_set_max_send_fragment(tls_of(self->pair.server)->ssl, 512);
	anyio_task_group_enter(&self->relays);
	spawn(&self->relays, relay_run, &self->up, NULL);
	spawn(&self->relays, relay_run, &self->down, NULL);
	shake(&self->pair);
	anyio_wait_all_tasks_blocked();
}

static void held_up_end(struct held_up *self)
{
	secured_free(&self->pair);
	CHECK_RC(anyio_task_group_exit(&self->relays, 0), 0);
	anyio_stream_free(self->up.from);
	anyio_stream_free(self->up.to);
}

static int receive_letter(void *arg)
{
	struct held_up *self = arg;
	char letter = 0;
	ssize_t n = anyio_stream_receive(self->pair.client, &letter, 1);

	CHECK(n == ANYIO_CANCELLED || (n == 1 && letter == 't'));
	return n < 0 ? (int)n : 0;
}

/* While half of a ticket is there OpenSSL sends nothing: a sender has to wait for the rest, whether it is a
 * receiver that gets it or, that one cancelled, itself. */
static int half_a_message_holds_a_sender(void *arg)
{
	for (int alone = 0; alone < 2; alone++) {
		struct held_up self;
		struct anyio_task_group group;
		struct flow flow;

		held_up_begin(&self);
		anyio_task_group_enter(&group);
		spawn(&group, receive_letter, &self, &self.receiver);
		anyio_wait_all_tasks_blocked();
		/* Of all that comes now the first record, and no more: 512 bytes and 22. */
		self.down.piece = 534;
		anyio_event_init(&self.gate);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(anyio_stream_send(self.pair.server, "t", 1), 0);
		anyio_wait_all_tasks_blocked();
		CHECK(SSL_in_init(tls_of(self.pair.client)->ssl));
		if (alone)
			anyio_task_handle_cancel(&self.receiver, "test");
		flow = (struct flow){
			.from = self.pair.client, .to = self.pair.server, .total = 50000
		};
		spawn(&group, flow_receive, &flow, NULL);
		spawn(&group, flow_send, &flow, NULL);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(flow.received, 0);
		anyio_event_set(&self.gate);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		if (alone)
			CHECK_RC(receive_letter(&self), 0);
		held_up_end(&self);
	}
	return 0;
}

/* So that a client that only sends, and goes, breaks nothing. */
static int tickets_wait_for_the_first_bytes(void *arg)
{
	struct anyio_task_group group;
	struct secured self;
	struct tls *server;

	secure_plain(&self, ANYIO_TLS_VERSION_1_3);
	server = tls_of(self.server);
	pass(self.client, self.server, "hello");
	CHECK(server->produced > server->sent);
	anyio_task_group_enter(&group);
	spawn(&group, shake_server, &self, NULL);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(server->produced > server->sent);
	pass(self.server, self.client, "tickets");
	CHECK_RC(server->produced, server->sent);
	secured_free(&self);
	return 0;
}

/* Cancels its user's calls after a drawn number of turns, again and again. */
struct shaky {
	struct anyio_stream *stream;
	uint64_t random;
	size_t total, done;
	bool eof;
	struct anyio_cancel_scope *scope;
	bool ended;
};

static int shaky_receive_once(void *arg)
{
	struct shaky *self = arg;
	uint8_t data[3000];
	ssize_t n = anyio_stream_receive(self->stream, data, 1 + mix(&self->random) % sizeof(data));

	if (n > 0) {
		CHECK(is_from(data, (size_t)n, self->done));
		self->done += (size_t)n;
	}
	self->eof = n == 0;
	CHECK(n >= 0 || n == ANYIO_CANCELLED);
	return n == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int shaky_canceller(void *arg)
{
	struct shaky *self = arg;

	while (!self->ended) {
		for (uint64_t i = mix(&self->random) % 6; i > 0; i--)
			anyio_cancel_shielded_checkpoint();
		if (self->scope != NULL)
			anyio_cancel_scope_cancel(self->scope, "shaky");
		anyio_cancel_shielded_checkpoint();
	}
	return 0;
}

static int shaky_receive(void *arg)
{
	struct shaky *self = arg;

	while (!self->eof && conformance_failures() == 0) {
		struct anyio_cancel_scope scope;

		anyio_cancel_scope_init(&scope);
		self->scope = &scope;
		CHECK_RC(anyio_cancel_scope_run(&scope, shaky_receive_once, self), 0);
		self->scope = NULL;
	}
	CHECK_RC(self->done, self->total);
	self->ended = true;
	return 0;
}

static uint64_t seeds;

/* A receiver cancelled wherever it may be, from the handshake on, while it sends too. */
static int cancelled_receiver_loses_nothing(void *arg)
{
	for (int round = 0; round < 4; round++) {
		struct anyio_task_group group;
		struct secured self;
		struct flow there, back;
		struct shaky shaky;

		secure_memory(&self, 1500,
			round % 2 == 0 ? ANYIO_TLS_VERSION_1_2 : ANYIO_TLS_VERSION_1_3);
		there = (struct flow){ .from = self.client, .to = self.server, .total = 60000 };
		back = (struct flow){ .from = self.server, .to = self.client, .total = 60000 };
		shaky = (struct shaky){
			.stream = self.client, .random = seeds++, .total = back.total
		};
		anyio_task_group_enter(&group);
		spawn(&group, shaky_canceller, &shaky, NULL);
		spawn(&group, flow_send, &back, NULL);
		spawn(&group, flow_receive, &there, NULL);
		if (round < 2)
			spawn(&group, flow_send, &there, NULL);
		CHECK_RC(shaky_receive(&shaky), 0);
		if (round >= 2)
			spawn(&group, flow_send, &there, NULL);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		secured_free(&self);
	}
	return 0;
}

static int handshake_body(void *arg)
{
	struct shaky *self = arg;

	return anyio_tls_handshake(self->stream);
}

static int send_eof_body(void *arg)
{
	struct shaky *self = arg;

	return anyio_stream_send_eof(self->stream);
}

static int unwrap_body(void *arg)
{
	struct shaky *self = arg;
	struct anyio_stream *raw;
	uint8_t *left;
	size_t size;
	int rc = anyio_tls_unwrap(self->stream, &raw, &left, &size);

	CHECK(size == 0);
	if (rc == 0)
		anyio_stream_free(raw);
	return rc;
}

/* Runs body until it is not cancelled. */
static void insist(struct shaky *self, anyio_task_fn body)
{
	bool caught = true;

	while (caught && conformance_failures() == 0) {
		struct anyio_cancel_scope scope;

		anyio_cancel_scope_init(&scope);
		self->scope = &scope;
		CHECK_RC(anyio_cancel_scope_run(&scope, body, self), 0);
		self->scope = NULL;
		caught = anyio_cancel_scope_cancelled_caught(&scope);
	}
}

static int shaky_life(void *arg)
{
	struct shaky *self = arg;

	insist(self, handshake_body);
	insist(self, send_eof_body);
	insist(self, unwrap_body);
	self->ended = true;
	return 0;
}

/* Handshake, end and unwrapping go on after each cancellation, on both sides. */
static int cancelled_handshake_and_unwrap_go_on(void *arg)
{
	for (int round = 0; round < 6; round++) {
		struct anyio_task_group group;
		struct secured self;
		struct shaky one, two;

		/* Room for the end of either, which nobody may be reading yet. */
		secure_memory(&self, 1000,
			round % 2 == 0 ? ANYIO_TLS_VERSION_1_2 : ANYIO_TLS_VERSION_1_3);
		one = (struct shaky){ .stream = self.client, .random = seeds++ };
		two = (struct shaky){ .stream = self.server, .random = seeds++ };
		anyio_task_group_enter(&group);
		spawn(&group, shaky_canceller, &one, NULL);
		spawn(&group, shaky_canceller, &two, NULL);
		spawn(&group, shaky_life, &one, NULL);
		spawn(&group, shaky_life, &two, NULL);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		secured_free(&self);
	}
	return 0;
}

/* A sender cancelled anywhere: what it reports is there, in order, and no more than it sent. */
struct cut {
	struct anyio_stream *stream;
	size_t sent;
	int rc;
};

static int cut_send(void *arg)
{
	static uint8_t data[200000];
	struct cut *cut = arg;
	struct iovec iov[3] = { { data, 10 }, { data + 10, 100000 },
		{ data + 100010, sizeof(data) - 100010 } };

	fill_from(data, sizeof(data), 0);
	cut->rc = anyio_stream_sendv(cut->stream, iov, 3, &cut->sent);
	anyio_stream_close(cut->stream);
	return cut->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

struct timed {
	struct cut cut;
	struct anyio_task_handle handle;
	uint64_t turns;
};

static int cancel_later(void *arg)
{
	struct timed *timed = arg;

	for (uint64_t i = 0; i < timed->turns; i++)
		anyio_cancel_shielded_checkpoint();
	anyio_task_handle_cancel(&timed->handle, "test");
	return 0;
}

static int cut_off_sender_reports_what_went(void *arg)
{
	for (int round = 0; round < 12; round++) {
		struct anyio_task_group group;
		struct secured self;
		struct timed timed;
		uint8_t data[777];
		size_t total = 0;
		ssize_t n;

		secure_memory(&self, 20000,
			round % 2 == 0 ? ANYIO_TLS_VERSION_1_2 : ANYIO_TLS_VERSION_1_3);
		shake(&self);
		timed = (struct timed){ .cut = { .stream = self.client } };
		timed.turns = mix(&seeds) % 700;
		anyio_task_group_enter(&group);
		spawn(&group, cut_send, &timed.cut, &timed.handle);
		spawn(&group, cancel_later, &timed, NULL);
		while ((n = anyio_stream_receive(self.server, data, sizeof(data))) > 0) {
			CHECK(is_from(data, (size_t)n, total));
			total += (size_t)n;
		}
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(n, ANYIO_TLS_RAGGED_END);
		CHECK(timed.cut.rc == 0 || timed.cut.rc == ANYIO_CANCELLED);
		if (timed.cut.rc == 0)
			CHECK_RC(total, 200000);
		else
			CHECK_RC(total, timed.cut.sent);
		secured_free(&self);
	}
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(both_directions_64_mib, CONFORM_NO_SIM),
		CONFORM(both_directions_through_a_needle, CONFORM_MOCK),
		CONFORM(keys_change_in_both_directions, 0),
		CONFORM(half_a_message_holds_a_sender, CONFORM_MOCK),
		CONFORM(tickets_wait_for_the_first_bytes, CONFORM_MOCK),
		CONFORM(cancelled_receiver_loses_nothing, CONFORM_MOCK),
		CONFORM(cancelled_handshake_and_unwrap_go_on, CONFORM_MOCK),
		CONFORM(cut_off_sender_reports_what_went, CONFORM_MOCK),
	};
	return run_secured(cases, sizeof(cases) / sizeof(*cases));
}
