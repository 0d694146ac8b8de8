/*
 * A folder of this machine as a kind of store: another disk, or what is mounted there.
 *
 * An object is a file of the folder itself, named by its key (sftp_name.h, slashes encoded too). A put writes
 * a file whose name begins with ".part-", syncs it, renames it and syncs the folder. The folder is opened at each call: what was
 * unplugged and is back works again. Nothing is tried again here: a disk has done so.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <multiformats/sha256.h>

#include "remote.h"
#include "sftp_name.h"

enum { WINDOW_SIZE = 1 << 20, PART_MAX = 64, PART_BEGIN = 6 };

struct folder {
	struct remote remote;
	char *path;
	uint64_t
		session; /* part of the names of what is being written: sweep tells them from others' */
	uint64_t parts;
};

static const char part_begin[] = ".part-";

static int fail(const struct folder *folder, int rc, struct remote_why *why)
{
	if (rc == ANYIO_CANCELLED || rc == -ENOMEM || rc == -ENOENT)
		return rc;
	const char *hint = rc == -ENOSPC || rc == -EDQUOT ? "make room on it"
		: rc == -EACCES || rc == -EPERM           ? "let this user read and write there"
							  : "look at the disk and its mount";

	explain(why, rc, hint, "the folder %s: %s", folder->path, anyio_error_text(rc));
	return rc == -ENOSPC || rc == -EACCES ? rc : rc == -EDQUOT ? -ENOSPC : -EREMOTEIO;
}

/* How a verb has ended, and what that says of the folder: it is there whatever it answered; of our own ends nothing. */
static int ended(struct folder *folder, int rc)
{
	if (rc == -ENXIO || rc == -EREMOTEIO)
		folder->remote.away = true;
	else if (rc >= 0 || rc == -ENOENT || rc == -ENOSPC || rc == -EACCES)
		folder->remote.away = false;
	return rc;
}

static int open_folder(struct folder *folder, struct remote_why *why)
{
	int fd = anyio_openat(AT_FDCWD, folder->path, O_RDONLY | O_DIRECTORY, 0);

	folder->remote.statistics.requests++;
	if (fd == -ENOENT || fd == -ENOTDIR)
		return explain(why, -ENXIO, "make it, or mount the disk it is on",
			"there is no folder %s", folder->path);
	return fd < 0 ? fail(folder, fd, why) : fd;
}

static int name_of(const char *key, char name[SFTP_NAME_MAX + 4], struct remote_why *why)
{
	return sftp_name_encode_flat(key, name)
		? 0
		: explain(why, -EINVAL, "make it shorter", "'%.80s' is too long for a file", key);
}

/* ---- put ---- */

struct put {
	struct folder *folder;
	const struct remote_source *source;
	const uint8_t *sha256;
	int dir, fd;
	char part[PART_MAX];
};

/* All of the source's bytes, whatever becomes of them: what it returns is the caller's own. */
static int copy_source(struct put *put, uint8_t *window, bool *own)
{
	const struct remote_source *source = put->source;
	struct mf_sha256 hash;
	uint8_t is[REMOTE_CHECKSUM_SIZE];
	int rc = 0;

	mf_sha256_init(&hash);
	for (uint64_t at = 0; at < source->size && rc == 0;) {
		size_t most =
			source->size - at < WINDOW_SIZE ? (size_t)(source->size - at) : WINDOW_SIZE;
		ssize_t n = source->read(source->arg, window, most, at);

		*own = n <= 0;
		if (n <= 0)
			return n < 0 ? (int)n : ANYIO_INCOMPLETE_READ;
		if (put->sha256)
			mf_sha256_update(&hash, window, (size_t)n);
		rc = anyio_pwrite_all(put->fd, window, (size_t)n, (off_t)at);
		at += (uint64_t)n;
		put->folder->remote.statistics.sent += (uint64_t)n;
	}
	mf_sha256_final(&hash, is);
	*own = rc == 0 && put->sha256 && memcmp(is, put->sha256, sizeof(is)) != 0;
	return *own ? -EBADMSG : rc;
}

static int write_part(struct put *put, const char *name, bool *own)
{
	uint8_t *window = anyio_malloc(WINDOW_SIZE);
	int rc = window ? copy_source(put, window, own) : -ENOMEM;

	anyio_free(window);
	if (rc == 0)
		rc = anyio_fsync(put->fd);
	if (rc == 0)
		rc = anyio_renameat(put->dir, put->part, put->dir, name);
	return rc < 0 ? rc : anyio_fsync(put->dir);
}

static int remove_part(void *arg)
{
	struct put *put = arg;

	return anyio_unlinkat(put->dir, put->part, 0);
}

static void take_back(struct put *put)
{
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_run(&scope, remove_part, put);
}

static int put(struct remote *remote, const char *key, const struct remote_source *source,
	const uint8_t *sha256, struct remote_why *why)
{
	struct folder *folder = (struct folder *)remote;
	struct put put = { .folder = folder, .source = source, .sha256 = sha256 };
	char name[SFTP_NAME_MAX + 4];
	bool own = false;
	int rc = name_of(key, name, why);

	put.dir = rc < 0 ? rc : open_folder(folder, why);
	if (put.dir < 0)
		return ended(folder, put.dir);
	snprintf(put.part, sizeof(put.part), "%s%016llx-%llu", part_begin,
		(unsigned long long)folder->session, (unsigned long long)folder->parts++);
	put.fd = anyio_openat(put.dir, put.part, O_WRONLY | O_CREAT | O_EXCL, 0644);
	rc = put.fd < 0 ? put.fd : write_part(&put, name, &own);
	if (put.fd >= 0)
		anyio_close(put.fd);
	if (put.fd >= 0 && rc < 0)
		take_back(&put);
	anyio_close(put.dir);
	return own ? rc : ended(folder, rc < 0 ? fail(folder, rc, why) : 0);
}

/* ---- get, head, delete ---- */

static int open_object(struct folder *folder, const char *key, struct remote_why *why)
{
	char name[SFTP_NAME_MAX + 4];
	int rc = name_of(key, name, why);
	int dir = rc < 0 ? rc : open_folder(folder, why);

	if (dir < 0)
		return dir;
	int fd = anyio_openat(dir, name, O_RDONLY | O_NOFOLLOW, 0);
	anyio_close(dir);
	if (fd == -ENOENT)
		return explain(why, -ENOENT, NULL, "there is no object '%.80s' in the folder %s",
			key, folder->path);
	return fd < 0 ? fail(folder, fd, why) : fd;
}

static int get(struct remote *remote, const char *key, uint64_t offset, uint64_t size,
	int (*take)(void *arg, const void *data, size_t len), void *arg, struct remote_why *why)
{
	struct folder *folder = (struct folder *)remote;
	size_t room = size < WINDOW_SIZE ? (size_t)size : WINDOW_SIZE;
	int fd = open_object(folder, key, why);
	uint8_t *window = fd < 0 ? NULL : anyio_malloc(room);
	int rc = fd < 0 ? ended(folder, fd) : window ? 0 : -ENOMEM;

	while (size > 0 && rc == 0) {
		ssize_t n =
			anyio_pread(fd, window, size < room ? (size_t)size : room, (off_t)offset);

		if (n <= 0) {
			rc = ended(folder, n < 0 ? fail(folder, (int)n, why) : 0);
			break;
		}
		ended(folder, 0);
		folder->remote.statistics.received += (uint64_t)n;
		offset += (uint64_t)n;
		size -= (uint64_t)n;
		rc = take(arg, window, (size_t)n);
	}
	anyio_free(window);
	if (fd >= 0)
		anyio_close(fd);
	return rc;
}

static int head(
	struct remote *remote, const char *key, struct remote_head *out, struct remote_why *why)
{
	struct folder *folder = (struct folder *)remote;
	int fd = open_object(folder, key, why);
	struct stat st;

	if (fd < 0)
		return ended(folder, fd);
	int rc = anyio_fstat(fd, &st);
	anyio_close(fd);
	rc = ended(folder, rc < 0 ? fail(folder, rc, why) : 0);
	if (rc < 0)
		return rc;
	out->size = (uint64_t)st.st_size;
	snprintf(out->etag, sizeof(out->etag), "%llx-%llx-%llx.%lx", (unsigned long long)st.st_ino,
		(unsigned long long)st.st_size, (unsigned long long)st.st_mtim.tv_sec,
		st.st_mtim.tv_nsec);
	return 0;
}

static int delete (struct remote *remote, const char *key, struct remote_why *why)
{
	struct folder *folder = (struct folder *)remote;
	char name[SFTP_NAME_MAX + 4];
	int rc = name_of(key, name, why);
	int dir = rc < 0 ? rc : open_folder(folder, why);

	if (dir < 0)
		return ended(folder, dir);
	rc = anyio_unlinkat(dir, name, 0);
	if (rc == 0)
		rc = anyio_fsync(dir);
	anyio_close(dir);
	return ended(folder, rc < 0 ? fail(folder, rc, why) : 0);
}

/* ---- list, sweep ---- */

static int list_folder(struct folder *folder, struct anyio_names *names, struct remote_why *why)
{
	int dir = open_folder(folder, why);

	if (dir < 0)
		return ended(folder, dir);
	int rc = anyio_listdir(dir, ".", names);
	if (rc < 0)
		anyio_close(dir);
	return ended(folder, rc < 0 ? fail(folder, rc, why) : dir);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Those that are keys, and wanted, in place of the names; a key is no longer than its name. */
static size_t keep_keys(struct anyio_names *names, const char *start, const char *after)
{
	char key[SFTP_NAME_MAX + 1];
	size_t kept = 0;

	for (size_t i = 0; i < names->count; i++) {
		char *name = names->names[i];

		if (!sftp_name_decode_flat(name, key) || strncmp(key, start, strlen(start)) != 0 ||
			(after && strcmp(key, after) <= 0))
			continue;
		strcpy(name, key);
		names->names[i] = names->names[kept];
		names->names[kept++] = name;
	}
	if (kept)
		qsort(names->names, kept, sizeof(*names->names), by_key);
	return kept;
}

static int tell(struct folder *folder, int dir, const char *key,
	int (*each)(void *arg, const struct remote_entry *entry), void *arg, struct remote_why *why)
{
	struct remote_entry entry = { .name = key + strlen(folder->remote.prefix) };
	char name[SFTP_NAME_MAX + 4];
	struct stat st;

	sftp_name_encode_flat(key, name);
	int rc = anyio_fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW);
	/* It has gone just now; or is none of ours. */
	if (rc == -ENOENT || (rc == 0 && !S_ISREG(st.st_mode)))
		return 0;
	if (rc < 0)
		return ended(folder, fail(folder, rc, why));
	entry.size = (uint64_t)st.st_size;
	return each(arg, &entry);
}

static int list(struct remote *remote, const char *start, const char *after,
	int (*each)(void *arg, const struct remote_entry *entry), void *arg, struct remote_why *why)
{
	struct folder *folder = (struct folder *)remote;
	struct anyio_names names = { 0 };
	int dir = list_folder(folder, &names, why), rc = 0;

	if (dir < 0)
		return dir;
	size_t count = keep_keys(&names, start, after);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = tell(folder, dir, names.names[i], each, arg, why);
	anyio_names_free(&names);
	anyio_close(dir);
	return rc;
}

static int sweep(struct remote *remote, struct remote_why *why)
{
	struct folder *folder = (struct folder *)remote;
	struct anyio_names names = { 0 };
	char ours[PART_MAX];
	int dir = list_folder(folder, &names, why), rc = 0, swept = 0;

	if (dir < 0)
		return dir;
	int len = snprintf(
		ours, sizeof(ours), "%s%016llx-", part_begin, (unsigned long long)folder->session);
	for (size_t i = 0; i < names.count && rc == 0; i++) {
		const char *name = names.names[i];

		if (strncmp(name, part_begin, PART_BEGIN) != 0 || !strncmp(name, ours, (size_t)len))
			continue;
		rc = anyio_unlinkat(dir, name, 0);
		swept += rc == 0;
		rc = rc == -ENOENT ? 0 : rc;
	}
	anyio_names_free(&names);
	anyio_close(dir);
	return ended(folder, rc < 0 ? fail(folder, rc, why) : swept);
}

/* ---- life ---- */

static int create(
	struct remote *remote, const struct remote_options *options, struct remote_why *why)
{
	struct folder *folder = (struct folder *)remote;

	if (!options->folder || options->folder[0] != '/')
		return explain(why, -EINVAL, "name one from the root, as /mnt/cold",
			"that is not the path of a folder");
	folder->path = anyio_strdup(options->folder);
	folder->session = remote->random;
	return folder->path ? 0 : -ENOMEM;
}

static void destroy(struct remote *remote)
{
	anyio_free(((struct folder *)remote)->path);
}

static int run(struct remote *remote)
{
	return anyio_sleep_forever();
}

const struct kind folder_kind = { sizeof(struct folder), create, destroy, run, put, get, head,
	delete, list, sweep };
