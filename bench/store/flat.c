/*
 * A file a block, in folders named after the last characters but one of its key, as Kubo's flatfs
 * keeps them with sync on: files written under another name, each synced, renamed; then each folder
 * that got one synced, and the folder of folders. "loose" syncs nothing before it is closed: many files
 * to be read by "flat".
 */
#include "engines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

enum { TEXT = (KEY * 8 + 4) / 5, FOLDER = 3 /* its name and a slash */, FOLDERS = 32 * 32 };
enum { PATH = FOLDER + TEXT + 6 };

static int root;
static bool loose, made[FOLDERS];
static uint8_t *got;

/* Base 32, upper case, without padding, is the file's name. */
static void path_of(const uint8_t key[KEY], char path[PATH])
{
	uint32_t bits = 0;
	int have = 0;
	char *at = path + FOLDER;

	for (size_t i = 0; i < KEY; i++)
		for (bits = bits << 8 | key[i], have += 8; have >= 5; have -= 5)
			*at++ = digits[bits >> (have - 5) & 31];
	if (have > 0)
		*at++ = digits[bits << (5 - have) & 31];
	memcpy(path, at - 3, 2);
	path[2] = '/';
	memcpy(at, ".data", 6);
}

static size_t folder_of(const char *path)
{
	return (size_t)(strchr(digits, path[0]) - digits) * 32 +
		(size_t)(strchr(digits, path[1]) - digits);
}

static void folder_path(size_t folder, char path[FOLDER])
{
	path[0] = digits[folder / 32];
	path[1] = digits[folder % 32];
	path[2] = 0;
}

static void open_flat(const struct work *work)
{
	root = open(work->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	got = malloc(work->size);
	if (root < 0 || !got)
		die(work->dir);
}

static void open_loose(const struct work *work)
{
	loose = true;
	open_flat(work);
}

static int write_file(const struct work *work, const uint8_t *data, const char *name)
{
	int fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, work->size) != (ssize_t)work->size)
		die(name);
	return fd;
}

static void make_folder(size_t folder)
{
	char path[FOLDER];

	folder_path(folder, path);
	if (!made[folder] && mkdirat(root, path, 0700) && errno != EEXIST)
		die("mkdir");
	made[folder] = true;
}

static void sync_close(int fd)
{
	if ((!loose && fsync(fd)) || close(fd))
		die("fsync");
}

static void sync_folder(size_t folder)
{
	char path[FOLDER];

	folder_path(folder, path);
	int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		die(path);
	sync_close(fd);
}

static void put(const struct work *work, size_t first, size_t n)
{
	char paths[GROUP][PATH], temporary[GROUP][16];
	int fds[GROUP];
	bool touched[FOLDERS] = { false };

	for (size_t i = 0; i < n; i++) {
		snprintf(temporary[i], sizeof(temporary[i]), ".temp-%zu", i);
		fds[i] = write_file(work, work->data + i * work->size, temporary[i]);
		path_of(work->keys[first + i], paths[i]);
	}
	for (size_t i = 0; i < n; i++)
		sync_close(fds[i]);
	for (size_t i = 0; i < n; i++) {
		size_t folder = folder_of(paths[i]);
		make_folder(folder);
		if (renameat(root, temporary[i], root, paths[i]))
			die("rename");
		touched[folder] = true;
	}
	for (size_t i = 0; i < FOLDERS; i++)
		if (touched[i] && !loose)
			sync_folder(i);
	if (!loose && fsync(root))
		die("fsync");
}

static const uint8_t *get(const struct work *work, size_t number)
{
	char path[PATH];
	struct stat stat;

	path_of(work->keys[number], path);
	int fd = openat(root, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat) || (size_t)stat.st_size != work->size ||
		read(fd, got, work->size) != (ssize_t)work->size || close(fd))
		die(path);
	return got;
}

static void close_flat(const struct work *work)
{
	if (loose && syncfs(root))
		die("syncfs");
	close(root);
	free(got);
}

const struct engine engine_flat = { "flat", open_flat, put, get, close_flat };
const struct engine engine_loose = { "loose", open_loose, put, get, close_flat };
