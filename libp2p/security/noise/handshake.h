/*
 * The Noise handshake XX_25519_ChaChaPoly_SHA256 as a pure state machine (noiseprotocol.org,
 * revision 34): messages in, messages out; no I/O, no allocation.
 *
 *	initiator: write, read, write, split      -> e
 *	responder: read, write, read, split       <- e, ee, s, es
 *	                                          -> s, se
 */
#ifndef LIBP2P_NOISE_HANDSHAKE_H
#define LIBP2P_NOISE_HANDSHAKE_H

#include <stdbool.h>

#include "aead.h"

enum {
	P2P_NOISE_MESSAGE_MAX = 65535, /* a Noise message, bytes */
	P2P_NOISE_DH = 32,
	P2P_NOISE_HASH = 32,
	P2P_NOISE_OVERHEAD = 2 * P2P_NOISE_DH + 2 * P2P_AEAD_TAG, /* most added to a payload */
};

struct p2p_noise_keypair {
	uint8_t secret[P2P_NOISE_DH], public[P2P_NOISE_DH];
};

struct p2p_noise_handshake {
	bool initiator, keyed;
	uint8_t step; /* messages done, 0 to 3 */
	struct p2p_cipher cipher;
	uint8_t chaining_key[P2P_NOISE_HASH], hash[P2P_NOISE_HASH];
	struct p2p_noise_keypair own_static, own_ephemeral;
	uint8_t remote_static[P2P_NOISE_DH], remote_ephemeral[P2P_NOISE_DH];
};

/* The public half of secret (32 random bytes). */
void p2p_noise_keypair_of(struct p2p_noise_keypair *pair, const uint8_t secret[P2P_NOISE_DH]);
void p2p_noise_keypair_generate(struct p2p_noise_keypair *pair);

/* Both pairs are copied. A pair of ephemeral keys is for one handshake only. */
void p2p_noise_handshake_init(struct p2p_noise_handshake *handshake, bool initiator,
	const void *prologue, size_t prologue_len, const struct p2p_noise_keypair *own_static,
	const struct p2p_noise_keypair *own_ephemeral);
void p2p_noise_handshake_wipe(struct p2p_noise_handshake *handshake);

/* The next message out, with its payload. Returns its length; -EPROTO when it is not our turn;
 * -ENOSPC when cap is under len + P2P_NOISE_OVERHEAD; -EBADMSG for a public key of low order;
 * -ENOMEM. After an error the handshake is over. */
ssize_t p2p_noise_handshake_write(struct p2p_noise_handshake *handshake, struct p2p_aead *aead,
	const void *payload, size_t len, uint8_t *out, size_t cap);

/* The next message in; it is decrypted where it lies. *payload points into it. Returns the
 * payload's length; -EPROTO, -EBADMSG (too short, a wrong tag, or a public key of low order),
 * -ENOMEM. */
ssize_t p2p_noise_handshake_read(struct p2p_noise_handshake *handshake, struct p2p_aead *aead,
	uint8_t *message, size_t len, uint8_t **payload);

/* After three messages: the two ciphers, and the state is wiped. -EPROTO before. */
int p2p_noise_handshake_split(
	struct p2p_noise_handshake *handshake, struct p2p_cipher *send, struct p2p_cipher *receive);

#endif
