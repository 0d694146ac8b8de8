/* The hash functions libcrypto and libsodium do not have. */
#ifndef MULTIFORMATS_PRIVATE_HASH_H
#define MULTIFORMATS_PRIVATE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Original Keccak (padding 0x01, as Ethereum uses it); digest of 28, 32, 48 or 64 bytes. */
void hash_keccak(const uint8_t *data, size_t len, size_t digest_len, uint8_t *out);

/* BLAKE3, digest of any length. */
void hash_blake3(const uint8_t *data, size_t len, size_t digest_len, uint8_t *out);

#endif
