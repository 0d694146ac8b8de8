/*
 * Multibase (https://github.com/multiformats/multibase): bytes as text in many alphabets, the
 * alphabet told by the first character.
 *
 * Pure functions; any thread; nothing is allocated. Buffers are the caller's.
 */
#ifndef MULTIFORMATS_MULTIBASE_H
#define MULTIFORMATS_MULTIBASE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <multiformats/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A base is its prefix, as a Unicode code point. */
enum mf_base {
	MF_BASE_IDENTITY = 0,
	MF_BASE2 = '0',
	MF_BASE8 = '7',
	MF_BASE10 = '9',
	MF_BASE16 = 'f',
	MF_BASE16_UPPER = 'F',
	MF_BASE32 = 'b',
	MF_BASE32_UPPER = 'B',
	MF_BASE32_PAD = 'c',
	MF_BASE32_PAD_UPPER = 'C',
	MF_BASE32_HEX = 'v',
	MF_BASE32_HEX_UPPER = 'V',
	MF_BASE32_HEX_PAD = 't',
	MF_BASE32_HEX_PAD_UPPER = 'T',
	MF_BASE32_Z = 'h',
	MF_BASE36 = 'k',
	MF_BASE36_UPPER = 'K',
	MF_BASE58_BTC = 'z',
	MF_BASE58_FLICKR = 'Z',
	MF_BASE64 = 'm',
	MF_BASE64_PAD = 'M',
	MF_BASE64_URL = 'u',
	MF_BASE64_URL_PAD = 'U',
	MF_BASE256_EMOJI = 0x1f680, /* the rocket */
};

enum {
	/* Bases 10, 36 and 58 are arithmetic on one long number, quadratic in its length: they take
	 * at most so many bytes, and texts of at most so many characters. */
	MF_RADIX_BYTES_MAX = 1024,
	MF_RADIX_TEXT_MAX = 2560,
};

/* Room that certainly suffices for len bytes in any base: with prefix and NUL. */
#define MF_MULTIBASE_TEXT_SIZE(len) (8 * (size_t)(len) + 6)

/* Name in the multibase table ("base32", "base58btc"), a constant; NULL for an unknown base. */
MF_API const char *mf_base_name(uint32_t base);

/* Base of that name. Returns 0 or -ENOENT. */
MF_API int mf_base_find(const char *name, uint32_t *base);

/* Writes data as text with its prefix and a NUL. Returns the length without the NUL; -EINVAL for
 * an unknown base, -E2BIG for more than MF_RADIX_BYTES_MAX bytes in base 10, 36 or 58, -ENOSPC
 * when out (cap bytes) is too small. */
MF_API ssize_t mf_multibase_encode(
	uint32_t base, const uint8_t *data, size_t len, char *out, size_t cap);

/* Reads text (len bytes of it, no NUL needed) in the base its prefix tells, stored to *base unless
 * that is NULL. Letters of bases 16, 32 and 36 may be of either case whatever the prefix's; padding
 * must be there exactly when the base has it; spare bits must be zero. Returns the bytes written;
 * -EINVAL for malformed text or an unknown base, -E2BIG for a text over MF_RADIX_TEXT_MAX in base
 * 10, 36 or 58, -ENOSPC. */
MF_API ssize_t mf_multibase_decode(
	uint32_t *base, const char *text, size_t len, uint8_t *out, size_t cap);

/* The same without a prefix, in a base known otherwise. Encoding writes the NUL too. */
MF_API ssize_t mf_base_encode(
	uint32_t base, const uint8_t *data, size_t len, char *out, size_t cap);
MF_API ssize_t mf_base_decode(
	uint32_t base, const char *text, size_t len, uint8_t *out, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
