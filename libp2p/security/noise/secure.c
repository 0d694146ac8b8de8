/* The handshake over a stream: three messages, each behind its length. */
#include <errno.h>
#include <string.h>

#include <sodium.h>

#include <anyio/memory.h>

#include "noise.h"

int p2p_noise_init(struct p2p_noise *noise, const struct p2p_key *key, const char *const *muxers,
	size_t muxer_count)
{
	ssize_t n;
	int rc;

	*noise = (struct p2p_noise){ .muxers = muxers, .muxer_count = muxer_count };
	rc = p2p_aead_init(&noise->aead);
	if (rc < 0)
		return rc;
	p2p_noise_keypair_generate(&noise->keypair);
	n = p2p_noise_payload_encode(key, noise->keypair.public, muxers, muxer_count,
		noise->payload, sizeof noise->payload);
	noise->payload_len = n < 0 ? 0 : (size_t)n;
	return n < 0 ? (int)n : 0;
}

void p2p_noise_destroy(struct p2p_noise *noise)
{
	p2p_aead_destroy(&noise->aead);
	p2p_buffers_destroy(&noise->buffers);
	sodium_memzero(&noise->keypair, sizeof noise->keypair);
}

struct exchange {
	struct p2p_noise *noise;
	struct anyio_stream *raw;
	bool initiator;
	struct p2p_noise_handshake state;
	struct p2p_noise_result *result;
};

static int send_message(struct exchange *x, bool with_payload)
{
	uint8_t out[2 + P2P_NOISE_PAYLOAD_MAX + P2P_NOISE_OVERHEAD];
	ssize_t n = p2p_noise_handshake_write(&x->state, &x->noise->aead, x->noise->payload,
		with_payload ? x->noise->payload_len : 0, out + 2, sizeof out - 2);

	if (n < 0)
		return (int)n;
	out[0] = (uint8_t)(n >> 8);
	out[1] = (uint8_t)n;
	return anyio_stream_send(x->raw, out, (size_t)n + 2);
}

static int take_payload(struct exchange *x, const uint8_t *data, size_t len)
{
	struct p2p_noise_payload payload;
	int rc = p2p_noise_payload_decode(&payload, data, len);

	if (rc == 0)
		rc = p2p_noise_payload_verify(&payload, x->state.remote_static, &x->result->peer);
	if (rc < 0)
		return rc;
	x->result->muxer = p2p_noise_payload_choose_muxer(
		&payload, x->initiator, x->noise->muxers, x->noise->muxer_count);
	return 0;
}

/* Nobody's identity is in message 1; what a payload there says is ignored. */
static int receive_message(struct exchange *x, bool with_payload)
{
	uint8_t prefix[2], *message, *payload;
	size_t len;
	ssize_t n;
	int rc = anyio_stream_receive_exactly(x->raw, prefix, sizeof prefix);

	if (rc < 0)
		return rc;
	len = (size_t)prefix[0] << 8 | prefix[1];
	if (len > P2P_NOISE_HANDSHAKE_MAX)
		return -EMSGSIZE;
	message = anyio_malloc(len ? len : 1);
	if (!message)
		return -ENOMEM;
	rc = anyio_stream_receive_exactly(x->raw, message, len);
	if (rc == 0) {
		n = p2p_noise_handshake_read(&x->state, &x->noise->aead, message, len, &payload);
		if (n < 0)
			rc = (int)n;
		else if (with_payload)
			rc = take_payload(x, payload, (size_t)n);
	}
	anyio_free(message);
	return rc;
}

static int shake_hands(struct exchange *x, const struct mf_peer_id *expected)
{
	int rc;

	if (!x->initiator) {
		rc = receive_message(x, false);
		if (rc == 0)
			rc = send_message(x, true);
		if (rc == 0)
			rc = receive_message(x, true);
	} else {
		rc = send_message(x, false);
		if (rc == 0)
			rc = receive_message(x, true);
	}
	if (rc == 0 && expected && !mf_peer_id_equal(expected, &x->result->peer))
		rc = -EPERM;
	if (rc == 0 && x->initiator)
		rc = send_message(x, true);
	return rc;
}

int p2p_noise_secure(struct p2p_noise *noise, struct anyio_stream *raw, bool initiator,
	const struct mf_peer_id *expected, struct p2p_noise_result *result)
{
	struct exchange x = {
		.noise = noise, .raw = raw, .initiator = initiator, .result = result
	};
	struct p2p_noise_keypair ephemeral;
	struct p2p_cipher send, receive;
	int rc;

	*result = (struct p2p_noise_result){ .muxer = -1 };
	p2p_noise_keypair_generate(&ephemeral);
	p2p_noise_handshake_init(&x.state, initiator, NULL, 0, &noise->keypair, &ephemeral);
	sodium_memzero(&ephemeral, sizeof ephemeral);
	rc = shake_hands(&x, expected);
	if (rc == 0)
		rc = p2p_noise_handshake_split(&x.state, &send, &receive);
	if (rc == 0)
		rc = p2p_noise_channel_create(noise, raw, &send, &receive, &result->channel);
	p2p_noise_handshake_wipe(&x.state);
	sodium_memzero(&send, sizeof send);
	sodium_memzero(&receive, sizeof receive);
	return rc;
}
