/*
 * The segment files of a repo. A file belongs to its log when it holds a record sealed with its key; adopted
 * ones are those that the state of the repo names (segment_adopted.h), and are no part of the log; others are
 * ignored. Only those of the log are ever written to. Files are opened when first needed; of those nobody
 * uses only so many stay open.
 */
#ifndef STORE_SEGMENT_SET_H
#define STORE_SEGMENT_SET_H

#include <stdint.h>
#include "segment.h"

struct store_recovery;
struct segment_adopted;
struct segment_remote;

struct segment_file {
	uint32_t number;
	uint64_t size; /* 0, too, of an adopted one that is missing, or not what was adopted */
	int fd;        /* -1: closed */
	unsigned users;
	struct segment_set *set; /* NULL: dropped, and freed by the last user */
	uint64_t used;           /* when, by the set's count */
	uint32_t previous;       /* the segment before it, 0: none, or unknown */
	uint64_t previous_len;
	bool swept; /* a collection has been at it, or what was adopted was here in part: the index need not know
		     * its blocks */
	struct segment_adopted *adopted; /* NULL: it is of the log */
};

/* A segment whose loss, or that of what lies from there on, was accepted, or made by a collection. */
struct segment_gone {
	uint32_t number;
	uint64_t from;
};

struct segment_set {
	int dir_fd;
	bool only_read;              /* no file of it can be opened to write */
	struct segment_file **files; /* of the log, by number */
	size_t count, room;
	struct segment_file **adopted; /* by number */
	size_t adopted_count, adopted_room;
	struct segment_remote **remote; /* by number: segment_remote.h */
	size_t remote_count;
	uint32_t *strays; /* numbers that are neither's, as far as the folder tells */
	size_t stray_count;
	uint32_t *unwanted; /* adoptions that came to nothing: their files are to go */
	size_t unwanted_count;
	size_t open;
	uint64_t clock;
	uint32_t last_number; /* highest in use by any file, ours or not */
	struct segment_gone *gone;
	size_t gone_count;
};

/* Looks through the folder segments/ for those of the log. */
int segment_set_open(struct segment_set *set, int dir_fd, const struct segment_keys *keys,
	struct store_recovery *recovery);
/* When it is known which are adopted. Files that are not segments but seem to be leftovers of the making
 * of one are taken away, unless the index knows a segment of that number or a higher one; and those of adoptions
 * that came to nothing. Only read: nothing is taken away. */
int segment_set_tidy(
	struct segment_set *set, uint32_t known, bool only_read, struct store_recovery *recovery);
void segment_set_close(struct segment_set *set);

/* Of the log, or adopted. */
struct segment_file *segment_set_find(const struct segment_set *set, uint32_t number);
/* Only adopted ones. */
struct segment_file *segment_set_find_adopted(const struct segment_set *set, uint32_t number);

/* What the state of the repo says of such a segment (STORE_SPACE_SEGMENTS): nobody misses it from there on, 0: at all. What is
 * noted last counts. 0 or -ENOMEM. */
int segment_set_note_gone(struct segment_set *set, uint32_t number, uint64_t from);
/* From where on nobody misses it; UINT64_MAX: all of it is missed. */
uint64_t segment_set_gone_from(const struct segment_set *set, uint32_t number);

/* The first segment of the log behind this number, or NULL; the first of either kind. Numbers stay, while places
 * in files move when one is dropped. */
struct segment_file *segment_set_after(const struct segment_set *set, uint32_t number);
struct segment_file *segment_set_next(const struct segment_set *set, uint32_t number);

/* Takes a segment and its file away; who reads it reads on. 0 or a code, and it stays. */
int segment_set_drop(struct segment_set *set, uint32_t number);
/* No segment says any more that this one came before it: it may be forgotten that it is gone. */
bool segment_set_is_forgettable(const struct segment_set *set, uint32_t number);
void segment_set_forget_gone(struct segment_set *set, uint32_t number);

/* Opens the file if need be and keeps it open until released. -ENOENT: it is missing, or an adopted one that
 * is not what it was. */
int segment_file_use(struct segment_set *set, struct segment_file *file);
void segment_file_release(struct segment_file *file);
/* A descriptor of its own for the open file, with O_DIRECT. -EINVAL where the file system has no such
 * thing; -ESTALE: by that name there is another file by now. */
int segment_file_open_direct(struct segment_set *set, const struct segment_file *file);

/* Makes the next segment, with its header and first record, durable in its directory; it comes back
 * in use. On failure no such segment exists, not after a crash either; ANYIO_BROKEN: it may, so that nothing more is to be written
 * to the one before. */
int segment_set_add(struct segment_set *set, const struct segment_keys *keys, uint64_t sequence,
	uint64_t synced, struct segment_file **file);

/* For segment_adopted.c: a file finds its place among those of its kind, 0 or -ENOMEM; or is closed and freed
 * (NULL is allowed). */
int segment_set_insert(struct segment_set *set, struct segment_file *file);
void segment_file_free(struct segment_set *set, struct segment_file *file);

#endif
