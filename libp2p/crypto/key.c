#include <errno.h>
#include <string.h>

#include <sodium.h>

#include <libp2p/key.h>
#include <multiformats/pb.h>

static const uint8_t *key_public_half(const struct p2p_key *key)
{
	return key->secret + 32;
}

void p2p_key_generate(struct p2p_key *key)
{
	uint8_t public[crypto_sign_PUBLICKEYBYTES];

	crypto_sign_keypair(public, key->secret);
}

void p2p_key_from_seed(struct p2p_key *key, const uint8_t seed[32])
{
	uint8_t public[crypto_sign_PUBLICKEYBYTES];

	crypto_sign_seed_keypair(public, key->secret, seed);
}

void p2p_key_wipe(struct p2p_key *key)
{
	sodium_memzero(key, sizeof *key);
}

ssize_t p2p_key_public(const struct p2p_key *key, uint8_t *out, size_t cap)
{
	struct mf_public_key public = {
		.type = MF_KEY_ED25519,
		.data = key_public_half(key),
		.len = MF_ED25519_KEY_SIZE,
	};

	return mf_public_key_encode(&public, out, cap);
}

void p2p_key_peer_id(const struct p2p_key *key, struct mf_peer_id *id)
{
	mf_peer_id_of_ed25519(id, key_public_half(key));
}

void p2p_key_sign(const struct p2p_key *key, const void *data, size_t len, uint8_t signature[64])
{
	crypto_sign_detached(signature, NULL, data, len, key->secret);
}

/* Data is seed and public key; the old form has the public key a second time. */
static int key_from_data(struct p2p_key *key, const uint8_t *data, size_t len)
{
	if (len != 64 && !(len == 96 && sodium_memcmp(data + 32, data + 64, 32) == 0))
		return -EINVAL;
	p2p_key_from_seed(key, data);
	if (sodium_memcmp(key->secret, data, 64) == 0)
		return 0;
	p2p_key_wipe(key);
	return -EINVAL;
}

int p2p_key_decode(struct p2p_key *key, const uint8_t *data, size_t len)
{
	struct mf_pb_reader in = mf_pb_read(data, len);
	struct mf_pb_view secret = { 0 };
	struct mf_pb_field field;
	bool typed = false;
	uint64_t type = 0;
	int rc;

	while ((rc = mf_pb_next(&in, &field)) > 0) {
		switch (field.key) {
		case MF_PB_KEY(1, MF_PB_VARINT):
			type = field.value;
			typed = true;
			break;
		case MF_PB_KEY(2, MF_PB_BYTES): secret = field.bytes; break;
		}
	}
	if (rc < 0 || !typed || !secret.data || type > P2P_KEY_ECDSA)
		return -EINVAL;
	if (type != P2P_KEY_ED25519)
		return -ENOTSUP;
	return key_from_data(key, secret.data, secret.len);
}

ssize_t p2p_key_encode(const struct p2p_key *key, uint8_t *out, size_t cap)
{
	struct mf_pb_writer writer = mf_pb_write_fixed(out, cap);

	mf_pb_put_varint(&writer, 1, P2P_KEY_ED25519);
	mf_pb_put_bytes(&writer, 2, key->secret, sizeof key->secret);
	return mf_pb_finish(&writer);
}
