/*
 * Binding a UNIX socket to a path: a file that a process left behind is in the way of the next.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "net.h"

#define PROBE_TIME (100 * ANYIO_MILLISECOND)

struct probe {
	int fd, rc;
	const struct anyio_address *address;
};

static int probe_connect(void *arg)
{
	struct probe *probe = arg;

	probe->rc = anyio_fd_connect(probe->fd, probe->address);
	return probe->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

/* Whether nobody listens there: 1, 0 or a negative code. A full queue is an answer too, be it
 * -EAGAIN or, where the kernel lets us wait, no answer in time. */
static int unix_is_stale(int type, const struct anyio_address *address)
{
	struct probe probe = { .fd = anyio_fd_socket(AF_UNIX, type), .address = address };
	int rc;

	if (probe.fd < 0)
		return probe.fd;
	rc = anyio_move_on_after(PROBE_TIME, probe_connect, &probe);
	anyio_fd_close(probe.fd);
	return rc < 0 ? rc : probe.rc == -ECONNREFUSED;
}

/* Removes path when it is a socket on which nobody answers; -EADDRINUSE when it is not. */
static int stale_remove(int type, const char *path, const struct anyio_address *address)
{
	struct stat st;
	struct anyio_op look = {
		.code = ANYIO_OP_STAT,
		.fd = AT_FDCWD,
		.path = path,
		.flags = AT_SYMLINK_NOFOLLOW,
		.st = &st,
	};
	struct anyio_op unlink = { .code = ANYIO_OP_UNLINKAT, .fd = AT_FDCWD, .path = path };
	int rc = (int)anyio_op_run(&look);

	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		rc = S_ISSOCK(st.st_mode) ? unix_is_stale(type, address) : 0;
	if (rc <= 0)
		return rc < 0 ? rc : -EADDRINUSE;
	rc = (int)anyio_op_run(&unlink);
	return rc == -ENOENT ? 0 : rc;
}

/* The kernel may keep the sockets of a killed process for a moment, while it takes its io_uring
 * down: so somebody who still answers is asked again for a while. */
static int bind_in_turn(int fd, int type, const char *path, const struct anyio_address *address)
{
	enum { TRIES = 20 };
	int rc = anyio_fd_bind(fd, address);

	if (rc != -EADDRINUSE)
		return rc;
	rc = stale_remove(type, path, address);
	for (int i = 1; rc == -EADDRINUSE && i < TRIES; i++) {
		rc = anyio_sleep(50 * ANYIO_MILLISECOND);
		if (rc == 0)
			rc = stale_remove(type, path, address);
	}
	return rc < 0 ? rc : anyio_fd_bind(fd, address);
}

/* A datagram socket is reachable from bind() on. So the permissions are those of the descriptor
 * first, which the file inherits less the umask, and are then put right. */
int anyio_unix_bind(int fd, int type, const char *path, mode_t mode)
{
	struct anyio_address address;
	bool simulated = anyio_net_simulated(); /* its files have no permissions */
	int rc = anyio_address_unix(&address, path);

	if (rc == 0 && !simulated)
		rc = fchmod(fd, mode) < 0 ? -errno : 0;
	if (rc == 0)
		rc = bind_in_turn(fd, type, path, &address);
	if (rc == 0 && !simulated)
		rc = chmod(path, mode) < 0 ? -errno : 0;
	return rc;
}
