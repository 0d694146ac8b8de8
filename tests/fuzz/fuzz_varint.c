/* Whatever is read is written back the same; the reader stays inside its bytes. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <multiformats/varint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[MF_VARINT_WRITE_MAX];
	uint64_t value;

	int n = mf_varint_decode(data, size, &value);
	if (n < 0) {
		if (n != -EINVAL && n != -EAGAIN)
			abort();
		return 0;
	}
	if (n > (int)size || mf_varint_encode(value, again) != n ||
		memcmp(again, data, (size_t)n) || mf_varint_size(value) != n)
		abort();
	return 0;
}
