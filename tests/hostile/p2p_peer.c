/*
 * A peer that means harm, against a running host: yamux beyond its window, floods of streams, keys and
 * records of others, giant keys, identify without end, length prefixes that lie. Each case sends its
 * input over a real connection and then shows three things: the connection was closed or the stream
 * refused, an honest peer is served as before, and what the host held for the attacker is given back.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>

#include <cmocka.h>
#include <sodium.h>

#include "libp2p/mux/yamux/frame.h"
#include "libp2p/protocol/identify_codec.h"
#include "libp2p/protocol/multistream.h"
#include "libp2p/swarm.h"
#include "libp2p/transport/tcp.h"
#include <libp2p/libp2p.h>
#include <multiformats/varint.h>

#define OK(call) assert_int_equal((call), 0)

struct arena {
	struct p2p_host *victim, *honest;
	struct mf_multiaddr address; /* of the victim */
	struct p2p_noise noise;      /* the attacker's */
	struct p2p_key key;
	struct anyio_stream *raw;
	struct p2p_channel *channel;
	void (*attack)(struct arena *arena);
};

static const char *const muxers[] = { P2P_YAMUX_PROTOCOL };

/* ---- the attacker's means ---- */

static void connect_raw(struct arena *arena)
{
	OK(p2p_tcp_dial(&arena->address, &arena->raw));
}

static void agree_on_noise(struct arena *arena)
{
	static const char *const protocols[] = { P2P_NOISE_PROTOCOL };

	connect_raw(arena);
	OK(p2p_multistream_select(arena->raw, protocols, 1));
}

static void connect_secured(struct arena *arena)
{
	struct p2p_noise_result result;

	agree_on_noise(arena);
	OK(p2p_noise_secure(&arena->noise, arena->raw, true, NULL, &result));
	arena->channel = result.channel;
	arena->raw = NULL;
}

static int put(struct arena *arena, const void *data, size_t len)
{
	struct iovec iov = { (void *)data, len };
	int rc = p2p_channel_put(arena->channel, &iov, 1);

	return rc < 0 ? rc : p2p_channel_flush(arena->channel);
}

static int frame(
	struct arena *arena, uint8_t type, uint16_t flags, uint32_t stream, uint32_t length)
{
	const struct p2p_yamux_frame f = { type, flags, stream, length };
	uint8_t header[P2P_YAMUX_HEADER];

	p2p_yamux_frame_encode(&f, header);
	return put(arena, header, sizeof header);
}

/* Opens a stream of the attacker's and proposes the protocol on it, all in one go. */
static void open_stream(struct arena *arena, uint32_t id, const char *protocol)
{
	uint8_t text[256];
	ssize_t n = p2p_multistream_encode(P2P_MULTISTREAM_HEADER, text, sizeof text);

	n += p2p_multistream_encode(protocol, text + n, sizeof text - (size_t)n);
	OK(frame(arena, P2P_YAMUX_DATA, P2P_YAMUX_SYN, id, (uint32_t)n));
	OK(put(arena, text, (size_t)n));
}

static int drain(void *arg)
{
	struct arena *arena = arg;
	uint8_t *data, bytes[256];
	ssize_t n = 1;

	while (n > 0) {
		if (arena->channel) {
			n = p2p_channel_peek(arena->channel, &data);
			if (n > 0)
				p2p_channel_consume(arena->channel, (size_t)n);
		} else {
			n = anyio_stream_receive(arena->raw, bytes, sizeof bytes);
		}
	}
	return n == ANYIO_CANCELLED ? (int)n : 0;
}

/* Reads until the victim has closed. */
static void expect_closed(struct arena *arena)
{
	OK(anyio_fail_after(120 * ANYIO_SECOND, drain, arena));
}

static void let_go(struct arena *arena)
{
	p2p_channel_destroy(arena->channel);
	anyio_stream_free(arena->raw);
	arena->channel = NULL;
	arena->raw = NULL;
}

/* ---- what is shown afterwards ---- */

static void serves_the_honest(struct arena *arena)
{
	char text[P2P_ADDRESS_MAX];
	const char *list[] = { text };

	assert_true(mf_multiaddr_format(&arena->address, text, sizeof text) > 0);
	OK(p2p_host_connect(arena->honest, p2p_host_id(arena->victim), list, 1, NULL));
	OK(p2p_ping(arena->honest, p2p_host_id(arena->victim), NULL));
	OK(p2p_host_disconnect(arena->honest, p2p_host_id(arena->victim)));
}

/* The victim gets round to it when everybody else waits. */
static void gives_back(struct arena *arena)
{
	for (int i = 0; i < 1000 && arena->victim->system.used.connections; i++)
		OK(anyio_sleep(ANYIO_MILLISECOND));
	assert_int_equal(arena->victim->system.used.connections, 0);
	assert_int_equal(arena->victim->system.used.streams, 0);
	assert_int_equal(arena->victim->system.used.memory, 0);
}

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);
	return count;
}

static struct p2p_host *make_host(uint8_t name)
{
	uint8_t seed[32] = { name };
	struct p2p_host_options options = { .keep_alive = 100 * ANYIO_MILLISECOND };
	struct p2p_host *host;
	struct p2p_key key;

	p2p_key_from_seed(&key, seed);
	options.key = &key;
	OK(p2p_host_create(&options, &host));
	return host;
}

static int arena_task(void *arg)
{
	struct arena *arena = arg;
	struct p2p_addresses addresses;
	int before;

	arena->victim = make_host(1);
	arena->honest = make_host(2);
	p2p_key_generate(&arena->key);
	OK(p2p_noise_init(&arena->noise, &arena->key, muxers, 1));
	ANYIO_TASK_GROUP(group);
	OK(anyio_start(&group, p2p_host_run, arena->victim, "victim", NULL));
	OK(anyio_start(&group, p2p_host_run, arena->honest, "honest", NULL));
	OK(p2p_host_listen(arena->victim, "/ip4/127.0.0.1/tcp/0"));
	OK(p2p_host_addresses(arena->victim, &addresses));
	OK(mf_multiaddr_parse(&arena->address, addresses.text[0], strlen(addresses.text[0])));
	p2p_addresses_free(&addresses);
	before = descriptors();
	arena->attack(arena);
	serves_the_honest(arena);
	let_go(arena);
	gives_back(arena);
	assert_int_equal(descriptors(), before);
	p2p_host_close(arena->victim);
	p2p_host_close(arena->honest);
	OK(anyio_task_group_exit(&group, 0));
	p2p_host_free(arena->victim);
	p2p_host_free(arena->honest);
	p2p_noise_destroy(&arena->noise);
	return 0;
}

static void attack(void **state, void (*how)(struct arena *arena))
{
	struct arena arena = { .attack = how };
	struct anyio_options options = { .backend = *state };
	int rc = anyio_run(arena_task, &arena, &options);

	if (rc < 0)
		fail_msg("%s", anyio_error_name(rc));
}

/* ---- the multiplexer ---- */

static void body_over_the_window_how(struct arena *arena)
{
	connect_secured(arena);
	OK(frame(arena, P2P_YAMUX_DATA, P2P_YAMUX_SYN, 1, 262145));
	expect_closed(arena);
}

static void body_over_the_window(void **state)
{
	attack(state, body_over_the_window_how);
}

static void credit_overflow_how(struct arena *arena)
{
	connect_secured(arena);
	open_stream(arena, 1, P2P_PING_PROTOCOL);
	OK(frame(arena, P2P_YAMUX_WINDOW_UPDATE, 0, 1, UINT32_MAX));
	expect_closed(arena);
}

static void credit_overflow(void **state)
{
	attack(state, credit_overflow_how);
}

/* Nothing is read meanwhile, so the answers have nowhere to go. */
static void flood_of_streams_how(struct arena *arena)
{
	int rc = 0;

	connect_secured(arena);
	for (uint32_t i = 0; rc == 0 && i < 20000; i++)
		rc = frame(arena, P2P_YAMUX_WINDOW_UPDATE, P2P_YAMUX_SYN, 1 + 2 * i, 0);
	assert_true(arena->victim->system.used.streams_in <= 256);
	let_go(arena);
}

static void flood_of_streams(void **state)
{
	attack(state, flood_of_streams_how);
}

/* A keep-alive answers neither ping nor anything else: it is over after two of them. */
static void half_a_frame_how(struct arena *arena)
{
	connect_secured(arena);
	OK(frame(arena, P2P_YAMUX_DATA, P2P_YAMUX_SYN, 1, 200000));
	OK(put(arena, "half", 4));
	expect_closed(arena);
}

static void half_a_frame(void **state)
{
	attack(state, half_a_frame_how);
}

static void length_never_sent_how(struct arena *arena)
{
	connect_raw(arena);
	OK(anyio_stream_send(arena->raw, "\x13/multistream/1.0.0\n\x07/noise\n\xff\xff", 30));
	expect_closed(arena);
}

static void length_never_sent(void **state)
{
	attack(state, length_never_sent_how);
}

static void silence_how(struct arena *arena)
{
	connect_raw(arena);
	expect_closed(arena);
}

static void silence(void **state)
{
	attack(state, silence_how);
}

/* ---- identify ---- */

static void push(struct arena *arena, uint32_t id, const uint8_t *message, size_t len)
{
	uint8_t prefix[MF_VARINT_WRITE_MAX];
	uint32_t n = (uint32_t)mf_varint_encode(len, prefix);

	open_stream(arena, id, "/ipfs/id/push/1.0.0");
	OK(frame(arena, P2P_YAMUX_DATA, P2P_YAMUX_FIN, id, n + (uint32_t)len));
	OK(put(arena, prefix, n));
	OK(put(arena, message, len));
}

static void record_of_another_how(struct arena *arena)
{
	static struct p2p_identify message;
	uint8_t record[512], out[1024];
	struct p2p_key other;
	ssize_t n;

	p2p_key_generate(&other);
	n = p2p_peer_record_seal(&other, 1, NULL, 0, record, sizeof record);
	message = (struct p2p_identify){ .signed_record = { record, (size_t)n } };
	n = p2p_identify_encode(&message, out, sizeof out);
	connect_secured(arena);
	push(arena, 1, out, (size_t)n);
	expect_closed(arena);
}

static void record_of_another(void **state)
{
	attack(state, record_of_another_how);
}

static void thousands_of_protocols_how(struct arena *arena)
{
	static uint8_t message[2 * 3900];

	for (size_t i = 0; i < sizeof message; i += 4)
		memcpy(message + i, "\x1a\x02/x", i + 4 <= sizeof message ? 4 : 0);
	connect_secured(arena);
	push(arena, 1, message, sizeof message / 4 * 4);
	expect_closed(arena);
}

static void thousands_of_protocols(void **state)
{
	attack(state, thousands_of_protocols_how);
}

static void flood_of_pushes_how(struct arena *arena)
{
	connect_secured(arena);
	for (uint32_t i = 0; i < 250; i++)
		open_stream(arena, 1 + 2 * i, "/ipfs/id/push/1.0.0");
	for (uint32_t i = 0; i < 250; i++)
		OK(frame(arena, P2P_YAMUX_DATA, 0, 1 + 2 * i, 0));
	serves_the_honest(arena);
	let_go(arena);
}

static void flood_of_pushes(void **state)
{
	attack(state, flood_of_pushes_how);
}

static void giant_identify_length_how(struct arena *arena)
{
	connect_secured(arena);
	open_stream(arena, 1, "/ipfs/id/push/1.0.0");
	OK(frame(arena, P2P_YAMUX_DATA, 0, 1, 6));
	OK(put(arena, "\xff\xff\xff\xff\x7f\x00", 6));
	expect_closed(arena);
}

static void giant_identify_length(void **state)
{
	attack(state, giant_identify_length_how);
}

/* ---- keys ---- */

static void giant_rsa_key_how(struct arena *arena)
{
	/* SubjectPublicKeyInfo of an RSA key with a modulus of 16,392 bits, all ones. */
	static const uint8_t head[] = { 0x30, 0x82, 0x08, 0x23, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86,
		0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03, 0x82, 0x08, 0x10, 0x00,
		0x30, 0x82, 0x08, 0x0b, 0x02, 0x82, 0x08, 0x02, 0x00 };
	static const uint8_t tail[] = { 0x02, 0x03, 0x01, 0x00, 0x01 };
	static uint8_t der[sizeof head + 2049 + sizeof tail], key[2500], payload[4000], out[4200];
	struct p2p_noise_handshake state;
	struct p2p_noise_keypair ephemeral;
	struct mf_pb_writer writer = mf_pb_write_fixed(key, sizeof key);
	uint8_t prefix[2], *inside, signature[2048] = { 1 };
	ssize_t n;

	memset(der, 0xff, sizeof der);
	memcpy(der, head, sizeof head);
	memcpy(der + sizeof der - sizeof tail, tail, sizeof tail);
	mf_pb_put_varint(&writer, 1, P2P_KEY_RSA);
	mf_pb_put_bytes(&writer, 2, der, sizeof der);
	n = mf_pb_finish(&writer);
	writer = mf_pb_write_fixed(payload, sizeof payload);
	mf_pb_put_bytes(&writer, 1, key, (size_t)n);
	mf_pb_put_bytes(&writer, 2, signature, 1024);
	agree_on_noise(arena);
	p2p_noise_keypair_generate(&ephemeral);
	p2p_noise_handshake_init(&state, true, NULL, 0, &arena->noise.keypair, &ephemeral);
	n = p2p_noise_handshake_write(&state, &arena->noise.aead, NULL, 0, out + 2, 4000);
	out[0] = 0;
	out[1] = (uint8_t)n;
	OK(anyio_stream_send(arena->raw, out, (size_t)n + 2));
	OK(anyio_stream_receive_exactly(arena->raw, prefix, 2));
	n = prefix[0] << 8 | prefix[1];
	OK(anyio_stream_receive_exactly(arena->raw, out, (size_t)n));
	assert_true(
		p2p_noise_handshake_read(&state, &arena->noise.aead, out, (size_t)n, &inside) > 0);
	n = p2p_noise_handshake_write(
		&state, &arena->noise.aead, payload, writer.len, out + 2, sizeof out - 2);
	assert_true(n > 0);
	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
	OK(anyio_stream_send(arena->raw, out, (size_t)n + 2));
	expect_closed(arena);
}

static void giant_rsa_key(void **state)
{
	attack(state, giant_rsa_key_how);
}

/* ---- addresses ---- */

static void endless_addresses_how(struct arena *arena)
{
	static const char *const address[] = { "/ip4/192.0.2.1/tcp/4001" };
	struct mf_peer_id id = *p2p_host_id(arena->honest);

	for (int i = 0; i < 5000; i++) {
		randombytes_buf(id.bytes + 10, 20);
		OK(p2p_host_remember(arena->victim, &id, address, 1));
	}
	assert_in_range(arena->victim->peer_count, 1, P2P_PEERS_REMEMBERED_MAX);
}

static void endless_addresses(void **state)
{
	attack(state, endless_addresses_how);
}

/* ---- lengths ---- */

static void giant_multistream_length_how(struct arena *arena)
{
	connect_raw(arena);
	OK(anyio_stream_send(arena->raw, "\xff\xff\xff\xff\x0f", 5));
	expect_closed(arena);
}

static void giant_multistream_length(void **state)
{
	attack(state, giant_multistream_length_how);
}

static void endless_proposals_how(struct arena *arena)
{
	int rc = 0;

	connect_raw(arena);
	OK(anyio_stream_send(arena->raw, "\x13/multistream/1.0.0\n", 20));
	for (int i = 0; rc == 0 && i < 1000; i++)
		rc = anyio_stream_send(arena->raw, "\x06/none\n", 7);
	expect_closed(arena);
}

static void endless_proposals(void **state)
{
	attack(state, endless_proposals_how);
}

#define ON(name, backend) cmocka_unit_test_prestate(name, backend)
#define TEST(name)        ON(name, "uring"), ON(name, "uv"), ON(name, "sim")

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(body_over_the_window),
		TEST(credit_overflow),
		TEST(flood_of_streams),
		TEST(half_a_frame),
		ON(length_never_sent, "sim"), /* it takes the 15 s a handshake may */
		ON(silence, "sim"),
		TEST(record_of_another),
		TEST(thousands_of_protocols),
		TEST(flood_of_pushes),
		TEST(giant_identify_length),
		TEST(giant_rsa_key),
		TEST(endless_addresses),
		TEST(giant_multistream_length),
		TEST(endless_proposals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
