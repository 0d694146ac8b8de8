/*
 * Two bare nodes for measurements.
 *
 *	exchange-measure serve REPO MIB               puts blocks of 1 MiB, prints its address, serves
 *	exchange-measure fetch REPO ADDRESS MIB       fetches them in order, syncs, prints MiB/s
 */
#include "nodes.h"

enum { SIZE = 1 << 20, AHEAD = 256 };

struct arguments {
	int count;
	char **texts;
};

/* Zeros but for a number: making it costs nothing beside its hash. */
static void make_block(uint64_t n, uint8_t *data, struct mf_cid *cid)
{
	memset(data, 0, SIZE);
	memcpy(data, &n, sizeof(n));
	mf_cid_of(cid, 1, MF_CODEC_RAW, data, SIZE);
}

static int put_all(struct node *node, uint64_t count)
{
	store_ticket ticket = 0;
	uint8_t *data = anyio_malloc(SIZE);
	struct mf_cid cid;
	int rc = data ? 0 : -ENOMEM;

	for (uint64_t i = 0; i < count && rc == 0; i++) {
		make_block(i, data, &cid);
		rc = store_put(node->store, &cid, data, SIZE, STORE_VERIFIED, &ticket);
	}
	anyio_free(data);
	return rc ? rc : store_sync(node->store, ticket);
}

static int serve(struct node *node, uint64_t count)
{
	struct p2p_addresses addresses;
	char id[MF_PEER_ID_TEXT_MAX];
	int rc = put_all(node, count);

	if (rc == 0)
		rc = p2p_host_listen(node->host, "/ip4/127.0.0.1/tcp/0");
	if (rc == 0)
		rc = p2p_host_addresses(node->host, &addresses);
	if (rc < 0)
		return rc;
	mf_peer_id_format(p2p_host_id(node->host), id, sizeof(id));
	printf("%s/p2p/%s\n", addresses.text[0], id);
	fflush(stdout);
	p2p_addresses_free(&addresses);
	return anyio_sleep_forever();
}

static int fetch_blocks(struct node *node, const struct mf_cid *cids, uint64_t count)
{
	struct bitswap_session *session;
	struct store_block block;
	int rc = bitswap_session_open(node->bitswap, &session);

	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < count && rc == 0; i++) {
		if (i % 32 == 0)
			bitswap_prefetch(session, cids + i, count - i < AHEAD ? count - i : AHEAD);
		rc = bitswap_fetch(session, &cids[i], &block);
		if (rc == 0)
			store_block_release(&block);
	}
	if (rc == 0)
		rc = store_sync(node->store, bitswap_session_ticket(session));
	bitswap_session_close(session);
	return rc;
}

static int fetch(struct node *node, const char *address, uint64_t count)
{
	struct mf_cid *cids = anyio_calloc(count, sizeof(*cids));
	uint8_t *data = anyio_malloc(SIZE);
	anyio_time start;
	int rc = cids && data ? 0 : -ENOMEM;

	for (uint64_t i = 0; i < count && rc == 0; i++)
		make_block(i, data, &cids[i]);
	start = anyio_now();
	if (rc == 0)
		rc = p2p_host_connect(node->host, NULL, &address, 1, NULL);
	if (rc == 0)
		rc = fetch_blocks(node, cids, count);
	anyio_checkpoint();
	if (rc == 0)
		printf("%.0f MiB/s\n", (double)count * 1e9 / (double)(anyio_now() - start));
	anyio_free(cids);
	anyio_free(data);
	return rc;
}

static int with_node(struct node *node, const struct arguments *arguments)
{
	char **texts = arguments->texts;
	int rc;

	ANYIO_TASK_GROUP(group);
	rc = anyio_start(&group, p2p_host_run, node->host, "host", NULL);
	if (rc == 0)
		rc = anyio_start_soon(&group, bitswap_run, node->bitswap, "bitswap");
	if (rc == 0)
		rc = strcmp(texts[1], "serve") == 0
			? serve(node, strtoull(texts[3], NULL, 10))
			: fetch(node, texts[3], strtoull(texts[4], NULL, 10));
	anyio_task_group_cancel(&group, "done");
	return anyio_task_group_exit(&group, rc);
}

static int run(void *arg)
{
	struct arguments *arguments = arg;
	struct store_options options = { .create = true };
	struct node node = { 0 };
	struct p2p_key key;
	int rc = store_open(arguments->texts[2], &options, &node.store, NULL);

	p2p_key_generate(&key);
	if (rc == 0)
		rc = p2p_host_create(&(struct p2p_host_options){ .key = &key }, &node.host);
	if (rc == 0)
		rc = bitswap_create(node.host, node.store, NULL, &node.bitswap);
	if (rc == 0)
		rc = with_node(&node, arguments);
	bitswap_free(node.bitswap);
	p2p_host_free(node.host);
	if (node.store)
		store_close(node.store);
	return rc;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { argc, argv };
	int rc;

	if (argc != (argc > 1 && strcmp(argv[1], "serve") == 0 ? 4 : 5)) {
		fprintf(stderr, "measure serve REPO MIB | fetch REPO ADDRESS MIB\n");
		return 2;
	}
	rc = anyio_run(run, &arguments, NULL);
	if (rc < 0 && rc != ANYIO_CANCELLED)
		fprintf(stderr, "%s\n", anyio_error_text(rc));
	return rc < 0 && rc != ANYIO_CANCELLED;
}
