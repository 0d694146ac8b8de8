/*
 * Content identifiers: CIDv0 and CIDv1 (https://github.com/multiformats/cid).
 *
 * A CID is a plain value: copy it with =, compare it with mf_cid_equal, keep it on the stack.
 * Pure functions over bytes; any thread; nothing is allocated.
 */
#ifndef MULTIFORMATS_CID_H
#define MULTIFORMATS_CID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <multiformats/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The codecs this kit reads and writes (multicodec table, tag "ipld"). */
enum mf_codec {
	MF_CODEC_RAW = 0x55,
	MF_CODEC_DAG_PB = 0x70,
	MF_CODEC_DAG_CBOR = 0x71,
	MF_CODEC_LIBP2P_KEY = 0x72,
	MF_CODEC_DAG_JSON = 0x0129,
	MF_CODEC_CBOR = 0x51,
	MF_CODEC_JSON = 0x0200,
};

enum {
	MF_DIGEST_MAX = 128,                       /* longest digest accepted, bytes (IPIP-512) */
	MF_CID_BYTES_MAX = 4 * 10 + MF_DIGEST_MAX, /* longest binary form */
	MF_CID_TEXT_MAX = 400, /* longest text form with its NUL, for bases of 16 and up */
};

struct mf_cid {
	uint32_t codec;     /* multicodec of the block; MF_CODEC_DAG_PB for version 0 */
	uint32_t hash;      /* multihash function code, 0x12 for sha2-256 */
	uint8_t version;    /* 0 or 1 */
	uint8_t digest_len; /* bytes used of digest, at most MF_DIGEST_MAX */
	uint8_t digest[MF_DIGEST_MAX];
};

/* Reads one binary CID from the front of data. Returns the bytes it took, or -EINVAL for
 * malformed, truncated or oversized input (varints must be minimal, at most 9 bytes). A bare
 * sha2-256 multihash (0x12 0x20 ...) is a CIDv0. */
MF_API ssize_t mf_cid_decode(struct mf_cid *cid, const uint8_t *data, size_t len);

/* Writes the binary form. Returns its length, or -ENOSPC when cap is too small. */
MF_API ssize_t mf_cid_encode(const struct mf_cid *cid, uint8_t *out, size_t cap);

/* Reads the text form (any multibase; Qm... for version 0). The text must be a CID and nothing
 * else; "/ipfs/" is not stripped. Returns 0 or -EINVAL. */
MF_API int mf_cid_parse(struct mf_cid *cid, const char *text, size_t len);

/* Writes the text form with its NUL: base58btc for version 0, base32 (prefix b) for version 1.
 * Returns the length without the NUL, or -ENOSPC. */
MF_API ssize_t mf_cid_format(const struct mf_cid *cid, char *out, size_t cap);

/* Writes a version 1 CID in the given multibase (prefix character: 'b' 'z' 'k' 'f' 'u' ...).
 * Returns the length without the NUL, -EINVAL for an unknown base or a version 0 CID in a base
 * other than 'z', or -ENOSPC. */
MF_API ssize_t mf_cid_format_base(const struct mf_cid *cid, char base, char *out, size_t cap);

/* Same version, codec and multihash. */
MF_API bool mf_cid_equal(const struct mf_cid *a, const struct mf_cid *b);

/* Makes the sha2-256 CID of a block. version 0 requires codec dag-pb. */
MF_API void mf_cid_of(
	struct mf_cid *cid, int version, uint32_t codec, const void *data, size_t len);

/* Makes a sha2-256 CID of a digest already computed (32 bytes). */
MF_API void mf_cid_of_sha256(
	struct mf_cid *cid, int version, uint32_t codec, const uint8_t digest[32]);

#ifdef __cplusplus
}
#endif
#endif
