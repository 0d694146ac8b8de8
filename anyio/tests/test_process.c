/* Child processes: opening them, what they begin with, the pipes to them. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "processes.h"

/* A program that may be executed by its mode, and one that may not. */
static void make_file(char *path, mode_t mode)
{
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	CHECK_RC(write(fd, "\1\2\3\4", 4), 4);
	CHECK_RC(fchmod(fd, mode), 0);
	close(fd);
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

static void count_write(void *arg, const struct anyio_task *task, const char *operation, int fd)
{
	*(int *)arg += strcmp(operation, "write") == 0;
}

static int the_parts_of_a_send_go_out_together(void *arg)
{
	enum { PARTS = 100 };
	struct anyio_process *process = shell("cat", OPTIONS(.in = PIPE, .out = PIPE));
	int writes = 0;
	struct anyio_instrument instrument = { .arg = &writes, .operation_started = count_write };
	char sent[PARTS], back[PARTS + 1];
	struct iovec parts[PARTS];
	size_t count;

	for (int i = 0; i < PARTS; i++) {
		sent[i] = (char)('!' + i % 90);
		parts[i] = (struct iovec){ &sent[i], 1 };
	}
	CHECK_RC(anyio_instrument_add(&instrument), 0);
	CHECK_RC(anyio_stream_sendv(anyio_process_in(process), parts, PARTS, &count), 0);
	CHECK_RC(anyio_instrument_remove(&instrument), 0);
	CHECK_RC((int64_t)count, PARTS);
	CHECK_RC(writes, 2);
	CHECK_RC(anyio_stream_send_eof(anyio_process_in(process)), 0);
	CHECK_RC(receive_text(anyio_process_out(process), back, sizeof(back)), PARTS);
	CHECK(memcmp(back, sent, PARTS) == 0);
	CHECK_RC(anyio_process_close(process), 0);
	no_children();
	return 0;
}

struct receiving {
	struct anyio_stream *stream;
	int rc;
};

static int descriptor_of(const struct anyio_stream *stream)
{
	int fd = -1;

	CHECK_RC(anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_DESCRIPTOR, &fd, sizeof(fd)),
		sizeof(fd));
	return fd;
}

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

/* What was done when it closed is the answer. */
static int closing_takes_nothing_back(void *arg)
{
	struct anyio_process *process = shell("printf x", OPTIONS(.out = PIPE));
	struct receiving receiving = { .stream = anyio_process_out(process) };
	ANYIO_TASK_GROUP(group);

	CHECK_RC(anyio_wait_readable(descriptor_of(receiving.stream)), 0);
	anyio_start_soon(&group, receive_one, &receiving, "receive");
	anyio_cancel_shielded_checkpoint();
	anyio_stream_close(receiving.stream);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(receiving.rc, 1);
	receive_one(&receiving);
	CHECK_RC(receiving.rc, ANYIO_CLOSED);
	CHECK_RC(anyio_process_close(process), 0);
	return 0;
}

static int receive_two(void *arg)
{
	struct receiving *self = arg;
	char bytes[2];

	self->rc = anyio_stream_receive_exactly(self->stream, bytes, 2);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

/* The close comes at each turn of the scheduler around the one in which the first byte of two does. */
static int closing_at_any_moment_wakes_those_at_the_pipes(void *arg)
{
	for (int turns = 1; turns < 130; turns++) {
		struct anyio_process *process = shell("printf x", OPTIONS(.out = PIPE));
		struct receiving receiving = { .stream = anyio_process_out(process) };
		pid_t pid = anyio_process_pid(process);
		siginfo_t info;
		ANYIO_TASK_GROUP(group);

		anyio_start_soon(&group, receive_two, &receiving, "receive");
		anyio_cancel_shielded_checkpoint();
		CHECK_RC(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
		for (int i = 0; i < turns; i++)
			anyio_cancel_shielded_checkpoint();
		CHECK_RC(anyio_process_close(process), 0);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK(receiving.rc == ANYIO_CLOSED || receiving.rc == ANYIO_INCOMPLETE_READ);
	}
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

struct opening {
	struct anyio_process *process;
	int rc;
};

static int open_one(void *arg)
{
	struct opening *self = arg;

	self->rc = open_shell("exec sleep 1000", OPTIONS(.in = PIPE, .out = PIPE), &self->process);
	return self->rc;
}

/* Cancelled at any moment, an open was not begun or has made a child. */
static int a_cancelled_open_leaves_nothing(void *arg)
{
	for (int turns = 0; turns < 100; turns++) {
		struct opening opening = { .rc = 1 };
		struct anyio_task_handle handle;
		struct anyio_task_options options = { .name = "open", .handle = &handle };
		ANYIO_TASK_GROUP(group);

		CHECK_RC(anyio_start_soon_with(&group, open_one, &opening, &options), 0);
		for (int i = 0; i < turns; i++)
			anyio_cancel_shielded_checkpoint();
		anyio_task_handle_cancel(&handle, "test");
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK(opening.rc == 0 || opening.rc == ANYIO_CANCELLED);
		CHECK(opening.rc == 0 ? opening.process != NULL : opening.process == NULL);
		CHECK_RC(anyio_process_close(opening.process), 0);
		no_children();
	}
	return 0;
}

/* Each open finds room for one descriptor more than the one before. */
static int short_of_descriptors(void *arg)
{
	struct rlimit limit, before;
	int lowest = fcntl(STDIN_FILENO, F_DUPFD, 0), failed = 0, rc = 0;

	close(lowest);
	CHECK_RC(shell_code("exit 0", OPTIONS(0)), 0);
	CHECK_RC(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (int more = 0; more < 24; more++) {
		limit = before;
		limit.rlim_cur = (rlim_t)(lowest + more);
		CHECK_RC(setrlimit(RLIMIT_NOFILE, &limit), 0);
		rc = open_only("true", OPTIONS(.in = PIPE, .out = PIPE, .err = PIPE, .grace = -1));
		CHECK_RC(setrlimit(RLIMIT_NOFILE, &before), 0);
		CHECK(rc == 0 || rc == -EMFILE);
		failed += rc < 0;
		no_children();
	}
	/* Three pipes and the child's own. */
	CHECK(failed >= 7);
	CHECK_RC(rc, 0);
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
		CONFORM(what_cannot_be_executed_is_an_error_of_open, CONFORM_NO_SIM),
		CONFORM(the_child_begins_clean, CONFORM_NO_SIM),
		CONFORM(the_three_ends_are_streams, CONFORM_NO_SIM),
		CONFORM(the_parts_of_a_send_go_out_together, CONFORM_NO_SIM),
		CONFORM(closing_wakes_those_at_the_pipes, CONFORM_NO_SIM),
		CONFORM(closing_takes_nothing_back, CONFORM_NO_SIM | CONFORM_ORDERED),
		CONFORM(closing_at_any_moment_wakes_those_at_the_pipes, CONFORM_NO_SIM),
		CONFORM(a_child_that_stopped_reading_is_an_error, CONFORM_NO_SIM),
		CONFORM(opening_is_a_checkpoint, CONFORM_NO_SIM),
		CONFORM(a_cancelled_open_leaves_nothing, CONFORM_NO_SIM),
		CONFORM(short_of_descriptors, CONFORM_NO_SIM),
		CONFORM(the_simulation_has_none, 0),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
