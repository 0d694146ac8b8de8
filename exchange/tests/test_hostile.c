/* What peers send that they should not: node 1 speaks by hand to node 0, and node 2 is honest. */
#include "nodes.h"

#include <multiformats/multihash.h>

#include "bitswap/inner.h"

static const char *const protocol[] = { "/ipfs/bitswap/1.2.0" };

static int open_stream(struct nodes *nodes, struct anyio_stream **stream)
{
	int rc = nodes_connect(nodes, 1, 0);

	if (rc == 0)
		rc = p2p_host_wait_identified(nodes->node[1].host, &nodes->node[0].id);
	return rc < 0 ? rc
		      : p2p_host_open_stream(
				nodes->node[1].host, &nodes->node[0].id, protocol, 1, stream, NULL);
}

static int is_quiet(struct nodes *nodes)
{
	struct bitswap_statistics statistics;

	bitswap_stat(nodes->node[0].bitswap, &statistics);
	return statistics.peer_wants == 0 && statistics.peers <= 1;
}

/* The node still serves. */
static int serves(struct nodes *nodes)
{
	struct bitswap_session *session;
	struct mf_cid cid;

	CHECK_RC(0, test_put(&nodes->node[0], 4711, 5000, &cid));
	CHECK_RC(0, nodes_connect(nodes, 2, 0));
	CHECK_RC(0, bitswap_session_open(nodes->node[2].bitswap, &session));
	CHECK_RC(0, test_fetch(session, 4711, 5000));
	bitswap_session_close(session);
	return 0;
}

static int wait_until_gone(void *arg)
{
	struct nodes *nodes = arg;
	int rc = 0;

	while (rc == 0 && !is_quiet(nodes))
		rc = anyio_sleep(ANYIO_MILLISECOND);
	return rc;
}

/* How many wants a step passes by at most on its way to one. */
static size_t depth_of(const struct bitswap_spot *spot)
{
	size_t left, right;

	if (!spot)
		return 0;
	left = depth_of(spot->left);
	right = depth_of(spot->right);
	return 1 + (left > right ? left : right);
}

/* Node 0 finds its way among the wants of its peer in few steps, however they came. */
static int is_shallow(const struct nodes *nodes)
{
	const struct bitswap_peer *peer;

	TAILQ_FOREACH (peer, &nodes->node[0].bitswap->peers, link)
		for (int i = 0; i < SERVED_STATES; i++)
			CHECK(depth_of(peer->by_state[i].root) < BITSWAP_WANTS_MAX / 16);
	return 0;
}

/* More wants than are kept for one peer: the rest are dropped, and all go with the peer. */
static int too_many_wants(struct nodes *nodes)
{
	struct bitswap_statistics statistics;
	struct anyio_stream *stream;

	CHECK_RC(0, open_stream(nodes, &stream));
	for (int message = 0; message < 5; message++) {
		static struct bitswap_item wants[1000];
		struct mf_pb_writer out = mf_pb_write_growing(0);
		for (uint32_t i = 0; i < 1000; i++) {
			uint32_t number = (uint32_t)message * 1000 + i;
			wants[i] = (struct bitswap_item){ .priority = (int32_t)number };
			mf_cid_of(&wants[i].cid, 1, MF_CODEC_RAW, &number, sizeof(number));
		}
		bitswap_put_wantlist(&out, wants, 1000, false);
		CHECK_RC(0, test_send(stream, &out));
	}
	CHECK_RC(0, anyio_stream_send_eof(stream));
	CHECK_RC(0, WITHIN(30, test_wait_for_end, stream));
	bitswap_stat(nodes->node[0].bitswap, &statistics);
	CHECK(statistics.peer_wants == 1024);
	CHECK_RC(0, is_shallow(nodes));
	anyio_stream_free(stream);
	CHECK_RC(0, serves(nodes));
	CHECK_RC(0, p2p_host_disconnect(nodes->node[1].host, &nodes->node[0].id));
	CHECK_RC(0, WITHIN(30, wait_until_gone, nodes));
	return 0;
}

static void test_too_many_wants(void **state)
{
	nodes_run(too_many_wants, NULL);
}

/* A want whose CID is a MiB long, and one without a CID: neither is kept. */
static int odd_cids(struct nodes *nodes)
{
	static uint8_t giant[1 << 20];
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct anyio_stream *stream;
	struct bitswap_statistics statistics;
	size_t list = mf_pb_open(&out, 1), entry = mf_pb_open(&out, 1);

	mf_pb_put_bytes(&out, 1, giant, sizeof(giant));
	mf_pb_close(&out, entry);
	entry = mf_pb_open(&out, 1);
	mf_pb_put_varint(&out, 2, 1);
	mf_pb_close(&out, entry);
	mf_pb_close(&out, list);
	CHECK_RC(0, open_stream(nodes, &stream));
	CHECK_RC(0, test_send(stream, &out));
	CHECK_RC(0, anyio_stream_send_eof(stream));
	CHECK_RC(0, WITHIN(30, test_wait_for_end, stream));
	bitswap_stat(nodes->node[0].bitswap, &statistics);
	CHECK(statistics.peer_wants == 0);
	anyio_stream_free(stream);
	return serves(nodes);
}

static void test_odd_cids(void **state)
{
	nodes_run(odd_cids, NULL);
}

/* A message without a wantlist, with blocks that nobody asked for while another is wanted; and the
 * one that is, with its bytes changed. */
static int unwanted_blocks(struct nodes *nodes)
{
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct bitswap_statistics statistics;
	struct bitswap_session *session;
	struct anyio_stream *stream;
	struct mf_cid wanted, other;
	uint8_t data[1000];

	CHECK_RC(0, open_stream(nodes, &stream));
	CHECK_RC(0, p2p_host_wait_identified(nodes->node[0].host, &nodes->node[1].id));
	CHECK_RC(0, bitswap_session_open(nodes->node[0].bitswap, &session));
	test_block(1, sizeof(data), data, &wanted);
	bitswap_prefetch(session, &wanted, 1);
	data[500] ^= 1;
	bitswap_put_block_head(&out, &wanted, sizeof(data));
	mf_pb_put_raw(&out, data, sizeof(data));
	mf_cid_of(&other, 1, MF_CODEC_RAW, data, sizeof(data));
	CHECK_RC(0, test_send(stream, &out));
	CHECK_RC(0, anyio_stream_send_eof(stream));
	CHECK_RC(0, WITHIN(30, test_wait_for_end, stream));
	CHECK_RC(0, anyio_wait_all_tasks_blocked());
	bitswap_stat(nodes->node[0].bitswap, &statistics);
	CHECK(statistics.unwanted_received == 1 && statistics.blocks_received == 0);
	CHECK(store_has(nodes->node[0].store, &other) == 0);
	CHECK(store_has(nodes->node[0].store, &wanted) == 0);
	anyio_stream_free(stream);
	bitswap_session_close(session);
	return serves(nodes);
}

static void test_unwanted_blocks(void **state)
{
	nodes_run(unwanted_blocks, NULL);
}

static int bad_stream(struct nodes *nodes, const uint8_t *bytes, size_t len, int expected)
{
	struct anyio_stream *stream;

	CHECK_RC(0, open_stream(nodes, &stream));
	CHECK_RC(0, anyio_stream_send(stream, bytes, len));
	CHECK_RC(expected, WITHIN(30, test_wait_for_end, stream));
	anyio_stream_free(stream);
	return 0;
}

static int bad_messages(struct nodes *nodes)
{
	static const uint8_t too_long[] = { 0x81, 0x80, 0x80, 0x02 },
			     longer[] = { 0xff, 0xff, 0xff, 0xff, 1 };
	static const uint8_t nonsense[] = { 3, 0x0b, 0x0b, 0x0b };

	CHECK_RC(0, bad_stream(nodes, too_long, sizeof(too_long), -ECONNRESET));
	CHECK_RC(0, bad_stream(nodes, longer, sizeof(longer), -ECONNRESET));
	CHECK_RC(0, bad_stream(nodes, nonsense, sizeof(nonsense), -ECONNRESET));
	return serves(nodes);
}

static void test_bad_messages(void **state)
{
	nodes_run(bad_messages, NULL);
}

/* ---- messages that are promised and do not come ---- */

enum { MESSAGES = 20, HOARDED = 100000, LITTLE_MEMORY = 1 << 20 };

struct memory {
	const struct p2p_account *account;
	uint64_t least, most;
};

static int wait_for_memory(void *arg)
{
	const struct memory *memory = arg;
	int rc = 0;

	while (rc == 0 &&
		(memory->account->used.memory < memory->least ||
			memory->account->used.memory > memory->most))
		rc = anyio_sleep(ANYIO_MILLISECOND);
	return rc;
}

/* Node 0 gets a block of node 2. */
static int fetches(struct nodes *nodes)
{
	struct bitswap_session *session;
	struct mf_cid cid;

	CHECK_RC(0, test_put(&nodes->node[2], 4712, 300000, &cid));
	CHECK_RC(0, nodes_connect(nodes, 2, 0));
	CHECK_RC(0, bitswap_session_open(nodes->node[0].bitswap, &session));
	CHECK_RC(0, test_fetch(session, 4712, 300000));
	bitswap_session_close(session);
	return 0;
}

static int fetches_task(void *arg)
{
	return fetches(arg);
}

/* Begins messages of 4 MiB and sends so many bytes of each. */
static int begin_messages(struct nodes *nodes, size_t bytes, struct anyio_stream **streams)
{
	static const uint8_t promise[4 + HOARDED] = { 0x80, 0x80, 0x80, 0x02, 0x0a };

	for (size_t i = 0; i < MESSAGES; i++) {
		CHECK_RC(0, open_stream(nodes, &streams[i]));
		CHECK_RC(0, anyio_stream_send(streams[i], promise, 4 + bytes));
	}
	return 0;
}

static int let_go(struct nodes *nodes, struct anyio_stream **streams)
{
	struct memory memory = { &nodes->node[0].bitswap->account, 0, 0 };

	for (size_t i = 0; i < MESSAGES; i++) {
		anyio_stream_abort(streams[i]);
		anyio_stream_free(streams[i]);
	}
	return WITHIN(30, wait_for_memory, &memory);
}

/* What is promised is not charged; what has come is, and up to twice that. */
static int promises(struct nodes *nodes)
{
	struct memory memory = { &nodes->node[0].bitswap->account, MESSAGES, MESSAGES * 16384 };
	struct anyio_stream *streams[MESSAGES];

	CHECK_RC(0, begin_messages(nodes, 1, streams));
	CHECK_RC(0, WITHIN(30, wait_for_memory, &memory));
	CHECK_RC(0, serves(nodes));
	CHECK_RC(0, WITHIN(30, fetches_task, nodes));
	CHECK_RC(0, let_go(nodes, streams));
	CHECK_RC(0, begin_messages(nodes, HOARDED, streams));
	memory = (struct memory){ memory.account, MESSAGES * HOARDED, MESSAGES * 2 * HOARDED };
	CHECK_RC(0, WITHIN(30, wait_for_memory, &memory));
	return let_go(nodes, streams);
}

static void test_promises(void **state)
{
	nodes_run(promises, NULL);
}

/* One peer uses up the memory for all: its slowest messages give way, first to its own, then to who
 * comes next. */
static int hoarding(struct nodes *nodes)
{
	struct bitswap *bitswap = nodes->node[0].bitswap;
	struct memory memory = { &bitswap->account, LITTLE_MEMORY / 2, LITTLE_MEMORY };
	struct anyio_stream *streams[MESSAGES];

	bitswap->limit.memory = LITTLE_MEMORY;
	CHECK_RC(0, begin_messages(nodes, HOARDED, streams));
	CHECK_RC(-ECONNRESET, WITHIN(30, test_wait_for_end, streams[0]));
	CHECK_RC(0, WITHIN(30, wait_for_memory, &memory));
	CHECK_RC(0, serves(nodes));
	CHECK_RC(0, WITHIN(30, fetches_task, nodes));
	CHECK(bitswap->account.used.memory <= LITTLE_MEMORY);
	return let_go(nodes, streams);
}

static void test_hoarding(void **state)
{
	nodes_run(hoarding, NULL);
}

/* ---- peers that ask for much and take little of it ---- */

enum { SIP = TEST_TAKEN_SIZE + 100, SIP_SECONDS = 4 };

/* A message every few seconds: never stuck for long. */
static int take_sips(struct p2p_stream_in *in, void *arg)
{
	static uint8_t bytes[SIP];
	ssize_t n = 1;

	while (n > 0) {
		int rc = anyio_sleep(SIP_SECONDS * ANYIO_SECOND);
		if (rc < 0)
			return rc;
		for (size_t taken = 0; taken < SIP && n > 0; taken += (size_t)n)
			n = anyio_stream_receive(in->stream, bytes, SIP - taken);
	}
	return (int)n;
}

static int serves_task(void *arg)
{
	return serves(arg);
}

static int serves_despite(struct nodes *nodes, p2p_handler taker)
{
	struct p2p_host *hosts[TEST_TAKERS] = { NULL };
	int rc;

	ANYIO_TASK_GROUP(group);
	rc = test_takers(nodes, &group, hosts, taker);
	if (rc == 0)
		rc = WITHIN(20, serves_task, nodes);
	anyio_task_group_cancel(&group, "served");
	rc = anyio_task_group_exit(&group, rc);
	for (int i = 0; i < TEST_TAKERS; i++)
		p2p_host_free(hosts[i]);
	return rc;
}

static int no_takers(struct nodes *nodes)
{
	return serves_despite(nodes, test_take_nothing);
}

static void test_no_takers(void **state)
{
	nodes_run_simulated(no_takers, NULL, NULL);
}

static int slow_takers(struct nodes *nodes)
{
	return serves_despite(nodes, take_sips);
}

static void test_slow_takers(void **state)
{
	nodes_run_simulated(slow_takers, NULL, NULL);
}

/* Until all takers have been sent all. */
static int wait_for_all_sent(void *arg)
{
	struct nodes *nodes = arg;
	struct bitswap_statistics statistics;
	int rc = 0;

	do {
		bitswap_stat(nodes->node[0].bitswap, &statistics);
		rc = statistics.blocks_sent < TEST_TAKERS * TEST_TAKEN ? anyio_sleep(ANYIO_SECOND)
								       : 1;
	} while (rc == 0);
	return rc < 0 ? rc : 0;
}

/* Who is slow is kept from nothing: each gets all it asked for. */
static int slow_links(struct nodes *nodes)
{
	struct p2p_host *hosts[TEST_TAKERS] = { NULL };
	int rc;

	ANYIO_TASK_GROUP(group);
	rc = test_takers(nodes, &group, hosts, take_sips);
	if (rc == 0)
		rc = WITHIN(TEST_TAKEN * SIP_SECONDS * TEST_TAKERS, wait_for_all_sent, nodes);
	anyio_task_group_cancel(&group, "served");
	rc = anyio_task_group_exit(&group, rc);
	for (int i = 0; i < TEST_TAKERS; i++)
		p2p_host_free(hosts[i]);
	return rc;
}

static void test_slow_links(void **state)
{
	nodes_run_simulated(slow_links, NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_many_wants),
		cmocka_unit_test(test_odd_cids),
		cmocka_unit_test(test_unwanted_blocks),
		cmocka_unit_test(test_bad_messages),
		cmocka_unit_test(test_promises),
		cmocka_unit_test(test_hoarding),
		cmocka_unit_test(test_no_takers),
		cmocka_unit_test(test_slow_takers),
		cmocka_unit_test(test_slow_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
