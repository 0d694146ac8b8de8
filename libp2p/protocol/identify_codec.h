/*
 * The Identify message (libp2p/specs identify) and the signed peer record inside it (RFC 0002,
 * RFC 0003). Pure.
 */
#ifndef LIBP2P_IDENTIFY_CODEC_H
#define LIBP2P_IDENTIFY_CODEC_H

#include <libp2p/host.h>
#include <multiformats/multiaddr.h>
#include <multiformats/pb.h>

enum {
	P2P_IDENTIFY_PART_MAX = 8 * 1024, /* one message, bytes */
	P2P_IDENTIFY_PARTS_MAX = 10,      /* messages that are merged */
	P2P_IDENTIFY_SEND_MAX = 4 * 1024, /* what Rust accepts */
};

struct p2p_identify {
	struct mf_pb_view public_key, observed_address, protocol_version, agent_version;
	struct mf_pb_view signed_record;
	struct mf_pb_view addresses[P2P_ADDRESSES_PER_PEER];
	size_t address_count;
	struct mf_pb_view protocols[P2P_PROTOCOLS_PER_PEER];
	size_t protocol_count;
};

/* Points into data: one message, or several one after the other, which is how protobuf merges.
 * -EINVAL when malformed; -E2BIG for more protocols or addresses than there is room for. */
int p2p_identify_decode(struct p2p_identify *message, const uint8_t *data, size_t len);

/* Leaves out what is empty; addresses and then protocols that would take it over cap are left out.
 * Returns the length, or -ENOSPC when not even the rest fits. */
ssize_t p2p_identify_encode(const struct p2p_identify *message, uint8_t *out, size_t cap);

/* Opens a signed peer record: its signer, and the record's peer, must be `sender`. The addresses
 * replace those of the message when `message` is not NULL. -EBADMSG: another peer's, or a wrong
 * signature; -EINVAL malformed; -E2BIG. */
int p2p_peer_record_open(
	struct mf_pb_view envelope, const struct mf_peer_id *sender, struct p2p_identify *message);
/* Makes one. Returns the length, or -ENOSPC. */
ssize_t p2p_peer_record_seal(const struct p2p_key *key, uint64_t sequence,
	const struct mf_pb_view *addresses, size_t count, uint8_t *out, size_t cap);

#endif
