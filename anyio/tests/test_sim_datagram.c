/* UNIX datagrams by numbers, names and errors, as the kernel has them and the simulation too. */
#include "sockets.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "../core/core.h"

static bool simulated(void)
{
	return strcmp(anyio_backend_name(), "sim") == 0;
}

static struct anyio_address abstract_address(const char *name)
{
	struct anyio_address address = path_address(name);
	struct sockaddr_un *un = (struct sockaddr_un *)&address.storage;

	un->sun_path[0] = '\0';
	address.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	return address;
}

static struct anyio_datagram *bind_at(const struct anyio_address *address)
{
	struct anyio_datagram *datagram;

	CHECK_RC(anyio_datagram_bind(address, NULL, &datagram), 0);
	return datagram;
}

static struct anyio_datagram *bind_path(const char *path)
{
	struct anyio_address address = path_address(path);

	return bind_at(&address);
}

static struct anyio_datagram *connect_path(const char *path)
{
	struct anyio_address address = path_address(path);
	struct anyio_datagram *datagram;

	CHECK_RC(anyio_datagram_connect(&address, NULL, NULL, &datagram), 0);
	return datagram;
}

static int send_path(struct anyio_datagram *datagram, const char *path)
{
	struct anyio_address address = path_address(path);

	return anyio_datagram_send_to(datagram, "x", 1, &address);
}

/* Numbers, until it is stopped. */
struct sending {
	struct anyio_datagram *datagram;
	const struct anyio_address *to; /* NULL: connected */
	struct anyio_task_handle handle;
	int most, sent, rc;
};

static int send_numbers(void *arg)
{
	struct sending *self = arg;

	for (; self->sent < self->most && self->rc == 0; self->sent += self->rc == 0)
		self->rc = self->to == NULL
			? anyio_datagram_send(self->datagram, &self->sent, sizeof(int))
			: anyio_datagram_send_to(
				  self->datagram, &self->sent, sizeof(int), self->to);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

/* Until all wait for something. In the simulation each send takes its time. */
static void until_all_wait(void)
{
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	if (simulated())
		CHECK_RC(anyio_sleep(ANYIO_SECOND), 0);
}

static void receive_numbers(struct anyio_datagram *datagram, int from, int to)
{
	for (int i = from; i < to; i++) {
		int number = -1;

		CHECK_RC(anyio_datagram_receive(datagram, &number, sizeof(number), NULL),
			sizeof(number));
		CHECK_RC(number, i);
	}
}

/* How many lie unread before a sender waits. */
static int queue_holds(void)
{
	FILE *file = simulated() ? NULL : fopen("/proc/sys/net/unix/max_dgram_qlen", "re");
	int most = 10;

	if (file != NULL && fscanf(file, "%d", &most) != 1)
		most = 10;
	if (file != NULL)
		fclose(file);
	return most + 1;
}

static int a_queue_holds_so_many_and_is_kept_in_order(void *arg)
{
	struct folder folder;
	int holds = queue_holds();

	folder_make(&folder);
	for (int i = 0; i < 2; i++) {
		struct anyio_address address = path_address(folder.path);
		struct anyio_datagram *server = bind_at(&address);
		struct sending self = { .most = holds + 5 };
		ANYIO_TASK_GROUP(group);

		self.to = i == 0 ? NULL : &address;
		if (i == 0)
			self.datagram = connect_path(folder.path);
		else
			CHECK_RC(anyio_datagram_open(AF_UNIX, NULL, &self.datagram), 0);
		spawn(&group, send_numbers, &self, NULL);
		until_all_wait();
		CHECK_RC(self.sent, holds);
		receive_numbers(server, 0, 1);
		until_all_wait();
		receive_numbers(server, 1, holds + 5);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(self.rc, 0);
		anyio_datagram_free(self.datagram);
		anyio_datagram_free(server);
		unlink(folder.path);
	}
	folder_remove(&folder);
	return 0;
}

static int who_waits_for_room_hears_that_nobody_is_there(void *arg)
{
	struct folder folder;

	folder_make(&folder);
	for (int i = 0; i < 2; i++) {
		struct anyio_address address = path_address(folder.path);
		struct anyio_datagram *server = bind_at(&address);
		struct sending self = { .most = 2000, .to = i == 0 ? NULL : &address };
		ANYIO_TASK_GROUP(group);

		if (i == 0)
			self.datagram = connect_path(folder.path);
		else
			CHECK_RC(anyio_datagram_open(AF_UNIX, NULL, &self.datagram), 0);
		spawn(&group, send_numbers, &self, NULL);
		until_all_wait();
		anyio_datagram_free(server);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		CHECK_RC(self.rc, -ECONNREFUSED);
		CHECK_RC(self.sent, queue_holds());
		/* It was told once: then there is no other side any more. */
		CHECK_RC(anyio_datagram_send(self.datagram, "x", 1), -ENOTCONN);
		anyio_datagram_free(self.datagram);
		unlink(folder.path);
	}
	folder_remove(&folder);
	return 0;
}

/* Descriptors by operations, which may be connected to each other. */
static int raw_call(enum anyio_opcode code, int fd, const struct anyio_address *address)
{
	struct anyio_op op = {
		.code = code, .fd = fd, .addr = (void *)&address->any, .addrlen = address->len
	};

	return (int)(code == ANYIO_OP_CONNECT ? anyio_op_run(&op) : anyio_op_now(&op));
}

static int raw_send(int fd, const void *data, size_t size)
{
	struct iovec iov = { (void *)data, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct anyio_op op = {
		.code = ANYIO_OP_SENDMSG, .fd = fd, .msg = &msg, .flags = MSG_DONTWAIT
	};

	return (int)anyio_op_run(&op);
}

static int raw_receive(int fd, void *data, size_t size)
{
	struct anyio_op op = {
		.code = ANYIO_OP_RECV, .fd = fd, .base = data, .len = size, .flags = MSG_DONTWAIT
	};

	return (int)anyio_op_run(&op);
}

static void raw_close(int fd)
{
	struct anyio_op op = { .code = ANYIO_OP_CLOSE, .fd = fd };

	CHECK_RC(anyio_op_now(&op), 0);
}

static int raw_bound(const struct anyio_address *address)
{
	struct anyio_op op = { .code = ANYIO_OP_SOCKET, .fd = AF_UNIX, .flags = SOCK_DGRAM };
	int fd = (int)anyio_op_now(&op);

	CHECK(fd >= 0);
	CHECK_RC(raw_call(ANYIO_OP_BIND, fd, address), 0);
	return fd;
}

/* Between two connected to each other only the sender's buffer is the limit, and room in it. */
static int two_connected_to_each_other_have_a_buffer_alone(void *arg)
{
	struct anyio_address at[3] = { abstract_address("@anyio mutual 1"),
		abstract_address("@anyio mutual 2"), abstract_address("@anyio mutual 3") };
	int fds[3], sent = 0, got = 0, number;

	for (int i = 0; i < 3; i++)
		fds[i] = raw_bound(&at[i]);
	CHECK_RC(raw_call(ANYIO_OP_CONNECT, fds[0], &at[1]), 0);
	CHECK_RC(raw_call(ANYIO_OP_CONNECT, fds[1], &at[0]), 0);
	CHECK_RC(raw_call(ANYIO_OP_CONNECT, fds[2], &at[0]), -EPERM);
	while (sent < 100000 && raw_send(fds[0], &sent, sizeof(sent)) > 0)
		sent++;
	CHECK(sent > queue_holds() && sent < 100000);
	CHECK_RC(raw_send(fds[0], &sent, sizeof(sent)), -EAGAIN);
	/* The other direction has a buffer of its own. */
	CHECK_RC(raw_send(fds[1], "back", 4), 4);
	while (raw_receive(fds[1], &number, sizeof(number)) > 0)
		CHECK_RC(number, got++);
	CHECK_RC(got, sent);
	CHECK_RC(raw_send(fds[0], &sent, sizeof(sent)), sizeof(sent));
	/* What is unread when the receiver goes is room again. */
	raw_close(fds[1]);
	CHECK_RC(raw_send(fds[0], "x", 1), -ECONNREFUSED);
	CHECK_RC(raw_call(ANYIO_OP_CONNECT, fds[0], &at[2]), 0);
	CHECK_RC(raw_send(fds[0], "x", 1), 1);
	raw_close(fds[0]);
	/* And who went away has sent all the same. */
	CHECK_RC(raw_receive(fds[2], &number, sizeof(number)), 1);
	raw_close(fds[2]);
	return 0;
}

static int one_may_send_to_itself(void *arg)
{
	struct anyio_address address = abstract_address("@anyio itself");
	struct anyio_datagram *self = bind_at(&address);
	int many = queue_holds() + 20;

	for (int i = 0; i < many && i < 200; i++)
		CHECK_RC(anyio_datagram_send_to(self, &i, sizeof(i), &address), 0);
	receive_numbers(self, 0, many < 200 ? many : 200);
	anyio_datagram_free(self);
	return 0;
}

static int a_datagram_is_no_larger_than_the_buffer(void *arg)
{
	static const struct anyio_datagram_options options = { .send_buffer = 8192 };
	enum { LARGEST = 2 * 8192 - 32 };
	struct anyio_address address = abstract_address("@anyio large");
	struct anyio_datagram *server = bind_at(&address), *client;
	struct anyio_datagram_info info;
	char *data = calloc(1, LARGEST + 1);

	CHECK_RC(anyio_datagram_connect(&address, NULL, &options, &client), 0);
	CHECK_RC(anyio_datagram_send(client, data, LARGEST + 1), -EMSGSIZE);
	CHECK_RC(anyio_datagram_send(client, data, LARGEST), 0);
	CHECK_RC(anyio_datagram_receive(server, data, 1, &info), -EMSGSIZE);
	CHECK(info.size == LARGEST && info.from.len == 0);
	CHECK_RC(anyio_datagram_send(client, "", 0), 0);
	CHECK_RC(anyio_datagram_receive(server, data, 1, NULL), 0);
	free(data);
	anyio_datagram_free(client);
	anyio_datagram_free(server);
	return 0;
}

static int who_is_not_there_is_told_apart(void *arg)
{
	struct folder folder;
	struct anyio_address nobody = abstract_address("@anyio nobody"), address;
	struct anyio_datagram *sender, *other;
	struct anyio_listener *listener;
	struct anyio_stream *stream;
	int file;

	folder_make(&folder);
	CHECK_RC(anyio_datagram_open(AF_UNIX, NULL, &sender), 0);
	CHECK_RC(anyio_datagram_remote_address(sender, &address), -ENOTCONN);
	CHECK_RC(anyio_datagram_local_address(sender, &address), 0);
	CHECK(address.any.sa_family == AF_UNIX && address.len == sizeof(sa_family_t));
	CHECK_RC(anyio_datagram_send_to(sender, "x", 1, &nobody), -ECONNREFUSED);
	CHECK_RC(anyio_datagram_connect(&nobody, NULL, NULL, &other), -ECONNREFUSED);
	CHECK_RC(send_path(sender, folder.path), -ENOENT);
	CHECK_RC(send_path(sender, "/dev/null/x"), -ENOTDIR);
	file = open(folder.path, O_CREAT | O_CLOEXEC, 0600);
	CHECK_RC(send_path(sender, folder.path), -ECONNREFUSED);
	CHECK_RC(anyio_connect_unix(folder.path, &stream), -ECONNREFUSED);
	close(file);
	unlink(folder.path);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &listener), 0);
	CHECK_RC(send_path(sender, folder.path), -EPROTOTYPE);
	anyio_listener_free(listener);
	/* A stale file of either kind is nobody's. */
	CHECK_RC(send_path(sender, folder.path), -ECONNREFUSED);
	anyio_datagram_free(sender);
	folder_remove(&folder);
	return 0;
}

static int a_connected_one_takes_from_its_other_side_alone(void *arg)
{
	struct folder folder;
	struct anyio_address address = abstract_address("@anyio connected"), remote;
	struct anyio_datagram *server, *client, *stranger;
	char byte;

	folder_make(&folder);
	server = bind_path(folder.path);
	remote = path_address(folder.path);
	CHECK_RC(anyio_datagram_connect(&remote, &address, NULL, &client), 0);
	CHECK_RC(anyio_datagram_remote_address(client, &remote), 0);
	CHECK(remote.len == offsetof(struct sockaddr_un, sun_path) + strlen(folder.path) + 1);
	CHECK(strcmp(((struct sockaddr_un *)&remote.any)->sun_path, folder.path) == 0);
	CHECK_RC(anyio_datagram_open(AF_UNIX, NULL, &stranger), 0);
	CHECK_RC(anyio_datagram_send_to(stranger, "x", 1, &address), -EPERM);
	CHECK_RC(anyio_datagram_send_to(server, "x", 1, &address), 0);
	CHECK_RC(anyio_datagram_receive(client, &byte, 1, NULL), 1);
	anyio_datagram_free(stranger);
	anyio_datagram_free(client);
	anyio_datagram_free(server);
	folder_remove(&folder);
	return 0;
}

/* A name is a file's: it goes with the file, and the socket stays. */
static int a_name_is_moved_and_lost_with_its_file(void *arg)
{
	struct folder folder;
	struct anyio_datagram *first, *second, *sender;
	struct anyio_datagram_info info;
	char moved[112], byte;

	folder_make(&folder);
	snprintf(moved, sizeof(moved), "%s-moved", folder.path);
	first = bind_path(folder.path);
	CHECK_RC(anyio_datagram_open(AF_UNIX, NULL, &sender), 0);
	CHECK_RC(rename(folder.path, moved), 0);
	CHECK_RC(send_path(sender, folder.path), -ENOENT);
	CHECK_RC(send_path(sender, moved), 0);
	CHECK_RC(symlink(moved, folder.path), 0);
	CHECK_RC(send_path(sender, folder.path), 0);
	for (int i = 0; i < 2; i++)
		CHECK_RC(anyio_datagram_receive(first, &byte, 1, NULL), 1);
	CHECK_RC(send_path(first, moved), 0);
	CHECK_RC(anyio_datagram_receive(first, &byte, 1, &info), 1);
	CHECK(strcmp(((struct sockaddr_un *)&info.from.any)->sun_path, folder.path) == 0);
	unlink(moved);
	CHECK_RC(send_path(sender, folder.path), -ENOENT);
	unlink(folder.path);
	/* The file's number may be used again: it is another's then. */
	second = bind_path(folder.path);
	CHECK_RC(send_path(sender, folder.path), 0);
	CHECK_RC(anyio_datagram_receive(second, &byte, 1, NULL), 1);
	anyio_datagram_free(second);
	CHECK_RC(send_path(sender, folder.path), -ECONNREFUSED);
	anyio_datagram_free(sender);
	anyio_datagram_free(first);
	folder_remove(&folder);
	return 0;
}

static int the_system_chooses_a_name(void *arg)
{
	struct anyio_address empty = { .len = sizeof(sa_family_t) }, names[2];
	struct anyio_datagram *ends[2];
	struct anyio_datagram_info info;
	char byte;

	empty.any.sa_family = AF_UNIX;
	for (int i = 0; i < 2; i++) {
		ends[i] = bind_at(&empty);
		CHECK_RC(anyio_datagram_local_address(ends[i], &names[i]), 0);
		CHECK(names[i].len == sizeof(sa_family_t) + 6);
	}
	CHECK(memcmp(&names[0].storage, &names[1].storage, names[0].len) != 0);
	CHECK_RC(anyio_datagram_send_to(ends[0], "x", 1, &names[1]), 0);
	CHECK_RC(anyio_datagram_receive(ends[1], &byte, 1, &info), 1);
	CHECK_RC(anyio_datagram_send_to(ends[1], "y", 1, &info.from), 0);
	CHECK_RC(anyio_datagram_receive(ends[0], &byte, 1, NULL), 1);
	anyio_datagram_free(ends[1]);
	CHECK_RC(anyio_datagram_bind(&names[0], NULL, &ends[1]), -EADDRINUSE);
	CHECK_RC(anyio_datagram_send_to(ends[0], "x", 1, &empty), -EINVAL);
	anyio_datagram_free(ends[0]);
	return 0;
}

/* The same where sends and receives are cancelled late. */
static int a_hostile_network_changes_nothing(void *arg)
{
	static const anyio_task_fn bodies[] = {
		a_queue_holds_so_many_and_is_kept_in_order,
		who_waits_for_room_hears_that_nobody_is_there,
		two_connected_to_each_other_have_a_buffer_alone,
		who_is_not_there_is_told_apart,
		a_name_is_moved_and_lost_with_its_file,
	};

	return conformance_hostile(bodies, sizeof(bodies) / sizeof(*bodies), arg);
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(a_queue_holds_so_many_and_is_kept_in_order, 0),
		CONFORM(who_waits_for_room_hears_that_nobody_is_there, 0),
		CONFORM(two_connected_to_each_other_have_a_buffer_alone, 0),
		CONFORM(one_may_send_to_itself, 0),
		CONFORM(a_datagram_is_no_larger_than_the_buffer, 0),
		CONFORM(who_is_not_there_is_told_apart, 0),
		CONFORM(a_connected_one_takes_from_its_other_side_alone, 0),
		CONFORM(a_name_is_moved_and_lost_with_its_file, 0),
		CONFORM(the_system_chooses_a_name, 0),
		CONFORM(a_hostile_network_changes_nothing, CONFORM_BARE | CONFORM_SIM),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
