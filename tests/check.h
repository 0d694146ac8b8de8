/*
 * What the tests of every floor share. Bodies run on task stacks, where cmocka's assertions cannot
 * jump out of: they return what went wrong, and the runner asserts.
 */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <anyio/anyio.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			print_error("%s:%d: [%s] %s\n", __FILE__, __LINE__, anyio_backend_name(),  \
				#condition);                                                       \
			return -EPROTO;                                                            \
		}                                                                                  \
	} while (0)
#define CHECK_RC(expected, call)                                                                   \
	do {                                                                                       \
		long rc_ = (call), expected_ = (expected);                                         \
		if (rc_ != expected_) {                                                            \
			print_error("%s:%d: [%s] %s: %ld (%s), not %ld\n", __FILE__, __LINE__,     \
				anyio_backend_name(), #call, rc_, anyio_error_name((int)rc_),      \
				expected_);                                                        \
			return -EPROTO;                                                            \
		}                                                                                  \
	} while (0)

#endif
