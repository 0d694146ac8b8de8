/* Several peers: who is asked, and what happens when they don't have it, go, or come late. */
#include "nodes.h"

enum { LARGE = 3 << 19, TASKS = 20 };

static int fetch_number(struct bitswap_session *session, uint64_t n)
{
	struct test_fetching fetching = { session, n, 0 };
	int rc = WITHIN(60, test_fetch_task, &fetching);

	return rc ? rc : fetching.rc;
}

static int fetch_large(void *session)
{
	return test_fetch(session, 4, LARGE);
}

/* The provider gets the block after it was asked. */
static int wanted_early(struct nodes *nodes)
{
	struct test_fetching fetching = { .n = 1 };
	struct mf_cid cid;
	int rc;

	CHECK_RC(0, nodes_connect(nodes, 1, 0));
	CHECK_RC(0, bitswap_session_open(nodes->node[1].bitswap, &fetching.session));
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, test_fetch_task, &fetching, "fetch");
	rc = WITHIN(30, test_wait_for_peer_wants, &nodes->node[0]);
	if (rc == 0)
		rc = test_put(&nodes->node[0], 1, TEST_SIZE, &cid);
	if (rc == 0)
		bitswap_have(nodes->node[0].bitswap, &cid);
	CHECK_RC(0, anyio_task_group_exit(&group, rc));
	CHECK_RC(0, fetching.rc);
	CHECK(test_stat(&nodes->node[0]).peer_wants == 0);
	bitswap_session_close(fetching.session);
	return 0;
}

static void test_wanted_early(void **state)
{
	nodes_run(wanted_early, NULL);
}

/* The peer that has it comes after it was wanted. */
static int late_peer(struct nodes *nodes)
{
	struct test_fetching fetching = { .n = 2 };
	struct mf_cid cid;
	int rc;

	CHECK_RC(0, test_put(&nodes->node[2], 2, TEST_SIZE, &cid));
	CHECK_RC(0, nodes_connect(nodes, 1, 0));
	CHECK_RC(0, bitswap_session_open(nodes->node[1].bitswap, &fetching.session));
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, test_fetch_task, &fetching, "fetch");
	rc = WITHIN(30, test_wait_for_peer_wants, &nodes->node[0]);
	if (rc == 0)
		rc = nodes_connect(nodes, 2, 1);
	CHECK_RC(0, anyio_task_group_exit(&group, rc));
	CHECK_RC(0, fetching.rc);
	CHECK_RC(0, WITHIN(30, test_wait_for_no_peer_wants, &nodes->node[0]));
	bitswap_session_close(fetching.session);
	return 0;
}

static void test_late_peer(void **state)
{
	nodes_run(late_peer, NULL);
}

/* Blocks in two places: each peer says no to half, and nothing comes twice. */
static int fallback(struct nodes *nodes)
{
	struct bitswap_session *session;
	struct mf_cid cid;

	for (uint64_t i = 0; i < 40; i++)
		CHECK_RC(0, test_put(&nodes->node[i % 2], i, TEST_SIZE, &cid));
	CHECK_RC(0, nodes_connect(nodes, 2, 0));
	CHECK_RC(0, nodes_connect(nodes, 2, 1));
	CHECK_RC(0, p2p_host_wait_identified(nodes->node[2].host, &nodes->node[0].id));
	CHECK_RC(0, p2p_host_wait_identified(nodes->node[2].host, &nodes->node[1].id));
	CHECK_RC(0, bitswap_session_open(nodes->node[2].bitswap, &session));
	for (uint64_t i = 0; i < 40; i++)
		CHECK_RC(0, fetch_number(session, i));
	CHECK(test_stat(&nodes->node[2]).duplicates_received == 0);
	CHECK(test_stat(&nodes->node[0]).blocks_sent == 20 &&
		test_stat(&nodes->node[1]).blocks_sent == 20);
	bitswap_session_close(session);
	return 0;
}

static void test_fallback(void **state)
{
	nodes_run(fallback, NULL);
}

static int wait_for_one_peer(void *node)
{
	int rc = 0;

	while (rc == 0 && test_stat(node).peers != 1)
		rc = anyio_sleep(ANYIO_MILLISECOND);
	return rc;
}

/* Both have all; one goes half way. */
static int leaving_peer(struct nodes *nodes)
{
	struct bitswap_session *session;
	struct mf_cid cids[200];

	for (uint64_t i = 0; i < 200; i++) {
		CHECK_RC(0, test_put(&nodes->node[0], i, TEST_SIZE, &cids[i]));
		CHECK_RC(0, test_put(&nodes->node[1], i, TEST_SIZE, &cids[i]));
	}
	CHECK_RC(0, nodes_connect(nodes, 2, 0));
	CHECK_RC(0, nodes_connect(nodes, 2, 1));
	CHECK_RC(0, bitswap_session_open(nodes->node[2].bitswap, &session));
	bitswap_prefetch(session, cids, 200);
	for (uint64_t i = 0; i < 200; i++) {
		if (i == 20)
			p2p_host_disconnect(nodes->node[2].host, &nodes->node[0].id);
		CHECK_RC(0, fetch_number(session, i));
	}
	CHECK(test_stat(&nodes->node[2]).blocks_received == 200);
	CHECK_RC(0, WITHIN(30, wait_for_one_peer, &nodes->node[2]));
	bitswap_session_close(session);
	return 0;
}

static void test_leaving_peer(void **state)
{
	nodes_run(leaving_peer, NULL);
}

/* A fetch given up, and a session closed under fetches, take their wants back from the peer. */
static int given_up(struct nodes *nodes)
{
	struct bitswap_session *session;
	struct test_fetching fetching[TASKS];
	int rc;

	CHECK_RC(0, nodes_connect(nodes, 1, 0));
	CHECK_RC(0, bitswap_session_open(nodes->node[1].bitswap, &session));
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < TASKS; i++) {
		fetching[i] = (struct test_fetching){ session, (uint64_t)i / 2, 0 };
		anyio_start_soon(&group, test_fetch_task, &fetching[i], "fetch");
	}
	rc = WITHIN(30, test_wait_for_peer_wants, &nodes->node[0]);
	anyio_task_group_cancel(&group, "given up");
	CHECK_RC(0, anyio_task_group_exit(&group, rc));
	CHECK(test_stat(&nodes->node[1]).wants == 0);
	CHECK_RC(0, WITHIN(30, test_wait_for_no_peer_wants, &nodes->node[0]));

	ANYIO_TASK_GROUP(again);
	for (int i = 0; i < TASKS; i++) {
		fetching[i] = (struct test_fetching){ session, (uint64_t)i / 2, 0 };
		anyio_start_soon(&again, test_fetch_task, &fetching[i], "fetch");
	}
	rc = WITHIN(30, test_wait_for_peer_wants, &nodes->node[0]);
	bitswap_session_close(session);
	CHECK_RC(0, anyio_task_group_exit(&again, rc));
	for (int i = 0; i < TASKS; i++)
		CHECK_RC(ANYIO_CLOSED, fetching[i].rc);
	CHECK_RC(0, WITHIN(30, test_wait_for_no_peer_wants, &nodes->node[0]));
	return 0;
}

static void test_given_up(void **state)
{
	nodes_run(given_up, NULL);
}

/* Many tasks, two sessions, one block: it comes once, and each gets it. */
static int shared(struct nodes *nodes)
{
	struct bitswap_session *sessions[2];
	struct test_fetching fetching[TASKS];
	struct mf_cid cid;

	CHECK_RC(0, test_put(&nodes->node[0], 3, TEST_SIZE, &cid));
	CHECK_RC(0, nodes_connect(nodes, 1, 0));
	for (int i = 0; i < 2; i++)
		CHECK_RC(0, bitswap_session_open(nodes->node[1].bitswap, &sessions[i]));
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < TASKS; i++) {
		fetching[i] = (struct test_fetching){ sessions[i % 2], 3, 0 };
		anyio_start_soon(&group, test_fetch_task, &fetching[i], "fetch");
	}
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	for (int i = 0; i < TASKS; i++)
		CHECK_RC(0, fetching[i].rc);
	CHECK(test_stat(&nodes->node[1]).blocks_received == 1);
	CHECK(test_stat(&nodes->node[0]).blocks_sent == 1);
	for (int i = 0; i < 2; i++)
		bitswap_session_close(sessions[i]);
	return 0;
}

static void test_shared(void **state)
{
	nodes_run(shared, NULL);
}

/* Two sessions want one block that is larger than both expected: the one nobody waits in cannot keep
 * it, the other gets it whole. */
static int shared_too_large(struct nodes *nodes)
{
	struct bitswap_session *sessions[2];
	struct mf_cid cid;

	CHECK_RC(0, test_put(&nodes->node[0], 4, LARGE, &cid));
	CHECK_RC(0, nodes_connect(nodes, 1, 0));
	for (int i = 0; i < 2; i++)
		CHECK_RC(0, bitswap_session_open(nodes->node[1].bitswap, &sessions[i]));
	bitswap_prefetch(sessions[0], &cid, 1);
	CHECK_RC(0, WITHIN(60, fetch_large, sessions[1]));
	CHECK(test_stat(&nodes->node[1]).blocks_received == 1);
	CHECK_RC(0, WITHIN(60, fetch_large, sessions[0]));
	for (int i = 0; i < 2; i++)
		bitswap_session_close(sessions[i]);
	return 0;
}

static void test_shared_too_large(void **state)
{
	const struct bitswap_options options = { .session_cache = 1 << 20 };

	nodes_run(shared_too_large, &options);
}

/* What was prefetched is at hand; past the cache's bound the store keeps it. */
static int small_cache(struct nodes *nodes)
{
	struct bitswap_session *session;
	struct store_block block;
	struct mf_cid cids[60];

	for (uint64_t i = 0; i < 60; i++)
		CHECK_RC(0, test_put(&nodes->node[0], i, TEST_SIZE, &cids[i]));
	CHECK_RC(0, nodes_connect(nodes, 1, 0));
	CHECK_RC(0, bitswap_session_open(nodes->node[1].bitswap, &session));
	CHECK_RC(-ENOENT, bitswap_take(session, &cids[0], &block));
	bitswap_prefetch(session, cids, 60);
	CHECK_RC(0, fetch_number(session, 59));
	for (uint64_t i = 0; i < 60; i++)
		CHECK_RC(0, fetch_number(session, 59 - i));
	CHECK(test_stat(&nodes->node[1]).duplicates_received == 0);
	CHECK_RC(0, store_sync(nodes->node[1].store, bitswap_session_ticket(session)));
	bitswap_session_close(session);
	return 0;
}

static void test_small_cache(void **state)
{
	nodes_run(small_cache, &(struct bitswap_options){ .session_cache = 100000 });
}

/* A peer that takes nothing but 1.0.0: wants without HAVE, blocks without prefix. */
static int old_protocol(struct nodes *nodes)
{
	struct bitswap_session *sessions[2];
	struct mf_cid cid;

	CHECK_RC(0, p2p_host_unhandle(nodes->node[0].host, "/ipfs/bitswap/1.2.0"));
	CHECK_RC(0, p2p_host_unhandle(nodes->node[0].host, "/ipfs/bitswap/1.1.0"));
	CHECK_RC(0, test_put(&nodes->node[0], 1, TEST_SIZE, &cid));
	CHECK_RC(0, test_put(&nodes->node[1], 2, TEST_SIZE, &cid));
	CHECK_RC(0, nodes_connect(nodes, 1, 0));
	for (int i = 0; i < 2; i++)
		CHECK_RC(0, bitswap_session_open(nodes->node[i].bitswap, &sessions[i]));
	CHECK_RC(0, fetch_number(sessions[1], 1));
	CHECK_RC(0, fetch_number(sessions[0], 2));
	for (int i = 0; i < 2; i++)
		bitswap_session_close(sessions[i]);
	return 0;
}

static void test_old_protocol(void **state)
{
	nodes_run(old_protocol, NULL);
}

/* Blocks that carry themselves, and the empty one, need no peer. */
static int without_peers(struct nodes *nodes)
{
	static const uint8_t text[] = { 0x01, 0x55, 0x00, 0x02, 'h', 'i' };
	struct bitswap_session *session;
	struct store_block block;
	struct mf_cid cid;

	CHECK(mf_cid_decode(&cid, text, sizeof(text)) == sizeof(text));
	CHECK_RC(0, bitswap_session_open(nodes->node[1].bitswap, &session));
	CHECK_RC(0, bitswap_fetch(session, &cid, &block));
	CHECK(block.len == 2 && memcmp(block.data, "hi", 2) == 0);
	store_block_release(&block);
	CHECK_RC(0, test_fetch(session, 1, 0));
	bitswap_session_close(session);
	return 0;
}

static void test_without_peers(void **state)
{
	nodes_run(without_peers, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wanted_early),
		cmocka_unit_test(test_late_peer),
		cmocka_unit_test(test_fallback),
		cmocka_unit_test(test_leaving_peer),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_shared_too_large),
		cmocka_unit_test(test_small_cache),
		cmocka_unit_test(test_old_protocol),
		cmocka_unit_test(test_without_peers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
