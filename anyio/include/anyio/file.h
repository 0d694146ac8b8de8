/*
 * Files. Operations go through the backend: io_uring directly, libuv and whatever io_uring lacks on
 * worker threads, the simulation on a simulated disk. They may finish although cancelled;
 * then their result is returned. Errors not named are the kernel's; all that may wait are checkpoints and
 * give ANYIO_CANCELLED.
 */
#ifndef ANYIO_FILE_H
#define ANYIO_FILE_H

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <anyio/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As openat(2): a descriptor, which is a plain number of the backend's (the kernel's on real ones); close
 * it with anyio_close. O_CLOEXEC is always added. dirfd AT_FDCWD is allowed everywhere. */
ANYIO_API int anyio_openat(int dirfd, const char *path, int flags, mode_t mode);
/* The same from the working directory. */
ANYIO_API int anyio_open(const char *path, int flags, mode_t mode);
/* Never waits and cannot be cancelled. Reports the kernel's error, the descriptor is gone anyway. */
ANYIO_API int anyio_close(int fd);

/* Reads up to size bytes at offset, one system call's worth: may be short. 0 at the end of the file. */
ANYIO_API ssize_t anyio_pread(int fd, void *buffer, size_t size, off_t offset);
/* The same into count buffers. */
ANYIO_API ssize_t anyio_preadv(int fd, const struct iovec *iov, int count, off_t offset);
/* Writes up to size bytes at offset: how many, which may be fewer. */
ANYIO_API ssize_t anyio_pwrite(int fd, const void *data, size_t size, off_t offset);
/* The same out of count buffers. */
ANYIO_API ssize_t anyio_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
/* Reads at the file position, of pipes and terminals too: may be short, 0 at the end. */
ANYIO_API ssize_t anyio_read(int fd, void *buffer, size_t size);
/* Writes there: how many, which may be fewer. */
ANYIO_API ssize_t anyio_write(int fd, const void *data, size_t size);
/* Writes all of it, or the error; cancelled only before the first byte. -ENOSPC when a write returns 0. */
ANYIO_API int anyio_pwrite_all(int fd, const void *data, size_t size, off_t offset);
/* The same out of count buffers. */
ANYIO_API int anyio_pwritev_all(int fd, const struct iovec *iov, int count, off_t offset);
/* The same for bulk that will not be read again soon: write-out starts at once and the page cache
 * keeps nothing (RWF_DONTCACHE, Linux 6.14). Where that is not offered, as anyio_pwritev_all. */
ANYIO_API int anyio_pwritev_all_uncached(int fd, const struct iovec *iov, int count, off_t offset);
/* As anyio_pwrite_all, at the file position. */
ANYIO_API int anyio_write_all(int fd, const void *data, size_t size);
/* Exactly size bytes, or ANYIO_INCOMPLETE_READ. */
ANYIO_API int anyio_pread_all(int fd, void *buffer, size_t size, off_t offset);

/* As fsync(2): on return the file is on disk. */
ANYIO_API int anyio_fsync(int fd);
/* As fdatasync(2): its data, and what it takes to read them. */
ANYIO_API int anyio_fdatasync(int fd);
/* As ftruncate(2): cuts it to size bytes, or fills it up with zeros. */
ANYIO_API int anyio_ftruncate(int fd, off_t size);
/* Starts write-out of a range without waiting for it (sync_file_range); a hint, 0 or -errno. */
ANYIO_API int anyio_sync_range(int fd, off_t offset, off_t size);

/* As fstatat(2). flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. */
ANYIO_API int anyio_fstatat(int dirfd, const char *path, struct stat *st, int flags);
/* As fstat(2). */
ANYIO_API int anyio_fstat(int fd, struct stat *st);
/* As renameat(2): takes the place of what is there. */
ANYIO_API int anyio_renameat(int olddir, const char *oldpath, int newdir, const char *newpath);
/* As unlinkat(2). flags: AT_REMOVEDIR. */
ANYIO_API int anyio_unlinkat(int dirfd, const char *path, int flags);
/* As mkdirat(2). */
ANYIO_API int anyio_mkdirat(int dirfd, const char *path, mode_t mode);
/* As symlinkat(2). */
ANYIO_API int anyio_symlinkat(const char *target, int dirfd, const char *path);
/* As readlinkat(2): the size, without a NUL. */
ANYIO_API ssize_t anyio_readlinkat(int dirfd, const char *path, char *buffer, size_t size);
/* An advisory lock on the open file description (flock LOCK_EX|LOCK_NB, LOCK_UN):
 * ANYIO_WOULD_BLOCK when another process holds it. */
ANYIO_API int anyio_flock(int fd, int operation);

/* The names in a directory, "." and ".." left out, sorted by bytes. */
struct anyio_names {
	char **names; /* NUL-terminated */
	size_t count; /* of them */
};
/* Reads them. To be freed by anyio_names_free. -ENOMEM. */
ANYIO_API int anyio_listdir(int dirfd, const char *path, struct anyio_names *names);
/* Frees them, and leaves none. */
ANYIO_API void anyio_names_free(struct anyio_names *names);

/* A new file opened O_RDWR beside its final place; fill path (at least strlen(dir)+16 bytes). */
ANYIO_API int anyio_temporary_file(const char *dir, char *path, size_t cap);
ANYIO_API int anyio_temporary_directory(const char *dir, char *path, size_t cap);

#ifdef __cplusplus
}
#endif
#endif
