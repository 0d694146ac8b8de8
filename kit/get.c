/*
 * Content to disk, confined. Every name comes from whoever made the DAG, so each is checked and
 * opened relative to the folder it belongs in, without following symlinks: nothing outside output
 * is ever touched. Files are written beside their place and renamed when whole.
 */
#include "get.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool get_name_ok(const char *name, size_t len)
{
	return len > 0 && len <= 255 && !memchr(name, '/', len) && !memchr(name, 0, len) &&
		!(len == 1 && name[0] == '.') && !(len == 2 && name[0] == '.' && name[1] == '.');
}

/* ---- Places ---- */

int get_open_root(struct get_place *place, const char *output)
{
	size_t len = strlen(output);

	*place = (struct get_place){ .dir = AT_FDCWD };
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

void get_close_place(struct get_place *place)
{
	if (place->dir >= 0)
		anyio_close(place->dir);
	place->dir = AT_FDCWD;
}

/* Makes way for something of another kind, or says -EEXIST. 1: there is one of this kind. Only files
 * and symlinks are ever taken away: not folders, not devices. */
static int make_way(const struct get_place *place, mode_t kind, bool overwrite)
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

int get_make_directory(const struct get_place *place, bool overwrite, struct get_place *inside)
{
	int rc = make_way(place, S_IFDIR, overwrite);

	*inside = (struct get_place){ .dir = AT_FDCWD };
	if (rc < 0)
		return rc;
	if (rc == 0 && (rc = anyio_mkdirat(place->dir, place->name, 0777)) && rc != -EEXIST)
		return rc;
	inside->dir = anyio_openat(place->dir, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	return inside->dir < 0 ? inside->dir : 0;
}

int get_make_symlink(const struct get_place *place, const char *target, bool overwrite)
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
	struct get_file *file = arg;
	int rc = file->device ? anyio_write_all(file->fd, data, len)
			      : anyio_pwrite_all(file->fd, data, len, (off_t)file->at);

	file->at += len;
	return rc;
}

/* Devices, pipes and terminals that are there already are written to as they are. */
static int open_device(const struct get_place *place, struct get_file *file)
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

int get_open_file(const struct get_place *place, bool top, bool overwrite, struct get_file *file)
{
	int rc;

	*file = (struct get_file){ .place = place, .fd = -1, .sink = { write_at, file } };
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

int get_close_file(struct get_file *file, int rc)
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

/* ---- Trees ---- */

struct getting {
	struct kit_blocks blocks;
	const struct kit_get_options *options;
	struct get_place place;
	struct mf_cid cid;
	uint64_t done, file_done, total;
	int depth;
};

static void on_bytes(void *arg, uint64_t done)
{
	struct getting *getting = arg;

	getting->done += done - getting->file_done;
	getting->file_done = done;
	if (getting->options->progress)
		getting->options->progress(getting->options->arg, getting->done, getting->total);
}

static int disk_failure(struct getting *getting, int rc, const char *name)
{
	if (rc == ANYIO_CANCELLED)
		return rc;
	if (rc == -EEXIST)
		return kit_fail(
			getting->blocks.node, rc, "'%s' exists and is something else", name);
	return kit_fail(getting->blocks.node, rc, "writing '%s': %s", name, anyio_error_text(rc));
}

static int get_any(
	struct getting *getting, const struct get_place *place, const struct mf_cid *cid);

struct level {
	struct getting *getting;
	struct get_place inside;
};

static int get_entry(void *arg, const struct unixfs_entry *entry)
{
	struct level *level = arg;
	struct get_place *place = &level->inside;

	if (!get_name_ok((const char *)entry->name, entry->name_len))
		return kit_fail(level->getting->blocks.node, -EBADMSG,
			"a folder holds the name '%.*s', which would leave it; it was not written",
			(int)(entry->name_len < 80 ? entry->name_len : 80), entry->name);
	memcpy(place->name, entry->name, entry->name_len);
	place->name[entry->name_len] = 0;
	return get_any(level->getting, place, &entry->cid);
}

static int get_directory(
	struct getting *getting, const struct get_place *place, const struct mf_cid *cid)
{
	struct level *level = anyio_malloc(sizeof(*level));
	int rc = level ? 0 : -ENOMEM;

	if (!rc) {
		level->getting = getting;
		rc = get_make_directory(place, getting->options->overwrite, &level->inside);
	}
	if (rc)
		rc = disk_failure(getting, rc, place->name);
	else
		rc = kit_directory_each(&getting->blocks, cid, get_entry, level);
	if (level)
		get_close_place(&level->inside);
	anyio_free(level);
	return rc;
}

static int get_file(
	struct getting *getting, const struct get_place *place, const struct mf_cid *cid)
{
	struct get_file file;
	int rc = get_open_file(place, getting->depth == 1, getting->options->overwrite, &file);

	if (rc)
		return disk_failure(getting, rc, place->name);
	getting->blocks.node->error[0] = 0;
	getting->file_done = 0;
	rc = kit_file_copy(&getting->blocks, cid, 0, UNIXFS_TO_END, &file.sink, on_bytes, getting);
	rc = get_close_file(&file, rc);
	/* Trouble with blocks has been explained; what is left is the disk's. */
	return rc && !getting->blocks.node->error[0] ? disk_failure(getting, rc, place->name) : rc;
}

static int get_any(struct getting *getting, const struct get_place *place, const struct mf_cid *cid)
{
	struct kit_look look = { 0 };
	int rc;

	if (++getting->depth > KIT_DEPTH_MAX)
		return kit_fail(getting->blocks.node, -ELOOP, "folders are nested deeper than %d",
			KIT_DEPTH_MAX);
	rc = cid->codec == MF_CODEC_RAW ? 0 : kit_look(&getting->blocks, cid, &look);
	if (cid->codec == MF_CODEC_RAW)
		look.kind = KIT_FILE;
	if (getting->depth == 1)
		getting->total = look.kind == KIT_FILE ? look.size : look.cumulative;
	if (!rc && look.kind == KIT_DIRECTORY)
		rc = get_directory(getting, place, cid);
	else if (!rc && look.kind == KIT_SYMLINK &&
		(rc = get_make_symlink(place, look.target, getting->options->overwrite)))
		rc = disk_failure(getting, rc, place->name);
	else if (!rc && look.kind == KIT_FILE)
		rc = get_file(getting, place, cid);
	else if (!rc && look.kind == KIT_OTHER)
		rc = kit_fail(getting->blocks.node, -EPROTONOSUPPORT,
			"'%s' is not a file or folder; 'ipfs-kit block get' prints its bytes",
			place->name);
	anyio_free(look.target);
	getting->depth--;
	return rc;
}

static int get_root(void *arg)
{
	struct getting *getting = arg;

	return get_any(getting, &getting->place, &getting->cid);
}

int kit_get(struct kit_node *node, const char *path, const char *output,
	const struct kit_get_options *options)
{
	static const struct kit_get_options none;
	struct getting getting = { .options = options ? options : &none };
	int rc;

	node->error[0] = 0;
	kit_blocks_open(&getting.blocks, node);
	rc = kit_path_walk(&getting.blocks, path, &getting.cid);
	if (!rc) {
		rc = get_open_root(&getting.place, output);
		if (rc)
			kit_fail(node, rc, "'%s': %s", output, anyio_error_text(rc));
		else
			rc = kit_deep(get_root, &getting);
		get_close_place(&getting.place);
	}
	if (!rc)
		rc = kit_blocks_sync(&getting.blocks);
	kit_blocks_close(&getting.blocks);
	return rc;
}
