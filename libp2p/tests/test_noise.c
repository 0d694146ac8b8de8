#include "check.h"
#include "../../tests/fixtures.h"

#include <jansson.h>

#include "security/noise/handshake.h"
#include "security/noise/payload.h"

/* ---- published vectors ---- */

struct side {
	struct p2p_noise_handshake handshake;
	struct p2p_cipher send, receive;
};

static size_t hex_member(const json_t *object, const char *name, uint8_t *out, size_t cap)
{
	const char *text = json_string_value(json_object_get(object, name));

	assert_non_null(text);
	return from_hex(text, out, cap);
}

static void side_init(struct side *side, bool initiator, const json_t *vector)
{
	uint8_t secret[32], prologue[256];
	struct p2p_noise_keypair own_static, ephemeral;
	size_t len;

	hex_member(vector, initiator ? "init_static" : "resp_static", secret, sizeof secret);
	p2p_noise_keypair_of(&own_static, secret);
	hex_member(vector, initiator ? "init_ephemeral" : "resp_ephemeral", secret, sizeof secret);
	p2p_noise_keypair_of(&ephemeral, secret);
	len = hex_member(
		vector, initiator ? "init_prologue" : "resp_prologue", prologue, sizeof prologue);
	p2p_noise_handshake_init(
		&side->handshake, initiator, prologue, len, &own_static, &ephemeral);
}

static void handshake_message(struct p2p_aead *aead, struct side *from, struct side *to,
	const uint8_t *payload, size_t payload_len, const uint8_t *expected, size_t expected_len)
{
	uint8_t message[1024], *inside;
	ssize_t n = p2p_noise_handshake_write(
		&from->handshake, aead, payload, payload_len, message, sizeof message);

	assert_int_equal(n, expected_len);
	assert_memory_equal(message, expected, expected_len);
	n = p2p_noise_handshake_read(&to->handshake, aead, message, (size_t)n, &inside);
	assert_int_equal(n, payload_len);
	assert_memory_equal(inside, payload, payload_len);
}

static void transport_message(struct p2p_aead *aead, struct side *from, struct side *to,
	const uint8_t *payload, size_t payload_len, const uint8_t *expected, size_t expected_len)
{
	uint8_t message[1024];
	struct iovec iov = { (void *)payload, payload_len };
	struct p2p_gather gather = { &iov, 1, 0 };

	assert_int_equal(
		p2p_cipher_seal(aead, &from->send, NULL, 0, &gather, payload_len, message), 0);
	assert_int_equal(payload_len + P2P_AEAD_TAG, expected_len);
	assert_memory_equal(message, expected, expected_len);
	assert_int_equal(
		p2p_cipher_open(aead, &to->receive, NULL, 0, message, expected_len), payload_len);
	assert_memory_equal(message, payload, payload_len);
}

static void run_vector(const json_t *vector)
{
	uint8_t payload[512], expected[1024], hash[32];
	const json_t *messages = json_object_get(vector, "messages");
	struct side sides[2];
	struct p2p_aead aead;
	size_t hash_len = 0;

	assert_int_equal(p2p_aead_init(&aead), 0);
	side_init(&sides[0], true, vector);
	side_init(&sides[1], false, vector);
	if (json_object_get(vector, "handshake_hash"))
		hash_len = hex_member(vector, "handshake_hash", hash, sizeof hash);
	for (size_t i = 0; i < json_array_size(messages); i++) {
		const json_t *message = json_array_get(messages, i);
		size_t len = hex_member(message, "payload", payload, sizeof payload);
		size_t full = hex_member(message, "ciphertext", expected, sizeof expected);
		struct side *from = &sides[i % 2], *to = &sides[1 - i % 2];

		if (i < 3) {
			handshake_message(&aead, from, to, payload, len, expected, full);
		} else {
			transport_message(&aead, from, to, payload, len, expected, full);
		}
		if (i == 2 && hash_len)
			assert_memory_equal(sides[0].handshake.hash, hash, hash_len);
		for (int s = 0; i == 2 && s < 2; s++)
			assert_int_equal(p2p_noise_handshake_split(&sides[s].handshake,
						 &sides[s].send, &sides[s].receive),
				0);
	}
	p2p_aead_destroy(&aead);
}

static void vectors_of(const char *name)
{
	char path[1024];
	json_t *file, *vectors;

	fixture_path(name, path, sizeof path);
	file = json_load_file(path, 0, NULL);
	assert_non_null(file);
	vectors = json_object_get(file, "vectors");
	assert_true(json_array_size(vectors) > 0);
	for (size_t i = 0; i < json_array_size(vectors); i++)
		run_vector(json_array_get(vectors, i));
	json_decref(file);
}

static void cacophony_vectors(void **state)
{
	vectors_of("noise/cacophony-xx.json");
}

static void snow_vectors(void **state)
{
	vectors_of("noise/snow-xx.json");
}

/* ---- by itself ---- */

static void pair_init(struct side sides[2])
{
	struct p2p_noise_keypair own_static, ephemeral;

	for (int i = 0; i < 2; i++) {
		p2p_noise_keypair_generate(&own_static);
		p2p_noise_keypair_generate(&ephemeral);
		p2p_noise_handshake_init(
			&sides[i].handshake, i == 0, NULL, 0, &own_static, &ephemeral);
	}
}

static void out_of_turn(void **state)
{
	uint8_t message[256], *inside;
	struct side sides[2];
	struct p2p_aead aead;

	assert_int_equal(p2p_aead_init(&aead), 0);
	pair_init(sides);
	assert_int_equal(p2p_noise_handshake_write(
				 &sides[1].handshake, &aead, NULL, 0, message, sizeof message),
		-EPROTO);
	assert_int_equal(p2p_noise_handshake_read(&sides[0].handshake, &aead, message, 32, &inside),
		-EPROTO);
	assert_int_equal(
		p2p_noise_handshake_split(&sides[0].handshake, &sides[0].send, &sides[0].receive),
		-EPROTO);
	p2p_aead_destroy(&aead);
}

/* Every truncation and every flipped bit of message 2 is refused. */
static void damaged_message(void **state)
{
	uint8_t first[256], second[256], damaged[256], *inside;
	struct side sides[2];
	struct p2p_aead aead;
	ssize_t n;

	assert_int_equal(p2p_aead_init(&aead), 0);
	pair_init(sides);
	n = p2p_noise_handshake_write(&sides[0].handshake, &aead, NULL, 0, first, sizeof first);
	assert_int_equal(n, 32);
	p2p_noise_handshake_read(&sides[1].handshake, &aead, first, (size_t)n, &inside);
	n = p2p_noise_handshake_write(
		&sides[1].handshake, &aead, "hello", 5, second, sizeof second);
	for (ssize_t i = 0; i < n; i++) {
		struct p2p_noise_handshake copy = sides[0].handshake;

		memcpy(damaged, second, (size_t)n);
		assert_int_equal(
			p2p_noise_handshake_read(&copy, &aead, damaged, (size_t)i, &inside),
			-EBADMSG);
		copy = sides[0].handshake;
		memcpy(damaged, second, (size_t)n);
		damaged[i] ^= 1u << (i % 8);
		assert_int_equal(
			p2p_noise_handshake_read(&copy, &aead, damaged, (size_t)n, &inside),
			-EBADMSG);
	}
	p2p_aead_destroy(&aead);
}

static void low_order_point(void **state)
{
	uint8_t message[32] = { 0 }, out[256], *inside;
	struct side sides[2];
	struct p2p_aead aead;

	assert_int_equal(p2p_aead_init(&aead), 0);
	pair_init(sides);
	assert_int_equal(
		p2p_noise_handshake_read(&sides[1].handshake, &aead, message, 32, &inside), 0);
	assert_int_equal(
		p2p_noise_handshake_write(&sides[1].handshake, &aead, NULL, 0, out, sizeof out),
		-EBADMSG);
	p2p_aead_destroy(&aead);
}

/* A gather list is sealed as if it were one piece, however it is cut. */
static void gathered(void **state)
{
	uint8_t text[300], whole[316], pieces[316];
	struct p2p_cipher cipher = { .key = { 7 } }, again = cipher;
	struct iovec one = { text, sizeof text };
	struct iovec many[] = { { text, 12 }, { text + 12, 0 }, { text + 12, 1 },
		{ text + 13, 287 } };
	struct p2p_gather from = { &one, 1, 0 };
	struct p2p_aead aead;

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)i;
	assert_int_equal(p2p_aead_init(&aead), 0);
	assert_int_equal(p2p_cipher_seal(&aead, &cipher, NULL, 0, &from, sizeof text, whole), 0);
	from = (struct p2p_gather){ many, 4, 0 };
	assert_int_equal(p2p_cipher_seal(&aead, &again, NULL, 0, &from, sizeof text, pieces), 0);
	assert_memory_equal(whole, pieces, sizeof whole);
	again.counter = UINT64_MAX;
	from = (struct p2p_gather){ &one, 1, 0 };
	assert_int_equal(p2p_cipher_seal(&aead, &again, NULL, 0, &from, 1, pieces), -EOVERFLOW);
	p2p_aead_destroy(&aead);
}

/* ---- payload ---- */

static void payload_round_trip(void **state)
{
	static const char *const muxers[] = { "/yamux/1.0.0", "/mplex/6.7.0" };
	static const char *const other[] = { "/mplex/6.7.0", "/none" };
	uint8_t data[P2P_NOISE_PAYLOAD_MAX], noise_key[32] = { 9 }, seed[32] = { 1 };
	struct p2p_noise_payload payload;
	struct mf_peer_id expected, got;
	struct p2p_key key;
	ssize_t n;

	p2p_key_from_seed(&key, seed);
	p2p_key_peer_id(&key, &expected);
	n = p2p_noise_payload_encode(&key, noise_key, muxers, 2, data, sizeof data);
	assert_true(n > 0);
	assert_int_equal(p2p_noise_payload_decode(&payload, data, (size_t)n), 0);
	assert_int_equal(payload.muxer_count, 2);
	assert_int_equal(p2p_noise_payload_verify(&payload, noise_key, &got), 0);
	assert_true(mf_peer_id_equal(&expected, &got));
	assert_int_equal(p2p_noise_payload_choose_muxer(&payload, true, other, 2), 0);
	assert_int_equal(p2p_noise_payload_choose_muxer(&payload, false, other, 2), 0);
	assert_int_equal(p2p_noise_payload_choose_muxer(&payload, true, other + 1, 1), -ENOENT);
	noise_key[0]++;
	assert_int_equal(p2p_noise_payload_verify(&payload, noise_key, &got), -EBADMSG);
}

/* The order of the initiator decides, on both sides alike. */
static void muxer_order(void **state)
{
	static const char *const initiator[] = { "/b", "/a" };
	static const char *const responder[] = { "/a", "/b" };
	uint8_t data[P2P_NOISE_PAYLOAD_MAX], noise_key[32] = { 9 }, seed[32] = { 1 };
	struct p2p_noise_payload payload;
	struct p2p_key key;
	ssize_t n;

	p2p_key_from_seed(&key, seed);
	n = p2p_noise_payload_encode(&key, noise_key, responder, 2, data, sizeof data);
	assert_int_equal(p2p_noise_payload_decode(&payload, data, (size_t)n), 0);
	assert_int_equal(p2p_noise_payload_choose_muxer(&payload, true, initiator, 2), 0);
	n = p2p_noise_payload_encode(&key, noise_key, initiator, 2, data, sizeof data);
	assert_int_equal(p2p_noise_payload_decode(&payload, data, (size_t)n), 0);
	assert_int_equal(p2p_noise_payload_choose_muxer(&payload, false, responder, 2), 1);
}

static void payload_unknown_fields(void **state)
{
	/* key, an unknown field 9, signature, an unknown varint, an extension with certhashes only
	 */
	static const uint8_t data[] = { 0x0a, 1, 'k', 0x4a, 2, 1, 2, 0x12, 1, 's', 0x50, 1, 0x22, 3,
		0x0a, 1, 'c' };
	struct p2p_noise_payload payload;

	assert_int_equal(p2p_noise_payload_decode(&payload, data, sizeof data), 0);
	assert_int_equal(payload.identity_key.len, 1);
	assert_int_equal(payload.signature.len, 1);
	assert_int_equal(payload.muxer_count, 0);
	assert_int_equal(p2p_noise_payload_decode(&payload, data, 7), -EINVAL);
	assert_int_equal(p2p_noise_payload_decode(&payload, data, sizeof data - 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cacophony_vectors),
		cmocka_unit_test(snow_vectors),
		cmocka_unit_test(out_of_turn),
		cmocka_unit_test(damaged_message),
		cmocka_unit_test(low_order_point),
		cmocka_unit_test(gathered),
		cmocka_unit_test(payload_round_trip),
		cmocka_unit_test(muxer_order),
		cmocka_unit_test(payload_unknown_fields),
	};

	return fixtures_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
