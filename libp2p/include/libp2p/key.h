/*
 * Identity keys (libp2p/specs peer-ids): protobuf PublicKey and PrivateKey, signing with Ed25519,
 * verifying Ed25519, RSA, ECDSA and secp256k1, and the file a node's own key is kept in.
 *
 * Nothing here waits; any thread. File functions make blocking system calls on a small file.
 */
#ifndef LIBP2P_KEY_H
#define LIBP2P_KEY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <anyio/export.h>
#include <multiformats/peer_id.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The KeyType of the protobuf messages. */
enum p2p_key_type {
	P2P_KEY_RSA = 0,
	P2P_KEY_ED25519 = 1,
	P2P_KEY_SECP256K1 = 2,
	P2P_KEY_ECDSA = 3,
};

enum {
	P2P_RSA_BITS_MIN = 2048,
	P2P_RSA_BITS_MAX = 8192,
	P2P_PUBLIC_KEY_MAX =
		1200, /* longest PublicKey message accepted, bytes (RSA-8192 is 1,070) */
	P2P_SIGNATURE_MAX = 1024, /* longest signature accepted, bytes (RSA-8192) */
	P2P_PRIVATE_KEY_MAX = 80, /* room for an Ed25519 PrivateKey message, bytes */
};

/* A node's own key. A plain value; wipe it with p2p_key_wipe. Always Ed25519. */
struct p2p_key {
	uint8_t secret[64]; /* libsodium's form: seed, then public key */
};

/* Makes a new key from the system's randomness. */
ANYIO_API void p2p_key_generate(struct p2p_key *key);
/* Makes the key of a 32-byte seed. */
ANYIO_API void p2p_key_from_seed(struct p2p_key *key, const uint8_t seed[32]);
ANYIO_API void p2p_key_wipe(struct p2p_key *key);

/* Writes the PublicKey message: 36 bytes. Returns the length, or -ENOSPC. */
ANYIO_API ssize_t p2p_key_public(const struct p2p_key *key, uint8_t *out, size_t cap);
/* The peer id of the key. */
ANYIO_API void p2p_key_peer_id(const struct p2p_key *key, struct mf_peer_id *id);
ANYIO_API void p2p_key_sign(
	const struct p2p_key *key, const void *data, size_t len, uint8_t signature[64]);

/* The PrivateKey message, as Kubo's Identity.PrivKey has it (in base64 there). Reading accepts the
 * 64-byte and the old 96-byte form. 0 or a length; -EINVAL: damaged, or the public half is not that
 * of the seed; -ENOTSUP: a well-formed key of another type; -ENOSPC. */
ANYIO_API int p2p_key_decode(struct p2p_key *key, const uint8_t *data, size_t len);
ANYIO_API ssize_t p2p_key_encode(const struct p2p_key *key, uint8_t *out, size_t cap);

/* Key file: the PrivateKey message, mode 0600, made whole or not at all (temporary file, fsync,
 * link). Load: -ENOENT when there is none, ANYIO_NOT_A_FILE, -EPERM when others may read it, -EINVAL
 * when it is damaged: a damaged key is never replaced by a new one. Save: -EEXIST when there is
 * one. */
ANYIO_API int p2p_key_load(struct p2p_key *key, const char *path);
ANYIO_API int p2p_key_save(const struct p2p_key *key, const char *path);

/* Checks a PublicKey message and makes its peer id. -EINVAL: malformed or of an unknown type, or an
 * RSA key outside of 2048 to 8192 bits. */
ANYIO_API int p2p_public_key_peer_id(const uint8_t *key, size_t len, struct mf_peer_id *id);
/* Verifies a signature by a PublicKey message. 0; -EBADMSG when the signature is wrong; -EINVAL for
 * a key as above or a signature over P2P_SIGNATURE_MAX; -ENOMEM. */
ANYIO_API int p2p_public_key_verify(const uint8_t *key, size_t key_len, const void *data,
	size_t len, const uint8_t *signature, size_t signature_len);

#ifdef __cplusplus
}
#endif
#endif
