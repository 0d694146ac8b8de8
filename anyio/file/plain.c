#include <anyio/plain.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <anyio/error.h>
#include <anyio/file.h>
#include "../core/core.h"

/* No link, no waiting for a pipe's other end, no terminal that becomes ours. Regular files do not
 * know O_NONBLOCK. */
enum { PLAIN_FLAGS = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

/* What open says of a link; a folder; a socket, or a pipe nobody reads. */
static int judge_error(int rc)
{
	return rc == -ELOOP || rc == -EISDIR || rc == -ENXIO ? ANYIO_NOT_A_FILE : rc;
}

int anyio_plain_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	struct stat st;
	int fd = anyio_openat(dirfd, path, flags | PLAIN_FLAGS, mode);

	if (fd < 0)
		return judge_error(fd);
	int rc = anyio_fstat(fd, &st);
	if (rc == 0 && S_ISREG(st.st_mode))
		return fd;
	anyio_close(fd);
	return rc < 0 ? rc : ANYIO_NOT_A_FILE;
}

int anyio_plain_openat_blocking(int dirfd, const char *path, int flags, mode_t mode)
{
	struct stat st;
	int fd = openat(dirfd, path, flags | PLAIN_FLAGS, mode);

	if (fd < 0)
		return judge_error(-errno);
	int rc = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : ANYIO_NOT_A_FILE;
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

ssize_t anyio_plain_read_blocking(int fd, void *buffer, size_t size)
{
	size_t done = 0;
	ssize_t n = 1;

	while (n != 0 && done < size) {
		n = read(fd, (char *)buffer + done, size - done);
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)done;
}

int anyio_write_blocking(int fd, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)data + done, len - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* A rename is durable once its folder is. */
static int sync_folder_of(int dirfd, const char *path)
{
	char folder[PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');

	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path + 1), path);
	int fd = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* As another file was, for as far as this user may: root, who changes something of another's, does not
 * take it away from them. */
static int make_alike(int fd, const struct stat *like)
{
	bool others = like->st_uid != geteuid() || like->st_gid != getegid();

	if (others && fchown(fd, like->st_uid, like->st_gid) && errno != EPERM)
		return -errno;
	return fchmod(fd, like->st_mode & 07777) ? -errno : 0;
}

struct replacement {
	int dirfd;
	const char *path;
	mode_t mode;
	const struct stat *like;
	const void *data;
	size_t len;
	bool durable, create;
};

/* Of its own: others may be at the same path. */
static int name_temporary(const struct replacement *r, char *out, size_t cap)
{
	unsigned random = 0;

	if (getrandom(&random, sizeof(random), 0) < 0)
		return -errno;
	return snprintf(out, cap, "%s.%08x", r->path, random) < (int)cap ? 0 : -ENAMETOOLONG;
}

/* A link is refused where there is something already, a rename is not. */
static int put_in_place(const struct replacement *r, const char *temporary)
{
	if (!r->create)
		return renameat(r->dirfd, temporary, r->dirfd, r->path) ? judge_error(-errno) : 0;
	if (linkat(r->dirfd, temporary, r->dirfd, r->path, 0))
		return -errno;
	unlinkat(r->dirfd, temporary, 0);
	return 0;
}

static int replace(void *arg)
{
	const struct replacement *r = arg;
	char temporary[PATH_MAX];

	int rc = name_temporary(r, temporary, sizeof(temporary));
	if (rc < 0)
		return rc;
	int fd = anyio_plain_openat_blocking(
		r->dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL, r->mode);
	if (fd < 0)
		return fd;
	rc = r->like ? make_alike(fd, r->like) : 0;
	if (rc == 0)
		rc = anyio_write_blocking(fd, r->data, r->len);
	if (rc == 0 && r->durable && fsync(fd) < 0)
		rc = -errno;
	if (close(fd) < 0 && rc == 0)
		rc = -errno;
	if (rc == 0)
		rc = put_in_place(r, temporary);
	if (rc < 0) {
		unlinkat(r->dirfd, temporary, 0);
		return rc;
	}
	return r->durable ? sync_folder_of(r->dirfd, r->path) : 0;
}

static int run(struct replacement *replacement)
{
	struct anyio_op op = { .code = ANYIO_OP_WORK, .fn = replace, .arg = replacement };

	return anyio_current_task() ? (int)anyio_op_run_shielded(&op) : replace(replacement);
}

int anyio_plain_replace(int dirfd, const char *path, mode_t mode, const struct stat *like,
	const void *data, size_t len, bool durable)
{
	struct replacement replacement = { dirfd, path, mode, like, data, len, durable, false };

	return run(&replacement);
}

int anyio_plain_create(
	int dirfd, const char *path, mode_t mode, const void *data, size_t len, bool durable)
{
	struct replacement replacement = { dirfd, path, mode, NULL, data, len, durable, true };

	return run(&replacement);
}
