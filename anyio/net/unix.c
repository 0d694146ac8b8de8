/*
 * Binding a UNIX socket to a path: a file that a process left behind is in the way of the next.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "net.h"

#define PROBE_TIME (100 * ANYIO_MILLISECOND)
#define LOCK_PAUSE (10 * ANYIO_MILLISECOND)
#define LOCK_TRIES 200

/* On the disk that the socket lies on, which may be the simulated one. Not cancelled, lest a lock be left:
 * these end by themselves. */
static int run(struct anyio_op op)
{
	return (int)anyio_op_run_shielded(&op);
}

static int path_stat(const char *path, struct stat *st)
{
	return run((struct anyio_op){
		.code = ANYIO_OP_STAT,
		.fd = AT_FDCWD,
		.path = path,
		.flags = AT_SYMLINK_NOFOLLOW,
		.st = st,
	});
}

static int path_unlink(const char *path)
{
	return run((struct anyio_op){ .code = ANYIO_OP_UNLINKAT, .fd = AT_FDCWD, .path = path });
}

/*
 * From looking whether anybody answers to answering oneself, others that start at the same moment have to
 * wait: to them a socket that is bound and does not listen yet is a stale one, and one that was found
 * stale may have been replaced since. The lock is on a file of its own beside the socket, since the
 * folder's may be somebody else's.
 */
struct turn {
	int fd; /* -1: without */
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + sizeof(".bind-lock")];
};

/* It is removed by who has it, so who then gets the lock may have one of a file that is gone:
 * -EWOULDBLOCK. -EEXIST when the file is none of this kind. */
static int turn_check(const struct turn *turn)
{
	struct stat locked, named;
	int rc = run((struct anyio_op){ .code = ANYIO_OP_STAT, .fd = turn->fd, .st = &locked });

	if (rc < 0)
		return rc;
	if (!S_ISREG(locked.st_mode) || locked.st_size > 0)
		return -EEXIST;
	return path_stat(turn->path, &named) == 0 && locked.st_ino == named.st_ino &&
			locked.st_dev == named.st_dev
		? 0
		: -EWOULDBLOCK;
}

static int turn_try(struct turn *turn)
{
	int rc = run((struct anyio_op){
		.code = ANYIO_OP_OPENAT,
		.fd = AT_FDCWD,
		.path = turn->path,
		.flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		.mode = 0600,
	});

	if (rc < 0)
		return rc;
	turn->fd = rc;
	rc = run((struct anyio_op){
		.code = ANYIO_OP_FLOCK, .fd = turn->fd, .flags = LOCK_EX | LOCK_NB });
	if (rc == 0)
		rc = turn_check(turn);
	if (rc == 0)
		return 0;
	anyio_fd_close(turn->fd);
	turn->fd = -1;
	return rc;
}

/* Where there can be no lock, or somebody keeps it for seconds, it goes on without. ANYIO_CANCELLED. */
static int turn_take(struct turn *turn, const char *path)
{
	int rc = anyio_checkpoint_if_cancelled();

	if (rc < 0)
		return rc;
	rc = -EWOULDBLOCK;
	snprintf(turn->path, sizeof(turn->path), "%s.bind-lock", path);
	for (int i = 0; rc == -EWOULDBLOCK && i < LOCK_TRIES; i++) {
		rc = turn_try(turn);
		if (rc == -EWOULDBLOCK && anyio_sleep(LOCK_PAUSE) < 0)
			return ANYIO_CANCELLED;
	}
	return 0;
}

static void turn_end(struct turn *turn)
{
	if (turn->fd < 0)
		return;
	path_unlink(turn->path);
	anyio_fd_close(turn->fd);
}

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
	int rc = path_stat(path, &st);

	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		rc = S_ISSOCK(st.st_mode) ? unix_is_stale(type, address) : 0;
	if (rc <= 0)
		return rc < 0 ? rc : -EADDRINUSE;
	rc = path_unlink(path);
	return rc == -ENOENT ? 0 : rc;
}

/* A datagram socket is reachable from bind() on. So the permissions are those of the descriptor
 * first, which the file inherits less the umask, and are then put right: of this file, and not of what
 * somebody else may have put in its place. */
static int permit(const char *path, mode_t mode)
{
	char name[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC), rc = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st) < 0)
		rc = -errno;
	else if (!S_ISSOCK(st.st_mode))
		rc = -EADDRINUSE;
	else if ((st.st_mode & 07777) != mode && chmod(name, mode) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static int bind_and_listen(int fd, int type, const char *path, const struct anyio_address *address,
	mode_t mode, int backlog)
{
	int rc = anyio_fd_bind_file(fd, address, mode);

	if (rc == -EADDRINUSE) {
		rc = stale_remove(type, path, address);
		if (rc == 0)
			rc = anyio_fd_bind_file(fd, address, mode);
	}
	/* In the simulation binding has set them. */
	if (rc == 0 && !anyio_net_simulated())
		rc = permit(path, mode);
	if (rc == 0 && type == SOCK_STREAM)
		rc = anyio_fd_listen(fd, backlog);
	return rc;
}

static int bind_in_turn(int fd, int type, const char *path, const struct anyio_address *address,
	mode_t mode, int backlog)
{
	struct turn turn = { .fd = -1 };
	int rc = turn_take(&turn, path);

	if (rc == 0)
		rc = bind_and_listen(fd, type, path, address, mode, backlog);
	turn_end(&turn);
	return rc;
}

/* The kernel may keep the sockets of a killed process for a moment, while it takes its io_uring
 * down: so somebody who still answers is asked again for a while. */
int anyio_unix_bind(int fd, int type, const char *path, mode_t mode, int backlog)
{
	enum { TRIES = 20 };
	struct anyio_address address;
	int rc = anyio_address_unix(&address, path);

	if (rc == 0 && !anyio_net_simulated())
		rc = fchmod(fd, mode) < 0 ? -errno : 0;
	if (rc == 0)
		rc = bind_in_turn(fd, type, path, &address, mode, backlog);
	for (int i = 1; rc == -EADDRINUSE && i < TRIES; i++) {
		rc = anyio_sleep(50 * ANYIO_MILLISECOND);
		if (rc == 0)
			rc = bind_in_turn(fd, type, path, &address, mode, backlog);
	}
	return rc;
}
