/*
 * A repo on disk, opened by one process at a time.
 *
 *	DIR/version      the format's number, written last when a repo is made
 *	DIR/lock         held (flock) while a process has the repo open, shared by those who cannot write to it
 *	DIR/secret       32 random bytes, mode 0600: the key of the log's own records
 *	DIR/segments/    NNNNNNNN.car: the blocks, and their log: valid CARv1 files
 *	DIR/ops/         NNNNNNNN.log: the operation log: all that is no block (store/state.h)
 *	DIR/index/       LMDB, can be thrown away at any time: it is rebuilt from both
 *
 * Other layers keep their files (configuration, identity) beside these, under the same lock. The
 * folders may be links to folders elsewhere, on another disk for instance; the files may not: what
 * is no regular file is refused, or made anew where it can be (the index).
 *
 * All functions are called from tasks of the loop that opened the store. A store belongs to it.
 */
#ifndef STORE_REPO_H
#define STORE_REPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct store;

enum { STORE_VERSION = 2 }; /* of the format on disk */

/* All zero is the default everywhere. */
struct store_options {
	bool create;            /* make the repo when there is none */
	bool no_wait;           /* -EBUSY at once */
	bool only_read;         /* as if the repo lay on a read-only file system */
	const char *index_dir;  /* elsewhere than DIR/index; always on the real disk */
	uint64_t segment_bytes; /* a segment is closed when it has grown past this; 0: 512 MiB */
	uint64_t group_bytes;   /* a commit section is written at least this often; 0: 32 MiB */
	/* The index is written after this many new blocks (beside a collection up to eight times as many may come); 0: 65536. */
	size_t checkpoint_blocks;
	/* A collection writes the index anew when most of its file is empty, and it is of at least so many bytes; 0: 4 MiB. */
	uint64_t compact_bytes;
	uint64_t
		operations_bytes; /* the operation log is written anew when it is longer than this and four
	                            * times what it says; 0: 1 MiB */
};

/* What opening found and did. */
struct store_recovery {
	char text[256];   /* one line for people about the error, or what was repaired; may be "" */
	uint64_t scanned; /* bytes of log read after the last checkpoint */
	uint64_t blocks;  /* blocks found there */
	uint64_t
		cut; /* bytes of unfinished writing cut from the end of the log, or left there (unwritable) */
	uint64_t unfinished; /* blocks and ranges before that, never acknowledged, that had not
	                      * reached the disk whole, or were damaged since; operations that went with the last
	                      * commit count as one: now disregarded */
	uint64_t damaged;    /* damaged ranges of durable log: kept, skipped; see store_verify */
	uint64_t ignored;    /* files in segments/ that are not segments of this repo */
	uint64_t
		gaps; /* segments that are missing, or shorter than they were, by what the next one or
	                * the index knows, or adopted and changed; those whose loss was accepted do not
	                * count */
	bool read_only; /* the end of the log is such a gap: see below */
	bool rebuilt;   /* the index was missing or unusable and was made anew */
	int unwritable; /* why the repo cannot be written to: -EROFS or -EACCES; 0: it can be */
};

/*
 * Opens the repo in dir, and recovers it: after the last checkpoint the log is read, accepted up to
 * the last valid commit, and cut after it. recovery may be NULL; it is filled in either case.
 *
 * What is damaged is never cut. When the index knows that the log was durable further than it goes now,
 * for a segment was cut short, lost, or replaced by an older copy, then log and index stay as they are,
 * and the store only reads (recovery->read_only): what is still there can be had, writing gives
 * -EUCLEAN. Put back what is missing and open again; or let store_verify accept the loss.
 *
 * A repo that cannot be written to, as it lies on a read-only file system or its files may not be written (recovery->unwritable,
 * -EROFS or -EACCES), opens too, and is read as any: what an opening would write (the index, the end of the log) stays in
 * memory, and no byte of the repo is changed. Writing gives that code. Any number of processes may have it open so at once, while
 * none writes.
 *
 * -ENOENT: no repo there (and create is not set). -EBUSY: another process, or another store of this
 * one, has it open, and still has after a second (no_wait: at once; but the kernel may keep the lock of a
 * killed process for a moment). -EPROTO: a repo of another version.
 * -EKEYREJECTED: the secret is missing or damaged. ANYIO_NOT_A_FILE: something else stands in a file's place. -EROFS: no repo can
 * be made there. -ENOTDIR, -EACCES,
 * -ENOSPC, -EIO, -EMFILE, -ENOMEM from below. recovery->text says what it is about, and why.
 * options may be NULL.
 */
int store_open(const char *dir, const struct store_options *options, struct store **store,
	struct store_recovery *recovery);

/* What names the repo, as its segments and its tiers do; a copy of the repo has the same. Does not wait. */
enum { STORE_ID_SIZE = 16 };
void store_id(const struct store *store, uint8_t id[STORE_ID_SIZE]);

/* Makes everything durable, writes a checkpoint, gives back the lock and the memory. The store is
 * gone whatever is returned: 0, or the first error, after which unacknowledged blocks may be lost.
 * No other task may be inside the store. Cannot be cancelled. NULL is allowed. */
int store_close(struct store *store);

/* Writes the index out, so that the next opening has nothing to read. Durable first, then the index.
 * The store does so by itself: every checkpoint_blocks, in a collection, in store_tend, and when it is closed. */
int store_checkpoint(struct store *store);

/* How many bytes the repo's files may take together; 0: any number. Segments become a 64th of it (at least 1 MiB,
 * at most segment_bytes), and one of them is always kept free. Above nine tenths of the rest store_tend collects what no
 * pin needs, the segments with the most of it first, down to three quarters; a put that finds no room
 * collects itself, waits for that, and fails with -EDQUOT when it is not enough. At once, and as often as wanted. */
void store_set_limit(struct store *store, uint64_t max_bytes);
/* Bytes: under a lower limit next to nothing fits, whatever is collected. 17/16 MiB are kept free, a block may have 2 MiB,
 * and the rest is for the index and the operation log. */
enum { STORE_LIMIT_LEAST = 4 << 20 };
/* As it was set last; 0: any number. */
uint64_t store_limit(const struct store *store);
/* Bytes that count: segments, index, operation log. With a limit the index counts with 125 bytes a block at least. */
uint64_t store_used(const struct store *store);

/* The body of a task beside those that use the store: has the index read into memory, so that
 * looking into it need not wait for the disk, makes the syncs that were asked for (store_sync_within),
 * collects when the limit is near, and calls store_checkpoint when something was put and then nothing
 * for 30 seconds. Sleeps without waking as long as nothing is put. Ends when
 * cancelled, with ANYIO_CANCELLED, and must have ended before store_close. A checkpoint that fails
 * is tried again after the next put. */
int store_tend(void *store);

#ifdef __cplusplus
}
#endif
#endif
