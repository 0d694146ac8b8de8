/*
 * A file finds its place among the segments: by a link, or by a copy that is made without its bytes passing through
 * here, where the kernel can do that.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <anyio/anyio.h>
#include <anyio/plain.h>
#include "adopting.h"
#include "copy.h"
#include "numbered.h"

/* Descriptors that are not the kernel's are not to be shown to it. */
static bool is_simulated(void)
{
	return strcmp(anyio_backend_name(), "sim") == 0;
}

/* Whether the source is one of the repo's own files: that which is written to must not be linked. */
static int is_own(struct adopting *adopting, const struct stat *source)
{
	struct segment_set *segments = &adopting->store->segments;
	char name[NUMBERED_MAX];
	struct stat st;
	const struct segment_file *file;
	uint32_t number = 0;

	while ((file = segment_set_next(segments, number))) {
		number = file->number;
		numbered_name(number, "car", name);
		int rc = anyio_fstatat(segments->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW);
		if (rc < 0 && rc != -ENOENT)
			return rc;
		if (rc == 0 && st.st_dev == source->st_dev && st.st_ino == source->st_ino)
			return !file->adopted || !file->adopted->foreign;
	}
	return 0;
}

static int link_work(void *arg)
{
	const struct adopting *adopting = arg;
	char from[64], name[NUMBERED_MAX];

	snprintf(from, sizeof(from), "/proc/self/fd/%d", adopting->source);
	numbered_name(adopting->number, "car", name);
	return linkat(AT_FDCWD, from, adopting->store->segments.dir_fd, name, AT_SYMLINK_FOLLOW)
		? -errno
		: 0;
}

static int place_link(struct adopting *adopting, const struct stat *source)
{
	char name[NUMBERED_MAX];

	if (is_simulated())
		return -EOPNOTSUPP;
	if (source->st_uid != geteuid())
		return -EPERM;
	int rc = is_own(adopting, source);
	if (rc != 0)
		return rc < 0 ? rc : -EINVAL;
	rc = anyio_to_thread(link_work, adopting, NULL);
	if (rc < 0)
		return rc;
	adopting->named = true;
	adopting->result->how = STORE_ADOPT_LINK;
	adopting->adopted.foreign = true;
	numbered_name(adopting->number, "car", name);
	rc = anyio_plain_openat(adopting->store->segments.dir_fd, name, O_RDONLY, 0);
	if (rc < 0)
		return rc;
	adopting->fd = rc;
	return 0;
}

struct reflink {
	int from, to;
};

static int reflink_work(void *arg)
{
	const struct reflink *call = arg;

	return ioctl(call->to, FICLONE, call->from) ? -errno : 0;
}

static int place_copy(struct adopting *adopting, const struct stat *source)
{
	char name[NUMBERED_MAX];
	struct reflink call = { .from = adopting->source };

	numbered_name(adopting->number, "car", name);
	call.to = adopting->fd = anyio_plain_openat(
		adopting->store->segments.dir_fd, name, O_RDWR | O_CREAT | O_EXCL, 0644);
	if (call.to < 0)
		return call.to;
	adopting->named = true;
	adopting->result->how = STORE_ADOPT_REFLINK;
	if (!is_simulated() && anyio_to_thread(reflink_work, &call, NULL) == 0)
		return 0;
	adopting->result->how = STORE_ADOPT_COPY;
	struct copy copy = { .from = call.from, .to = call.to, .len = (uint64_t)source->st_size };
	return copy_bytes(&copy);
}

int adopt_place(struct adopting *adopting)
{
	struct stat source, st;
	int rc = anyio_fstat(adopting->source, &source);

	if (rc == 0 && !S_ISREG(source.st_mode))
		rc = ANYIO_NOT_A_FILE;
	if (rc == 0)
		rc = (adopting->options->link ? place_link : place_copy)(adopting, &source);
	if (rc == 0)
		rc = anyio_fsync(adopting->fd);
	if (rc == 0)
		rc = anyio_fsync(adopting->store->segments.dir_fd);
	if (rc == 0)
		rc = anyio_fstat(adopting->fd, &st);
	if (rc == 0)
		segment_adopted_know(&adopting->adopted, &st);
	return rc;
}
