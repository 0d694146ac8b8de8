/*
 * Everything here is built on one operation: fold whole 64-byte blocks into a state. libcrypto
 * does it through its low-level interface, which keeps its state in the caller's memory and cannot
 * fail; the EVP interface allocates a context and costs more than the hashing of a small block.
 */
#include <multiformats/sha256.h>

#include <string.h>

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

enum { BLOCK = 64 };

static void compress(uint32_t state[8], const uint8_t *data, size_t blocks)
{
	SHA256_CTX ctx = { .num = 0 };

	memcpy(ctx.h, state, sizeof ctx.h);
	SHA256_Update(&ctx, data, blocks * BLOCK);
	memcpy(state, ctx.h, sizeof ctx.h);
}

const char *mf_sha256_engine(void)
{
	return "libcrypto";
}

void mf_sha256_init(struct mf_sha256 *state)
{
	static const uint32_t first[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	memcpy(state->state, first, sizeof first);
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
		compress(state->state, state->block, 1);
	}
	if (len >= BLOCK)
		compress(state->state, at, len / BLOCK);
	if (len % BLOCK > 0)
		memcpy(state->block, at + len - len % BLOCK, len % BLOCK);
}

static void put_be32(uint8_t *out, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		out[i] = (uint8_t)(value >> (24 - 8 * i));
}

void mf_sha256_final(struct mf_sha256 *state, uint8_t out[MF_SHA256_SIZE])
{
	uint8_t last[2 * BLOCK] = { 0 };
	size_t waiting = state->bytes % BLOCK;
	size_t size = waiting < BLOCK - 8 ? BLOCK : 2 * BLOCK;

	memcpy(last, state->block, waiting);
	last[waiting] = 0x80;
	put_be32(last + size - 8, (uint32_t)(state->bytes >> 29));
	put_be32(last + size - 4, (uint32_t)(state->bytes << 3));
	compress(state->state, last, size / BLOCK);
	for (int i = 0; i < 8; i++)
		put_be32(out + 4 * i, state->state[i]);
}

void mf_sha256(const void *data, size_t len, uint8_t out[MF_SHA256_SIZE])
{
	struct mf_sha256 state;

	mf_sha256_init(&state);
	mf_sha256_update(&state, data, len);
	mf_sha256_final(&state, out);
}

void mf_sha256_many(struct mf_sha256_job *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mf_sha256(jobs[i].data, jobs[i].len, jobs[i].digest);
}
