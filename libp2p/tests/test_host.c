/* Host to host, on every backend. */
#include "pair.h"

#include "swarm.h"

#define OK(call) assert_int_equal((call), 0)

static int ping_body(struct pair *pair)
{
	anyio_time rtt = -1;

	OK(p2p_ping(pair->a, pair->b_id, &rtt));
	assert_true(rtt >= 0);
	OK(p2p_host_wait_identified(pair->a, pair->b_id));
	OK(p2p_ping(pair->b, pair->a_id, &rtt));
	OK(p2p_ping(pair->a, pair->b_id, &rtt));
	return 0;
}

static void ping(void **state)
{
	run_pair(state, (struct pair){ .body = ping_body, .connect = true });
}

static void name_agent(struct p2p_host_options *options)
{
	options->agent_version = "tester/1";
}

static int identify_body(struct pair *pair)
{
	struct p2p_peer *peers;
	size_t count;

	OK(p2p_host_wait_identified(pair->a, pair->b_id));
	assert_int_equal(p2p_host_speaks(pair->a, pair->b_id, P2P_PING_PROTOCOL), 1);
	assert_int_equal(p2p_host_speaks(pair->a, pair->b_id, "/other"), 0);
	OK(p2p_host_peers(pair->a, &peers, &count));
	assert_int_equal(count, 1);
	assert_string_equal(peers[0].agent, "tester/1");
	assert_string_equal(peers[0].address, pair->address);
	assert_false(peers[0].inbound);
	assert_true(mf_peer_id_equal(&peers[0].id, pair->b_id));
	anyio_free(peers);
	struct p2p_host_statistics out, in;
	p2p_host_stat(pair->a, &out);
	p2p_host_stat(pair->b, &in);
	assert_int_equal(out.connections, 1);
	assert_int_equal(out.connections_in, 0);
	assert_int_equal(in.connections, 1);
	assert_int_equal(in.connections_in, 1);
	assert_true(out.memory > 0 && out.streams >= out.streams_in);
	return 0;
}

static void identify(void **state)
{
	run_pair(state,
		(struct pair){ .body = identify_body, .connect = true, .options = name_agent });
}

static int echo_handler(struct p2p_stream_in *in, void *arg)
{
	uint8_t buffer[5000];
	ssize_t n;
	int rc = 0;

	assert_string_equal(in->protocol, "/echo");
	while (rc == 0 && (n = anyio_stream_receive(in->stream, buffer, sizeof buffer)) > 0)
		rc = anyio_stream_send(in->stream, buffer, (size_t)n);
	return rc < 0 ? rc : (int)n;
}

static int echo_body(struct pair *pair)
{
	static const char *const protocols[] = { "/unknown", "/echo" };
	static const char text[] = "and back";
	struct anyio_stream *stream;
	const char *chosen;
	char back[sizeof text];

	OK(p2p_host_handle(pair->b, "/echo", echo_handler, NULL));
	assert_int_equal(p2p_host_handle(pair->b, "/echo", echo_handler, NULL), -EEXIST);
	OK(p2p_host_open_stream(pair->a, pair->b_id, protocols, 2, &stream, &chosen));
	assert_ptr_equal(chosen, protocols[1]);
	OK(anyio_stream_send(stream, text, sizeof text));
	OK(anyio_stream_receive_exactly(stream, back, sizeof back));
	assert_string_equal(back, text);
	OK(anyio_stream_send_eof(stream));
	assert_int_equal(anyio_stream_receive(stream, back, sizeof back), 0);
	anyio_stream_free(stream);
	assert_int_equal(p2p_host_open_stream(pair->a, pair->b_id, protocols, 1, &stream, NULL),
		-EPROTONOSUPPORT);
	return 0;
}

static void echo(void **state)
{
	run_pair(state, (struct pair){ .body = echo_body, .connect = true });
}

/* A handler added later becomes known by push; a stream of it is then opened without waiting. */
static void on_identified(void *arg, const struct mf_peer_id *peer)
{
	anyio_event_set(arg);
}

static int push_body(struct pair *pair)
{
	static const char *const protocols[] = { "/echo" };
	struct anyio_event told;
	struct p2p_watch watch = { .identified = on_identified, .arg = &told };
	struct anyio_stream *stream;
	char back[4];

	OK(p2p_host_wait_identified(pair->a, pair->b_id));
	anyio_event_init(&told);
	p2p_host_watch(pair->a, &watch);
	OK(p2p_host_handle(pair->b, "/echo", echo_handler, NULL));
	OK(anyio_event_wait(&told));
	assert_int_equal(p2p_host_speaks(pair->a, pair->b_id, "/echo"), 1);
	OK(p2p_host_open_stream(pair->a, pair->b_id, protocols, 1, &stream, NULL));
	OK(anyio_stream_send(stream, "abc", 4));
	OK(anyio_stream_receive_exactly(stream, back, 4));
	assert_string_equal(back, "abc");
	anyio_stream_free(stream);
	OK(p2p_host_unhandle(pair->b, "/echo"));
	/* The promise is stale now, or already taken back. */
	if (p2p_host_open_stream(pair->a, pair->b_id, protocols, 1, &stream, NULL) == 0) {
		assert_int_equal(anyio_stream_receive(stream, back, 4), -EPROTONOSUPPORT);
		anyio_stream_free(stream);
	}
	p2p_host_unwatch(pair->a, &watch);
	return 0;
}

static void push(void **state)
{
	run_pair(state, (struct pair){ .body = push_body, .connect = true });
}

static int perf_body(struct pair *pair)
{
	OK(p2p_perf(pair->a, pair->b_id, 3000000, 5000000, NULL, NULL));
	OK(p2p_perf(pair->b, pair->a_id, 1, 0, NULL, NULL));
	OK(p2p_perf(pair->b, pair->a_id, 0, 1 << 20, NULL, NULL));
	return 0;
}

static void perf(void **state)
{
	run_pair(state, (struct pair){ .body = perf_body, .connect = true });
}

struct dialler {
	struct pair *pair;
	int rc;
};

static int dialler_task(void *arg)
{
	struct dialler *dialler = arg;
	const char *list[] = { dialler->pair->address };

	dialler->rc = p2p_host_connect(dialler->pair->a, dialler->pair->b_id, list, 1, NULL);
	return 0;
}

static int dedupe_body(struct pair *pair)
{
	struct dialler diallers[5];
	struct p2p_peer *peers;
	size_t count;

	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 5; i++) {
		diallers[i].pair = pair;
		anyio_start_soon(&group, dialler_task, &diallers[i], "dialler");
	}
	OK(anyio_task_group_exit(&group, 0));
	for (int i = 0; i < 5; i++)
		OK(diallers[i].rc);
	OK(p2p_host_peers(pair->a, &peers, &count));
	assert_int_equal(count, 1);
	anyio_free(peers);
	return 0;
}

static void simultaneous_dials_share(void **state)
{
	run_pair(state, (struct pair){ .body = dedupe_body });
}

static int wrong_body(struct pair *pair)
{
	const char *list[] = { pair->address };
	struct mf_peer_id wrong = *pair->b_id, found;
	char text[P2P_ADDRESS_MAX + 100], id[MF_PEER_ID_TEXT_MAX];

	wrong.bytes[20] ^= 1;
	assert_int_equal(p2p_host_connect(pair->a, &wrong, list, 1, &found), -EPERM);
	assert_true(mf_peer_id_equal(&found, pair->b_id));
	assert_false(p2p_host_connected(pair->a, &wrong));
	mf_peer_id_format(&wrong, id, sizeof id);
	snprintf(text, sizeof text, "%s/p2p/%s", pair->address, id);
	list[0] = text;
	assert_int_equal(p2p_host_connect(pair->a, pair->b_id, list, 1, NULL), -EPERM);
	list[0] = "/ip4/127.0.0.1/udp/1/quic-v1";
	assert_int_equal(p2p_host_connect(pair->a, pair->b_id, list, 1, NULL), -EINVAL);
	assert_int_equal(p2p_host_connect(pair->a, pair->b_id, NULL, 0, NULL), -ENOENT);
	list[0] = "/ip4/127.0.0.1/tcp/1";
	assert_int_equal(p2p_host_connect(pair->a, pair->b_id, list, 1, NULL), -ECONNREFUSED);
	assert_int_equal(p2p_ping(pair->a, pair->b_id, NULL), -ENOTCONN);
	list[0] = pair->address;
	OK(p2p_host_connect(pair->a, NULL, list, 1, &found));
	assert_true(mf_peer_id_equal(&found, pair->b_id));
	return 0;
}

static void wrong_peers_and_addresses(void **state)
{
	run_pair(state, (struct pair){ .body = wrong_body });
}

static int second_body(struct pair *pair)
{
	const char *list[] = { "/ip4/127.0.0.1/tcp/1", pair->address };

	OK(p2p_host_connect(pair->a, pair->b_id, list, 2, NULL));
	return 0;
}

static void second_address(void **state)
{
	run_pair(state, (struct pair){ .body = second_body });
}

static void on_disconnected(void *arg, const struct mf_peer_id *peer)
{
	anyio_event_set(arg);
}

static int disconnect_body(struct pair *pair)
{
	static const char *const protocols[] = { P2P_PING_PROTOCOL };
	struct anyio_event gone;
	struct p2p_watch watch = { .disconnected = on_disconnected, .arg = &gone };
	struct anyio_stream *stream;
	uint8_t byte;

	OK(p2p_ping(pair->a, pair->b_id, NULL)); /* b knows of the connection then */
	OK(p2p_host_open_stream(pair->b, pair->a_id, protocols, 1, &stream, NULL));
	anyio_event_init(&gone);
	p2p_host_watch(pair->b, &watch);
	OK(p2p_host_disconnect(pair->a, pair->b_id));
	OK(anyio_event_wait(&gone));
	assert_int_equal(anyio_stream_receive(stream, &byte, 1), ANYIO_BROKEN);
	assert_int_equal(anyio_stream_send(stream, &byte, 1), ANYIO_BROKEN);
	anyio_stream_free(stream);
	assert_false(p2p_host_connected(pair->b, pair->a_id));
	p2p_host_unwatch(pair->b, &watch);
	return 0;
}

static void disconnect(void **state)
{
	run_pair(state, (struct pair){ .body = disconnect_body, .connect = true });
}

static int reconnect_body(struct pair *pair)
{
	OK(p2p_host_wait_identified(pair->a, pair->b_id));
	OK(p2p_host_disconnect(pair->a, pair->b_id));
	while (p2p_host_connected(pair->a, pair->b_id))
		OK(anyio_checkpoint());
	/* Identify left the address behind. */
	OK(p2p_host_connect(pair->a, pair->b_id, NULL, 0, NULL));
	OK(p2p_ping(pair->a, pair->b_id, NULL));
	return 0;
}

static void remembered_addresses(void **state)
{
	run_pair(state, (struct pair){ .body = reconnect_body, .connect = true });
}

/* Without early negotiation on one side the muxer is agreed on by multistream-select. */
static int late_body(struct pair *pair)
{
	const char *list[] = { pair->address };

	p2p_noise_destroy(&pair->a->noise);
	OK(p2p_noise_init(&pair->a->noise, &pair->a->key, NULL, 0));
	OK(p2p_host_connect(pair->a, pair->b_id, list, 1, NULL));
	OK(p2p_ping(pair->a, pair->b_id, NULL));
	OK(p2p_perf(pair->a, pair->b_id, 100000, 100000, NULL, NULL));
	return 0;
}

static void late_muxer(void **state)
{
	run_pair(state, (struct pair){ .body = late_body });
}

/* A host that is full lets in who comes next: of the most crowded prefix, here the only one, the
 * connection that was of use the longest ago gives way. */
enum { SEATS = 3 };

static void few_connections(struct p2p_host_options *options)
{
	options->limits.system.connections_in = SEATS;
}

struct leaving {
	struct p2p_host *host;
	const struct mf_peer_id *peer;
};

static int wait_until_unconnected(void *arg)
{
	struct leaving *leaving = arg;
	int rc = 0;

	while (rc == 0 && p2p_host_connected(leaving->host, leaving->peer))
		rc = anyio_sleep(ANYIO_MILLISECOND);
	return rc;
}

static int full_body(struct pair *pair)
{
	struct p2p_host *others[2 * SEATS];
	const char *list[] = { pair->address };
	struct leaving leaving = { .peer = pair->b_id };
	uint16_t port = (uint16_t)atoi(strrchr(pair->address, '/') + 1);
	struct anyio_stream *silent; /* in its handshake all the time */

	OK(anyio_connect_tcp("127.0.0.1", port, &silent));
	OK(p2p_ping(pair->a, pair->b_id, NULL)); /* b is done with the handshake then */
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 2 * SEATS; i++) {
		others[i] = make_host((uint8_t)(10 + i), NULL);
		OK(anyio_start(&group, p2p_host_run, others[i], "other", NULL));
		OK(p2p_host_connect(others[i], pair->b_id, list, 1, NULL));
		OK(p2p_ping(others[i], pair->b_id, NULL));
		assert_in_range(pair->b->system.used.connections_in, 1, SEATS);
		p2p_host_used(pair->b, pair->a_id, 0);
	}
	assert_int_equal(pair->b->transient.used.connections_in, 1);
	anyio_stream_free(silent);
	/* Left are the one that was of use and those who came last; the others were told. */
	assert_true(p2p_host_connected(pair->b, pair->a_id));
	for (int i = 0; i < 2 * SEATS; i++) {
		bool stays = i > SEATS;

		assert_int_equal(p2p_host_connected(pair->b, p2p_host_id(others[i])), stays);
		leaving.host = others[i];
		if (!stays)
			OK(anyio_fail_after(10 * ANYIO_SECOND, wait_until_unconnected, &leaving));
	}
	for (int i = 0; i < 2 * SEATS; i++)
		p2p_host_close(others[i]);
	OK(anyio_task_group_exit(&group, 0));
	for (int i = 0; i < 2 * SEATS; i++)
		p2p_host_free(others[i]);
	return 0;
}

static void full_host(void **state)
{
	run_pair(state,
		(struct pair){ .body = full_body, .connect = true, .options = few_connections });
}

/* Strangers fill the memory with bytes that nobody takes, and the places for streams with streams
 * that nobody uses: who comes next has its stream all the same, and nobody serves those that gave way. */
enum { HOARDERS = 3, STREAMS_EACH = 4, HOARDED = 100000, MEMORY = 800000 };

static void little_memory(struct p2p_host_options *options)
{
	options->limits.system.memory = MEMORY;
	options->limits.system.streams_in = HOARDERS * STREAMS_EACH;
}

static int taking_nothing; /* tasks that serve a stream and wait for something else than it */

static int take_nothing(struct p2p_stream_in *in, void *arg)
{
	taking_nothing++;
	int rc = anyio_sleep_forever();
	taking_nothing--;
	return rc;
}

static int hoard_body(struct pair *pair)
{
	static const char *const hold[] = { "/hold" }, *const back[] = { "/echo" };
	static uint8_t bytes[HOARDED];
	const char *list[] = { pair->address };
	struct anyio_stream *streams[HOARDERS][STREAMS_EACH], *stream;
	struct p2p_host *hoarders[HOARDERS];

	OK(p2p_host_handle(pair->b, "/hold", take_nothing, NULL));
	OK(p2p_host_handle(pair->b, "/echo", echo_handler, NULL));
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < HOARDERS; i++) {
		hoarders[i] = make_host((uint8_t)(10 + i), NULL);
		OK(anyio_start(&group, p2p_host_run, hoarders[i], "hoarder", NULL));
		OK(p2p_host_connect(hoarders[i], pair->b_id, list, 1, NULL));
		for (int j = 0; j < STREAMS_EACH; j++) {
			OK(p2p_host_open_stream(
				hoarders[i], pair->b_id, hold, 1, &streams[i][j], NULL));
			anyio_stream_send(streams[i][j], bytes, sizeof bytes);
		}
	}
	OK(p2p_host_connect(pair->a, pair->b_id, list, 1, NULL));
	for (int i = 0; i < 2 * STREAMS_EACH; i++) {
		OK(p2p_host_open_stream(pair->a, pair->b_id, back, 1, &stream, NULL));
		OK(anyio_stream_send(stream, bytes, sizeof bytes / 4));
		OK(anyio_stream_receive_exactly(stream, bytes, sizeof bytes / 4));
		anyio_stream_free(stream);
		assert_true(pair->b->system.used.memory <= MEMORY);
		assert_true(pair->b->system.used.streams_in <= HOARDERS * STREAMS_EACH);
		assert_true(taking_nothing < HOARDERS * STREAMS_EACH);
	}
	for (int i = 0; i < HOARDERS; i++) {
		for (int j = 0; j < STREAMS_EACH; j++)
			anyio_stream_free(streams[i][j]);
		p2p_host_close(hoarders[i]);
	}
	OK(anyio_task_group_exit(&group, 0));
	for (int i = 0; i < HOARDERS; i++)
		p2p_host_free(hoarders[i]);
	return 0;
}

static void hoarding_crowd(void **state)
{
	run_pair(state, (struct pair){ .body = hoard_body, .options = little_memory });
}

/* Who says nothing makes room for who comes next: the longest silent first, and no more than needed. */
enum { PLACES = 4, CROWD = 2 * PLACES };

static void few_places(struct p2p_host_options *options)
{
	options->limits.transient.connections_in = PLACES;
}

static int crowd_body(struct pair *pair)
{
	const char *list[] = { pair->address };
	uint16_t port = (uint16_t)atoi(strrchr(pair->address, '/') + 1);
	struct anyio_stream *silent[CROWD];
	uint8_t bytes[64];

	for (int i = 0; i < CROWD; i++)
		OK(anyio_connect_tcp("127.0.0.1", port, &silent[i]));
	for (int i = 0; i < PLACES; i++)
		while (anyio_stream_receive(silent[i], bytes, sizeof bytes) > 0)
			; /* what b begins with, then the end */
	assert_int_equal(pair->b->transient.used.connections_in, PLACES);
	OK(p2p_host_connect(pair->a, pair->b_id, list, 1, NULL));
	OK(p2p_ping(pair->a, pair->b_id, NULL));
	assert_int_equal(pair->b->transient.used.connections_in, PLACES - 1);
	for (int i = 0; i < CROWD; i++)
		anyio_stream_free(silent[i]);
	return 0;
}

static void silent_crowd(void **state)
{
	run_pair(state, (struct pair){ .body = crowd_body, .options = few_places });
}

static bool lists(struct p2p_host *host, const char *id)
{
	const char **protocols;
	bool found = false;

	OK(p2p_host_protocols(host, &protocols));
	for (const char **at = protocols; *at; at++)
		found = found || strcmp(*at, id) == 0;
	anyio_free(protocols);
	return found;
}

static int protocols_body(struct pair *pair)
{
	assert_true(lists(pair->a, P2P_PING_PROTOCOL));
	assert_false(lists(pair->a, "/echo"));
	OK(p2p_host_handle(pair->a, "/echo", echo_handler, NULL));
	assert_true(lists(pair->a, "/echo"));
	OK(p2p_host_unhandle(pair->a, "/echo"));
	assert_false(lists(pair->a, "/echo"));
	return 0;
}

static void protocols_served(void **state)
{
	run_pair(state, (struct pair){ .body = protocols_body });
}

#define ON(name, backend) cmocka_unit_test_prestate(name, backend)
#define TEST(name)        ON(name, "uring"), ON(name, "uv"), ON(name, "sim")

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ping),
		TEST(identify),
		TEST(echo),
		TEST(push),
		TEST(perf),
		TEST(simultaneous_dials_share),
		TEST(wrong_peers_and_addresses),
		TEST(second_address),
		TEST(disconnect),
		TEST(remembered_addresses),
		TEST(late_muxer),
		TEST(full_host),
		TEST(hoarding_crowd),
		TEST(silent_crowd),
		TEST(protocols_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
