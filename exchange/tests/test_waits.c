/* Waits that nobody is to blame for, in simulated time: node 0 fetches what others have late, or are told
 * late that it wants. */
#include "nodes.h"

enum { SIZE = 20000, DEADLINE = 120 };

struct fetching {
	struct bitswap_session *session;
	uint64_t n;
	int rc;
};

static int fetch_task(void *arg)
{
	struct fetching *fetching = arg;

	fetching->rc = test_fetch(fetching->session, fetching->n, SIZE);
	return 0;
}

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
	CHECK_RC(0, test_put(&nodes->node[2], 1, SIZE, &cid));
	bitswap_have(nodes->node[2].bitswap, &cid);
	return 0;
}

/* Node 2 has said every minute that it does not have it, and is heard when it does. It is not the one that
 * is asked for the block at a guess, and would send it without a word. */
static int had_at_last(struct nodes *nodes)
{
	struct fetching fetching = { .n = 1, .rc = 1 };
	struct anyio_cancel_scope limit;
	int rc;

	CHECK_RC(0, connect_identified(nodes, 0, 1));
	CHECK_RC(0, connect_identified(nodes, 0, 2));
	CHECK_RC(0, bitswap_session_open(nodes->node[0].bitswap, &fetching.session));
	anyio_cancel_scope_init(&limit);
	anyio_cancel_scope_set_timeout(&limit, (MINUTES * 60 + DEADLINE) * ANYIO_SECOND);
	anyio_cancel_scope_enter(&limit);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, fetch_task, &fetching, "fetch");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_had_at_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
