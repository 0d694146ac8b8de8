/* What the tests of child processes share. */
#ifndef ANYIO_TESTS_PROCESSES_H
#define ANYIO_TESTS_PROCESSES_H

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>
#include "conformance.h"

static inline void no_children(void)
{
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
}

/* clang-format off */
#define PIPE { .kind = ANYIO_STDIO_PIPE }
/* clang-format on */
#define OPTIONS(...) ((struct anyio_process_options){ __VA_ARGS__ })

static inline int open_shell(
	const char *script, struct anyio_process_options options, struct anyio_process **process)
{
	char *const argv[] = { "sh", "-c", (char *)script, NULL };

	return anyio_process_open(argv, &options, process);
}

static inline struct anyio_process *shell(const char *script, struct anyio_process_options options)
{
	struct anyio_process *process;

	CHECK_RC(open_shell(script, options, &process), 0);
	return process;
}

/* The exit code of a script that ends by itself. */
static inline int shell_code(const char *script, struct anyio_process_options options)
{
	struct anyio_process *process = shell(script, options);
	int code = -1000;

	CHECK_RC(anyio_process_wait(process, &code), 0);
	CHECK_RC(anyio_process_close(process), 0);
	return code;
}

/* Waits until the script says that it is ready. */
static inline void await_line(struct anyio_process *process)
{
	char byte = 0;

	while (byte != '\n' && anyio_stream_receive(anyio_process_out(process), &byte, 1) == 1)
		;
	CHECK_RC(byte, '\n');
}

static inline int open_only(const char *program, struct anyio_process_options options)
{
	char *const argv[] = { (char *)program, NULL };
	struct anyio_process *process;
	int rc = anyio_process_open(argv, &options, &process);

	CHECK(rc < 0 ? process == NULL : process != NULL);
	anyio_process_close(process);
	return rc;
}

#endif
