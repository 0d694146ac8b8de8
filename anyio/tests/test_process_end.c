/* Child processes: waiting for them, signals, closing, and the host's own handlers. */
#include <fcntl.h>
#include <signal.h>
#include "processes.h"

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

static int c62_r15_wait_returns_despite_a_grandchilds_open_stdout(void *arg)
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

static int c63_r15_an_ignored_sigterm_escalates(void *arg)
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

/* What this program is when it has an argument: a child that leaves its group. */
static int wander(void)
{
	if (setpgid(0, getpgid(getppid())) < 0 || write(STDOUT_FILENO, "\n", 1) != 1)
		return 1;
	for (;;)
		pause();
}

static int one_that_left_its_group_is_ended(void *arg)
{
	char *const argv[] = { "/proc/self/exe", "wander", NULL };
	struct anyio_process_options options = { .out = PIPE, .new_group = true };
	struct waiting waiting = { .code = 0 };
	ANYIO_TASK_GROUP(group);

	for (int kills = 0; kills < 2; kills++) {
		options.grace = kills ? -1 : 1000 * ANYIO_SECOND;
		CHECK_RC(anyio_process_open(argv, &options, &waiting.process), 0);
		await_line(waiting.process);
		CHECK_RC(anyio_start_soon(&group, wait_one, &waiting, "wait"), 0);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(anyio_process_close(waiting.process), 0);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(waiting.code, kills ? -SIGKILL : -SIGTERM);
	}
	no_children();
	return anyio_task_group_exit(&group, 0);
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

int main(int argc, char **argv)
{
	static const struct conformance_case cases[] = {
		CONFORM(exit_codes_and_signals, CONFORM_NO_SIM),
		CONFORM(several_tasks_wait_and_one_leaves, CONFORM_NO_SIM),
		CONFORM(c61_a_cancelled_close_leaves_no_orphan, CONFORM_NO_SIM),
		CONFORM(c62_r15_wait_returns_despite_a_grandchilds_open_stdout, CONFORM_NO_SIM),
		CONFORM(c63_r15_an_ignored_sigterm_escalates, CONFORM_NO_SIM),
		CONFORM(the_mock_clock_waits_for_children, CONFORM_NO_SIM | CONFORM_MOCK),
		CONFORM(a_negative_grace_kills_at_once, CONFORM_NO_SIM),
		CONFORM(groups_are_ended_whole, CONFORM_NO_SIM),
		CONFORM(one_that_left_its_group_is_ended, CONFORM_NO_SIM),
		CONFORM(a_thousand_in_a_row, CONFORM_NO_SIM),
		CONFORM(fifty_at_once, CONFORM_NO_SIM),
		CONFORM(beside_a_host_that_reaps, CONFORM_NO_SIM),
	};

	if (argc > 1)
		return wander();
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
