#include <store/gate.h>

#include <errno.h>
#include <anyio/anyio.h>
#include <ipld/block.h>
#include <multiformats/multihash.h>
#include <multiformats/sha256.h>
#include <string.h>

enum {
	GROUP = 16,                /* blocks hashed side by side */
	MANY_INLINE = 64 << 10,    /* bytes up to which other threads do not pay */
	SINGLE_INLINE = 256 << 10, /* of one block: up to which the loop can well wait for it */
	SLICES_MAX = 16,
};

struct gate {
	const struct store_block *blocks;
	struct store_block *unnamed; /* the same, when they are to get their digests; else NULL */
	int *results;
	size_t count, slices;
};

/* A block whose hash is not the common one. */
static int pass_other(const struct gate *gate, size_t i)
{
	const struct store_block *block = &gate->blocks[i];
	const void *data = block->data ? block->data : "";

	if (!gate->unnamed)
		return ipld_block_verify(&block->cid, data, block->len);
	struct mf_cid *cid = &gate->unnamed[i].cid;
	ssize_t len = mf_hash_digest(cid->hash, data, block->len, cid->digest_len, cid->digest);
	return len == cid->digest_len ? 0 : len == -ENOMEM ? -ENOMEM : -EPROTONOSUPPORT;
}

static int pass_digest(const struct gate *gate, size_t i, const uint8_t digest[MF_SHA256_SIZE])
{
	const struct mf_cid *cid = &gate->blocks[i].cid;

	if (gate->unnamed)
		memcpy(gate->unnamed[i].cid.digest, digest, cid->digest_len);
	return memcmp(cid->digest, digest, cid->digest_len) == 0 ? 0 : -EBADMSG;
}

static void pass_group(const struct gate *gate, size_t first, size_t end)
{
	struct mf_sha256_job jobs[GROUP];
	size_t at[GROUP], n = 0;

	for (size_t i = first; i < end; i++) {
		const struct store_block *block = &gate->blocks[i];
		const struct mf_cid *cid = &block->cid;

		if (block->len > IPLD_BLOCK_MAX)
			gate->results[i] = -EMSGSIZE;
		else if (!mf_hash_allowed(cid->hash, cid->digest_len))
			gate->results[i] = -EPROTONOSUPPORT;
		else if (cid->hash != MF_HASH_SHA2_256 || cid->digest_len > MF_SHA256_SIZE)
			gate->results[i] = pass_other(gate, i);
		else {
			jobs[n].data = block->data;
			jobs[n].len = block->len;
			at[n++] = i;
		}
	}
	mf_sha256_many(jobs, n);
	for (size_t i = 0; i < n; i++)
		gate->results[at[i]] = pass_digest(gate, at[i], jobs[i].digest);
}

static void pass_slice(void *arg, size_t slice)
{
	const struct gate *gate = arg;
	size_t first = gate->count * slice / gate->slices;
	size_t end = gate->count * (slice + 1) / gate->slices;

	for (; first < end; first += GROUP)
		pass_group(gate, first, end - first < GROUP ? end : first + GROUP);
}

static int pass(struct gate *gate)
{
	size_t bytes = 0, inline_bytes = gate->count < 2 ? SINGLE_INLINE : MANY_INLINE;
	int rc = -EAGAIN;

	for (size_t i = 0; i < gate->count; i++)
		bytes += gate->blocks[i].len;
	/* More slices than cores even out. Two blocks hashed side by side take less than one after the
	 * other, so no slice is of one. */
	gate->slices = anyio_cpu_count() * 2;
	if (gate->slices > (gate->count + 1) / 2)
		gate->slices = (gate->count + 1) / 2;
	if (gate->slices > SLICES_MAX)
		gate->slices = SLICES_MAX;
	if (bytes > inline_bytes)
		rc = anyio_cpu_map(pass_slice, gate, gate->slices);
	/* No thread could be made: more slowly, but on. */
	for (size_t i = 0; rc == -EAGAIN && i < gate->slices; i++)
		pass_slice(gate, i);
	return rc == -EAGAIN ? 0 : rc;
}

int store_gate_check(const struct store_block *blocks, size_t count, int *results)
{
	struct gate gate = { .blocks = blocks, .results = results, .count = count };

	return pass(&gate);
}

int store_gate_name(struct store_block *blocks, size_t count, int *results)
{
	struct gate gate = {
		.blocks = blocks, .unnamed = blocks, .results = results, .count = count
	};

	return pass(&gate);
}
