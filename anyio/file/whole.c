/* Whole files, and directories with what is in them. */
#include <anyio/file.h>
#include "../core/core.h"

#include <errno.h>
#include <string.h>

enum { DEEPEST = 100, FIRST_READ = 4096 };

/* Doubles the room, which always has a byte for the NUL. */
static int grow(uint8_t **data, size_t *room, size_t most)
{
	size_t wanted = *room == 0 ? FIRST_READ : 2 * *room;
	if (wanted > most + 2)
		wanted = most + 2;
	uint8_t *grown = anyio_realloc(*data, wanted);
	if (!grown)
		return -ENOMEM;
	*data = grown;
	*room = wanted;
	return 0;
}

/* One byte past most is read, to know whether there is one. */
static int read_all(int fd, size_t most, uint8_t **data, size_t *size)
{
	size_t room = 0;
	for (;;) {
		if (*size + 1 >= room) {
			int rc = grow(data, &room, most);
			if (rc < 0)
				return rc;
		}
		ssize_t n = anyio_pread(fd, *data + *size, room - 1 - *size, (off_t)*size);
		if (n <= 0) {
			(*data)[*size] = '\0';
			return (int)n;
		}
		*size += (size_t)n;
		if (*size > most)
			return -EFBIG;
	}
}

int anyio_read_whole(int dirfd, const char *path, size_t most, uint8_t **data, size_t *size)
{
	*data = NULL;
	*size = 0;
	if (most > SIZE_MAX / 2)
		most = SIZE_MAX / 2;
	int fd = anyio_openat(dirfd, path, O_RDONLY, 0);
	if (fd < 0)
		return fd;
	int rc = read_all(fd, most, data, size);
	anyio_close(fd);
	if (rc == 0)
		return 0;
	anyio_free(*data);
	*data = NULL;
	*size = 0;
	return rc;
}

int anyio_write_whole(int dirfd, const char *path, mode_t mode, const void *data, size_t size)
{
	int fd = anyio_openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	if (fd < 0)
		return fd;
	int rc = anyio_pwrite_all(fd, data, size, 0);
	int closed = anyio_close(fd);
	return rc < 0 ? rc : closed;
}

/* Of what is there already only a directory is good. */
static int make_one(int dirfd, const char *path, mode_t mode)
{
	int rc = anyio_mkdirat(dirfd, path, mode);
	if (rc != -EEXIST)
		return rc;
	struct stat st;
	rc = anyio_fstatat(dirfd, path, &st, 0);
	return rc < 0 ? rc : S_ISDIR(st.st_mode) ? 0 : -EEXIST;
}

int anyio_make_directories(int dirfd, const char *path, mode_t mode)
{
	int rc = make_one(dirfd, path, mode);
	if (rc != -ENOENT || *path == '\0')
		return rc;
	char *part = anyio_strdup(path);
	if (!part)
		return -ENOMEM;
	rc = 0;
	for (char *at = part + 1; rc == 0 && (at = strchr(at, '/')); at++) {
		*at = '\0';
		rc = make_one(dirfd, part, mode);
		*at = '/';
	}
	anyio_free(part);
	return rc < 0 ? rc : make_one(dirfd, path, mode);
}

static int remove_directory(int dirfd, const char *path, int depth);

static int remove_entry(int dirfd, const char *name, int depth)
{
	int rc = anyio_unlinkat(dirfd, name, 0);
	if (rc == -EISDIR)
		rc = remove_directory(dirfd, name, depth);
	return rc == -ENOENT ? 0 : rc;
}

static int remove_directory(int dirfd, const char *path, int depth)
{
	struct anyio_names names;
	if (depth > DEEPEST)
		return -ELOOP;
	int fd = anyio_openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return fd == -ELOOP ? -ENOTDIR : fd; /* a link */
	int rc = anyio_listdir(fd, ".", &names);
	int first = rc;
	for (size_t i = 0; i < names.count && rc != ANYIO_CANCELLED; i++) {
		rc = remove_entry(fd, names.names[i], depth + 1);
		if (first == 0 || rc == ANYIO_CANCELLED)
			first = rc;
	}
	anyio_names_free(&names);
	anyio_close(fd);
	return first < 0 ? first : anyio_unlinkat(dirfd, path, AT_REMOVEDIR);
}

int anyio_remove_tree(int dirfd, const char *path)
{
	return remove_directory(dirfd, path, 0);
}
