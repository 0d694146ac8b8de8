/*
 * The public test data (KIT_FIXTURES, else where meson.build says). A test that does not find it is
 * skipped with a line that says so, and its program ends with 77, which the test runners count; with
 * KIT_REQUIRE_ALL=1 it fails.
 */
#ifndef TESTS_FIXTURES_H
#define TESTS_FIXTURES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static bool fixtures_missed;

/* Writes where a file or folder of them is, "" for all, into out; does not return when it is not there. */
static inline void fixture_path(const char *name, char *out, size_t cap)
{
	const char *root = getenv("KIT_FIXTURES"), *all = getenv("KIT_REQUIRE_ALL");

	snprintf(out, cap, "%s/%s", root ? root : KIT_FIXTURES_DEFAULT, name);
	if (access(out, R_OK) == 0)
		return;
	if (all && strcmp(all, "1") == 0)
		fail_msg("%s is not there, and KIT_REQUIRE_ALL is set", out);
	print_message("skipped: %s is not there (KIT_FIXTURES names the folder)\n", out);
	fixtures_missed = true;
	skip();
}

/* What main returns, from what cmocka's group did. */
static inline int fixtures_exit(int failed)
{
	return !failed && fixtures_missed ? 77 : failed;
}

#endif
