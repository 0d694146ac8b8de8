/*
 * Whatever is short: a program that uses everything (program.h) runs again and again, and each time another
 * allocation, operation, system call or descriptor is refused. Each run ends, by an error that says what was
 * refused or by going on without it, and leaves no descriptor, child, file or task behind.
 */
#include "calls.h"
#include "sockets.h"
#include "processes.h"
#include "program.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* The simulation has many seeds, and takes only every STRIDE-th of what could fail with each. */
enum { STRIDE = 16, RUNS_MOST = 2000 };

static bool simulated(const struct anyio_options *options)
{
	return strcmp(options->backend, "sim") == 0;
}

static uint64_t first(const struct anyio_options *options)
{
	return simulated(options) ? 1 + options->seed % STRIDE : 1;
}

static uint64_t step(const struct anyio_options *options)
{
	return simulated(options) ? STRIDE : 1;
}

static int run_program(const struct anyio_options *options)
{
	size_t fds = conformance_count_fds();
	program_begin();
	int rc = anyio_run(program_all, NULL, options);
	for (int kind = 0; kind < ANYIO_FAULT_KINDS; kind++)
		anyio_fault_set(kind, 0, 0);
	call_fail(CALL_COUNT, 0, 0);
	program_end();
	CHECK_RC((int64_t)conformance_count_fds(), (int64_t)fds);
	no_children();
	return rc;
}

/* Says what had failed when a run was not as it should be. */
static void judge(unsigned failures, const char *what, uint64_t at, int error, int rc)
{
	if (conformance_failures() != failures)
		conformance_fail(__FILE__, __LINE__, "after the failure %llu of %s with %s: %s",
			(unsigned long long)at, what, anyio_error_name(error),
			anyio_error_name(rc));
}

static void sweep_memory(const struct anyio_options *options, bool sticky)
{
	anyio_fault_set(ANYIO_FAULT_MEMORY, UINT64_MAX, 0);
	program_begin();
	CHECK_RC(anyio_run(program_all, NULL, options), 0);
	uint64_t calls = anyio_fault_count(ANYIO_FAULT_MEMORY);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	program_end();
	CHECK(calls > 30 && calls < RUNS_MOST);
	for (uint64_t at = first(options); at <= calls; at += step(options)) {
		unsigned failures = conformance_failures();
		if (sticky)
			anyio_fault_set_sticky(ANYIO_FAULT_MEMORY, at, 0);
		else
			anyio_fault_set(ANYIO_FAULT_MEMORY, at, 0);
		int rc = run_program(options);
		/* Where accepting found none, the other side only sees the connection go. */
		CHECK(rc == 0 || rc == -ENOMEM || rc == ANYIO_BROKEN || rc == ANYIO_END_OF_STREAM);
		judge(failures, sticky ? "all memory" : "memory", at, -ENOMEM, rc);
	}
}

static int every_allocation_fails_in_turn(void *arg)
{
	sweep_memory(arg, false);
	sweep_memory(arg, true);
	return 0;
}

static uint64_t operations_of(const struct anyio_options *options, const char *name)
{
	CHECK_RC(anyio_fault_set_call(name, UINT64_MAX, 0), 0);
	program_begin();
	CHECK_RC(anyio_run(program_all, NULL, options), 0);
	uint64_t count = anyio_fault_count(ANYIO_FAULT_CALL);
	anyio_fault_set(ANYIO_FAULT_CALL, 0, 0);
	program_end();
	return count;
}

static bool makes_descriptors(const char *name)
{
	return !strcmp(name, "socket") || !strcmp(name, "accept") || !strcmp(name, "openat");
}

static void sweep_operation(const struct anyio_options *options, const char *name, int error)
{
	uint64_t count = operations_of(options, name);
	for (uint64_t at = 1; at <= count; at++) {
		unsigned failures = conformance_failures();
		CHECK_RC(anyio_fault_set_call(name, at, error), 0);
		int rc = run_program(options);
		bool retried = strcmp(name, "accept") == 0 && error != -EIO;
		CHECK(retried ? rc == 0 : rc <= 0 && rc != ANYIO_CANCELLED && rc != ANYIO_DEADLOCK);
		judge(failures, name, at, error, rc);
	}
}

static int every_operation_fails_in_turn(void *arg)
{
	static const char *const names[] = { "accept", "bind", "close", "connect", "fdatasync",
		"flock", "fsync", "ftruncate", "getaddrinfo", "getnameinfo", "getpeername",
		"getsockname", "getsockopt", "listdir", "listen", "mkdirat", "openat", "poll",
		"preadv", "pwritev", "read", "readlinkat", "recv", "recvmsg", "renameat", "sendmsg",
		"setsockopt", "shutdown", "socket", "stat", "symlinkat", "sync_file_range",
		"unlinkat", "work", "write" };
	const struct anyio_options *options = arg;
	size_t count = sizeof names / sizeof *names;
	for (size_t i = first(options) - 1; i < count; i += step(options)) {
		sweep_operation(options, names[i], -EIO);
		if (makes_descriptors(names[i])) {
			sweep_operation(options, names[i], -EMFILE);
			sweep_operation(options, names[i], -ENFILE);
		}
	}
	CHECK_RC(anyio_fault_set_call("fork", 1, -EIO), -EINVAL);
	return 0;
}

static uint64_t calls_of(const struct anyio_options *options, enum call call)
{
	call_fail(call, 0, 0);
	program_begin();
	CHECK_RC(anyio_run(program_all, NULL, options), 0);
	uint64_t count = call_count();
	program_end();
	return count < 200 ? count : 200;
}

static void sweep_call(const struct anyio_options *options, enum call call, int error)
{
	uint64_t count = calls_of(options, call);
	for (uint64_t at = 1; at <= count; at++) {
		unsigned failures = conformance_failures();
		call_fail(call, at, error);
		int rc = run_program(options);
		CHECK(rc <= 0 && rc != ANYIO_CANCELLED && rc != ANYIO_DEADLOCK);
		judge(failures, call_name(call), at, -error, rc);
	}
}

static int every_system_call_fails_in_turn(void *arg)
{
	static const int lookups[] = { EAI_MEMORY, EIO, EAI_AGAIN, EAI_FAMILY, EAI_FAIL,
		EAI_OVERFLOW, EAI_BADFLAGS, EAI_NONAME };
	const struct anyio_options *options = arg;
	for (enum call call = (enum call)first(options) - 1; call < CALL_COUNT;
		call = (enum call)(call + step(options))) {
		bool lookup = call == CALL_getaddrinfo || call == CALL_getnameinfo;
		for (size_t i = 0; lookup && i < sizeof lookups / sizeof *lookups; i++)
			sweep_call(options, call, lookups[i]);
		if (!lookup)
			sweep_call(options, call, ENOMEM);
	}
	return 0;
}

static int with_time(void *arg)
{
	/* Accepting waits for descriptors for as long as it takes. */
	return anyio_fail_after(150 * ANYIO_MILLISECOND, program_all, arg);
}

static int lowest_free(void)
{
	int fd = dup(2);
	close(fd);
	return fd;
}

/* Descriptors run out for real, one later in each run. */
static int descriptors_run_out_one_by_one(void *arg)
{
	const struct anyio_options *options = arg;
	int base = lowest_free(), last = -1;
	struct rlimit before, now;
	CHECK_RC(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (int left = 0; left < 64 && last != 0; left++) {
		unsigned failures = conformance_failures();
		size_t fds = conformance_count_fds();
		program_begin();
		now = before;
		now.rlim_cur = (rlim_t)(base + left);
		CHECK_RC(setrlimit(RLIMIT_NOFILE, &now), 0);
		last = anyio_run(with_time, NULL, options);
		CHECK_RC(setrlimit(RLIMIT_NOFILE, &before), 0);
		program_end();
		CHECK(last == 0 || last == -EMFILE || last == -ETIMEDOUT || last == -ENOMEM ||
			last == ANYIO_NO_BACKEND || last == -EAGAIN || last == -ENOENT);
		CHECK_RC((int64_t)conformance_count_fds(), (int64_t)fds);
		no_children();
		judge(failures, "descriptors", (uint64_t)left, -EMFILE, last);
	}
	CHECK_RC(last, 0);
	return 0;
}

struct lazy {
	struct anyio_stream *stream;
	ssize_t rc;
	char room[16];
};

static void *lend_room(void *arg, size_t *size)
{
	struct lazy *self = arg;
	*size = sizeof self->room;
	return self->room;
}

static int receive_lazily(void *arg)
{
	struct lazy *self = arg;
	self->rc = anyio_stream_receive_lazy(self->stream, lend_room, self);
	return 0;
}

static int twenty_lazy_receives(void *arg)
{
	struct anyio_stream *ends[2];
	connect_pair(ends);
	for (int i = 0; i < 20; i++) {
		struct lazy self = { .stream = ends[0] };
		ANYIO_TASK_GROUP(group);
		spawn(&group, receive_lazily, &self, NULL);
		anyio_wait_all_tasks_blocked();
		CHECK_RC(anyio_stream_send(ends[1], "x", 1), 0);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(self.rc, 1);
	}
	pair_free(ends);
	return 0;
}

/* To wait without a buffer costs no more calls than to wait with one, but for the first. */
static int a_lazy_receive_keeps_what_it_waits_by(void *arg)
{
	static const enum call calls[] = { CALL_uv_poll_init, CALL_poll };
	for (int i = 0; i < 2; i++) {
		call_fail(calls[i], 0, 0);
		CHECK_RC(anyio_run(twenty_lazy_receives, NULL, arg), 0);
		CHECK(call_count() < 6);
	}
	return 0;
}

static int twenty_through_a_pipe(void *arg)
{
	int ends[2];
	char back[4];
	CHECK_RC(pipe2(ends, O_CLOEXEC), 0);
	for (int i = 0; i < 20; i++) {
		CHECK_RC(anyio_write(ends[1], "abc", 3), 3);
		CHECK_RC(anyio_read(ends[0], back, sizeof(back)), 3);
	}
	CHECK_RC(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
	CHECK_RC(anyio_close(ends[0]), 0);
	CHECK_RC(anyio_close(ends[1]), 0);
	return 0;
}

/* Nor is anything made to wait by where nothing has to. */
static int a_pipe_that_is_ready_is_not_watched(void *arg)
{
	call_fail(CALL_uv_poll_init, 0, 0);
	CHECK_RC(anyio_run(twenty_through_a_pipe, NULL, arg), 0);
	CHECK_RC((int64_t)call_count(), 0);
	return 0;
}

/* Before Linux 6.4 a pipe cannot be asked so. */
static int twenty_where_the_kernel_cannot(void *arg)
{
	const enum call *call = arg;
	call_fail(*call, 1, EOPNOTSUPP);
	return twenty_through_a_pipe(NULL);
}

static int a_pipe_that_cannot_be_asked_is_watched(void *arg)
{
	static enum call calls[] = { CALL_preadv2, CALL_pwritev2 };
	for (int i = 0; i < 2; i++)
		CHECK_RC(anyio_run(twenty_where_the_kernel_cannot, &calls[i], arg), 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(every_allocation_fails_in_turn, CONFORM_BARE),
		CONFORM(every_operation_fails_in_turn, CONFORM_BARE),
		CONFORM(every_system_call_fails_in_turn, CONFORM_BARE),
		CONFORM(a_lazy_receive_keeps_what_it_waits_by, CONFORM_BARE | CONFORM_NO_SIM),
		CONFORM(a_pipe_that_is_ready_is_not_watched, CONFORM_BARE | CONFORM_NO_SIM),
		CONFORM(a_pipe_that_cannot_be_asked_is_watched, CONFORM_BARE | CONFORM_NO_SIM),
		CONFORM(descriptors_run_out_one_by_one, CONFORM_BARE),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
