/* Blocks pass the gate many at once, one at a time, small and large: each by itself. */
#include "support.h"

#include <multiformats/multihash.h>
#include <store/gate.h>

enum { MANY = 53 };

struct lot {
	uint8_t bytes[MANY][64];
	struct store_block blocks[MANY];
	int results[MANY];
};

/* Block i has i bytes. */
static void make_lot(struct lot *lot)
{
	for (size_t i = 0; i < MANY; i++) {
		memset(lot->bytes[i], (int)i, sizeof(lot->bytes[i]));
		lot->blocks[i] = (struct store_block){ .data = i ? lot->bytes[i] : NULL, .len = i };
		mf_cid_of(&lot->blocks[i].cid, 1, MF_CODEC_RAW, lot->bytes[i], i);
	}
}

static int each_is_judged_by_itself(void *arg)
{
	static struct lot lot;

	make_lot(&lot);
	CHECK_RC(0, store_gate_check(lot.blocks, MANY, lot.results));
	for (size_t i = 0; i < MANY; i++)
		CHECK_RC(0, lot.results[i]);
	lot.blocks[7].cid.digest[0] ^= 1;
	lot.blocks[9].cid.digest_len = 20; /* cut short, and still right */
	lot.blocks[10].cid.digest_len = 19;
	lot.blocks[11].len--;
	lot.blocks[52].cid.hash = 0x7777;
	CHECK_RC(0, store_gate_check(lot.blocks, MANY, lot.results));
	for (size_t i = 0; i < MANY; i++)
		CHECK_RC(i == 7 || i == 11           ? -EBADMSG
				: i == 10 || i == 52 ? -EPROTONOSUPPORT
						     : 0,
			lot.results[i]);
	return store_gate_check(lot.blocks, 0, lot.results);
}

static int names_are_what_a_check_wants(void *arg)
{
	static struct lot lot;

	make_lot(&lot);
	for (size_t i = 0; i < MANY; i++) {
		memset(lot.blocks[i].cid.digest, 0xcc, sizeof(lot.blocks[i].cid.digest));
		if (i % 5 == 4) { /* another function, of other lengths */
			lot.blocks[i].cid.hash = MF_HASH_BLAKE2B_256;
			lot.blocks[i].cid.digest_len = 32;
		}
	}
	lot.blocks[3].cid.hash = 0x7777;
	CHECK_RC(0, store_gate_name(lot.blocks, MANY, lot.results));
	for (size_t i = 0; i < MANY; i++) {
		struct mf_cid cid;

		CHECK_RC(i == 3 ? -EPROTONOSUPPORT : 0, lot.results[i]);
		mf_cid_of(&cid, 1, MF_CODEC_RAW, lot.bytes[i], i);
		if (i != 3 && i % 5 != 4)
			CHECK(memcmp(cid.digest, lot.blocks[i].cid.digest, 32) == 0);
	}
	CHECK_RC(0, store_gate_check(lot.blocks, MANY, lot.results));
	for (size_t i = 0; i < MANY; i++)
		CHECK_RC(i == 3 ? -EPROTONOSUPPORT : 0, lot.results[i]);
	return 0;
}

static int large_ones(void *arg)
{
	enum { LARGE = 3 };
	struct store_block blocks[LARGE];
	int results[LARGE], rc = 0;
	uint8_t *data = calloc(1, (2 << 20) + 1);

	CHECK(data);
	for (size_t i = 0; i < LARGE; i++) {
		blocks[i] = (struct store_block){ .data = data, .len = (2 << 20) - LARGE + 2 + i };
		mf_cid_of(&blocks[i].cid, 1, MF_CODEC_RAW, data, blocks[i].len);
	}
	rc = store_gate_check(blocks, LARGE, results);
	for (size_t i = 0; i < LARGE && rc == 0; i++)
		rc = results[i] == (i == LARGE - 1 ? -EMSGSIZE : 0) ? 0 : -EPROTO;
	data[1 << 20] = 1;
	for (size_t i = 0; i < LARGE && rc == 0; i++) {
		rc = store_gate_check(&blocks[i], 1, results);
		if (rc == 0 && results[0] != (i == LARGE - 1 ? -EMSGSIZE : -EBADMSG))
			rc = -EPROTO;
	}
	free(data);
	return rc;
}

static int count_turns(void *arg)
{
	int *turns = arg;

	while (*turns >= 0) {
		++*turns;
		int rc = anyio_checkpoint();
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Hashing a large block takes milliseconds, in which others are to go on. */
static int a_large_block_leaves_the_loop_free(void *arg)
{
	struct store_block block = { .len = 2 << 20 };
	int result, turns = 0;
	uint8_t *data = calloc(1, block.len);

	CHECK(data);
	block.data = data;
	mf_cid_of(&block.cid, 1, MF_CODEC_RAW, data, block.len);
	ANYIO_TASK_GROUP(group);
	int rc = anyio_start_soon(&group, count_turns, &turns, "turns");
	if (rc == 0)
		rc = store_gate_check(&block, 1, &result);
	int seen = turns;
	turns = -1;
	rc = anyio_task_group_exit(&group, rc);
	free(data);
	CHECK_RC(0, rc);
	CHECK_RC(0, result);
	CHECK(seen > 0);
	return 0;
}

#define ON_BACKENDS(name)                                                                          \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		run_body(name);                                                                    \
	}
ON_BACKENDS(each_is_judged_by_itself)
ON_BACKENDS(names_are_what_a_check_wants)
ON_BACKENDS(large_ones)
ON_BACKENDS(a_large_block_leaves_the_loop_free)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_judged_by_itself),
		cmocka_unit_test(test_names_are_what_a_check_wants),
		cmocka_unit_test(test_large_ones),
		cmocka_unit_test(test_a_large_block_leaves_the_loop_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
