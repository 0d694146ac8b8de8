/* The calls on the simulated disk: paths that begin with /sim, and what was opened there. */
#include <anyio/file.h>
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

static bool path_is_ours(int dirfd, const char *path)
{
	if (path && *path == '/')
		return strncmp(path, "/sim", 4) == 0 && (path[4] == '/' || path[4] == '\0');
	return dirfd >= SIM_FD_FIRST;
}

bool sim_disk_takes(const struct anyio_op *op)
{
	switch (op->code) {
	case ANYIO_OP_OPENAT:
	case ANYIO_OP_STAT:
	case ANYIO_OP_UNLINKAT:
	case ANYIO_OP_MKDIRAT:
	case ANYIO_OP_READLINKAT:
	case ANYIO_OP_LISTDIR: return path_is_ours(op->fd, op->path);
	case ANYIO_OP_RENAMEAT:
		return path_is_ours(op->fd, op->path) || path_is_ours(op->fd2, op->path2);
	case ANYIO_OP_SYMLINKAT: return path_is_ours(op->fd2, op->path2);
	case ANYIO_OP_GETADDRINFO:
	case ANYIO_OP_GETNAMEINFO:
	case ANYIO_OP_WORK: return false;
	default: return op->fd >= SIM_FD_FIRST;
	}
}

static int file_find(struct sim *sim, int fd, struct sim_file **file)
{
	struct sim_handle *handle = sim_handle_find(sim, fd);
	if (!handle)
		return -EBADF;
	if (!handle->file)
		return -EINVAL;
	*file = handle->file;
	return (*file)->generation == sim_tree_generation() ? 0 : -EIO;
}

static int place_find(
	struct sim *sim, int dirfd, const char *path, bool follow, struct sim_place *place)
{
	struct sim_inode *from = sim_tree_root();
	struct sim_file *file;
	if (*path != '/') {
		int rc = file_find(sim, dirfd, &file);
		if (rc < 0)
			return rc;
		from = file->inode;
	}
	return sim_tree_walk(from, path, follow, place);
}

static void lock_release(struct sim_file *file)
{
	if (file->generation == sim_tree_generation()) {
		if (file->lock == LOCK_EX)
			file->inode->exclusive = false;
		else if (file->lock == LOCK_SH)
			file->inode->shared--;
	}
	file->lock = 0;
}

void sim_disk_close(struct sim_file *file)
{
	lock_release(file);
	sim_inode_unref(file->inode);
	free(file);
}

static int64_t lock_set(struct sim_file *file, int operation)
{
	int kind = operation & ~LOCK_NB;
	struct sim_inode *inode = file->inode;
	if (kind != LOCK_EX && kind != LOCK_SH && kind != LOCK_UN)
		return -EINVAL;
	unsigned others = inode->shared - (file->lock == LOCK_SH);
	bool taken = inode->exclusive && file->lock != LOCK_EX;
	if (kind != LOCK_UN && (taken || (kind == LOCK_EX && others > 0)))
		return -EWOULDBLOCK;
	lock_release(file);
	if (kind == LOCK_UN)
		return 0;
	file->lock = kind;
	inode->exclusive = kind == LOCK_EX;
	inode->shared += kind == LOCK_SH;
	return 0;
}

static int64_t file_new(struct sim *sim, struct sim_inode *inode, int flags)
{
	struct sim_file *file = calloc(1, sizeof(*file));
	if (!file)
		return -ENOMEM;
	*file = (struct sim_file){
		.inode = inode,
		.flags = flags,
		.generation = sim_tree_generation(),
	};
	sim_inode_ref(inode);
	int fd = sim_handle_new(sim, (struct sim_handle){ .file = file });
	if (fd < 0)
		sim_disk_close(file);
	return fd;
}

static struct sim_inode *create(
	struct sim *sim, const struct sim_place *place, mode_t mode, struct sim_inode **out)
{
	struct sim_inode *inode = sim_inode_new(mode);
	inode->changed = sim->now / ANYIO_SECOND;
	sim_tree_set(place->dir, place->name, inode);
	sim_inode_unref(inode); /* the tree holds it now */
	return *out = inode;
}

static int64_t do_open(struct sim *sim, const struct anyio_op *op)
{
	struct sim_place place;
	bool exclusive = (op->flags & O_CREAT) && (op->flags & O_EXCL);
	bool writes = (op->flags & O_ACCMODE) != O_RDONLY;
	if ((op->flags & O_TMPFILE) == O_TMPFILE)
		return -EOPNOTSUPP;
	bool follow = !exclusive && !(op->flags & O_NOFOLLOW);
	int rc = place_find(sim, op->fd, op->path, follow, &place);
	if (rc < 0)
		return rc;
	struct sim_inode *inode = place.found;
	if (inode && exclusive)
		return -EEXIST;
	if (!inode && !(op->flags & O_CREAT))
		return -ENOENT;
	if (!inode)
		create(sim, &place, S_IFREG | (op->mode & 07777), &inode);
	if (S_ISLNK(inode->mode))
		return -ELOOP;
	if (S_ISSOCK(inode->mode))
		return -ENXIO;
	if (S_ISDIR(inode->mode) && (writes || (op->flags & O_CREAT)))
		return -EISDIR;
	if (!S_ISDIR(inode->mode) && (op->flags & O_DIRECTORY))
		return -ENOTDIR;
	if ((op->flags & O_TRUNC) && inode->content.size > 0)
		rc = sim_content_resize(&inode->content, 0);
	return rc < 0 ? rc : file_new(sim, inode, op->flags);
}

static int64_t read_at(
	struct sim *sim, struct sim_file *file, const struct iovec *iov, int count, int64_t offset)
{
	if (S_ISDIR(file->inode->mode))
		return -EISDIR;
	if ((file->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	size_t most = sim_short(sim, anyio_iov_size(iov, count));
	return sim_content_read(&file->inode->content, iov, count, offset, most);
}

enum { SECTOR = 512 };

/* What the kernel asks where O_DIRECT was given. */
static bool is_aligned(const struct iovec *iov, int count, int64_t offset)
{
	uint64_t all = (uint64_t)offset;
	for (int i = 0; i < count; i++)
		all |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
	return all % SECTOR == 0;
}

static int64_t write_at(
	struct sim *sim, struct sim_file *file, const struct iovec *iov, int count, int64_t offset)
{
	struct sim_inode *inode = file->inode;
	if ((file->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if ((file->flags & O_DIRECT) && !is_aligned(iov, count, offset))
		return -EINVAL;
	inode->changed = sim->now / ANYIO_SECOND;
	if (file->flags & O_APPEND)
		offset = (int64_t)inode->content.size;
	size_t most = sim_short(sim, anyio_iov_size(iov, count));
	if (file->flags & O_DIRECT)
		most = most < SECTOR ? anyio_iov_size(iov, count) : most - most % SECTOR;
	return sim_content_write(&inode->content, iov, count, offset, most);
}

static int64_t do_sequential(struct sim *sim, const struct anyio_op *op, struct sim_file *file)
{
	struct iovec iov = { op->base, op->len };
	bool reads = op->code == ANYIO_OP_READ;
	int64_t rc = reads ? read_at(sim, file, &iov, 1, file->position)
			   : write_at(sim, file, &iov, 1, file->position);
	if (rc > 0 && !reads && (file->flags & O_APPEND))
		file->position = (int64_t)file->inode->content.size;
	else if (rc > 0)
		file->position += rc;
	return rc;
}

static int64_t do_sync(struct sim_file *file)
{
	if (!S_ISDIR(file->inode->mode))
		return sim_content_sync(&file->inode->content);
	sim_tree_sync(file->inode);
	return 0;
}

static int64_t do_truncate(struct sim *sim, struct sim_file *file, int64_t size)
{
	if ((file->flags & O_ACCMODE) == O_RDONLY)
		return -EINVAL;
	file->inode->changed = sim->now / ANYIO_SECOND;
	return sim_content_resize(&file->inode->content, size);
}

static int64_t do_stat(struct sim *sim, const struct anyio_op *op)
{
	struct sim_inode *inode;
	if (!op->path || (*op->path == '\0' && (op->flags & AT_EMPTY_PATH))) {
		struct sim_file *file;
		int rc = file_find(sim, op->fd, &file);
		if (rc < 0)
			return rc;
		inode = file->inode;
	} else {
		struct sim_place place;
		bool follow = !(op->flags & AT_SYMLINK_NOFOLLOW);
		int rc = place_find(sim, op->fd, op->path, follow, &place);
		if (rc < 0 || !place.found)
			return rc < 0 ? rc : -ENOENT;
		inode = place.found;
	}
	size_t size = inode->content.size;
	int file_links = inode->parent ? 1 : 0; /* one name at most: there are no hard links */
	*op->st = (struct stat){
		.st_dev = 1,
		.st_ino = inode->number,
		.st_mode = inode->mode,
		.st_nlink = S_ISDIR(inode->mode) ? 2 : file_links,
		.st_size = (off_t)size,
		.st_blksize = 4096,
		.st_blocks = (blkcnt_t)((size + SIM_SECTOR - 1) / SIM_SECTOR),
		.st_mtim.tv_sec = inode->changed,
		.st_ctim.tv_sec = inode->changed,
	};
	return 0;
}

static bool is_special(const struct sim_place *place)
{
	return !place->dir || !strcmp(place->name, ".") || !strcmp(place->name, "..");
}

static bool lies_in(const struct sim_inode *dir, const struct sim_inode *ancestor)
{
	while (dir && dir != ancestor)
		dir = dir->parent;
	return dir != NULL;
}

static int64_t do_rename(struct sim *sim, const struct anyio_op *op)
{
	struct sim_place from, to;
	if (!path_is_ours(op->fd, op->path) || !path_is_ours(op->fd2, op->path2))
		return -EXDEV;
	int rc = place_find(sim, op->fd, op->path, false, &from);
	if (rc == 0)
		rc = place_find(sim, op->fd2, op->path2, false, &to);
	if (rc < 0)
		return rc;
	if (is_special(&from) || is_special(&to))
		return -EBUSY;
	if (!from.found)
		return -ENOENT;
	if (lies_in(to.dir, from.found))
		return -EINVAL;
	if (to.found && lies_in(from.dir, to.found))
		return -ENOTEMPTY;
	if (from.found == to.found)
		return 0;
	bool dir = S_ISDIR(from.found->mode);
	if (to.found && dir != S_ISDIR(to.found->mode))
		return dir ? -ENOTDIR : -EISDIR;
	if (to.found && dir && to.found->entries.count > 0)
		return -ENOTEMPTY;
	if (to.found)
		to.found->parent = NULL;
	sim_tree_move(from.dir, from.name, to.dir, to.name, from.found);
	return 0;
}

static int64_t do_unlink(struct sim *sim, const struct anyio_op *op)
{
	struct sim_place place;
	bool wants_dir = op->flags & AT_REMOVEDIR;
	int rc = place_find(sim, op->fd, op->path, false, &place);
	if (rc < 0 || !place.found)
		return rc < 0 ? rc : -ENOENT;
	if (is_special(&place) && !wants_dir)
		return -EISDIR;
	if (is_special(&place))
		return !place.dir ? -EBUSY : place.name[1] == '.' ? -ENOTEMPTY : -EINVAL;
	if (S_ISDIR(place.found->mode) != wants_dir)
		return wants_dir ? -ENOTDIR : -EISDIR;
	if (place.found->entries.count > 0)
		return -ENOTEMPTY;
	place.found->parent = NULL;
	sim_tree_set(place.dir, place.name, NULL);
	return 0;
}

static int64_t do_make(struct sim *sim, int dirfd, const char *path, mode_t mode, const char *link)
{
	struct sim_place place;
	struct sim_inode *inode;
	int rc = place_find(sim, dirfd, path, false, &place);
	if (rc < 0)
		return rc;
	if (place.found)
		return -EEXIST;
	create(sim, &place, mode, &inode);
	if (!link)
		return 0;
	/* A link is never without its target: it is durable with its name. */
	struct iovec iov = { (void *)link, strlen(link) };
	int64_t written = sim_content_write(&inode->content, &iov, 1, 0, iov.iov_len);
	return written < 0 ? written : sim_content_sync(&inode->content);
}

bool sim_disk_has(const char *path)
{
	return path_is_ours(AT_FDCWD, path);
}

int sim_disk_make_socket(struct sim *sim, const char *path, mode_t mode, uint64_t *number)
{
	int64_t rc = do_make(sim, AT_FDCWD, path, S_IFSOCK | (mode & 07777), NULL);
	if (rc < 0)
		return rc == -EEXIST ? -EADDRINUSE : (int)rc;
	return sim_disk_find_socket(sim, path, number);
}

int sim_disk_find_socket(struct sim *sim, const char *path, uint64_t *number)
{
	struct sim_place place;
	int rc = place_find(sim, AT_FDCWD, path, true, &place);
	if (rc < 0 || !place.found)
		return rc < 0 ? rc : -ENOENT;
	*number = place.found->number;
	return S_ISSOCK(place.found->mode) ? 0 : -ECONNREFUSED;
}

static int64_t do_readlink(struct sim *sim, const struct anyio_op *op)
{
	struct sim_place place;
	int rc = place_find(sim, op->fd, op->path, false, &place);
	if (rc < 0 || !place.found)
		return rc < 0 ? rc : -ENOENT;
	if (!S_ISLNK(place.found->mode))
		return -EINVAL;
	struct iovec iov = { op->base, op->len };
	return sim_content_read(&place.found->content, &iov, 1, 0, op->len);
}

static int64_t do_list(struct sim *sim, const struct anyio_op *op)
{
	struct sim_place place;
	int rc = place_find(sim, op->fd, op->path, true, &place);
	if (rc < 0 || !place.found)
		return rc < 0 ? rc : -ENOENT;
	if (!S_ISDIR(place.found->mode))
		return -ENOTDIR;
	const struct sim_entries *entries = &place.found->entries;
	for (size_t i = 0; i < entries->count && rc == 0; i++)
		rc = anyio_names_add(op->names, entries->items[i].name);
	anyio_names_sort(op->names);
	if (rc < 0)
		anyio_names_free(op->names);
	return rc;
}

static int64_t by_path(struct sim *sim, struct anyio_op *op)
{
	switch (op->code) {
	case ANYIO_OP_OPENAT: return do_open(sim, op);
	case ANYIO_OP_STAT: return do_stat(sim, op);
	case ANYIO_OP_RENAMEAT: return do_rename(sim, op);
	case ANYIO_OP_UNLINKAT: return do_unlink(sim, op);
	case ANYIO_OP_MKDIRAT:
		return do_make(sim, op->fd, op->path, S_IFDIR | (op->mode & 07777), NULL);
	case ANYIO_OP_SYMLINKAT: return do_make(sim, op->fd2, op->path2, S_IFLNK | 0777, op->path);
	case ANYIO_OP_READLINKAT: return do_readlink(sim, op);
	default: return do_list(sim, op);
	}
}

static int64_t by_file(struct sim *sim, struct anyio_op *op, struct sim_file *file)
{
	switch (op->code) {
	case ANYIO_OP_READ:
	case ANYIO_OP_WRITE: return do_sequential(sim, op, file);
	case ANYIO_OP_PREADV: return read_at(sim, file, op->iov, op->iovcnt, op->offset);
	case ANYIO_OP_PWRITEV: return write_at(sim, file, op->iov, op->iovcnt, op->offset);
	case ANYIO_OP_FSYNC:
	case ANYIO_OP_FDATASYNC: return do_sync(file);
	case ANYIO_OP_FTRUNCATE: return do_truncate(sim, file, op->offset);
	case ANYIO_OP_FLOCK: return lock_set(file, op->flags);
	case ANYIO_OP_SYNC_RANGE: return 0;
	default: return -EINVAL;
	}
}

/* An error by chance: of the medium, or for want of room where something is written. */
static int64_t misfortune(struct sim *sim, const struct anyio_op *op)
{
	if (op->code == ANYIO_OP_FLOCK || op->code == ANYIO_OP_SYNC_RANGE ||
		!sim_chance(sim, sim->options.disk_error))
		return 0;
	bool writes = op->code == ANYIO_OP_WRITE || op->code == ANYIO_OP_PWRITEV ||
		op->code == ANYIO_OP_MKDIRAT;
	return writes && sim_below(sim, 2) ? -ENOSPC : -EIO;
}

int64_t sim_disk_perform(struct sim *sim, struct anyio_op *op)
{
	int64_t rc = misfortune(sim, op);
	if (rc < 0)
		return rc;
	bool path = (op->code >= ANYIO_OP_OPENAT && op->code <= ANYIO_OP_LISTDIR);
	if (path)
		return by_path(sim, op);
	struct sim_file *file;
	rc = file_find(sim, op->fd, &file);
	return rc < 0 ? rc : by_file(sim, op, file);
}
