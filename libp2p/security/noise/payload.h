/*
 * What the peers say inside a Noise handshake (libp2p/specs noise): NoiseHandshakePayload with the
 * identity key, its signature over the Noise static key, and the muxers for early negotiation.
 * Pure.
 */
#ifndef LIBP2P_NOISE_PAYLOAD_H
#define LIBP2P_NOISE_PAYLOAD_H

#include <libp2p/key.h>
#include <multiformats/pb.h>

enum {
	P2P_NOISE_MUXERS_MAX = 16,   /* entries kept; more are ignored */
	P2P_NOISE_PAYLOAD_MAX = 512, /* longest that we make, bytes */
};

struct p2p_noise_payload {
	struct mf_pb_view identity_key, signature;
	struct mf_pb_view muxers[P2P_NOISE_MUXERS_MAX];
	size_t muxer_count;
};

/* Returns the length, or -ENOSPC. muxers: protocol ids, best first. */
ssize_t p2p_noise_payload_encode(const struct p2p_key *key, const uint8_t static_public[32],
	const char *const *muxers, size_t muxer_count, uint8_t *out, size_t cap);

/* Points into data. Unknown fields are skipped. -EINVAL when malformed or without key or signature.
 */
int p2p_noise_payload_decode(struct p2p_noise_payload *payload, const uint8_t *data, size_t len);

/* Checks the signature and makes the peer id. -EBADMSG, -EINVAL for a bad key, -ENOMEM. */
int p2p_noise_payload_verify(const struct p2p_noise_payload *payload,
	const uint8_t static_public[32], struct mf_peer_id *peer);

/* The first of the initiator's muxers that the responder has too, as index into ours; -ENOENT when
 * the two lists share none (early negotiation did not happen: use multistream-select). */
int p2p_noise_payload_choose_muxer(const struct p2p_noise_payload *payload, bool initiator,
	const char *const *ours, size_t count);

#endif
