/* Processes from their start to their end, and faults in all that happens between. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "processes.h"

#define RUN(...) ((struct anyio_process_run_options){ __VA_ARGS__ })

static int run_shell(const char *script, struct anyio_process_run_options options,
	struct anyio_process_result *result)
{
	char *const argv[] = { "sh", "-c", (char *)script, NULL };

	return anyio_process_run(argv, &options, result);
}

static bool is_empty(const struct anyio_process_result *result)
{
	return result->code == 0 && result->out == NULL && result->err == NULL &&
		result->out_size == 0 && result->err_size == 0;
}

static int output_and_code_are_captured(void *arg)
{
	struct anyio_process_run_options options = { .input = "one\ntwo\n", .input_size = 8 };
	struct anyio_process_result result;

	CHECK_RC(run_shell("cat; echo oops >&2; exit 3", options, &result), 0);
	CHECK_RC(result.code, 3);
	CHECK_RC((int64_t)result.out_size, 8);
	CHECK(strcmp(result.out, "one\ntwo\n") == 0);
	CHECK(strcmp(result.err, "oops\n") == 0);
	anyio_process_result_free(&result);
	CHECK(is_empty(&result));
	CHECK_RC(
		run_shell("test -c /dev/stdin && kill -KILL $$", RUN(.max_output = 1), &result), 0);
	CHECK_RC(result.code, -SIGKILL);
	CHECK(result.out_size == 0 && result.out != NULL && *result.out == '\0');
	anyio_process_result_free(&result);
	no_children();
	return 0;
}

static int check_makes_a_code_an_error(void *arg)
{
	struct anyio_process_result result;
	char *const argv[] = { "true", NULL };

	CHECK_RC(run_shell("echo why >&2; exit 7", RUN(.check = true), &result),
		ANYIO_PROCESS_FAILED);
	CHECK_RC(result.code, 7);
	CHECK(strcmp(result.err, "why\n") == 0);
	anyio_process_result_free(&result);
	CHECK_RC(run_shell("kill -TERM $$", RUN(.check = true), &result), ANYIO_PROCESS_FAILED);
	CHECK_RC(result.code, -SIGTERM);
	anyio_process_result_free(&result);
	CHECK_RC(run_shell("exit 0", RUN(.check = true), &result), 0);
	anyio_process_result_free(&result);
	CHECK_RC(anyio_process_run(argv, NULL, &result), 0);
	anyio_process_result_free(&result);
	return 0;
}

static int the_ends_may_be_chosen(void *arg)
{
	struct anyio_process_run_options options = {
		.process.err.kind = ANYIO_STDIO_OUT,
		.process.in.kind = ANYIO_STDIO_PIPE,
	};
	struct anyio_process_result result;

	CHECK_RC(run_shell("cat; echo one; echo two >&2", options, &result), 0);
	CHECK(strcmp(result.out, "one\ntwo\n") == 0);
	CHECK(result.err == NULL);
	anyio_process_result_free(&result);
	options = RUN(.process.out.kind = ANYIO_STDIO_NULL);
	CHECK_RC(run_shell("echo one; echo two >&2", options, &result), 0);
	CHECK(result.out == NULL);
	CHECK(strcmp(result.err, "two\n") == 0);
	anyio_process_result_free(&result);
	options = RUN(.process.in.kind = ANYIO_STDIO_NULL, .input = "x", .input_size = 1);
	CHECK_RC(run_shell("exit 0", options, &result), -EINVAL);
	CHECK(is_empty(&result));
	options = RUN(.process.program = "/nonexistent");
	CHECK_RC(run_shell("exit 0", options, &result), -ENOENT);
	CHECK(is_empty(&result));
	no_children();
	return 0;
}

/* More than both pipes hold, both ways at once: neither side waits for the other for ever. */
static int large_input_and_output_at_once(void *arg)
{
	enum { SIZE = 3 << 20 };
	struct anyio_process_result result;
	char *input = malloc(SIZE);

	for (int i = 0; i < SIZE; i++)
		input[i] = (char)(i * 7 + i / 251);
	CHECK_RC(run_shell("tee /dev/stderr", RUN(.input = input, .input_size = SIZE), &result), 0);
	CHECK_RC(result.code, 0);
	CHECK_RC((int64_t)result.out_size, SIZE);
	CHECK_RC((int64_t)result.err_size, SIZE);
	CHECK(result.out_size == SIZE && memcmp(result.out, input, SIZE) == 0);
	CHECK(result.err_size == SIZE && memcmp(result.err, input, SIZE) == 0);
	anyio_process_result_free(&result);
	/* And a child that wants none of it. */
	CHECK_RC(run_shell("exec <&-; echo done", RUN(.input = input, .input_size = SIZE), &result),
		0);
	CHECK(strcmp(result.out, "done\n") == 0);
	anyio_process_result_free(&result);
	free(input);
	no_children();
	return 0;
}

static int too_much_output_is_an_error(void *arg)
{
	struct anyio_process_result result;

	CHECK_RC(run_shell("printf 12345", RUN(.max_output = 5), &result), 0);
	CHECK(strcmp(result.out, "12345") == 0);
	anyio_process_result_free(&result);
	CHECK_RC(run_shell("printf 123456", RUN(.max_output = 5), &result), -EOVERFLOW);
	CHECK(is_empty(&result));
	CHECK_RC(run_shell("printf 123456 >&2", RUN(.max_output = 5), &result), -EOVERFLOW);
	CHECK_RC(run_shell("yes", RUN(.max_output = 100000), &result), -EOVERFLOW);
	CHECK_RC(run_shell("yes", RUN(0), &result), -EOVERFLOW);
	CHECK_RC(run_shell("echo x", RUN(.max_output = SIZE_MAX), &result), 0);
	CHECK_RC((int64_t)result.out_size, 2);
	anyio_process_result_free(&result);
	no_children();
	return 0;
}

/* What a grandchild keeps open is not waited for; all that the child wrote is there. */
static int c62_a_run_ends_with_its_child(void *arg)
{
	struct anyio_process_run_options options = {
		.process.new_group = true,
		.process.in.kind = ANYIO_STDIO_PIPE,
	};
	struct anyio_process_result result;

	CHECK_RC(run_shell("sleep 1000 & head -c 60000 /dev/zero | tr '\\0' x", options, &result),
		0);
	CHECK_RC((int64_t)result.out_size, 60000);
	anyio_process_result_free(&result);
	no_children();
	return 0;
}

/* Somebody who writes to the child's output whenever it is looked at, once the child is gone. The linker
 * leads read(2) here. */
static struct {
	int fd; /* -1: nobody */
	pid_t child;
} other = { .fd = -1 };

ssize_t __real_read(int fd, void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size);

ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
	static const char more[4096];

	if (other.fd >= 0 && kill(other.child, 0) < 0)
		CHECK(write(other.fd, more, sizeof(more)) > 0 || errno == EAGAIN);
	return __real_read(fd, buffer, size);
}

struct followed {
	struct anyio_process_result result;
	int in[2], err[2];
};

static int run_followed(void *arg)
{
	struct followed *self = arg;
	struct anyio_process_run_options options = {
		.process.in = { ANYIO_STDIO_FD, self->in[0] },
		.process.err = { ANYIO_STDIO_FD, self->err[1] },
		.max_output = 1 << 20,
	};

	return run_shell("echo $$ >&2; read line; printf done", options, &self->result);
}

/* Of others it takes what is there when the child has ended, and no more. */
static int c62b_a_run_does_not_follow_who_writes_on(void *arg)
{
	struct followed followed;
	char text[32] = "", path[64];
	ANYIO_TASK_GROUP(group);

	CHECK_RC(pipe2(followed.in, O_CLOEXEC), 0);
	CHECK_RC(pipe2(followed.err, O_CLOEXEC), 0);
	CHECK_RC(anyio_start_soon(&group, run_followed, &followed, "run"), 0);
	CHECK(anyio_read(followed.err[0], text, sizeof(text) - 1) > 1);
	other.child = (pid_t)atoi(text);
	snprintf(path, sizeof(path), "/proc/%d/fd/1", (int)other.child);
	other.fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	CHECK(other.fd >= 0);
	CHECK_RC(anyio_write(followed.in[1], "\n", 1), 1);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	close(other.fd);
	other.fd = -1;
	CHECK(followed.result.out_size >= 4 && memcmp(followed.result.out, "done", 4) == 0);
	anyio_process_result_free(&followed.result);
	for (int i = 0; i < 2; i++) {
		anyio_close(followed.in[i]);
		anyio_close(followed.err[i]);
	}
	no_children();
	return 0;
}

struct timed {
	const char *script;
	struct anyio_process_run_options options;
};

static int run_timed(void *arg)
{
	struct timed *timed = arg;
	struct anyio_process_result result;
	int rc = run_shell(timed->script, timed->options, &result);

	CHECK(is_empty(&result));
	no_children();
	return rc;
}

static int a_timeout_ends_the_child_first(void *arg)
{
	static char much[1 << 20];
	struct timed polite = { "exec sleep 1000", RUN(.process.grace = 1000 * ANYIO_SECOND) };
	struct timed full = { "exec sleep 1000", RUN(.input = much, .input_size = sizeof(much)) };
	struct timed deaf = { "trap '' TERM; exec sleep 1000",
		RUN(.process.grace = 10 * ANYIO_MILLISECOND) };

	/* One that heeds SIGTERM has the whole grace: it is not killed because of the timeout. */
	CHECK_RC(anyio_fail_after(10 * ANYIO_MILLISECOND, run_timed, &polite), -ETIMEDOUT);
	CHECK_RC(anyio_fail_after(10 * ANYIO_MILLISECOND, run_timed, &full), -ETIMEDOUT);
	CHECK_RC(anyio_fail_after(50 * ANYIO_MILLISECOND, run_timed, &deaf), -ETIMEDOUT);
	CHECK_RC(anyio_fail_after(0, run_timed, &polite), -ETIMEDOUT);
	return 0;
}

struct heeding {
	struct anyio_task_handle handle;
	struct anyio_process_result result;
	int listening, rc;
};

/* A cancelled run gives the child the time to clean up, and is over only then. */
static int run_heeding(void *arg)
{
	struct heeding *self = arg;
	struct anyio_process_run_options options = {
		.process.err = { ANYIO_STDIO_FD, self->listening },
		.process.grace = 1000 * ANYIO_SECOND,
	};
	static const char script[] =
		"trap 'printf cleaned >&2; exit 0' TERM; printf r >&2; while :; do sleep 0.01; done";

	self->rc = run_shell(script, options, &self->result);
	return self->rc;
}

static int a_cancelled_run_lets_the_child_clean_up(void *arg)
{
	struct anyio_task_options options = { .name = "run" };
	struct heeding heeding = { .rc = 1 };
	char text[16] = "";
	int ends[2];
	ANYIO_TASK_GROUP(group);

	CHECK_RC(pipe2(ends, O_CLOEXEC), 0);
	heeding.listening = ends[1];
	options.handle = &heeding.handle;
	CHECK_RC(anyio_start_soon_with(&group, run_heeding, &heeding, &options), 0);
	CHECK_RC(anyio_read(ends[0], text, 1), 1);
	anyio_task_handle_cancel(&heeding.handle, "test");
	CHECK_RC(anyio_task_handle_wait(&heeding.handle), ANYIO_TASK_CANCELLED);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(heeding.rc, ANYIO_CANCELLED);
	no_children();
	anyio_close(ends[1]);
	CHECK_RC(anyio_read(ends[0], text, sizeof(text)), 7);
	CHECK(memcmp(text, "cleaned", 7) == 0);
	anyio_close(ends[0]);
	return 0;
}

/* Every call that may fail does so in turn: no child, task or descriptor stays. */
static int faulted_body(void *arg)
{
	static char input[200000];
	char *const argv[] = { "tee", "/dev/stderr", NULL };
	struct anyio_process_run_options options = {
		.input = input,
		.input_size = sizeof(input),
		.process.new_group = true,
	};
	struct anyio_process_result result;
	struct anyio_process *process;
	int rc = anyio_process_run(argv, &options, &result);

	CHECK(rc < 0 ? is_empty(&result)
		     : result.code == 0 && result.out_size == sizeof(input) &&
				result.err_size == sizeof(input));
	anyio_process_result_free(&result);
	no_children();
	options.process.in.kind = ANYIO_STDIO_PIPE;
	if (rc == 0)
		rc = anyio_process_open(argv, &options.process, &process);
	if (rc == 0) {
		rc = anyio_stream_send(anyio_process_in(process), "x", 1);
		/* Whatever fails in it, the child is gone after it. */
		CHECK_RC(anyio_process_close(process), 0);
		no_children();
	}
	return rc;
}

static void sweep(const struct anyio_options *options, enum anyio_fault_kind kind, bool sticky)
{
	int want = kind == ANYIO_FAULT_MEMORY ? -ENOMEM : -EIO;
	unsigned failures = conformance_failures();
	uint64_t calls;

	anyio_fault_set(kind, UINT64_MAX, -EIO);
	CHECK_RC(anyio_run(faulted_body, NULL, options), 0);
	calls = anyio_fault_count(kind);
	CHECK(calls > 3);
	for (uint64_t at = 1; at <= calls && conformance_failures() == failures; at++) {
		size_t fds = conformance_count_fds();
		int rc;

		if (sticky)
			anyio_fault_set_sticky(kind, at, -EIO);
		else
			anyio_fault_set(kind, at, -EIO);
		rc = anyio_run(faulted_body, NULL, options);
		anyio_fault_set(kind, 0, 0);
		CHECK(rc == 0 || rc == want);
		CHECK_RC((int64_t)conformance_count_fds(), (int64_t)fds);
		no_children();
	}
}

static int every_fault_in_turn(void *arg)
{
	const struct anyio_options *options = arg;

	sweep(options, ANYIO_FAULT_MEMORY, false);
	sweep(options, ANYIO_FAULT_MEMORY, true);
	sweep(options, ANYIO_FAULT_OPERATION, false);
	sweep(options, ANYIO_FAULT_OPERATION, true);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(output_and_code_are_captured, CONFORM_NO_SIM),
		CONFORM(check_makes_a_code_an_error, CONFORM_NO_SIM),
		CONFORM(the_ends_may_be_chosen, CONFORM_NO_SIM),
		CONFORM(large_input_and_output_at_once, CONFORM_NO_SIM),
		CONFORM(too_much_output_is_an_error, CONFORM_NO_SIM),
		CONFORM(c62_a_run_ends_with_its_child, CONFORM_NO_SIM),
		CONFORM(c62b_a_run_does_not_follow_who_writes_on, CONFORM_NO_SIM),
		CONFORM(a_timeout_ends_the_child_first, CONFORM_NO_SIM),
		CONFORM(a_cancelled_run_lets_the_child_clean_up, CONFORM_NO_SIM),
		CONFORM(every_fault_in_turn, CONFORM_NO_SIM | CONFORM_BARE),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
