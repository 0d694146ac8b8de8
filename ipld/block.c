#include <ipld/block.h>

#include <errno.h>
#include <string.h>

#include <multiformats/multihash.h>
#include <multiformats/sha256.h>

enum { BATCH = 16 }; /* jobs hashed side by side; keeps the frame near 1 KiB */

/* Everything that can be refused without hashing. */
static int check_claims(const struct mf_cid *cid, size_t len)
{
	if (len > IPLD_BLOCK_MAX)
		return -EMSGSIZE;
	return mf_hash_allowed(cid->hash, cid->digest_len) ? 0 : -EPROTONOSUPPORT;
}

int ipld_block_verify(const struct mf_cid *cid, const void *data, size_t len)
{
	int rc = check_claims(cid, len);

	if (rc < 0)
		return rc;
	rc = mf_hash_verify(cid->hash, cid->digest, cid->digest_len, data, len);
	return rc == -ENOTSUP ? -EPROTONOSUPPORT : rc;
}

size_t ipld_blocks_verify(const struct mf_cid *const cids[], const void *const data[],
	const size_t lens[], size_t n, int results[])
{
	struct mf_sha256_job jobs[BATCH];
	size_t at[BATCH], queued = 0, good = 0;

	for (size_t i = 0; i < n; i++) {
		bool plain =
			cids[i]->hash == MF_HASH_SHA2_256 && cids[i]->digest_len <= MF_SHA256_SIZE;

		if (plain && !check_claims(cids[i], lens[i])) {
			jobs[queued].data = data[i];
			jobs[queued].len = lens[i];
			at[queued++] = i;
		} else {
			results[i] = ipld_block_verify(cids[i], data[i], lens[i]);
			good += results[i] == 0;
		}
		if (queued < BATCH && i + 1 < n)
			continue;
		mf_sha256_many(jobs, queued);
		for (size_t k = 0; k < queued; k++) {
			const struct mf_cid *cid = cids[at[k]];
			bool same = !memcmp(jobs[k].digest, cid->digest, cid->digest_len);

			results[at[k]] = same ? 0 : -EBADMSG;
			good += same;
		}
		queued = 0;
	}
	return good;
}
