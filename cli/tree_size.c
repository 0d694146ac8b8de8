/* How much there is to add, for the bar: the bytes of the files below some paths. */
#include "cli.h"

#include <string.h>

enum { DEPTH_MAX = 200 };

struct sizing {
	const char *const *paths;
	const struct kit_add_options *options;
	uint64_t bytes;
};

/* What cannot be looked at counts nothing: the add says what is wrong with it. Only a cancellation is
 * returned. */
static int size_entry(struct sizing *sizing, int dir, const char *entry, int depth)
{
	int follow = depth == 0 && sizing->options->dereference ? 0 : AT_SYMLINK_NOFOLLOW;
	struct anyio_names names = { 0 };
	struct stat st;
	int fd, rc = anyio_fstatat(dir, entry, &st, follow);

	if (!rc && S_ISREG(st.st_mode))
		sizing->bytes += (uint64_t)st.st_size;
	if (rc || !S_ISDIR(st.st_mode) || !sizing->options->recursive || depth > DEPTH_MAX)
		return rc == ANYIO_CANCELLED ? rc : 0;
	rc = fd = anyio_openat(dir, entry, O_RDONLY | O_DIRECTORY | (follow ? O_NOFOLLOW : 0), 0);
	if (fd >= 0)
		rc = anyio_listdir(fd, ".", &names);
	for (size_t i = 0; rc >= 0 && i < names.count; i++)
		if (names.names[i][0] != '.' || sizing->options->hidden)
			rc = size_entry(sizing, fd, names.names[i], depth + 1);
	anyio_names_free(&names);
	if (fd >= 0)
		anyio_close(fd);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

static int size_all(void *arg)
{
	struct sizing *sizing = arg;
	int rc = 0;

	for (const char *const *path = sizing->paths; !rc && *path; path++)
		rc = size_entry(sizing, AT_FDCWD, *path, 0);
	return rc;
}

uint64_t cli_tree_size(const char *const *paths, const struct kit_add_options *options)
{
	/* Walking a tree of folders takes a deep stack. */
	static const struct anyio_task_options deep = {
		.name = "size", .stack_size = 1 << 20, .may_fail = true
	};
	struct sizing sizing = { .paths = paths, .options = options };

	for (const char *const *path = paths; *path; path++)
		if (!strcmp(*path, "-"))
			return 0;
	ANYIO_TASK_GROUP(group);
	int rc = anyio_start_soon_with(&group, size_all, &sizing, &deep);
	rc = anyio_task_group_exit(&group, rc);
	return rc ? 0 : sizing.bytes;
}
