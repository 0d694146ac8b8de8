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

#endif
