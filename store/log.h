/*
 * The end of the log: appending, committing, syncing.
 *
 * Appended bytes are a vector: heads, records and small blocks are copied to the stage, large
 * blocks stay with the caller until the vector was written, which is before his put returns. So a
 * large block is never copied, and small ones share a system call. Bulk goes to the disk past the
 * page cache, as O_DIRECT wants it: on boundaries, with FILL records before it. The file is only
 * ever written at its end, at places computed here, so a write that failed leaves nothing behind
 * that the next one does not overwrite, or that is not cut away, by log_roll or the next opening.
 *
 * Functions that append or write are called with store->writing held; log_sync and log_roll take
 * the locks they need.
 */
#ifndef STORE_LOG_H
#define STORE_LOG_H

#include <sys/uio.h>
#include <multiformats/cid.h>
#include "index.h"
#include "segment.h"

struct store;
struct segment_file;

enum {
	LOG_STAGE_SIZE = 256 << 10,
	LOG_VECTOR_MAX = 256,
	LOG_SMALL_MAX = 16 << 10, /* blocks up to this size are copied */
};

struct log {
	struct segment_file *active;
	uint64_t base; /* of the vector in the file: all before it is written */
	uint64_t end;
	uint8_t *stage;
	size_t staged;
	struct iovec *vector;
	int count;
	uint64_t start;   /* of the group that is open */
	uint32_t ordinal; /* of the next block in the file */
	struct segment_sum sum;
	uint64_t sequence;               /* of the group that is open */
	struct index_position committed; /* the last commit appended */
	uint64_t durable;                /* the last sequence that is */
	uint64_t durable_end;            /* how much of the active file is */
	uint64_t syncs;                  /* that made it so, since it was opened */
	uint64_t started;                /* the last sequence when the log was opened */
	uint64_t cached; /* bytes left to the page cache since write-out was last started */
	int direct_fd;   /* the active file once more, with O_DIRECT; -1: closed */
	bool no_direct;  /* the file system will not have it */
	bool torn;       /* behind the end lie bytes of a write that failed */
};

/* Goes on behind a record at position in file, which is in use and synced up to there. */
void log_start(
	struct store *store, struct segment_file *file, const struct index_position *position);
void log_stop(struct store *store);

/* Memory for the stage and the vector, made by the first put: 0 or -ENOMEM. */
int log_prepare(struct log *log);
/* Gives it back, if nothing is in it. Takes the lock itself, or leaves it be. */
void log_rest(struct store *store);

/* What a failed write must take back: make it before appending something that is not copied. */
struct log_mark {
	uint64_t end;
	size_t staged;
	int count;
	size_t last_len;
	uint32_t ordinal;
	struct segment_sum sum;
};
void log_mark(const struct log *log, struct log_mark *mark);
void log_take_back(struct log *log, const struct log_mark *mark);

/* Whether one more block of this size fits into the vector. */
bool log_has_room(const struct log *log, size_t len);
/* Appends a block; the offset of its data. */
uint64_t log_append_block(
	struct store *store, const struct mf_cid *cid, const void *data, size_t len);
/* Appends a record (place and sequence are filled in). */
void log_append_record(struct store *store, struct segment_record *record);
/* Ends the group, if anything is in it (always: even then). */
void log_commit(struct store *store, bool always, bool operations);

/* Writes the vector out (log_write.c). */
int log_flush(struct store *store);

/* Whether such a block can be written as it lies. */
bool log_is_bulk(const void *data, size_t len);
/* Makes ready for bulk, if the file system takes it so; if not, it is written as all else. */
void log_open_direct(struct store *store);
void log_close_direct(struct log *log);

/* Copies bytes that are appended but not written yet. False when they are not all here. */
bool log_peek(const struct log *log, uint64_t offset, void *out, size_t len);

/* The active segment has grown past its limit: then log_roll, without holding a lock, closes it and
 * makes the next. */
bool log_is_full(const struct store *store);
int log_roll(struct store *store);
/* The same, full or not, if it has any block. */
int log_roll_anyway(struct store *store);

/* Waits until everything up to ticket is durable. */
int log_sync(struct store *store, uint64_t ticket);
/* Commits, freezes the index there, and waits until that is durable. */
int log_sync_frozen(struct store *store);

#endif
