/* Waits that nobody is to blame for, in simulated time: node 0 fetches what others have late, or are told
 * late that it wants. */
#include "nodes.h"

#include "bitswap/inner.h"

enum { DEADLINE = 120 };

static int connect_identified(struct nodes *nodes, int from, int to)
{
	CHECK_RC(0, nodes_connect(nodes, from, to));
	CHECK_RC(0, p2p_host_wait_identified(nodes->node[from].host, &nodes->node[to].id));
	return p2p_host_wait_identified(nodes->node[to].host, &nodes->node[from].id);
}

/* ---- a block that comes into being while it is waited for ---- */

enum { MINUTES = 40 };

static int put_after_long(struct nodes *nodes)
{
	struct mf_cid cid;

	CHECK_RC(0, anyio_sleep(MINUTES * 60 * ANYIO_SECOND));
	CHECK_RC(0, test_put(&nodes->node[2], 1, TEST_SIZE, &cid));
	bitswap_have(nodes->node[2].bitswap, &cid);
	return 0;
}

/* Node 2 has said every minute that it does not have it, and is heard when it does. It is not the one that
 * is asked for the block at a guess, and would send it without a word. */
static int had_at_last(struct nodes *nodes)
{
	struct test_fetching fetching = { .n = 1, .rc = 1 };
	struct anyio_cancel_scope limit;
	int rc;

	CHECK_RC(0, connect_identified(nodes, 0, 1));
	CHECK_RC(0, connect_identified(nodes, 0, 2));
	CHECK_RC(0, bitswap_session_open(nodes->node[0].bitswap, &fetching.session));
	anyio_cancel_scope_init(&limit);
	anyio_cancel_scope_set_timeout(&limit, (MINUTES * 60 + DEADLINE) * ANYIO_SECOND);
	anyio_cancel_scope_enter(&limit);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, test_fetch_task, &fetching, "fetch");
	rc = put_after_long(nodes);
	rc = anyio_task_group_exit(&group, rc);
	CHECK_RC(0, anyio_cancel_scope_exit(&limit, rc));
	CHECK_RC(0, fetching.rc);
	bitswap_session_close(fetching.session);
	return 0;
}

static void test_had_at_last(void **state)
{
	nodes_run_simulated(had_at_last, NULL, NULL);
}

/* ---- what we want, behind what we give ---- */

enum { WANTED = 1000, LARGE = 1 << 20, RATE = 96 << 10 };

/* What node 0 knows of another. */
static const struct bitswap_peer *peer_of(const struct nodes *nodes, int other)
{
	const struct bitswap_peer *peer;

	TAILQ_FOREACH (peer, &nodes->node[0].bitswap->peers, link)
		if (mf_peer_id_equal(&peer->id, &nodes->node[other].id))
			break;
	return peer;
}

static int wait_until_wanted(void *arg)
{
	int rc = 0;

	while (rc == 0 && (!peer_of(arg, 2) || peer_of(arg, 2)->served.count == 0))
		rc = anyio_sleep(ANYIO_MILLISECOND);
	return rc;
}

static int wait_until_stuck(void *arg)
{
	int rc = 0;

	while (rc == 0 && !peer_of(arg, 2)->stuck)
		rc = anyio_sleep(ANYIO_MILLISECOND);
	return rc;
}

/* Node 2 wants a large block of node 0, which has it from now on and has not begun to send it. */
static int want_large(struct nodes *nodes, struct bitswap_session **taking)
{
	struct mf_cid cid;
	uint8_t *data = anyio_malloc(LARGE);

	test_block(TEST_TAKEN, LARGE, data, &cid);
	anyio_free(data);
	CHECK_RC(0, bitswap_session_open(nodes->node[2].bitswap, taking));
	bitswap_prefetch(*taking, &cid, 1);
	CHECK_RC(0, WITHIN(DEADLINE, wait_until_wanted, nodes));
	CHECK_RC(0, test_put(&nodes->node[0], TEST_TAKEN, LARGE, &cid));
	bitswap_have(nodes->node[0].bitswap, &cid);
	return 0;
}

/* How long node 0 takes to fetch a block in simulated time. */
static anyio_time timed_fetch(struct nodes *nodes)
{
	struct test_fetching fetching = { .n = WANTED };
	anyio_time begun = anyio_now();

	CHECK_RC(0, bitswap_session_open(nodes->node[0].bitswap, &fetching.session));
	CHECK_RC(0, WITHIN(DEADLINE, test_fetch_task, &fetching));
	bitswap_session_close(fetching.session);
	CHECK_RC(0, fetching.rc);
	return anyio_now() - begun;
}

static int want_while_others_hold_all(struct nodes *nodes)
{
	struct bitswap_session *taking;
	struct mf_cid cid;
	anyio_time took;

	CHECK_RC(0, test_put(&nodes->node[2], WANTED, TEST_SIZE, &cid));
	CHECK_RC(0, want_large(nodes, &taking));
	CHECK_RC(0, anyio_wait_all_tasks_blocked());
	CHECK(peer_of(nodes, 2)->served.count == 1);
	took = timed_fetch(nodes);
	CHECK(took >= 0 && took < ANYIO_SECOND);
	bitswap_session_close(taking);
	return 0;
}

/* All places to serve are taken by hosts that take nothing. Node 2 waits for one, and what is wanted of
 * it does not. */
static int parked(struct nodes *nodes)
{
	struct p2p_host *hosts[TEST_TAKERS] = { NULL };
	int rc;

	ANYIO_TASK_GROUP(group);
	rc = connect_identified(nodes, 2, 0);
	if (rc == 0)
		rc = test_takers(nodes, &group, hosts, test_take_nothing);
	if (rc == 0)
		rc = want_while_others_hold_all(nodes);
	anyio_task_group_cancel(&group, "fetched");
	rc = anyio_task_group_exit(&group, rc);
	for (int i = 0; i < TEST_TAKERS; i++)
		p2p_host_free(hosts[i]);
	return rc;
}

static void test_parked(void **state)
{
	nodes_run_simulated(parked, NULL, NULL);
}

static int trust_until_fetched(struct nodes *nodes)
{
	int rc = 0;

	while (rc == 0 && nodes->node[0].bitswap->wants.count > 0) {
		CHECK(!peer_of(nodes, 2)->doubted && peer_of(nodes, 2)->late == 0);
		rc = anyio_sleep(100 * ANYIO_MILLISECOND);
	}
	return rc;
}

/* A message that is long on its way to node 2, the only one that has what is wanted: it is not doubted for
 * what it was not told. */
static int not_told(struct nodes *nodes, bool same_message)
{
	struct test_fetching fetching = { .n = WANTED };
	struct bitswap_session *taking;
	struct mf_cid cid;
	int rc;

	CHECK_RC(0, test_put(&nodes->node[2], WANTED, TEST_SIZE, &cid));
	CHECK_RC(0, connect_identified(nodes, 2, 0));
	CHECK_RC(0, want_large(nodes, &taking));
	if (!same_message)
		CHECK_RC(0, WITHIN(DEADLINE, wait_until_stuck, nodes));
	CHECK_RC(0, bitswap_session_open(nodes->node[0].bitswap, &fetching.session));
	bitswap_prefetch(fetching.session, &cid, 1);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, test_fetch_task, &fetching, "fetch");
	rc = trust_until_fetched(nodes);
	CHECK_RC(0, anyio_task_group_exit(&group, rc));
	CHECK_RC(0, fetching.rc);
	bitswap_session_close(fetching.session);
	bitswap_session_close(taking);
	return 0;
}

static int behind_message(struct nodes *nodes)
{
	return not_told(nodes, false);
}

static int in_message(struct nodes *nodes)
{
	return not_told(nodes, true);
}

static void test_not_told(void **state)
{
	const struct anyio_sim_options slow = { .bandwidth = RATE };

	nodes_run_simulated(behind_message, NULL, &slow);
	nodes_run_simulated(in_message, NULL, &slow);
}

/* Node 1 has it too and is asked soon; node 2, once it hears, is not asked to send it as well. */
static int asked_instead(struct nodes *nodes)
{
	struct bitswap_statistics statistics;
	struct bitswap_session *taking;
	struct mf_cid cid;
	anyio_time took;

	CHECK_RC(0, test_put(&nodes->node[1], WANTED, TEST_SIZE, &cid));
	CHECK_RC(0, test_put(&nodes->node[2], WANTED, TEST_SIZE, &cid));
	CHECK_RC(0, connect_identified(nodes, 2, 0));
	CHECK_RC(0, connect_identified(nodes, 1, 0));
	CHECK_RC(0, want_large(nodes, &taking));
	CHECK_RC(0, WITHIN(DEADLINE, wait_until_stuck, nodes));
	took = timed_fetch(nodes);
	CHECK(took >= 0 && took < 3 * ANYIO_SECOND);
	CHECK(!peer_of(nodes, 2)->doubted && peer_of(nodes, 2)->stuck);
	CHECK_RC(0, anyio_sleep(DEADLINE * ANYIO_SECOND));
	bitswap_stat(nodes->node[0].bitswap, &statistics);
	CHECK(statistics.blocks_sent == 1 && statistics.blocks_received == 1);
	CHECK(statistics.duplicates_received + statistics.unwanted_received == 0);
	bitswap_session_close(taking);
	return 0;
}

static void test_asked_instead(void **state)
{
	const struct anyio_sim_options slow = { .bandwidth = RATE };

	nodes_run_simulated(asked_instead, NULL, &slow);
}

/* ---- blocks that each take longer than a peer may be silent ---- */

enum { LARGE_SIZE = 900000, LARGE_COUNT = 3, SLOW_RATE = 60000 };

static int fetch_large(void *arg)
{
	struct test_fetching *fetching = arg;

	return test_fetch(fetching->session, fetching->n, LARGE_SIZE);
}

/* The only peer gives all it can, and is asked for each once. */
static int slow_only_peer(struct nodes *nodes)
{
	struct test_fetching fetching[LARGE_COUNT];
	struct bitswap_statistics statistics;
	struct bitswap_session *session;
	struct mf_cid cid;

	CHECK_RC(0, connect_identified(nodes, 1, 0));
	CHECK_RC(0, bitswap_session_open(nodes->node[0].bitswap, &session));
	ANYIO_TASK_GROUP(group);
	for (uint64_t i = 0; i < LARGE_COUNT; i++) {
		CHECK_RC(0, test_put(&nodes->node[1], i, LARGE_SIZE, &cid));
		fetching[i] = (struct test_fetching){ .session = session, .n = i };
		CHECK_RC(0, anyio_start_soon(&group, fetch_large, &fetching[i], "fetch"));
	}
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	bitswap_stat(nodes->node[1].bitswap, &statistics);
	CHECK(statistics.blocks_sent == LARGE_COUNT);
	bitswap_session_close(session);
	return 0;
}

static void test_slow_only_peer(void **state)
{
	const struct anyio_sim_options slow = { .bandwidth = SLOW_RATE };

	nodes_run_simulated(slow_only_peer, NULL, &slow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_had_at_last),
		cmocka_unit_test(test_parked),
		cmocka_unit_test(test_not_told),
		cmocka_unit_test(test_asked_instead),
		cmocka_unit_test(test_slow_only_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
