#include "handshake.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

#include <multiformats/sha256.h>

static const char protocol_name[32] = "Noise_XX_25519_ChaChaPoly_SHA256";

void p2p_noise_keypair_of(struct p2p_noise_keypair *pair, const uint8_t secret[P2P_NOISE_DH])
{
	memcpy(pair->secret, secret, P2P_NOISE_DH);
	crypto_scalarmult_base(pair->public, pair->secret);
}

void p2p_noise_keypair_generate(struct p2p_noise_keypair *pair)
{
	uint8_t secret[P2P_NOISE_DH];

	randombytes_buf(secret, sizeof secret);
	p2p_noise_keypair_of(pair, secret);
	sodium_memzero(secret, sizeof secret);
}

static void mix_hash(struct p2p_noise_handshake *hs, const void *data, size_t len)
{
	struct mf_sha256 state;

	mf_sha256_init(&state);
	mf_sha256_update(&state, hs->hash, sizeof hs->hash);
	mf_sha256_update(&state, data, len);
	mf_sha256_final(&state, hs->hash);
}

static void hmac(uint8_t out[32], const uint8_t key[32], const void *data, size_t len)
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key, 32);
	crypto_auth_hmacsha256_update(&state, data, len);
	crypto_auth_hmacsha256_final(&state, out);
	sodium_memzero(&state, sizeof state);
}

/* HKDF with two outputs (Noise, section 4.3). first may be chaining_key itself. */
static void hkdf(const uint8_t chaining_key[32], const void *input, size_t len, uint8_t first[32],
	uint8_t second[32])
{
	uint8_t secret[32], block[33];

	hmac(secret, chaining_key, input, len);
	hmac(first, secret, "\x01", 1);
	memcpy(block, first, 32);
	block[32] = 2;
	hmac(second, secret, block, sizeof block);
	sodium_memzero(secret, sizeof secret);
	sodium_memzero(block, sizeof block);
}

/* A shared secret of all zeros means that the other side sent a point of low order: refused. */
static int mix_dh(struct p2p_noise_handshake *hs, const struct p2p_noise_keypair *own,
	const uint8_t remote[P2P_NOISE_DH])
{
	uint8_t shared[P2P_NOISE_DH];

	if (crypto_scalarmult(shared, own->secret, remote) != 0)
		return -EBADMSG;
	hkdf(hs->chaining_key, shared, sizeof shared, hs->chaining_key, hs->cipher.key);
	hs->cipher.counter = 0;
	hs->keyed = true;
	sodium_memzero(shared, sizeof shared);
	return 0;
}

/* Appends data, sealed once there is a key, and mixes what was written. */
static int put_sealed(struct p2p_noise_handshake *hs, struct p2p_aead *aead, const void *data,
	size_t len, uint8_t **out)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct p2p_gather from = { .iov = &iov, .count = 1 };
	int rc;

	if (!hs->keyed) {
		if (len)
			memcpy(*out, data, len);
	} else {
		rc = p2p_cipher_seal(
			aead, &hs->cipher, hs->hash, sizeof hs->hash, &from, len, *out);
		if (rc < 0)
			return rc;
		len += P2P_AEAD_TAG;
	}
	mix_hash(hs, *out, len);
	*out += len;
	return 0;
}

/* Takes len bytes on the wire and opens them in place: the length inside. */
static ssize_t take_sealed(
	struct p2p_noise_handshake *hs, struct p2p_aead *aead, uint8_t *data, size_t len)
{
	uint8_t before[P2P_NOISE_HASH];

	memcpy(before, hs->hash, sizeof before);
	mix_hash(hs, data, len);
	if (!hs->keyed)
		return (ssize_t)len;
	return p2p_cipher_open(aead, &hs->cipher, before, sizeof before, data, len);
}

void p2p_noise_handshake_init(struct p2p_noise_handshake *hs, bool initiator, const void *prologue,
	size_t prologue_len, const struct p2p_noise_keypair *own_static,
	const struct p2p_noise_keypair *own_ephemeral)
{
	*hs = (struct p2p_noise_handshake){
		.initiator = initiator,
		.own_static = *own_static,
		.own_ephemeral = *own_ephemeral,
	};
	memcpy(hs->hash, protocol_name, sizeof protocol_name);
	memcpy(hs->chaining_key, hs->hash, sizeof hs->hash);
	mix_hash(hs, prologue, prologue_len);
}

void p2p_noise_handshake_wipe(struct p2p_noise_handshake *hs)
{
	sodium_memzero(hs, sizeof *hs);
}

static int write_tokens(struct p2p_noise_handshake *hs, struct p2p_aead *aead, uint8_t **out)
{
	int rc;

	if (hs->step < 2) {
		memcpy(*out, hs->own_ephemeral.public, P2P_NOISE_DH);
		mix_hash(hs, *out, P2P_NOISE_DH);
		*out += P2P_NOISE_DH;
	}
	if (hs->step == 0)
		return 0;
	if (hs->step == 1) {
		rc = mix_dh(hs, &hs->own_ephemeral, hs->remote_ephemeral);
		if (rc < 0)
			return rc;
	}
	rc = put_sealed(hs, aead, hs->own_static.public, P2P_NOISE_DH, out);
	return rc < 0 ? rc : mix_dh(hs, &hs->own_static, hs->remote_ephemeral);
}

ssize_t p2p_noise_handshake_write(struct p2p_noise_handshake *hs, struct p2p_aead *aead,
	const void *payload, size_t len, uint8_t *out, size_t cap)
{
	uint8_t *at = out;
	int rc;

	if (hs->step > 2 || (hs->step % 2 == 0) != hs->initiator)
		return -EPROTO;
	if (cap < P2P_NOISE_OVERHEAD || len > cap - P2P_NOISE_OVERHEAD)
		return -ENOSPC;
	rc = write_tokens(hs, aead, &at);
	if (rc == 0)
		rc = put_sealed(hs, aead, payload, len, &at);
	hs->step = rc < 0 ? UINT8_MAX : hs->step + 1;
	return rc < 0 ? rc : at - out;
}

/* Reads the static key of the other side and mixes our ephemeral key with it (es or se). */
static int read_static(
	struct p2p_noise_handshake *hs, struct p2p_aead *aead, uint8_t **at, const uint8_t *end)
{
	ssize_t n;

	if (end - *at < P2P_NOISE_DH + P2P_AEAD_TAG)
		return -EBADMSG;
	n = take_sealed(hs, aead, *at, P2P_NOISE_DH + P2P_AEAD_TAG);
	if (n < 0)
		return (int)n;
	memcpy(hs->remote_static, *at, P2P_NOISE_DH);
	*at += P2P_NOISE_DH + P2P_AEAD_TAG;
	return mix_dh(hs, &hs->own_ephemeral, hs->remote_static);
}

static int read_tokens(
	struct p2p_noise_handshake *hs, struct p2p_aead *aead, uint8_t **at, const uint8_t *end)
{
	int rc;

	if (hs->step < 2) {
		if (end - *at < P2P_NOISE_DH)
			return -EBADMSG;
		memcpy(hs->remote_ephemeral, *at, P2P_NOISE_DH);
		mix_hash(hs, *at, P2P_NOISE_DH);
		*at += P2P_NOISE_DH;
	}
	if (hs->step == 0)
		return 0;
	if (hs->step == 1) {
		rc = mix_dh(hs, &hs->own_ephemeral, hs->remote_ephemeral);
		if (rc < 0)
			return rc;
	}
	return read_static(hs, aead, at, end);
}

ssize_t p2p_noise_handshake_read(struct p2p_noise_handshake *hs, struct p2p_aead *aead,
	uint8_t *message, size_t len, uint8_t **payload)
{
	uint8_t *at = message;
	ssize_t n;

	if (hs->step > 2 || (hs->step % 2 == 1) != hs->initiator)
		return -EPROTO;
	n = read_tokens(hs, aead, &at, message + len);
	if (n == 0)
		n = take_sealed(hs, aead, at, (size_t)(message + len - at));
	hs->step = n < 0 ? UINT8_MAX : hs->step + 1;
	*payload = at;
	return n;
}

int p2p_noise_handshake_split(
	struct p2p_noise_handshake *hs, struct p2p_cipher *send, struct p2p_cipher *receive)
{
	if (hs->step != 3)
		return -EPROTO;
	*send = *receive = (struct p2p_cipher){ 0 };
	hkdf(hs->chaining_key, NULL, 0, hs->initiator ? send->key : receive->key,
		hs->initiator ? receive->key : send->key);
	p2p_noise_handshake_wipe(hs);
	return 0;
}
