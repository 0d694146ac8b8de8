/* Text that is read comes back as bytes that make, in the same base, text that reads the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <multiformats/multibase.h>

enum { DATA_MAX = 600 };

static void check(uint32_t base, const uint8_t *data, size_t len)
{
	static char text[MF_MULTIBASE_TEXT_SIZE(DATA_MAX)];
	static uint8_t again[DATA_MAX];
	uint32_t read;

	ssize_t n = mf_multibase_encode(base, data, len, text, sizeof(text));
	if (n < 0 || text[n] != '\0')
		abort();
	ssize_t m = mf_multibase_decode(&read, text, (size_t)n, again, sizeof(again));
	if (m != (ssize_t)len || read != base || (len > 0 && memcmp(again, data, len)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[DATA_MAX];
	uint32_t base;

	ssize_t n = mf_multibase_decode(&base, (const char *)data, size, bytes, sizeof(bytes));
	if (n >= 0)
		check(base, bytes, (size_t)n);
	/* And the other way about: these bytes in the base their first byte names. */
	if (size > 0 && size <= DATA_MAX && mf_base_name(data[0]))
		check(data[0], data + 1, size - 1);
	return 0;
}
