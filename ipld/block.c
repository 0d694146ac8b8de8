#include <ipld/block.h>

#include <errno.h>
#include <string.h>

#include <multiformats/multihash.h>
#include <multiformats/sha256.h>

enum { GROUP = 16 }; /* blocks hashed side by side */

static int allowed(const struct mf_cid *cid, size_t len, size_t most)
{
	if (len > most)
		return -EMSGSIZE;
	return mf_hash_allowed(cid->hash, cid->digest_len) ? 0 : -EPROTONOSUPPORT;
}

int ipld_block_allowed(const struct mf_cid *cid, size_t len)
{
	return allowed(cid, len, IPLD_BLOCK_MAX);
}

int ipld_big_block_allowed(const struct mf_cid *cid, size_t len)
{
	return allowed(cid, len, IPLD_BLOCK_BIG_MAX);
}

/* A block whose hash is not the common one. */
static int pass_other(const struct ipld_block *block)
{
	const struct mf_cid *cid = block->cid;
	const void *data = block->data ? block->data : "";
	uint8_t digest[MF_DIGEST_MAX];

	if (!block->name) {
		int rc = mf_hash_verify(cid->hash, cid->digest, cid->digest_len, data, block->len);
		return rc == -ENOTSUP ? -EPROTONOSUPPORT : rc;
	}
	ssize_t len = mf_hash_digest(cid->hash, data, block->len, cid->digest_len, digest);
	if (len != cid->digest_len)
		return len == -ENOMEM ? -ENOMEM : -EPROTONOSUPPORT;
	memcpy(block->name, digest, len);
	return 0;
}

static int pass_digest(const struct ipld_block *block, const uint8_t digest[MF_SHA256_SIZE])
{
	size_t len = block->cid->digest_len;

	if (!block->name)
		return memcmp(block->cid->digest, digest, len) == 0 ? 0 : -EBADMSG;
	memcpy(block->name, digest, len);
	return 0;
}

static void pass_group(struct ipld_block *blocks, size_t count)
{
	struct mf_sha256_job jobs[GROUP];
	struct ipld_block *at[GROUP];
	size_t n = 0;

	for (struct ipld_block *block = blocks; block < blocks + count; block++) {
		const struct mf_cid *cid = block->cid;

		block->result =
			allowed(cid, block->len, block->big ? IPLD_BLOCK_BIG_MAX : IPLD_BLOCK_MAX);
		if (block->result < 0)
			continue;
		if (cid->hash != MF_HASH_SHA2_256 || cid->digest_len > MF_SHA256_SIZE) {
			block->result = pass_other(block);
			continue;
		}
		jobs[n].data = block->data;
		jobs[n].len = block->len;
		at[n++] = block;
	}
	mf_sha256_many(jobs, n);
	for (size_t i = 0; i < n; i++)
		at[i]->result = pass_digest(at[i], jobs[i].digest);
}

void ipld_blocks_pass(struct ipld_block *blocks, size_t count)
{
	for (; count > GROUP; blocks += GROUP, count -= GROUP)
		pass_group(blocks, GROUP);
	pass_group(blocks, count);
}

int ipld_block_verify(const struct mf_cid *cid, const void *data, size_t len)
{
	struct ipld_block block = { .cid = cid, .data = data, .len = len };

	ipld_blocks_pass(&block, 1);
	return block.result;
}
