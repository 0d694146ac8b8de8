/*
 * Content to disk, confined. Every name comes from whoever made the DAG, so each is checked and
 * opened relative to the folder it belongs in, without following symlinks: nothing outside output
 * is ever touched.
 */
#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool place_name_ok(const char *name, size_t len)
{
	return len > 0 && len <= 255 && !memchr(name, '/', len) && !memchr(name, 0, len) &&
		!(len == 1 && name[0] == '.') && !(len == 2 && name[0] == '.' && name[1] == '.');
}

/* ---- Places ---- */

/* Opening /dev/stdout anew would not be the same: a file would be written from its start, and a socket
 * cannot be opened. */
static int descriptor_of(const char *output)
{
	static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };
	char text[64];
	ssize_t len = readlink(output, text, sizeof(text) - 1);

	text[len < 0 ? 0 : len] = 0;
	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(folders[i]);
		const char *name = !strncmp(output, folders[i], n) ? output
			: !strncmp(text, folders[i], n)            ? text
								   : NULL;
		if (name && name[n] && !name[n + strspn(name + n, "0123456789")])
			return atoi(name + n);
	}
	return -1;
}

static void judge_output(struct place *place)
{
	struct stat st;

	if (place->descriptor >= 0 || anyio_fstatat(place->dir, place->name, &st, 0))
		return;
	place->device = S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISBLK(st.st_mode);
	place->device_dev = st.st_dev;
	place->device_ino = st.st_ino;
}

int place_open_root(struct place *place, const char *output)
{
	size_t len;
	const char *name = kit_last_name(output, &len);

	*place = (struct place){
		.dir = AT_FDCWD, .output = true, .descriptor = descriptor_of(output)
	};
	if (len > 255 || !*output)
		return -ENAMETOOLONG;
	snprintf(place->name, sizeof(place->name), "%.*s", (int)len, name);
	if (name != output) {
		char *parent = strndup(output, (size_t)(name - output));
		if (!parent)
			return -ENOMEM;
		place->dir = anyio_open(parent, O_PATH | O_DIRECTORY, 0);
		free(parent);
		if (place->dir < 0)
			return place->dir;
	}
	judge_output(place);
	return 0;
}

void place_close(struct place *place)
{
	if (place->dir >= 0)
		anyio_close(place->dir);
	place->dir = AT_FDCWD;
}

int place_go_inside(struct place *place, const char *name)
{
	struct stat st;

	if (!name || !place_name_ok(name, strlen(name)) || place->descriptor >= 0 ||
		anyio_fstatat(place->dir, place->name, &st, AT_SYMLINK_NOFOLLOW) ||
		!S_ISDIR(st.st_mode))
		return 0;
	int dir = anyio_openat(place->dir, place->name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
	if (dir < 0)
		return dir;
	place_close(place);
	place->dir = dir;
	snprintf(place->name, sizeof(place->name), "%s", name);
	return 0;
}

int place_make_way(const struct place *place, mode_t kind, bool overwrite)
{
	struct stat st;
	int rc = anyio_fstatat(place->dir, place->name, &st, AT_SYMLINK_NOFOLLOW);

	/* Not even by force: /dev/stdout is everybody's. */
	if (place->descriptor >= 0)
		return -EEXIST;
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
	int rc = place_make_way(place, S_IFDIR, overwrite);

	*inside = (struct place){ .dir = AT_FDCWD, .descriptor = -1 };
	if (rc < 0)
		return rc;
	if (rc == 0 && (rc = anyio_mkdirat(place->dir, place->name, 0777)) && rc != -EEXIST)
		return rc;
	bool was_there = rc != 0;
	inside->dir = anyio_openat(place->dir, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (inside->dir >= 0 && was_there)
		place_remove_parts(inside->dir);
	return inside->dir < 0 ? inside->dir : 0;
}

int place_make_symlink(const struct place *place, const char *target, bool overwrite)
{
	char old[4097];
	int rc = place_make_way(place, S_IFLNK, overwrite);

	if (rc == 1) {
		ssize_t len = anyio_readlinkat(place->dir, place->name, old, sizeof(old) - 1);
		if (len >= 0 && strlen(target) == (size_t)len && !memcmp(old, target, (size_t)len))
			return 0;
		rc = overwrite ? anyio_unlinkat(place->dir, place->name, 0) : -EEXIST;
	}
	return rc ? rc : anyio_symlinkat(target, place->dir, place->name);
}
