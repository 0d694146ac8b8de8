#include <errno.h>

#include <multiformats/peer_id.h>

#include "fixture.h"

/* The examples of the peer id specification. */
static const struct {
	const char *base58, *base32, *base36;
} known[] = {
	{ "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
		"bafzaajaiaejcal72gwuz2or47oyxxn6b3rkwdmmkrxgkjxzy3rqt5kczyn7lcm3l",
		"k51qzi5uqu5dhdmyb9bd18pypu2wp5lpv2xnskfmrqa4lb5knqryrotb05e7or" },
	{ "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
		"bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe",
		"k2k4r8ncs1yoluq95unsd7x2vfhgve0ncjoggwqx9vyh3vl8warrcp15" },
	{ "16Uiu2HAm2dSCBFxuge46aEt7U1oejtYuBUZXxASHqmcfVmk4gsbx",
		"bafzaajiiaijccatlauyjjuirfphhthoiajqebltnj22xiflzfhyvtalsaypxkpm3dm",
		"kzwfwjn5ji4pumc8lty2cjsm4v6hy0nl3a2p1k9sl55t45t3l7atdgds3q3qihn" },
};

static void all_text_forms_are_one_id(void **state)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct mf_peer_id a, b, c;
		char text[MF_PEER_ID_TEXT_MAX];
		assert_int_equal(mf_peer_id_parse(&a, known[i].base58, strlen(known[i].base58)), 0);
		assert_int_equal(mf_peer_id_parse(&b, known[i].base32, strlen(known[i].base32)), 0);
		assert_int_equal(mf_peer_id_parse(&c, known[i].base36, strlen(known[i].base36)), 0);
		assert_true(mf_peer_id_equal(&a, &b));
		assert_true(mf_peer_id_equal(&a, &c));
		assert_int_equal(
			mf_peer_id_format(&a, text, sizeof(text)), strlen(known[i].base58));
		assert_string_equal(text, known[i].base58);
	}
}

static void check_key(const char *hex, enum mf_key_type type, const char *id_text)
{
	uint8_t encoded[128], again[128];
	char text[MF_PEER_ID_TEXT_MAX];
	struct mf_public_key key;
	struct mf_peer_id id;
	size_t len = unhex(hex, encoded, sizeof(encoded));

	assert_int_equal(mf_public_key_decode(&key, encoded, len), 0);
	assert_int_equal(key.type, type);
	assert_int_equal(mf_public_key_encode(&key, again, sizeof(again)), len);
	assert_memory_equal(again, encoded, len);
	mf_peer_id_of_key(&id, encoded, len);
	mf_peer_id_format(&id, text, sizeof(text));
	assert_string_equal(text, id_text);
	if (type == MF_KEY_ED25519) {
		struct mf_peer_id same;
		mf_peer_id_of_ed25519(&same, key.data);
		assert_true(mf_peer_id_equal(&id, &same));
	}
	if (len <= MF_PEER_KEY_INLINE_MAX) {
		assert_int_equal(mf_peer_id_key(&id, &key), 0);
		assert_int_equal(key.type, type);
	} else {
		assert_int_equal(mf_peer_id_key(&id, &key), -ENOENT);
	}
}

static void keys_have_their_ids(void **state)
{
	check_key("080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
		MF_KEY_ED25519, "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq");
	check_key("08021221037777e994e452c21604f91de093ce415f5432f701dd8cd1a7a6fea0e630bfca99",
		MF_KEY_SECP256K1, "16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY");
	check_key("0803125b000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
		  "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
		  "404142434445464748494a4b4c4d4e4f505152535455565758595a",
		MF_KEY_ECDSA, "QmUpGEJPXBwBEoMVg1CWuGrbo1kp9xmt4qyfuU7opnA1B6");
}

static void refuses_malformed_keys(void **state)
{
	static const char *const bad[] = {
		"", "0801",       /* no data */
		"1201aa",         /* no type */
		"08041201aa",     /* no such type */
		"08011203aabbcc", /* an ed25519 key of three bytes */
		"08001200",       /* an empty RSA key */
		"0801122000",     /* cut short */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint8_t bytes[64];
		struct mf_public_key key;
		size_t len = unhex(bad[i], bytes, sizeof(bytes));
		assert_int_equal(mf_public_key_decode(&key, bytes, len), -EINVAL);
	}
}

static void refuses_malformed_ids(void **state)
{
	static const char *const bad_text[] = {
		"",
		"Q",
		"Qm",
		"1",
		"11",
		"12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5S",
		"12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SAA",
		"12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5S0",
		"bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e", /* raw, not a key */
		"bafkqaaa",
	};
	static const char *const bad_bytes[] = {
		"", "00", "0000",                               /* an empty key */
		"1214e861e452cfd84dca9a176258c3d06e020a0c93d8", /* a shortened sha2-256 */
		"1114e861e452cfd84dca9a176258c3d06e020a0c93d8", /* sha1 */
		"0001ffff",                                     /* a byte too many */
		"002b00000000000000000000000000000000000000000000000000000000000000000000000000"
		"0000000000000000", /* 43 bytes of key */
	};
	struct mf_peer_id id;

	for (size_t i = 0; i < sizeof(bad_text) / sizeof(*bad_text); i++)
		assert_int_equal(mf_peer_id_parse(&id, bad_text[i], strlen(bad_text[i])), -EINVAL);
	for (size_t i = 0; i < sizeof(bad_bytes) / sizeof(*bad_bytes); i++) {
		uint8_t bytes[64];
		size_t len = unhex(bad_bytes[i], bytes, sizeof(bytes));
		assert_int_equal(mf_peer_id_decode(&id, bytes, len), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_text_forms_are_one_id),
		cmocka_unit_test(keys_have_their_ids),
		cmocka_unit_test(refuses_malformed_keys),
		cmocka_unit_test(refuses_malformed_ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
