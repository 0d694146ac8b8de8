/*
 * Runs test bodies over every backend and mode, and checks what is left behind.
 *
 * A body is an ordinary task function run as the root task; it checks with CHECK and CHECK_RC,
 * which record a failure and go on (a task must not jump out of its stack), and returns 0. Each
 * case runs on every backend that works here ($ANYIO_BACKEND narrows it to one), strict and with
 * the budget, and on the simulation in a seeded order with many seeds ($ANYIO_SEEDS says how many for
 * those of the contract; $ANYIO_SEED replays one). After each the open descriptors must be those from before; the loop
 * itself stops the program when a stack or an operation is left.
 *
 * A body that shows something of the contract (contract.txt) says so by its name: it begins with the
 * numbers, cNN for cases and rNN for rules, as in c54_r14_slow_first_address; a letter behind a number
 * tells several bodies of one apart. $ANYIO_CONFORMANCE_LOG names a file to which each run adds a
 * line; contract.py reads it.
 */
#ifndef ANYIO_TESTS_CONFORMANCE_H
#define ANYIO_TESTS_CONFORMANCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <anyio/anyio.h>

#ifdef __cplusplus
extern "C" {
#endif
#include <cmocka.h>

enum conformance_flags {
	CONFORM_MOCK = 1,    /* with the mock clock */
	CONFORM_ORDERED = 2, /* relies on tasks running in the order they became ready */
	CONFORM_NO_SIM = 4,  /* means nothing on the simulation */
	CONFORM_BARE = 8,    /* the body is called outside a loop, its argument is the options */
	CONFORM_SIM = 16,    /* means nothing but on the simulation */
};

struct conformance_case {
	const char *name;
	anyio_task_fn body;
	unsigned flags; /* enum conformance_flags */
};
/* clang-format off */
#define CONFORM(function, flags) { #function, function, flags }
/* clang-format on */

int run_conformance(const struct conformance_case *cases, size_t count);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			conformance_fail(__FILE__, __LINE__, "%s", #condition);                    \
	} while (0)

/* A return code that ought to be another. */
#define CHECK_RC(expression, expected)                                                             \
	do {                                                                                       \
		int64_t check_got = (expression), check_want = (expected);                         \
		if (check_got != check_want)                                                       \
			conformance_fail(__FILE__, __LINE__, "%s is %lld (%s), not %lld (%s)",     \
				#expression, (long long)check_got,                                 \
				anyio_error_name((int)check_got), (long long)check_want,           \
				anyio_error_name((int)check_want));                                \
	} while (0)

void conformance_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
unsigned conformance_failures(void);

/* Whether a test is among the names in $KIT_SKIP: those that cannot work where they run. */
bool conformance_skips(const char *name);

/* The bodies again on a network that does less than it is asked, is slow, and completes what was cancelled. */
int conformance_hostile(
	const anyio_task_fn *bodies, size_t count, const struct anyio_options *options);

/* Open descriptors of this process. */
size_t conformance_count_fds(void);

/* A number from the environment. */
uint64_t conformance_number(const char *variable, uint64_t otherwise);

#ifdef __cplusplus
}
#endif
#endif
