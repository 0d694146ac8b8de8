/* Names: what is in directories, how it changes, and temporary names. */
#include "../core/core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int anyio_fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	struct anyio_op op = {
		.code = ANYIO_OP_STAT,
		.fd = dirfd,
		.path = path,
		.flags = flags,
		.st = st,
	};
	return (int)anyio_op_run(&op);
}

int anyio_fstat(int fd, struct stat *st)
{
	return anyio_fstatat(fd, NULL, st, 0);
}

int anyio_renameat(int olddir, const char *oldpath, int newdir, const char *newpath)
{
	struct anyio_op op = {
		.code = ANYIO_OP_RENAMEAT,
		.fd = olddir,
		.path = oldpath,
		.fd2 = newdir,
		.path2 = newpath,
	};
	return (int)anyio_op_run(&op);
}

int anyio_unlinkat(int dirfd, const char *path, int flags)
{
	struct anyio_op op = {
		.code = ANYIO_OP_UNLINKAT,
		.fd = dirfd,
		.path = path,
		.flags = flags,
	};
	return (int)anyio_op_run(&op);
}

int anyio_mkdirat(int dirfd, const char *path, mode_t mode)
{
	struct anyio_op op = {
		.code = ANYIO_OP_MKDIRAT,
		.fd = dirfd,
		.path = path,
		.mode = mode,
	};
	return (int)anyio_op_run(&op);
}

int anyio_symlinkat(const char *target, int dirfd, const char *path)
{
	struct anyio_op op = {
		.code = ANYIO_OP_SYMLINKAT,
		.path = target,
		.fd2 = dirfd,
		.path2 = path,
	};
	return (int)anyio_op_run(&op);
}

ssize_t anyio_readlinkat(int dirfd, const char *path, char *buffer, size_t size)
{
	struct anyio_op op = {
		.code = ANYIO_OP_READLINKAT,
		.fd = dirfd,
		.path = path,
		.base = buffer,
		.len = size,
	};
	return (ssize_t)anyio_op_run(&op);
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int anyio_listdir(int dirfd, const char *path, struct anyio_names *names)
{
	*names = (struct anyio_names){ 0 };
	struct anyio_op op = {
		.code = ANYIO_OP_LISTDIR,
		.fd = dirfd,
		.path = path,
		.names = names,
	};
	int rc = (int)anyio_op_run(&op);
	if (rc == 0 && names->count > 1)
		qsort(names->names, names->count, sizeof(*names->names), name_compare);
	return rc;
}

/* "/tmp-" and ten letters of 32: the 16 bytes beside the folder's own, with the NUL. */
static int temporary_name(const char *dir, char *path, size_t cap)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint64_t random;
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
