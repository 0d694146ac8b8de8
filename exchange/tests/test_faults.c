/*
 * Memory that runs out at every allocation of an exchange in turn: the fetch succeeds, or reports an
 * error, and a later one succeeds. And at every allocation of one want alone: what else goes on in
 * that node goes on.
 */
#include "nodes.h"

enum { SIZE = 20000, FETCHES = 4, SECONDS = 120 };

static uint64_t fault_at;
static bool reached;

static int fetch_some(void *arg)
{
	struct nodes *nodes = arg;
	struct bitswap_session *session;
	int rc = bitswap_session_open(nodes->node[1].bitswap, &session);

	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < FETCHES && rc == 0; i++)
		rc = test_fetch(session, i, SIZE);
	bitswap_session_close(session);
	return rc;
}

static int keep_connected(void *arg)
{
	struct nodes *nodes = arg;
	int rc = 0;

	while (rc != ANYIO_CANCELLED) {
		if (!p2p_host_connected(nodes->node[1].host, &nodes->node[0].id))
			nodes_connect(nodes, 1, 0);
		rc = anyio_sleep(ANYIO_SECOND);
	}
	return rc;
}

static int with_fault(struct nodes *nodes)
{
	struct mf_cid cid;
	int rc;

	for (uint64_t i = 0; i < FETCHES; i++)
		CHECK_RC(0, test_put(&nodes->node[0], i, SIZE, &cid));
	CHECK_RC(0, nodes_connect(nodes, 1, 0));
	CHECK_RC(0, p2p_host_wait_identified(nodes->node[1].host, &nodes->node[0].id));
	CHECK_RC(0, p2p_host_wait_identified(nodes->node[0].host, &nodes->node[1].id));
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, keep_connected, nodes, "keep connected");
	anyio_cancel_shielded_checkpoint();
	anyio_fault_set(ANYIO_FAULT_MEMORY, fault_at, 0);
	WITHIN(SECONDS, fetch_some, nodes);
	reached = anyio_fault_count(ANYIO_FAULT_MEMORY) >= fault_at;
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	rc = WITHIN(SECONDS, fetch_some, nodes);
	anyio_task_group_cancel(&group, "fetched");
	return anyio_task_group_exit(&group, rc);
}

static void test_memory(void **state)
{
	reached = true;
	for (fault_at = 1; reached && fault_at < 2000; fault_at++)
		nodes_run_simulated(with_fault, NULL, NULL);
	print_message("%d allocations\n", (int)fault_at - 1);
}

/* ---- one want ---- */

enum { LARGE = 512 << 10, LARGES = 16, OTHER = 100 };

static int fetch_rest(void *arg)
{
	int rc = 0;

	for (uint64_t i = 1; i < LARGES && rc == 0; i++)
		rc = test_fetch(arg, i, LARGE);
	return rc;
}

static int fetch_other(void *arg)
{
	return test_fetch(arg, OTHER, SIZE);
}

/* Node 0 is sending to node 1, and wants a block meanwhile, for which something is lacking. What it
 * had begun to send would never be asked for again. */
static int with_want(struct nodes *nodes)
{
	struct bitswap_session *giving, *taking;
	struct mf_cid cids[LARGES], other;
	uint8_t bytes[SIZE];

	for (uint64_t i = 0; i < LARGES; i++)
		CHECK_RC(0, test_put(&nodes->node[0], i, LARGE, &cids[i]));
	CHECK_RC(0, nodes_connect(nodes, 1, 0));
	CHECK_RC(0, p2p_host_wait_identified(nodes->node[1].host, &nodes->node[0].id));
	CHECK_RC(0, p2p_host_wait_identified(nodes->node[0].host, &nodes->node[1].id));
	CHECK_RC(0, bitswap_session_open(nodes->node[0].bitswap, &giving));
	CHECK_RC(0, bitswap_session_open(nodes->node[1].bitswap, &taking));
	bitswap_prefetch(taking, cids, LARGES);
	CHECK_RC(0, test_fetch(taking, 0, LARGE));
	test_block(OTHER, SIZE, bytes, &other);
	anyio_fault_set(ANYIO_FAULT_MEMORY, fault_at, 0);
	bitswap_prefetch(giving, &other, 1);
	reached = anyio_fault_count(ANYIO_FAULT_MEMORY) >= fault_at;
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	CHECK_RC(0, WITHIN(SECONDS, fetch_rest, taking));
	CHECK_RC(0, test_put(&nodes->node[1], OTHER, SIZE, &other));
	bitswap_have(nodes->node[1].bitswap, &other);
	CHECK_RC(0, WITHIN(SECONDS, fetch_other, giving));
	bitswap_session_close(giving);
	bitswap_session_close(taking);
	return 0;
}

static void test_one_want(void **state)
{
	const struct bitswap_options options = { .peer_timeout = 10 * SECONDS * ANYIO_SECOND };
	const struct anyio_sim_options sim = { .bandwidth = 4 << 20 };

	reached = true;
	for (fault_at = 1; reached && fault_at < 100; fault_at++)
		nodes_run_simulated(with_want, &options, &sim);
	print_message("%d allocations\n", (int)fault_at - 1);
	assert_true(fault_at > 4); /* the need, the want, an ask, two tasks at least */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_one_want),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
