/*
 * Multihashes (https://github.com/multiformats/multihash): a hash function's code, a length and a
 * digest; the functions we can compute; and which of them may name a block.
 *
 * Any thread; nothing is kept.
 */
#ifndef MULTIFORMATS_MULTIHASH_H
#define MULTIFORMATS_MULTIHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <multiformats/cid.h>
#include <multiformats/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Multicodec codes of hash functions that code names; multihash.c knows more. */
enum mf_hash {
	MF_HASH_IDENTITY = 0x00,
	MF_HASH_SHA1 = 0x11,
	MF_HASH_SHA2_256 = 0x12,
	MF_HASH_SHA2_512 = 0x13,
	MF_HASH_SHA3_512 = 0x14,
	MF_HASH_SHA3_384 = 0x15,
	MF_HASH_SHA3_256 = 0x16,
	MF_HASH_SHA3_224 = 0x17,
	MF_HASH_SHAKE_128 = 0x18,
	MF_HASH_SHAKE_256 = 0x19,
	MF_HASH_KECCAK_224 = 0x1a,
	MF_HASH_KECCAK_256 = 0x1b,
	MF_HASH_KECCAK_384 = 0x1c,
	MF_HASH_KECCAK_512 = 0x1d,
	MF_HASH_BLAKE3 = 0x1e,
	MF_HASH_SHA2_384 = 0x20,
	MF_HASH_DBL_SHA2_256 = 0x56,
	MF_HASH_MD5 = 0xd5,
	MF_HASH_SHA2_224 = 0x1013,
	MF_HASH_SHA2_512_224 = 0x1014,
	MF_HASH_SHA2_512_256 = 0x1015,
	MF_HASH_BLAKE2B_8 = 0xb201, /* blake2b-8, -16, ... -512: one code a byte of digest */
	MF_HASH_BLAKE2B_256 = 0xb220,
	MF_HASH_BLAKE2B_512 = 0xb240,
	MF_HASH_BLAKE2S_8 = 0xb241,
	MF_HASH_BLAKE2S_256 = 0xb260,
};

enum {
	MF_HASH_NAME_MAX = 16, /* longest name with its NUL */
	MF_DIGEST_MIN = 20, /* shortest digest that may name a block, identity aside (IPIP-512) */
	MF_MULTIHASH_BYTES_MAX = 2 * 10 + MF_DIGEST_MAX, /* longest binary multihash */
};

/* Name of a function ("sha2-256", "blake2b-256") in the multicodec table. Returns 0, or -ENOENT
 * for a code that is not a hash function known here. */
MF_API int mf_hash_name(uint32_t code, char out[MF_HASH_NAME_MAX]);

/* Code of a function by its name. Returns 0 or -ENOENT. */
MF_API int mf_hash_find(const char *name, uint32_t *code);

/* Hashes data. want is the digest's length in bytes: 0 for the function's own, fewer to cut it
 * short; blake3, shake-128 and shake-256 give up to MF_DIGEST_MAX. Returns the digest's length;
 * -ENOTSUP for a function we cannot compute; -EMSGSIZE when want is more than the function gives
 * or identity data is over MF_DIGEST_MAX (identity is never cut); -ENOMEM. */
MF_API ssize_t mf_hash_digest(
	uint32_t code, const void *data, size_t len, size_t want, uint8_t out[MF_DIGEST_MAX]);

/* Checks data against a digest (which may be a shortened one). Returns 0; -EBADMSG when they do
 * not match, -ENOTSUP for a function we cannot compute, -ENOMEM. Says nothing about whether the
 * function is trustworthy: see mf_hash_allowed. */
MF_API int mf_hash_verify(
	uint32_t code, const uint8_t *digest, size_t digest_len, const void *data, size_t len);

/* May a digest of this function and length (bytes) name a block? IPIP-512 and Kubo's list:
 * sound functions (sha1 for git's sake), 20 to 128 bytes, identity up to 128. */
MF_API bool mf_hash_allowed(uint32_t code, size_t digest_len);

/* A multihash taken apart; digest points into the buffer it was read from. */
struct mf_multihash {
	uint32_t code;
	size_t digest_len; /* bytes, at most MF_DIGEST_MAX */
	const uint8_t *digest;
};

/* Reads one multihash from the front of data. Returns the bytes it took, or -EINVAL for malformed,
 * truncated, or a digest over MF_DIGEST_MAX. Any function code up to 32 bits is accepted. */
MF_API ssize_t mf_multihash_decode(struct mf_multihash *hash, const uint8_t *data, size_t len);

/* Writes code, length and digest. Returns the length, -ENOSPC when cap is too small, or -EINVAL
 * when digest_len is over MF_DIGEST_MAX. */
MF_API ssize_t mf_multihash_encode(
	uint32_t code, const uint8_t *digest, size_t digest_len, uint8_t *out, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
