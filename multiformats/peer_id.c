#include <multiformats/peer_id.h>

#include <errno.h>
#include <string.h>

#include <multiformats/multibase.h>
#include <multiformats/multihash.h>
#include <multiformats/pb.h>
#include <multiformats/sha256.h>

enum { KEY_TYPE = 1, KEY_DATA = 2 }; /* fields of PublicKey */

enum { SECP256K1_KEY_SIZE = 33 };

/* Multihashes of these lengths have one byte of code and one of length. */
enum { HEAD = 2 };

static bool right_length(const struct mf_public_key *key)
{
	switch (key->type) {
	case MF_KEY_ED25519: return key->len == MF_ED25519_KEY_SIZE;
	case MF_KEY_SECP256K1: return key->len == SECP256K1_KEY_SIZE;
	case MF_KEY_RSA:
	case MF_KEY_ECDSA: return key->len > 0;
	}
	return false;
}

int mf_public_key_decode(struct mf_public_key *key, const uint8_t *data, size_t len)
{
	struct mf_pb_reader in = mf_pb_read(data, len);
	struct mf_pb_field field;
	bool has_type = false;
	int rc;

	*key = (struct mf_public_key){ 0 };
	while ((rc = mf_pb_next(&in, &field)) > 0) {
		switch (field.key) {
		case MF_PB_KEY(KEY_TYPE, MF_PB_VARINT):
			if (field.value > MF_KEY_ECDSA)
				return -EINVAL;
			key->type = (enum mf_key_type)field.value;
			has_type = true;
			break;
		case MF_PB_KEY(KEY_DATA, MF_PB_BYTES):
			key->data = field.bytes.data;
			key->len = field.bytes.len;
			break;
		}
	}
	return rc == 0 && has_type && key->data && right_length(key) ? 0 : -EINVAL;
}

ssize_t mf_public_key_encode(const struct mf_public_key *key, uint8_t *out, size_t cap)
{
	struct mf_pb_writer writer = mf_pb_write_fixed(out, cap);

	mf_pb_put_varint(&writer, KEY_TYPE, key->type);
	mf_pb_put_bytes(&writer, KEY_DATA, key->data, key->len);
	return mf_pb_finish(&writer);
}

static void set(struct mf_peer_id *id, uint8_t hash, const uint8_t *digest, size_t len)
{
	/* Unused bytes are zero, so an id may be a key in a table of plain memory. */
	*id = (struct mf_peer_id){ .len = (uint8_t)(HEAD + len), .bytes = { hash, (uint8_t)len } };
	memcpy(id->bytes + HEAD, digest, len);
}

void mf_peer_id_of_key(struct mf_peer_id *id, const uint8_t *encoded, size_t len)
{
	uint8_t digest[MF_SHA256_SIZE];

	if (len <= MF_PEER_KEY_INLINE_MAX) {
		set(id, MF_HASH_IDENTITY, encoded, len);
		return;
	}
	mf_sha256(encoded, len, digest);
	set(id, MF_HASH_SHA2_256, digest, sizeof(digest));
}

void mf_peer_id_of_ed25519(struct mf_peer_id *id, const uint8_t key[MF_ED25519_KEY_SIZE])
{
	struct mf_public_key whole = { MF_KEY_ED25519, key, MF_ED25519_KEY_SIZE };
	uint8_t encoded[MF_PEER_KEY_INLINE_MAX];
	ssize_t len = mf_public_key_encode(&whole, encoded, sizeof(encoded));

	mf_peer_id_of_key(id, encoded, (size_t)len);
}

int mf_peer_id_key(const struct mf_peer_id *id, struct mf_public_key *key)
{
	if (id->len <= HEAD || id->bytes[0] != MF_HASH_IDENTITY)
		return -ENOENT;
	if (mf_public_key_decode(key, id->bytes + HEAD, id->len - (size_t)HEAD) < 0)
		return -ENOENT;
	return 0;
}

int mf_peer_id_decode(struct mf_peer_id *id, const uint8_t *data, size_t len)
{
	struct mf_multihash hash;
	ssize_t n = mf_multihash_decode(&hash, data, len);

	if (n < 0 || (size_t)n != len)
		return -EINVAL;
	bool inlined = hash.code == MF_HASH_IDENTITY && hash.digest_len > 0 &&
		hash.digest_len <= MF_PEER_KEY_INLINE_MAX;
	bool hashed = hash.code == MF_HASH_SHA2_256 && hash.digest_len == MF_SHA256_SIZE;
	if (!inlined && !hashed)
		return -EINVAL;
	set(id, (uint8_t)hash.code, hash.digest, hash.digest_len);
	return 0;
}

int mf_peer_id_parse(struct mf_peer_id *id, const char *text, size_t len)
{
	uint8_t bytes[MF_PEER_ID_BYTES_MAX];
	struct mf_cid cid;

	if (len < 2 || len > MF_CID_TEXT_MAX)
		return -EINVAL;
	/* Identity multihashes begin with a zero byte, so with 1; no multibase has either sign. */
	if (text[0] == '1' || (text[0] == 'Q' && text[1] == 'm')) {
		ssize_t n = mf_base_decode(MF_BASE58_BTC, text, len, bytes, sizeof(bytes));
		return n < 0 ? -EINVAL : mf_peer_id_decode(id, bytes, (size_t)n);
	}
	if (mf_cid_parse(&cid, text, len) < 0 || cid.codec != MF_CODEC_LIBP2P_KEY)
		return -EINVAL;
	ssize_t n = mf_multihash_encode(cid.hash, cid.digest, cid.digest_len, bytes, sizeof(bytes));
	return n < 0 ? -EINVAL : mf_peer_id_decode(id, bytes, (size_t)n);
}

ssize_t mf_peer_id_format(const struct mf_peer_id *id, char *out, size_t cap)
{
	return mf_base_encode(MF_BASE58_BTC, id->bytes, id->len, out, cap);
}

bool mf_peer_id_equal(const struct mf_peer_id *a, const struct mf_peer_id *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}
