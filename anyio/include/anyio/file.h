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
#include <anyio/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As openat(2): a descriptor, which is a plain number of the backend's (the kernel's on real ones); close
 * it with anyio_close. O_CLOEXEC is always added. dirfd AT_FDCWD is allowed everywhere. No other side of a FIFO
 * is waited for: for writing it is -ENXIO while nobody reads, for reading it opens at once. A read before the
 * first writer is 0 on some backends and waits on others: anyio_wait_readable (net.h) waits on all. */
ANYIO_API int anyio_openat(int dirfd, const char *path, int flags, mode_t mode);
/* The same from the working directory. */
ANYIO_API int anyio_open(const char *path, int flags, mode_t mode);
/* Never waits and cannot be cancelled. Reports the kernel's error, the descriptor is gone anyway. Tasks of this
 * loop that wait on it in anyio_read, anyio_write, anyio_wait_readable or anyio_wait_writable end with
 * -EBADF, unless what they wait for has happened already. An operation on a file that is under way goes on, and
 * where that has not begun it may meet whoever gets the number next: do not close a file under its users. The last
 * descriptor of a file without a name frees the file, for which the kernel takes its time: when that holds more
 * than 1 MiB a worker thread closes it, and its number and its room on disk come back a little later, at the
 * latest when the run ends. (On a network closing may write: sync it before.) */
ANYIO_API int anyio_close(int fd);

/* Reads up to size bytes at offset, one system call's worth: may be short. 0 at the end of the file. In this and
 * all others -EINVAL for an offset or a count of buffers below 0. */
ANYIO_API ssize_t anyio_pread(int fd, void *buffer, size_t size, off_t offset);
/* The same into count buffers. */
ANYIO_API ssize_t anyio_preadv(int fd, const struct iovec *iov, int count, off_t offset);
/* Writes up to size bytes at offset: how many, which may be fewer. */
ANYIO_API ssize_t anyio_pwrite(int fd, const void *data, size_t size, off_t offset);
/* The same out of count buffers. */
ANYIO_API ssize_t anyio_pwritev(int fd, const struct iovec *iov, int count, off_t offset);
/* Reads at the file position, of pipes and terminals too: may be short, at most 1 MiB on some backends, 0 at the
 * end. */
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
/* Writes all of it at the file position, of pipes and terminals too, or the error. Cancelled, or failed, in the
 * middle it has written some: where it matters how much, use anyio_write, or a stream. -ENOSPC when a write
 * returns 0. */
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
/* An advisory lock on the open file description, as flock(2): LOCK_EX, LOCK_SH, LOCK_UN. With LOCK_NB it is
 * ANYIO_WOULD_BLOCK when another one holds it; without, it is asked for again and again, at most 32 ms
 * apart, which holds no thread and can be cancelled, and serves nobody first. */
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

/* A whole file: *data is *size bytes and a NUL behind, to be given to anyio_free. -EFBIG when
 * there are more than most. */
ANYIO_API int anyio_read_whole(
	int dirfd, const char *path, size_t most, uint8_t **data, size_t *size);
/* Makes path hold these bytes: a new file with mode, or one that was there, emptied first. Cut off it is
 * left in part; anyio_plain_replace leaves the old one. */
ANYIO_API int anyio_write_whole(
	int dirfd, const char *path, mode_t mode, const void *data, size_t size);

/* A directory and those on the way to it, which may be there already. -ENOTDIR, -EEXIST when something
 * else stands there. */
ANYIO_API int anyio_make_directories(int dirfd, const char *path, mode_t mode);
/* Removes a directory with all that is in it; links are removed, not followed. What cannot be removed is
 * left, and the first error returned when all others are gone; ANYIO_CANCELLED at once. -ENOTDIR for
 * what is no directory, -ELOOP where directories lie more than 100 deep. */
ANYIO_API int anyio_remove_tree(int dirfd, const char *path);

/* Where temporary files go, and what dir is below when it is NULL: $TMPDIR, else /tmp; in the simulation
 * /sim. */
ANYIO_API const char *anyio_temporary_place(void);
/* A new file opened O_RDWR beside its final place; fill path (at least strlen(dir)+16 bytes). */
ANYIO_API int anyio_temporary_file(const char *dir, char *path, size_t cap);
/* One without a name, opened O_RDWR: it is gone with its last descriptor. */
ANYIO_API int anyio_temporary_file_unnamed(const char *dir);
/* A new directory for its owner alone; fill path in the same way. */
ANYIO_API int anyio_temporary_directory(const char *dir, char *path, size_t cap);
/* Makes one, calls fn(path, arg), and removes it with all that is in it then, cancelled or not. What fn
 * returned, else the error of removing. */
ANYIO_API int anyio_temporary_directory_run(
	const char *dir, int (*fn)(const char *path, void *arg), void *arg);

/*
 * Files as streams (AnyIO's FileReadStream and FileWriteStream). Which direction works the flags of open
 * say: the other one is -EBADF. One task at a time, whichever way: ANYIO_BUSY. A send that is cut off
 * says what was written; sending is no promise that it is on disk. The end is where the file ends
 * now. Attributes: descriptor, path. Each is to be freed.
 */
ANYIO_API int anyio_file_stream_open(
	const char *path, int flags, mode_t mode, struct anyio_stream **stream);
/* Takes over fd, and closes it with the stream; without success it stays the caller's. A regular file or
 * a block device is read and written from its beginning, wherever the descriptor stands; a pipe, a
 * terminal and the like as it comes (and becomes non-blocking on the libuv backend). */
ANYIO_API int anyio_file_stream_from(int fd, struct anyio_stream **stream);
/* One that is kept in memory until there are more than most bytes, and then in an unnamed temporary file
 * in dir. It is read and written. The file goes as by anyio_close. */
ANYIO_API int anyio_spool_create(size_t most, const char *dir, struct anyio_stream **stream);
/* Moves the place, and says where it is then: bytes from the beginning. whence is SEEK_SET, SEEK_CUR or
 * SEEK_END. -ESPIPE for what has none, -EINVAL before the beginning, ANYIO_BUSY, ANYIO_CLOSED. With
 * O_APPEND every write goes to the end, and the place is right as long as nobody else writes. */
ANYIO_API int64_t anyio_file_stream_seek(struct anyio_stream *stream, int64_t offset, int whence);
/* The place as it is: bytes from the beginning, and the same errors. Never waits. */
ANYIO_API int64_t anyio_file_stream_tell(const struct anyio_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
