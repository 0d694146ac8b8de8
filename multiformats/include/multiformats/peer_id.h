/*
 * Peer ids: the multihash of a peer's public key (libp2p specs, peer-ids/peer-ids.md).
 *
 * A peer id is a plain value, always canonical: two ids are the same peer exactly when their bytes
 * are equal. Pure functions; any thread; nothing is allocated.
 */
#ifndef MULTIFORMATS_PEER_ID_H
#define MULTIFORMATS_PEER_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <multiformats/cid.h>
#include <multiformats/export.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	MF_PEER_KEY_INLINE_MAX = 42,                       /* longer encoded keys are hashed */
	MF_PEER_ID_BYTES_MAX = MF_PEER_KEY_INLINE_MAX + 2, /* longest binary form */
	MF_PEER_ID_TEXT_MAX = 80, /* longest text form with its NUL, base58 or base36 */
};

struct mf_peer_id {
	uint8_t len; /* bytes used, 0 for no peer at all */
	uint8_t bytes[MF_PEER_ID_BYTES_MAX + 1];
};

/* Kinds of key, as in the PublicKey message. */
enum mf_key_type {
	MF_KEY_RSA = 0,
	MF_KEY_ED25519 = 1,
	MF_KEY_SECP256K1 = 2,
	MF_KEY_ECDSA = 3,
};

enum { MF_ED25519_KEY_SIZE = 32 };

/* The PublicKey message taken apart; data points into the buffer it was read from. */
struct mf_public_key {
	enum mf_key_type type;
	const uint8_t *data; /* ed25519: 32 bytes; rsa, ecdsa: PKIX DER; secp256k1: 33 bytes */
	size_t len;
};

/* Reads a PublicKey message. Both fields must be there, and an ed25519 or secp256k1 key must be of
 * its right length. Returns 0 or -EINVAL. */
MF_API int mf_public_key_decode(struct mf_public_key *key, const uint8_t *data, size_t len);

/* Writes a PublicKey message in its canonical form. Returns its length or -ENOSPC. */
MF_API ssize_t mf_public_key_encode(const struct mf_public_key *key, uint8_t *out, size_t cap);

/* The id of an encoded PublicKey message: the message itself up to 42 bytes, else its sha2-256.
 * The bytes are hashed as they are, without a look inside. */
MF_API void mf_peer_id_of_key(struct mf_peer_id *id, const uint8_t *encoded, size_t len);

/* The id of an ed25519 key. */
MF_API void mf_peer_id_of_ed25519(struct mf_peer_id *id, const uint8_t key[MF_ED25519_KEY_SIZE]);

/* The key an id holds, pointing into the id. Returns 0, or -ENOENT when the id is a hash (RSA,
 * ECDSA) or holds no well-formed key. */
MF_API int mf_peer_id_key(const struct mf_peer_id *id, struct mf_public_key *key);

/* Reads a binary id, which must be all of data: a sha2-256 multihash, or an identity multihash of
 * 1 to 42 bytes. Returns 0 or -EINVAL. */
MF_API int mf_peer_id_decode(struct mf_peer_id *id, const uint8_t *data, size_t len);

/* Reads a text id: base58btc without prefix (Qm..., 12D3..., 16Uiu...), or a CIDv1 of codec
 * libp2p-key in any multibase (k51..., bafz...). Returns 0 or -EINVAL. */
MF_API int mf_peer_id_parse(struct mf_peer_id *id, const char *text, size_t len);

/* Writes the base58btc form with its NUL. Returns the length without it, or -ENOSPC. */
MF_API ssize_t mf_peer_id_format(const struct mf_peer_id *id, char *out, size_t cap);

MF_API bool mf_peer_id_equal(const struct mf_peer_id *a, const struct mf_peer_id *b);

#ifdef __cplusplus
}
#endif
#endif
