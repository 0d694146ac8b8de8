#include "payload.h"

#include <errno.h>
#include <string.h>

static const char signed_prefix[24] = "noise-libp2p-static-key:";

static void signed_text(uint8_t out[sizeof signed_prefix + 32], const uint8_t static_public[32])
{
	memcpy(out, signed_prefix, sizeof signed_prefix);
	memcpy(out + sizeof signed_prefix, static_public, 32);
}

ssize_t p2p_noise_payload_encode(const struct p2p_key *key, const uint8_t static_public[32],
	const char *const *muxers, size_t muxer_count, uint8_t *out, size_t cap)
{
	struct mf_pb_writer writer = mf_pb_write_fixed(out, cap);
	uint8_t public[64], text[sizeof signed_prefix + 32], signature[64];
	ssize_t public_len = p2p_key_public(key, public, sizeof public);
	size_t mark;

	signed_text(text, static_public);
	p2p_key_sign(key, text, sizeof text, signature);
	mf_pb_put_bytes(&writer, 1, public, (size_t)public_len);
	mf_pb_put_bytes(&writer, 2, signature, sizeof signature);
	if (muxer_count > 0) {
		mark = mf_pb_open(&writer, 4);
		for (size_t i = 0; i < muxer_count; i++)
			mf_pb_put_text(&writer, 2, muxers[i]);
		mf_pb_close(&writer, mark);
	}
	return mf_pb_finish(&writer);
}

static int decode_extensions(struct p2p_noise_payload *payload, struct mf_pb_view bytes)
{
	struct mf_pb_reader in = mf_pb_read(bytes.data, bytes.len);
	struct mf_pb_field field;
	int rc;

	while ((rc = mf_pb_next(&in, &field)) > 0)
		if (field.key == MF_PB_KEY(2, MF_PB_BYTES) &&
			payload->muxer_count < P2P_NOISE_MUXERS_MAX)
			payload->muxers[payload->muxer_count++] = field.bytes;
	return rc;
}

int p2p_noise_payload_decode(struct p2p_noise_payload *payload, const uint8_t *data, size_t len)
{
	struct mf_pb_reader in = mf_pb_read(data, len);
	struct mf_pb_field field;
	int rc;

	*payload = (struct p2p_noise_payload){ 0 };
	while ((rc = mf_pb_next(&in, &field)) > 0) {
		switch (field.key) {
		case MF_PB_KEY(1, MF_PB_BYTES): payload->identity_key = field.bytes; break;
		case MF_PB_KEY(2, MF_PB_BYTES): payload->signature = field.bytes; break;
		case MF_PB_KEY(4, MF_PB_BYTES):
			if (decode_extensions(payload, field.bytes) < 0)
				return -EINVAL;
			break;
		}
	}
	if (rc < 0 || !payload->identity_key.data || !payload->signature.data)
		return -EINVAL;
	return 0;
}

int p2p_noise_payload_verify(const struct p2p_noise_payload *payload,
	const uint8_t static_public[32], struct mf_peer_id *peer)
{
	uint8_t text[sizeof signed_prefix + 32];
	int rc;

	signed_text(text, static_public);
	rc = p2p_public_key_verify(payload->identity_key.data, payload->identity_key.len, text,
		sizeof text, payload->signature.data, payload->signature.len);
	if (rc == 0)
		mf_peer_id_of_key(peer, payload->identity_key.data, payload->identity_key.len);
	return rc;
}

static bool same(struct mf_pb_view view, const char *text)
{
	return view.len == strlen(text) && memcmp(view.data, text, view.len) == 0;
}

int p2p_noise_payload_choose_muxer(const struct p2p_noise_payload *payload, bool initiator,
	const char *const *ours, size_t count)
{
	size_t outer = initiator ? count : payload->muxer_count;
	size_t inner = initiator ? payload->muxer_count : count;

	for (size_t i = 0; i < outer; i++)
		for (size_t j = 0; j < inner; j++) {
			size_t own = initiator ? i : j, other = initiator ? j : i;

			if (same(payload->muxers[other], ours[own]))
				return (int)own;
		}
	return -ENOENT;
}
