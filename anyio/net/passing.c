/*
 * Descriptors in a control message (unix(7), SCM_RIGHTS). What the kernel has put into one is open
 * in this process: each is handed on or closed.
 */
#include <string.h>
#include "net.h"

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
	if (descriptors->count < ANYIO_DESCRIPTORS_MAX) {
		descriptors->fds[descriptors->count++] = fd;
	} else {
		anyio_fd_close(fd);
		descriptors->lost = true;
	}
}

void anyio_passing_unpack(struct msghdr *msg, struct anyio_descriptors *descriptors)
{
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

void anyio_descriptors_close(struct anyio_descriptors *descriptors)
{
	while (descriptors->count > 0)
		anyio_fd_close(descriptors->fds[--descriptors->count]);
}
