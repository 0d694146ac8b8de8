/*
 * What the disk allows: one file, written and synced at the same points, read by position. Large
 * groups go around the page cache, "file" by RWF_DONTCACHE where the kernel has it, "direct" by
 * O_DIRECT, which needs blocks that are multiples of a page.
 */
#include "engines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif

static int fd, flags;
static uint8_t *got;

static void open_with(const struct work *work, int open_flags)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/log", work->dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | open_flags, 0600);
	got = aligned_alloc(ALIGN, (work->size + ALIGN - 1) / ALIGN * ALIGN);
	if (fd < 0 || !got)
		die(path);
}

static void open_file(const struct work *work)
{
	flags = GROUP * work->size >= UNCACHED_FROM ? RWF_DONTCACHE : 0;
	open_with(work, 0);
}

static void open_direct(const struct work *work)
{
	open_with(work, O_DIRECT);
}

static void put(const struct work *work, size_t first, size_t n)
{
	struct iovec group = { work->data, n * work->size };
	off_t at = (off_t)(first * work->size);
	ssize_t wrote = pwritev2(fd, &group, 1, at, flags);

	if (wrote < 0 && errno == EOPNOTSUPP)
		wrote = pwritev2(fd, &group, 1, at, flags = 0);
	if (wrote != (ssize_t)group.iov_len || fdatasync(fd))
		die("write");
}

static const uint8_t *get(const struct work *work, size_t number)
{
	if (pread(fd, got, work->size, (off_t)(number * work->size)) != (ssize_t)work->size)
		die("pread");
	return got;
}

static void close_file(const struct work *work)
{
	close(fd);
	free(got);
}

const struct engine engine_file = { "file", open_file, put, get, close_file };
const struct engine engine_direct = { "direct", open_direct, put, get, close_file };
