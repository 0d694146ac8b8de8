#include "check.h"

#include "protocol/identify_codec.h"
#include "protocol/multistream_codec.h"

/* ---- multistream-select ---- */

static void multistream_bytes(void **state)
{
	uint8_t out[64];
	const char *text;
	size_t len;
	ssize_t n = p2p_multistream_encode(P2P_MULTISTREAM_HEADER, out, sizeof out);

	assert_int_equal(n, 20);
	assert_memory_equal(out, "\x13/multistream/1.0.0\n", 20);
	assert_int_equal(p2p_multistream_decode(out, 20, &text, &len), 20);
	assert_int_equal(len, 18);
	assert_memory_equal(text, "/multistream/1.0.0", 18);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(p2p_multistream_decode(out, i, &text, &len), -EAGAIN);
	assert_int_equal(p2p_multistream_encode(P2P_MULTISTREAM_HEADER, out, 19), -ENOSPC);
}

static void multistream_limits(void **state)
{
	static char text[1200];
	static uint8_t out[1300];
	const char *got;
	size_t len;

	memset(text, 'a', 1023);
	assert_int_equal(p2p_multistream_encode(text, out, sizeof out), 1026);
	assert_int_equal(p2p_multistream_decode(out, 1026, &got, &len), 1026);
	text[1023] = 'a';
	assert_int_equal(p2p_multistream_encode(text, out, sizeof out), -EMSGSIZE);
	assert_int_equal(
		p2p_multistream_decode((const uint8_t *)"\x81\x08", 2, &got, &len), -EPROTO);
	assert_int_equal(
		p2p_multistream_decode((const uint8_t *)"\x80\x80", 2, &got, &len), -EPROTO);
	assert_int_equal(p2p_multistream_decode((const uint8_t *)"\x00", 1, &got, &len), -EPROTO);
	assert_int_equal(
		p2p_multistream_decode((const uint8_t *)"\x03/a ", 4, &got, &len), -EPROTO);
	assert_int_equal(
		p2p_multistream_decode((const uint8_t *)"\x83\x00/a\n", 5, &got, &len), -EPROTO);
}

/* ---- identify ---- */

static struct mf_pb_view view(const char *text)
{
	return (struct mf_pb_view){ (const uint8_t *)text, strlen(text) };
}

static void identify_round_trip(void **state)
{
	static struct p2p_identify out, in;
	static uint8_t data[P2P_IDENTIFY_SEND_MAX];
	ssize_t n;

	out = (struct p2p_identify){ .public_key = view("key"),
		.agent_version = view("agent"),
		.protocol_version = view("version"),
		.observed_address = view("observed"),
		.addresses = { view("a1"), view("a2") },
		.address_count = 2,
		.protocols = { view("/p1"), view("/p2"), view("/p3") },
		.protocol_count = 3 };
	n = p2p_identify_encode(&out, data, sizeof data);
	assert_true(n > 0);
	assert_int_equal(p2p_identify_decode(&in, data, (size_t)n), 0);
	assert_int_equal(in.address_count, 2);
	assert_int_equal(in.protocol_count, 3);
	assert_memory_equal(in.protocols[2].data, "/p3", 3);
	assert_memory_equal(in.agent_version.data, "agent", 5);
	assert_memory_equal(in.observed_address.data, "observed", 8);
	/* Cut in two messages anywhere between fields, it merges to the same. */
	assert_int_equal(p2p_identify_decode(&in, data, 5), 0);
	assert_int_equal(p2p_identify_decode(&in, data, 4), -EINVAL);
}

static void identify_is_bounded(void **state)
{
	static struct p2p_identify in;
	static uint8_t data[3 * (P2P_PROTOCOLS_PER_PEER + 1)];

	for (size_t i = 0; i < sizeof data; i += 3)
		memcpy(data + i, "\x1a\x01/", 3);
	assert_int_equal(p2p_identify_decode(&in, data, sizeof data - 3), 0);
	assert_int_equal(in.protocol_count, P2P_PROTOCOLS_PER_PEER);
	assert_int_equal(p2p_identify_decode(&in, data, sizeof data), -E2BIG);
	for (size_t i = 0; i < sizeof data; i += 3)
		data[i] = 0x12;
	assert_int_equal(p2p_identify_decode(&in, data, sizeof data), -E2BIG);
}

static void identify_sends_what_fits(void **state)
{
	static struct p2p_identify out, in;
	static uint8_t data[P2P_IDENTIFY_SEND_MAX];
	static char address[200];
	ssize_t n;

	memset(address, 'x', sizeof address - 1);
	out = (struct p2p_identify){ .agent_version = view("agent"),
		.address_count = 100,
		.protocols = { view("/p1") },
		.protocol_count = 1 };
	for (size_t i = 0; i < out.address_count; i++)
		out.addresses[i] = view(address);
	n = p2p_identify_encode(&out, data, sizeof data);
	assert_in_range(n, P2P_IDENTIFY_SEND_MAX - 210, P2P_IDENTIFY_SEND_MAX);
	assert_int_equal(p2p_identify_decode(&in, data, (size_t)n), 0);
	assert_int_equal(in.protocol_count, 1);
	assert_in_range(in.address_count, 19, 20);
}

/* ---- signed peer records ---- */

static void peer_record(void **state)
{
	static struct p2p_identify in;
	uint8_t data[1024];
	struct mf_pb_view addresses[] = { view("a1"), view("a2") }, record;
	struct mf_peer_id own, other_id;
	struct p2p_key key, other;
	ssize_t n;

	p2p_key_generate(&key);
	p2p_key_generate(&other);
	p2p_key_peer_id(&key, &own);
	p2p_key_peer_id(&other, &other_id);
	n = p2p_peer_record_seal(&key, 7, addresses, 2, data, sizeof data);
	assert_true(n > 0);
	record = (struct mf_pb_view){ data, (size_t)n };
	assert_int_equal(p2p_peer_record_open(record, &own, &in), 0);
	assert_int_equal(in.address_count, 2);
	assert_int_equal(p2p_peer_record_open(record, &other_id, &in), -EBADMSG);
	for (ssize_t i = 0; i < n; i++) {
		data[i] ^= 1;
		assert_true(p2p_peer_record_open(record, &own, &in) < 0);
		data[i] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(multistream_bytes),
		cmocka_unit_test(multistream_limits),
		cmocka_unit_test(identify_round_trip),
		cmocka_unit_test(identify_is_bounded),
		cmocka_unit_test(identify_sends_what_fits),
		cmocka_unit_test(peer_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
