/* What the tests of this layer share. */
#ifndef LIBP2P_TESTS_CHECK_H
#define LIBP2P_TESTS_CHECK_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static inline size_t from_hex(const char *hex, uint8_t *out, size_t cap)
{
	size_t len = strlen(hex) / 2;

	assert_true(len <= cap);
	for (size_t i = 0; i < len; i++) {
		unsigned byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return len;
}

/* A file of the public fixtures, or a skip; a failure when everything is required. */
static inline void fixture_path(const char *name, char *out, size_t cap)
{
	const char *root = getenv("KIT_FIXTURES");
	const char *all = getenv("KIT_REQUIRE_ALL");

	snprintf(out, cap, "%s/%s", root ? root : "../shared/fixtures", name);
	if (access(out, R_OK) == 0)
		return;
	if (all && strcmp(all, "1") == 0)
		fail_msg("%s is required", out);
	print_message("skipped: %s is not there\n", out);
	skip();
}

#endif
