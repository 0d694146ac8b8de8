#include "murmur3.h"

static const uint64_t c1 = 0x87c37b91114253d5u, c2 = 0x4cf5ad432745937fu;

static uint64_t rotate(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static uint64_t load(const uint8_t *p, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value |= (uint64_t)p[i] << (8 * i);
	return value;
}

static uint64_t mix1(uint64_t k)
{
	return rotate(k * c1, 31) * c2;
}

static uint64_t mix2(uint64_t k)
{
	return rotate(k * c2, 33) * c1;
}

static uint64_t finish(uint64_t h)
{
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
	return h ^ h >> 33;
}

uint64_t ipld_murmur3(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t h1 = 0, h2 = 0;
	size_t left = len;

	for (; left >= 16; left -= 16, p += 16) {
		h1 = (rotate(h1 ^ mix1(load(p, 8)), 27) + h2) * 5 + 0x52dce729;
		h2 = (rotate(h2 ^ mix2(load(p + 8, 8)), 31) + h1) * 5 + 0x38495ab5;
	}
	if (left > 8)
		h2 ^= mix2(load(p + 8, left - 8));
	if (left)
		h1 ^= mix1(load(p, left < 8 ? left : 8));
	h1 ^= len;
	h2 ^= len;
	h1 += h2;
	h2 += h1;
	h1 = finish(h1);
	h2 = finish(h2);
	return h1 + h2;
}
