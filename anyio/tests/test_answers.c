/* The simulation answers as the kernel does, also to calls that make no sense: each of these holds on every
 * backend, so that what a simulated run takes for an error is one. */
#include "sockets.h"
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/un.h>
#include "../core/core.h"

static bool simulated(void)
{
	return strcmp(anyio_backend_name(), "sim") == 0;
}

static int64_t now(enum anyio_opcode code, int fd, int flags, int flags2)
{
	struct anyio_op op = { .code = code, .fd = fd, .flags = flags, .flags2 = flags2 };
	return anyio_op_now(&op);
}

static int64_t with_address(enum anyio_opcode code, int fd, struct anyio_address *address)
{
	struct anyio_op op = {
		.code = code, .fd = fd, .addr = &address->any, .addrlen = address->len
	};
	return code == ANYIO_OP_CONNECT ? anyio_op_run(&op) : anyio_op_now(&op);
}

static int64_t receive(int fd, void *bytes, size_t size, int flags)
{
	struct anyio_op op = {
		.code = ANYIO_OP_RECV, .fd = fd, .base = bytes, .len = size, .flags = flags
	};
	return anyio_op_run(&op);
}

static int64_t message(
	enum anyio_opcode code, int fd, void *bytes, size_t size, struct anyio_address *address)
{
	struct iovec iov = { bytes, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct anyio_op op = { .code = code, .fd = fd, .msg = &msg };
	if (address) {
		msg.msg_name = &address->any;
		msg.msg_namelen = address->len;
	}
	return anyio_op_run(&op);
}

static int64_t ready(int fd, int events)
{
	struct anyio_op op = { .code = ANYIO_OP_POLL, .fd = fd, .flags = events };
	return anyio_op_run(&op);
}

static int64_t option(int fd, int name, int *value)
{
	struct anyio_op op = { .code = ANYIO_OP_GETSOCKOPT,
		.fd = fd,
		.flags = SOL_SOCKET,
		.flags2 = name,
		.base = value,
		.len = sizeof *value };
	return anyio_op_now(&op);
}

static int open_socket(int family, int type)
{
	int fd = (int)now(ANYIO_OP_SOCKET, family, type, 0);
	CHECK(fd >= 0);
	return fd;
}

static struct anyio_address at(const char *host, uint16_t port)
{
	struct anyio_address address;
	CHECK_RC(anyio_address_parse(&address, host, port), 0);
	return address;
}

static int what_no_socket_can_do(void *arg)
{
	struct anyio_address local = at("127.0.0.1", 0), other = at("::1", 0), cut = local;
	char byte = 0;
	int fd = open_socket(AF_INET, SOCK_STREAM);
	cut.len = 2;
	CHECK_RC(now(ANYIO_OP_SOCKET, 999, SOCK_STREAM, 0), -EAFNOSUPPORT);
	CHECK_RC(now(ANYIO_OP_SOCKET, AF_INET, SOCK_RDM, 0), -ESOCKTNOSUPPORT);
	CHECK_RC(with_address(ANYIO_OP_BIND, fd, &cut), -EINVAL);
	CHECK_RC(with_address(ANYIO_OP_BIND, fd, &other), -EAFNOSUPPORT);
	CHECK_RC(with_address(ANYIO_OP_BIND, fd, &local), 0);
	CHECK_RC(with_address(ANYIO_OP_BIND, fd, &local), -EINVAL);
	CHECK_RC(receive(fd, &byte, 1, 0), -ENOTCONN);
	CHECK_RC(message(ANYIO_OP_RECVMSG, fd, &byte, 1, NULL), -ENOTCONN);
	CHECK_RC(message(ANYIO_OP_SENDMSG, fd, &byte, 1, NULL), -EPIPE);
	CHECK_RC(now(ANYIO_OP_SHUTDOWN, fd, SHUT_WR, 0), -ENOTCONN);
	CHECK_RC(with_address(ANYIO_OP_GETPEERNAME, fd, &local), -ENOTCONN);
	CHECK_RC(with_address(ANYIO_OP_CONNECT, fd, &other), -EAFNOSUPPORT);
	struct anyio_op accept = { .code = ANYIO_OP_ACCEPT, .fd = fd };
	CHECK_RC(anyio_op_run(&accept), -EINVAL);
	CHECK_RC(anyio_close(fd), 0);
	CHECK_RC(receive(fd, &byte, 1, 0), -EBADF);
	CHECK_RC(now(ANYIO_OP_LISTEN, fd, 1, 0), -EBADF);
	CHECK_RC(anyio_close(fd), -EBADF);
	return 0;
}

static int what_is_asked_of_a_socket(void *arg)
{
	int stream = open_socket(AF_INET, SOCK_STREAM),
	    datagram = open_socket(AF_INET6, SOCK_DGRAM);
	int value = -1;
	CHECK_RC(option(stream, SO_TYPE, &value), 0);
	CHECK_RC(value, SOCK_STREAM);
	CHECK_RC(option(datagram, SO_TYPE, &value), 0);
	CHECK_RC(value, SOCK_DGRAM);
	CHECK_RC(option(datagram, SO_DOMAIN, &value), 0);
	CHECK_RC(value, AF_INET6);
	CHECK_RC(option(stream, SO_ERROR, &value), 0);
	CHECK_RC(value, 0);
	CHECK_RC(option(stream, 9999, &value), -ENOPROTOOPT);
	anyio_close(stream);
	anyio_close(datagram);
	return 0;
}

/* From here on raw descriptors: a listener, and what connects to it. */
static int listening(struct anyio_address *address)
{
	int fd = open_socket(AF_INET, SOCK_STREAM);
	*address = at("127.0.0.1", 0);
	CHECK_RC(with_address(ANYIO_OP_BIND, fd, address), 0);
	CHECK_RC(now(ANYIO_OP_LISTEN, fd, 8, 0), 0);
	CHECK_RC(with_address(ANYIO_OP_GETSOCKNAME, fd, address), 0);
	return fd;
}

static void connected(int ends[2], struct anyio_address *address)
{
	struct anyio_address anywhere;
	int listener = listening(address);
	struct anyio_op accept = { .code = ANYIO_OP_ACCEPT, .fd = listener };
	ends[0] = open_socket(AF_INET, SOCK_STREAM);
	/* Nowhere in particular is here. */
	anywhere = at("0.0.0.0", ntohs(address->ip4.sin_port));
	CHECK_RC(with_address(ANYIO_OP_CONNECT, ends[0], &anywhere), 0);
	ends[1] = (int)anyio_op_run(&accept);
	CHECK(ends[1] >= 0);
	CHECK_RC(with_address(ANYIO_OP_CONNECT, listener, address), -EISCONN);
	anyio_close(listener);
}

static int connected_sockets(void *arg)
{
	struct anyio_address address, other = at("::1", 9);
	char bytes[4] = "";
	int ends[2];
	connected(ends, &address);
	/* Where the connection was waited for by other means, Linux tells its success once more. */
	with_address(ANYIO_OP_CONNECT, ends[0], &address);
	CHECK_RC(with_address(ANYIO_OP_CONNECT, ends[0], &address), -EISCONN);
	CHECK_RC(with_address(ANYIO_OP_CONNECT, ends[0], &other), -EISCONN);
	CHECK_RC(now(ANYIO_OP_LISTEN, ends[0], 1, 0), -EINVAL);
	CHECK_RC(ready(ends[0], POLLOUT), POLLOUT);
	CHECK_RC(anyio_write(ends[0], "abc", 3), 3);
	CHECK_RC(message(ANYIO_OP_SENDMSG, ends[0], bytes, 0, NULL), 0);
	CHECK_RC(ready(ends[1], POLLIN), POLLIN);
	CHECK_RC(receive(ends[1], bytes, 4, MSG_PEEK), 3);
	CHECK_RC(message(ANYIO_OP_RECVMSG, ends[1], bytes, 1, NULL), 1);
	CHECK_RC(anyio_read(ends[1], bytes, 4), 2);
	CHECK(memcmp(bytes, "bc", 2) == 0);
	CHECK_RC(receive(ends[1], bytes, 4, MSG_DONTWAIT), -EAGAIN);
	CHECK_RC(now(ANYIO_OP_SHUTDOWN, ends[1], SHUT_RD, 0), 0);
	CHECK_RC(receive(ends[1], bytes, 4, 0), 0);
	CHECK_RC(now(ANYIO_OP_SHUTDOWN, ends[0], SHUT_RDWR, 0), 0);
	CHECK_RC(message(ANYIO_OP_SENDMSG, ends[0], bytes, 1, NULL), -EPIPE);
	CHECK_RC(receive(ends[0], bytes, 4, 0), 0);
	anyio_close(ends[0]);
	anyio_close(ends[1]);
	return 0;
}

static int a_reset_is_told_once(void *arg)
{
	struct linger at_once = { 1, 0 };
	struct anyio_op set = { .code = ANYIO_OP_SETSOCKOPT,
		.flags = SOL_SOCKET,
		.flags2 = SO_LINGER,
		.base = &at_once,
		.len = sizeof at_once };
	struct anyio_address address;
	char byte = 0;
	int ends[2], value;
	for (int i = 0; i < 3; i++) {
		connected(ends, &address);
		set.fd = ends[0];
		CHECK_RC(anyio_op_now(&set), 0);
		anyio_close(ends[0]);
		CHECK((ready(ends[1], POLLIN) & (POLLIN | POLLERR | POLLHUP)) ==
			(POLLIN | POLLERR | POLLHUP));
		if (i == 0) {
			CHECK_RC(receive(ends[1], &byte, 1, 0), -ECONNRESET);
		} else if (i == 1) {
			CHECK_RC(message(ANYIO_OP_SENDMSG, ends[1], &byte, 1, NULL), -ECONNRESET);
		} else {
			CHECK_RC(option(ends[1], SO_ERROR, &value), 0);
			CHECK_RC(value, ECONNRESET);
		}
		CHECK_RC(receive(ends[1], &byte, 1, 0), 0);
		CHECK_RC(message(ANYIO_OP_SENDMSG, ends[1], &byte, 1, NULL), -EPIPE);
		CHECK_RC(with_address(ANYIO_OP_GETPEERNAME, ends[1], &address), -ENOTCONN);
		anyio_close(ends[1]);
	}
	return 0;
}

static int datagram_sockets(void *arg)
{
	static char large[65508];
	struct anyio_address nobody, other = at("::1", 9), portless = at("127.0.0.1", 0);
	char byte = 'x';
	int fd = open_socket(AF_INET, SOCK_DGRAM), value;
	anyio_close(listening(&nobody));
	CHECK_RC(now(ANYIO_OP_LISTEN, fd, 1, 0), -EOPNOTSUPP);
	CHECK_RC(now(ANYIO_OP_SHUTDOWN, fd, SHUT_WR, 0), -ENOTCONN);
	anyio_close(fd);
	fd = open_socket(AF_INET, SOCK_DGRAM);
	CHECK_RC(message(ANYIO_OP_SENDMSG, fd, &byte, 1, NULL), -EDESTADDRREQ);
	CHECK_RC(message(ANYIO_OP_SENDMSG, fd, &byte, 1, &other), -EAFNOSUPPORT);
	CHECK_RC(message(ANYIO_OP_SENDMSG, fd, &byte, 1, &portless), -EINVAL);
	CHECK_RC(message(ANYIO_OP_SENDMSG, fd, large, sizeof large, &nobody), -EMSGSIZE);
	CHECK_RC(with_address(ANYIO_OP_CONNECT, fd, &other), -EAFNOSUPPORT);
	struct anyio_op accept = { .code = ANYIO_OP_ACCEPT, .fd = fd };
	CHECK_RC(anyio_op_run(&accept), -EOPNOTSUPP);
	CHECK_RC(with_address(ANYIO_OP_CONNECT, fd, &nobody), 0);
	CHECK_RC(ready(fd, POLLOUT), POLLOUT);
	for (int i = 0; i < 3; i++) {
		CHECK_RC(anyio_write(fd, &byte, 1), 1);
		CHECK_RC(ready(fd, POLLIN), POLLERR);
		if (i == 0) {
			CHECK_RC(anyio_read(fd, &byte, 1), -ECONNREFUSED);
		} else if (i == 1) {
			CHECK_RC(message(ANYIO_OP_SENDMSG, fd, &byte, 1, NULL), -ECONNREFUSED);
		} else {
			CHECK_RC(option(fd, SO_ERROR, &value), 0);
			CHECK_RC(value, ECONNREFUSED);
		}
	}
	anyio_close(fd);
	return 0;
}

static char folder[64];

static const char *in_folder(const char *name)
{
	static char path[4][400];
	static int turn;
	char *out = path[++turn & 3];
	snprintf(out, sizeof path[0], "%s/%s", folder, name);
	return out;
}

static void make(const char *name)
{
	int fd = anyio_open(in_folder(name), O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0);
	CHECK_RC(anyio_pwrite_all(fd, "content", 7, 0), 0);
	CHECK_RC(anyio_close(fd), 0);
}

static void wrong_paths(void)
{
	char target[8], name[300] = "";
	struct anyio_names names;
	struct stat st;
	memset(name, 'n', sizeof name - 1);
	CHECK_RC(anyio_open(in_folder("none"), O_RDONLY, 0), -ENOENT);
	CHECK_RC(anyio_open(in_folder("none/none"), O_CREAT | O_WRONLY, 0600), -ENOENT);
	CHECK_RC(anyio_open(in_folder("file"), O_CREAT | O_EXCL | O_WRONLY, 0600), -EEXIST);
	CHECK_RC(anyio_open(in_folder("file/under"), O_RDONLY, 0), -ENOTDIR);
	CHECK_RC(anyio_open(in_folder("file"), O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);
	CHECK_RC(anyio_open(in_folder("dir"), O_WRONLY, 0), -EISDIR);
	CHECK_RC(anyio_open(in_folder(name), O_CREAT | O_WRONLY, 0600), -ENAMETOOLONG);
	CHECK_RC(anyio_mkdirat(AT_FDCWD, in_folder("dir"), 0700), -EEXIST);
	CHECK_RC(anyio_mkdirat(AT_FDCWD, in_folder("none/dir"), 0700), -ENOENT);
	CHECK_RC(anyio_symlinkat("file", AT_FDCWD, in_folder("dir")), -EEXIST);
	CHECK_RC(anyio_readlinkat(AT_FDCWD, in_folder("file"), target, sizeof target), -EINVAL);
	CHECK_RC(anyio_readlinkat(AT_FDCWD, in_folder("none"), target, sizeof target), -ENOENT);
	CHECK_RC(anyio_fstatat(AT_FDCWD, in_folder("none"), &st, 0), -ENOENT);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, in_folder("none"), 0), -ENOENT);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, in_folder("dir"), 0), -EISDIR);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, in_folder("file"), AT_REMOVEDIR), -ENOTDIR);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, in_folder("full"), AT_REMOVEDIR), -ENOTEMPTY);
	CHECK_RC(anyio_listdir(AT_FDCWD, in_folder("file"), &names), -ENOTDIR);
	CHECK_RC(anyio_listdir(AT_FDCWD, in_folder("none"), &names), -ENOENT);
}

static void wrong_renames(void)
{
	CHECK_RC(anyio_renameat(AT_FDCWD, in_folder("none"), AT_FDCWD, in_folder("x")), -ENOENT);
	CHECK_RC(anyio_renameat(AT_FDCWD, in_folder("dir"), AT_FDCWD, in_folder("file")), -ENOTDIR);
	CHECK_RC(anyio_renameat(AT_FDCWD, in_folder("file"), AT_FDCWD, in_folder("dir")), -EISDIR);
	CHECK_RC(anyio_renameat(AT_FDCWD, in_folder("dir"), AT_FDCWD, in_folder("full")),
		-ENOTEMPTY);
	if (simulated())
		CHECK_RC(anyio_renameat(AT_FDCWD, in_folder("file"), AT_FDCWD, "/tmp/x"), -EXDEV);
}

static void wrong_reads(void)
{
	char bytes[8];
	int in = anyio_open(in_folder("file"), O_RDONLY, 0);
	int out = anyio_open(in_folder("file"), O_WRONLY, 0);
	int dir = anyio_open(in_folder("dir"), O_RDONLY | O_DIRECTORY, 0);
	CHECK_RC(anyio_pwrite(in, "x", 1, 0), -EBADF);
	CHECK_RC(anyio_pread(out, bytes, 1, 0), -EBADF);
	CHECK_RC(anyio_ftruncate(in, 1), -EINVAL);
	CHECK_RC(anyio_ftruncate(out, -1), -EINVAL);
	CHECK_RC(anyio_pread(dir, bytes, 1, 0), -EISDIR);
	CHECK_RC(anyio_pread(in, bytes, sizeof bytes, 100), 0);
	CHECK_RC(anyio_read(in, bytes, 3), 3);
	CHECK_RC(anyio_read(in, bytes, 8), 4);
	CHECK(memcmp(bytes, "tent", 4) == 0);
	CHECK_RC(now(ANYIO_OP_LISTEN, in, 1, 0), -ENOTSOCK);
	CHECK_RC(anyio_flock(in, LOCK_SH | LOCK_NB), 0);
	CHECK_RC(anyio_flock(out, LOCK_SH | LOCK_NB), 0);
	CHECK_RC(anyio_flock(out, LOCK_EX | LOCK_NB), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_flock(in, LOCK_UN), 0);
	CHECK_RC(anyio_flock(out, LOCK_EX | LOCK_NB), 0);
	CHECK_RC(anyio_flock(in, LOCK_SH | LOCK_NB), ANYIO_WOULD_BLOCK);
	anyio_close(out);
	CHECK_RC(anyio_flock(in, LOCK_SH | LOCK_NB), 0);
	anyio_close(in);
	anyio_close(dir);
}

/* By who read it: to sort many takes long. */
static void names_come_sorted(void)
{
	struct anyio_names names = { 0 };
	struct anyio_op op = {
		.code = ANYIO_OP_LISTDIR, .fd = AT_FDCWD, .path = in_folder("many"), .names = &names
	};
	char name[16];
	CHECK_RC(anyio_mkdirat(AT_FDCWD, op.path, 0700), 0);
	int dir = anyio_open(in_folder("many"), O_RDONLY | O_DIRECTORY, 0);
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "%d", i * 7 % 20);
		CHECK_RC(anyio_close(anyio_openat(dir, name, O_CREAT | O_WRONLY, 0600)), 0);
	}
	op.fd = dir;
	op.path = ".";
	CHECK_RC(anyio_op_run(&op), 0);
	CHECK_RC((int64_t)names.count, 20);
	for (size_t i = 1; i < names.count; i++)
		CHECK(strcmp(names.names[i - 1], names.names[i]) < 0);
	anyio_names_free(&names);
	anyio_close(dir);
	CHECK_RC(anyio_remove_tree(AT_FDCWD, in_folder("many")), 0);
}

struct locking {
	int fd;
	bool done;
};

static int lock_waiting(void *arg)
{
	struct locking *self = arg;
	CHECK_RC(anyio_flock(self->fd, LOCK_EX), 0);
	self->done = true;
	return 0;
}

static void locks_that_wait(void)
{
	int first = anyio_open(in_folder("file"), O_RDONLY, 0);
	struct locking second = { .fd = anyio_open(in_folder("file"), O_RDONLY, 0) };
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_flock(first, LOCK_EX), 0);
	spawn(&group, lock_waiting, &second, NULL);
	for (int i = 0; i < 10; i++)
		CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
	CHECK(!second.done);
	CHECK_RC(anyio_flock(first, LOCK_UN), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(second.done);
	anyio_close(first);
	anyio_close(second.fd);
}

/* Beyond what any file may hold. */
static void far_offsets(void)
{
	int fd = anyio_open(in_folder("file"), O_RDWR, 0);
	CHECK_RC(anyio_ftruncate(fd, INT64_MAX), -EFBIG);
	CHECK_RC(anyio_pwrite(fd, "x", 1, INT64_MAX - 1), -EFBIG);
	CHECK_RC(anyio_pwrite(fd, "x", 0, 0), 0);
	anyio_close(fd);
}

static int files(void *arg)
{
	snprintf(folder, sizeof folder, "%s/anyio-answers-%d", simulated() ? "/sim" : "/tmp",
		(int)getpid());
	CHECK_RC(anyio_mkdirat(AT_FDCWD, folder, 0700), 0);
	make("file");
	CHECK_RC(anyio_mkdirat(AT_FDCWD, in_folder("dir"), 0700), 0);
	CHECK_RC(anyio_mkdirat(AT_FDCWD, in_folder("full"), 0700), 0);
	make("full/file");
	wrong_paths();
	wrong_renames();
	wrong_reads();
	locks_that_wait();
	names_come_sorted();
	far_offsets();
	CHECK_RC(anyio_unlinkat(AT_FDCWD, in_folder("full/file"), 0), 0);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, in_folder("full"), AT_REMOVEDIR), 0);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, in_folder("dir"), AT_REMOVEDIR), 0);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, in_folder("file"), 0), 0);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, folder, AT_REMOVEDIR), 0);
	return 0;
}

/* A UNIX listener's address is its path. */
static int paths_are_addresses(void *arg)
{
	struct folder place;
	struct anyio_listener *listener, *second;
	struct anyio_stream *stream;
	struct anyio_address address, want;
	folder_make(&place);
	CHECK_RC(anyio_address_unix(&want, place.path), 0);
	CHECK_RC(anyio_connect_unix(place.path, &stream), -ENOENT);
	CHECK_RC(anyio_listen_unix(place.path, NULL, &listener), 0);
	CHECK_RC(anyio_listener_address(listener, &address), 0);
	CHECK(address.any.sa_family == AF_UNIX);
	CHECK(strcmp(((struct sockaddr_un *)&address.any)->sun_path, place.path) == 0);
	CHECK_RC(anyio_connect_unix(place.path, &stream), 0);
	anyio_stream_free(stream);
	anyio_listener_free(listener);
	CHECK_RC(anyio_listen_unix(place.path, NULL, &second), 0);
	anyio_listener_free(second);
	folder_remove(&place);
	return 0;
}

/* Of what the machine has the simulation asks the machine. */
static int real_descriptors(void *arg)
{
	int ends[2];
	CHECK_RC(pipe2(ends, O_CLOEXEC), 0);
	CHECK_RC(write(ends[1], "x", 1), 1);
	CHECK_RC(anyio_wait_readable(ends[0]), 0);
	CHECK_RC(anyio_wait_writable(ends[1]), 0);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* Reads and writes past the page cache are whole sectors. */
static int direct_files(void *arg)
{
	_Alignas(512) static char bytes[1024];
	int fd = anyio_open("/sim/direct", O_RDWR | O_CREAT | O_DIRECT, 0600);
	CHECK(fd >= 0);
	CHECK_RC(anyio_pwrite(fd, bytes, sizeof bytes, 0), sizeof bytes);
	CHECK_RC(anyio_pwrite(fd, bytes, 100, 0), -EINVAL);
	CHECK_RC(anyio_pwrite(fd, bytes, 512, 7), -EINVAL);
	CHECK_RC(anyio_pread(fd, bytes, 512, 512), 512);
	CHECK_RC(anyio_close(fd), 0);
	CHECK_RC(anyio_unlinkat(AT_FDCWD, "/sim/direct", 0), 0);
	return 0;
}

/* The names of the simulation. */
static int simulated_names(void *arg)
{
	struct anyio_address *addresses, address;
	char host[NI_MAXHOST];
	size_t count;
	CHECK_RC(anyio_getaddrinfo("node-7.sim", 80, AF_UNSPEC, &addresses, &count), 0);
	CHECK_RC((int64_t)count, 1);
	CHECK_RC(anyio_getnameinfo(&addresses[0], host, sizeof host, NULL, 0, 0), 0);
	CHECK(strcmp(host, "node-7.sim") == 0);
	free(addresses);
	CHECK_RC(anyio_getaddrinfo("localhost", 80, AF_INET6, &addresses, &count), -ENOENT);
	CHECK_RC(anyio_getaddrinfo("node-999.sim", 80, AF_UNSPEC, &addresses, &count), -ENOENT);
	CHECK_RC(anyio_getaddrinfo("elsewhere", 80, AF_UNSPEC, &addresses, &count), -ENOENT);
	address = at("10.0.0.1", 1);
	CHECK_RC(anyio_getnameinfo(&address, host, sizeof host, NULL, 0, NI_NAMEREQD), -ENOENT);
	CHECK_RC(anyio_getnameinfo(&address, host, sizeof host, NULL, 0, 0), 0);
	CHECK(strcmp(host, "10.0.0.1") == 0);
	CHECK_RC(anyio_getnameinfo(&address, host, sizeof host, NULL, 0, NI_NUMERICHOST), 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(what_no_socket_can_do, 0),
		CONFORM(what_is_asked_of_a_socket, 0),
		CONFORM(connected_sockets, 0),
		CONFORM(a_reset_is_told_once, 0),
		CONFORM(datagram_sockets, 0),
		CONFORM(files, 0),
		CONFORM(paths_are_addresses, 0),
		CONFORM(real_descriptors, 0),
		CONFORM(direct_files, CONFORM_SIM),
		CONFORM(simulated_names, CONFORM_SIM),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
