/* Descriptors that are closed under who waits on them, and whose number is used again. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <anyio/file.h>
#include <anyio/net.h>
#include "conformance.h"
#include "../core/core.h"

struct user {
	int (*use)(int fd);
	int fd, rc;
};

static int read_byte(int fd)
{
	char byte;
	return (int)anyio_read(fd, &byte, 1);
}

static int write_byte(int fd)
{
	return (int)anyio_write(fd, "x", 1);
}

static int use(void *arg)
{
	struct user *user = arg;
	user->rc = user->use(user->fd);
	return user->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static void start(struct anyio_task_group *group, struct user *user)
{
	user->rc = -1000;
	CHECK_RC(anyio_start_soon(group, use, user, "user"), 0);
}

static void make_pair(int ends[2])
{
	CHECK_RC(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void fill(int fd)
{
	static const char zeros[4096];
	while (send(fd, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
		;
}

/* submitted: the operations are in the kernel's hands, if they ever are. */
static void close_under_users(bool submitted)
{
	struct user users[] = { { .use = read_byte }, { .use = read_byte }, { .use = write_byte },
		{ .use = anyio_wait_readable }, { .use = anyio_wait_writable } };
	enum { USERS = sizeof(users) / sizeof(*users) };
	int ends[2], next[2];
	char byte;

	make_pair(ends);
	fill(ends[0]);
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < USERS; i++) {
		users[i].fd = ends[0];
		start(&group, &users[i]);
	}
	if (submitted)
		CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	else
		anyio_cancel_shielded_checkpoint();
	CHECK_RC(anyio_close(ends[0]), 0);
	/* Who has the number next is not met by any of them. */
	make_pair(next);
	CHECK_RC(next[0], ends[0]);
	CHECK_RC(write(next[1], "y", 1), 1);
	struct user other = { .use = read_byte, .fd = next[0] };
	start(&group, &other);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	for (int i = 0; i < USERS; i++)
		CHECK_RC(users[i].rc, -EBADF);
	CHECK_RC(other.rc, 1);
	CHECK_RC(recv(next[1], &byte, 1, MSG_DONTWAIT), -1);
	CHECK_RC(anyio_close(ends[1]), 0);
	CHECK_RC(anyio_close(next[0]), 0);
	CHECK_RC(anyio_close(next[1]), 0);
}

static int who_waits_on_what_is_closed_is_told(void *arg)
{
	close_under_users(true);
	close_under_users(false);
	return 0;
}

/* The number is another's by the time they are cancelled. */
static int cancelling_comes_after_the_close(void *arg)
{
	struct user user = { .use = read_byte };
	int ends[2], next[2];

	make_pair(ends);
	ANYIO_TASK_GROUP(group);
	user.fd = ends[0];
	start(&group, &user);
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(anyio_close(ends[0]), 0);
	make_pair(next);
	struct user other = { .use = read_byte, .fd = next[0] };
	start(&group, &other);
	anyio_cancel_shielded_checkpoint();
	anyio_task_group_cancel(&group, "over");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(user.rc == -EBADF || user.rc == ANYIO_CANCELLED);
	CHECK_RC(other.rc, ANYIO_CANCELLED);
	CHECK_RC(anyio_close(ends[1]), 0);
	CHECK_RC(anyio_close(next[0]), 0);
	CHECK_RC(anyio_close(next[1]), 0);
	return 0;
}

/* More of them than a ring holds: some were never sent. */
static int a_crowd_is_told(void *arg)
{
	enum { CROWD = 1000 };
	struct user *users = calloc(CROWD, sizeof(*users));
	int ends[2], told = 0;

	make_pair(ends);
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < CROWD; i++) {
		users[i] = (struct user){ .use = read_byte, .fd = ends[0] };
		start(&group, &users[i]);
	}
	anyio_cancel_shielded_checkpoint();
	CHECK_RC(anyio_close(ends[0]), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	for (int i = 0; i < CROWD; i++)
		told += users[i].rc == -EBADF;
	CHECK_RC(told, CROWD);
	CHECK_RC(anyio_close(ends[1]), 0);
	free(users);
	return 0;
}

static int receive(void *arg)
{
	struct user *user = arg;
	char byte;
	struct anyio_op op = { .code = ANYIO_OP_RECV, .fd = user->fd, .base = &byte, .len = 1 };
	user->rc = (int)anyio_op_run(&op);
	return user->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int read_owned(void *arg)
{
	struct user *user = arg;
	char byte;
	user->rc = (int)anyio_read_owned(user->fd, &byte, 1);
	return 0;
}

/* The number that is given out next was that of a descriptor on which we have waited as its owner. */
static int closed_behind_our_back(void)
{
	struct user user;
	int ends[2];

	make_pair(ends);
	user.fd = ends[0];
	CHECK_RC(anyio_move_on_after(ANYIO_MICROSECOND, receive, &user), 0);
	close(ends[1]);
	close(ends[0]);
	return ends[0];
}

/* Its new owner waits, and is not left waiting. */
static void wait_and_send(anyio_task_fn wait, int fd, int from)
{
	struct user user = { .fd = fd };
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_start_soon(&group, wait, &user, "owner"), 0);
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(write(from, "z", 1), 1);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(user.rc, 1);
}

static int a_socket_with_a_used_number(void *arg)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int from = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int before = closed_behind_our_back();
	struct anyio_op op = { .code = ANYIO_OP_SOCKET, .fd = AF_INET, .flags = SOCK_DGRAM };
	int fd = (int)anyio_op_now(&op);

	CHECK_RC(fd, before);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK_RC(bind(fd, (struct sockaddr *)&address, len), 0);
	CHECK_RC(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	CHECK_RC(connect(from, (struct sockaddr *)&address, len), 0);
	wait_and_send(receive, fd, from);
	CHECK_RC(anyio_close(fd), 0);
	close(from);
	return 0;
}

static int an_accepted_one_with_a_used_number(void *arg)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa_family_t);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int from = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_RC(bind(listener, (struct sockaddr *)&address, len), 0);
	len = sizeof(address);
	CHECK_RC(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	CHECK_RC(listen(listener, 1), 0);
	CHECK_RC(connect(from, (struct sockaddr *)&address, len), 0);
	int before = closed_behind_our_back();
	struct anyio_op op = { .code = ANYIO_OP_ACCEPT, .fd = listener };
	int fd = (int)anyio_op_run(&op);
	CHECK_RC(fd, before);
	wait_and_send(receive, fd, from);
	CHECK_RC(anyio_close(fd), 0);
	CHECK_RC(anyio_close(listener), 0);
	close(from);
	return 0;
}

static int an_opened_one_with_a_used_number(void *arg)
{
	const char *place = getenv("TMPDIR");
	char path[128];

	snprintf(path, sizeof(path), "%s/anyio-closed-%d", place ? place : "/tmp", (int)getpid());
	CHECK_RC(mkfifo(path, 0600), 0);
	int from = open(path, O_RDWR | O_CLOEXEC);
	int before = closed_behind_our_back();
	int fd = anyio_open(path, O_RDONLY, 0);
	CHECK_RC(fd, before);
	wait_and_send(read_owned, fd, from);
	CHECK_RC(anyio_close(fd), 0);
	close(from);
	unlink(path);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(who_waits_on_what_is_closed_is_told, CONFORM_NO_SIM),
		CONFORM(cancelling_comes_after_the_close, CONFORM_NO_SIM),
		CONFORM(a_crowd_is_told, CONFORM_NO_SIM),
		CONFORM(a_socket_with_a_used_number, CONFORM_NO_SIM),
		CONFORM(an_accepted_one_with_a_used_number, CONFORM_NO_SIM),
		CONFORM(an_opened_one_with_a_used_number, CONFORM_NO_SIM),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
