/* Single blocks, and all below a root as a CAR archive. */
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Blocks ---- */

/* The block, and blocks open, to be closed after it was released; on failure both are. */
static int get_block(struct kit_node *node, const char *text, struct mf_cid *cid,
	struct store_block *block, struct kit_blocks *blocks)
{
	node->error[0] = 0;
	kit_blocks_open(blocks, node);
	int rc = kit_path_walk(blocks, text, cid);
	if (!rc)
		rc = kit_blocks_get(blocks, cid, block);
	if (!rc && (rc = kit_blocks_sync(blocks)))
		store_block_release(block);
	if (rc)
		kit_blocks_close(blocks);
	return rc;
}

int kit_block_get(struct kit_node *node, const char *text, void **data, size_t *len)
{
	struct kit_blocks blocks;
	struct store_block block;
	struct mf_cid cid;
	int rc = get_block(node, text, &cid, &block, &blocks);

	*data = NULL;
	if (rc)
		return rc;
	*data = malloc(block.len ? block.len : 1);
	*len = block.len;
	if (*data)
		memcpy(*data, block.data, block.len);
	store_block_release(&block);
	kit_blocks_close(&blocks);
	return *data ? 0 : kit_fail_code(node, -ENOMEM, "reading a block");
}

int kit_block_cat(struct kit_node *node, const char *text, const struct kit_sink *sink)
{
	struct kit_blocks blocks;
	struct store_block block;
	struct mf_cid cid;
	int rc = get_block(node, text, &cid, &block, &blocks);

	if (rc)
		return rc;
	rc = sink->write(sink->arg, block.data, block.len);
	store_block_release(&block);
	kit_blocks_close(&blocks);
	return rc;
}

int kit_block_stat(struct kit_node *node, const char *text, struct mf_cid *cid, size_t *len)
{
	struct kit_blocks blocks;
	struct store_block block;
	int rc = get_block(node, text, cid, &block, &blocks);

	if (rc)
		return rc;
	*len = block.len;
	store_block_release(&block);
	kit_blocks_close(&blocks);
	return 0;
}

static int no_link(void *arg, const struct mf_cid *cid)
{
	return 0;
}

int kit_block_put(struct kit_node *node, uint32_t codec, uint32_t hash, int version,
	const void *data, size_t len, bool pin, struct mf_cid *cid)
{
	store_ticket ticket = 0;

	node->error[0] = 0;
	if (len > IPLD_BLOCK_MAX)
		return kit_fail(node, -EMSGSIZE,
			"a block is at most %d bytes; 'ipfs-kit add' splits files", IPLD_BLOCK_MAX);
	if (version == 0 && (codec != MF_CODEC_DAG_PB || hash != MF_HASH_SHA2_256))
		return kit_fail(node, -EINVAL, "a version 0 CID is dag-pb by sha2-256");
	*cid = (struct mf_cid){ .version = (uint8_t)version, .codec = codec, .hash = hash };
	ssize_t digest = mf_hash_digest(hash, data, len, 0, cid->digest);
	if (digest < 0 || !mf_hash_allowed(hash, (size_t)digest))
		return kit_fail(node, -EPROTONOSUPPORT, "this hash function may not name blocks");
	cid->digest_len = (uint8_t)digest;
	if (ipld_links(codec, data, len, no_link, NULL))
		return kit_fail(node, -EBADMSG, "these bytes are not a block of that codec");
	int rc = store_put(node->core->store, cid, data, len, 0, &ticket);
	if (!rc && pin)
		rc = store_pin_add(node->core->store, cid, STORE_PIN_RECURSIVE, &ticket);
	if (!rc)
		rc = store_sync(node->core->store, ticket);
	if (!rc && node->core->bitswap)
		bitswap_have(node->core->bitswap, cid);
	return rc ? kit_fail_code(node, rc, "storing a block") : 0;
}

/* ---- Export ---- */

struct exporting {
	struct kit_blocks blocks;
	const struct kit_sink *sink;
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
	uint64_t done, total;
};

static int export_block(void *arg, const struct mf_cid *cid, const void *data, size_t len)
{
	struct exporting *exporting = arg;
	uint8_t prefix[CAR_PREFIX_MAX];
	ssize_t n = car_section_prefix(cid, len, prefix, sizeof(prefix));
	int rc = n < 0 ? (int)n : exporting->sink->write(exporting->sink->arg, prefix, (size_t)n);

	if (!rc)
		rc = exporting->sink->write(exporting->sink->arg, data, len);
	exporting->done += len;
	if (!rc && exporting->progress)
		exporting->progress(exporting->arg, exporting->done, exporting->total);
	return rc;
}

int kit_dag_export(struct kit_node *node, const char *path, const struct kit_sink *sink,
	void (*progress)(void *arg, uint64_t done, uint64_t total), void *arg)
{
	struct exporting exporting = { .sink = sink, .progress = progress, .arg = arg };
	struct mf_pb_writer head = mf_pb_write_growing(128);
	struct kit_look look = { 0 };
	struct store_block first;
	struct mf_cid root;
	int rc;

	node->error[0] = 0;
	kit_blocks_open(&exporting.blocks, node);
	rc = kit_path_walk(&exporting.blocks, path, &root);
	/* Nothing is written of what cannot be had at all. */
	if (!rc && !(rc = kit_blocks_get(&exporting.blocks, &root, &first)))
		store_block_release(&first);
	if (!rc && progress && !(rc = kit_look(&exporting.blocks, &root, &look)))
		exporting.total = look.cumulative;
	anyio_free(look.target);
	if (!rc) {
		car_put_header(&head, &root, 1);
		ssize_t len = mf_pb_finish(&head);
		rc = len < 0 ? kit_fail_code(node, (int)len, "exporting")
			     : sink->write(sink->arg, head.data, (size_t)len);
	}
	free(head.data);
	if (!rc)
		rc = kit_walk(&exporting.blocks, &root, export_block, &exporting);
	/* The total counted what repeats each time. */
	if (!rc && progress)
		progress(arg, exporting.done, exporting.done);
	if (!rc)
		rc = kit_blocks_sync(&exporting.blocks);
	kit_blocks_close(&exporting.blocks);
	return rc;
}
