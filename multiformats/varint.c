#include <multiformats/varint.h>

#include <errno.h>

int mf_varint_decode(const uint8_t *p, size_t len, uint64_t *out)
{
	uint64_t value = 0;

	for (int i = 0; i < MF_VARINT_READ_MAX; i++) {
		if ((size_t)i == len)
			return -EAGAIN;
		value |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if (p[i] & 0x80)
			continue;
		if (p[i] == 0 && i > 0)
			return -EINVAL;
		*out = value;
		return i + 1;
	}
	return -EINVAL;
}

int mf_varint_encode(uint64_t value, uint8_t out[MF_VARINT_WRITE_MAX])
{
	int n = 0;

	for (; value >= 0x80; value >>= 7)
		out[n++] = (uint8_t)(value | 0x80);
	out[n++] = (uint8_t)value;
	return n;
}

int mf_varint_size(uint64_t value)
{
	/* The |1 makes zero one bit long; clz of zero is undefined. */
	return (63 - __builtin_clzll(value | 1)) / 7 + 1;
}
