/* Ending well: who has asked before is sent what he wants, who asks later is not. */
#include "nodes.h"

#include "bitswap/inner.h"

enum { DEADLINE = 600, ALL = TEST_TAKERS * TEST_TAKEN };

static int take_all(struct p2p_stream_in *in, void *arg)
{
	return test_wait_for_end(in->stream);
}

static int drain(void *bitswap)
{
	return bitswap_drain(bitswap);
}

static int run_takers(struct nodes *nodes, p2p_handler taker,
	int (*body)(struct nodes *nodes, struct p2p_host *one))
{
	struct p2p_host *hosts[TEST_TAKERS] = { NULL };
	int rc;

	ANYIO_TASK_GROUP(group);
	rc = test_takers(nodes, &group, hosts, taker);
	if (rc == 0)
		rc = body(nodes, hosts[0]);
	anyio_task_group_cancel(&group, "done");
	rc = anyio_task_group_exit(&group, rc);
	for (int i = 0; i < TEST_TAKERS; i++)
		p2p_host_free(hosts[i]);
	return rc;
}

static int drain_and_ask(struct nodes *nodes, struct p2p_host *one)
{
	struct bitswap_item late = { .priority = 1 };
	struct node *node = &nodes->node[0];

	CHECK(test_stat(node).blocks_sent < ALL);
	CHECK_RC(0, WITHIN(DEADLINE, drain, node->bitswap));
	CHECK(test_stat(node).blocks_sent == ALL);
	CHECK_RC(0, test_put(node, ALL, 1000, &late.cid));
	CHECK_RC(0, test_tell(nodes, one, &late, 1, false));
	CHECK(test_stat(node).peer_wants == 0);
	CHECK_RC(0, WITHIN(DEADLINE, drain, node->bitswap));
	CHECK(test_stat(node).blocks_sent == ALL);
	return 0;
}

static int all_is_sent(struct nodes *nodes)
{
	return run_takers(nodes, take_all, drain_and_ask);
}

static void test_all_is_sent(void **state)
{
	nodes_run_simulated(all_is_sent, NULL, NULL);
}

/* Who takes nothing is not waited for any longer than the caller likes. */
static int drain_in_vain(struct nodes *nodes, struct p2p_host *one)
{
	CHECK_RC(-ETIMEDOUT, WITHIN(3, drain, nodes->node[0].bitswap));
	CHECK(test_stat(&nodes->node[0]).blocks_sent < ALL);
	return 0;
}

static int nothing_is_taken(struct nodes *nodes)
{
	return run_takers(nodes, test_take_nothing, drain_in_vain);
}

static int nobody_asks(struct nodes *nodes)
{
	CHECK_RC(0, nodes_connect(nodes, 0, 1));
	CHECK_RC(0, WITHIN(3, drain, nodes->node[0].bitswap));
	return 0;
}

static void test_bounded(void **state)
{
	nodes_run_simulated(nothing_is_taken, NULL, NULL);
	nodes_run(nobody_asks, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_is_sent),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
