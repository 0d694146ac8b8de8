#include <errno.h>

#include <multiformats/multibase.h>

#include "fixture.h"

/* The quoted part of a fixture's line with \xNN undone; returns its length. */
static size_t unquote(const char *line, char *out, size_t cap)
{
	const char *at = strchr(line, '"'), *end = strrchr(line, '"');
	size_t n = 0;

	assert_non_null(at);
	for (at++; at < end; n++) {
		unsigned byte;
		assert_true(n < cap);
		if (sscanf(at, "\\x%2x", &byte) == 1) {
			out[n] = (char)byte;
			at += 4;
		} else {
			out[n] = *at++;
		}
	}
	return n;
}

/* Reads every line of a fixture; writes it back too unless its form is not canonical. */
static void check_fixture(const char *name)
{
	FILE *file = fixture_open(name);
	char line[1024], plain[256], text[512], written[1024];
	uint8_t bytes[256];
	int checked = 0;

	assert_non_null(fgets(line, sizeof(line), file));
	size_t plain_len = unquote(line, plain, sizeof(plain));
	int canonical = strncmp(line, "encoding", 8) == 0;
	for (; fgets(line, sizeof(line), file); checked++) {
		uint32_t base, named;
		size_t len = unquote(line, text, sizeof(text));
		ssize_t n = mf_multibase_decode(&base, text, len, bytes, sizeof(bytes));
		assert_int_equal(n, plain_len);
		assert_memory_equal(bytes, plain, plain_len);
		*strchr(line, ',') = '\0';
		assert_int_equal(mf_base_find(line, &named), 0);
		assert_int_equal(named, base);
		assert_string_equal(mf_base_name(base), line);
		if (!canonical)
			continue;
		n = mf_multibase_encode(base, bytes, plain_len, written, sizeof(written));
		assert_int_equal(n, len);
		assert_memory_equal(written, text, len);
	}
	fclose(file);
	assert_true(checked >= 12);
}

static void basic_vectors(void **state)
{
	check_fixture("multibase/basic.csv");
}

static void case_insensitivity_vectors(void **state)
{
	check_fixture("multibase/case_insensitivity.csv");
}

static void leading_zero_vectors(void **state)
{
	check_fixture("multibase/leading_zero.csv");
	check_fixture("multibase/two_leading_zeros.csv");
}

static const uint32_t all[] = { MF_BASE_IDENTITY, MF_BASE2, MF_BASE8, MF_BASE10, MF_BASE16,
	MF_BASE16_UPPER, MF_BASE32, MF_BASE32_UPPER, MF_BASE32_PAD, MF_BASE32_PAD_UPPER,
	MF_BASE32_HEX, MF_BASE32_HEX_UPPER, MF_BASE32_HEX_PAD, MF_BASE32_HEX_PAD_UPPER, MF_BASE32_Z,
	MF_BASE36, MF_BASE36_UPPER, MF_BASE58_BTC, MF_BASE58_FLICKR, MF_BASE64, MF_BASE64_PAD,
	MF_BASE64_URL, MF_BASE64_URL_PAD, MF_BASE256_EMOJI };

static void every_length_comes_back_in_every_base(void **state)
{
	uint8_t data[70], back[70];
	char text[MF_MULTIBASE_TEXT_SIZE(sizeof(data))];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i < 3 ? 0 : i * 151 + 7);
	for (size_t b = 0; b < sizeof(all) / sizeof(*all); b++) {
		for (size_t len = 0; len <= sizeof(data); len++) {
			uint32_t base = 1;
			ssize_t n = mf_multibase_encode(all[b], data, len, text, sizeof(text));
			assert_true(n > 0);
			assert_int_equal(text[n], '\0');
			assert_int_equal(
				mf_multibase_decode(&base, text, (size_t)n, back, len), len);
			assert_int_equal(base, all[b]);
			assert_memory_equal(back, data, len);
			/* Neither direction writes past the room it is given. */
			assert_int_equal(
				mf_multibase_encode(all[b], data, len, text, (size_t)n), -ENOSPC);
			if (len > 0)
				assert_int_equal(
					mf_multibase_decode(NULL, text, (size_t)n, back, len - 1),
					-ENOSPC);
		}
	}
}

static void essentials_without_fixtures(void **state)
{
	char text[64];

	mf_multibase_encode(MF_BASE32, (const uint8_t *)"yes mani !", 10, text, sizeof(text));
	assert_string_equal(text, "bpfsxgidnmfxgsibb");
	mf_multibase_encode(MF_BASE58_BTC, (const uint8_t *)"yes mani !", 10, text, sizeof(text));
	assert_string_equal(text, "z7paNL19xttacUY");
	mf_multibase_encode(
		MF_BASE64_URL_PAD, (const uint8_t *)"yes mani !", 10, text, sizeof(text));
	assert_string_equal(text, "UeWVzIG1hbmkgIQ==");
	mf_base_encode(MF_BASE58_BTC, (const uint8_t *)"\0\0(\x7f\xb4\xcd", 6, text, sizeof(text));
	assert_string_equal(text, "11233QC4");
}

static void refuses_malformed_text(void **state)
{
	static const char *const bad[] = {
		"",                                    /* no prefix */
		"?abc",                                /* no such base */
		"\xff",                                /* no UTF-8 */
		"\xf0\x9f\x9a",                        /* a rocket cut short */
		"bpfsxgidnmfxgsib1",                   /* not in the alphabet */
		"b ",                                  /* nor blanks */
		"ba",                                  /* less than a byte */
		"bab",                                 /* spare bits set */
		"f0",                                  /* half a byte */
		"02",                                  /* no binary digit */
		"z0",                                  /* not in base58 */
		"zI", "zO", "zl", "meWVzIG1hbmkgIQ==", /* padding where there is none */
		"MeWVzIG1hbmkgIQ",                     /* no padding where there must be some */
		"MeWVzIG1hbmkgIQ=", "MeWVzIG1hbmkgIQ===", "M====", "Meh==eh==",
		"m_-__",             /* url digits */
		"hXF1",              /* z-base-32 is lower case only */
		"\xf0\x9f\x9a\x80x", /* not an emoji */
		"p",                 /* proquint is not here */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint8_t out[64];
		assert_int_equal(
			mf_multibase_decode(NULL, bad[i], strlen(bad[i]), out, sizeof(out)),
			-EINVAL);
	}
	assert_null(mf_base_name('?'));
}

static void arithmetic_bases_are_bounded(void **state)
{
	static uint8_t data[MF_RADIX_BYTES_MAX + 1], back[sizeof(data)];
	static char text[8 * sizeof(data)], long_text[MF_RADIX_TEXT_MAX + 2];

	memset(data, 0xff, sizeof(data));
	for (const char *base = "9kz"; *base; base++) {
		ssize_t n = mf_multibase_encode(
			(uint8_t)*base, data, MF_RADIX_BYTES_MAX, text, sizeof(text));
		assert_true(n > MF_RADIX_BYTES_MAX);
		assert_int_equal(mf_multibase_decode(NULL, text, (size_t)n, back, sizeof(back)),
			MF_RADIX_BYTES_MAX);
		assert_memory_equal(back, data, MF_RADIX_BYTES_MAX);
		assert_int_equal(
			mf_multibase_encode((uint8_t)*base, data, sizeof(data), text, sizeof(text)),
			-E2BIG);
		memset(long_text, '9', sizeof(long_text));
		long_text[0] = *base;
		assert_int_equal(
			mf_multibase_decode(NULL, long_text, sizeof(long_text), back, sizeof(back)),
			-E2BIG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(basic_vectors),
		cmocka_unit_test(case_insensitivity_vectors),
		cmocka_unit_test(leading_zero_vectors),
		cmocka_unit_test(essentials_without_fixtures),
		cmocka_unit_test(every_length_comes_back_in_every_base),
		cmocka_unit_test(refuses_malformed_text),
		cmocka_unit_test(arithmetic_bases_are_bounded),
	};
	return fixtures_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
