/* Bitswap between nodes of ours. */
#include "nodes.h"

enum { MANY = 1000 };

struct fetching {
	struct bitswap_session *session;
	uint64_t n;
	size_t len;
};

static int fetch_one(void *arg)
{
	struct fetching *fetching = arg;

	return test_fetch(fetching->session, fetching->n, fetching->len);
}

static int fetch_number(struct bitswap_session *session, uint64_t n, size_t len)
{
	struct fetching fetching = { session, n, len };

	return WITHIN(60, fetch_one, &fetching);
}

static int one_block(struct nodes *nodes)
{
	static const size_t lens[] = { 0, 1, 1024, 1025, 262144, 1 << 20, 2 << 20 };
	struct bitswap_statistics sent, received;
	struct bitswap_session *session;
	struct mf_cid cid;

	CHECK_RC(0, nodes_connect(nodes, 1, 0));
	CHECK_RC(0, bitswap_session_open(nodes->node[1].bitswap, &session));
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		CHECK_RC(0, test_put(&nodes->node[0], i, lens[i], &cid));
		CHECK_RC(0, fetch_number(session, i, lens[i]));
		CHECK(store_has(nodes->node[1].store, &cid) == 1);
	}
	bitswap_stat(nodes->node[0].bitswap, &sent);
	bitswap_stat(nodes->node[1].bitswap, &received);
	/* All but the empty block, which needs no peer. */
	CHECK(sent.blocks_sent == 6 && received.blocks_received == 6);
	CHECK(received.duplicates_received == 0 && received.unwanted_received == 0);
	CHECK(received.wants == 0);
	bitswap_session_close(session);
	return 0;
}

static void test_one_block(void **state)
{
	nodes_run(one_block, NULL);
}

static int a_big_block_goes_to_nobody(struct nodes *nodes)
{
	static const size_t big = TEST_BLOCK_MAX + 8;
	uint8_t *data = malloc(big + 8);
	struct bitswap_statistics sent;
	struct bitswap_session *session;
	store_ticket ticket = 0;
	struct mf_cid cid;

	/* As an adopted archive may bring it. */
	test_block(1, big, data, &cid);
	CHECK_RC(0, store_put(nodes->node[0].store, &cid, data, big, STORE_BIG, &ticket));
	free(data);
	CHECK_RC(0, nodes_connect(nodes, 1, 0));
	CHECK_RC(0, bitswap_session_open(nodes->node[1].bitswap, &session));
	struct fetching fetching = { session, 1, big };
	CHECK_RC(-ETIMEDOUT, anyio_fail_after(ANYIO_SECOND, fetch_one, &fetching));
	CHECK(store_has(nodes->node[1].store, &cid) == 0);
	/* The peer is none the worse for it. */
	CHECK_RC(0, test_put(&nodes->node[0], 2, 3000, &cid));
	CHECK_RC(0, fetch_number(session, 2, 3000));
	bitswap_stat(nodes->node[0].bitswap, &sent);
	CHECK(sent.blocks_sent == 1);
	bitswap_session_close(session);
	return 0;
}

static void test_a_big_block_goes_to_nobody(void **state)
{
	nodes_run_simulated(a_big_block_goes_to_nobody, NULL, NULL);
}

static int many_blocks(struct nodes *nodes)
{
	struct mf_cid *cids = calloc(MANY, sizeof(*cids));
	struct bitswap_statistics received;
	struct bitswap_session *session;

	for (uint64_t i = 0; i < MANY; i++)
		CHECK_RC(0, test_put(&nodes->node[i % 2], i, 3000 + i, &cids[i]));
	CHECK_RC(0, nodes_connect(nodes, 2, 0));
	CHECK_RC(0, nodes_connect(nodes, 1, 2));
	CHECK_RC(0, bitswap_session_open(nodes->node[2].bitswap, &session));
	bitswap_prefetch(session, cids, MANY);
	for (uint64_t i = 0; i < MANY; i++)
		CHECK_RC(0, fetch_number(session, i, 3000 + i));
	bitswap_stat(nodes->node[2].bitswap, &received);
	CHECK(received.blocks_received == MANY);
	CHECK(received.duplicates_received == 0);
	bitswap_session_close(session);
	free(cids);
	return 0;
}

static void test_many_blocks(void **state)
{
	nodes_run(many_blocks, NULL);
}

static void note_given(void *arg, const struct mf_cid *cid)
{
	struct mf_cid *given = arg;

	while (given->digest_len)
		given++;
	*given = *cid;
}

/* Who serves is told each block that it gives, once, as the peer named it. */
static int given_blocks(struct nodes *nodes)
{
	struct mf_cid *given = nodes->options.arg, cids[3];
	struct bitswap_session *session;

	memset(given, 0, 10 * sizeof(*given));
	CHECK_RC(0, nodes_connect(nodes, 1, 0));
	CHECK_RC(0, bitswap_session_open(nodes->node[1].bitswap, &session));
	for (uint64_t i = 0; i < 3; i++) {
		CHECK_RC(0, test_put(&nodes->node[0], i, 1000 + 1000 * i, &cids[i]));
		CHECK_RC(0, fetch_number(session, i, 1000 + 1000 * i));
		CHECK_RC(0, fetch_number(session, i, 1000 + 1000 * i));
		CHECK(mf_cid_equal(&given[i], &cids[i]) && !given[i + 1].digest_len);
	}
	bitswap_session_close(session);
	return 0;
}

static void test_given_blocks(void **state)
{
	struct mf_cid given[10];
	struct bitswap_options options = { .given = note_given, .arg = given };

	nodes_run(given_blocks, &options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_block),
		cmocka_unit_test(test_a_big_block_goes_to_nobody),
		cmocka_unit_test(test_many_blocks),
		cmocka_unit_test(test_given_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
