/*
 * Making a child.
 *
 * The child is a vfork with a descriptor of its own: it shares this process's memory and the thread
 * that makes it stands still until it is executed or has ended. So nothing is copied however large
 * the process is, what kept it from being executed is simply written into memory, and the
 * descriptor, made in the same call, can be no other process's.
 *
 * Sharing memory binds what the child may do. It runs on a stack of its own and calls the kernel and
 * nothing else: the wrappers of the C library keep books (as do those of sanitizers) that are this
 * process's. All signals are blocked from before it is made, so that no handler runs in it; it
 * unblocks them when it has no handlers any more.
 *
 * It sends no signal when it ends before it is executed: a failed one is nobody's business but ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process.h"

/* Not to be told of by instrumentation: its books are the parent's. */
#define IN_CHILD                                                                                   \
	__attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))

/* The C library's clone by its other name. The thread sanitizer takes the first for a fork, and stops
 * watching this process, whose memory it finds in the child. */
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);

enum { KERNEL_SIGSET = 8, SIGNALS = 64 };

/* Those of the C library leave out its own signals. */
IN_CHILD static void child_signals(void)
{
	/* The kernel's struct sigaction on every architecture: no handler, no flags, no mask. */
	static const uint64_t by_default[8];
	static const uint64_t none = 0;

	for (int number = 1; number <= SIGNALS; number++)
		syscall(SYS_rt_sigaction, number, by_default, NULL, KERNEL_SIGSET);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, KERNEL_SIGSET);
}

/* All of them go above 2 first: each may be a number that another is to become. */
IN_CHILD static long child_descriptors(const struct anyio_spawn *spawn)
{
	long above[3], rc = 0;

	for (int i = 0; i < 3 && rc >= 0; i++) {
		above[i] = spawn->fds[i];
		if (above[i] == SPAWN_NULL)
			above[i] = rc =
				syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
		if (rc >= 0 && above[i] >= 0)
			above[i] = rc = syscall(SYS_fcntl, above[i], F_DUPFD, 3);
	}
	for (int i = 0; i < 3 && rc >= 0; i++)
		if (above[i] >= 0)
			rc = syscall(SYS_dup3, above[i], i, 0);
	return rc < 0 ? rc : syscall(SYS_close_range, 3U, ~0U, 0U);
}

/* Whether the search goes on after this error, as that of execvp does. */
IN_CHILD static bool child_searches_on(int error)
{
	return error == EACCES || error == ENOENT || error == ENOTDIR || error == ESTALE ||
		error == ENODEV || error == ETIMEDOUT;
}

/* The error of a file that was found and may not be executed says more than that of one missing. */
IN_CHILD static int child_execute(const struct anyio_spawn *spawn)
{
	const char *at = spawn->candidates;
	int refused = ENOENT;

	while (*at != '\0') {
		syscall(SYS_execve, at, spawn->argv, spawn->envp);
		if (!child_searches_on(errno))
			return errno;
		if (errno == EACCES || refused != EACCES)
			refused = errno;
		while (*at++ != '\0')
			;
	}
	return refused;
}

IN_CHILD static int child_main(void *arg)
{
	struct anyio_spawn *spawn = arg;

	if ((spawn->new_session && syscall(SYS_setsid) < 0) ||
		(spawn->new_group && !spawn->new_session && syscall(SYS_setpgid, 0, 0) < 0) ||
		(spawn->cwd != NULL && syscall(SYS_chdir, spawn->cwd) < 0) ||
		child_descriptors(spawn) < 0) {
		spawn->refused = errno;
		return 127;
	}
	child_signals();
	spawn->refused = child_execute(spawn);
	return 127;
}

int anyio_spawn(void *arg)
{
	static const uint64_t all = UINT64_MAX;
	struct anyio_spawn *spawn = arg;
	uint64_t mask;
	siginfo_t info;
	int error = 0;

	spawn->refused = 0;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, KERNEL_SIGSET);
	spawn->pid = __clone(child_main, spawn->stack + SPAWN_STACK,
		CLONE_VM | CLONE_VFORK | CLONE_PIDFD, spawn, &spawn->pidfd);
	if (spawn->pid < 0)
		error = errno;
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, KERNEL_SIGSET);
	if (error == 0 && spawn->refused != 0) {
		error = spawn->refused;
		while (waitid(P_PIDFD, (id_t)spawn->pidfd, &info, WEXITED | __WALL) < 0 &&
			errno == EINTR)
			;
		close(spawn->pidfd);
	}
	return -error;
}
