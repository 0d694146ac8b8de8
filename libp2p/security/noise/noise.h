/*
 * /noise (libp2p/specs noise): a raw stream becomes a secured channel with a known peer.
 */
#ifndef LIBP2P_NOISE_H
#define LIBP2P_NOISE_H

#include <libp2p/key.h>

#include "../../buffers.h"
#include "../channel.h"
#include "handshake.h"
#include "payload.h"

#define P2P_NOISE_PROTOCOL "/noise"

enum { P2P_NOISE_HANDSHAKE_MAX = 16 * 1024 }; /* longest handshake message accepted, bytes */

/* What all channels of a host share: one Noise key, its signed payload, the engine and the buffers.
 */
struct p2p_noise {
	struct p2p_aead aead;
	struct p2p_buffers buffers;
	struct p2p_noise_keypair keypair;
	uint8_t payload[P2P_NOISE_PAYLOAD_MAX];
	size_t payload_len;
	const char *const *muxers; /* best first; static storage */
	size_t muxer_count;
};

int p2p_noise_init(struct p2p_noise *noise, const struct p2p_key *key, const char *const *muxers,
	size_t muxer_count); /* -ENOMEM */
void p2p_noise_destroy(struct p2p_noise *noise);

struct p2p_noise_result {
	struct p2p_channel *channel; /* owns the raw stream */
	struct mf_peer_id peer;
	int muxer; /* index chosen early, or -1: to be negotiated */
};

/* Shakes hands; the caller sets the deadline. expected NULL: any peer. On failure the raw stream
 * stays the caller's. -EPERM: another peer; -EBADMSG: a wrong tag or signature; -EINVAL: a bad
 * payload or key; -EPROTO; -EMSGSIZE; -ENOMEM; errors of the stream. */
int p2p_noise_secure(struct p2p_noise *noise, struct anyio_stream *raw, bool initiator,
	const struct mf_peer_id *expected, struct p2p_noise_result *result);

/* The channel after the handshake. Owns raw; the ciphers are copied. -ENOMEM. */
int p2p_noise_channel_create(struct p2p_noise *noise, struct anyio_stream *raw,
	const struct p2p_cipher *send, const struct p2p_cipher *receive,
	struct p2p_channel **channel);

#endif
