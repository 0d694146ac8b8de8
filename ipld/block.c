#include <ipld/block.h>

#include <errno.h>

#include <multiformats/multihash.h>

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
