/*
 * The files that a program keeps for itself: settings, keys, locks, logs. Where they lie something
 * else may have come to stand in their place: a link that leads elsewhere, a pipe on which an open
 * waits for ever, a device. So they are opened by these: what they give is a regular file, and
 * anything else is ANYIO_NOT_A_FILE, at once.
 *
 * All but anyio_plain_openat ask the machine itself, in the simulation too: a folder's descriptor has to be
 * the kernel's, and a path below /sim/ is not on the simulated disk.
 */
#ifndef ANYIO_PLAIN_H
#define ANYIO_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <anyio/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As anyio_openat, of a regular file. The last name of path is not followed when it is a link; the
 * folders before it are. */
ANYIO_API int anyio_plain_openat(int dirfd, const char *path, int flags, mode_t mode);

/* The same without a loop: any thread, blocks. Close it with close(2). */
ANYIO_API int anyio_plain_openat_blocking(int dirfd, const char *path, int flags, mode_t mode);

/* Reads a file from where fd stands to its end, or until size bytes are there: how many. Who wants a small file whole
 * gives one byte more than it may have, and finds it too large when that came too. The errors of read(2). Any
 * thread, blocks. */
ANYIO_API ssize_t anyio_plain_read_blocking(int fd, void *buffer, size_t size);

/* Makes the file at path hold just these bytes, whole or not at all, whoever else does the same at
 * once: they are written to PATH and a number, which takes the place of what is at path (a link or a pipe
 * too, but no folder). What a killed run leaves of it is in nobody's way. It gets mode, or mode and owner
 * of like when that is not NULL. durable: and it is on disk on return. 0, or a negative code: path is as
 * it was, unless its folder alone could not be synced. Any thread; in a task a worker thread does it, and
 * the task waits and is not cancelled. */
ANYIO_API int anyio_plain_replace(int dirfd, const char *path, mode_t mode, const struct stat *like,
	const void *data, size_t len, bool durable);

/* The same where there must be nothing yet: -EEXIST when there is something, and of many who make it at
 * once all but one are told so. */
ANYIO_API int anyio_plain_create(
	int dirfd, const char *path, mode_t mode, const void *data, size_t len, bool durable);

#ifdef __cplusplus
}
#endif
#endif
