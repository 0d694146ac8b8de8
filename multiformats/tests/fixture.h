/* What the tests of this layer share: the public fixtures, and bytes from hex. */
#ifndef MULTIFORMATS_TESTS_FIXTURE_H
#define MULTIFORMATS_TESTS_FIXTURE_H

#include "../../tests/fixtures.h"

/* Opens a file of the public fixtures, see there. */
static inline FILE *fixture_open(const char *name)
{
	char path[4096];

	fixture_path(name, path, sizeof(path));
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	return file;
}

/* Bytes of a hex text. Returns how many. */
static inline size_t unhex(const char *hex, uint8_t *out, size_t cap)
{
	size_t n = 0;
	unsigned byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
		assert_true(n < cap);
		out[n++] = (uint8_t)byte;
	}
	return n;
}

static inline void assert_hex(const uint8_t *bytes, size_t len, const char *hex)
{
	uint8_t expected[4096];

	assert_int_equal(unhex(hex, expected, sizeof(expected)), len);
	assert_memory_equal(bytes, expected, len);
}

#endif
