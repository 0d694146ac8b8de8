/*
 * Adding from disk: a file or a folder with all it holds. Nothing is followed out of the tree: symlinks are
 * added as such, unless one was named itself and the caller said so.
 */
#include "adder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How many of the leaves that an earlier run made are in the store; fd is moved behind them. */
static size_t resume(struct kit_adder *adder, int fd, const struct journal_key *key,
	const struct journal_leaf **leaves)
{
	struct journal *journal = adder->pipeline.journal;
	size_t known = journal_begin(journal, key, leaves), count = 0;
	off_t at = 0;

	for (; count < known; count++) {
		struct unixfs_built leaf;
		pipeline_known_leaf(&adder->profile, &(*leaves)[count], &leaf);
		if (leaf.file_size != adder->profile.chunk_size ||
			store_keep(adder->node->core->store, &leaf.cid) != 1)
			break;
		at += (off_t)leaf.file_size;
	}
	if (count && lseek(fd, at, SEEK_SET) != at) {
		lseek(fd, 0, SEEK_SET);
		count = 0;
	}
	journal_resume(journal, count);
	return count;
}

struct on_disk {
	int fd; /* -1: all of it was read, and nothing changed meanwhile */
	const uint8_t *data;
	size_t left;
	const struct stat *st;
};

static ssize_t read_on_disk(void *arg, void *buffer, size_t size)
{
	struct on_disk *file = arg;

	if (file->fd >= 0)
		return anyio_read(file->fd, buffer, size);
	size = size < file->left ? size : file->left;
	memcpy(buffer, file->data, size);
	file->data += size;
	file->left -= size;
	return (ssize_t)size;
}

/* Whether a file is still what it was when key was made. */
static bool unchanged(
	struct kit_adder *adder, const struct on_disk *file, const struct journal_key *key)
{
	struct journal_key after;
	struct stat st;

	return file->fd < 0 ||
		(!anyio_fstat(file->fd, &st) && journal_key_of(&st, &adder->profile, &after) &&
			!memcmp(key, &after, sizeof(*key)));
}

static int keep_known(void *arg, const struct mf_cid *cid, const void *data, size_t len)
{
	int rc = store_keep(arg, cid);

	return rc > 0 ? 0 : rc < 0 ? rc : -ENOENT;
}

/* Whether all of a file that an interrupted add had finished is still here: nothing has pinned it. */
static bool is_whole(struct kit_adder *adder, const struct mf_cid *root)
{
	struct kit_blocks blocks;

	kit_blocks_open(&blocks, adder->node);
	blocks.offline = true;
	int rc = kit_walk_names(&blocks, root, keep_known, adder->node->core->store);
	kit_blocks_close(&blocks);
	adder->node->error[0] = 0;
	return rc == 0;
}

/* What an interrupted add has done of a file is not read again. */
static int add_file(struct kit_adder *adder, struct on_disk *file, const char *path)
{
	struct journal *journal = adder->pipeline.journal;
	struct kit_source source = { read_on_disk, file };
	const struct journal_leaf *leaves = NULL;
	struct journal_key key;
	struct entry *entry;
	size_t count = 0;
	int rc = adder_place(adder, path, false, &entry);
	bool quiet = journal && journal_key_of(file->st, &adder->profile, &key);

	if (rc)
		return rc;
	adder->known = quiet && journal_find(journal, &key, &entry->node) &&
		is_whole(adder, &entry->node.cid);
	if (adder->known) {
		adder_count(adder, (size_t)file->st->st_size);
	} else {
		if (quiet && (count = resume(adder, file->fd, &key, &leaves)))
			adder_count(adder, count * adder->profile.chunk_size);
		rc = pipeline_file(&adder->pipeline, &source, leaves, count, NULL, adder_count,
			adder, &entry->node);
		bool same = quiet && !rc && unchanged(adder, file, &key);
		journal_end(journal, adder->pipeline.number + 1, &key, same ? &entry->node : NULL);
	}
	if (rc)
		return kit_fail_code(adder->node, rc, path);
	entry->built = true;
	return adder_report(adder, path, &entry->node);
}

static int add_fd(
	struct kit_adder *adder, int dir, const char *entry, const char *path, bool follow)
{
	int fd = anyio_openat(dir, entry, O_RDONLY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW), 0);
	struct stat st;
	int rc = fd < 0 ? fd : anyio_fstat(fd, &st);

	/* What was a file when it was listed may be something else by now. */
	if (rc == -ELOOP || (!rc && !S_ISREG(st.st_mode)))
		rc = kit_fail(adder->node, -ENOTSUP,
			"%s: changed while it was being added; run it again", path);
	else if (rc)
		kit_fail(adder->node, rc, "%s: %s", path, anyio_error_text(rc));
	struct on_disk file = { .fd = fd, .st = &st };
	if (!rc)
		rc = add_file(adder, &file, path);
	if (fd >= 0)
		anyio_close(fd);
	return rc;
}

static int add_link(struct kit_adder *adder, int dir, const char *entry, const char *path)
{
	char target[4097];
	ssize_t len = anyio_readlinkat(dir, entry, target, sizeof(target) - 1);

	if (len < 0)
		return kit_fail(adder->node, (int)len, "%s: %s", path, anyio_error_text((int)len));
	target[len] = 0;
	return kit_adder_symlink(adder, path, target);
}

static int add_any(
	struct kit_adder *adder, int dir, const char *entry, const char *path, int depth);

static int add_child(struct kit_adder *adder, int dir, const struct anyio_names *names,
	size_t index, const char *path, int depth)
{
	/* Where the last file was known to the journal, the next may be too: that one is not even read. */
	const struct peeked *peeked =
		adder->known ? NULL : peek_file(&adder->peek, dir, names, index);

	if (!peeked)
		return add_any(adder, dir, names->names[index], path, depth);
	struct on_disk file = { -1, peeked->data, (size_t)peeked->st.st_size, &peeked->st };
	return add_file(adder, &file, path);
}

static int add_folder(
	struct kit_adder *adder, int dir, const char *entry, const char *path, int depth)
{
	struct anyio_names names = { 0 };
	int flags = O_RDONLY | O_DIRECTORY |
		(depth == 0 && adder->options.dereference ? 0 : O_NOFOLLOW);
	int fd = anyio_openat(dir, entry, flags, 0);
	int rc = fd < 0 ? fd : anyio_listdir(fd, ".", &names);

	if (rc)
		kit_fail(adder->node, rc, "%s: %s", path, anyio_error_text(rc));
	else
		rc = kit_adder_directory(adder, path);
	for (size_t i = 0; !rc && i < names.count; i++) {
		if (names.names[i][0] == '.' && !adder->options.hidden)
			continue;
		size_t len = strlen(path) + strlen(names.names[i]) + 2;
		char *child = anyio_malloc(len);
		if (!child) {
			rc = kit_fail_code(adder->node, -ENOMEM, path);
			break;
		}
		snprintf(child, len, "%s/%s", path, names.names[i]);
		rc = add_child(adder, fd, &names, i, child, depth + 1);
		anyio_free(child);
	}
	peek_forget(&adder->peek);
	anyio_names_free(&names);
	if (fd >= 0)
		anyio_close(fd);
	return rc;
}

static int add_any(struct kit_adder *adder, int dir, const char *entry, const char *path, int depth)
{
	int flags = depth == 0 && adder->options.dereference ? 0 : AT_SYMLINK_NOFOLLOW;
	struct stat st;
	int rc = anyio_fstatat(dir, entry, &st, flags);

	if (rc)
		return kit_fail(adder->node, rc, "%s: %s", path, anyio_error_text(rc));
	if (S_ISREG(st.st_mode)) {
		if (depth == 0 && !adder->several)
			adder->total = (uint64_t)st.st_size;
		return add_fd(adder, dir, entry, path, flags == 0);
	}
	if (S_ISLNK(st.st_mode))
		return add_link(adder, dir, entry, path);
	if (!S_ISDIR(st.st_mode))
		return kit_fail(adder->node, -ENOTSUP,
			"%s: neither a file, a folder nor a symlink; leave it out", path);
	if (!adder->options.recursive)
		return kit_fail(adder->node, -EISDIR, "%s: is a directory", path);
	return add_folder(adder, dir, entry, path, depth);
}

/* The name an added path gets: its last part; "." and ".." get the name of the folder they are. */
int kit_name_of(const char *path, char *out, size_t cap)
{
	char *real = NULL;
	size_t len;
	const char *name = kit_last_name(path, &len);

	bool dots = (len == 1 && *name == '.') || (len == 2 && !memcmp(name, "..", 2));
	if (dots || len == 0) {
		real = realpath(path, NULL);
		if (!real)
			return -errno;
		name = kit_last_name(real, &len);
	}
	int n = snprintf(out, cap, "%.*s", (int)len, name);
	if (n == 0)
		n = snprintf(out, cap, "root");
	free(real);
	return n < (int)cap ? 0 : -ENAMETOOLONG;
}

struct adding_paths {
	struct kit_node *node;
	const struct kit_add_options *options;
	const char *const *paths;
	const struct kit_source *input;
	struct mf_cid *root;
};

static int add_named(struct kit_adder *adder, const struct adding_paths *adding, const char *path)
{
	char name[NAME_BYTES_MAX + 1];

	if (adding->input && !strcmp(path, "-"))
		return kit_adder_file(adder,
			adding->options->input_name ? adding->options->input_name : "",
			adding->input);
	int rc = kit_name_of(path, name, sizeof(name));
	return rc ? kit_fail(adding->node, rc, "%s: %s", path, anyio_error_text(rc))
		  : add_any(adder, AT_FDCWD, path, name, 0);
}

static int add_paths(void *arg)
{
	struct adding_paths *adding = arg;
	struct kit_node *node = adding->node;
	struct kit_adder *adder;
	int rc = kit_adder_begin(node, adding->options, &adder);

	if (rc)
		return rc;
	/* One add at a time keeps the journal: it is taken before it is opened, which waits, and given
	 * back when it is closed, which may take the file away. */
	bool journaling =
		!adding->options->only_hash && !node->core->journaling && !node->core->unwritable;
	if (journaling) {
		node->core->journaling = true;
		journal_open(node->core->dir, &adder->pipeline.journal);
	}
	struct journal *journal = adder->pipeline.journal;
	adder->several = adding->paths[0] && adding->paths[1];
	for (const char *const *path = adding->paths; !rc && *path; path++)
		rc = add_named(adder, adding, *path);
	if (!rc)
		rc = kit_adder_finish(adder, adding->root);
	else
		kit_adder_abandon(adder);
	journal_close(journal, !rc);
	if (journaling)
		node->core->journaling = false;
	return rc;
}

int kit_add_paths(struct kit_node *node, const char *const *paths, const struct kit_source *input,
	const struct kit_add_options *options, struct mf_cid *root)
{
	struct adding_paths adding = { node, options, paths, input, root };

	return kit_deep(add_paths, &adding);
}

int kit_add_path(struct kit_node *node, const char *path, const struct kit_add_options *options,
	struct mf_cid *root)
{
	const char *const paths[] = { path, NULL };

	return kit_add_paths(node, paths, NULL, options, root);
}
