/*
 * Opening and closing. What makes a repo is written in an order that a crash may interrupt
 * anywhere: the secret, the folders, and last of all the version; a folder without a version is no
 * repo yet.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "inner.h"
#include "tiering.h"

enum { VERSION_TEXT_MAX = 16 };

void store_say(struct store_recovery *recovery, const char *format, ...)
{
	va_list args;

	if (recovery->text[0])
		return;
	va_start(args, format);
	vsnprintf(recovery->text, sizeof(recovery->text), format, args);
	va_end(args);
}

/* Reads a small file whole. Its length, or a code; -EFBIG when it does not fit. */
static ssize_t read_file(int dir_fd, const char *name, void *out, size_t cap)
{
	int fd = anyio_plain_openat(dir_fd, name, O_RDONLY, 0);
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return fd;
	while (len < cap && (n = anyio_pread(fd, (char *)out + len, cap - len, len)) > 0)
		len += n;
	anyio_close(fd);
	return n < 0 ? n : len == cap ? -EFBIG : (ssize_t)len;
}

/* Makes a file, whole or not at all, durably. By operations, where anyio_plain_replace makes system calls: a
 * store lives on a simulated disk too. */
static int write_file(int dir_fd, const char *name, mode_t mode, const void *data, size_t len)
{
	char temporary[64];

	snprintf(temporary, sizeof(temporary), "%s.new", name);
	/* What an interrupted run left there, or whatever it is. */
	int rc = anyio_unlinkat(dir_fd, temporary, 0);
	if (rc < 0 && rc != -ENOENT)
		return rc == -EISDIR ? ANYIO_NOT_A_FILE : rc;
	int fd = anyio_plain_openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
	if (fd < 0)
		return fd;
	rc = anyio_pwrite_all(fd, data, len, 0);
	if (rc == 0)
		rc = anyio_fsync(fd);
	anyio_close(fd);
	if (rc == 0)
		rc = anyio_renameat(dir_fd, temporary, dir_fd, name);
	if (rc < 0)
		return rc == -EISDIR ? ANYIO_NOT_A_FILE : rc;
	return anyio_fsync(dir_fd);
}

/* 1 when the repo is there, 0 when it is not, or a negative code. */
static int check_version(struct store *store, struct store_recovery *report)
{
	char text[VERSION_TEXT_MAX] = "", wanted[VERSION_TEXT_MAX];
	ssize_t len = read_file(store->dir_fd, "version", text, sizeof(text) - 1);

	if (len == -ENOENT)
		return 0;
	if (len < 0) {
		store_say(report, "%s/version: %s", store->dir, anyio_error_text(len));
		return len;
	}
	snprintf(wanted, sizeof(wanted), "%d\n", STORE_VERSION);
	if (strcmp(text, wanted) == 0)
		return 1;
	text[strcspn(text, "\n")] = 0;
	store_say(report, "%s is a repo of version \"%s\", and this program knows version %d",
		store->dir, text, STORE_VERSION);
	return -EPROTO;
}

/* Anybody can remove the file, and a new one locks nobody out: the folder is locked too. Those who only read share it, and
 * keep out who writes to the same files by another way to them. */
static int try_lock(const struct store *store)
{
	int how = (store->unwritable ? LOCK_SH : LOCK_EX) | LOCK_NB;
	int rc = store->lock_fd < 0 ? 0 : anyio_flock(store->lock_fd, how);

	return rc < 0 ? rc : anyio_flock(store->dir_fd, how);
}

/* Where the file cannot be opened to write, nothing else can be written: then the store only reads, and what it finds
 * behind the index stays in memory. A copy of a repo may be without the file. */
static int open_lock(struct store *store)
{
	int rc = store->options.only_read
		? -EROFS
		: anyio_plain_openat(store->dir_fd, "lock", O_RDWR | O_CREAT, 0644);

	if (rc == -EROFS || rc == -EACCES) {
		store->unwritable = store->broken = rc;
		store->options.checkpoint_blocks = SIZE_MAX;
		rc = anyio_plain_openat(store->dir_fd, "lock", O_RDONLY, 0);
		if (rc == -ENOENT)
			return 0;
	}
	if (rc >= 0)
		store->lock_fd = rc;
	return rc;
}

/* The kernel may keep the files of a killed process, and their locks, for a moment, while it takes its
 * io_uring down: so who has the repo is waited for. */
static int take_lock(struct store *store, struct store_recovery *report)
{
	static const anyio_time pause = 5 * ANYIO_MILLISECOND, patience = ANYIO_SECOND;
	anyio_time first = anyio_now();
	int rc = open_lock(store);

	if (rc >= 0)
		rc = try_lock(store);
	while (rc == ANYIO_WOULD_BLOCK && !store->options.no_wait &&
		anyio_now() - first < patience) {
		rc = anyio_sleep(pause);
		if (rc == 0)
			rc = try_lock(store);
	}
	if (rc == ANYIO_WOULD_BLOCK) {
		store_say(report, "%s is in use by another process", store->dir);
		return -EBUSY;
	}
	if (rc < 0)
		store_say(report, "%s/lock: %s", store->dir, anyio_error_text(rc));
	return rc < 0 ? rc : 0;
}

static int sync_file_system(void *arg)
{
	return syncfs((int)(intptr_t)arg) ? -errno : 0;
}

/* The folder's own name must last too. A parent that may be passed but not read, as of a service's folder
 * of state, is synced with all of its file system. */
static int sync_parent(const struct store *store)
{
	int fd = anyio_openat(store->dir_fd, "..", O_RDONLY | O_DIRECTORY, 0);

	if (fd == -EACCES)
		return anyio_to_thread(sync_file_system, (void *)(intptr_t)store->dir_fd, NULL);
	if (fd < 0)
		return fd;
	int rc = anyio_fsync(fd);
	anyio_close(fd);
	return rc;
}

/* All names of a repo that has no segment yet: an earlier making may have failed at the last of them, and then
 * nobody has been told that they last. */
static int sync_names(const struct store *store)
{
	int rc = anyio_fsync(store->dir_fd);

	return rc < 0 ? rc : sync_parent(store);
}

static int make_repo(struct store *store, struct store_recovery *report)
{
	uint8_t secret[SEGMENT_SECRET_SIZE + 1];
	char version[VERSION_TEXT_MAX];
	ssize_t rc = read_file(store->dir_fd, "secret", secret, sizeof(secret));

	if (rc != SEGMENT_SECRET_SIZE) {
		randombytes_buf(secret, SEGMENT_SECRET_SIZE);
		rc = write_file(store->dir_fd, "secret", 0600, secret, SEGMENT_SECRET_SIZE);
		sodium_memzero(secret, sizeof(secret));
	}
	if (rc >= 0)
		rc = anyio_mkdirat(store->dir_fd, "segments", 0755);
	if (rc >= 0 || rc == -EEXIST)
		rc = anyio_mkdirat(store->dir_fd, "ops", 0755);
	if ((rc >= 0 || rc == -EEXIST) && !store->options.index_dir)
		rc = anyio_mkdirat(store->dir_fd, "index", 0755);
	if (rc >= 0 || rc == -EEXIST)
		rc = sync_parent(store);
	if (rc == 0)
		rc = write_file(store->dir_fd, "version", 0644, version,
			snprintf(version, sizeof(version), "%d\n", STORE_VERSION));
	if (rc < 0)
		store_say(report, "making a repo in %s: %s", store->dir, anyio_error_text(rc));
	return rc;
}

static int refuse_to_make(const struct store *store, struct store_recovery *report)
{
	store_say(
		report, "making a repo in %s: %s", store->dir, anyio_error_text(store->unwritable));
	return store->unwritable;
}

static int read_secret(struct store *store, struct store_recovery *report)
{
	uint8_t secret[SEGMENT_SECRET_SIZE + 1];
	ssize_t len = read_file(store->dir_fd, "secret", secret, sizeof(secret));

	if (len == SEGMENT_SECRET_SIZE) {
		segment_keys_derive(&store->keys, secret);
		sodium_memzero(secret, sizeof(secret));
		return 0;
	}
	if (len < 0 && len != -ENOENT && len != -EFBIG) {
		store_say(report, "%s/secret: %s", store->dir, anyio_error_text(len));
		return len;
	}
	store_say(report,
		"%s/secret is %s; without it the log cannot be trusted: put it back, or import "
		"segments/*.car into a new repo and pin there what is to stay",
		store->dir, len == -ENOENT ? "missing" : "damaged");
	return -EKEYREJECTED;
}

static int open_dir(struct store *store, struct store_recovery *report)
{
	int rc = 0;

	if (store->options.create)
		rc = anyio_mkdirat(AT_FDCWD, store->dir, 0755);
	if (rc == 0 || rc == -EEXIST)
		rc = anyio_open(store->dir, O_RDONLY | O_DIRECTORY, 0);
	if (rc < 0) {
		store_say(report, rc == -ENOENT ? "there is no repo in %s" : "%s: %s", store->dir,
			anyio_error_text(rc));
		return rc;
	}
	store->dir_fd = rc;
	return 0;
}

/* The files beside the log. */
static int open_repo(struct store *store, struct store_recovery *report)
{
	int rc = open_dir(store, report);

	if (rc == 0)
		rc = check_version(store, report);
	if (rc == 0 && !store->options.create) {
		store_say(report, "there is no repo in %s", store->dir);
		return -ENOENT;
	}
	if (rc >= 0)
		rc = take_lock(store, report);
	if (rc == 0)
		rc = check_version(store, report);
	if (rc == 0)
		rc = store->unwritable ? refuse_to_make(store, report) : make_repo(store, report);
	return rc < 0 ? rc : read_secret(store, report);
}

static int open_index(struct store *store, struct store_recovery *report)
{
	const char *dir = store->options.index_dir;
	char *path = NULL;
	int rc = 0;

	if (!dir) {
		size_t size = strlen(store->dir) + sizeof("/index");

		path = anyio_malloc(size);
		if (!path)
			return -ENOMEM;
		snprintf(path, size, "%s/index", store->dir);
		dir = path;
		if (!store->unwritable)
			rc = anyio_mkdirat(store->dir_fd, "index", 0755);
		if (rc < 0 && rc != -EEXIST)
			store_say(report, "%s: %s", path, anyio_error_text(rc));
	}
	rc = store->unwritable
		? index_open_to_read(&store->index, dir, store->keys.repo, &store->checkpoint)
		: index_open(&store->index, dir, store->keys.repo, &store->checkpoint);
	if (rc < 0)
		store_say(report, "%s: %s", dir, anyio_error_text(rc));
	anyio_free(path);
	return rc;
}

static void free_store(struct store *store)
{
	arc_free(&store->cache);
	log_stop(store);
	ops_close(&store->ops);
	segment_set_close(&store->segments);
	index_close(&store->index);
	tiers_free(store);
	if (store->lock_fd >= 0)
		anyio_close(store->lock_fd);
	if (store->dir_fd >= 0)
		anyio_close(store->dir_fd);
	anyio_free(store->dir);
	sodium_memzero(&store->keys, sizeof(store->keys));
	anyio_free(store);
}

static struct store *make_store(const char *dir, const struct store_options *options)
{
	/* More than malloc's alignment: the sums over heads want 64 bytes. */
	struct store *store = anyio_aligned_alloc(_Alignof(struct store), sizeof(*store));

	if (!store)
		return NULL;
	memset(store, 0, sizeof(*store));
	if (options)
		store->options = *options;
	if (!store->options.segment_bytes)
		store->options.segment_bytes = 512 << 20;
	if (!store->options.group_bytes)
		store->options.group_bytes = 32 << 20;
	if (!store->options.checkpoint_blocks)
		store->options.checkpoint_blocks = 65536;
	if (!store->options.compact_bytes)
		store->options.compact_bytes = 4 << 20;
	if (!store->options.operations_bytes)
		store->options.operations_bytes = 1 << 20;
	store->dir_fd = store->lock_fd = store->segments.dir_fd = store->log.direct_fd =
		store->ops.dir_fd = store->ops.fd = -1;
	anyio_lock_init(&store->arranging);
	anyio_lock_init(&store->checkpointing);
	anyio_lock_init(&store->syncing);
	anyio_lock_init(&store->writing);
	anyio_event_init(&store->put);
	anyio_event_init(&store->asked);
	anyio_event_init(&store->limit.over);
	store->limit.segment_bytes = store->options.segment_bytes;
	store->due = ANYIO_FOREVER;
	arc_init(&store->cache, 0, store_drop_shared);
	store->dir = anyio_strdup(dir);
	if (store->dir)
		return store;
	anyio_free(store);
	return NULL;
}

int store_open(const char *dir, const struct store_options *options, struct store **out,
	struct store_recovery *recovery)
{
	struct store_recovery ignored, *report = recovery ? recovery : &ignored;
	struct store *store = sodium_init() < 0 ? NULL : make_store(dir, options);
	int rc = -ENOMEM;

	*report = (struct store_recovery){ 0 };
	if (store)
		rc = open_repo(store, report);
	if (rc == 0)
		rc = open_index(store, report);
	if (rc == 0)
		rc = segment_set_open(&store->segments, store->dir_fd, &store->keys, report);
	if (rc == 0)
		store->segments.only_read = store->unwritable;
	if (rc == 0 && store->segments.count == 0 && !store->unwritable)
		rc = sync_names(store);
	if (rc == 0)
		rc = ops_open(store, store->segments.count == 0, report);
	if (rc == 0)
		rc = store_recover(store, report);
	if (rc == 0) {
		report->unwritable = store->unwritable;
		*out = store;
		return 0;
	}
	store_say(report, "%s: %s", dir, anyio_error_text(rc));
	if (store)
		free_store(store);
	return rc;
}

/* A last commit that says the one before it was durable; so that an index made anew from the
 * segments need not doubt it. */
static int write_proof(struct store *store)
{
	struct log *log = &store->log;
	int rc = log_sync(store, log->sequence);

	if (rc < 0 || log->committed.sequence == log->started)
		return rc;
	rc = anyio_lock_acquire(&store->writing);
	if (rc < 0)
		return rc;
	rc = log_prepare(log);
	if (rc == 0)
		log_commit(store, true, false);
	anyio_lock_release(&store->writing);
	return rc < 0 ? rc : log_sync(store, log->committed.sequence);
}

static int close_body(void *arg)
{
	struct store *store = arg;
	int rc = store->broken ? store->broken : write_proof(store);

	if (rc == -EUCLEAN || store->unwritable) /* nothing was written, and nothing is */
		return 0;
	return rc < 0 ? rc : store_checkpoint(store);
}

void store_id(const struct store *store, uint8_t id[STORE_ID_SIZE])
{
	memcpy(id, store->keys.repo, STORE_ID_SIZE);
}

int store_close(struct store *store)
{
	struct anyio_cancel_scope scope;

	if (!store)
		return 0;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	int rc = anyio_cancel_scope_run(&scope, close_body, store);
	free_store(store);
	return rc;
}
