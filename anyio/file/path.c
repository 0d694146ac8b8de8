/* Names: what is in directories, and how it changes. */
#include <anyio/file.h>
#include "../core/core.h"

#include <errno.h>

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

int anyio_listdir(int dirfd, const char *path, struct anyio_names *names)
{
	*names = (struct anyio_names){ 0 };
	struct anyio_op op = {
		.code = ANYIO_OP_LISTDIR,
		.fd = dirfd,
		.path = path,
		.names = names,
	};
	return (int)anyio_op_run(&op);
}
