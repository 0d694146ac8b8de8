/*
 * Other peers' keys. Ed25519 goes to libsodium, which is more than twice as fast; the rest are
 * parsed and verified by OpenSSL. RSA keys are measured before anything is computed with them,
 * because the time a verification takes grows with the size an attacker chooses (CVE-2023-39533).
 */
#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sodium.h>

#include <libp2p/key.h>

/* secp256k1 keys are bare points: the SubjectPublicKeyInfo around a compressed one. */
static const uint8_t secp256k1_prefix[] = { 0x30, 0x36, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48,
	0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a, 0x03, 0x22, 0x00 };
enum { SECP256K1_POINT = 33 };

static EVP_PKEY *parse_spki(const uint8_t *der, size_t len)
{
	const uint8_t *at = der;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)len);

	if (key && at != der + len) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	return key;
}

static EVP_PKEY *parse_secp256k1(const uint8_t *point, size_t len)
{
	uint8_t der[sizeof secp256k1_prefix + SECP256K1_POINT];

	if (len != SECP256K1_POINT)
		return NULL;
	memcpy(der, secp256k1_prefix, sizeof secp256k1_prefix);
	memcpy(der + sizeof secp256k1_prefix, point, len);
	return parse_spki(der, sizeof der);
}

static bool key_fits(enum mf_key_type type, const EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	if (type != MF_KEY_RSA)
		return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC;
	return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && bits >= P2P_RSA_BITS_MIN &&
		bits <= P2P_RSA_BITS_MAX;
}

static EVP_PKEY *parse_key(const struct mf_public_key *public)
{
	EVP_PKEY *key = public->type == MF_KEY_SECP256K1
		? parse_secp256k1(public->data, public->len)
		: parse_spki(public->data, public->len);

	if (key && !key_fits(public->type, key)) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	ERR_clear_error();
	return key;
}

int p2p_public_key_peer_id(const uint8_t *key, size_t len, struct mf_peer_id *id)
{
	struct mf_public_key public;
	EVP_PKEY *parsed;

	if (len > P2P_PUBLIC_KEY_MAX || mf_public_key_decode(&public, key, len) < 0)
		return -EINVAL;
	if (public.type != MF_KEY_ED25519) {
		parsed = parse_key(&public);
		if (!parsed)
			return -EINVAL;
		EVP_PKEY_free(parsed);
	}
	mf_peer_id_of_key(id, key, len);
	return 0;
}

static int verify_with_openssl(const struct mf_public_key *public, const void *data, size_t len,
	const uint8_t *signature, size_t signature_len)
{
	EVP_PKEY *key = parse_key(public);
	EVP_MD_CTX *context;
	int rc = -ENOMEM;

	if (!key)
		return -EINVAL;
	context = EVP_MD_CTX_new();
	if (context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1) {
		rc = EVP_DigestVerify(context, signature, signature_len, data, len);
		rc = rc == 1 ? 0 : -EBADMSG;
	}
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return rc;
}

int p2p_public_key_verify(const uint8_t *key, size_t key_len, const void *data, size_t len,
	const uint8_t *signature, size_t signature_len)
{
	struct mf_public_key public;

	if (key_len > P2P_PUBLIC_KEY_MAX || signature_len > P2P_SIGNATURE_MAX ||
		mf_public_key_decode(&public, key, key_len) < 0)
		return -EINVAL;
	if (public.type != MF_KEY_ED25519)
		return verify_with_openssl(&public, data, len, signature, signature_len);
	if (signature_len != crypto_sign_BYTES)
		return -EBADMSG;
	return crypto_sign_verify_detached(signature, data, len, public.data) == 0 ? 0 : -EBADMSG;
}
