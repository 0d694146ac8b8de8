/* Work in a child: this program is its own worker when it is called with an argument. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "processes.h"
#include "../core/core.h"
#include "../process/frame.h"

/* What the child does, by the first letter of the request. */
static int work(const void *request, size_t size, void **data, size_t *data_size)
{
	const char *bytes = request;
	char unused;

	switch (size == 0 ? 'n' : *bytes) {
	case 'b': *data_size = 100000; break;
	case 'c': _exit(3);
	case 'e': *data_size = size; break;
	case 'f': return -EDOM;
	case 'h':
		/* Says that it began. */
		if (write(STDERR_FILENO, "h", 1) == 1)
			for (;;)
				pause();
		break;
	case 'p':
		puts("this is no answer");
		fflush(stdout);
		/* Nor is a request to be had. */
		return read(STDIN_FILENO, &unused, 1) == 0 ? 0 : -EPROTO;
	case 's': raise(SIGSEGV); break;
	default: break;
	}
	*data = *data_size == 0 ? NULL : calloc(1, *data_size);
	if (*data != NULL && *bytes == 'e')
		memcpy(*data, bytes, size);
	return (int)size;
}

static char *const self[] = { "/proc/self/exe", "serve", NULL };
/* Takes no request of more than 10000 bytes. */
static char *const small[] = { "/proc/self/exe", "small", NULL };

static struct anyio_worker *open_worker(char *const argv[], size_t max_answer, int err)
{
	struct anyio_worker_options options = { .max_answer = max_answer };
	struct anyio_worker *worker;

	options.process.err = (struct anyio_stdio){ .kind = ANYIO_STDIO_NULL };
	if (err >= 0)
		options.process.err = (struct anyio_stdio){ .kind = ANYIO_STDIO_FD, .fd = err };
	CHECK_RC(anyio_worker_open(argv, &options, &worker), 0);
	return worker;
}

static int call(struct anyio_worker *worker, const char *request)
{
	struct anyio_worker_answer answer;
	int rc = anyio_worker_call(worker, request, strlen(request), &answer);

	CHECK(rc == 0 || (answer.data == NULL && answer.size == 0 && answer.result == 0));
	CHECK(answer.size == 0 || memcmp(answer.data, request, answer.size) == 0);
	anyio_free(answer.data);
	return rc < 0 ? rc : answer.result;
}

static int requests_are_answered(void *arg)
{
	enum { LARGE = 5 << 20 };
	struct anyio_worker *worker = open_worker(self, 0, -1);
	char *large = malloc(LARGE + 1);

	CHECK_RC(call(worker, ""), 0);
	CHECK_RC(call(worker, "echo"), 4);
	CHECK_RC(call(worker, "f"), -EDOM);
	CHECK_RC(call(worker, "p"), 0);
	memset(large, 'e', LARGE);
	large[LARGE] = '\0';
	CHECK_RC(call(worker, large), LARGE);
	for (int i = 0; i < 200; i++)
		CHECK_RC(call(worker, "e2"), 2);
	free(large);
	CHECK_RC(anyio_worker_close(worker), 0);
	CHECK_RC(anyio_worker_close(NULL), 0);
	no_children();
	return 0;
}

/* However a child fails, the call says so and the worker is of no use any more. */
static void fails(char *const argv[], const char *request, size_t max_answer, int want)
{
	struct anyio_worker *worker = open_worker(argv, max_answer, -1);

	CHECK_RC(call(worker, "n"), 1);
	CHECK_RC(call(worker, request), want);
	CHECK_RC(call(worker, "n"), ANYIO_BROKEN);
	CHECK_RC(anyio_worker_close(worker), 0);
	no_children();
}

static int a_failed_child_is_an_error_of_the_call(void *arg)
{
	char *const echo[] = { "cat", NULL }, *const absent[] = { "/nonexistent", NULL };
	struct anyio_worker_options options = { .process.in.kind = ANYIO_STDIO_NULL };
	struct anyio_worker *worker;
	char large[20000];

	fails(self, "c", 0, ANYIO_BROKEN);
	fails(self, "s", 0, ANYIO_BROKEN);
	fails(self, "b", 99999, -EOVERFLOW);
	/* More than the child takes: it leaves. */
	memset(large, 'e', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	fails(small, large, 0, ANYIO_BROKEN);
	/* One that does not know the protocol. */
	CHECK_RC(anyio_worker_open(echo, NULL, &worker), 0);
	CHECK_RC(call(worker, "e"), ANYIO_BROKEN);
	CHECK_RC(anyio_worker_close(worker), 0);
	CHECK_RC(anyio_worker_open(absent, NULL, &worker), -ENOENT);
	CHECK(worker == NULL);
	CHECK_RC(anyio_worker_open(echo, &options, &worker), -EINVAL);
	no_children();
	return 0;
}

/* As a child that has forked might: two answers to each request. */
static int answer_twice(void)
{
	struct frame frame;
	char body[100];

	while (read(STDIN_FILENO, &frame, sizeof(frame)) == sizeof(frame) &&
		frame.size <= sizeof(body) &&
		read(STDIN_FILENO, body, frame.size) == (ssize_t)frame.size) {
		struct frame answer[2] = { { .kind = FRAME_ANSWER, .number = frame.number } };

		answer[1] = answer[0];
		if (write(STDOUT_FILENO, answer, sizeof(answer)) < 0)
			return 1;
	}
	return 0;
}

static int an_answer_is_of_its_request(void *arg)
{
	char *const twice[] = { "/proc/self/exe", "twice", NULL };
	struct anyio_worker *worker = open_worker(twice, 0, -1);

	CHECK_RC(call(worker, "first"), 0);
	CHECK_RC(call(worker, "second"), ANYIO_BROKEN);
	CHECK_RC(anyio_worker_close(worker), 0);
	no_children();
	return 0;
}

enum { EARLY = 1 << 20 };

/* Writes more than a pipe holds before it reads the request, or more of it than its head. */
static int answer_early(bool garbage)
{
	static char much[EARLY], body[4096];
	struct frame frame = { .kind = FRAME_REQUEST };

	while (garbage || read(STDIN_FILENO, &frame, sizeof(frame)) == sizeof(frame)) {
		struct frame answer = {
			.kind = FRAME_ANSWER, .number = frame.number, .size = sizeof(much)
		};
		size_t left = frame.size;

		if ((!garbage &&
			    anyio_write_blocking(STDOUT_FILENO, &answer, sizeof(answer)) < 0) ||
			anyio_write_blocking(STDOUT_FILENO, much, sizeof(much)) < 0)
			return 1;
		while (left > 0) {
			ssize_t n = read(STDIN_FILENO, body, left < 4096 ? left : 4096);

			if (n <= 0)
				return 1;
			left -= (size_t)n;
		}
	}
	return 0;
}

/* Neither side waits for the other for ever. */
static int an_answer_comes_after_its_request(void *arg)
{
	enum { LARGE = 5 << 20 };
	char *const argv[][3] = { { "/proc/self/exe", "early", NULL },
		{ "/proc/self/exe", "garbage", NULL } };
	char *large = calloc(1, LARGE);
	struct anyio_worker_answer answer;
	struct anyio_worker *worker;

	for (int i = 0; i < 2; i++) {
		worker = open_worker(argv[i], 0, -1);
		CHECK_RC(anyio_worker_call(worker, large, LARGE, &answer), ANYIO_BROKEN);
		CHECK(answer.data == NULL);
		CHECK_RC(call(worker, "n"), ANYIO_BROKEN);
		CHECK_RC(anyio_worker_close(worker), 0);
	}
	/* A small one is sent whole before it is read. */
	worker = open_worker(argv[0], 0, -1);
	for (int i = 0; i < 20; i++) {
		CHECK_RC(anyio_worker_call(worker, large, 100, &answer), 0);
		CHECK_RC((int64_t)answer.size, EARLY);
		anyio_free(answer.data);
	}
	CHECK_RC(anyio_worker_close(worker), 0);
	free(large);
	no_children();
	return 0;
}

struct calling {
	struct anyio_worker *worker;
	const char *request;
	struct anyio_task_handle handle;
	int rc;
};

static int call_task(void *arg)
{
	struct calling *self = arg;

	self->rc = call(self->worker, self->request);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static void start_calling(struct anyio_task_group *group, struct calling *calling, int begun)
{
	struct anyio_task_options options = { .name = "call", .handle = &calling->handle };
	char byte;

	CHECK_RC(anyio_start_soon_with(group, call_task, calling, &options), 0);
	CHECK_RC(anyio_read(begun, &byte, 1), 1);
}

/* The child hangs: only killing it ends the call. */
static int a_call_is_cancelled_or_closed(void *arg)
{
	struct calling cancelled = { .request = "hang" }, closed = { .request = "hang" };
	int ends[2];
	char byte;
	ANYIO_TASK_GROUP(group);

	CHECK_RC(pipe2(ends, O_CLOEXEC), 0);
	cancelled.worker = open_worker(self, 0, ends[1]);
	start_calling(&group, &cancelled, ends[0]);
	CHECK_RC(call(cancelled.worker, "n"), ANYIO_BUSY);
	anyio_task_handle_cancel(&cancelled.handle, "test");
	CHECK_RC(anyio_task_handle_wait(&cancelled.handle), ANYIO_TASK_CANCELLED);
	CHECK_RC(call(cancelled.worker, "n"), ANYIO_BROKEN);
	/* Gone already: nobody else has that end of the pipe. */
	anyio_close(ends[1]);
	CHECK_RC(anyio_read(ends[0], &byte, 1), 0);
	anyio_close(ends[0]);
	CHECK_RC(anyio_worker_close(cancelled.worker), 0);
	CHECK_RC(pipe2(ends, O_CLOEXEC), 0);
	closed.worker = open_worker(self, 0, ends[1]);
	start_calling(&group, &closed, ends[0]);
	CHECK_RC(anyio_worker_close(closed.worker), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(closed.rc, ANYIO_CLOSED);
	anyio_close(ends[0]);
	anyio_close(ends[1]);
	no_children();
	return 0;
}

static int faulted_body(void *arg)
{
	struct anyio_worker *worker;
	struct anyio_worker_answer answer;
	int rc = anyio_worker_open(self, NULL, &worker);

	if (rc < 0)
		return rc;
	rc = anyio_worker_call(worker, "e123", 4, &answer);
	CHECK(rc < 0 ? answer.data == NULL : answer.size == 4);
	anyio_free(answer.data);
	CHECK_RC(anyio_worker_close(worker), 0);
	return rc;
}

static int every_fault_in_turn(void *arg)
{
	static const enum anyio_fault_kind kinds[] = { ANYIO_FAULT_MEMORY, ANYIO_FAULT_OPERATION };

	for (int k = 0; k < 2; k++) {
		uint64_t calls;

		anyio_fault_set(kinds[k], UINT64_MAX, -EIO);
		CHECK_RC(anyio_run(faulted_body, NULL, arg), 0);
		calls = anyio_fault_count(kinds[k]);
		CHECK(calls > 2);
		for (uint64_t at = 1; at <= calls; at++) {
			int rc;

			anyio_fault_set(kinds[k], at, -EIO);
			rc = anyio_run(faulted_body, NULL, arg);
			anyio_fault_set(kinds[k], 0, 0);
			CHECK(rc == 0 || rc == (k == 0 ? -ENOMEM : -EIO));
			no_children();
		}
	}
	return 0;
}

/* What is no request ends the worker with an error. */
static int code_of_worker(const void *input, size_t size)
{
	struct anyio_process_run_options options = { .input = input, .input_size = size };
	struct anyio_process_result result;

	CHECK_RC(anyio_process_run(small, &options, &result), 0);
	int code = result.code;
	anyio_process_result_free(&result);
	return code;
}

static int what_is_no_request_ends_the_worker(void *arg)
{
	struct frame good = { .kind = FRAME_REQUEST, .size = 4 };
	struct frame wrong = { .kind = FRAME_ANSWER, .size = 0 };
	struct frame large = { .kind = FRAME_REQUEST, .size = 10001 };
	char cut[sizeof(good) + 2] = "";

	CHECK_RC(code_of_worker(NULL, 0), 0);
	CHECK_RC(code_of_worker(&good, 5), 1);
	CHECK_RC(code_of_worker(&wrong, sizeof(wrong)), 1);
	CHECK_RC(code_of_worker(&large, sizeof(large)), 1);
	memcpy(cut, &good, sizeof(good));
	CHECK_RC(code_of_worker(cut, sizeof(cut)), 1);
	CHECK_RC(code_of_worker(&good, sizeof(good)), 1);
	no_children();
	return 0;
}

int main(int argc, char **argv)
{
	static const struct conformance_case cases[] = {
		CONFORM(requests_are_answered, CONFORM_NO_SIM),
		CONFORM(a_failed_child_is_an_error_of_the_call, CONFORM_NO_SIM),
		CONFORM(an_answer_is_of_its_request, CONFORM_NO_SIM),
		CONFORM(an_answer_comes_after_its_request, CONFORM_NO_SIM),
		CONFORM(a_call_is_cancelled_or_closed, CONFORM_NO_SIM),
		CONFORM(what_is_no_request_ends_the_worker, CONFORM_NO_SIM),
		CONFORM(every_fault_in_turn, CONFORM_NO_SIM | CONFORM_BARE),
	};

	if (argc > 1 && strcmp(argv[1], "twice") == 0)
		return answer_twice();
	if (argc > 1 && (strcmp(argv[1], "early") == 0 || strcmp(argv[1], "garbage") == 0))
		return answer_early(argv[1][0] == 'g');
	if (argc > 1)
		return anyio_worker_serve(work, strcmp(argv[1], "small") == 0 ? 10000 : 0) < 0;
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
