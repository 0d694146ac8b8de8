/*
 * The table of hash functions and the way from a code to a digest. Most functions are libcrypto's;
 * blake2b is libsodium's because libcrypto 3.0 has only its longest form.
 */
#include <multiformats/multihash.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <sodium.h>

#include <multiformats/sha256.h>

#include "hash.h"

static const struct hash {
	uint32_t code;
	uint8_t size; /* the function's own digest length, bytes; 0 for identity */
	const char *name;
	const char *libcrypto; /* its name there, NULL for those handled by hand */
} hashes[] = {
	{ MF_HASH_SHA2_256, 32, "sha2-256", NULL },
	{ MF_HASH_IDENTITY, 0, "identity", NULL },
	{ MF_HASH_SHA1, 20, "sha1", "SHA1" },
	{ MF_HASH_SHA2_512, 64, "sha2-512", "SHA512" },
	{ MF_HASH_SHA3_512, 64, "sha3-512", "SHA3-512" },
	{ MF_HASH_SHA3_384, 48, "sha3-384", "SHA3-384" },
	{ MF_HASH_SHA3_256, 32, "sha3-256", "SHA3-256" },
	{ MF_HASH_SHA3_224, 28, "sha3-224", "SHA3-224" },
	{ MF_HASH_SHAKE_128, 32, "shake-128", "SHAKE128" },
	{ MF_HASH_SHAKE_256, 64, "shake-256", "SHAKE256" },
	{ MF_HASH_KECCAK_224, 28, "keccak-224", NULL },
	{ MF_HASH_KECCAK_256, 32, "keccak-256", NULL },
	{ MF_HASH_KECCAK_384, 48, "keccak-384", NULL },
	{ MF_HASH_KECCAK_512, 64, "keccak-512", NULL },
	{ MF_HASH_BLAKE3, 32, "blake3", NULL },
	{ MF_HASH_SHA2_384, 48, "sha2-384", "SHA384" },
	{ MF_HASH_DBL_SHA2_256, 32, "dbl-sha2-256", NULL },
	{ MF_HASH_MD5, 16, "md5", "MD5" },
	{ MF_HASH_SHA2_224, 28, "sha2-224", "SHA224" },
	{ MF_HASH_SHA2_512_224, 28, "sha2-512-224", "SHA512-224" },
	{ MF_HASH_SHA2_512_256, 32, "sha2-512-256", "SHA512-256" },
	{ MF_HASH_BLAKE2S_256, 32, "blake2s-256", "BLAKE2S-256" },
};

static bool is_blake2b(uint32_t code)
{
	return code >= MF_HASH_BLAKE2B_8 && code <= MF_HASH_BLAKE2B_512;
}

/* Of a length the caller picks. */
static bool is_shake(uint32_t code)
{
	return code == MF_HASH_SHAKE_128 || code == MF_HASH_SHAKE_256;
}

static const struct hash *find_code(uint32_t code)
{
	for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
		if (hashes[i].code == code)
			return &hashes[i];
	return NULL;
}

int mf_hash_name(uint32_t code, char out[MF_HASH_NAME_MAX])
{
	const struct hash *hash = find_code(code);

	if (hash)
		snprintf(out, MF_HASH_NAME_MAX, "%s", hash->name);
	else if (is_blake2b(code))
		snprintf(out, MF_HASH_NAME_MAX, "blake2b-%u", 8 * (code - MF_HASH_BLAKE2B_8 + 1));
	else
		return -ENOENT;
	return 0;
}

int mf_hash_find(const char *name, uint32_t *code)
{
	char candidate[MF_HASH_NAME_MAX];

	for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
		if (strcmp(hashes[i].name, name) == 0) {
			*code = hashes[i].code;
			return 0;
		}
	}
	for (uint32_t blake2b = MF_HASH_BLAKE2B_8; blake2b <= MF_HASH_BLAKE2B_512; blake2b++) {
		if (mf_hash_name(blake2b, candidate) == 0 && strcmp(candidate, name) == 0) {
			*code = blake2b;
			return 0;
		}
	}
	return -ENOENT;
}

static int digest_libcrypto(
	const struct hash *hash, const void *data, size_t len, size_t want, uint8_t *out)
{
	bool xof = is_shake(hash->code);
	EVP_MD *md = EVP_MD_fetch(NULL, hash->libcrypto, NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	bool ok = md && ctx && EVP_DigestInit_ex2(ctx, md, NULL) &&
		EVP_DigestUpdate(ctx, data, len) &&
		(xof ? EVP_DigestFinalXOF(ctx, out, want) : EVP_DigestFinal_ex(ctx, out, NULL));
	/* A digest the running libcrypto was built or configured without cannot be fetched. */
	int rc = ok ? 0 : md ? -ENOMEM : -ENOTSUP;
	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md);
	return rc;
}

/* blake2b is parametrised by its length, so the code's own length is hashed and then cut. */
static ssize_t digest_blake2b(
	size_t size, const void *data, size_t len, size_t want, uint8_t out[MF_DIGEST_MAX])
{
	if (want > size)
		return -EMSGSIZE;
	if (crypto_generichash_blake2b(out, size, data, len, NULL, 0) != 0)
		return -ENOTSUP;
	return (ssize_t)(want ? want : size);
}

static ssize_t digest_identity(const void *data, size_t len, size_t want, uint8_t *out)
{
	if (len > MF_DIGEST_MAX || (want != 0 && want != len))
		return -EMSGSIZE;
	if (len > 0)
		memcpy(out, data, len);
	return (ssize_t)len;
}

ssize_t mf_hash_digest(
	uint32_t code, const void *data, size_t len, size_t want, uint8_t out[MF_DIGEST_MAX])
{
	const struct hash *hash = find_code(code);
	int rc = 0;

	if (is_blake2b(code))
		return digest_blake2b(code - MF_HASH_BLAKE2B_8 + 1, data, len, want, out);
	if (!hash)
		return -ENOTSUP;
	if (code == MF_HASH_IDENTITY)
		return digest_identity(data, len, want, out);
	bool xof = is_shake(code) || code == MF_HASH_BLAKE3;
	if (want > (xof ? (size_t)MF_DIGEST_MAX : hash->size))
		return -EMSGSIZE;
	if (want == 0)
		want = hash->size;
	switch (code) {
	case MF_HASH_SHA2_256: mf_sha256(data, len, out); break;
	case MF_HASH_DBL_SHA2_256:
		mf_sha256(data, len, out);
		mf_sha256(out, MF_SHA256_SIZE, out);
		break;
	case MF_HASH_KECCAK_224:
	case MF_HASH_KECCAK_256:
	case MF_HASH_KECCAK_384:
	case MF_HASH_KECCAK_512: hash_keccak(data, len, hash->size, out); break;
	case MF_HASH_BLAKE3: hash_blake3(data, len, want, out); break;
	default: rc = digest_libcrypto(hash, data, len, want, out);
	}
	return rc ? rc : (ssize_t)want;
}
