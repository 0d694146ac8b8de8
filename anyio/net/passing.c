/*
 * Descriptors in a control message (unix(7), SCM_RIGHTS). What the kernel has put into one is open
 * in this process: each is handed on or closed.
 *
 * The last close of what somebody else made may block for as long as he likes (SO_LINGER on a TCP socket
 * whose other side he is), and a descriptor that nobody asked for is closed by whoever receives the byte it
 * came with, or frees the socket it lies in. So a loop never does that on its own thread: where none are
 * wanted none are let in (SO_PASSRIGHTS), and where that cannot be, or they are, they are received and closed on
 * worker threads. Without room in the table of descriptors (EMFILE) the kernel still closes here.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "net.h"

/* Of Linux 6.16; the C library's headers are older. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

enum { KERNEL_MOST = 253 }; /* descriptors with one message, unix(7) */

int anyio_passing_pack(struct anyio_passing *passing, const struct anyio_descriptors *descriptors)
{
	size_t size = descriptors->count * sizeof(int);
	struct cmsghdr *header = (struct cmsghdr *)passing->bytes;

	passing->size = 0;
	if (descriptors->count > ANYIO_DESCRIPTORS_MAX)
		return ANYIO_TOO_MANY;
	if (size == 0)
		return 0;
	memset(passing->bytes, 0, sizeof(passing->bytes));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(header), descriptors->fds, size);
	passing->size = CMSG_LEN(size);
	return 0;
}

static void take(struct anyio_descriptors *descriptors, int fd)
{
	if (descriptors != NULL && descriptors->count < ANYIO_DESCRIPTORS_MAX) {
		descriptors->fds[descriptors->count++] = fd;
		return;
	}
	if (descriptors != NULL)
		descriptors->lost = true;
	anyio_fd_close_waiting(fd);
}

static void unpack(struct msghdr *msg, struct anyio_descriptors *descriptors)
{
	if (descriptors != NULL)
		descriptors->lost = msg->msg_flags & MSG_CTRUNC;
	for (struct cmsghdr *it = CMSG_FIRSTHDR(msg); it != NULL; it = CMSG_NXTHDR(msg, it)) {
		size_t count = (it->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (it->cmsg_level != SOL_SOCKET || it->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(it) + i * sizeof(fd), sizeof(fd));
			take(descriptors, fd);
		}
	}
}

int64_t anyio_passing_receive(
	int fd, void *buffer, size_t size, int flags, struct anyio_descriptors *descriptors)
{
	_Alignas(struct cmsghdr) char room[CMSG_SPACE(KERNEL_MOST * sizeof(int))];
	struct iovec iov = { .iov_base = buffer, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room) };
	struct anyio_op op = { .code = ANYIO_OP_RECVMSG, .fd = fd, .msg = &msg, .flags = flags };
	int64_t rc = anyio_op_run(&op);

	if (rc >= 0)
		unpack(&msg, descriptors);
	return rc;
}

int anyio_passing_set(int fd, int family, bool taken, enum anyio_rights *rights)
{
	int rc;

	*rights = taken && family == AF_UNIX ? ANYIO_RIGHTS_TAKEN : ANYIO_RIGHTS_REFUSED;
	if (taken || family != AF_UNIX)
		return 0;
	rc = anyio_fd_flag(fd, SOL_SOCKET, SO_PASSRIGHTS, 0);
	if (rc != -ENOPROTOOPT)
		return rc;
	*rights = ANYIO_RIGHTS_DROPPED;
	return 0;
}

/* Whoever waits to be accepted may have sent something already. */
static bool nobody_waits(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		anyio_passing_close(fd, ANYIO_RIGHTS_DROPPED);
	return errno == EAGAIN || errno == EINVAL; /* the queue is shut and empty */
}

static bool nothing_unread(int fd)
{
	int unread;

	/* Of a listener it is not known. */
	return ioctl(fd, FIONREAD, &unread) == 0 ? unread == 0 : nobody_waits(fd);
}

void anyio_passing_close(int fd, enum anyio_rights rights)
{
	if (rights != ANYIO_RIGHTS_REFUSED && !anyio_net_simulated()) {
		/* Nothing comes after we have looked, and to a listener nobody. */
		shutdown(fd, SHUT_RD);
		if (!nothing_unread(fd)) {
			anyio_fd_close_later(fd);
			return;
		}
	}
	anyio_fd_close(fd);
}

void anyio_descriptors_close(struct anyio_descriptors *descriptors)
{
	while (descriptors->count > 0)
		anyio_fd_close_waiting(descriptors->fds[--descriptors->count]);
}
