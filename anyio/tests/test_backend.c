/* Choosing a backend, and what only shows under pressure: more in flight than the ring holds. */
#include "conformance.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../core/core.h"

enum { CROWD = 1500 }; /* several times the ring's 256 entries */

struct receiver {
	int fd;
	size_t *received;
};

static int receive_one(void *arg)
{
	struct receiver *receiver = arg;
	char byte;
	struct anyio_op op = { .code = ANYIO_OP_RECV, .fd = receiver->fd, .base = &byte, .len = 1 };
	int64_t rc = anyio_op_run(&op);
	*receiver->received += rc > 0;
	return rc < 0 ? (int)rc : 0;
}

static int b_more_in_flight_than_the_ring_holds(void *arg)
{
	int ends[2];
	size_t received = 0;
	char bytes[CROWD / 2];
	memset(bytes, 'x', sizeof bytes);
	CHECK_RC(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	struct receiver receiver = { ends[0], &received };
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < CROWD; i++)
		CHECK_RC(anyio_start_soon(&group, receive_one, &receiver, "receiver"), 0);
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(write(ends[1], bytes, sizeof bytes), sizeof bytes);
	while (received < sizeof bytes)
		CHECK_RC(anyio_checkpoint(), 0);
	anyio_task_group_cancel(&group, "half of them");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC((int64_t)received, (int64_t)sizeof bytes);
	anyio_close(ends[0]);
	anyio_close(ends[1]);
	return 0;
}

static int receive_roomy(void *arg)
{
	struct receiver *receiver = arg;
	char bytes[8];
	struct anyio_op op = {
		.code = ANYIO_OP_RECV, .fd = receiver->fd, .base = bytes, .len = sizeof bytes
	};
	int64_t rc = anyio_op_run(&op);
	*receiver->received += rc > 0;
	return rc < 0 ? (int)rc : 0;
}

static int receive_now(void *arg)
{
	char bytes[8];
	struct anyio_op op = { .code = ANYIO_OP_RECV,
		.fd = *(int *)arg,
		.base = bytes,
		.len = sizeof bytes,
		.flags = MSG_DONTWAIT };
	return (int)anyio_op_run(&op);
}

/* A short receive that had to wait, after which a backend knows that nothing is there. */
static int b_what_must_not_wait_says_so(void *arg)
{
	struct anyio_address address;
	CHECK_RC(anyio_address_parse(&address, "127.0.0.1", 0), 0);
	struct anyio_op open = { .code = ANYIO_OP_SOCKET, .fd = AF_INET, .flags = SOCK_DGRAM };
	int fd = (int)anyio_op_now(&open);
	struct anyio_op name = {
		.code = ANYIO_OP_BIND, .fd = fd, .addr = &address.any, .addrlen = address.len
	};
	CHECK_RC(anyio_op_now(&name), 0);
	name.code = ANYIO_OP_GETSOCKNAME;
	CHECK_RC(anyio_op_now(&name), 0);
	size_t received = 0;
	struct receiver receiver = { fd, &received };
	for (int i = 0; i < 2; i++) {
		/* Only where it waits is it cut off. */
		CHECK_RC(anyio_fail_after(10 * ANYIO_SECOND, receive_now, &fd), -EAGAIN);
		ANYIO_TASK_GROUP(group);
		CHECK_RC(anyio_start_soon(&group, receive_roomy, &receiver, "receiver"), 0);
		CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
		struct iovec iov = { (void *)"x", 1 };
		struct msghdr msg = { .msg_name = &address.any,
			.msg_namelen = address.len,
			.msg_iov = &iov,
			.msg_iovlen = 1 };
		struct anyio_op send = { .code = ANYIO_OP_SENDMSG, .fd = fd, .msg = &msg };
		CHECK_RC(anyio_op_run(&send), 1);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	}
	CHECK_RC(anyio_fail_after(10 * ANYIO_SECOND, receive_now, &fd), -EAGAIN);
	CHECK_RC((int64_t)received, 2);
	struct anyio_op close = { .code = ANYIO_OP_CLOSE, .fd = fd };
	CHECK_RC(anyio_op_now(&close), 0);
	return 0;
}

static int receive_for_ever(void *arg)
{
	size_t received = 0;
	struct receiver receiver = { *(int *)arg, &received };
	int rc = receive_one(&receiver);
	CHECK_RC(rc, ANYIO_CANCELLED);
	return rc;
}

/* Storage is used again at once: a late cancel must not hit the next operation in it. */
static int b_cancels_never_hit_the_next_operation(void *arg)
{
	int ends[2];
	size_t received = 0;
	CHECK_RC(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	struct receiver receiver = { ends[0], &received };
	for (int i = 0; i < 300; i++) {
		CHECK_RC(anyio_move_on_after(0, receive_for_ever, &ends[0]), 0);
		CHECK_RC(
			anyio_move_on_after(10 * ANYIO_MICROSECOND, receive_for_ever, &ends[0]), 0);
		CHECK_RC(write(ends[1], "x", 1), 1);
		CHECK_RC(receive_one(&receiver), 0);
	}
	CHECK_RC((int64_t)received, 300);
	anyio_close(ends[0]);
	anyio_close(ends[1]);
	return 0;
}

static int name_of_backend(void *arg)
{
	*(const char **)arg = anyio_backend_name();
	return 0;
}

static const char *chosen(const char *option)
{
	struct anyio_options options = { .backend = option };
	const char *name = NULL;
	CHECK_RC(anyio_run(name_of_backend, &name, &options), 0);
	return name ? name : "";
}

static void the_option_beats_the_environment(void **state)
{
	const char *only = getenv("ANYIO_BACKEND");
	char *before = only ? strdup(only) : NULL;
	const char *const *names = anyio_backends_available();
	assert_non_null(names[0]);
	unsetenv("ANYIO_BACKEND");
	assert_string_equal(chosen(NULL), names[0]);
	for (size_t i = 0; names[i]; i++) {
		setenv("ANYIO_BACKEND", names[i], 1);
		assert_string_equal(chosen(NULL), names[i]);
		assert_string_equal(chosen("uv"), "uv");
	}
	setenv("ANYIO_BACKEND", "nonesuch", 1);
	assert_int_equal(anyio_run(name_of_backend, NULL, NULL), ANYIO_NO_BACKEND);
	struct anyio_options options = { .backend = "nonesuch" };
	assert_int_equal(anyio_run(name_of_backend, NULL, &options), ANYIO_NO_BACKEND);
	if (before)
		setenv("ANYIO_BACKEND", before, 1);
	else
		unsetenv("ANYIO_BACKEND");
	free(before);
}

static void the_simulation_is_only_taken_by_name(void **state)
{
	bool listed = false;
	for (const char *const *name = anyio_backends_all(); *name; name++)
		listed |= strcmp(*name, "sim") == 0;
	assert_true(listed);
	for (const char *const *name = anyio_backends_available(); *name; name++)
		assert_string_not_equal(*name, "sim");
	assert_string_equal(chosen("sim"), "sim");
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(b_more_in_flight_than_the_ring_holds, CONFORM_NO_SIM),
		CONFORM(b_what_must_not_wait_says_so, 0),
		CONFORM(b_cancels_never_hit_the_next_operation, CONFORM_NO_SIM),
	};
	const struct CMUnitTest choice[] = {
		cmocka_unit_test(the_option_beats_the_environment),
		cmocka_unit_test(the_simulation_is_only_taken_by_name),
	};
	int failed = cmocka_run_group_tests_name("choice", choice, NULL, NULL);
	return failed + run_conformance(cases, sizeof cases / sizeof *cases);
}
