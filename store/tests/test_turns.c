/* Nothing here keeps others from their turn for long: what goes over many things in one go counts
 * them, and steps aside now and then. Counted are the checkpoints, not the time. */
#include "support.h"

#include <multiformats/multihash.h>
#include <sodium.h>
#include "table.h"

enum {
	LINKS = 200000, /* of a block: nearly 2 MiB of them */
	TINY = 20000,   /* blocks of one group */
	ROOTS = 20000,  /* that have heat */
	ENTRIES = 100000,
	SELDOM = 4096, /* things between two checkpoints, at most */
};

static unsigned long checkpoints, hashes;

int __real_anyio_checkpoint(void);
int __wrap_anyio_checkpoint(void);
int __wrap_anyio_checkpoint(void)
{
	checkpoints++;
	return __real_anyio_checkpoint();
}

int __real_crypto_shorthash(
	uint8_t *out, const uint8_t *in, unsigned long long len, const uint8_t *k);
int __wrap_crypto_shorthash(
	uint8_t *out, const uint8_t *in, unsigned long long len, const uint8_t *k);
int __wrap_crypto_shorthash(
	uint8_t *out, const uint8_t *in, unsigned long long len, const uint8_t *k)
{
	hashes++;
	return __real_crypto_shorthash(out, in, len, k);
}

static int a_verification_of_many_links(void *arg)
{
	static const uint8_t link[] = { 0xd8, 0x2a, 0x45, 0, 1, 0x55, 0, 0 };
	struct store *store;
	store_ticket ticket = 0;
	struct mf_cid cid;
	size_t len = 5;
	uint8_t *data = malloc(5 + LINKS * sizeof(link));

	CHECK(data);
	memcpy(data, (const uint8_t[]){ 0x9a, 0, LINKS >> 16, LINKS >> 8 & 0xff, LINKS & 0xff }, 5);
	for (int i = 0; i < LINKS; i++, len += sizeof(link))
		memcpy(data + len, link, sizeof(link));
	mf_cid_of(&cid, 1, MF_CODEC_DAG_CBOR, data, len);
	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, store_put(store, &cid, data, len, 0, &ticket));
	CHECK_RC(0, store_pin_add(store, &cid, STORE_PIN_RECURSIVE, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	free(data);
	checkpoints = 0;
	CHECK_RC(0, test_verify(store));
	CHECK(checkpoints >= LINKS / SELDOM);
	return store_close(store);
}

static int a_verification_of_many_tiny_blocks(void *arg)
{
	struct store_options options = { .create = true };
	struct store *store;
	store_ticket ticket = 0;

	CHECK_RC(0, store_open(test_repo, &options, &store, NULL));
	for (int i = 0; i < TINY; i++)
		CHECK_RC(0, test_put(store, i, 8, &ticket));
	CHECK_RC(0, store_sync(store, ticket));
	checkpoints = 0;
	CHECK_RC(0, test_verify(store));
	CHECK(checkpoints >= TINY / SELDOM);
	return store_close(store);
}

static struct store_heat *heat;

static int open_heat(void *store)
{
	return store_heat_open(store, 3600 * ANYIO_SECOND, &heat);
}

static int taking_up_heat(void *arg)
{
	struct store_heat_stat stat;
	struct anyio_cancel_scope scope;
	struct store *store;
	struct mf_cid cid;

	CHECK_RC(0, test_open(&store, NULL));
	CHECK_RC(0, open_heat(store));
	for (int i = 0; i < ROOTS; i++) {
		mf_cid_of(&cid, 1, MF_CODEC_RAW, &i, sizeof(i));
		store_heat_add(heat, &cid, STORE_HEAT_READ);
	}
	CHECK_RC(0, store_heat_close(heat));
	checkpoints = 0;
	CHECK_RC(0, open_heat(store));
	CHECK(checkpoints >= ROOTS / SELDOM);
	store_heat_stat(heat, &stat);
	CHECK_RC(ROOTS, stat.roots);
	CHECK_RC(0, store_heat_close(heat));
	/* Who does not wait for it leaves nothing behind. */
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "impatient");
	anyio_cancel_scope_run(&scope, open_heat, store);
	CHECK(!heat);
	return store_close(store);
}

/* A table grows by a few entries at a time, however many it holds; and finds them meanwhile. */
static void a_table_grows_little_by_little(void **state)
{
	struct table table;
	unsigned long most = 0;

	assert_true(sodium_init() >= 0);
	table_init(&table, sizeof(uint64_t));
	for (uint64_t i = 0; i < ENTRIES; i++) {
		uint64_t other = i * 7919 % (i + 1);

		hashes = 0;
		assert_int_equal(table_reserve(&table, 1, sizeof(i)), 0);
		*(uint64_t *)table_put(&table, (const uint8_t *)&i, sizeof(i)) = ~i;
		most = hashes > most ? hashes : most;
		const uint64_t *found = table_find(&table, (const uint8_t *)&other, sizeof(other));
		assert_non_null(found);
		assert_true(*found == ~other);
		other = ENTRIES + i;
		assert_null(table_find(&table, (const uint8_t *)&other, sizeof(other)));
		/* Once more: it is no new one. */
		assert_int_equal(table_reserve(&table, 1, sizeof(i)), 0);
		assert_true(*(uint64_t *)table_put(&table, (const uint8_t *)&i, sizeof(i)) == ~i);
	}
	assert_true(most > 1 && most < 16);
	assert_int_equal(table.count, ENTRIES);

	const uint8_t *key;
	size_t at = 0, len, count = 0;
	void *value;
	while (table_walk(&table, &at, &key, &len, &value)) {
		assert_true(*(uint64_t *)value == ~(uint64_t)count);
		count++;
	}
	assert_int_equal(count, ENTRIES);
	/* Much at once, in the midst of it. */
	assert_int_equal(table_reserve(&table, 5 * ENTRIES, sizeof(count)), 0);
	for (uint64_t i = 0; i < 6 * ENTRIES; i++)
		*(uint64_t *)table_put(&table, (const uint8_t *)&i, sizeof(i)) = ~i;
	assert_int_equal(table.count, 6 * ENTRIES);
	for (uint64_t i = 0; i < 6 * ENTRIES; i++)
		assert_true(*(uint64_t *)table_find(&table, (const uint8_t *)&i, sizeof(i)) == ~i);
	table_free(&table);
}

ON_BACKENDS(a_verification_of_many_links)
ON_BACKENDS(a_verification_of_many_tiny_blocks)
ON_BACKENDS(taking_up_heat)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_verification_of_many_links),
		cmocka_unit_test(test_a_verification_of_many_tiny_blocks),
		cmocka_unit_test(test_taking_up_heat),
		cmocka_unit_test(a_table_grows_little_by_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
