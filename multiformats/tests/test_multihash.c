#include <errno.h>

#include <multiformats/multihash.h>

#include "fixture.h"

static const struct {
	const char *name, *text, *digest;
} known[] = {
	{ "identity", "abc", "616263" },
	{ "md5", "", "d41d8cd98f00b204e9800998ecf8427e" },
	{ "sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
	{ "sha2-256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "dbl-sha2-256", "hello",
		"9595c9df90075148eb06860365df33584b75bff782a510c6cd4883a419833d50" },
	{ "sha2-224", "abc", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7" },
	{ "sha2-512-256", "abc",
		"53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23" },
	{ "sha3-256", "", "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a" },
	{ "shake-128", "", "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26" },
	{ "shake-256", "",
		"46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f"
		"d75dc4ddd8c0f200cb05019d67b592f6fc821c49479ab48640292eacb3b7c4be" },
	{ "keccak-224", "", "f71837502ba8e10837bdd8d365adb85591895602fc552b48b7390abd" },
	{ "keccak-256", "", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470" },
	{ "keccak-384", "",
		"2c23146a63a29acf99e73b88f8c24eaa7dc60aa771780ccc006afbfa8fe2479b"
		"2dd2b21362337441ac12b515911957ff" },
	{ "keccak-512", "",
		"0eab42de4c3ceb9235fc91acffe746b29c29a8c366b7c60e4e67c466f36a4304"
		"c00fa9caf9d87976ba469bcbe06713b435f091ef2769fb160cdab33d3670680e" },
	{ "blake2b-256", "", "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8" },
	{ "blake2b-512", "abc",
		"ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
		"7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923" },
	{ "blake2s-256", "", "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9" },
};

static void published_digests(void **state)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		uint8_t digest[MF_DIGEST_MAX];
		char name[MF_HASH_NAME_MAX];
		uint32_t code;
		size_t len = strlen(known[i].text);
		assert_int_equal(mf_hash_find(known[i].name, &code), 0);
		assert_int_equal(mf_hash_name(code, name), 0);
		assert_string_equal(name, known[i].name);
		ssize_t n = mf_hash_digest(code, known[i].text, len, 0, digest);
		assert_true(n > 0);
		assert_hex(digest, (size_t)n, known[i].digest);
		assert_int_equal(mf_hash_verify(code, digest, (size_t)n, known[i].text, len), 0);
		digest[0] ^= 1;
		assert_int_equal(
			mf_hash_verify(code, digest, (size_t)n, known[i].text, len), -EBADMSG);
	}
}

static void long_texts_through_keccak(void **state)
{
	uint8_t digest[MF_DIGEST_MAX], text[300];

	/* SHA-3 differs from Keccak in one padding byte only, so equal rates make equal blocks:
	 * lengths around the rate must not crash and must all differ. */
	memset(text, 'x', sizeof(text));
	uint8_t last[32] = { 0 };
	for (size_t len = 130; len < 140; len++) {
		assert_int_equal(mf_hash_digest(MF_HASH_KECCAK_256, text, len, 0, digest), 32);
		assert_memory_not_equal(digest, last, sizeof(last));
		memcpy(last, digest, sizeof(last));
	}
	/* Ethereum: keccak256 of an ABI signature. */
	mf_hash_digest(MF_HASH_KECCAK_256, "transfer(address,uint256)", 25, 4, digest);
	assert_hex(digest, 4, "a9059cbb");
}

/* The published vectors: bytes 0 to 250 over and over, at lengths that make one block, one chunk,
 * full and lopsided trees. */
static void blake3_trees(void **state)
{
	static const struct {
		size_t len;
		const char *digest;
	} vectors[] = {
		{ 0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262" },
		{ 1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7" },
		{ 1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444" },
		{ 2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a" },
		{ 102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085" },
	};
	static uint8_t text[102400];
	uint8_t digest[MF_DIGEST_MAX];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i % 251);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		assert_int_equal(
			mf_hash_digest(MF_HASH_BLAKE3, text, vectors[i].len, 0, digest), 32);
		assert_hex(digest, 32, vectors[i].digest);
		/* Longer output begins as the shorter one does. */
		assert_int_equal(
			mf_hash_digest(MF_HASH_BLAKE3, text, vectors[i].len, 100, digest), 100);
		assert_hex(digest, 32, vectors[i].digest);
	}
}

static void public_vectors(void **state)
{
	FILE *file = fixture_open("multihash/test_cases.csv");
	char line[1024], name[32], input[256], expected[512];
	int bits, checked = 0;

	assert_non_null(fgets(line, sizeof(line), file));
	while (fgets(line, sizeof(line), file)) {
		uint8_t digest[MF_DIGEST_MAX], out[MF_MULTIHASH_BYTES_MAX];
		uint32_t code;
		assert_int_equal(sscanf(line, "%31[^,],%d,%255[^,],%511[0-9a-f]", name, &bits,
					 input, expected),
			4);
		assert_int_equal(mf_hash_find(strcmp(name, "sha3") ? name : "sha3-512", &code), 0);
		/* The input is the text itself, hex though it looks. */
		size_t len = strlen(input), want = (size_t)bits / 8;
		assert_int_equal(mf_hash_digest(code, input, len, want, digest), want);
		ssize_t n = mf_multihash_encode(code, digest, want, out, sizeof(out));
		assert_true(n > 0);
		assert_hex(out, (size_t)n, expected);
		struct mf_multihash hash;
		assert_int_equal(mf_multihash_decode(&hash, out, (size_t)n), n);
		assert_int_equal(
			mf_hash_verify(hash.code, hash.digest, hash.digest_len, input, len), 0);
		checked++;
	}
	fclose(file);
	assert_int_equal(checked, 260);
}

static void names_and_codes_are_the_tables(void **state)
{
	FILE *file = fixture_open("multicodec/table.csv");
	char line[1024], name[128], tag[64], known_name[MF_HASH_NAME_MAX];
	unsigned code;
	int checked = 0;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%127[^,], %63[^,], %x", name, tag, &code) != 3)
			continue;
		if (strcmp(tag, "multihash") != 0 || mf_hash_name(code, known_name) < 0)
			continue;
		assert_string_equal(known_name, name);
		checked++;
	}
	fclose(file);
	assert_true(checked >= 20 + 64);
}

static void the_wire_form_is_bounded(void **state)
{
	static const char *const bad[] = {
		"", "12", "1220", "1220aabb", /* cut short */
		"8012", "928000", "92800000", /* code not minimal */
		"12a000",                     /* length not minimal */
		"1281010000",                 /* 129 bytes of digest */
		"12ffffffffffffff7f00",       /* far more */
		"ffffffffffffff7f00",         /* code over 32 bits */
	};
	uint8_t bytes[64], out[8];
	struct mf_multihash hash;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		size_t len = unhex(bad[i], bytes, sizeof(bytes));
		assert_int_equal(mf_multihash_decode(&hash, bytes, len), -EINVAL);
	}
	assert_int_equal(mf_multihash_encode(0x12, bytes, 6, out, sizeof(out)), 8);
	assert_int_equal(mf_multihash_encode(0x12, bytes, 7, out, sizeof(out)), -ENOSPC);
	assert_int_equal(mf_multihash_encode(0x12, bytes, 129, out, sizeof(out)), -EINVAL);
}

static void what_may_name_a_block(void **state)
{
	assert_true(mf_hash_allowed(MF_HASH_SHA2_256, 32));
	assert_true(mf_hash_allowed(MF_HASH_SHA2_256, 20));
	assert_false(mf_hash_allowed(MF_HASH_SHA2_256, 19));
	assert_false(mf_hash_allowed(MF_HASH_SHA2_256, 0));
	assert_true(mf_hash_allowed(MF_HASH_BLAKE3, 128));
	assert_false(mf_hash_allowed(MF_HASH_BLAKE3, 129));
	assert_true(mf_hash_allowed(MF_HASH_IDENTITY, 0));
	assert_true(mf_hash_allowed(MF_HASH_IDENTITY, 128));
	assert_false(mf_hash_allowed(MF_HASH_IDENTITY, 129));
	assert_true(mf_hash_allowed(MF_HASH_SHA1, 20));
	assert_false(mf_hash_allowed(MF_HASH_MD5, 16));
	assert_false(mf_hash_allowed(MF_HASH_MD5, 32));
	assert_false(mf_hash_allowed(0x22, 32)); /* murmur3 */
	assert_true(mf_hash_allowed(MF_HASH_BLAKE2B_256, 32));
	assert_true(mf_hash_allowed(MF_HASH_BLAKE2B_8 + 19, 20));
	assert_false(mf_hash_allowed(MF_HASH_BLAKE2B_8 + 18, 20));
	assert_true(mf_hash_allowed(MF_HASH_BLAKE2S_256, 32));
	assert_false(mf_hash_allowed(MF_HASH_BLAKE2S_8, 20));
	assert_false(mf_hash_allowed(MF_HASH_BLAKE2S_256 + 1, 32));
}

static void lengths_that_cannot_be(void **state)
{
	uint8_t digest[MF_DIGEST_MAX], data[MF_DIGEST_MAX + 1] = { 0 };

	assert_int_equal(mf_hash_digest(MF_HASH_SHA2_256, "", 0, 33, digest), -EMSGSIZE);
	assert_int_equal(mf_hash_digest(MF_HASH_BLAKE2B_256, "", 0, 33, digest), -EMSGSIZE);
	assert_int_equal(mf_hash_digest(MF_HASH_SHAKE_256, "", 0, 128, digest), 128);
	assert_int_equal(mf_hash_digest(MF_HASH_SHAKE_256, "", 0, 129, digest), -EMSGSIZE);
	assert_int_equal(mf_hash_digest(0x22, "", 0, 0, digest), -ENOTSUP);
	assert_int_equal(mf_hash_digest(MF_HASH_IDENTITY, data, 128, 0, digest), 128);
	assert_int_equal(mf_hash_digest(MF_HASH_IDENTITY, data, 129, 0, digest), -EMSGSIZE);
	assert_int_equal(mf_hash_digest(MF_HASH_BLAKE2B_8, "", 0, 0, digest), 1);
	/* A digest of no bytes would match everything. */
	assert_int_equal(mf_hash_verify(MF_HASH_SHA2_256, digest, 0, "", 0), -EBADMSG);
	assert_int_equal(mf_hash_verify(MF_HASH_SHA2_256, digest, 64, "", 0), -EBADMSG);
	assert_int_equal(mf_hash_verify(MF_HASH_IDENTITY, digest, 0, NULL, 0), 0);
	assert_int_equal(mf_hash_verify(MF_HASH_IDENTITY, digest, 0, "a", 1), -EBADMSG);
	assert_int_equal(mf_hash_verify(0x22, digest, 32, "", 0), -ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_digests),
		cmocka_unit_test(long_texts_through_keccak),
		cmocka_unit_test(blake3_trees),
		cmocka_unit_test(public_vectors),
		cmocka_unit_test(names_and_codes_are_the_tables),
		cmocka_unit_test(the_wire_form_is_bounded),
		cmocka_unit_test(what_may_name_a_block),
		cmocka_unit_test(lengths_that_cannot_be),
	};
	return fixtures_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
