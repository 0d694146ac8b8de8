/* The codec, against bytes written by hand from the specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <multiformats/multihash.h>

#include "bitswap/message.h"

/* sha2-256 of "hello", as a raw CIDv1. */
#define HELLO_DIGEST                                                                               \
	0x2c, 0xf2, 0x4d, 0xba, 0x5f, 0xb0, 0xa3, 0x0e, 0x26, 0xe8, 0x3b, 0x2a, 0xc5, 0xb9, 0xe2,  \
		0x9e, 0x1b, 0x16, 0x1e, 0x5c, 0x1f, 0xa7, 0x42, 0x5e, 0x73, 0x04, 0x33, 0x62,      \
		0x93, 0x8b, 0x98, 0x24
#define HELLO_CID 0x01, 0x55, 0x12, 0x20, HELLO_DIGEST

static const uint8_t hello_cid[] = { HELLO_CID };

static struct mf_cid hello(void)
{
	struct mf_cid cid;

	assert_int_equal(mf_cid_decode(&cid, hello_cid, sizeof(hello_cid)), sizeof(hello_cid));
	return cid;
}

static void test_want(void **state)
{
	/* wantlist { entries { block, priority 7, wantType Have, sendDontHave } } */
	static const uint8_t bytes[] = { 0x0a, 0x2e, 0x0a, 0x2c, 0x0a, 0x24, HELLO_CID, 0x10, 7,
		0x20, 1, 0x28, 1 };
	struct mf_cid cid = hello();
	struct bitswap_reader in = bitswap_read(bytes, sizeof(bytes));
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct bitswap_item item;

	assert_int_equal(bitswap_next(&in, &item), 1);
	assert_int_equal(item.kind, BITSWAP_WANT);
	assert_true(mf_cid_equal(&item.cid, &cid));
	assert_int_equal(item.priority, 7);
	assert_int_equal(item.want, BITSWAP_WANT_HAVE);
	assert_true(item.send_dont_have);
	assert_false(item.cancel);
	bitswap_put_wantlist(&out, &item, 1, false);
	assert_int_equal(mf_pb_finish(&out), sizeof(bytes));
	assert_memory_equal(out.data, bytes, sizeof(bytes));
	assert_int_equal(bitswap_next(&in, &item), 0);
	assert_false(bitswap_is_full(bytes, sizeof(bytes)));
	free(out.data);
}

static void test_full_and_cancel(void **state)
{
	struct bitswap_item items[2] = { { .cid = hello(), .cancel = true }, { .cid = hello() } };
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct bitswap_reader in;
	struct bitswap_item item;

	bitswap_put_wantlist(&out, items, 2, true);
	assert_true(mf_pb_finish(&out) > 0);
	assert_true(bitswap_is_full(out.data, out.len));
	in = bitswap_read(out.data, out.len);
	assert_int_equal(bitswap_next(&in, &item), 1);
	assert_true(item.cancel);
	assert_int_equal(bitswap_next(&in, &item), 1);
	assert_false(item.cancel);
	assert_int_equal(item.want, BITSWAP_WANT_BLOCK);
	assert_int_equal(bitswap_next(&in, &item), 0);
	free(out.data);
}

/* What a message tells of a block's CID: all but the digest. */
static bool is_prefix_of(const struct mf_cid *prefix, const struct mf_cid *cid)
{
	return prefix->version == cid->version && prefix->codec == cid->codec &&
		prefix->hash == cid->hash && prefix->digest_len == cid->digest_len;
}

static void test_block(void **state)
{
	/* an empty wantlist; payload { prefix v1 raw sha2-256 32, data "hello" } */
	static const uint8_t bytes[] = { 0x0a, 0, 0x1a, 13, 0x0a, 4, 0x01, 0x55, 0x12, 0x20, 0x12,
		5, 'h', 'e', 'l', 'l', 'o' };
	struct mf_cid cid = hello();
	struct bitswap_reader in = bitswap_read(bytes, sizeof(bytes));
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct bitswap_item item;

	assert_int_equal(bitswap_next(&in, &item), 1);
	assert_int_equal(item.kind, BITSWAP_BLOCK);
	assert_int_equal(item.data.len, 5);
	assert_ptr_equal(item.data.data, bytes + 12);
	assert_true(is_prefix_of(&item.cid, &cid));
	bitswap_put_wantlist(&out, NULL, 0, false);
	bitswap_put_block_head(&out, &cid, 5);
	mf_pb_put_raw(&out, "hello", 5);
	assert_int_equal(mf_pb_finish(&out), sizeof(bytes));
	assert_memory_equal(out.data, bytes, sizeof(bytes));
	free(out.data);
}

/* 1.0.0: field 2 is a block whose CID is version 0. */
static void test_bare_block(void **state)
{
	static const uint8_t bytes[] = { 0x12, 5, 'h', 'e', 'l', 'l', 'o' };
	const struct mf_cid cid = {
		.codec = MF_CODEC_DAG_PB, .hash = MF_HASH_SHA2_256, .digest_len = 32
	};
	struct bitswap_reader in = bitswap_read(bytes, sizeof(bytes));
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct bitswap_item item;

	assert_int_equal(bitswap_next(&in, &item), 1);
	assert_int_equal(item.kind, BITSWAP_BLOCK);
	assert_true(is_prefix_of(&item.cid, &cid));
	assert_memory_equal(item.data.data, "hello", 5);
	bitswap_put_bare_head(&out, 5);
	mf_pb_put_raw(&out, "hello", 5);
	assert_memory_equal(out.data, bytes, sizeof(bytes));
	free(out.data);
}

static void test_presences(void **state)
{
	struct mf_cid cid = hello();
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct bitswap_reader in;
	struct bitswap_item item;

	bitswap_put_presence(&out, &cid, true);
	bitswap_put_presence(&out, &cid, false);
	in = bitswap_read(out.data, out.len);
	assert_int_equal(bitswap_next(&in, &item), 1);
	assert_true(item.kind == BITSWAP_PRESENCE && item.have && mf_cid_equal(&item.cid, &cid));
	assert_int_equal(bitswap_next(&in, &item), 1);
	assert_true(item.kind == BITSWAP_PRESENCE && !item.have);
	assert_int_equal(bitswap_next(&in, &item), 0);
	free(out.data);
}

/* Entries that make no sense are skipped, and those after them are read. */
static void test_skipped(void **state)
{
	/* clang-format off */
	static const uint8_t bytes[] = {
		0x1a, 5, 0x12, 3, 'a', 'b', 'c',                                 /* no prefix */
		0x1a, 11, 0x0a, 4, 0x00, 0x55, 0x12, 0x20, 0x12, 3, 'a', 'b', 'c', /* version 0, raw */
		0x1a, 11, 0x0a, 4, 0x02, 0x55, 0x12, 0x20, 0x12, 3, 'a', 'b', 'c', /* version 2 */
		0x1a, 10, 0x0a, 3, 0x01, 0x55, 0x12, 0x12, 3, 'a', 'b', 'c',       /* cut short */
		0x0a, 5, 0x0a, 3, 0x0a, 1, 0x01,                                 /* not a CID */
		0x0a, 2, 0x0a, 0,                                                /* no CID */
		0x22, 2, 0x10, 1,                                                /* no CID */
		0x22, 7, 0x0a, 5, 0x01, 0x55, 0x00, 0x01, 'a',                   /* sound */
	};
	/* clang-format on */
	struct bitswap_reader in = bitswap_read(bytes, sizeof(bytes));
	struct bitswap_item item;

	assert_int_equal(bitswap_next(&in, &item), 1);
	assert_int_equal(item.kind, BITSWAP_PRESENCE);
	assert_int_equal(bitswap_next(&in, &item), 0);
}

/* A digest that is too short, or of a function nobody trusts, names nothing. */
static void test_unsound_prefix(void **state)
{
	static const uint8_t bytes[] = { 0x1a, 13, 0x0a, 4, 0x01, 0x55, 0x12, 4, 0x12, 5, 'h', 'e',
		'l', 'l', 'o', 0x1a, 14, 0x0a, 5, 0x01, 0x55, 0xd5, 0x01, 0x10, 0x12, 5, 'h', 'e',
		'l', 'l', 'o' };
	struct bitswap_reader in = bitswap_read(bytes, sizeof(bytes));
	struct bitswap_item item;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(bitswap_next(&in, &item), 1);
		assert_false(mf_hash_allowed(item.cid.hash, item.cid.digest_len));
	}
	assert_int_equal(bitswap_next(&in, &item), 0);
}

static void test_giant_cid(void **state)
{
	uint8_t cid[BITSWAP_CID_MAX + 40] = { 0x01, 0x55, 0x00, 0xa8, 0x01 };
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct bitswap_reader in;
	struct bitswap_item item;
	size_t list = mf_pb_open(&out, 1), entry = mf_pb_open(&out, 1);

	mf_pb_put_bytes(&out, 1, cid, sizeof(cid));
	mf_pb_close(&out, entry);
	mf_pb_close(&out, list);
	in = bitswap_read(out.data, out.len);
	assert_int_equal(bitswap_next(&in, &item), 0);
	free(out.data);
}

static void test_broken(void **state)
{
	static const uint8_t cut[] = { 0x1a, 40, 0x0a, 4 }, group[] = { 0x0b },
			     zero[] = { 0x00, 0x01 };
	struct bitswap_item item;
	struct bitswap_reader in = bitswap_read(cut, sizeof(cut));

	assert_int_equal(bitswap_next(&in, &item), -EINVAL);
	in = bitswap_read(group, sizeof(group));
	assert_int_equal(bitswap_next(&in, &item), -EINVAL);
	in = bitswap_read(zero, sizeof(zero));
	assert_int_equal(bitswap_next(&in, &item), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_want),
		cmocka_unit_test(test_full_and_cancel),
		cmocka_unit_test(test_block),
		cmocka_unit_test(test_bare_block),
		cmocka_unit_test(test_presences),
		cmocka_unit_test(test_skipped),
		cmocka_unit_test(test_unsound_prefix),
		cmocka_unit_test(test_giant_cid),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
