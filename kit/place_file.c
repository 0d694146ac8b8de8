/*
 * Files are written beside their place, as a part, and renamed when whole. A get that is interrupted
 * takes its part away; after a kill the part stays, until a get to the same place finds it.
 *
 * A part is known by its name, ".NAME.TOKEN": the token is a hash of the folder's inode, of NAME and of
 * a number below PARTS. No other file has such a name by chance, and one that was copied here from
 * elsewhere, by hand or as content, has another folder's token. Whoever writes a part holds a lock on
 * it until it is in its place, so that a part without a lock belongs to nobody.
 */
#include "place.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { PARTS = 4, TOKEN_SIZE = 8, TOKEN_TEXT = 2 * TOKEN_SIZE + 1, PART_NAME_MAX = 200 };

/* ---- Parts ---- */

static void part_name(ino_t folder, const char *name, unsigned number, char *out, size_t cap)
{
	unsigned char token[crypto_generichash_BYTES_MIN];
	char text[TOKEN_TEXT], seed[PART_NAME_MAX + 64];
	int len = snprintf(seed, sizeof(seed), "ipfs-kit part %llu %u %.*s",
		(unsigned long long)folder, number, PART_NAME_MAX, name);

	crypto_generichash(token, sizeof(token), (unsigned char *)seed, (size_t)len, NULL, 0);
	sodium_bin2hex(text, sizeof(text), token, TOKEN_SIZE);
	snprintf(out, cap, ".%.*s.%s", PART_NAME_MAX, name, text);
}

static bool is_named(int dir, const char *name, int fd)
{
	struct stat named, opened;

	return !anyio_fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) && !fstat(fd, &opened) &&
		named.st_ino == opened.st_ino && named.st_dev == opened.st_dev;
}

/* Takes away a part that nobody writes. Its name is looked up again under its lock: whoever held it
 * before may have renamed it, and somebody else have made another of its name. */
static void remove_part(int dir, const char *name)
{
	struct stat st;

	if (anyio_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return;
	int fd = anyio_openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_named(dir, name, fd))
		anyio_unlinkat(dir, name, 0);
	anyio_close(fd);
}

/* -EEXIST also when somebody took the new part for one left behind, before it was locked. Where there
 * are no locks nobody takes any. What is asked here of an open file is in the kernel's memory. */
static int make_part(int dir, const char *name)
{
	int fd = anyio_openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
	struct stat st;

	if (fd < 0)
		return fd;
	if ((flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) &&
		((fstat(fd, &st) == 0 && st.st_nlink == 1) || is_named(dir, name, fd)))
		return fd;
	anyio_close(fd);
	return -EEXIST;
}

/* Other parts of this name may be written at the same time; past PARTS the name is one that nobody can
 * foresee, nor find later. */
static int open_part(const struct place *place, struct place_file *file)
{
	struct stat folder;

	if (fstatat(place->dir, ".", &folder, 0))
		return -errno;
	for (unsigned i = 0; i < 2 * PARTS; i++) {
		unsigned number = i < PARTS ? i : randombytes_random() | 1u << 31;
		part_name(folder.st_ino, place->name, number, file->part, sizeof(file->part));
		file->fd = make_part(place->dir, file->part);
		if (file->fd != -EEXIST)
			break;
	}
	return file->fd < 0 ? file->fd : 0;
}

static void remove_parts(const struct place *place)
{
	struct stat folder;
	char part[256];

	for (unsigned i = 0; i < PARTS && !fstatat(place->dir, ".", &folder, 0); i++) {
		part_name(folder.st_ino, place->name, i, part, sizeof(part));
		remove_part(place->dir, part);
	}
}

/* Whether a name in a folder is that of a part, whatever the file it was to become. */
static bool is_part(ino_t folder, const char *name)
{
	size_t len = strlen(name);
	char base[256], part[256];

	if (len < TOKEN_TEXT + 2 || name[0] != '.' || name[len - TOKEN_TEXT] != '.')
		return false;
	snprintf(base, sizeof(base), "%.*s", (int)(len - TOKEN_TEXT - 1), name + 1);
	for (unsigned i = 0; i < PARTS; i++) {
		part_name(folder, base, i, part, sizeof(part));
		if (!strcmp(part, name))
			return true;
	}
	return false;
}

void place_remove_parts(int dir)
{
	struct anyio_names names;
	struct stat folder;

	if (fstat(dir, &folder) || anyio_listdir(dir, ".", &names))
		return;
	for (size_t i = 0; i < names.count; i++)
		if (is_part(folder.st_ino, names.names[i]))
			remove_part(dir, names.names[i]);
	anyio_names_free(&names);
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

/* Devices, pipes and terminals that are there already are written to as they are, and so is whatever an
 * open descriptor leads to. 1: it is one. */
static int open_device(const struct place *place, struct place_file *file)
{
	struct stat st;
	int rc;

	if (place->descriptor >= 0) {
		file->device = true;
		file->fd = fcntl(place->descriptor, F_DUPFD_CLOEXEC, 3);
		return file->fd < 0 ? -errno : 1;
	}
	if (!place->device)
		return 0;
	/* A pipe that nobody reads is an error at once, not a wait that nothing ends. */
	file->fd = anyio_openat(place->dir, place->name, O_WRONLY | O_NONBLOCK, 0);
	if (file->fd < 0)
		return file->fd;
	if (fstat(file->fd, &st) || fcntl(file->fd, F_SETFL, 0))
		rc = -errno;
	else
		rc = st.st_dev == place->device_dev && st.st_ino == place->device_ino ? 1 : -EEXIST;
	file->device = rc == 1;
	if (rc < 0)
		anyio_close(file->fd);
	return rc;
}

int place_file_open(const struct place *place, bool overwrite, struct place_file *file)
{
	int rc;

	*file = (struct place_file){ .place = place, .fd = -1, .sink = { write_at, file } };
	if (place->output && (rc = open_device(place, file)) != 0)
		return rc < 0 ? rc : 0;
	rc = place_make_way(place, S_IFREG, overwrite);
	if (rc < 0)
		return rc;
	/* In a folder that is got whole it was done on entering it. */
	if (place->output)
		remove_parts(place);
	return open_part(place, file);
}

/* Some file systems tell only when a descriptor is closed that they could not write. This one stays
 * open, since its lock is needed. */
static int late_error(int fd)
{
	int copy = dup(fd);

	return copy < 0 || close(copy) ? -errno : 0;
}

int place_file_close(struct place_file *file, int rc)
{
	struct anyio_cancel_scope shield;

	if (file->fd < 0)
		return rc;
	if (!rc && !file->device)
		rc = late_error(file->fd);
	/* Also when it is interrupted nothing is left behind, and what is whole gets its place. */
	anyio_cancel_scope_init(&shield);
	anyio_cancel_scope_set_shield(&shield, true);
	anyio_cancel_scope_enter(&shield);
	if (!rc && !file->device)
		rc = anyio_renameat(
			file->place->dir, file->part, file->place->dir, file->place->name);
	if (rc && !file->device)
		anyio_unlinkat(file->place->dir, file->part, 0);
	anyio_cancel_scope_exit(&shield, 0);
	int closed = anyio_close(file->fd);
	file->fd = -1;
	return rc ? rc : closed;
}
