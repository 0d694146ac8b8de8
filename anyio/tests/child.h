/* What ends the program, or is said on standard error, seen from outside. */
#ifndef ANYIO_TESTS_CHILD_H
#define ANYIO_TESTS_CHILD_H

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "conformance.h"

/* Runs fn in a child process with standard error caught in text; returns the wait status. */
static inline int in_child(void (*fn)(void *arg), void *arg, char *text, size_t size)
{
	int ends[2];
	CHECK_RC(pipe(ends), 0);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		/* As a terminal starts it, whoever runs the tests. */
		sigset_t all;
		sigfillset(&all);
		sigprocmask(SIG_UNBLOCK, &all, NULL);
		signal(SIGABRT, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		signal(SIGQUIT, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		dup2(ends[1], STDOUT_FILENO);
		fn(arg);
		_exit(0);
	}
	close(ends[1]);
	size_t at = 0;
	ssize_t got;
	while (at < size - 1 && (got = read(ends[0], text + at, size - 1 - at)) > 0)
		at += (size_t)got;
	text[at] = 0;
	close(ends[0]);
	int status = 0;
	CHECK_RC(waitpid(child, &status, 0), child);
	return status;
}

#endif
