#include <multiformats/cid.h>

#include <errno.h>
#include <string.h>

#include <multiformats/multibase.h>
#include <multiformats/multihash.h>
#include <multiformats/sha256.h>
#include <multiformats/varint.h>

enum {
	V0_TEXT = 46, /* a sha2-256 multihash in base58btc */
	/* Base 2 is the longest text. */
	TEXT_IN_MAX = 8 * MF_CID_BYTES_MAX + 1,
};

static bool is_v0(const uint8_t *data, size_t len)
{
	return len >= 2 && data[0] == MF_HASH_SHA2_256 && data[1] == MF_SHA256_SIZE;
}

static void set_multihash(struct mf_cid *cid, const struct mf_multihash *hash)
{
	cid->hash = hash->code;
	cid->digest_len = (uint8_t)hash->digest_len;
	memcpy(cid->digest, hash->digest, hash->digest_len);
	/* So that a CID can be compared and hashed as plain memory. */
	memset(cid->digest + hash->digest_len, 0, MF_DIGEST_MAX - hash->digest_len);
}

ssize_t mf_cid_decode(struct mf_cid *cid, const uint8_t *data, size_t len)
{
	struct mf_multihash hash;
	uint64_t version = 0, codec = MF_CODEC_DAG_PB;
	size_t head = 0;

	if (!is_v0(data, len)) {
		int n = mf_varint_decode(data, len, &version);
		if (n < 0 || version != 1)
			return -EINVAL;
		head = (size_t)n;
		n = mf_varint_decode(data + head, len - head, &codec);
		if (n < 0 || codec > UINT32_MAX)
			return -EINVAL;
		head += (size_t)n;
	}
	ssize_t n = mf_multihash_decode(&hash, data + head, len - head);
	if (n < 0)
		return -EINVAL;
	cid->version = (uint8_t)version;
	cid->codec = (uint32_t)codec;
	set_multihash(cid, &hash);
	return (ssize_t)head + n;
}

ssize_t mf_cid_encode(const struct mf_cid *cid, uint8_t *out, size_t cap)
{
	uint8_t head[2 * MF_VARINT_WRITE_MAX];
	size_t n = 0;

	if (cid->version == 1) {
		n = (size_t)mf_varint_encode(1, head);
		n += (size_t)mf_varint_encode(cid->codec, head + n);
	}
	if (cap < n)
		return -ENOSPC;
	memcpy(out, head, n);
	ssize_t rc = mf_multihash_encode(cid->hash, cid->digest, cid->digest_len, out + n, cap - n);
	return rc < 0 ? rc : (ssize_t)n + rc;
}

static bool looks_v0(const char *text, size_t len)
{
	return len == V0_TEXT && text[0] == 'Q' && text[1] == 'm';
}

int mf_cid_parse(struct mf_cid *cid, const char *text, size_t len)
{
	uint8_t bytes[MF_CID_BYTES_MAX];
	bool v0 = looks_v0(text, len);

	/* The identity base is bytes, not text. */
	if (len < 2 || len > TEXT_IN_MAX || text[0] == '\0')
		return -EINVAL;
	ssize_t n = v0 ? mf_base_decode(MF_BASE58_BTC, text, len, bytes, sizeof bytes)
		       : mf_multibase_decode(NULL, text, len, bytes, sizeof bytes);
	/* Version 0 has no multibase prefix, and version 1 always has one. */
	if (n < 0 || is_v0(bytes, (size_t)n) != v0)
		return -EINVAL;
	return mf_cid_decode(cid, bytes, (size_t)n) == n ? 0 : -EINVAL;
}

ssize_t mf_cid_format_base(const struct mf_cid *cid, char base, char *out, size_t cap)
{
	uint8_t bytes[MF_CID_BYTES_MAX];
	ssize_t n = mf_cid_encode(cid, bytes, sizeof bytes);

	if (n < 0)
		return n;
	if (cid->version == 1)
		return mf_multibase_encode((uint8_t)base, bytes, (size_t)n, out, cap);
	if (base != MF_BASE58_BTC)
		return -EINVAL;
	return mf_base_encode(MF_BASE58_BTC, bytes, (size_t)n, out, cap);
}

ssize_t mf_cid_format(const struct mf_cid *cid, char *out, size_t cap)
{
	return mf_cid_format_base(cid, cid->version == 0 ? 'z' : 'b', out, cap);
}

bool mf_cid_equal(const struct mf_cid *a, const struct mf_cid *b)
{
	return a->version == b->version && a->codec == b->codec && a->hash == b->hash &&
		a->digest_len == b->digest_len && memcmp(a->digest, b->digest, a->digest_len) == 0;
}

void mf_cid_of_sha256(struct mf_cid *cid, int version, uint32_t codec, const uint8_t digest[32])
{
	struct mf_multihash hash = { MF_HASH_SHA2_256, MF_SHA256_SIZE, digest };

	cid->version = (uint8_t)version;
	cid->codec = codec;
	set_multihash(cid, &hash);
}

void mf_cid_of(struct mf_cid *cid, int version, uint32_t codec, const void *data, size_t len)
{
	uint8_t digest[MF_SHA256_SIZE];

	mf_sha256(data, len, digest);
	mf_cid_of_sha256(cid, version, codec, digest);
}
