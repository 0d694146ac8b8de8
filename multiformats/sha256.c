/*
 * One text at a time. Everything is built on folding whole 64-byte blocks into a state; libcrypto
 * does it through its low-level interface, which keeps its state in the caller's memory and cannot
 * fail; the EVP interface allocates a context and costs more than the hashing of a small block.
 */
#include <multiformats/sha256.h>

#include <string.h>

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "engine.h"

enum { BLOCK = SHA256_BLOCK };

const uint32_t sha256_initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
	0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

void sha256_fold_one(uint32_t state[8], const uint8_t *data, size_t blocks)
{
	SHA256_CTX ctx;

	memcpy(ctx.h, state, sizeof(ctx.h));
	ctx.num = 0;
	ctx.Nl = ctx.Nh = 0;
	SHA256_Update(&ctx, data, blocks * BLOCK);
	memcpy(state, ctx.h, sizeof(ctx.h));
}

static void put_be32(uint8_t *out, uint32_t value)
{
	value = __builtin_bswap32(value);
	memcpy(out, &value, sizeof(value));
}

size_t sha256_pad(uint8_t out[2 * BLOCK], const uint8_t *rest, uint64_t len)
{
	size_t waiting = len % BLOCK;
	size_t size = waiting < BLOCK - 8 ? BLOCK : 2 * BLOCK;

	if (waiting > 0)
		memcpy(out, rest, waiting);
	memset(out + waiting, 0, size - waiting);
	out[waiting] = 0x80;
	put_be32(out + size - 8, (uint32_t)(len >> 29));
	put_be32(out + size - 4, (uint32_t)(len << 3));
	return size / BLOCK;
}

void sha256_write_digest(uint8_t out[MF_SHA256_SIZE], const uint32_t state[8])
{
	for (int i = 0; i < 8; i++)
		put_be32(out + 4 * i, state[i]);
}

void mf_sha256(const void *data, size_t len, uint8_t out[MF_SHA256_SIZE])
{
	uint8_t last[2 * BLOCK];
	uint32_t state[8];
	size_t whole = len - len % BLOCK;

	memcpy(state, sha256_initial, sizeof(state));
	if (whole > 0)
		sha256_fold_one(state, data, whole / BLOCK);
	sha256_fold_one(state, last, sha256_pad(last, (const uint8_t *)data + whole, len));
	sha256_write_digest(out, state);
}

void mf_sha256_init(struct mf_sha256 *state)
{
	memcpy(state->state, sha256_initial, sizeof(state->state));
	state->bytes = 0;
}

void mf_sha256_update(struct mf_sha256 *state, const void *data, size_t len)
{
	const uint8_t *at = data;
	size_t waiting = state->bytes % BLOCK;

	if (len == 0)
		return;
	state->bytes += len;
	if (waiting > 0) {
		size_t take = len < BLOCK - waiting ? len : BLOCK - waiting;
		memcpy(state->block + waiting, at, take);
		at += take;
		len -= take;
		if (waiting + take < BLOCK)
			return;
		sha256_fold_one(state->state, state->block, 1);
	}
	if (len >= BLOCK)
		sha256_fold_one(state->state, at, len / BLOCK);
	if (len % BLOCK > 0)
		memcpy(state->block, at + len - len % BLOCK, len % BLOCK);
}

void mf_sha256_final(struct mf_sha256 *state, uint8_t out[MF_SHA256_SIZE])
{
	uint8_t last[2 * BLOCK];

	sha256_fold_one(state->state, last, sha256_pad(last, state->block, state->bytes));
	sha256_write_digest(out, state->state);
}
