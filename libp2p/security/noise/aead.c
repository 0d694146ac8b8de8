#include "aead.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

int p2p_aead_init(struct p2p_aead *aead)
{
	EVP_CIPHER *algorithm = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	bool made;

	aead->seal = EVP_CIPHER_CTX_new();
	aead->open = EVP_CIPHER_CTX_new();
	made = algorithm && aead->seal && aead->open &&
		EVP_EncryptInit_ex2(aead->seal, algorithm, NULL, NULL, NULL) == 1 &&
		EVP_DecryptInit_ex2(aead->open, algorithm, NULL, NULL, NULL) == 1;
	EVP_CIPHER_free(algorithm);
	if (made)
		return 0;
	p2p_aead_destroy(aead);
	return -ENOMEM;
}

void p2p_aead_destroy(struct p2p_aead *aead)
{
	EVP_CIPHER_CTX_free(aead->seal);
	EVP_CIPHER_CTX_free(aead->open);
	*aead = (struct p2p_aead){ 0 };
}

/* Four zero bytes, then the counter, little-endian (Noise, section 12.3). */
static void nonce_of(const struct p2p_cipher *cipher, uint8_t nonce[12])
{
	memset(nonce, 0, 4);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(cipher->counter >> 8 * i);
}

static bool seal_pieces(EVP_CIPHER_CTX *context, struct p2p_gather *from, size_t len, uint8_t *out)
{
	while (len > 0) {
		const uint8_t *piece = (const uint8_t *)from->iov->iov_base + from->offset;
		size_t n = from->iov->iov_len - from->offset;
		int done;

		if (n > len)
			n = len;
		if (n > 0 && EVP_EncryptUpdate(context, out, &done, piece, (int)n) != 1)
			return false;
		out += n;
		len -= n;
		from->offset += n;
		if (from->offset == from->iov->iov_len && from->count > 0) {
			from->iov++;
			from->count--;
			from->offset = 0;
		}
	}
	return true;
}

int p2p_cipher_seal(struct p2p_aead *aead, struct p2p_cipher *cipher, const void *ad, size_t ad_len,
	struct p2p_gather *from, size_t len, uint8_t *out)
{
	EVP_CIPHER_CTX *context = aead->seal;
	uint8_t nonce[12];
	int done;

	if (cipher->counter == UINT64_MAX)
		return -EOVERFLOW;
	nonce_of(cipher, nonce);
	if (EVP_EncryptInit_ex2(context, NULL, cipher->key, nonce, NULL) != 1 ||
		(ad_len && EVP_EncryptUpdate(context, NULL, &done, ad, (int)ad_len) != 1) ||
		!seal_pieces(context, from, len, out) ||
		EVP_EncryptFinal_ex(context, out + len, &done) != 1 ||
		EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, P2P_AEAD_TAG, out + len) != 1)
		return -ENOMEM;
	cipher->counter++;
	return 0;
}

ssize_t p2p_cipher_open(struct p2p_aead *aead, struct p2p_cipher *cipher, const void *ad,
	size_t ad_len, uint8_t *data, size_t len)
{
	EVP_CIPHER_CTX *context = aead->open;
	uint8_t nonce[12];
	int done;

	if (len < P2P_AEAD_TAG)
		return -EBADMSG;
	if (cipher->counter == UINT64_MAX)
		return -EOVERFLOW;
	len -= P2P_AEAD_TAG;
	nonce_of(cipher, nonce);
	if (EVP_DecryptInit_ex2(context, NULL, cipher->key, nonce, NULL) != 1 ||
		EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, P2P_AEAD_TAG, data + len) !=
			1 ||
		(ad_len && EVP_DecryptUpdate(context, NULL, &done, ad, (int)ad_len) != 1) ||
		(len && EVP_DecryptUpdate(context, data, &done, data, (int)len) != 1))
		return -ENOMEM;
	if (EVP_DecryptFinal_ex(context, data + len, &done) != 1) {
		ERR_clear_error();
		return -EBADMSG;
	}
	cipher->counter++;
	return (ssize_t)len;
}
