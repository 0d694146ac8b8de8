/*
 * A child and its end.
 *
 * The child has ended when its descriptor is readable; whoever sees that first takes its status, and
 * all others find it. A task that waits holds the process, so that it may be closed meanwhile: the
 * close ends the child, that wakes the task, and the last one out frees.
 *
 * A group lives as long as its members and is addressed by its leader's number. That number is ours
 * only while the leader has not been reaped. So the leader of a group is looked at without reaping,
 * and reaped by the close when its group has had its last signal.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process.h"

#define GRACE_DEFAULT (5 * ANYIO_SECOND)
#define REAP_MOST     (5 * ANYIO_SECOND)

struct anyio_process {
	pid_t pid;
	int pidfd;
	struct anyio_stream *ends[3];
	bool group;      /* it was given one of its own */
	bool ended;      /* status is known */
	bool reaped;     /* by us or by somebody else */
	bool closed;     /* the close is through */
	int status;      /* -ECHILD when unknown, else 0 */
	int code;        /* with status 0 */
	unsigned inside; /* tasks that wait for it */
	anyio_time grace;
};

/* Of Linux 6.13, and the exit code in it of 6.15; the C library's headers are older. */
struct pidfd_status {
	uint64_t mask;
	uint64_t cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};
#define PIDFD_STATUS      _IOWR(0xff, 11, struct pidfd_status)
#define PIDFD_STATUS_EXIT 8U

/* The status of a child that somebody else has reaped. */
static void process_taken(struct anyio_process *process)
{
	struct pidfd_status status = { .mask = PIDFD_STATUS_EXIT };

	process->ended = process->reaped = true;
	process->status = -ECHILD;
	if (ioctl(process->pidfd, PIDFD_STATUS, &status) < 0 || !(status.mask & PIDFD_STATUS_EXIT))
		return;
	process->status = 0;
	process->code = WIFSIGNALED(status.exit_code) ? -WTERMSIG(status.exit_code)
						      : WEXITSTATUS(status.exit_code);
}

/* Looks whether the child has ended, and reaps it if asked to. */
static bool process_look(struct anyio_process *process, bool reap)
{
	siginfo_t info = { .si_pid = 0 };

	if (process->reaped || (process->ended && !reap))
		return process->ended;
	if (waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG | (reap ? 0 : WNOWAIT)) <
		0) {
		if (process->ended)
			process->reaped = true;
		else
			process_taken(process);
		return true;
	}
	if (info.si_pid == 0)
		return false;
	process->ended = true;
	process->reaped = reap;
	process->code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
	return true;
}

static void process_settle(struct anyio_process *process)
{
	if (!process->closed || process->inside > 0)
		return;
	process_look(process, true);
	close(process->pidfd);
	anyio_free(process);
}

/* Waits for the end: 0, ANYIO_CANCELLED, or why the backend cannot wait. */
static int process_await(struct anyio_process *process)
{
	while (!process_look(process, !process->group)) {
		struct anyio_op op = {
			.code = ANYIO_OP_POLL, .fd = process->pidfd, .flags = POLLIN
		};
		int64_t rc = anyio_op_run(&op);

		if (rc < 0)
			return (int)rc;
	}
	return 0;
}

static int process_answer(const struct anyio_process *process, int *code)
{
	if (code != NULL && process->status == 0)
		*code = process->code;
	return process->status;
}

int anyio_process_wait(struct anyio_process *process, int *code)
{
	int rc = anyio_checkpoint_if_cancelled();

	if (rc < 0)
		return rc;
	if (process->ended)
		anyio_pass();
	process->inside++;
	rc = process_await(process);
	if (rc == 0)
		rc = process_answer(process, code);
	process->inside--;
	process_settle(process);
	return rc;
}

int anyio_process_returncode(struct anyio_process *process, int *code)
{
	if (!process_look(process, !process->group))
		return ANYIO_WOULD_BLOCK;
	return process_answer(process, code);
}

pid_t anyio_process_pid(const struct anyio_process *process)
{
	return process->pid;
}

struct anyio_stream *anyio_process_in(const struct anyio_process *process)
{
	return process->ends[0];
}

struct anyio_stream *anyio_process_out(const struct anyio_process *process)
{
	return process->ends[1];
}

struct anyio_stream *anyio_process_err(const struct anyio_process *process)
{
	return process->ends[2];
}

int anyio_process_send_signal(struct anyio_process *process, int signal)
{
	return pidfd_send_signal(process->pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int anyio_process_terminate(struct anyio_process *process)
{
	return anyio_process_send_signal(process, SIGTERM);
}

int anyio_process_kill(struct anyio_process *process)
{
	return anyio_process_send_signal(process, SIGKILL);
}

int anyio_process_send_signal_group(struct anyio_process *process, int signal)
{
	siginfo_t info;

	if (!process->group)
		return -EINVAL;
	/* A host that reaps every child may have reaped this one, and its number is not ours then. */
	if (process->reaped ||
		waitid(P_PIDFD, (id_t)process->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return -ESRCH;
	return kill(-process->pid, signal) < 0 ? -errno : 0;
}

/* A child may have left the group that it was to lead. */
static void process_signal(struct anyio_process *process, int signal)
{
	int rc = process->group ? anyio_process_send_signal_group(process, signal) : -ESRCH;

	if (rc < 0 || signal == SIGKILL)
		anyio_process_send_signal(process, signal);
}

static int await_within(struct anyio_process *process, anyio_time timeout, bool shield)
{
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, timeout);
	anyio_cancel_scope_set_shield(&scope, shield);
	anyio_cancel_scope_enter(&scope);
	return anyio_cancel_scope_exit(&scope, process_await(process));
}

/* For a child that was killed, when the backend cannot wait: no memory, most likely. */
static void await_blocking(struct anyio_process *process)
{
	const int step = 10;
	struct pollfd end = { .fd = process->pidfd, .events = POLLIN };

	for (int ms = 0; ms < REAP_MOST / ANYIO_MILLISECOND; ms += step) {
		if (process_look(process, !process->group))
			return;
		poll(&end, 1, step);
		anyio_cancel_shielded_checkpoint();
	}
}

/* 0, ANYIO_CANCELLED, -ETIMEDOUT. */
static int process_end(struct anyio_process *process)
{
	int rc = 0;

	if (process->grace >= 0) {
		process_signal(process, SIGTERM);
		rc = await_within(process, process->grace, false);
	}
	if (!process->ended) {
		process_signal(process, SIGKILL);
		if (await_within(process, REAP_MOST, true) < 0)
			await_blocking(process);
	}
	if (!process->ended)
		return -ETIMEDOUT;
	return rc == ANYIO_CANCELLED ? rc : 0;
}

static void ends_free(struct anyio_process *process)
{
	for (int i = 0; i < 3; i++) {
		anyio_stream_free(process->ends[i]);
		process->ends[i] = NULL;
	}
}

int anyio_process_close(struct anyio_process *process)
{
	int rc = 0;

	if (process == NULL)
		return 0;
	ends_free(process);
	process->inside++;
	if (process_look(process, !process->group))
		anyio_pass();
	else
		rc = process_end(process);
	if (process->group)
		anyio_process_send_signal_group(process, SIGKILL);
	process->inside--;
	process->closed = true;
	process_settle(process);
	return rc;
}

/* Every program that may be meant, in the order of the search. */
static int candidates_make(const char *program, char **candidates)
{
	const char *path = strchr(program, '/') != NULL ? "" : getenv("PATH");
	size_t length = strlen(program), size = 1, places = 1;
	char *to;

	if (path == NULL)
		path = "/bin:/usr/bin";
	for (const char *at = path; *at != '\0'; at++, size++)
		places += *at == ':';
	if (length == 0)
		return -ENOENT;
	if (places > 1 && length > 255)
		return -ENAMETOOLONG;
	to = *candidates = anyio_malloc(size + places * (length + 2));
	if (to == NULL)
		return -ENOMEM;
	for (;; path++) {
		size_t place = strcspn(path, ":");

		memcpy(to, path, place);
		to += place;
		if (place > 0)
			*to++ = '/';
		memcpy(to, program, length + 1);
		to += length + 1;
		path += place;
		if (*path == '\0')
			break;
	}
	*to = '\0';
	return 0;
}

/* Decides what becomes the child's descriptor i; *mine is closed when it has been made. */
static int stdio_open(struct anyio_process *process, struct anyio_spawn *spawn, int i,
	const struct anyio_stdio *stdio, int *mine)
{
	int rc = 0;

	switch (stdio->kind) {
	case ANYIO_STDIO_DEFAULT:
	case ANYIO_STDIO_INHERIT: spawn->fds[i] = SPAWN_KEEP; break;
	case ANYIO_STDIO_NULL: spawn->fds[i] = SPAWN_NULL; break;
	case ANYIO_STDIO_PIPE:
		rc = anyio_pipe_open(i == STDIN_FILENO, &process->ends[i], mine);
		spawn->fds[i] = *mine;
		break;
	case ANYIO_STDIO_FD:
		spawn->fds[i] = stdio->fd;
		rc = stdio->fd < 0 ? -EBADF : 0;
		break;
	case ANYIO_STDIO_OUT:
		spawn->fds[i] = spawn->fds[STDOUT_FILENO];
		if (spawn->fds[i] == SPAWN_KEEP)
			spawn->fds[i] = STDOUT_FILENO;
		rc = i == STDERR_FILENO ? 0 : -EINVAL;
		break;
	default: rc = -EINVAL;
	}
	return rc;
}

static int process_spawn(struct anyio_process *process, struct anyio_spawn *spawn)
{
	struct anyio_op op = { .code = ANYIO_OP_WORK, .fn = anyio_spawn, .arg = spawn };
	int64_t rc;

	spawn->stack = anyio_aligned_alloc(16, SPAWN_STACK);
	rc = spawn->stack == NULL ? -ENOMEM : anyio_op_run(&op);
	anyio_free(spawn->stack);
	process->pid = spawn->pid;
	process->pidfd = spawn->pidfd;
	for (int i = 0; i < 3; i++)
		if (process->ends[i] != NULL)
			anyio_pipe_attach(process->ends[i], spawn->pid);
	return (int)rc;
}

static int process_start(struct anyio_process *process, struct anyio_spawn *spawn,
	const struct anyio_process_options *options)
{
	const struct anyio_stdio *stdio[] = { &options->in, &options->out, &options->err };
	char *candidates = NULL;
	int mine[] = { -1, -1, -1 };
	int rc = candidates_make(
		options->program != NULL ? options->program : spawn->argv[0], &candidates);

	for (int i = 0; i < 3 && rc == 0; i++)
		rc = stdio_open(process, spawn, i, stdio[i], &mine[i]);
	spawn->candidates = candidates;
	if (rc == 0)
		rc = process_spawn(process, spawn);
	for (int i = 0; i < 3; i++)
		if (mine[i] >= 0)
			close(mine[i]);
	anyio_free(candidates);
	return rc;
}

int anyio_process_open(char *const argv[], const struct anyio_process_options *options,
	struct anyio_process **process)
{
	static const struct anyio_process_options defaults;
	struct anyio_process *self;
	struct anyio_spawn spawn = { .argv = argv };
	int rc;

	*process = NULL;
	if (anyio_current_task() == NULL)
		return ANYIO_NO_LOOP;
	if (strcmp(anyio_backend_name(), "sim") == 0)
		return -EOPNOTSUPP;
	if (options == NULL)
		options = &defaults;
	if (argv == NULL || argv[0] == NULL)
		return -EINVAL;
	self = anyio_calloc(1, sizeof(*self));
	if (self == NULL)
		return -ENOMEM;
	spawn.envp = options->envp != NULL ? options->envp : environ;
	spawn.cwd = options->cwd;
	spawn.new_session = options->new_session;
	spawn.new_group = options->new_group;
	self->group = options->new_group || options->new_session;
	self->grace = options->grace == 0 ? GRACE_DEFAULT : options->grace;
	rc = process_start(self, &spawn, options);
	if (rc < 0) {
		ends_free(self);
		anyio_free(self);
		return rc;
	}
	*process = self;
	return 0;
}
