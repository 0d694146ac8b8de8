/*
 * LMDB believes every byte of its file. So the file is opened only when
 *
 * - it is sealed: `sealed`, written after a good close, names its inode, size and times, and these
 *   are what they were; or
 * - it has been read from end to end: its pages are sound (index_pages.h), its entries are of our
 *   making, as many as the checkpoint says, and their sum is the checkpoint's. The sum is of a
 *   hash of each entry, with the repo for a seed, so that none is changed, lost or another repo's unnoticed, and so
 *   that a checkpoint need only add and take away what it changes. It is there for accidents: who can write to
 *   the file can write to the segments, too.
 *
 * Else it is made anew from the segments. The seal is broken before LMDB comes near the file, and
 * set only when nothing came up that might be the index's fault. So whatever brings a process down,
 * the next one reads the file first: to be killed costs one reading of the index, and no damage can
 * bring down two in a row. What rots under an unbroken seal shows as an error, as a block that does
 * not match, or as a crash; each of them leaves no seal, and nor does a verification, whatever it
 * finds.
 *
 * A block is said to be absent by an index that was sealed or checked, never by one that is known
 * to be neither.
 */
#include "index_trust.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <anyio/error.h>
#include <anyio/plain.h>
#include "bytes.h"

enum {
	SEAL_SIZE = 48,
	ASIDE_MAX = 1000,
	LOCK_SIZE = 8192, /* LMDB's, for the 126 readers it has by itself */
	ENTRY_MAX = INDEX_KEY_MAX + STORE_STATE_VALUE_MAX + 3,
};

const char index_meta_key[11] = "checkpoint";

/* ---- Sums ---- */

uint64_t index_entry_sum(const struct index *index, enum index_table table, const void *key,
	size_t key_len, const void *value, size_t len)
{
	uint8_t bytes[ENTRY_MAX];
	size_t n = 0;

	bytes[n++] = table;
	bytes[n++] = len;
	bytes[n++] = len >> 8;
	memcpy(bytes + n, value, len);
	n += len;
	memcpy(bytes + n, key, key_len);
	return XXH3_64bits_withSeed(bytes, n + key_len, get_u64(index->repo));
}

void index_meta_encode(
	const struct index *index, const struct index_meta *meta, uint8_t out[INDEX_META_SIZE])
{
	put_u32(out, INDEX_FORMAT);
	memcpy(out + 4, index->repo, 16);
	put_u64(out + 20, meta->position.offset);
	put_u64(out + 28, meta->position.end);
	put_u64(out + 36, meta->position.sequence);
	put_u64(out + 44, meta->counts.blocks);
	put_u64(out + 52, meta->counts.bytes);
	put_u64(out + 60, meta->counts.pins);
	put_u32(out + 68, meta->position.segment);
	put_u64(out + 72, meta->sum);
	put_u64(out + 80, meta->ops.end);
	put_u32(out + 88, meta->ops.generation);
	put_u64(out + 92, meta->counts.state_bytes);
	put_u32(out + 100, meta->position.ordinal);
	put_u64(out + 104, index_entry_sum(index, INDEX_META, "", 0, out, 104));
}

bool index_meta_decode(
	const struct index *index, const uint8_t *in, size_t len, struct index_meta *meta)
{
	if (len != INDEX_META_SIZE || get_u32(in) != INDEX_FORMAT ||
		memcmp(in + 4, index->repo, 16) != 0 ||
		get_u64(in + 104) != index_entry_sum(index, INDEX_META, "", 0, in, 104))
		return false;
	*meta = (struct index_meta){ .position = { .offset = get_u64(in + 20),
					     .end = get_u64(in + 28),
					     .sequence = get_u64(in + 36),
					     .segment = get_u32(in + 68),
					     .ordinal = get_u32(in + 100) },
		.counts = { .blocks = get_u64(in + 44),
			.bytes = get_u64(in + 52),
			.pins = get_u64(in + 60),
			.state_bytes = get_u64(in + 92) },
		.ops = { .generation = get_u32(in + 88), .end = get_u64(in + 80) },
		.sum = get_u64(in + 72) };
	return true;
}

/* ---- Reading the file from end to end ---- */

struct adding {
	const struct index *index;
	uint64_t sum, blocks, pins, state_bytes;
	struct index_meta meta;
};

static int add_entry(void *arg, enum index_table table, const uint8_t *key, size_t key_len,
	const uint8_t *value, size_t len)
{
	struct adding *adding = arg;

	if (table == INDEX_META) {
		return key_len == sizeof(index_meta_key) &&
				memcmp(key, index_meta_key, key_len) == 0 &&
				index_meta_decode(adding->index, value, len, &adding->meta)
			? 0
			: -EUCLEAN;
	}
	if (key_len == 0 || key_len > sizeof(((struct index_key *)0)->bytes) ||
		(table == INDEX_BLOCKS ? len != INDEX_BLOCK_SIZE && len != INDEX_BLOCK_MAX
				       : len > STORE_STATE_VALUE_MAX))
		return -EUCLEAN;
	if (table == INDEX_STATE) {
		adding->pins += key[0] == STORE_SPACE_PINS;
		adding->state_bytes += key_len + len;
	} else if (!(value[0] & INDEX_DAMAGED_BIT)) {
		adding->blocks++;
	}
	adding->sum += index_entry_sum(adding->index, table, key, key_len, value, len);
	return 0;
}

static int check_file(const struct index *index, int fd)
{
	struct adding adding = { .index = index }, later = { .index = index };
	int rc = index_pages_check(fd, add_entry, (void *[]){ &adding, &later });

	if (rc < 0)
		return rc;
	adding.sum += later.sum;
	adding.blocks += later.blocks;
	return adding.sum == adding.meta.sum && adding.blocks == adding.meta.counts.blocks &&
			adding.pins == adding.meta.counts.pins &&
			adding.state_bytes == adding.meta.counts.state_bytes
		? 0
		: -EUCLEAN;
}

/* ---- The seal ---- */

static void seal_of(const struct stat *st, uint8_t out[SEAL_SIZE])
{
	put_u64(out, st->st_ino);
	put_u64(out + 8, st->st_size);
	put_u64(out + 16, st->st_mtim.tv_sec);
	put_u64(out + 24, st->st_mtim.tv_nsec);
	put_u64(out + 32, st->st_ctim.tv_sec);
	put_u64(out + 40, st->st_ctim.tv_nsec);
}

bool index_path(const struct index *index, const char *name, char path[PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/%s", index->dir, name) < PATH_MAX;
}

int index_clear_name(const struct index *index, const char *name)
{
	char path[PATH_MAX], aside[PATH_MAX + 32];

	if (!index_path(index, name, path))
		return -ENAMETOOLONG;
	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return -errno;
	/* Only an empty folder gives way to a rename. */
	for (int i = 1; i <= ASIDE_MAX; i++) {
		snprintf(aside, sizeof(aside), "%s.aside-%d", path, i);
		if (rename(path, aside) == 0)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR)
			return -errno;
	}
	return -EEXIST;
}

/* LMDB follows links, and waits on pipes: what is no file must not be where it will look. */
static int clear_unless_file(const struct index *index, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if (!index_path(index, name, path))
		return -ENAMETOOLONG;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	return S_ISREG(st.st_mode) ? 0 : index_clear_name(index, name);
}

int index_reserve_lock(const struct index *index, const char *name)
{
	char path[PATH_MAX];

	if (!index_path(index, name, path))
		return -ENAMETOOLONG;
	int fd = anyio_plain_openat_blocking(AT_FDCWD, path, O_RDWR | O_CREAT, 0644);
	if (fd < 0)
		return fd;
	int rc = -posix_fallocate(fd, 0, LOCK_SIZE);
	close(fd);
	return rc;
}

/* Breaks the seal; *whole tells whether it was that of this file. */
static int break_seal(const struct index *index, const struct stat *st, bool *whole)
{
	uint8_t expected[SEAL_SIZE], found[SEAL_SIZE];
	char path[PATH_MAX];

	*whole = false;
	if (!index_path(index, "sealed", path))
		return -ENAMETOOLONG;
	int fd = anyio_plain_openat_blocking(AT_FDCWD, path, O_RDONLY, 0);
	if (fd >= 0) {
		seal_of(st, expected);
		*whole = read(fd, found, SEAL_SIZE) == SEAL_SIZE &&
			memcmp(found, expected, SEAL_SIZE) == 0;
		close(fd);
	}
	return index_clear_name(index, "sealed");
}

int index_sync_names(const struct index *index)
{
	int fd = open(index->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int rc = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

int index_trusted(const struct index *index, bool *sealed)
{
	char path[PATH_MAX];
	struct stat st;
	int rc = index->only_read ? 0 : clear_unless_file(index, "lock.mdb");

	*sealed = false;
	if (rc == 0 && !index->only_read)
		rc = clear_unless_file(index, "sealed.new");
	if (rc < 0)
		return rc;
	if (!index_path(index, "data.mdb", path))
		return -ENAMETOOLONG;
	int fd = anyio_plain_openat_blocking(AT_FDCWD, path, O_RDONLY, 0);
	if (fd < 0)
		return fd == -ENOENT ? 1 : fd == ANYIO_NOT_A_FILE ? 0 : fd;
	rc = fstat(fd, &st) < 0 ? -errno : index->only_read ? 0 : break_seal(index, &st, sealed);
	if (rc == 0 && !*sealed)
		rc = check_file(index, fd);
	close(fd);
	/* What the disk does not give back can be made anew too. */
	return rc == 0 ? 1 : rc == -EUCLEAN || rc == -EIO ? 0 : rc;
}

void index_seal(const struct index *index)
{
	char path[PATH_MAX];
	uint8_t seal[SEAL_SIZE];
	struct stat st;

	if (!index_path(index, "data.mdb", path) || lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	seal_of(&st, seal);
	index_path(index, "sealed", path);
	/* Not synced: a seal that a power cut takes is read for, and half a seal is none. */
	anyio_plain_replace(AT_FDCWD, path, 0644, NULL, seal, SEAL_SIZE, false);
}
