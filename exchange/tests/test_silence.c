/*
 * Peers that let us wait, in simulated time: those that say nothing, those that say they have what
 * they never give, one that gave something once. Node 0 fetches, node 2 is honest.
 */
#include "nodes.h"

#include <multiformats/varint.h>

#include "bitswap/inner.h"

enum { OTHERS = 40, BLOCKS = 32, SIZE = 20000, DEADLINE = 600 };

static const char *const protocol[] = { "/ipfs/bitswap/1.2.0" };

struct others {
	struct p2p_host *hosts[OTHERS];
	int count;
	p2p_handler handler;
	bool drip; /* what they give comes again, for they forget nothing */
	bool gave; /* the first block, if that is what they do */
};

static int read_message(struct anyio_stream *stream, uint8_t *data, size_t size, size_t *len)
{
	uint8_t byte = 0x80;
	int rc = 0;

	*len = 0;
	for (size_t shift = 0; rc == 0 && byte & 0x80; shift += 7) {
		rc = anyio_stream_receive_exactly(stream, &byte, 1);
		*len |= (size_t)(byte & 0x7f) << shift;
	}
	if (rc == 0 && *len > size)
		return -EMSGSIZE;
	return rc < 0 ? rc : anyio_stream_receive_exactly(stream, data, *len);
}

static int send_back(struct p2p_stream_in *in, struct mf_pb_writer *out)
{
	struct anyio_stream *stream;
	int rc = p2p_host_open_stream(in->host, &in->peer, protocol, 1, &stream, NULL);

	if (rc < 0) {
		free(out->data);
		return rc;
	}
	rc = test_send(stream, out);
	if (rc == 0)
		rc = anyio_stream_send_eof(stream);
	anyio_stream_free(stream);
	return rc;
}

/* Says it has whatever is wanted. */
static int lie(struct p2p_stream_in *in, void *arg)
{
	static uint8_t data[1 << 16];
	struct bitswap_item item;
	size_t len;
	int rc;

	while ((rc = read_message(in->stream, data, sizeof(data), &len)) == 0) {
		struct bitswap_reader reader = bitswap_read(data, len);
		struct mf_pb_writer out = mf_pb_write_growing(0);
		bitswap_put_wantlist(&out, NULL, 0, false);
		while (bitswap_next(&reader, &item) > 0)
			if (item.kind == BITSWAP_WANT && !item.cancel)
				bitswap_put_presence(&out, &item.cid, true);
		rc = send_back(in, &out);
		if (rc < 0)
			break;
	}
	return rc == ANYIO_CANCELLED ? rc : 0;
}

/* Gives block 0, whatever is wanted, and nothing after. */
static int give_once(struct p2p_stream_in *in, void *arg)
{
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct others *others = arg;
	uint8_t data[1 << 12], block[SIZE];
	struct mf_cid cid;
	size_t len;
	int rc = read_message(in->stream, data, sizeof(data), &len);

	if (rc == 0 && !others->gave) {
		others->gave = true;
		test_block(0, SIZE, block, &cid);
		bitswap_put_wantlist(&out, NULL, 0, false);
		bitswap_put_block_head(&out, &cid, SIZE);
		mf_pb_put_raw(&out, block, SIZE);
		rc = send_back(in, &out);
	}
	return rc < 0 ? rc : anyio_sleep_forever();
}

static int fetch_blocks(void *session)
{
	int rc = 0;

	for (uint64_t i = 0; i < BLOCKS && rc == 0; i++)
		rc = test_fetch(session, i, SIZE);
	return rc;
}

static int fetch_first(void *session)
{
	return test_fetch(session, 0, SIZE);
}

/* How long it takes in simulated time; negative: an error. */
static anyio_time timed(int (*fetch)(void *session), struct bitswap_session *session)
{
	anyio_time begun = anyio_now();
	int rc = WITHIN(DEADLINE, fetch, session);

	return rc < 0 ? rc : anyio_now() - begun;
}

static int connect_honest(struct nodes *nodes)
{
	CHECK_RC(0, nodes_connect(nodes, 0, 2));
	return p2p_host_wait_identified(nodes->node[0].host, &nodes->node[2].id);
}

static int connect_other(struct nodes *nodes, struct p2p_host *host)
{
	const char *addresses[] = { nodes->node[0].address };

	CHECK_RC(0, p2p_host_connect(host, &nodes->node[0].id, addresses, 1, NULL));
	CHECK_RC(0, p2p_host_wait_identified(host, &nodes->node[0].id));
	return p2p_host_wait_identified(nodes->node[0].host, p2p_host_id(host));
}

/* Whoever comes first is asked first. */
static int connect_all(struct nodes *nodes, struct anyio_task_group *group, struct others *others,
	int count, bool honest_first)
{
	struct mf_cid cid;

	for (uint64_t i = 0; i < BLOCKS; i++)
		CHECK_RC(0, test_put(&nodes->node[2], i, SIZE, &cid));
	if (honest_first)
		CHECK_RC(0, connect_honest(nodes));
	for (int i = 0; i < count; i++) {
		struct p2p_host **host = &others->hosts[others->count++];
		CHECK_RC(0, test_host(group, (uint8_t)i, host));
		CHECK_RC(0, p2p_host_handle(*host, protocol[0], others->handler, others));
		CHECK_RC(0, connect_other(nodes, *host));
	}
	return honest_first ? 0 : connect_honest(nodes);
}

/* With so many others; body fetches. */
static int among(struct nodes *nodes, p2p_handler handler, int count, bool honest_first,
	int (*body)(struct bitswap_session *session))
{
	struct others others = { .handler = handler };
	struct bitswap_statistics statistics;
	struct bitswap_session *session;
	int rc;

	CHECK_RC(0, bitswap_session_open(nodes->node[0].bitswap, &session));
	ANYIO_TASK_GROUP(group);
	rc = connect_all(nodes, &group, &others, count, honest_first);
	if (rc == 0)
		rc = body(session);
	bitswap_session_close(session);
	anyio_task_group_cancel(&group, "fetched");
	rc = anyio_task_group_exit(&group, rc);
	for (int i = 0; i < others.count; i++)
		p2p_host_free(others.hosts[i]);
	bitswap_stat(nodes->node[0].bitswap, &statistics);
	CHECK(rc < 0 || others.drip || statistics.duplicates_received == 0);
	return rc;
}

static int first_then_all(struct bitswap_session *session)
{
	anyio_time first = timed(fetch_first, session);

	CHECK(first >= 0 && first < 2 * ANYIO_SECOND);
	first = timed(fetch_blocks, session);
	CHECK(first >= 0 && first < 2 * ANYIO_SECOND);
	return 0;
}

static int silent(struct nodes *nodes)
{
	return among(nodes, test_take_nothing, OTHERS, false, first_then_all);
}

static void test_silent(void **state)
{
	nodes_run_simulated(silent, NULL, NULL);
}

/* The liars are found out, twice as many in each second, up to some; from then on they come last. */
static int first_liars_then_all(struct bitswap_session *session)
{
	anyio_time first = timed(fetch_first, session);

	CHECK(first >= 0 && first < OTHERS / 3 * ANYIO_SECOND);
	first = timed(fetch_blocks, session);
	CHECK(first >= 0 && first < ANYIO_SECOND);
	return 0;
}

static int liars(struct nodes *nodes)
{
	return among(nodes, lie, OTHERS, false, first_liars_then_all);
}

static void test_liars(void **state)
{
	nodes_run_simulated(liars, NULL, NULL);
}

/* With many wants they are found out all at once. */
static int many_wants(struct bitswap_session *session)
{
	struct mf_cid cids[BLOCKS];
	uint8_t data[SIZE];
	anyio_time all;

	for (uint64_t i = 0; i < BLOCKS; i++)
		test_block(i, SIZE, data, &cids[i]);
	bitswap_prefetch(session, cids, BLOCKS);
	all = timed(fetch_blocks, session);
	CHECK(all >= 0 && all < 5 * ANYIO_SECOND);
	return 0;
}

static int liars_and_many_wants(struct nodes *nodes)
{
	return among(nodes, lie, OTHERS, false, many_wants);
}

static void test_liars_and_many_wants(void **state)
{
	nodes_run_simulated(liars_and_many_wants, NULL, NULL);
}

/* The liars have filled the session's holders by the time the honest one, who was asked first, gives:
 * it takes the place of one of them. */
static int liars_hold_all(struct nodes *nodes)
{
	return among(nodes, lie, OTHERS, true, first_then_all);
}

static void test_liars_hold_all(void **state)
{
	const struct anyio_sim_options slow = { .bandwidth = 1 << 20 };

	nodes_run_simulated(liars_hold_all, NULL, &slow);
}

/* The only holder falls silent: the others are asked. */
static int rest_after_one(struct bitswap_session *session)
{
	anyio_time first = timed(fetch_first, session);

	CHECK(first >= 0 && first < ANYIO_SECOND);
	first = timed(fetch_blocks, session);
	CHECK(first >= 0 && first < 3 * ANYIO_SECOND);
	return 0;
}

static int falls_silent(struct nodes *nodes)
{
	return among(nodes, give_once, 1, false, rest_after_one);
}

static void test_falls_silent(void **state)
{
	nodes_run_simulated(falls_silent, NULL, NULL);
}

/* Gives the first block at once, and then one now and then, those that are needed last first. */
static int drip_blocks(void *arg)
{
	struct p2p_stream_in *in = arg;
	int rc = 0;

	for (uint64_t i = 0; i < BLOCKS && rc == 0; i++) {
		struct mf_pb_writer out = mf_pb_write_growing(0);
		uint8_t block[SIZE];
		struct mf_cid cid;
		test_block(i ? BLOCKS - i : 0, SIZE, block, &cid);
		bitswap_put_wantlist(&out, NULL, 0, false);
		bitswap_put_block_head(&out, &cid, SIZE);
		mf_pb_put_raw(&out, block, SIZE);
		rc = send_back(in, &out);
		if (rc == 0)
			rc = anyio_sleep(5 * ANYIO_SECOND);
	}
	return rc;
}

/* And says it has all. */
static int drip(struct p2p_stream_in *in, void *arg)
{
	struct others *others = arg;
	int rc = 0;

	ANYIO_TASK_GROUP(group);
	if (!others->gave)
		rc = anyio_start_soon(&group, drip_blocks, in, "drip");
	others->gave = others->drip = true;
	if (rc == 0)
		rc = lie(in, arg);
	return anyio_task_group_exit(&group, rc);
}

static int first_then_many(struct bitswap_session *session)
{
	struct mf_cid cids[BLOCKS];
	uint8_t data[SIZE];
	anyio_time took = timed(fetch_first, session);

	CHECK(took >= 0 && took < 3 * ANYIO_SECOND);
	for (uint64_t i = 0; i < BLOCKS; i++)
		test_block(i, SIZE, data, &cids[i]);
	bitswap_prefetch(session, cids + 1, BLOCKS - 1);
	took = timed(fetch_blocks, session);
	CHECK(took >= 0 && took < 40 * ANYIO_SECOND);
	return 0;
}

static int dripping(struct nodes *nodes)
{
	return among(nodes, drip, 1, false, first_then_many);
}

static void test_dripping(void **state)
{
	nodes_run_simulated(dripping, NULL, NULL);
}

/* ---- who comes again ---- */

/* How long a session that knows nobody takes for a block, the liar being first in the list of peers. */
static anyio_time fetch_anew(
	struct nodes *nodes, struct p2p_host *liar, int (*fetch)(void *session))
{
	struct bitswap_session *session;
	anyio_time took;

	CHECK_RC(0, connect_other(nodes, liar));
	CHECK_RC(0, connect_honest(nodes));
	CHECK_RC(0, bitswap_session_open(nodes->node[0].bitswap, &session));
	took = timed(fetch, session);
	bitswap_session_close(session);
	p2p_host_disconnect(nodes->node[0].host, &nodes->node[2].id);
	p2p_host_disconnect(nodes->node[0].host, p2p_host_id(liar));
	return took;
}

static int wait_until_left(void *arg)
{
	struct nodes *nodes = arg;
	struct bitswap_statistics statistics = { .peers = 1 };
	int rc = 0;

	while (rc == 0 && statistics.peers > 0) {
		rc = anyio_sleep(ANYIO_MILLISECOND);
		bitswap_stat(nodes->node[0].bitswap, &statistics);
	}
	return rc;
}

static int fetch_second(void *session)
{
	return test_fetch(session, 1, SIZE);
}

static int twice_anew(struct nodes *nodes, struct p2p_host *liar)
{
	anyio_time took = fetch_anew(nodes, liar, fetch_first);

	CHECK(took >= ANYIO_SECOND);
	CHECK_RC(0, WITHIN(DEADLINE, wait_until_left, nodes));
	took = fetch_anew(nodes, liar, fetch_second);
	CHECK(took >= 0 && took < ANYIO_SECOND);
	return 0;
}

/* A liar that leaves and comes back is doubted still. */
static int comes_again(struct nodes *nodes)
{
	struct others others = { .handler = lie };
	struct p2p_host *liar;
	struct mf_cid cid;
	int rc;

	for (uint64_t i = 0; i < 2; i++)
		CHECK_RC(0, test_put(&nodes->node[2], i, SIZE, &cid));
	ANYIO_TASK_GROUP(group);
	rc = test_host(&group, 0, &liar);
	if (rc == 0)
		rc = p2p_host_handle(liar, protocol[0], lie, &others);
	if (rc == 0)
		rc = twice_anew(nodes, liar);
	anyio_task_group_cancel(&group, "fetched");
	rc = anyio_task_group_exit(&group, rc);
	p2p_host_free(liar);
	return rc;
}

static void test_comes_again(void **state)
{
	nodes_run_simulated(comes_again, NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_liars),
		cmocka_unit_test(test_liars_and_many_wants),
		cmocka_unit_test(test_liars_hold_all),
		cmocka_unit_test(test_falls_silent),
		cmocka_unit_test(test_dripping),
		cmocka_unit_test(test_comes_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
