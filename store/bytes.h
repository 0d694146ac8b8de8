/* Little-endian integers in files. */
#ifndef STORE_BYTES_H
#define STORE_BYTES_H

#include <stdint.h>

static inline void put_u32(uint8_t *out, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		out[i] = value >> 8 * i;
}

static inline void put_u64(uint8_t *out, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		out[i] = value >> 8 * i;
}

static inline uint32_t get_u32(const uint8_t *in)
{
	return in[0] | in[1] << 8 | in[2] << 16 | (uint32_t)in[3] << 24;
}

static inline uint64_t get_u64(const uint8_t *in)
{
	return get_u32(in) | (uint64_t)get_u32(in + 4) << 32;
}

#endif
