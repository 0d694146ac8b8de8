#include <errno.h>
#include <poll.h>
#include <string.h>
#include "net.h"

int anyio_fd_socket(int family, int type)
{
	struct anyio_op op = { .code = ANYIO_OP_SOCKET, .fd = family, .flags = type };

	return (int)anyio_op_now(&op);
}

int anyio_fd_bind(int fd, const struct anyio_address *address)
{
	return anyio_fd_bind_file(fd, address, 0);
}

int anyio_fd_bind_file(int fd, const struct anyio_address *address, mode_t mode)
{
	struct anyio_op op = {
		.code = ANYIO_OP_BIND,
		.fd = fd,
		.addr = (void *)&address->any,
		.addrlen = address->len,
		.mode = mode,
	};

	return (int)anyio_op_now(&op);
}

int anyio_fd_connect(int fd, const struct anyio_address *address)
{
	struct anyio_op op = {
		.code = ANYIO_OP_CONNECT,
		.fd = fd,
		.addr = (void *)&address->any,
		.addrlen = address->len,
	};

	return (int)anyio_op_run(&op);
}

int anyio_fd_listen(int fd, int backlog)
{
	struct anyio_op op = { .code = ANYIO_OP_LISTEN, .fd = fd, .flags = backlog };

	return (int)anyio_op_now(&op);
}

int anyio_fd_option(int fd, int level, int name, const void *value, size_t size)
{
	struct anyio_op op = {
		.code = ANYIO_OP_SETSOCKOPT,
		.fd = fd,
		.flags = level,
		.flags2 = name,
		.base = (void *)value,
		.len = size,
	};

	return (int)anyio_op_now(&op);
}

int anyio_fd_flag(int fd, int level, int name, int value)
{
	return anyio_fd_option(fd, level, name, &value, sizeof(value));
}

int anyio_fd_address(int fd, bool remote, struct anyio_address *address)
{
	struct anyio_op op = {
		.code = remote ? ANYIO_OP_GETPEERNAME : ANYIO_OP_GETSOCKNAME,
		.fd = fd,
		.addr = &address->any,
		.addrlen = sizeof(address->storage),
	};
	int64_t rc = anyio_op_now(&op);

	address->len = rc < 0 ? 0 : op.addrlen;
	return (int)rc;
}

int anyio_fd_credentials(int fd, struct ucred *peer)
{
	struct anyio_op op = {
		.code = ANYIO_OP_GETSOCKOPT,
		.fd = fd,
		.flags = SOL_SOCKET,
		.flags2 = SO_PEERCRED,
		.base = peer,
		.len = sizeof(*peer),
	};

	return (int)anyio_op_now(&op);
}

int anyio_fd_shutdown(int fd)
{
	struct anyio_op op = { .code = ANYIO_OP_SHUTDOWN, .fd = fd, .flags = SHUT_WR };

	return (int)anyio_op_now(&op);
}

bool anyio_net_simulated(void)
{
	return strcmp(anyio_backend_name(), "sim") == 0;
}

int anyio_fd_peer_state(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLRDHUP };

	if (anyio_net_simulated() || poll(&look, 1, 0) <= 0)
		return 0;
	return look.revents & (POLLERR | POLLHUP) ? ANYIO_BROKEN : ANYIO_END_OF_STREAM;
}
