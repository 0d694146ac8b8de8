/* Wants that end: what is cancelled is neither sent nor kept. */
#include "nodes.h"

#include "bitswap/inner.h"

enum { SIP = TEST_TAKEN_SIZE + 100, DEADLINE = 600 };

/* ---- theirs ---- */

/* A message now and then, so that turns end before batches do. */
static int take_sips(struct p2p_stream_in *in, void *arg)
{
	static uint8_t bytes[SIP];
	ssize_t n = 1;

	while (n > 0) {
		int rc = anyio_sleep(ANYIO_SECOND);
		if (rc < 0)
			return rc;
		for (size_t taken = 0; taken < SIP && n > 0; taken += (size_t)n)
			n = anyio_stream_receive(in->stream, bytes, SIP - taken);
	}
	return (int)n;
}

static int wait_until_none_sends(void *arg)
{
	struct nodes *nodes = arg;
	const struct bitswap_peer *peer;
	bool sends = true;
	int rc = 0;

	while (rc == 0 && sends) {
		sends = false;
		TAILQ_FOREACH (peer, &nodes->node[0].bitswap->peers, link)
			sends |= peer->sending;
		rc = anyio_sleep(ANYIO_MILLISECOND);
	}
	return rc;
}

/* One by one, by their multihashes alone, or by a list that is all and empty. */
static int cancel_all(struct nodes *nodes, struct p2p_host **hosts, bool full)
{
	static struct bitswap_item items[TEST_TAKEN];
	static uint8_t data[TEST_TAKEN_SIZE];

	for (uint64_t i = 0; i < TEST_TAKEN; i++) {
		items[i] = (struct bitswap_item){ .cancel = true };
		test_block(i, TEST_TAKEN_SIZE, data, &items[i].cid);
		items[i].cid.codec = MF_CODEC_DAG_PB;
	}
	for (int i = 0; i < TEST_TAKERS; i++)
		CHECK_RC(0, test_tell(nodes, hosts[i], items, full ? 0 : TEST_TAKEN, full));
	return 0;
}

static int cancel_and_count(struct nodes *nodes, struct p2p_host **hosts, bool full)
{
	uint64_t sent;

	CHECK_RC(0, cancel_all(nodes, hosts, full));
	CHECK(test_stat(&nodes->node[0]).peer_wants == 0);
	sent = test_stat(&nodes->node[0]).blocks_sent;
	CHECK_RC(0, WITHIN(DEADLINE, wait_until_none_sends, nodes));
	CHECK(test_stat(&nodes->node[0]).peer_wants == 0);
	CHECK(test_stat(&nodes->node[0]).blocks_sent <= sent + TEST_TAKERS);
	return 0;
}

/* What is in batches already, or being read for one, is not sent, but for the message on its way. */
static int cancel_batches(struct nodes *nodes, bool full)
{
	struct p2p_host *hosts[TEST_TAKERS] = { NULL };
	int rc;

	ANYIO_TASK_GROUP(group);
	rc = test_takers(nodes, &group, hosts, take_sips);
	if (rc == 0)
		rc = cancel_and_count(nodes, hosts, full);
	anyio_task_group_cancel(&group, "done");
	rc = anyio_task_group_exit(&group, rc);
	for (int i = 0; i < TEST_TAKERS; i++)
		p2p_host_free(hosts[i]);
	return rc;
}

static int cancel_each(struct nodes *nodes)
{
	return cancel_batches(nodes, false);
}

static int replace_list(struct nodes *nodes)
{
	return cancel_batches(nodes, true);
}

static void test_batches(void **state)
{
	nodes_run_simulated(cancel_each, NULL, NULL);
	nodes_run_simulated(replace_list, NULL, NULL);
}

/* ---- ours ---- */

/* The last want ends while the whole wantlist is to be said anew: that nothing is wanted is said too. */
static int last_want(struct nodes *nodes)
{
	struct bitswap_session *session;
	static uint8_t data[1000];
	struct mf_cid cid;

	test_block(1, sizeof(data), data, &cid);
	CHECK_RC(0, nodes_connect(nodes, 0, 1));
	CHECK_RC(0, p2p_host_wait_identified(nodes->node[0].host, &nodes->node[1].id));
	CHECK_RC(0, bitswap_session_open(nodes->node[0].bitswap, &session));
	bitswap_prefetch(session, &cid, 1);
	CHECK_RC(0, WITHIN(30, test_wait_for_peer_wants, &nodes->node[1]));
	TAILQ_FIRST(&nodes->node[0].bitswap->peers)->full = true; /* as when sending has failed */
	bitswap_session_close(session);
	return WITHIN(30, test_wait_for_no_peer_wants, &nodes->node[1]);
}

static void test_last_want(void **state)
{
	nodes_run(last_want, NULL);
	nodes_run_simulated(last_want, NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_last_want),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
