/*
 * Operations done by system calls, right now. Each case does one call and gives its return value,
 * with errno in the caller's hand; interrupted calls are made again, except those that must not be.
 */
#include <anyio/file.h>
#include <anyio/net.h>
#include "../core/core.h"
#include "../core/cursor.h"

#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* The kernel copies no header of what is in one part and by itself. */
static int64_t perform_send(const struct anyio_op *op)
{
	const struct iovec *iov = op->msg->msg_iov;
	int flags = op->flags | MSG_NOSIGNAL;
	return anyio_op_sends_plainly(op) ? send(op->fd, iov->iov_base, iov->iov_len, flags)
					  : sendmsg(op->fd, op->msg, flags);
}

static int64_t perform_socket(struct anyio_op *op)
{
	switch (op->code) {
	case ANYIO_OP_RECV: return recv(op->fd, op->base, op->len, op->flags);
	case ANYIO_OP_SENDMSG: return perform_send(op);
	case ANYIO_OP_RECVMSG: return recvmsg(op->fd, op->msg, op->flags | MSG_CMSG_CLOEXEC);
	case ANYIO_OP_ACCEPT: return accept4(op->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	case ANYIO_OP_CONNECT: return connect(op->fd, op->addr, op->addrlen);
	case ANYIO_OP_SOCKET: return socket(op->fd, op->flags | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	case ANYIO_OP_BIND: return bind(op->fd, op->addr, op->addrlen);
	case ANYIO_OP_LISTEN: return listen(op->fd, op->flags);
	case ANYIO_OP_SETSOCKOPT:
		return setsockopt(op->fd, op->flags, op->flags2, op->base, (socklen_t)op->len);
	case ANYIO_OP_GETSOCKNAME: return getsockname(op->fd, op->addr, &op->addrlen);
	case ANYIO_OP_GETPEERNAME: return getpeername(op->fd, op->addr, &op->addrlen);
	case ANYIO_OP_SHUTDOWN: return shutdown(op->fd, op->flags);
	default: errno = ENOSYS; return -1;
	}
}

/* Whose read would wait for the disk, whatever RWF_NOWAIT says. One that is not aligned cannot be. */
static bool is_direct(const struct anyio_op *op, size_t size)
{
	return (op->offset | (int64_t)size) % 512 == 0 && (fcntl(op->fd, F_GETFL) & O_DIRECT);
}

bool anyio_op_read_cached(struct anyio_op *op, size_t most)
{
	size_t size = anyio_iov_size(op->iov, op->iovcnt);

	if (size > most || is_direct(op, size))
		return false;
	op->result = preadv2(op->fd, op->iov, op->iovcnt, op->offset, RWF_NOWAIT);
	return op->result >= 0;
}

static int64_t perform_file(struct anyio_op *op)
{
	switch (op->code) {
	case ANYIO_OP_READ: return read(op->fd, op->base, op->len);
	case ANYIO_OP_WRITE:
		return op->iovcnt > 0 ? writev(op->fd, op->iov, op->iovcnt)
				      : write(op->fd, op->base, op->len);
	case ANYIO_OP_PREADV: return preadv(op->fd, op->iov, op->iovcnt, op->offset);
	case ANYIO_OP_PWRITEV: return pwritev2(op->fd, op->iov, op->iovcnt, op->offset, op->flags);
	case ANYIO_OP_FSYNC: return fsync(op->fd);
	case ANYIO_OP_FDATASYNC: return fdatasync(op->fd);
	case ANYIO_OP_FTRUNCATE: return ftruncate(op->fd, op->offset);
	case ANYIO_OP_SYNC_RANGE:
		return sync_file_range(op->fd, op->offset, (off_t)op->len, SYNC_FILE_RANGE_WRITE);
	case ANYIO_OP_FLOCK: return flock(op->fd, op->flags);
	default: return perform_socket(op);
	}
}

void anyio_op_opened(const struct anyio_op *op, int fd)
{
	/* Of the flags it sets those that open gave it, and no others. */
	fcntl(fd, F_SETFL, op->flags);
}

/* A file on which somebody has a lease is refused without waiting, which ends soon. */
static int64_t perform_open(const struct anyio_op *op)
{
	int flags = op->flags | O_CLOEXEC;
	if (!anyio_op_opens_without_waiting(op))
		return openat(op->fd, op->path, flags, op->mode);
	int fd = openat(op->fd, op->path, flags | O_NONBLOCK, op->mode);
	if (fd >= 0)
		anyio_op_opened(op, fd);
	else if (errno == EWOULDBLOCK)
		fd = openat(op->fd, op->path, flags, op->mode);
	return fd;
}

static int64_t perform_path(struct anyio_op *op)
{
	switch (op->code) {
	case ANYIO_OP_OPENAT: return perform_open(op);
	case ANYIO_OP_STAT:
		return op->path ? fstatat(op->fd, op->path, op->st, op->flags)
				: fstat(op->fd, op->st);
	case ANYIO_OP_RENAMEAT: return renameat(op->fd, op->path, op->fd2, op->path2);
	case ANYIO_OP_UNLINKAT: return unlinkat(op->fd, op->path, op->flags);
	case ANYIO_OP_MKDIRAT: return mkdirat(op->fd, op->path, op->mode);
	case ANYIO_OP_SYMLINKAT: return symlinkat(op->path, op->fd2, op->path2);
	case ANYIO_OP_READLINKAT: return readlinkat(op->fd, op->path, op->base, op->len);
	default: return perform_file(op);
	}
}

static int64_t perform_getsockopt(struct anyio_op *op)
{
	socklen_t len = (socklen_t)op->len;
	if (getsockopt(op->fd, op->flags, op->flags2, op->base, &len) < 0)
		return -errno;
	op->len = len;
	return 0;
}

static int64_t perform_poll(const struct anyio_op *op)
{
	struct pollfd one = { .fd = op->fd, .events = (short)op->flags };
	int rc;
	do
		rc = poll(&one, 1, -1);
	while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -errno;
	return one.revents & POLLNVAL ? -EBADF : one.revents;
}

static int names_read(DIR *dir, struct anyio_names *names)
{
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (!entry)
			return -errno;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		int rc = anyio_names_add(names, entry->d_name);
		if (rc < 0)
			return rc;
	}
}

static int64_t perform_listdir(struct anyio_op *op)
{
	int fd = openat(op->fd, op->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		int rc = -errno;
		close(fd);
		return rc;
	}
	*op->names = (struct anyio_names){ 0 };
	int rc = names_read(dir, op->names);
	closedir(dir);
	anyio_names_sort(op->names);
	if (rc < 0)
		anyio_names_free(op->names);
	return rc;
}

static int resolve_error(int code)
{
	switch (code) {
	case EAI_MEMORY: return -ENOMEM;
	case EAI_SYSTEM: return errno ? -errno : -EIO;
	case EAI_AGAIN: return -EAGAIN;
	case EAI_FAMILY: return -EAFNOSUPPORT;
	case EAI_FAIL: return -EIO;
	case EAI_OVERFLOW: return -ENOSPC;
	case EAI_BADFLAGS: return -EINVAL;
	default: return -ENOENT;
	}
}

static int64_t perform_getaddrinfo(const struct anyio_op *op)
{
	struct addrinfo hints = {
		.ai_family = op->flags,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_ADDRCONFIG,
	};
	struct addrinfo *list;
	int code = getaddrinfo(op->path, NULL, &hints, &list);
	if (code != 0)
		return resolve_error(code);
	struct anyio_address *out = op->base;
	size_t count = 0;
	for (struct addrinfo *it = list; it && count < op->len; it = it->ai_next) {
		if (it->ai_addrlen > sizeof(out->storage))
			continue;
		struct anyio_address *address = &out[count++];
		*address = (struct anyio_address){ .len = it->ai_addrlen };
		memcpy(&address->storage, it->ai_addr, it->ai_addrlen);
		in_port_t port = htons((uint16_t)op->flags2);
		if (it->ai_family == AF_INET6)
			address->ip6.sin6_port = port;
		else
			address->ip4.sin_port = port;
	}
	freeaddrinfo(list);
	return count ? (int64_t)count : -ENOENT;
}

static int64_t perform_getnameinfo(const struct anyio_op *op)
{
	char *host = op->base, *service = host + NI_MAXHOST;
	int code = getnameinfo(
		op->addr, op->addrlen, host, NI_MAXHOST, service, NI_MAXSERV, op->flags);
	return code == 0 ? 0 : resolve_error(code);
}

int64_t anyio_op_perform(struct anyio_op *op)
{
	switch (op->code) {
	case ANYIO_OP_WORK: return op->fn(op->arg);
	case ANYIO_OP_GETADDRINFO: return perform_getaddrinfo(op);
	case ANYIO_OP_GETNAMEINFO: return perform_getnameinfo(op);
	case ANYIO_OP_LISTDIR: return perform_listdir(op);
	case ANYIO_OP_POLL: return perform_poll(op);
	case ANYIO_OP_GETSOCKOPT: return perform_getsockopt(op);
	case ANYIO_OP_CLOSE:
		/* Linux lets go of the descriptor even when interrupted: never again. */
		return close(op->fd) < 0 && errno != EINTR ? -errno : 0;
	default: break;
	}
	int64_t rc;
	do
		rc = perform_path(op);
	while (rc < 0 && errno == EINTR && op->code != ANYIO_OP_CONNECT);
	return rc < 0 ? -errno : rc;
}
