/* Files by operations: each function is one, or repeats one until all bytes went through. */
#include <anyio/file.h>
#include "../core/core.h"
#include "../core/cursor.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>

/* Of Linux 6.14; the C library's headers are older. */
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif

#define LOCK_PAUSE_MOST (32 * ANYIO_MILLISECOND)

int anyio_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	struct anyio_op op = {
		.code = ANYIO_OP_OPENAT,
		.fd = dirfd,
		.path = path,
		.flags = flags | O_CLOEXEC,
		.mode = mode,
	};
	return (int)anyio_op_run(&op);
}

int anyio_open(const char *path, int flags, mode_t mode)
{
	return anyio_openat(AT_FDCWD, path, flags, mode);
}

int anyio_close(int fd)
{
	struct anyio_op op = { .code = ANYIO_OP_CLOSE, .fd = fd, .flags = ANYIO_CLOSE_SOON };
	return (int)anyio_op_now(&op);
}

ssize_t anyio_preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
	/* To the ring -1 would be the file position. */
	if (offset < 0)
		return -EINVAL;
	struct anyio_op op = {
		.code = ANYIO_OP_PREADV,
		.fd = fd,
		.offset = offset,
		.iov = iov,
		.iovcnt = count,
	};
	return (ssize_t)anyio_op_run(&op);
}

ssize_t anyio_pread(int fd, void *buffer, size_t size, off_t offset)
{
	struct iovec iov = { buffer, size };
	return anyio_preadv(fd, &iov, 1, offset);
}

ssize_t anyio_pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	struct anyio_op op = {
		.code = ANYIO_OP_PWRITEV,
		.fd = fd,
		.offset = offset,
		.iov = iov,
		.iovcnt = count,
	};
	return (ssize_t)anyio_op_run(&op);
}

ssize_t anyio_pwrite(int fd, const void *data, size_t size, off_t offset)
{
	struct iovec iov = { (void *)data, size };
	return anyio_pwritev(fd, &iov, 1, offset);
}

static ssize_t run_here(enum anyio_opcode code, int fd, const void *bytes, size_t size, bool owned)
{
	struct anyio_op op = {
		.code = (uint8_t)code,
		.fd = fd,
		.owned = owned,
		.base = (void *)bytes,
		.len = size,
	};
	return (ssize_t)anyio_op_run(&op);
}

ssize_t anyio_read(int fd, void *buffer, size_t size)
{
	return run_here(ANYIO_OP_READ, fd, buffer, size, false);
}

ssize_t anyio_write(int fd, const void *data, size_t size)
{
	return run_here(ANYIO_OP_WRITE, fd, data, size, false);
}

ssize_t anyio_read_owned(int fd, void *buffer, size_t size)
{
	return run_here(ANYIO_OP_READ, fd, buffer, size, true);
}

ssize_t anyio_write_owned(int fd, const void *data, size_t size)
{
	return run_here(ANYIO_OP_WRITE, fd, data, size, true);
}

/* Once begun, a whole write is ended: the rest goes on unseen by cancellation. */
static int64_t run_begun(struct anyio_op *op, bool begun)
{
	int64_t rc = begun ? anyio_op_run_shielded(op) : anyio_op_run(op);
	return rc == 0 ? -ENOSPC : rc;
}

int anyio_pwrite_all(int fd, const void *data, size_t size, off_t offset)
{
	struct iovec iov = { (void *)data, size };
	return anyio_pwritev_all(fd, &iov, 1, offset);
}

enum { IOV_AT_ONCE = 64 };

static int pwritev_all(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	struct iovec window[IOV_AT_ONCE];
	struct anyio_cursor cursor = anyio_cursor_make(iov, count);
	if (offset < 0 || count < 0)
		return -EINVAL;
	if (cursor.left == 0)
		return anyio_checkpoint();
	for (bool begun = false; cursor.left > 0; begun = true) {
		struct anyio_op op = {
			.code = ANYIO_OP_PWRITEV,
			.fd = fd,
			.flags = flags,
			.offset = offset,
			.iov = window,
			.iovcnt = anyio_cursor_fill(cursor, window, IOV_AT_ONCE),
		};
		int64_t rc = run_begun(&op, begun);
		if (rc == -EOPNOTSUPP && flags) {
			flags = 0;
			rc = 0;
		}
		if (rc < 0)
			return (int)rc;
		offset += rc;
		anyio_cursor_advance(&cursor, (size_t)rc);
	}
	return 0;
}

int anyio_pwritev_all(int fd, const struct iovec *iov, int count, off_t offset)
{
	return pwritev_all(fd, iov, count, offset, 0);
}

int anyio_pwritev_all_uncached(int fd, const struct iovec *iov, int count, off_t offset)
{
	return pwritev_all(fd, iov, count, offset, RWF_DONTCACHE);
}

int anyio_write_all(int fd, const void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t rc = anyio_write(fd, (const char *)data + done, size - done);
		if (rc == 0)
			return -ENOSPC;
		if (rc < 0)
			return (int)rc;
		done += (size_t)rc;
	}
	return size ? 0 : anyio_checkpoint();
}

int anyio_pread_all(int fd, void *buffer, size_t size, off_t offset)
{
	for (size_t done = 0; done < size;) {
		ssize_t rc =
			anyio_pread(fd, (char *)buffer + done, size - done, offset + (off_t)done);
		if (rc < 0)
			return (int)rc;
		if (rc == 0)
			return ANYIO_INCOMPLETE_READ;
		done += (size_t)rc;
	}
	return size ? 0 : anyio_checkpoint();
}

int anyio_fsync(int fd)
{
	struct anyio_op op = { .code = ANYIO_OP_FSYNC, .fd = fd };
	return (int)anyio_op_run(&op);
}

int anyio_fdatasync(int fd)
{
	struct anyio_op op = { .code = ANYIO_OP_FDATASYNC, .fd = fd };
	return (int)anyio_op_run(&op);
}

int anyio_ftruncate(int fd, off_t size)
{
	struct anyio_op op = { .code = ANYIO_OP_FTRUNCATE, .fd = fd, .offset = size };
	return (int)anyio_op_run(&op);
}

int anyio_sync_range(int fd, off_t offset, off_t size)
{
	if (size < 0)
		return -EINVAL;
	struct anyio_op op = {
		.code = ANYIO_OP_SYNC_RANGE,
		.fd = fd,
		.offset = offset,
		.len = (size_t)size,
	};
	int rc = (int)anyio_op_run(&op);
	/* A file system without it loses nothing: it was a hint. */
	return rc == -ENOSYS || rc == -EOPNOTSUPP ? 0 : rc;
}

/* A thread that waited in the kernel could not be called back, and enough of them would leave none for the
 * unlock. So who waits asks again. */
int anyio_flock(int fd, int operation)
{
	for (anyio_time pause = ANYIO_MILLISECOND;; pause *= pause < LOCK_PAUSE_MOST ? 2 : 1) {
		struct anyio_op op = {
			.code = ANYIO_OP_FLOCK, .fd = fd, .flags = operation | LOCK_NB
		};
		int rc = (int)anyio_op_run(&op);
		if (rc != -EWOULDBLOCK)
			return rc;
		if (operation & LOCK_NB)
			return ANYIO_WOULD_BLOCK;
		rc = anyio_sleep(pause);
		if (rc < 0)
			return rc;
	}
}
