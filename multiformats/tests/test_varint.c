#include <errno.h>

#include <multiformats/varint.h>

#include "fixture.h"

static const struct {
	uint64_t value;
	const char *hex;
} good[] = {
	{ 0, "00" },
	{ 1, "01" },
	{ 127, "7f" },
	{ 128, "8001" },
	{ 255, "ff01" },
	{ 300, "ac02" },
	{ 16384, "808001" },
	{ 0x7fffffffffffffff, "ffffffffffffffff7f" },
};

static void reads_and_writes_the_specifications_examples(void **state)
{
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		uint8_t bytes[16], out[MF_VARINT_WRITE_MAX];
		size_t len = unhex(good[i].hex, bytes, sizeof(bytes));
		uint64_t value = 42;
		assert_int_equal(mf_varint_decode(bytes, len, &value), len);
		assert_true(value == good[i].value);
		assert_int_equal(mf_varint_encode(value, out), len);
		assert_memory_equal(out, bytes, len);
		assert_int_equal(mf_varint_size(value), len);
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(mf_varint_decode(bytes, cut, &value), -EAGAIN);
	}
}

static void leaves_what_follows(void **state)
{
	uint64_t value;

	assert_int_equal(mf_varint_decode((const uint8_t *)"\x05\xff\xff", 3, &value), 1);
	assert_int_equal(value, 5);
}

static void refuses_long_and_padded_forms(void **state)
{
	static const char *const bad[] = { "8000", "818000", "ff8000", "ffffffffffffffffff",
		"ffffffffffffffffff01", "808080808080808000", "80808080808080808001" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint8_t bytes[16];
		uint64_t value = 42;
		size_t len = unhex(bad[i], bytes, sizeof(bytes));
		assert_int_equal(mf_varint_decode(bytes, len, &value), -EINVAL);
		assert_true(value == 42);
	}
}

static void writes_all_64_bits(void **state)
{
	uint8_t out[MF_VARINT_WRITE_MAX];

	assert_int_equal(mf_varint_encode(UINT64_MAX, out), 10);
	assert_hex(out, 10, "ffffffffffffffffff01");
	assert_int_equal(mf_varint_size(UINT64_MAX), 10);
	assert_int_equal(mf_varint_size(1ull << 63), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_the_specifications_examples),
		cmocka_unit_test(leaves_what_follows),
		cmocka_unit_test(refuses_long_and_padded_forms),
		cmocka_unit_test(writes_all_64_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
