/*
 * killer N PROGRAM [ARG...]: runs the program and kills it at the N-th stop at a system call (entry
 * and exit each count, over all threads). N 0: never. The number of stops seen goes to standard
 * error.
 *
 * Exits with 0 when it killed, 3 when the program ended well by itself, 4 when it ended otherwise,
 * 1 when tracing failed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLED = 0, FAILED = 1, ENDED_WELL = 3, ENDED_BADLY = 4 };

static const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE |
	PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;

static pid_t start(char **argv)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status) ||
		ptrace(PTRACE_SETOPTIONS, pid, 0, options) < 0 ||
		ptrace(PTRACE_SYSCALL, pid, 0, 0) < 0)
		return -1;
	return pid;
}

/* The signal to pass on when a thread stopped for something other than a system call. */
static int signal_of(int status)
{
	int sig = WSTOPSIG(status);

	return status >> 16 || sig == SIGTRAP || sig == SIGSTOP ? 0 : sig;
}

static int reap(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	while (waitpid(-1, &status, __WALL) > 0 || errno == EINTR)
		;
	return KILLED;
}

static int run(pid_t pid, unsigned long at, unsigned long *stops)
{
	int status;

	for (;;) {
		pid_t thread = waitpid(-1, &status, __WALL);

		if (thread < 0 && errno == EINTR)
			continue;
		if (thread < 0)
			return FAILED;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (thread != pid)
				continue;
			return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? ENDED_WELL
									     : ENDED_BADLY;
		}
		if (WSTOPSIG(status) == (SIGTRAP | 0x80) && ++*stops == at)
			return reap(pid);
		ptrace(PTRACE_SYSCALL, thread, 0,
			WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : signal_of(status));
	}
}

int main(int argc, char **argv)
{
	unsigned long stops = 0;

	if (argc < 3) {
		fprintf(stderr, "usage: killer N PROGRAM [ARG...]\n");
		return FAILED;
	}
	pid_t pid = start(argv + 2);
	int rc = pid < 0 ? FAILED : run(pid, strtoul(argv[1], NULL, 10), &stops);
	if (rc == FAILED)
		fprintf(stderr, "killer: %s\n", strerror(errno));
	/* On a line of its own: the program may have been killed in the middle of one. */
	fprintf(stderr, "\n%lu stops\n", stops);
	return rc;
}
