/* Down the ladder: every rung of io_uring refused by every error, operations missing, a ring that a
 * filter lets nobody use, a submission queue that will not empty. */
#include "sockets.h"
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "rings.h"
#include "../core/core.h"

static const int errors[] = { EPERM, ENOSYS, EINVAL, ENOMEM };
enum { ERRORS = sizeof errors / sizeof *errors };

static void use_sockets(void)
{
	struct anyio_stream *ends[2];
	char byte = 0;
	connect_pair(ends);
	CHECK_RC(anyio_stream_send(ends[0], "x", 1), 0);
	CHECK_RC(anyio_stream_receive(ends[1], &byte, 1), 1);
	CHECK(byte == 'x');
	pair_free(ends);
}

static int receive_for_ever(void *arg)
{
	char byte;
	return (int)anyio_stream_receive(arg, &byte, 1);
}

static void use_cancels(void)
{
	struct anyio_stream *ends[2];
	connect_pair(ends);
	CHECK_RC(anyio_move_on_after(ANYIO_MILLISECOND, receive_for_ever, ends[0]), 0);
	CHECK_RC(anyio_move_on_after(0, receive_for_ever, ends[0]), 0);
	pair_free(ends);
}

static void use_file(int dir)
{
	char bytes[8] = "";
	struct stat st;
	int fd = anyio_openat(dir, "one", O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK_RC(anyio_pwrite_all(fd, "ladder", 6, 0), 0);
	CHECK_RC(anyio_pread(fd, bytes, sizeof bytes, 0), 6);
	CHECK(memcmp(bytes, "ladder", 6) == 0);
	CHECK_RC(anyio_fsync(fd), 0);
	CHECK_RC(anyio_fdatasync(fd), 0);
	CHECK_RC(anyio_sync_range(fd, 0, 6), 0);
	CHECK_RC(anyio_ftruncate(fd, 3), 0);
	CHECK_RC(anyio_fstat(fd, &st), 0);
	CHECK_RC(st.st_size, 3);
	anyio_close(fd);
}

static void use_folder(void)
{
	struct folder folder;
	struct stat st;
	folder_make(&folder);
	int dir = anyio_open(folder.folder, O_RDONLY | O_DIRECTORY, 0);
	CHECK(dir >= 0);
	use_file(dir);
	CHECK_RC(anyio_renameat(dir, "one", dir, "two"), 0);
	CHECK_RC(anyio_symlinkat("two", dir, "link"), 0);
	CHECK_RC(anyio_mkdirat(dir, "sub", 0700), 0);
	CHECK_RC(anyio_fstatat(dir, "link", &st, 0), 0);
	CHECK_RC(st.st_size, 3);
	CHECK_RC(anyio_fstatat(dir, "none", &st, 0), -ENOENT);
	CHECK_RC(anyio_unlinkat(dir, "link", 0), 0);
	CHECK_RC(anyio_unlinkat(dir, "two", 0), 0);
	CHECK_RC(anyio_unlinkat(dir, "sub", AT_REMOVEDIR), 0);
	anyio_close(dir);
	folder_remove(&folder);
}

static int answer(void *arg)
{
	return 42;
}

/* Something of everything a backend does; *arg is told which one it was. */
static int everything(void *arg)
{
	*(const char **)arg = anyio_backend_name();
	use_sockets();
	use_cancels();
	use_folder();
	CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
	CHECK_RC(anyio_to_thread(answer, NULL, NULL), 42);
	return 0;
}

static const char *runs_on(const char *backend)
{
	struct anyio_options options = { .backend = backend };
	const char *name = "";
	size_t fds = conformance_count_fds();
	int rc = anyio_run(everything, &name, &options);
	assert_int_equal(conformance_count_fds(), fds);
	assert_int_equal(conformance_failures(), 0);
	return rc == ANYIO_NO_BACKEND ? "none" : rc < 0 ? anyio_error_name(rc) : name;
}

static void all_is_well_again(void)
{
	rings = (struct rings){ .error = EINVAL, .missing = -1 };
	assert_string_equal(runs_on("uring"), "uring");
	assert_int_equal(rings.stood_on, 0);
}

static void every_rung_holds(void **state)
{
	for (int rung = 0; rung < RUNGS; rung++)
		for (int i = 0; i < ERRORS; i++) {
			rings.refused = rung;
			rings.error = errors[i];
			assert_string_equal(runs_on(NULL), "uring");
			assert_int_equal(rings.stood_on, rung);
			assert_string_equal(runs_on("uring"), "uring");
			assert_int_equal(rings.stood_on, rung);
		}
	all_is_well_again();
}

static void below_the_last_rung_is_libuv(void **state)
{
	for (int i = 0; i < ERRORS; i++) {
		rings.refused = RUNGS;
		rings.error = errors[i];
		assert_string_equal(runs_on(NULL), "uv");
		assert_string_equal(runs_on("uring"), "none");
		assert_true(rings.refusals >= RUNGS);
	}
	all_is_well_again();
}

/* That there are no descriptors left says nothing about what works here. */
static void a_shortage_is_no_refusal(void **state)
{
	rings.refused = RUNGS;
	rings.error = EMFILE;
	assert_string_equal(runs_on("uring"), "EMFILE");
	assert_string_equal(runs_on(NULL), "uv");
	all_is_well_again();
}

static void a_kernel_that_drops_completions_will_not_do(void **state)
{
	rings.drops = true;
	assert_string_equal(runs_on("uring"), "none");
	assert_string_equal(runs_on(NULL), "uv");
	all_is_well_again();
}

static void a_kernel_without_probe_will_not_do(void **state)
{
	rings.unprobed = true;
	assert_string_equal(runs_on("uring"), "none");
	assert_string_equal(runs_on(NULL), "uv");
	all_is_well_again();
}

static void without_a_needed_operation_it_is_libuv(void **state)
{
	static const int needed[] = { IORING_OP_RECV, IORING_OP_SENDMSG, IORING_OP_RECVMSG,
		IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_POLL_ADD, IORING_OP_READ,
		IORING_OP_WRITE, IORING_OP_ASYNC_CANCEL };
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		rings.missing = needed[i];
		assert_string_equal(runs_on("uring"), "none");
		assert_string_equal(runs_on(NULL), "uv");
	}
	all_is_well_again();
}

static void other_missing_operations_are_done_by_threads(void **state)
{
	static const int others[] = { IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
		IORING_OP_SYNC_FILE_RANGE, IORING_OP_OPENAT, IORING_OP_STATX, IORING_OP_RENAMEAT,
		IORING_OP_UNLINKAT, IORING_OP_MKDIRAT, IORING_OP_SYMLINKAT };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		rings.missing = others[i];
		assert_string_equal(runs_on("uring"), "uring");
	}
	all_is_well_again();
}

/* As containers do, for one system call of the ring or for all: it answers with error. */
static void forbid(long first, long last, int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)first, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)last, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof filter / sizeof *filter, filter };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(2);
}

/* A forked child may only exec: so this program begins anew behind the filter. */
static int status_behind_filter(long first, long last, int error)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		forbid(first, last, error);
		execl("/proc/self/exe", "ladder", "--behind-the-filter", (char *)NULL);
		_exit(3);
	}
	waitpid(child, &status, 0);
	return status;
}

static int behind_the_filter(void)
{
	bool none = strcmp(runs_on("uring"), "none") == 0;
	bool listed = strcmp(anyio_backends_available()[0], "uv") == 0;
	return none && listed && strcmp(runs_on(NULL), "uv") == 0 ? 0 : 1;
}

static void a_filter_against_the_ring(void **state)
{
	static const struct {
		long first, last;
	} calls[] = {
		{ __NR_io_uring_setup, __NR_io_uring_register },
		{ __NR_io_uring_setup, __NR_io_uring_setup },
		{ __NR_io_uring_enter, __NR_io_uring_enter },
		{ __NR_io_uring_register, __NR_io_uring_register },
	};
	for (size_t call = 0; call < sizeof calls / sizeof *calls; call++)
		for (int i = 0; i < ERRORS; i++)
			assert_int_equal(status_behind_filter(
						 calls[call].first, calls[call].last, errors[i]),
				0);
}

enum { CROWD = 3000 }; /* a dozen times what the ring holds */

struct crowd {
	int fd;
	size_t received, cancelled;
};

static int receive_one(void *arg)
{
	struct crowd *crowd = arg;
	char byte;
	struct anyio_op op = { .code = ANYIO_OP_RECV, .fd = crowd->fd, .base = &byte, .len = 1 };
	int64_t rc = anyio_op_run(&op);
	CHECK(rc == 1 || rc == ANYIO_CANCELLED);
	crowd->received += rc == 1;
	crowd->cancelled += rc == ANYIO_CANCELLED;
	return rc < 0 ? (int)rc : 0;
}

/* Thousands begin in one turn and are cancelled in one, while the kernel takes nothing. */
static void pass_through_full_queues(unsigned stalled, size_t bytes)
{
	static const char data[CROWD];
	struct crowd crowd = { .fd = -1 };
	char rest[CROWD];
	int ends[2];
	CHECK_RC(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	crowd.fd = ends[0];
	ANYIO_TASK_GROUP(group);
	rings.stalled = stalled;
	for (int i = 0; i < CROWD; i++)
		CHECK_RC(anyio_start_soon(&group, receive_one, &crowd, "receiver"), 0);
	anyio_cancel_shielded_checkpoint();
	CHECK_RC(write(ends[1], data, bytes), (int64_t)bytes);
	rings.stalled = stalled;
	anyio_task_group_cancel(&group, "all at once");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	rings.stalled = 0;
	CHECK_RC((int64_t)(crowd.received + crowd.cancelled), CROWD);
	ssize_t left = recv(ends[0], rest, sizeof rest, MSG_DONTWAIT);
	CHECK_RC((int64_t)crowd.received + (left > 0 ? left : 0), (int64_t)bytes);
	anyio_close(ends[0]);
	anyio_close(ends[1]);
}

static int r09_full_queues_drop_neither_operations_nor_cancels(void *arg)
{
	pass_through_full_queues(0, 100);
	pass_through_full_queues(1, CROWD / 2);
	pass_through_full_queues(CROWD, CROWD / 2);
	pass_through_full_queues(3 * CROWD, 0);
	return 0;
}

/* All complete before anybody looks: far more than the completion queue holds. */
static int completions_overflow_and_are_not_lost(void *arg)
{
	static const char data[CROWD];
	struct crowd crowd = { .fd = -1 };
	int ends[2];
	CHECK_RC(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	crowd.fd = ends[0];
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < CROWD; i++)
		CHECK_RC(anyio_start_soon(&group, receive_one, &crowd, "receiver"), 0);
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(write(ends[1], data, CROWD), CROWD);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC((int64_t)crowd.received, CROWD);
	anyio_close(ends[0]);
	anyio_close(ends[1]);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct conformance_case cases[] = {
		CONFORM(r09_full_queues_drop_neither_operations_nor_cancels, CONFORM_NO_SIM),
		CONFORM(completions_overflow_and_are_not_lost, CONFORM_NO_SIM),
	};
	const struct CMUnitTest ladder[] = {
		cmocka_unit_test(every_rung_holds),
		cmocka_unit_test(below_the_last_rung_is_libuv),
		cmocka_unit_test(a_shortage_is_no_refusal),
		cmocka_unit_test(a_kernel_that_drops_completions_will_not_do),
		cmocka_unit_test(a_kernel_without_probe_will_not_do),
		cmocka_unit_test(without_a_needed_operation_it_is_libuv),
		cmocka_unit_test(other_missing_operations_are_done_by_threads),
		cmocka_unit_test(a_filter_against_the_ring),
	};
	char *only = getenv("ANYIO_BACKEND") ? strdup(getenv("ANYIO_BACKEND")) : NULL;
	unsetenv("ANYIO_BACKEND");
	/* libuv keeps a pipe from its first loop on. */
	if (anyio_run(answer, NULL, &(struct anyio_options){ .backend = "uv" }) != 42)
		return 1;
	if (argc > 1 && strcmp(argv[1], "--behind-the-filter") == 0)
		return behind_the_filter();
	int failed = 0;
	if (!only || strcmp(only, "uring") == 0)
		failed = cmocka_run_group_tests_name("ladder", ladder, NULL, NULL);
	if (only)
		setenv("ANYIO_BACKEND", only, 1);
	free(only);
	return failed + run_conformance(cases, sizeof cases / sizeof *cases);
}
