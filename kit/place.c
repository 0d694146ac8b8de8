/*
 * Content to disk, confined. Every name comes from whoever made the DAG, so each is checked and
 * opened relative to the folder it belongs in, without following symlinks: nothing outside output
 * is ever touched. Files are written beside their place and renamed when whole.
 */
#include "place.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool place_name_ok(const char *name, size_t len)
{
	return len > 0 && len <= 255 && !memchr(name, '/', len) && !memchr(name, 0, len) &&
		!(len == 1 && name[0] == '.') && !(len == 2 && name[0] == '.' && name[1] == '.');
}

/* ---- Places ---- */

int place_open_root(struct place *place, const char *output)
{
	size_t len = strlen(output);

	*place = (struct place){ .dir = AT_FDCWD };
	while (len > 1 && output[len - 1] == '/')
		len--;
	size_t start = len;
	while (start && output[start - 1] != '/')
		start--;
	if (len - start > 255 || len == 0)
		return -ENAMETOOLONG;
	snprintf(place->name, sizeof(place->name), "%.*s", (int)(len - start), output + start);
	if (start == 0)
		return 0;
	char *parent = strndup(output, start);
	if (!parent)
		return -ENOMEM;
	place->dir = anyio_open(parent, O_PATH | O_DIRECTORY, 0);
	free(parent);
	return place->dir < 0 ? place->dir : 0;
}

void place_close(struct place *place)
{
	if (place->dir >= 0)
		anyio_close(place->dir);
	place->dir = AT_FDCWD;
}

/* Makes way for something of another kind, or says -EEXIST. 1: there is one of this kind. Only files
 * and symlinks are ever taken away: not folders, not devices. */
static int make_way(const struct place *place, mode_t kind, bool overwrite)
{
	struct stat st;
	int rc = anyio_fstatat(place->dir, place->name, &st, AT_SYMLINK_NOFOLLOW);

	if (rc == -ENOENT)
		return 0;
	if (rc)
		return rc;
	if ((st.st_mode & S_IFMT) == kind)
		return 1;
	if (!overwrite || !(S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)))
		return -EEXIST;
	return anyio_unlinkat(place->dir, place->name, 0);
}

int place_make_directory(const struct place *place, bool overwrite, struct place *inside)
{
	int rc = make_way(place, S_IFDIR, overwrite);

	*inside = (struct place){ .dir = AT_FDCWD };
	if (rc < 0)
		return rc;
	if (rc == 0 && (rc = anyio_mkdirat(place->dir, place->name, 0777)) && rc != -EEXIST)
		return rc;
	inside->dir = anyio_openat(place->dir, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return inside->dir < 0 ? inside->dir : 0;
}

int place_make_symlink(const struct place *place, const char *target, bool overwrite)
{
	char old[4097];
	int rc = make_way(place, S_IFLNK, overwrite);

	if (rc == 1) {
		ssize_t len = anyio_readlinkat(place->dir, place->name, old, sizeof(old) - 1);
		if (len >= 0 && strlen(target) == (size_t)len && !memcmp(old, target, (size_t)len))
			return 0;
		rc = overwrite ? anyio_unlinkat(place->dir, place->name, 0) : -EEXIST;
	}
	return rc ? rc : anyio_symlinkat(target, place->dir, place->name);
}

/* ---- Files ---- */

static int write_at(void *arg, const void *data, size_t len)
{
	struct place_file *file = arg;
	int rc = file->device ? anyio_write_all(file->fd, data, len)
			      : anyio_pwrite_all(file->fd, data, len, (off_t)file->at);

	file->at += len;
	return rc;
}

/* Devices, pipes and terminals that are there already are written to as they are. */
static int open_device(const struct place *place, struct place_file *file)
{
	struct stat st;

	if (anyio_fstatat(place->dir, place->name, &st, 0) ||
		!(S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISBLK(st.st_mode)))
		return 0;
	/* A pipe that nobody reads is an error at once, not a wait that nothing ends. */
	file->fd = anyio_openat(place->dir, place->name, O_WRONLY | O_NONBLOCK, 0);
	if (file->fd < 0)
		return file->fd;
	file->device = true;
	return fcntl(file->fd, F_SETFL, 0) ? -errno : 1;
}

int place_file_open(const struct place *place, bool top, bool overwrite, struct place_file *file)
{
	int rc;

	*file = (struct place_file){ .place = place, .fd = -1, .sink = { write_at, file } };
	if (top && (rc = open_device(place, file)) != 0)
		return rc < 0 ? rc : 0;
	rc = make_way(place, S_IFREG, overwrite);
	if (rc < 0)
		return rc;
	/* A name that nobody can foresee: neither the tree being written nor anybody else has it. */
	do {
		snprintf(file->part, sizeof(file->part), ".%.200s.%08x%08x", place->name,
			randombytes_random(), randombytes_random());
		file->fd = anyio_openat(
			place->dir, file->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
	} while (file->fd == -EEXIST);
	return file->fd < 0 ? file->fd : 0;
}

int place_file_close(struct place_file *file, int rc)
{
	if (file->fd < 0)
		return rc;
	int closed = anyio_close(file->fd);
	file->fd = -1;
	if (file->device)
		return rc ? rc : closed;
	rc = rc ? rc : closed;
	if (!rc)
		rc = anyio_renameat(
			file->place->dir, file->part, file->place->dir, file->place->name);
	if (rc)
		anyio_unlinkat(file->place->dir, file->part, 0);
	return rc;
}
