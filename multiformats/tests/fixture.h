/* What the tests of this layer share: the public fixtures, and bytes from hex. */
#ifndef MULTIFORMATS_TESTS_FIXTURE_H
#define MULTIFORMATS_TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Opens a file of the public fixtures. When it is not there the test is skipped, or fails if
 * KIT_REQUIRE_ALL is set. */
static inline FILE *fixture_open(const char *name)
{
	const char *root = getenv("KIT_FIXTURES"), *all = getenv("KIT_REQUIRE_ALL");
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", root ? root : "../shared/fixtures", name);
	FILE *file = fopen(path, "r");
	if (file)
		return file;
	if (all && strcmp(all, "1") == 0)
		fail_msg("fixture %s is not there", path);
	print_message("skipping: fixture %s is not there\n", path);
	skip();
	return NULL;
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
