#include <errno.h>

#include <multiformats/pb.h>

#include "fixture.h"

static void reads_every_wire_type(void **state)
{
	uint8_t bytes[64];
	size_t len = unhex("08ac02"             /* 1: varint 300 */
			   "1203616263"         /* 2: "abc" */
			   "1d04030201"         /* 3: fixed32 0x01020304 */
			   "210807060504030201" /* 4: fixed64 */
			   "2a00",              /* 5: empty */
		bytes, sizeof(bytes));
	struct mf_pb_reader in = mf_pb_read(bytes, len);
	struct mf_pb_field f;

	assert_int_equal(mf_pb_next(&in, &f), 1);
	assert_int_equal(f.key, MF_PB_KEY(1, MF_PB_VARINT));
	assert_int_equal(f.value, 300);
	assert_int_equal(mf_pb_next(&in, &f), 1);
	assert_int_equal(f.key, MF_PB_KEY(2, MF_PB_BYTES));
	assert_int_equal(f.bytes.len, 3);
	assert_memory_equal(f.bytes.data, "abc", 3);
	assert_int_equal(mf_pb_next(&in, &f), 1);
	assert_int_equal(f.key, MF_PB_KEY(3, MF_PB_FIXED32));
	assert_int_equal(f.value, 0x01020304);
	assert_int_equal(mf_pb_next(&in, &f), 1);
	assert_int_equal(f.number, 4);
	assert_int_equal(f.wire, MF_PB_FIXED64);
	assert_true(f.value == 0x0102030405060708);
	assert_int_equal(mf_pb_next(&in, &f), 1);
	assert_int_equal(f.bytes.len, 0);
	assert_non_null(f.bytes.data);
	assert_int_equal(mf_pb_next(&in, &f), 0);
	assert_int_equal(mf_pb_next(&in, &f), 0);
}

static void takes_padded_and_ten_byte_varints(void **state)
{
	struct mf_pb_field f;
	struct mf_pb_reader in = mf_pb_read("\x08\x81\x00", 3);

	assert_int_equal(mf_pb_next(&in, &f), 1);
	assert_int_equal(f.value, 1);
	in = mf_pb_read("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
	assert_int_equal(mf_pb_next(&in, &f), 1);
	assert_true(f.value == UINT64_MAX);
}

static void refuses_malformed_messages(void **state)
{
	static const char *const bad[] = {
		"08",                       /* no value */
		"0880",                     /* varint cut short */
		"08ffffffffffffffffff02",   /* over 64 bits */
		"08ffffffffffffffffffff01", /* over ten bytes */
		"0000",                     /* field 0 */
		"0b0c",                     /* a group */
		"0c",                       /* its end */
		"0e00",                     /* wire type 6 */
		"0f00",                     /* wire type 7 */
		"0a05616263",               /* longer than the rest */
		"0affffffffffffffffff01",   /* far longer */
		"0d010203",                 /* fixed32 cut short */
		"0901020304050607",         /* fixed64 cut short */
		"808080801000",             /* field number over 29 bits */
		"8080808080808080808000",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		uint8_t bytes[32];
		struct mf_pb_field f;
		size_t len = unhex(bad[i], bytes, sizeof(bytes));
		struct mf_pb_reader in = mf_pb_read(bytes, len);
		assert_int_equal(mf_pb_next(&in, &f), -EINVAL);
		assert_ptr_equal(in.at, bytes);
	}
}

static void an_empty_message_may_be_null(void **state)
{
	struct mf_pb_field f;
	struct mf_pb_reader in = mf_pb_read(NULL, 0);

	assert_int_equal(mf_pb_next(&in, &f), 0);
}

static void writes_what_it_reads(void **state)
{
	uint8_t out[64];
	struct mf_pb_writer w = mf_pb_write_fixed(out, sizeof(out));

	mf_pb_put_varint(&w, 1, 300);
	mf_pb_put_text(&w, 2, "abc");
	mf_pb_put_fixed32(&w, 3, 0x01020304);
	mf_pb_put_fixed64(&w, 4, 0x0102030405060708);
	mf_pb_put_bytes(&w, 5, NULL, 0);
	assert_int_equal(mf_pb_finish(&w), 24);
	assert_hex(out, 24, "08ac0212036162631d040302012108070605040302012a00");
	assert_int_equal(mf_pb_size_varint(1, 300), 3);
	assert_int_equal(mf_pb_size_bytes(2, 3), 5);
}

static void a_full_buffer_is_an_error_that_sticks(void **state)
{
	uint8_t out[4];
	struct mf_pb_writer w = mf_pb_write_fixed(out, sizeof(out));

	mf_pb_put_text(&w, 1, "abc");
	mf_pb_put_varint(&w, 2, 0);
	assert_int_equal(mf_pb_finish(&w), -ENOSPC);
}

static void nested_messages_get_their_length(void **state)
{
	struct mf_pb_writer w = mf_pb_write_growing(0);
	struct mf_pb_field f;

	size_t outer = mf_pb_open(&w, 1);
	size_t inner = mf_pb_open(&w, 2);
	for (int i = 0; i < 5000; i++)
		mf_pb_put_text(&w, 3, "twelve bytes");
	mf_pb_close(&w, inner);
	mf_pb_put_varint(&w, 4, 7);
	mf_pb_close(&w, outer);
	size_t empty = mf_pb_open(&w, 5);
	mf_pb_close(&w, empty);
	assert_int_equal(mf_pb_finish(&w), 1 + 3 + 1 + 3 + 5000 * 14 + 2 + 2);

	struct mf_pb_reader in = mf_pb_read(w.data, w.len);
	assert_int_equal(mf_pb_next(&in, &f), 1);
	assert_int_equal(f.number, 1);
	struct mf_pb_reader nested = mf_pb_read(f.bytes.data, f.bytes.len);
	assert_int_equal(mf_pb_next(&nested, &f), 1);
	assert_int_equal(f.bytes.len, 5000 * 14);
	assert_memory_equal(f.bytes.data + 2, "twelve bytes", 12);
	assert_int_equal(mf_pb_next(&nested, &f), 1);
	assert_int_equal(f.value, 7);
	assert_int_equal(mf_pb_next(&nested, &f), 0);
	assert_int_equal(mf_pb_next(&in, &f), 1);
	assert_int_equal(f.key, MF_PB_KEY(5, MF_PB_BYTES));
	assert_int_equal(mf_pb_next(&in, &f), 0);
	free(w.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_wire_type),
		cmocka_unit_test(takes_padded_and_ten_byte_varints),
		cmocka_unit_test(refuses_malformed_messages),
		cmocka_unit_test(an_empty_message_may_be_null),
		cmocka_unit_test(writes_what_it_reads),
		cmocka_unit_test(a_full_buffer_is_an_error_that_sticks),
		cmocka_unit_test(nested_messages_get_their_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
