#include <multiformats/multihash.h>

#include <errno.h>
#include <string.h>

#include <multiformats/varint.h>

#include "hash.h"

ssize_t mf_multihash_decode(struct mf_multihash *hash, const uint8_t *data, size_t len)
{
	uint64_t code, digest_len;

	int head = mf_varint_decode(data, len, &code);
	if (head < 0 || code > UINT32_MAX)
		return -EINVAL;
	int n = mf_varint_decode(data + head, len - (size_t)head, &digest_len);
	if (n < 0)
		return -EINVAL;
	head += n;
	if (digest_len > MF_DIGEST_MAX || digest_len > len - (size_t)head)
		return -EINVAL;
	*hash = (struct mf_multihash){
		.code = (uint32_t)code,
		.digest_len = (size_t)digest_len,
		.digest = data + head,
	};
	return head + (ssize_t)digest_len;
}

ssize_t mf_multihash_encode(
	uint32_t code, const uint8_t *digest, size_t digest_len, uint8_t *out, size_t cap)
{
	uint8_t head[2 * MF_VARINT_WRITE_MAX];

	if (digest_len > MF_DIGEST_MAX)
		return -EINVAL;
	size_t n = (size_t)mf_varint_encode(code, head);
	n += (size_t)mf_varint_encode(digest_len, head + n);
	if (cap < n + digest_len)
		return -ENOSPC;
	memcpy(out, head, n);
	if (digest_len > 0)
		memcpy(out + n, digest, digest_len);
	return (ssize_t)(n + digest_len);
}

bool mf_hash_allowed(uint32_t code, size_t digest_len)
{
	if (digest_len > MF_DIGEST_MAX)
		return false;
	switch (code) {
	case MF_HASH_IDENTITY: return true;
	case MF_HASH_SHA1:
	case MF_HASH_SHA2_256:
	case MF_HASH_SHA2_512:
	case MF_HASH_SHA3_512:
	case MF_HASH_SHA3_384:
	case MF_HASH_SHA3_256:
	case MF_HASH_SHA3_224:
	case MF_HASH_SHAKE_256:
	case MF_HASH_KECCAK_224:
	case MF_HASH_KECCAK_256:
	case MF_HASH_KECCAK_384:
	case MF_HASH_KECCAK_512:
	case MF_HASH_BLAKE3:
	case MF_HASH_DBL_SHA2_256: return digest_len >= MF_DIGEST_MIN;
	}
	bool blake2 =
		(code >= MF_HASH_BLAKE2B_8 + MF_DIGEST_MIN - 1 && code <= MF_HASH_BLAKE2B_512) ||
		(code >= MF_HASH_BLAKE2S_8 + MF_DIGEST_MIN - 1 && code <= MF_HASH_BLAKE2S_256);
	return blake2 && digest_len >= MF_DIGEST_MIN;
}

int mf_hash_verify(
	uint32_t code, const uint8_t *digest, size_t digest_len, const void *data, size_t len)
{
	uint8_t actual[MF_DIGEST_MAX];

	if (code == MF_HASH_IDENTITY) {
		bool same = len == digest_len && (len == 0 || memcmp(data, digest, len) == 0);
		return same ? 0 : -EBADMSG;
	}
	if (digest_len == 0)
		return -EBADMSG; /* would match anything */
	ssize_t rc = mf_hash_digest(code, data, len, digest_len, actual);
	if (rc == -EMSGSIZE)
		return -EBADMSG;
	if (rc < 0)
		return (int)rc;
	return memcmp(actual, digest, digest_len) == 0 ? 0 : -EBADMSG;
}
