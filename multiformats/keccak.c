#include "hash.h"

#include <string.h>

enum { LANES = 25, ROUNDS = 24 };

static uint64_t rotate(uint64_t x, unsigned n)
{
	return n ? x << n | x >> (64 - n) : x;
}

/* One step of the round constants' shift register; the bit says whether to flip. */
static int lfsr_step(uint8_t *lfsr)
{
	int bit = *lfsr & 1;

	*lfsr = (uint8_t)(*lfsr << 1 ^ (*lfsr & 0x80 ? 0x71 : 0));
	return bit;
}

static void theta(uint64_t a[LANES])
{
	uint64_t c[5];

	for (int x = 0; x < 5; x++)
		c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
	for (int i = 0; i < LANES; i++)
		a[i] ^= c[(i + 4) % 5] ^ rotate(c[(i + 1) % 5], 1);
}

static void rho_pi(uint64_t a[LANES])
{
	uint64_t carried = a[1];

	for (unsigned t = 0, x = 1, y = 0; t < 24; t++) {
		unsigned next = (2 * x + 3 * y) % 5;
		x = y;
		y = next;
		uint64_t lane = a[x + 5 * y];
		a[x + 5 * y] = rotate(carried, (t + 1) * (t + 2) / 2 % 64);
		carried = lane;
	}
}

static void chi(uint64_t a[LANES])
{
	for (int y = 0; y < LANES; y += 5) {
		uint64_t row[5];
		memcpy(row, a + y, sizeof row);
		for (int x = 0; x < 5; x++)
			a[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
	}
}

/* FIPS 202 section 3.3; the constants are computed, so that no table can be mistyped. */
static void permute(uint64_t a[LANES])
{
	uint8_t lfsr = 1;

	for (int round = 0; round < ROUNDS; round++) {
		theta(a);
		rho_pi(a);
		chi(a);
		for (int j = 0; j < 7; j++)
			if (lfsr_step(&lfsr))
				a[0] ^= 1ull << ((1 << j) - 1);
	}
}

static void absorb(uint64_t a[LANES], const uint8_t *block, size_t rate)
{
	for (size_t i = 0; i < rate; i++)
		a[i / 8] ^= (uint64_t)block[i] << (8 * (i % 8));
	permute(a);
}

void hash_keccak(const uint8_t *data, size_t len, size_t digest_len, uint8_t *out)
{
	uint64_t a[LANES] = { 0 };
	size_t rate = 200 - 2 * digest_len;
	uint8_t last[200] = { 0 };

	for (; len >= rate; data += rate, len -= rate)
		absorb(a, data, rate);
	if (len > 0)
		memcpy(last, data, len);
	last[len] ^= 0x01;
	last[rate - 1] ^= 0x80;
	absorb(a, last, rate);
	for (size_t i = 0; i < digest_len; i++)
		out[i] = (uint8_t)(a[i / 8] >> (8 * (i % 8)));
}
