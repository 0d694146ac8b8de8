#include <errno.h>

#include <multiformats/cid.h>
#include <multiformats/multihash.h>

#include "fixture.h"

static void parse(struct mf_cid *cid, const char *text)
{
	assert_int_equal(mf_cid_parse(cid, text, strlen(text)), 0);
}

static void known_blocks_have_their_cids(void **state)
{
	char text[MF_CID_TEXT_MAX];
	struct mf_cid cid;

	mf_cid_of(&cid, 0, MF_CODEC_DAG_PB, "\x0a\x02\x08\x01", 4); /* an empty directory */
	assert_int_equal(mf_cid_format(&cid, text, sizeof(text)), 46);
	assert_string_equal(text, "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn");
	cid.version = 1;
	assert_int_equal(mf_cid_format(&cid, text, sizeof(text)), 59);
	assert_string_equal(text, "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354");
	mf_cid_of(&cid, 1, MF_CODEC_RAW, "hello world", 11);
	mf_cid_format(&cid, text, sizeof(text));
	assert_string_equal(text, "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
}

static void the_same_cid_in_every_base(void **state)
{
	struct mf_cid cid, back;

	mf_cid_of(&cid, 1, MF_CODEC_RAW, "hello world", 11);
	for (const char *base = "0fFbBcCvVtThkKzZmMuU79"; *base; base++) {
		char text[8 * MF_CID_BYTES_MAX];
		ssize_t n = mf_cid_format_base(&cid, *base, text, sizeof(text));
		assert_true(n > 0);
		assert_int_equal(text[0], *base);
		assert_int_equal(mf_cid_parse(&back, text, (size_t)n), 0);
		assert_true(mf_cid_equal(&cid, &back));
	}
	char text[MF_CID_TEXT_MAX];
	assert_int_equal(mf_cid_format_base(&cid, '?', text, sizeof(text)), -EINVAL);
	assert_int_equal(mf_cid_format_base(&cid, 'b', text, 59), -ENOSPC);
	assert_int_equal(mf_cid_format_base(&cid, 'b', text, 60), 59);
}

static void version_0_is_base58_only(void **state)
{
	char text[MF_CID_TEXT_MAX];
	struct mf_cid cid;

	parse(&cid, "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn");
	assert_int_equal(cid.version, 0);
	assert_int_equal(cid.codec, MF_CODEC_DAG_PB);
	assert_int_equal(cid.hash, MF_HASH_SHA2_256);
	assert_int_equal(mf_cid_format_base(&cid, 'b', text, sizeof(text)), -EINVAL);
	assert_int_equal(mf_cid_format_base(&cid, 'z', text, sizeof(text)), 46);
	/* A multibase prefix in front of version 0 is an error. */
	const char *prefixed = "zQmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";
	assert_int_equal(mf_cid_parse(&cid, prefixed, strlen(prefixed)), -EINVAL);
}

static void identity_cids(void **state)
{
	char text[MF_CID_TEXT_MAX];
	uint8_t bytes[MF_CID_BYTES_MAX];
	struct mf_cid cid;

	parse(&cid, "bafkqaaa");
	assert_int_equal(cid.codec, MF_CODEC_RAW);
	assert_int_equal(cid.hash, MF_HASH_IDENTITY);
	assert_int_equal(cid.digest_len, 0);
	assert_int_equal(mf_cid_encode(&cid, bytes, sizeof(bytes)), 4);
	assert_hex(bytes, 4, "01550000");
	mf_cid_format(&cid, text, sizeof(text));
	assert_string_equal(text, "bafkqaaa");
}

static void binary_form(void **state)
{
	uint8_t bytes[MF_CID_BYTES_MAX], out[MF_CID_BYTES_MAX];
	struct mf_cid cid;
	size_t len =
		unhex("01551220b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
		      "ffff",
			bytes, sizeof(bytes));

	assert_int_equal(mf_cid_decode(&cid, bytes, len), 36);
	assert_int_equal(cid.version, 1);
	assert_int_equal(mf_cid_encode(&cid, out, sizeof(out)), 36);
	assert_memory_equal(out, bytes, 36);
	assert_int_equal(mf_cid_encode(&cid, out, 35), -ENOSPC);
	assert_int_equal(mf_cid_encode(&cid, out, 1), -ENOSPC);
	for (size_t cut = 0; cut < 36; cut++)
		assert_int_equal(mf_cid_decode(&cid, bytes, cut), -EINVAL);
	/* A bare sha2-256 multihash is version 0. */
	assert_int_equal(mf_cid_decode(&cid, bytes + 2, 34), 34);
	assert_int_equal(cid.version, 0);
	assert_int_equal(mf_cid_encode(&cid, out, sizeof(out)), 34);
	assert_memory_equal(out, bytes + 2, 34);
}

static void the_longest_cid(void **state)
{
	uint8_t bytes[MF_CID_BYTES_MAX + 8] = { 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff,
		0xff, 0x0f, 0x80, 0x01 };
	char text[MF_CID_TEXT_MAX];
	struct mf_cid cid, back;

	memset(bytes + 13, 0xff, 128);
	assert_int_equal(mf_cid_decode(&cid, bytes, sizeof(bytes)), 13 + 128);
	for (const char *base = "fbzku"; *base; base++) {
		ssize_t n = mf_cid_format_base(&cid, *base, text, sizeof(text));
		assert_true(n > 0);
		assert_int_equal(mf_cid_parse(&back, text, (size_t)n), 0);
		assert_true(mf_cid_equal(&cid, &back));
	}
	bytes[11] = 0x81; /* 129 bytes of digest */
	assert_int_equal(mf_cid_decode(&cid, bytes, sizeof(bytes)), -EINVAL);
}

static void refuses_malformed_bytes(void **state)
{
	static const char *const bad[] = {
		"00551220",             /* version 0 spelled out */
		"02550000",             /* versions 2 and 3 */
		"03550000", "81005500", /* version not minimal */
		"01d5000000",           /* codec not minimal */
		"01808080801000",       /* codec over 32 bits */
		"0155",                 /* no hash */
		"01551280",
		"1114e861e452cfd84dca9a176258c3d06e020a0c93d8", /* bare, and not sha2-256 */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint8_t bytes[64];
		struct mf_cid cid;
		size_t len = unhex(bad[i], bytes, sizeof(bytes));
		assert_int_equal(mf_cid_decode(&cid, bytes, len), -EINVAL);
	}
}

static void refuses_malformed_text(void **state)
{
	static const char *const bad[] = {
		"",
		"b",
		"Q",
		"Qm",
		"hello",
		"/ipfs/bafkqaaa",
		"bafkqaaaa",
		"bafkqaa",
		"bafkqaaa ",
		"QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3N0",  /* 0 is no digit */
		"QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nnn", /* too long */
		"QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3N",
		"bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5",
	};
	struct mf_cid cid;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(mf_cid_parse(&cid, bad[i], strlen(bad[i])), -EINVAL);

	static char giant[1 << 20];
	memset(giant, 'b', sizeof(giant));
	assert_int_equal(mf_cid_parse(&cid, giant, sizeof(giant)), -EINVAL);
	memset(giant, 'z', sizeof(giant));
	assert_int_equal(mf_cid_parse(&cid, giant, sizeof(giant)), -EINVAL);
	/* The identity base is not text. */
	assert_int_equal(mf_cid_parse(&cid, "\0\x01\x55\0\0", 5), -EINVAL);
}

static void equality_looks_at_everything(void **state)
{
	struct mf_cid a, b;

	mf_cid_of(&a, 1, MF_CODEC_RAW, "a", 1);
	b = a;
	assert_true(mf_cid_equal(&a, &b));
	b.codec = MF_CODEC_DAG_PB;
	assert_false(mf_cid_equal(&a, &b));
	mf_cid_of(&b, 1, MF_CODEC_RAW, "b", 1);
	assert_false(mf_cid_equal(&a, &b));
	b = a;
	b.digest_len = 20;
	assert_false(mf_cid_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_blocks_have_their_cids),
		cmocka_unit_test(the_same_cid_in_every_base),
		cmocka_unit_test(version_0_is_base58_only),
		cmocka_unit_test(identity_cids),
		cmocka_unit_test(binary_form),
		cmocka_unit_test(the_longest_cid),
		cmocka_unit_test(refuses_malformed_bytes),
		cmocka_unit_test(refuses_malformed_text),
		cmocka_unit_test(equality_looks_at_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
