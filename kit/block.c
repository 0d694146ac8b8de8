/* Single blocks. */
#include "node.h"

#include <errno.h>
#include <store/gate.h>
#include <stdlib.h>
#include <string.h>

/* The block, and blocks open, to be closed after it was released; on failure both are. */
static int get_block(struct kit_node *node, const char *text, struct mf_cid *cid,
	struct store_block *block, struct kit_blocks *blocks)
{
	int rc = kit_reading_begin(node, text, blocks, cid);

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

/* A block that is stored stays so, whatever comes of what it links to. */
static int pin_stored(struct kit_node *node, const struct mf_cid *cid)
{
	char text[MF_CID_TEXT_MAX], why[sizeof(node->error)];
	struct kit_blocks blocks;
	store_ticket ticket = 0;

	kit_blocks_open(&blocks, node);
	int rc = kit_pin_below(&blocks, cid, &ticket);
	kit_blocks_close(&blocks);
	if (!rc && (rc = kit_sync(node, ticket)))
		kit_fail_code(node, rc, "pinning");
	if (!rc || rc == ANYIO_CANCELLED)
		return rc;
	memcpy(why, node->error, sizeof(why));
	mf_cid_format(cid, text, sizeof(text));
	return kit_fail(node, rc, "%s is stored, and not pinned: %s", text, why);
}

/* Gives a block its digest, away from the loop when it is long. */
static int name_block(const void *data, size_t len, struct mf_cid *cid)
{
	/* How long a digest is depends on the data with identity alone. */
	size_t sample = cid->hash == MF_HASH_IDENTITY ? len : 0;
	ssize_t digest = mf_hash_digest(cid->hash, data, sample, 0, cid->digest);

	if (digest < 0 || !mf_hash_allowed(cid->hash, (size_t)digest))
		return -EPROTONOSUPPORT;
	cid->digest_len = (uint8_t)digest;
	struct store_block block = { .cid = *cid, .data = data, .len = len };
	int result, rc = store_gate_name(&block, 1, &result);
	*cid = block.cid;
	return rc ? rc : result;
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
	int rc = name_block(data, len, cid);
	if (rc == -EPROTONOSUPPORT)
		return kit_fail(node, rc, "this hash function may not name blocks");
	if (rc)
		return kit_fail_code(node, rc, "hashing a block");
	if (ipld_links(codec, data, len, no_link, NULL))
		return kit_fail(node, -EBADMSG, "these bytes are not a block of that codec");
	struct store_lease lease;
	kit_writing_begin(node, &lease);
	rc = store_put(node->core->store, cid, data, len, STORE_VERIFIED, &ticket);
	if (!rc)
		rc = kit_sync(node, ticket);
	if (rc)
		kit_fail_code(node, rc, "storing a block");
	if (!rc && node->core->bitswap)
		bitswap_have(node->core->bitswap, cid);
	if (!rc && pin)
		rc = pin_stored(node, cid);
	store_lease_end(&lease);
	return rc;
}
