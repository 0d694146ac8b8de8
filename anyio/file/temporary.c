/* Temporary files and directories. */
#include <anyio/file.h>
#include "../core/core.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

const char *anyio_temporary_place(void)
{
	const char *backend = anyio_backend_name(), *place = getenv("TMPDIR");

	if (backend != NULL && strcmp(backend, "sim") == 0)
		return "/sim";
	return place != NULL && *place != '\0' ? place : "/tmp";
}

/* "/tmp-" and ten letters of 32: the 16 bytes beside the folder's own, with the NUL. */
static int temporary_name(const char *dir, char *path, size_t cap)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint64_t random;
	if (!dir)
		dir = anyio_temporary_place();
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	size_t used = strlen(dir);
	if (used + 16 > cap)
		return -ENAMETOOLONG;
	memcpy(path, dir, used);
	memcpy(path + used, "/tmp-", 5);
	for (int i = 0; i < 10; i++, random >>= 5)
		path[used + 5 + (size_t)i] = letters[random & 31];
	path[used + 15] = '\0';
	return 0;
}

enum { TEMPORARY_TRIES = 100 };

int anyio_temporary_file(const char *dir, char *path, size_t cap)
{
	int rc = -EEXIST;
	for (int i = 0; i < TEMPORARY_TRIES && rc == -EEXIST; i++) {
		rc = temporary_name(dir, path, cap);
		if (rc == 0)
			rc = anyio_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	}
	return rc;
}

int anyio_temporary_directory(const char *dir, char *path, size_t cap)
{
	int rc = -EEXIST;
	for (int i = 0; i < TEMPORARY_TRIES && rc == -EEXIST; i++) {
		rc = temporary_name(dir, path, cap);
		if (rc == 0)
			rc = anyio_mkdirat(AT_FDCWD, path, 0700);
	}
	return rc;
}

int anyio_temporary_file_unnamed(const char *dir)
{
	char path[PATH_MAX];
	int fd = anyio_temporary_file(dir, path, sizeof(path));
	if (fd < 0)
		return fd;
	struct anyio_op op = { .code = ANYIO_OP_UNLINKAT, .fd = AT_FDCWD, .path = path };
	int rc = (int)anyio_op_run_shielded(&op);
	if (rc == 0)
		return fd;
	anyio_close(fd);
	return rc;
}

/* Whatever was cancelled meanwhile. */
static int remove_shielded(const char *path)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_enter(&scope);
	return anyio_cancel_scope_exit(&scope, anyio_remove_tree(AT_FDCWD, path));
}

int anyio_temporary_directory_run(
	const char *dir, int (*fn)(const char *path, void *arg), void *arg)
{
	char *path = anyio_malloc(PATH_MAX);
	int rc = path ? anyio_temporary_directory(dir, path, PATH_MAX) : -ENOMEM;
	if (rc == 0) {
		rc = fn(path, arg);
		int removed = remove_shielded(path);
		rc = rc == 0 ? removed : rc;
	}
	anyio_free(path);
	return rc;
}
