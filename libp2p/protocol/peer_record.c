#include "identify_codec.h"

#include <errno.h>
#include <string.h>

#include <multiformats/varint.h>

static const char domain[] = "libp2p-peer-record";
static const uint8_t payload_type[] = { 0x03, 0x01 };

struct envelope {
	struct mf_pb_view key, type, payload, signature;
};

static int envelope_decode(struct envelope *envelope, struct mf_pb_view bytes)
{
	struct mf_pb_reader in = mf_pb_read(bytes.data, bytes.len);
	struct mf_pb_field field;
	int rc;

	*envelope = (struct envelope){ 0 };
	while ((rc = mf_pb_next(&in, &field)) > 0) {
		switch (field.key) {
		case MF_PB_KEY(1, MF_PB_BYTES): envelope->key = field.bytes; break;
		case MF_PB_KEY(2, MF_PB_BYTES): envelope->type = field.bytes; break;
		case MF_PB_KEY(3, MF_PB_BYTES): envelope->payload = field.bytes; break;
		case MF_PB_KEY(5, MF_PB_BYTES): envelope->signature = field.bytes; break;
		}
	}
	if (rc < 0 || !envelope->key.data || !envelope->payload.data || !envelope->signature.data)
		return -EINVAL;
	return 0;
}

static size_t put_prefixed(uint8_t *out, const void *data, size_t len)
{
	size_t n = (size_t)mf_varint_encode(len, out);

	memcpy(out + n, data, len);
	return n + len;
}

/* What is signed: domain, type and payload, each with its length. out holds the payload and 64. */
static size_t signed_text(uint8_t *out, const void *payload, size_t len)
{
	uint8_t *at = out;

	at += put_prefixed(at, domain, strlen(domain));
	at += put_prefixed(at, payload_type, sizeof payload_type);
	at += put_prefixed(at, payload, len);
	return (size_t)(at - out);
}

static int address_decode(struct p2p_identify *message, struct mf_pb_view bytes)
{
	struct mf_pb_reader in = mf_pb_read(bytes.data, bytes.len);
	struct mf_pb_field field;
	int rc;

	while ((rc = mf_pb_next(&in, &field)) > 0) {
		if (field.key != MF_PB_KEY(1, MF_PB_BYTES))
			continue;
		if (message->address_count == P2P_ADDRESSES_PER_PEER)
			return -E2BIG;
		message->addresses[message->address_count++] = field.bytes;
	}
	return rc;
}

static int record_decode(
	struct mf_pb_view payload, struct mf_peer_id *peer, struct p2p_identify *message)
{
	struct mf_pb_reader in = mf_pb_read(payload.data, payload.len);
	struct mf_pb_field field;
	int rc;

	if (message)
		message->address_count = 0;
	peer->len = 0;
	while ((rc = mf_pb_next(&in, &field)) > 0) {
		if (field.key == MF_PB_KEY(1, MF_PB_BYTES) &&
			mf_peer_id_decode(peer, field.bytes.data, field.bytes.len) < 0)
			return -EINVAL;
		if (field.key == MF_PB_KEY(3, MF_PB_BYTES) && message) {
			rc = address_decode(message, field.bytes);
			if (rc < 0)
				return rc;
		}
	}
	return rc;
}

int p2p_peer_record_open(
	struct mf_pb_view bytes, const struct mf_peer_id *sender, struct p2p_identify *message)
{
	uint8_t text[P2P_IDENTIFY_PART_MAX + 64];
	struct mf_peer_id signer, subject;
	struct envelope envelope;
	int rc = envelope_decode(&envelope, bytes);

	if (rc < 0)
		return rc;
	if (envelope.payload.len > P2P_IDENTIFY_PART_MAX)
		return -E2BIG;
	if (envelope.type.len != sizeof payload_type ||
		memcmp(envelope.type.data, payload_type, sizeof payload_type) != 0)
		return -EINVAL;
	mf_peer_id_of_key(&signer, envelope.key.data, envelope.key.len);
	if (!mf_peer_id_equal(&signer, sender))
		return -EBADMSG;
	rc = p2p_public_key_verify(envelope.key.data, envelope.key.len, text,
		signed_text(text, envelope.payload.data, envelope.payload.len),
		envelope.signature.data, envelope.signature.len);
	if (rc < 0)
		return rc;
	rc = record_decode(envelope.payload, &subject, message);
	if (rc < 0)
		return rc;
	return mf_peer_id_equal(&subject, sender) ? 0 : -EBADMSG;
}

static ssize_t record_encode(const struct mf_peer_id *peer, uint64_t sequence,
	const struct mf_pb_view *addresses, size_t count, uint8_t *out, size_t cap)
{
	struct mf_pb_writer writer = mf_pb_write_fixed(out, cap);
	size_t mark;

	mf_pb_put_bytes(&writer, 1, peer->bytes, peer->len);
	mf_pb_put_varint(&writer, 2, sequence);
	for (size_t i = 0; i < count; i++) {
		mark = mf_pb_open(&writer, 3);
		mf_pb_put_bytes(&writer, 1, addresses[i].data, addresses[i].len);
		mf_pb_close(&writer, mark);
	}
	return mf_pb_finish(&writer);
}

ssize_t p2p_peer_record_seal(const struct p2p_key *key, uint64_t sequence,
	const struct mf_pb_view *addresses, size_t count, uint8_t *out, size_t cap)
{
	uint8_t payload[P2P_IDENTIFY_SEND_MAX], text[P2P_IDENTIFY_SEND_MAX + 64];
	uint8_t public[64], signature[64];
	struct mf_pb_writer writer = mf_pb_write_fixed(out, cap);
	struct mf_peer_id peer;
	ssize_t len, public_len = p2p_key_public(key, public, sizeof public);

	p2p_key_peer_id(key, &peer);
	len = record_encode(&peer, sequence, addresses, count, payload, sizeof payload);
	if (len < 0)
		return len;
	p2p_key_sign(key, text, signed_text(text, payload, (size_t)len), signature);
	mf_pb_put_bytes(&writer, 1, public, (size_t)public_len);
	mf_pb_put_bytes(&writer, 2, payload_type, sizeof payload_type);
	mf_pb_put_bytes(&writer, 3, payload, (size_t)len);
	mf_pb_put_bytes(&writer, 5, signature, sizeof signature);
	return mf_pb_finish(&writer);
}
