/* A multihash read is written back the same; computing and checking any function is safe. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <multiformats/multihash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[MF_MULTIHASH_BYTES_MAX], digest[MF_DIGEST_MAX];
	struct mf_multihash hash;

	ssize_t n = mf_multihash_decode(&hash, data, size);
	if (n < 0)
		return 0;
	if ((size_t)n > size || hash.digest + hash.digest_len != data + n)
		abort();
	if (mf_multihash_encode(hash.code, hash.digest, hash.digest_len, again, sizeof(again)) !=
			n ||
		memcmp(again, data, (size_t)n))
		abort();
	mf_hash_allowed(hash.code, hash.digest_len);
	/* What follows the multihash is taken for the data it names. */
	const uint8_t *rest = data + n;
	size_t len = size - (size_t)n;
	mf_hash_verify(hash.code, hash.digest, hash.digest_len, rest, len);
	ssize_t made = mf_hash_digest(hash.code, rest, len, 0, digest);
	if (made > 0 && mf_hash_verify(hash.code, digest, (size_t)made, rest, len) != 0)
		abort();
	return 0;
}
