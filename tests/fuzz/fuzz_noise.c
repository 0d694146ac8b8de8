/*
 * Noise from the outside: any message in any step, payloads, and transport frames. The first byte chooses; a
 * handshake between two honest sides is then broken by the rest of the input.
 */
#include <assert.h>
#include <string.h>

#include "libp2p/security/noise/handshake.h"
#include "libp2p/security/noise/payload.h"

static struct p2p_aead aead;

static void begin(struct p2p_noise_handshake *side, bool initiator, uint8_t seed)
{
	struct p2p_noise_keypair own_static, ephemeral;
	uint8_t secret[32] = { seed };

	p2p_noise_keypair_of(&own_static, secret);
	secret[1] = 1;
	p2p_noise_keypair_of(&ephemeral, secret);
	p2p_noise_handshake_init(side, initiator, NULL, 0, &own_static, &ephemeral);
}

static void hear(struct p2p_noise_handshake *side, const uint8_t *data, size_t size)
{
	uint8_t message[4096], *payload;
	ssize_t n;

	size = size < sizeof message ? size : sizeof message;
	if (size)
		memcpy(message, data, size);
	n = p2p_noise_handshake_read(side, &aead, message, size, &payload);
	assert(n <= (ssize_t)size);
	assert(n < 0 || (payload >= message && payload + n <= message + size));
}

static void take_payload(const uint8_t *data, size_t size)
{
	static const char *const muxers[] = { "/yamux/1.0.0" };
	struct p2p_noise_payload payload;
	struct mf_peer_id peer;

	if (p2p_noise_payload_decode(&payload, data, size) < 0)
		return;
	p2p_noise_payload_verify(
		&payload, (const uint8_t *)"0123456789abcdef0123456789abcdef", &peer);
	p2p_noise_payload_choose_muxer(&payload, true, muxers, 1);
	p2p_noise_payload_choose_muxer(&payload, false, muxers, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct p2p_noise_handshake a, b;
	uint8_t message[256], *payload;
	uint8_t choice = size ? data[0] % 4 : 0;
	ssize_t n;

	if (!aead.seal)
		assert(p2p_aead_init(&aead) == 0);
	data += size > 0;
	size -= size > 0;
	if (choice == 3) {
		take_payload(data, size);
		return 0;
	}
	begin(&a, true, 1);
	begin(&b, false, 2);
	if (choice == 0) {
		hear(&b, data, size);
		return 0;
	}
	n = p2p_noise_handshake_write(&a, &aead, NULL, 0, message, sizeof message);
	assert(p2p_noise_handshake_read(&b, &aead, message, (size_t)n, &payload) == 0);
	n = p2p_noise_handshake_write(&b, &aead, "x", 1, message, sizeof message);
	if (choice == 1) {
		hear(&a, data, size);
	} else {
		assert(p2p_noise_handshake_read(&a, &aead, message, (size_t)n, &payload) == 1);
		hear(&b, data, size);
	}
	return 0;
}
