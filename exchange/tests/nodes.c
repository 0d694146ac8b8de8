#include "nodes.h"

#include <ftw.h>
#include <multiformats/varint.h>
#include <unistd.h>

#include "bitswap/message.h"

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

/* On the simulated disk only the index is a real folder. */
static int make_dirs(const struct nodes *nodes, struct node *node, uint8_t number)
{
	char *real = nodes->simulated ? node->index : node->dir;

	snprintf(node->dir, sizeof(node->dir), "/sim/%d", number);
	strcpy(real, "/tmp/exchange-test-XXXXXX");
	return mkdtemp(real) ? 0 : -errno;
}

static int node_open(struct nodes *nodes, struct node *node, uint8_t number)
{
	struct store_options store_options = { .create = true };
	struct p2p_host_options options = { 0 };
	uint8_t seed[32] = { number };
	struct p2p_key key;
	int rc;

	p2p_key_from_seed(&key, seed);
	options.key = &key;
	rc = make_dirs(nodes, node, number);
	if (nodes->simulated)
		store_options.index_dir = node->index;
	if (rc == 0)
		rc = store_open(node->dir, &store_options, &node->store, NULL);
	if (rc == 0)
		rc = p2p_host_create(&options, &node->host);
	if (rc == 0)
		rc = bitswap_create(node->host, node->store, &nodes->options, &node->bitswap);
	if (rc == 0)
		node->id = *p2p_host_id(node->host);
	return rc;
}

static int node_start(struct node *node, struct anyio_task_group *group)
{
	struct p2p_addresses addresses;
	int rc = anyio_start(group, p2p_host_run, node->host, "host", NULL);

	if (rc == 0)
		rc = anyio_start_soon(group, bitswap_run, node->bitswap, "bitswap");
	if (rc == 0)
		rc = p2p_host_listen(node->host, "/ip4/127.0.0.1/tcp/0");
	if (rc == 0)
		rc = p2p_host_addresses(node->host, &addresses);
	if (rc == 0) {
		snprintf(node->address, sizeof(node->address), "%s", addresses.text[0]);
		p2p_addresses_free(&addresses);
	}
	return rc;
}

static int node_close(const struct nodes *nodes, struct node *node)
{
	int rc;

	bitswap_free(node->bitswap);
	p2p_host_free(node->host);
	rc = store_close(node->store);
	nftw(nodes->simulated ? node->index : node->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return rc;
}

static int run_nodes(void *arg)
{
	struct nodes *nodes = arg;
	int rc = 0, closed;

	for (uint8_t i = 0; i < NODES && rc == 0; i++)
		rc = node_open(nodes, &nodes->node[i], (uint8_t)(i + 1));
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < NODES && rc == 0; i++)
		rc = node_start(&nodes->node[i], &group);
	if (rc == 0)
		rc = nodes->body(nodes);
	anyio_task_group_cancel(&group, "the test is over");
	rc = anyio_task_group_exit(&group, rc);
	for (int i = 0; i < NODES; i++)
		if ((closed = node_close(nodes, &nodes->node[i])) < 0 && rc == 0)
			rc = closed;
	return rc;
}

void nodes_run(int (*body)(struct nodes *nodes), const struct bitswap_options *options)
{
	const char *const *names = anyio_backends_available();

	for (; *names; names++) {
		struct anyio_options run = { .backend = *names };
		struct nodes nodes = { .body = body };
		if (options)
			nodes.options = *options;
		assert_int_equal(anyio_run(run_nodes, &nodes, &run), 0);
	}
}

void nodes_run_simulated(int (*body)(struct nodes *nodes), const struct bitswap_options *options,
	const struct anyio_sim_options *sim)
{
	struct anyio_options run = { .backend = "sim", .seeded = true, .seed = 1, .sim = sim };
	struct nodes nodes = { .body = body, .simulated = true };

	if (options)
		nodes.options = *options;
	anyio_sim_disk_reset();
	assert_int_equal(anyio_run(run_nodes, &nodes, &run), 0);
}

int nodes_connect(struct nodes *nodes, int from, int to)
{
	const char *addresses[] = { nodes->node[to].address };

	return p2p_host_connect(nodes->node[from].host, &nodes->node[to].id, addresses, 1, NULL);
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

void test_block(uint64_t n, size_t len, uint8_t *out, struct mf_cid *cid)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(mix(n ^ (uint64_t)len << 40 ^ i / 8) >> i % 8 * 8);
	mf_cid_of(cid, 1, MF_CODEC_RAW, out, len);
}

int test_put(struct node *node, uint64_t n, size_t len, struct mf_cid *cid)
{
	uint8_t *data = anyio_malloc(len + 1);
	store_ticket ticket = 0;
	int rc;

	if (!data)
		return -ENOMEM;
	test_block(n, len, data, cid);
	rc = store_put(node->store, cid, data, len, STORE_VERIFIED, &ticket);
	anyio_free(data);
	return rc;
}

int test_fetch(struct bitswap_session *session, uint64_t n, size_t len)
{
	uint8_t *data = anyio_malloc(len + 1);
	struct store_block block;
	struct mf_cid cid;
	int rc;

	if (!data)
		return -ENOMEM;
	test_block(n, len, data, &cid);
	rc = bitswap_fetch(session, &cid, &block);
	if (rc == 0) {
		if (block.len != len || memcmp(block.data, data, len) ||
			!mf_cid_equal(&block.cid, &cid))
			rc = -EBADMSG;
		store_block_release(&block);
	}
	anyio_free(data);
	return rc;
}

struct bitswap_statistics test_stat(const struct node *node)
{
	struct bitswap_statistics statistics;

	bitswap_stat(node->bitswap, &statistics);
	return statistics;
}

int test_wait_for_peer_wants(void *node)
{
	int rc = 0;

	while (rc == 0 && test_stat(node).peer_wants == 0)
		rc = anyio_sleep(ANYIO_MILLISECOND);
	return rc;
}

int test_wait_for_no_peer_wants(void *node)
{
	int rc = 0;

	while (rc == 0 && test_stat(node).peer_wants > 0)
		rc = anyio_sleep(ANYIO_MILLISECOND);
	return rc;
}

int test_fetch_task(void *arg)
{
	struct test_fetching *fetching = arg;

	fetching->rc = test_fetch(fetching->session, fetching->n, TEST_SIZE);
	return 0;
}

int test_send(struct anyio_stream *stream, struct mf_pb_writer *out)
{
	uint8_t prefix[MF_VARINT_WRITE_MAX];
	ssize_t len = mf_pb_finish(out);
	int rc = (int)len;

	if (len >= 0)
		rc = anyio_stream_send(
			stream, prefix, (size_t)mf_varint_encode((uint64_t)len, prefix));
	if (rc >= 0)
		rc = anyio_stream_send(stream, out->data, (size_t)len);
	free(out->data);
	return rc;
}

int test_take_nothing(struct p2p_stream_in *in, void *arg)
{
	return anyio_sleep_forever();
}

int test_host(struct anyio_task_group *group, uint8_t number, struct p2p_host **host)
{
	uint8_t seed[32] = { 100 + number };
	struct p2p_key key;

	p2p_key_from_seed(&key, seed);
	CHECK_RC(0, p2p_host_create(&(struct p2p_host_options){ .key = &key }, host));
	return anyio_start(group, p2p_host_run, *host, "host", NULL);
}

int test_wait_for_end(void *arg)
{
	uint8_t bytes[64];
	ssize_t n;

	do
		n = anyio_stream_receive(arg, bytes, sizeof(bytes));
	while (n > 0);
	return (int)n;
}

static const char *const protocol[] = { "/ipfs/bitswap/1.2.0" };

int test_tell(struct nodes *nodes, struct p2p_host *host, const struct bitswap_item *items,
	size_t count, bool full)
{
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct anyio_stream *stream;

	bitswap_put_wantlist(&out, items, count, full);
	CHECK_RC(0, p2p_host_open_stream(host, &nodes->node[0].id, protocol, 1, &stream, NULL));
	CHECK_RC(0, test_send(stream, &out));
	CHECK_RC(0, anyio_stream_send_eof(stream));
	CHECK_RC(0, test_wait_for_end(stream));
	anyio_stream_free(stream);
	return 0;
}

int test_takers(struct nodes *nodes, struct anyio_task_group *group, struct p2p_host **hosts,
	p2p_handler taker)
{
	static struct bitswap_item wants[TEST_TAKEN];
	const char *addresses[] = { nodes->node[0].address };

	for (uint64_t i = 0; i < TEST_TAKEN; i++) {
		wants[i] = (struct bitswap_item){ .priority = 1 };
		CHECK_RC(0, test_put(&nodes->node[0], i, TEST_TAKEN_SIZE, &wants[i].cid));
	}
	for (uint8_t i = 0; i < TEST_TAKERS; i++) {
		CHECK_RC(0, test_host(group, i, &hosts[i]));
		CHECK_RC(0, p2p_host_handle(hosts[i], protocol[0], taker, NULL));
		CHECK_RC(0, p2p_host_connect(hosts[i], &nodes->node[0].id, addresses, 1, NULL));
		CHECK_RC(0, test_tell(nodes, hosts[i], wants, TEST_TAKEN, false));
	}
	return 0;
}
