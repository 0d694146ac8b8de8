/* Blocks pass the gate many at once, one at a time, small and large: each by itself; and there is no
 * way into the store, and none back from its disk, around it. The network's and the importers' are
 * in tests/hostile. */
#include "support.h"

#include <ipld/block.h>
#include <multiformats/multihash.h>
#include <sched.h>
#include <unistd.h>
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

/* However many come together, none slips through between two shares of the work. */
static int none_is_left_out(void *arg)
{
	static uint8_t data[40 << 10];
	struct store_block blocks[MANY];
	int results[MANY];

	for (size_t i = 0; i < MANY; i++) {
		blocks[i] = (struct store_block){ .data = data, .len = sizeof(data) - i };
		mf_cid_of(&blocks[i].cid, 1, MF_CODEC_RAW, data, blocks[i].len);
		blocks[i].cid.digest[31] ^= 1;
	}
	for (size_t count = 1; count <= MANY; count++) {
		memset(results, 0, sizeof(results));
		CHECK_RC(0, store_gate_check(blocks, count, results));
		for (size_t i = 0; i < count; i++)
			CHECK_RC(-EBADMSG, results[i]);
	}
	return 0;
}

static int nor_on_one_core(void *arg)
{
	cpu_set_t all, one;
	int core = 0;

	CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
	while (!CPU_ISSET(core, &all))
		core++;
	CPU_ZERO(&one);
	CPU_SET(core, &one);
	CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
	int rc = none_is_left_out(NULL);
	CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
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

enum { LIES = 4 };

/* A wrong digest; a hash that may name nothing, two ways; a block too long. */
static const int refusals[LIES] = { -EBADMSG, -EPROTONOSUPPORT, -EPROTONOSUPPORT, -EMSGSIZE };

static void make_lies(struct store_block lies[LIES], uint8_t *big)
{
	for (size_t i = 0; i < LIES; i++) {
		lies[i] = (struct store_block){ .data = "a lie", .len = 5 };
		mf_cid_of(&lies[i].cid, 1, MF_CODEC_RAW, "a lie", 5);
	}
	lies[0].data = "a LIE";
	lies[1].cid.hash = MF_HASH_MD5;
	lies[1].cid.digest_len = 16;
	lies[2].cid.digest_len = 19;
	lies[3].data = big;
	lies[3].len = IPLD_BLOCK_MAX + 1;
	mf_cid_of(&lies[3].cid, 1, MF_CODEC_RAW, big, IPLD_BLOCK_MAX + 1);
}

/* Putting: alone, among others, and by one who says that he has looked (who may only be wrong about
 * the digest: what needs no hashing is looked at all the same). */
static int every_put_refuses(void *arg)
{
	struct store *store;
	struct store_block blocks[3] = {
		{ .data = "one", .len = 3 }, [2] = { .data = "two", .len = 3 }
	};
	struct store_block lies[LIES];
	struct store_stat stat;
	store_ticket ticket = 0;
	uint8_t *big = calloc(1, IPLD_BLOCK_MAX + 1);

	CHECK(big);
	make_lies(lies, big);
	mf_cid_of(&blocks[0].cid, 1, MF_CODEC_RAW, "one", 3);
	mf_cid_of(&blocks[2].cid, 1, MF_CODEC_RAW, "two", 3);
	CHECK_RC(0, test_open(&store, NULL));
	for (size_t i = 0; i < LIES; i++) {
		const struct store_block *lie = &lies[i];

		CHECK_RC(refusals[i], store_put(store, &lie->cid, lie->data, lie->len, 0, &ticket));
		blocks[1] = *lie;
		CHECK_RC(refusals[i], store_put_many(store, blocks, 3, 0, &ticket));
		if (i > 0)
			CHECK_RC(refusals[i],
				store_put_many(store, blocks, 3, STORE_VERIFIED, &ticket));
	}
	CHECK_RC(0, store_stat(store, &stat));
	CHECK(stat.blocks == 0);
	free(big);
	return store_close(store);
}

/* Finds the bytes in the first segment and writes others over them. */
static void overwrite(const char *bytes, size_t at, uint8_t with)
{
	uint8_t data[4096];
	FILE *file = fopen(test_segment(1), "r+b");
	size_t len = fread(data, 1, sizeof(data), file);
	uint8_t *found = memmem(data, len, bytes, strlen(bytes));

	assert_non_null(found);
	fseek(file, found - data - (long)at, SEEK_SET);
	fputc(with, file);
	fclose(file);
}

static int disk_refuses(bool by_index, bool by_hash)
{
	struct store *store;
	struct store_block block;
	struct mf_cid cid;
	store_ticket ticket = 0;
	int result;
	char index[128];

	mf_cid_of(&cid, 1, MF_CODEC_RAW, "soon a lie", 10);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, store_put(store, &cid, "soon a lie", 10, 0, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	CHECK_RC(0, store_close(store));
	if (by_hash) /* now it claims to be named by a hash that is none */
		overwrite("soon a lie", 34, 0x22);
	else
		overwrite("soon a lie", 0, 'S');
	snprintf(index, sizeof(index), "%s/index/data.mdb", test_repo);
	if (!by_index)
		CHECK(unlink(index) == 0);
	CHECK_RC(0, test_open(&store, NULL));
	int rc = store_get_many(store, &cid, 1, &block, &result);
	CHECK(rc == 0 && result < 0);
	CHECK(store_get(store, &cid, &block) < 0);
	if (by_hash) {
		cid.hash = 0x22;
		CHECK(store_get(store, &cid, &block) < 0);
	}
	CHECK(test_verify(store) > 0);
	return store_close(store);
}

static int by_an_old_index(void *arg)
{
	return disk_refuses(true, false);
}

static int by_a_new_index(void *arg)
{
	return disk_refuses(false, false);
}

static int by_a_forbidden_hash(void *arg)
{
	return disk_refuses(false, true);
}

ON_BACKENDS(each_is_judged_by_itself)
ON_BACKENDS(names_are_what_a_check_wants)
ON_BACKENDS(large_ones)
ON_BACKENDS(none_is_left_out)
ON_BACKENDS(nor_on_one_core)
ON_BACKENDS(a_large_block_leaves_the_loop_free)
ON_BACKENDS(every_put_refuses)
ON_BACKENDS(by_an_old_index)
ON_BACKENDS(by_a_new_index)
ON_BACKENDS(by_a_forbidden_hash)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_judged_by_itself),
		cmocka_unit_test(test_names_are_what_a_check_wants),
		cmocka_unit_test(test_large_ones),
		cmocka_unit_test(test_none_is_left_out),
		cmocka_unit_test(test_nor_on_one_core),
		cmocka_unit_test(test_a_large_block_leaves_the_loop_free),
		cmocka_unit_test(test_every_put_refuses),
		cmocka_unit_test(test_by_an_old_index),
		cmocka_unit_test(test_by_a_new_index),
		cmocka_unit_test(test_by_a_forbidden_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
