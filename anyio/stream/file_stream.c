/*
 * A file as a stream. It has a place of its own, by which it reads and writes; the descriptor's is left
 * alone, so that one descriptor may be read by others too. What has no places (a pipe, a terminal)
 * is read and written as it comes.
 *
 * A spool is such a file, but its bytes are in memory until they are too many: fd is -1 until then.
 *
 * One task at a time uses it, for there is one place.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <anyio/file.h>
#include "../core/cursor.h"
#include "../sync/use.h"

struct file {
	struct anyio_stream stream;
	struct anyio_closable at;
	bool placed, spooled, ended;
	int64_t place;
	uint8_t *bytes; /* of a spool in memory */
	size_t used, room, most;
	char path[]; /* of a file that was opened; of a spool the folder */
};

static const struct anyio_stream_ops file_ops;

static struct file *file_of(const struct anyio_stream *stream)
{
	return anyio_container(stream, struct file, stream);
}

static void file_settle(struct file *file)
{
	if (!anyio_closable_unused(&file->at))
		return;
	if (file->at.fd >= 0)
		anyio_close(file->at.fd);
	file->at.fd = -1;
	anyio_free(file->bytes);
	file->bytes = NULL;
	if (file->at.destroyed)
		anyio_free(file);
}

static int file_enter(struct file *file)
{
	return anyio_closable_enter(&file->at, &file->at.receiving);
}

static int64_t file_leave(struct file *file, int64_t result)
{
	result = anyio_closable_leave_stream(&file->at, &file->at.receiving, result);
	file_settle(file);
	return result;
}

static ssize_t spool_read(struct file *file, void *buffer, size_t size)
{
	int rc = anyio_checkpoint_if_cancelled();

	if (rc < 0)
		return rc;
	anyio_pass();
	if ((uint64_t)file->place >= file->used)
		return 0;
	if (size > file->used - (size_t)file->place)
		size = file->used - (size_t)file->place;
	memcpy(buffer, file->bytes + file->place, size);
	return (ssize_t)size;
}

static ssize_t file_receive(struct anyio_stream *stream, void *buffer, size_t size)
{
	struct file *file = file_of(stream);
	ssize_t n = file_enter(file);

	if (n < 0)
		return n;
	if (file->at.fd < 0)
		n = spool_read(file, buffer, size);
	else if (file->placed)
		n = anyio_pread(file->at.fd, buffer, size, file->place);
	else
		n = anyio_read_owned(file->at.fd, buffer, size);
	if (n > 0)
		file->place += n;
	return (ssize_t)file_leave(file, n);
}

/* The bytes of a spool go to a file, which has no name. */
static int spool_out(struct file *file)
{
	int fd = anyio_temporary_file_unnamed(file->path[0] == '\0' ? NULL : file->path);
	int rc = fd < 0 ? fd : anyio_pwrite_all(fd, file->bytes, file->used, 0);

	if (rc < 0) {
		if (fd >= 0)
			anyio_close(fd);
		return rc;
	}
	file->at.fd = fd;
	anyio_free(file->bytes);
	file->bytes = NULL;
	return 0;
}

/* Room up to end, and zeros where nothing was. */
static int spool_reserve(struct file *file, size_t end)
{
	size_t room = 2 * file->room < end ? end : 2 * file->room;
	uint8_t *bytes;

	if (end > file->room) {
		if (room > file->most)
			room = file->most;
		bytes = anyio_realloc(file->bytes, room);
		if (bytes == NULL)
			return -ENOMEM;
		file->bytes = bytes;
		file->room = room;
	}
	if (end > file->used) {
		memset(file->bytes + file->used, 0, end - file->used);
		file->used = end;
	}
	return 0;
}

static int64_t file_write(struct file *file, const struct iovec *iov, int count);

static int64_t spool_write(struct file *file, const void *data, size_t size)
{
	struct iovec iov = { (void *)data, size };
	int64_t rc = anyio_checkpoint_if_cancelled();

	if (rc < 0)
		return rc;
	if ((uint64_t)file->place > file->most || size > file->most - (size_t)file->place) {
		rc = spool_out(file);
		return rc < 0 ? rc : file_write(file, &iov, 1);
	}
	anyio_pass();
	rc = spool_reserve(file, (size_t)file->place + size);
	if (rc < 0)
		return rc;
	memcpy(file->bytes + file->place, data, size);
	return (int64_t)size;
}

/* Some of it, at least a byte; the first part is not empty. */
static int64_t file_write(struct file *file, const struct iovec *iov, int count)
{
	int64_t rc;

	if (file->at.fd < 0)
		return spool_write(file, iov->iov_base, iov->iov_len);
	if (file->placed)
		rc = anyio_pwritev(
			file->at.fd, iov, count < IOV_MAX ? count : IOV_MAX, file->place);
	else
		rc = anyio_write_owned(file->at.fd, iov->iov_base, iov->iov_len);
	return rc == 0 ? -ENOSPC : rc;
}

static int64_t send_all(struct file *file, const struct iovec *iov, int count, size_t *sent)
{
	struct anyio_cursor cursor = anyio_cursor_make(iov, count);
	int64_t rc = anyio_checkpoint_if_cancelled();

	while (rc >= 0 && cursor.left > 0) {
		struct iovec rest = anyio_cursor_part(&cursor);

		rc = cursor.done > 0 ? file_write(file, &rest, 1)
				     : file_write(file, cursor.iov, cursor.left);
		if (rc < 0)
			break;
		file->place += rc;
		*sent += (size_t)rc;
		anyio_cursor_advance(&cursor, (size_t)rc);
	}
	return rc < 0 ? rc : 0;
}

static int file_sendv(struct anyio_stream *stream, const struct iovec *iov, int count, size_t *sent)
{
	struct file *file = file_of(stream);
	int rc;

	*sent = 0;
	rc = file->ended ? ANYIO_CLOSED : file_enter(file);
	return rc < 0 ? rc : (int)file_leave(file, send_all(file, iov, count, sent));
}

/* Nothing on disk says so: it is a promise, kept from here on. */
static int file_send_eof(struct anyio_stream *stream)
{
	struct file *file = file_of(stream);

	if (file->at.closed)
		return ANYIO_CLOSED;
	if (file->at.receiving.task != NULL)
		return ANYIO_BUSY;
	file->ended = true;
	return 0;
}

static void file_close(struct anyio_stream *stream)
{
	struct file *file = file_of(stream);

	anyio_closable_close(&file->at);
	file_settle(file);
}

static void file_destroy(struct anyio_stream *stream)
{
	struct file *file = file_of(stream);

	file->at.destroyed = true;
	file_settle(file);
}

static ssize_t file_attribute(
	const struct anyio_stream *stream, enum anyio_attribute which, void *out, size_t size)
{
	const struct file *file = file_of(stream);

	if (which == ANYIO_ATTRIBUTE_PATH && file->path[0] != '\0' && !file->spooled)
		return anyio_attribute_give(out, size, file->path, strlen(file->path) + 1);
	if (which != ANYIO_ATTRIBUTE_DESCRIPTOR)
		return -ENODATA;
	if (file->at.closed)
		return ANYIO_CLOSED;
	return file->at.fd < 0 ? -ENODATA
			       : anyio_attribute_give(out, size, &file->at.fd, sizeof(file->at.fd));
}

static const struct anyio_stream_ops file_ops = {
	.receive = file_receive,
	.sendv = file_sendv,
	.send_eof = file_send_eof,
	.close = file_close,
	.destroy = file_destroy,
	.attribute = file_attribute,
};

static struct file *file_create(int fd, const char *path)
{
	size_t length = path == NULL ? 0 : strlen(path);
	struct file *file = anyio_calloc(1, sizeof(*file) + length + 1);

	if (file == NULL)
		return NULL;
	file->stream.ops = &file_ops;
	file->at.fd = fd;
	if (length > 0)
		memcpy(file->path, path, length);
	return file;
}

static int file_from(int fd, const char *path, bool append, struct anyio_stream **stream)
{
	struct stat st;
	int rc = anyio_fstat(fd, &st);
	struct file *file = rc < 0 ? NULL : file_create(fd, path);

	if (file == NULL)
		return rc < 0 ? rc : -ENOMEM;
	file->placed = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
	file->place = append ? st.st_size : 0;
	*stream = &file->stream;
	return 0;
}

int anyio_file_stream_from(int fd, struct anyio_stream **stream)
{
	*stream = NULL;
	return file_from(fd, NULL, false, stream);
}

int anyio_file_stream_open(const char *path, int flags, mode_t mode, struct anyio_stream **stream)
{
	int fd = anyio_open(path, flags, mode), rc;

	*stream = NULL;
	if (fd < 0)
		return fd;
	rc = file_from(fd, path, (flags & O_APPEND) != 0, stream);
	if (rc < 0)
		anyio_close(fd);
	return rc;
}

int anyio_spool_create(size_t most, const char *dir, struct anyio_stream **stream)
{
	struct file *file = file_create(-1, dir);

	*stream = NULL;
	if (file == NULL)
		return -ENOMEM;
	file->placed = file->spooled = true;
	file->most = most;
	*stream = &file->stream;
	return 0;
}

/* Where an offset counts from. */
static int64_t file_origin(struct file *file, int whence)
{
	struct stat st;
	int rc;

	switch (whence) {
	case SEEK_SET: return 0;
	case SEEK_CUR: return file->place;
	case SEEK_END: break;
	default: return -EINVAL;
	}
	if (file->at.fd < 0)
		return (int64_t)file->used;
	rc = anyio_fstat(file->at.fd, &st);
	return rc < 0 ? rc : st.st_size;
}

int64_t anyio_file_stream_seek(struct anyio_stream *stream, int64_t offset, int whence)
{
	struct file *file = file_of(stream);
	int64_t origin, place;
	int rc;

	if (stream->ops != &file_ops || !file->placed)
		return -ESPIPE;
	rc = file_enter(file);
	if (rc < 0)
		return rc;
	origin = anyio_checkpoint_if_cancelled();
	if (origin == 0)
		origin = file_origin(file, whence);
	if (origin >= 0 && (__builtin_add_overflow(origin, offset, &place) || place < 0))
		origin = -EINVAL;
	if (origin >= 0)
		file->place = place;
	return file_leave(file, origin < 0 ? origin : place);
}

int64_t anyio_file_stream_tell(const struct anyio_stream *stream)
{
	const struct file *file = file_of(stream);

	if (stream->ops != &file_ops || !file->placed)
		return -ESPIPE;
	return file->at.closed ? ANYIO_CLOSED : file->place;
}
