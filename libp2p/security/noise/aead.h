/* ChaCha20-Poly1305 as Noise uses it: a key, a counter for a nonce. */
#ifndef LIBP2P_NOISE_AEAD_H
#define LIBP2P_NOISE_AEAD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
	P2P_AEAD_KEY = 32, /* bytes */
	P2P_AEAD_TAG = 16,
};

/* The engine: OpenSSL contexts, reused by every connection of a loop, because a context costs more
 * memory than an idle connection should. Holds no secret between calls but the last key used. */
struct p2p_aead {
	void *seal, *open;
};
int p2p_aead_init(struct p2p_aead *aead); /* -ENOMEM */
void p2p_aead_destroy(struct p2p_aead *aead);

/* One direction. The counter never repeats: at its end sealing and opening fail. */
struct p2p_cipher {
	uint8_t key[P2P_AEAD_KEY];
	uint64_t counter;
};

/* A position in a gather list. */
struct p2p_gather {
	const struct iovec *iov;
	int count;
	size_t offset; /* into the first of iov */
};

/* Seals the next len bytes of the list, which must hold as many, into out: len + P2P_AEAD_TAG
 * bytes. Moves the list on. -EOVERFLOW: the counter ran out; -ENOMEM. */
int p2p_cipher_seal(struct p2p_aead *aead, struct p2p_cipher *cipher, const void *ad, size_t ad_len,
	struct p2p_gather *from, size_t len, uint8_t *out);

/* Opens len bytes (the tag included) where they lie. Returns the plaintext's length; -EBADMSG when
 * the tag is wrong or len is under P2P_AEAD_TAG; -EOVERFLOW, -ENOMEM. The counter moves on success
 * only. */
ssize_t p2p_cipher_open(struct p2p_aead *aead, struct p2p_cipher *cipher, const void *ad,
	size_t ad_len, uint8_t *data, size_t len);

#endif
