/* The session without I/O: two cores talk through byte buffers, or a core hears what a wrong peer
 * says. */
#include "check.h"

#include <anyio/error.h>

#include "mux/yamux/core.h"

enum { STREAMS = 600, BYTES = 1 << 20 };

struct end {
	struct p2p_yamux core;
	struct p2p_yamux_stream streams[STREAMS];
	size_t opened, changed, detached, pongs;
	uint32_t last_pong;
	uint8_t *data;
	size_t len;
	bool refuse, fail_data, fail_grow;
};

static struct p2p_yamux_stream *on_opened(void *owner, uint32_t id)
{
	struct end *end = owner;

	if (end->refuse || end->opened == STREAMS)
		return NULL;
	p2p_yamux_stream_init(&end->streams[end->opened]);
	return &end->streams[end->opened++];
}

static int on_data(void *owner, struct p2p_yamux_stream *stream, const uint8_t *data, size_t len)
{
	struct end *end = owner;

	if (end->fail_data)
		return ANYIO_TOO_MANY;
	assert_true(end->len + len <= BYTES);
	memcpy(end->data + end->len, data, len);
	end->len += len;
	return 0;
}

static void on_changed(void *owner, struct p2p_yamux_stream *stream)
{
	((struct end *)owner)->changed++;
}

static void on_detached(void *owner, struct p2p_yamux_stream *stream)
{
	((struct end *)owner)->detached++;
}

static int on_grow(void *owner, struct p2p_yamux_stream *stream, uint32_t by)
{
	return ((struct end *)owner)->fail_grow ? ANYIO_TOO_MANY : 0;
}

static void on_pong(void *owner, uint32_t value)
{
	((struct end *)owner)->pongs++;
	((struct end *)owner)->last_pong = value;
}

static const struct p2p_yamux_hooks hooks = { on_opened, on_data, on_changed, on_detached, on_grow,
	on_pong };

struct fixture {
	struct end client, server;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->client.data = malloc(BYTES);
	f->server.data = malloc(BYTES);
	p2p_yamux_init(&f->client.core, true, 16 << 20, &hooks, &f->client);
	p2p_yamux_init(&f->server.core, false, 16 << 20, &hooks, &f->server);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	p2p_yamux_destroy(&f->client.core);
	p2p_yamux_destroy(&f->server.core);
	free(f->client.data);
	free(f->server.data);
	free(f);
	return 0;
}

static struct p2p_yamux_stream *open_one(struct end *end)
{
	struct p2p_yamux_stream *stream = &end->streams[end->opened++];

	p2p_yamux_stream_init(stream);
	assert_int_equal(p2p_yamux_open(&end->core, stream), 0);
	return stream;
}

static int hear(struct end *end, uint8_t type, uint16_t flags, uint32_t stream, uint32_t length)
{
	struct p2p_yamux_frame frame = { type, flags, stream, length };
	uint8_t header[P2P_YAMUX_HEADER];

	p2p_yamux_frame_encode(&frame, header);
	return p2p_yamux_input(&end->core, header, sizeof header);
}

/* Carries all control frames over; how many bytes. */
static size_t carry(struct end *from, struct end *to)
{
	uint8_t out[64 * P2P_YAMUX_HEADER];
	size_t n, all = 0;

	while ((n = p2p_yamux_control(&from->core, out, sizeof out)) > 0) {
		assert_int_equal(p2p_yamux_input(&to->core, out, n), 0);
		all += n;
	}
	return all;
}

static size_t send(struct end *from, struct end *to, struct p2p_yamux_stream *stream, size_t len)
{
	static const uint8_t zeros[P2P_YAMUX_DATA_MAX];
	uint8_t header[P2P_YAMUX_HEADER];
	size_t n, all = 0;

	while (all < len && (n = p2p_yamux_data(&from->core, stream, len - all, header)) > 0) {
		assert_int_equal(p2p_yamux_input(&to->core, header, sizeof header), 0);
		assert_int_equal(p2p_yamux_input(&to->core, zeros, n), 0);
		all += n;
	}
	return all;
}

static struct p2p_yamux_frame control_frame(struct end *end)
{
	struct p2p_yamux_frame frame;
	uint8_t header[P2P_YAMUX_HEADER];

	assert_int_equal(p2p_yamux_control(&end->core, header, sizeof header), sizeof header);
	assert_int_equal(p2p_yamux_frame_decode(&frame, header), 0);
	return frame;
}

static void whole_life(void **state)
{
	struct fixture *f = *state;
	struct p2p_yamux_stream *ours = open_one(&f->client), *theirs = &f->server.streams[0];

	assert_int_equal(ours->id, 1);
	assert_false(p2p_yamux_has_control(&f->client.core));
	assert_int_equal(send(&f->client, &f->server, ours, 1000), 1000);
	assert_int_equal(f->server.opened, 1);
	assert_int_equal(f->server.len, 1000);
	assert_int_equal(f->client.core.unacked_out, 1);
	p2p_yamux_announce(&f->server.core, theirs);
	assert_int_equal(carry(&f->server, &f->client), P2P_YAMUX_HEADER);
	assert_int_equal(f->client.core.unacked_out, 0);
	p2p_yamux_finish(&f->client.core, ours);
	carry(&f->client, &f->server);
	assert_true(theirs->remote_fin);
	assert_int_equal(f->server.detached, 0);
	assert_int_equal(send(&f->server, &f->client, theirs, 77), 77);
	p2p_yamux_finish(&f->server.core, theirs);
	carry(&f->server, &f->client);
	assert_int_equal(f->client.len, 77);
	assert_int_equal(f->client.detached, 1);
	assert_int_equal(f->server.detached, 1);
	assert_int_equal(f->client.core.stream_count + f->server.core.stream_count, 0);
}

/* However the bytes are cut, the same comes out. */
static void cut_anywhere(void **state)
{
	struct fixture *f = *state;
	struct p2p_yamux_stream *ours = open_one(&f->client);
	uint8_t wire[P2P_YAMUX_HEADER * 2 + 100];

	memset(wire, 'x', sizeof wire);
	assert_int_equal(p2p_yamux_data(&f->client.core, ours, 100, wire), 100);
	p2p_yamux_finish(&f->client.core, ours);
	assert_int_equal(
		p2p_yamux_control(&f->client.core, wire + P2P_YAMUX_HEADER + 100, P2P_YAMUX_HEADER),
		P2P_YAMUX_HEADER);
	for (size_t i = 0; i < sizeof wire; i++)
		assert_int_equal(p2p_yamux_input(&f->server.core, wire + i, 1), 0);
	assert_int_equal(f->server.len, 100);
	assert_true(f->server.streams[0].remote_fin);
}

static void initial_window_is_256_kib(void **state)
{
	struct fixture *f = *state;
	struct p2p_yamux_stream *ours = open_one(&f->client);

	assert_int_equal(send(&f->client, &f->server, ours, 300000), 262144);
	assert_int_equal(ours->send_window, 0);
}

static void updates_have_hysteresis(void **state)
{
	struct fixture *f = *state;
	struct p2p_yamux_stream *ours = open_one(&f->client), *theirs = &f->server.streams[0];

	send(&f->client, &f->server, ours, 262144);
	p2p_yamux_announce(&f->server.core, theirs);
	carry(&f->server, &f->client);
	for (int i = 0; i < 131071; i++)
		p2p_yamux_taken(&f->server.core, theirs, 1, i);
	assert_false(p2p_yamux_has_control(&f->server.core));
	p2p_yamux_taken(&f->server.core, theirs, 1, 0);
	assert_int_equal(control_frame(&f->server).length, 131072);
	assert_false(p2p_yamux_has_control(&f->server.core));
}

static void window_grows_when_it_limits(void **state)
{
	struct fixture *f = *state;
	struct p2p_yamux_stream *ours = open_one(&f->client), *theirs = &f->server.streams[0];

	f->server.core.rtt = 1000;
	f->server.core.window_max = 700000;
	for (int i = 1; i <= 8; i++) {
		f->server.len = 0;
		size_t n = send(&f->client, &f->server, ours, BYTES);

		assert_true(theirs->recv_window + theirs->buffered <= theirs->recv_max);
		p2p_yamux_taken(&f->server.core, theirs, n, 1000 * i);
		carry(&f->server, &f->client);
	}
	assert_int_equal(theirs->recv_max, 700000);
	assert_int_equal(ours->send_window, 700000);
	f->server.fail_grow = true;
	f->server.core.window_max = 16 << 20;
	f->server.len = 0;
	send(&f->client, &f->server, ours, BYTES / 2);
	p2p_yamux_taken(&f->server.core, theirs, BYTES / 2, 9000);
	assert_int_equal(theirs->recv_max, 700000);
}

static void delta_is_relative(void **state)
{
	struct fixture *f = *state;
	struct p2p_yamux_stream *ours = open_one(&f->client);

	assert_int_equal(hear(&f->client, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_ACK, 1, 1000), 0);
	assert_int_equal(ours->send_window, 262144 + 1000);
}

static void credit_overflow(void **state)
{
	struct fixture *f = *state;
	struct p2p_yamux_stream *ours = open_one(&f->client);

	assert_int_equal(hear(&f->client, P2P_YAMUX_WINDOW_UPDATE, 0, 1, UINT32_MAX - 262144), 0);
	assert_int_equal(ours->send_window, UINT32_MAX);
	assert_int_equal(hear(&f->client, P2P_YAMUX_WINDOW_UPDATE, 0, 1, 1), -EPROTO);
}

static void data_over_window(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(hear(&f->server, P2P_YAMUX_DATA, P2P_YAMUX_SYN, 1, 262145), -EPROTO);
	assert_int_equal(hear(&f->client, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_SYN, 2, 0), 0);
	assert_int_equal(hear(&f->client, P2P_YAMUX_DATA, 0, 2, 262145), -EPROTO);
}

static void data_over_window_when_refused(void **state)
{
	struct fixture *f = *state;

	f->server.refuse = true;
	assert_int_equal(hear(&f->server, P2P_YAMUX_DATA, P2P_YAMUX_SYN, 1, 262145), -EPROTO);
}

static void fin_and_reset_on_window_update(void **state)
{
	struct fixture *f = *state;

	hear(&f->server, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_SYN | P2P_YAMUX_FIN, 1, 0);
	assert_true(f->server.streams[0].remote_fin);
	hear(&f->server, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_SYN, 3, 0);
	hear(&f->server, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_RST, 3, 0);
	assert_true(f->server.streams[1].reset);
	assert_int_equal(f->server.detached, 1);
}

static void fin_counts_after_the_body(void **state)
{
	struct fixture *f = *state;

	hear(&f->server, P2P_YAMUX_DATA, P2P_YAMUX_SYN | P2P_YAMUX_FIN, 1, 3);
	p2p_yamux_input(&f->server.core, (const uint8_t *)"ab", 2);
	assert_false(f->server.streams[0].remote_fin);
	p2p_yamux_input(&f->server.core, (const uint8_t *)"c", 1);
	assert_true(f->server.streams[0].remote_fin);
	assert_memory_equal(f->server.data, "abc", 3);
}

static void pings(void **state)
{
	struct fixture *f = *state;
	struct p2p_yamux_frame frame;

	hear(&f->server, P2P_YAMUX_PING, P2P_YAMUX_SYN, 0, 42);
	frame = control_frame(&f->server);
	assert_int_equal(frame.type, P2P_YAMUX_PING);
	assert_int_equal(frame.flags, P2P_YAMUX_ACK);
	assert_int_equal(frame.length, 42);
	p2p_yamux_ping(&f->client.core, 7);
	carry(&f->client, &f->server);
	carry(&f->server, &f->client);
	assert_int_equal(f->client.pongs, 1);
	assert_int_equal(f->client.last_pong, 7);
}

static void ping_flood_without_reading(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < P2P_YAMUX_ECHOES_MAX; i++)
		assert_int_equal(hear(&f->server, P2P_YAMUX_PING, P2P_YAMUX_SYN, 0, 1), 0);
	assert_int_equal(hear(&f->server, P2P_YAMUX_PING, P2P_YAMUX_SYN, 0, 1), ANYIO_TOO_MANY);
}

static void too_many_unaccepted(void **state)
{
	struct fixture *f = *state;
	struct p2p_yamux_frame frame;

	for (uint32_t i = 0; i < 256; i++)
		hear(&f->server, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_SYN, 1 + 2 * i, 0);
	assert_int_equal(f->server.opened, 256);
	hear(&f->server, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_SYN, 513, 0);
	assert_int_equal(f->server.opened, 256);
	frame = control_frame(&f->server);
	assert_int_equal(frame.flags, P2P_YAMUX_RST);
	assert_int_equal(frame.stream, 513);
	for (int i = 0; i < 256; i++)
		open_one(&f->client);
	p2p_yamux_stream_init(&f->client.streams[300]);
	assert_int_equal(p2p_yamux_open(&f->client.core, &f->client.streams[300]), ANYIO_TOO_MANY);
}

static void syn_flood_without_reading(void **state)
{
	struct fixture *f = *state;
	int rc = 0;
	uint32_t i;

	f->server.refuse = true;
	for (i = 0; rc == 0 && i < 10000; i++)
		rc = hear(&f->server, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_SYN, 1 + 2 * i, 0);
	assert_int_equal(rc, ANYIO_TOO_MANY);
	assert_int_equal(i, P2P_YAMUX_REFUSALS_MAX + 1);
}

static void wrong_ids(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(hear(&f->server, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_SYN, 2, 0), -EPROTO);
	assert_int_equal(hear(&f->server, P2P_YAMUX_DATA, P2P_YAMUX_SYN, 0, 0), -EPROTO);
	assert_int_equal(hear(&f->server, P2P_YAMUX_PING, P2P_YAMUX_SYN, 1, 0), -EPROTO);
	assert_int_equal(hear(&f->server, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_SYN, 1, 0), 0);
	assert_int_equal(hear(&f->server, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_SYN, 1, 0), -EPROTO);
}

static void wrong_version_and_type(void **state)
{
	struct fixture *f = *state;
	uint8_t header[P2P_YAMUX_HEADER] = { 1 };

	assert_int_equal(p2p_yamux_input(&f->server.core, header, sizeof header), -EPROTO);
	assert_int_equal(hear(&f->server, 4, 0, 0, 0), -EPROTO);
}

/* Late frames of a stream that is gone here are not an error. */
static void late_frames_are_dropped(void **state)
{
	struct fixture *f = *state;
	struct p2p_yamux_stream *ours = open_one(&f->client);

	p2p_yamux_announce(&f->client.core, ours);
	carry(&f->client, &f->server);
	p2p_yamux_reset(&f->client.core, ours);
	assert_int_equal(f->client.detached, 1);
	send(&f->server, &f->client, &f->server.streams[0], 1000);
	assert_int_equal(hear(&f->client, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_FIN, 1, 5), 0);
	assert_int_equal(f->client.len, 0);
	carry(&f->client, &f->server);
	assert_true(f->server.streams[0].reset);
}

static void reset_before_anything_was_said(void **state)
{
	struct fixture *f = *state;

	p2p_yamux_reset(&f->client.core, open_one(&f->client));
	assert_false(p2p_yamux_has_control(&f->client.core));
}

static void reset_in_the_middle_of_a_body(void **state)
{
	struct fixture *f = *state;

	hear(&f->server, P2P_YAMUX_DATA, P2P_YAMUX_SYN, 1, 4);
	p2p_yamux_input(&f->server.core, (const uint8_t *)"ab", 2);
	p2p_yamux_reset(&f->server.core, &f->server.streams[0]);
	p2p_yamux_input(&f->server.core, (const uint8_t *)"cd", 2);
	assert_int_equal(f->server.len, 2);
	assert_int_equal(hear(&f->server, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_SYN, 3, 0), 0);
	assert_int_equal(f->server.opened, 2);
}

static void data_that_has_no_room_resets(void **state)
{
	struct fixture *f = *state;

	f->server.fail_data = true;
	hear(&f->server, P2P_YAMUX_DATA, P2P_YAMUX_SYN, 1, 4);
	assert_int_equal(p2p_yamux_input(&f->server.core, (const uint8_t *)"abcd", 4), 0);
	assert_true(f->server.streams[0].reset);
	assert_int_equal(control_frame(&f->server).flags, P2P_YAMUX_RST);
}

static void data_after_fin_resets(void **state)
{
	struct fixture *f = *state;

	hear(&f->server, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_SYN | P2P_YAMUX_FIN, 1, 0);
	hear(&f->server, P2P_YAMUX_DATA, 0, 1, 1);
	p2p_yamux_input(&f->server.core, (const uint8_t *)"x", 1);
	assert_true(f->server.streams[0].reset);
	assert_int_equal(f->server.len, 0);
}

static void go_away(void **state)
{
	struct fixture *f = *state;

	p2p_yamux_go_away(&f->server.core, P2P_YAMUX_NORMAL);
	carry(&f->server, &f->client);
	p2p_yamux_stream_init(&f->client.streams[0]);
	assert_int_equal(p2p_yamux_open(&f->client.core, &f->client.streams[0]), ANYIO_CLOSED);
	hear(&f->server, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_SYN, 1, 0);
	assert_int_equal(f->server.opened, 0);
	assert_int_equal(control_frame(&f->server).flags, P2P_YAMUX_RST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_life),
		TEST(cut_anywhere),
		TEST(initial_window_is_256_kib),
		TEST(updates_have_hysteresis),
		TEST(window_grows_when_it_limits),
		TEST(delta_is_relative),
		TEST(credit_overflow),
		TEST(data_over_window),
		TEST(data_over_window_when_refused),
		TEST(fin_and_reset_on_window_update),
		TEST(fin_counts_after_the_body),
		TEST(pings),
		TEST(ping_flood_without_reading),
		TEST(too_many_unaccepted),
		TEST(syn_flood_without_reading),
		TEST(wrong_ids),
		TEST(wrong_version_and_type),
		TEST(late_frames_are_dropped),
		TEST(reset_before_anything_was_said),
		TEST(reset_in_the_middle_of_a_body),
		TEST(data_that_has_no_room_resets),
		TEST(data_after_fin_resets),
		TEST(go_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
