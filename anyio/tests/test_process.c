/* Child processes: opening, waiting, signals, closing. */
#include "conformance.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void no_children(void)
{
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
}

static int open_shell(
	const char *script, struct anyio_process_options options, struct anyio_process **process)
{
	char *const argv[] = { "sh", "-c", (char *)script, NULL };

	return anyio_process_open(argv, &options, process);
}

static struct anyio_process *shell(const char *script, struct anyio_process_options options)
{
	struct anyio_process *process;

	CHECK_RC(open_shell(script, options, &process), 0);
	return process;
}

/* The exit code of a script that ends by itself. */
static int shell_code(const char *script, struct anyio_process_options options)
{
	struct anyio_process *process = shell(script, options);
	int code = -1000;

	CHECK_RC(anyio_process_wait(process, &code), 0);
	CHECK_RC(anyio_process_close(process), 0);
	return code;
}

/* clang-format off */
#define PIPE { .kind = ANYIO_STDIO_PIPE }
/* clang-format on */
#define OPTIONS(...) ((struct anyio_process_options){ __VA_ARGS__ })

/* Waits until the script says that it is ready. */
static void await_line(struct anyio_process *process)
{
	char byte = 0;

	while (byte != '\n' && anyio_stream_receive(anyio_process_out(process), &byte, 1) == 1)
		;
	CHECK_RC(byte, '\n');
}

static const char deaf[] = "trap '' TERM; echo ready; exec sleep 1000";

static int exit_codes_and_signals(void *arg)
{
	struct anyio_process *process;
	int code = 77;

	CHECK_RC(shell_code("exit 0", OPTIONS(0)), 0);
	CHECK_RC(shell_code("exit 42", OPTIONS(0)), 42);
	CHECK_RC(shell_code("kill -USR1 $$", OPTIONS(0)), -SIGUSR1);
	process = shell("exec sleep 1000", OPTIONS(0));
	CHECK_RC(anyio_process_returncode(process, &code), ANYIO_WOULD_BLOCK);
	CHECK_RC(code, 77);
	CHECK_RC(anyio_process_send_signal(process, 0), 0);
	CHECK_RC(anyio_process_send_signal(process, 1000), -EINVAL);
	CHECK_RC(anyio_process_send_signal_group(process, 0), -EINVAL);
	CHECK_RC(anyio_process_terminate(process), 0);
	CHECK_RC(anyio_process_wait(process, &code), 0);
	CHECK_RC(code, -SIGTERM);
	CHECK_RC(anyio_process_returncode(process, NULL), 0);
	CHECK_RC(anyio_process_wait(process, NULL), 0);
	no_children();
	CHECK_RC(anyio_process_kill(process), -ESRCH);
	CHECK_RC(anyio_process_close(process), 0);
	CHECK_RC(anyio_process_close(NULL), 0);
	return 0;
}

struct waiting {
	struct anyio_process *process;
	int rc, code;
};

static int wait_one(void *arg)
{
	struct waiting *self = arg;

	self->rc = anyio_process_wait(self->process, &self->code);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int several_tasks_wait_and_one_leaves(void *arg)
{
	struct waiting waiting[4];
	struct anyio_task_handle handle;
	struct anyio_process *process = shell("exec sleep 1000", OPTIONS(0));
	ANYIO_TASK_GROUP(group);

	for (int i = 0; i < 4; i++) {
		struct anyio_task_options options = { .handle = i == 0 ? &handle : NULL };

		waiting[i] = (struct waiting){ .process = process };
		CHECK_RC(anyio_start_soon_with(&group, wait_one, &waiting[i], &options), 0);
	}
	anyio_wait_all_tasks_blocked();
	anyio_task_handle_cancel(&handle, "test");
	CHECK_RC(anyio_task_handle_wait(&handle), ANYIO_TASK_CANCELLED);
	/* The close ends the child, the others are told. */
	CHECK_RC(anyio_process_close(process), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	for (int i = 1; i < 4; i++) {
		CHECK_RC(waiting[i].rc, 0);
		CHECK_RC(waiting[i].code, -SIGTERM);
	}
	no_children();
	return 0;
}

static int close_task(void *arg)
{
	return anyio_process_close(arg);
}

static int c61_a_cancelled_close_leaves_no_orphan(void *arg)
{
	struct anyio_process_options options = { .out = PIPE, .grace = 1000 * ANYIO_SECOND };
	struct anyio_cancel_scope scope;
	struct anyio_process *process;
	struct anyio_task_handle handle;
	pid_t pid;

	/* Before it begins, and while it waits for the grace to pass. */
	process = shell(deaf, options);
	pid = anyio_process_pid(process);
	await_line(process);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "test");
	CHECK_RC(anyio_cancel_scope_run(&scope, close_task, process), 0);
	CHECK(anyio_cancel_scope_cancelled_caught(&scope));
	CHECK(kill(pid, 0) < 0 && errno == ESRCH);
	no_children();

	process = shell(deaf, options);
	pid = anyio_process_pid(process);
	await_line(process);
	{
		struct anyio_task_options closing = { .name = "closing", .handle = &handle };
		ANYIO_TASK_GROUP(group);

		CHECK_RC(anyio_start_soon_with(&group, close_task, process, &closing), 0);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(kill(pid, 0), 0);
		anyio_task_handle_cancel(&handle, "test");
		CHECK_RC(anyio_task_handle_wait(&handle), ANYIO_TASK_CANCELLED);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	}
	CHECK(kill(pid, 0) < 0 && errno == ESRCH);
	no_children();
	return 0;
}

static int c62_wait_returns_despite_a_grandchilds_open_stdout(void *arg)
{
	/* The grandchild goes on until its stdin ends, which is at the close. */
	struct anyio_process *process =
		shell("exec 3<&0; cat <&3 & exit 5", OPTIONS(.in = PIPE, .out = PIPE));
	char byte;
	int code;

	CHECK_RC(anyio_process_wait(process, &code), 0);
	CHECK_RC(code, 5);
	CHECK_RC(anyio_stream_send(anyio_process_in(process), "x", 1), 0);
	CHECK_RC(anyio_stream_receive(anyio_process_out(process), &byte, 1), 1);
	CHECK_RC(anyio_process_close(process), 0);
	return 0;
}

static int c63_an_ignored_sigterm_escalates(void *arg)
{
	struct waiting waiting = { .code = 0 };
	ANYIO_TASK_GROUP(group);

	waiting.process = shell(deaf, OPTIONS(.out = PIPE, .grace = 20 * ANYIO_MILLISECOND));
	await_line(waiting.process);
	CHECK_RC(anyio_start_soon(&group, wait_one, &waiting, "wait"), 0);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_process_close(waiting.process), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(waiting.code, -SIGKILL);
	no_children();
	return 0;
}

/* While a child runs something is in flight: simulated time stands still, and the grace is not cut. */
static int the_mock_clock_waits_for_children(void *arg)
{
	struct anyio_process *process = shell("read line; exit 3", OPTIONS(.in = PIPE));
	struct waiting waiting = { .process = process };
	anyio_time before = anyio_now();
	ANYIO_TASK_GROUP(group);

	CHECK_RC(anyio_start_soon(&group, wait_one, &waiting, "wait"), 0);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_stream_send(anyio_process_in(process), "\n", 1), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(waiting.code, 3);
	CHECK_RC(anyio_process_close(process), 0);
	CHECK_RC(anyio_now() - before, 0);
	return 0;
}

static int a_negative_grace_kills_at_once(void *arg)
{
	struct waiting waiting = { .code = 0 };
	ANYIO_TASK_GROUP(group);

	waiting.process = shell("exec sleep 1000", OPTIONS(.grace = -1));
	CHECK_RC(anyio_start_soon(&group, wait_one, &waiting, "wait"), 0);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_process_close(waiting.process), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(waiting.code, -SIGKILL);
	return 0;
}

/* The only writer left of the pipe is the grandchild: its end is the end of the pipe. */
static void a_group_goes_whole(struct anyio_process_options options, const char *script, int want)
{
	struct anyio_process *process;
	int pipe_ends[2], code;
	char byte;

	CHECK_RC(pipe2(pipe_ends, O_CLOEXEC), 0);
	options.out = (struct anyio_stdio){ .kind = ANYIO_STDIO_FD, .fd = pipe_ends[1] };
	process = shell(script, options);
	close(pipe_ends[1]);
	CHECK_RC(anyio_read(pipe_ends[0], &byte, 1), 1);
	CHECK_RC(getpgid(anyio_process_pid(process)), anyio_process_pid(process));
	if (want >= 0) {
		CHECK_RC(anyio_process_wait(process, &code), 0);
		CHECK_RC(code, want);
		/* Kept until the close, so that its number is nobody else's. */
		CHECK_RC(kill(anyio_process_pid(process), 0), 0);
		CHECK_RC(anyio_process_send_signal_group(process, 0), 0);
	}
	CHECK_RC(anyio_process_close(process), 0);
	CHECK_RC(anyio_read(pipe_ends[0], &byte, 1), 0);
	anyio_close(pipe_ends[0]);
	no_children();
}

static int groups_are_ended_whole(void *arg)
{
	static const char running[] = "trap '' TERM; sleep 1000 & trap - TERM; echo; wait",
			  left[] = "sleep 1000 & echo; exit 4";
	struct anyio_process *process;

	a_group_goes_whole(OPTIONS(.new_group = true), running, -1);
	a_group_goes_whole(OPTIONS(.new_session = true), running, -1);
	a_group_goes_whole(OPTIONS(.new_group = true), left, 4);
	a_group_goes_whole(OPTIONS(.new_session = true, .new_group = true), left, 4);
	process = shell("exec sleep 1000", OPTIONS(.new_session = true));
	CHECK_RC(getsid(anyio_process_pid(process)), anyio_process_pid(process));
	CHECK_RC(anyio_process_send_signal_group(process, SIGKILL), 0);
	CHECK_RC(anyio_process_close(process), 0);
	process = shell("exec sleep 1000", OPTIONS(0));
	CHECK_RC(getpgid(anyio_process_pid(process)), getpgrp());
	CHECK_RC(anyio_process_close(process), 0);
	return 0;
}

/* A program that may be executed by its mode, and one that may not. */
static void make_file(char *path, mode_t mode)
{
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK_RC(write(fd, "\1\2\3\4", 4), 4);
	CHECK_RC(fchmod(fd, mode), 0);
	close(fd);
}

static int open_only(const char *program, struct anyio_process_options options)
{
	char *const argv[] = { (char *)program, NULL };
	struct anyio_process *process;
	int rc = anyio_process_open(argv, &options, &process);

	CHECK(rc < 0 ? process == NULL : process != NULL);
	anyio_process_close(process);
	return rc;
}

static int what_cannot_be_executed_is_an_error_of_open(void *arg)
{
	char garbage[] = "/tmp/anyio-process-XXXXXX", plain[] = "/tmp/anyio-process-XXXXXX";
	char name[400];
	char *large = malloc(4 << 20);
	char *const too_big[] = { "true", large, NULL }, *const nothing[] = { NULL };
	struct anyio_process *process;

	make_file(garbage, 0755);
	make_file(plain, 0644);
	CHECK_RC(open_only("/nonexistent/program", OPTIONS(0)), -ENOENT);
	CHECK_RC(open_only("no-such-program-anywhere", OPTIONS(.out = PIPE)), -ENOENT);
	CHECK_RC(open_only("", OPTIONS(0)), -ENOENT);
	CHECK_RC(open_only("/tmp", OPTIONS(0)), -EACCES);
	CHECK_RC(open_only(plain, OPTIONS(.in = PIPE, .out = PIPE, .err = PIPE)), -EACCES);
	CHECK_RC(open_only(garbage, OPTIONS(0)), -ENOEXEC);
	CHECK_RC(open_only("true", OPTIONS(.cwd = "/nonexistent")), -ENOENT);
	CHECK_RC(open_only("true", OPTIONS(.cwd = plain)), -ENOTDIR);
	CHECK_RC(open_only("true", OPTIONS(.in = { ANYIO_STDIO_FD, -1 })), -EBADF);
	CHECK_RC(open_only("true", OPTIONS(.in = { ANYIO_STDIO_FD, 9999 })), -EBADF);
	CHECK_RC(open_only("true", OPTIONS(.out = { ANYIO_STDIO_OUT })), -EINVAL);
	CHECK_RC(open_only("true", OPTIONS(.out = { 1000 })), -EINVAL);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	CHECK_RC(open_only(name, OPTIONS(0)), -ENAMETOOLONG);
	memset(large, 'x', (4 << 20) - 1);
	large[(4 << 20) - 1] = '\0';
	CHECK_RC(anyio_process_open(too_big, NULL, &process), -E2BIG);
	CHECK_RC(anyio_process_open(nothing, NULL, &process), -EINVAL);
	CHECK_RC(anyio_process_open(NULL, NULL, &process), -EINVAL);
	CHECK_RC(open_only("true", OPTIONS(0)), 0);
	free(large);
	unlink(garbage);
	unlink(plain);
	no_children();
	return 0;
}

static int the_child_begins_clean(void *arg)
{
	static const char signals[] = "grep -q '^SigBlk:.0*$' /proc/self/status && "
				      "grep -q '^SigIgn:.0*$' /proc/self/status";
	static char *const environment[] = { "ONLY=this", NULL };
	sigset_t blocked, before;
	int extra = fcntl(STDIN_FILENO, F_DUPFD, 600);

	CHECK(extra >= 600);
	CHECK_RC(shell_code("test ! -e /proc/self/fd/600", OPTIONS(0)), 0);
	close(extra);
	/* This process ignores SIGPIPE at the least. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	signal(SIGUSR2, SIG_IGN);
	CHECK_RC(shell_code(signals, OPTIONS(0)), 0);
	signal(SIGUSR2, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	CHECK_RC(shell_code("test \"$PWD\" = /tmp", OPTIONS(.cwd = "/tmp")), 0);
	CHECK_RC(shell_code("test \"$ONLY\" = this -a -z \"$HOME\"", OPTIONS(.envp = environment)),
		0);
	CHECK_RC(shell_code("test \"$0\" = sh", OPTIONS(.program = "/bin/sh")), 0);
	CHECK_RC(shell_code("test -c /dev/stdin && read line", OPTIONS(.in = { ANYIO_STDIO_NULL })),
		1);
	CHECK_RC(shell_code("test /dev/stdout -ef /dev/null -a /dev/stderr -ef /dev/null",
			 OPTIONS(.out = { ANYIO_STDIO_NULL }, .err = { ANYIO_STDIO_OUT })),
		0);
	return 0;
}

static ssize_t receive_text(struct anyio_stream *stream, char *text, size_t size)
{
	size_t done = 0;
	ssize_t n = 1;

	while (n > 0 && done < size - 1) {
		n = anyio_stream_receive(stream, text + done, size - 1 - done);
		done += n > 0 ? (size_t)n : 0;
	}
	text[done] = '\0';
	return n < 0 ? n : (ssize_t)done;
}

static void *lend(void *arg, size_t *size)
{
	*size = 64;
	return arg;
}

static int the_three_ends_are_streams(void *arg)
{
	struct anyio_process_options options = { .in = PIPE, .out = PIPE, .err = PIPE };
	struct anyio_process *process =
		shell("read line; echo \"out $line\"; echo err >&2", options);
	struct anyio_stream *in = anyio_process_in(process), *out = anyio_process_out(process);
	const struct iovec parts[] = { { "on", 2 }, { NULL, 0 }, { "e\n", 2 } };
	char text[65] = "";
	size_t sent;

	CHECK_RC(anyio_stream_receive(in, text, 1), -EBADF);
	CHECK_RC(anyio_stream_send(out, "x", 1), -EBADF);
	CHECK_RC(anyio_stream_send_eof(out), -EBADF);
	CHECK_RC(anyio_stream_sendv(in, parts, 3, &sent), 0);
	CHECK_RC((int64_t)sent, 4);
	CHECK_RC(anyio_stream_send_eof(in), 0);
	CHECK_RC(anyio_stream_send_eof(in), 0);
	CHECK_RC(anyio_stream_send(in, "x", 1), ANYIO_CLOSED);
	CHECK_RC(anyio_stream_receive_lazy(out, lend, text), 8);
	CHECK(strcmp(text, "out one\n") == 0);
	CHECK_RC(receive_text(out, text, sizeof(text)), 0);
	CHECK_RC(receive_text(anyio_process_err(process), text, sizeof(text)), 4);
	CHECK_RC(anyio_process_wait(process, NULL), 0);
	CHECK_RC(anyio_process_close(process), 0);

	options.err.kind = ANYIO_STDIO_OUT;
	process = shell("echo one; echo two >&2", options);
	CHECK(anyio_process_err(process) == NULL);
	CHECK_RC(receive_text(anyio_process_out(process), text, sizeof(text)), 8);
	CHECK_RC(anyio_process_close(process), 0);
	/* Each is to become what another is now. */
	CHECK_RC(shell_code(
			 "test /dev/stdin -ef /proc/$PPID/fd/1 -a /dev/stdout -ef /proc/$PPID/fd/0",
			 OPTIONS(.in = { ANYIO_STDIO_FD, 1 }, .out = { ANYIO_STDIO_FD, 0 })),
		0);
	no_children();
	return 0;
}

struct receiving {
	struct anyio_stream *stream;
	int rc;
};

static int receive_one(void *arg)
{
	struct receiving *self = arg;
	char byte;

	self->rc = (int)anyio_stream_receive(self->stream, &byte, 1);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int send_much(void *arg)
{
	static char much[1 << 20];
	struct receiving *self = arg;

	self->rc = anyio_stream_send(self->stream, much, sizeof(much));
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int closing_wakes_those_at_the_pipes(void *arg)
{
	struct anyio_process *process =
		shell("exec sleep 1000", OPTIONS(.in = PIPE, .out = PIPE, .err = PIPE));
	struct receiving receiving = { .stream = anyio_process_out(process) };
	struct receiving sending = { .stream = anyio_process_in(process) };
	struct receiving early = { .stream = anyio_process_err(process) };
	char byte;
	ANYIO_TASK_GROUP(group);

	anyio_start_soon(&group, receive_one, &receiving, "receive");
	anyio_start_soon(&group, send_much, &sending, "send");
	anyio_start_soon(&group, receive_one, &early, "early");
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_stream_receive(receiving.stream, &byte, 1), ANYIO_BUSY);
	CHECK_RC(anyio_stream_send(sending.stream, &byte, 1), ANYIO_BUSY);
	CHECK_RC(anyio_stream_send_eof(sending.stream), ANYIO_BUSY);
	anyio_stream_close(early.stream);
	CHECK_RC(anyio_process_close(process), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(receiving.rc, ANYIO_CLOSED);
	CHECK_RC(sending.rc, ANYIO_CLOSED);
	CHECK_RC(early.rc, ANYIO_CLOSED);
	return 0;
}

static int a_child_that_stopped_reading_is_an_error(void *arg)
{
	struct anyio_process *process =
		shell("exec <&-; echo; exec sleep 1000", OPTIONS(.in = PIPE, .out = PIPE));

	await_line(process);
	CHECK_RC(anyio_stream_send(anyio_process_in(process), "x", 1), ANYIO_BROKEN);
	CHECK_RC(anyio_process_close(process), 0);
	return 0;
}

static int a_thousand_in_a_row(void *arg)
{
	char *const argv[] = { "true", NULL };
	struct anyio_process *process;
	int code = -1;

	for (int i = 0; i < 1000; i++) {
		CHECK_RC(anyio_process_open(argv, NULL, &process), 0);
		if (i % 2 == 0)
			CHECK_RC(anyio_process_wait(process, &code), 0);
		CHECK_RC(anyio_process_close(process), 0);
		if (conformance_failures() > 0)
			return 0;
	}
	CHECK_RC(code, 0);
	no_children();
	return 0;
}

static int one_of_many(void *arg)
{
	CHECK_RC(shell_code("cat | wc -c >/dev/null; exit 9", OPTIONS(.in = { ANYIO_STDIO_NULL })),
		9);
	return 0;
}

static int fifty_at_once(void *arg)
{
	ANYIO_TASK_GROUP(group);

	for (int i = 0; i < 50; i++)
		CHECK_RC(anyio_start_soon(&group, one_of_many, NULL, "one"), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	no_children();
	return 0;
}

static volatile sig_atomic_t children_heard;

static void on_child(int number)
{
	int saved = errno;

	children_heard++;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = saved;
}

/* A host that reaps whatever ends: the code is what the kernel still tells, or unknown. */
static void with_child_handler(void (*handler)(int))
{
	struct anyio_process *process;
	int code = -1000, rc;

	signal(SIGCHLD, handler);
	process = shell("exit 6", OPTIONS(0));
	rc = anyio_process_wait(process, &code);
	CHECK((rc == 0 && code == 6) || rc == -ECHILD);
	CHECK_RC(anyio_process_send_signal(process, SIGTERM), -ESRCH);
	CHECK_RC(anyio_process_close(process), 0);
	process = shell("exec sleep 1000", OPTIONS(.new_group = true));
	CHECK_RC(anyio_process_kill(process), 0);
	rc = anyio_process_wait(process, &code);
	CHECK((rc == 0 && code == -SIGKILL) || rc == -ECHILD);
	CHECK_RC(anyio_process_close(process), 0);
	CHECK_RC(open_only("/nonexistent", OPTIONS(0)), -ENOENT);
	signal(SIGCHLD, SIG_DFL);
}

static int beside_a_host_that_reaps(void *arg)
{
	children_heard = 0;
	with_child_handler(on_child);
	CHECK_RC(children_heard, 2);
	with_child_handler(SIG_IGN);
	no_children();
	return 0;
}

static int open_in_cancelled_scope(void *arg)
{
	struct anyio_process *process = (void *)1;

	CHECK_RC(open_shell("exit 0", OPTIONS(.in = PIPE), &process), ANYIO_CANCELLED);
	CHECK(process == NULL);
	return ANYIO_CANCELLED;
}

static int opening_is_a_checkpoint(void *arg)
{
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "test");
	CHECK_RC(anyio_cancel_scope_run(&scope, open_in_cancelled_scope, NULL), 0);
	no_children();
	return 0;
}

static int the_simulation_has_none(void *arg)
{
	struct anyio_process *process;
	char *const argv[] = { "true", NULL };

	if (strcmp(anyio_backend_name(), "sim") == 0)
		CHECK_RC(anyio_process_open(argv, NULL, &process), -EOPNOTSUPP);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(exit_codes_and_signals, CONFORM_NO_SIM),
		CONFORM(several_tasks_wait_and_one_leaves, CONFORM_NO_SIM),
		CONFORM(c61_a_cancelled_close_leaves_no_orphan, CONFORM_NO_SIM),
		CONFORM(c62_wait_returns_despite_a_grandchilds_open_stdout, CONFORM_NO_SIM),
		CONFORM(c63_an_ignored_sigterm_escalates, CONFORM_NO_SIM),
		CONFORM(the_mock_clock_waits_for_children, CONFORM_NO_SIM | CONFORM_MOCK),
		CONFORM(a_negative_grace_kills_at_once, CONFORM_NO_SIM),
		CONFORM(groups_are_ended_whole, CONFORM_NO_SIM),
		CONFORM(what_cannot_be_executed_is_an_error_of_open, CONFORM_NO_SIM),
		CONFORM(the_child_begins_clean, CONFORM_NO_SIM),
		CONFORM(the_three_ends_are_streams, CONFORM_NO_SIM),
		CONFORM(closing_wakes_those_at_the_pipes, CONFORM_NO_SIM),
		CONFORM(a_child_that_stopped_reading_is_an_error, CONFORM_NO_SIM),
		CONFORM(a_thousand_in_a_row, CONFORM_NO_SIM),
		CONFORM(fifty_at_once, CONFORM_NO_SIM),
		CONFORM(beside_a_host_that_reaps, CONFORM_NO_SIM),
		CONFORM(opening_is_a_checkpoint, CONFORM_NO_SIM),
		CONFORM(the_simulation_has_none, 0),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
