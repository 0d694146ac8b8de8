/*
 * Adopted segments: CAR files of somebody else's making, taken in as they are. They are no part of the log: what
 * the state of the repo says of them (STORE_SPACE_SEGMENTS) is all that makes them ours, and a record of the log in
 * one is a block like any other, even if it was written by this repo at this place.
 *
 * The state of one is
 *
 *	 0  'a' (SEGMENT_STATE_ADOPTED)
 *	 1  flags
 *	 2  where its first section begins, u64
 *	10  where its last one ends, u64
 *	18  size of the file, u64
 *	26  of a foreign one: its inode, u64
 *	34  and when it was last written, i64 seconds and
 *	42  u32 nanoseconds
 *	46  a keyed BLAKE2b-256 of the heads of its sections: no group, whose commit has that, protects their CIDs.
 *	    Adopted before that was kept, one ends here
 */
#ifndef STORE_SEGMENT_ADOPTED_H
#define STORE_SEGMENT_ADOPTED_H

#include <sys/stat.h>
#include "scan.h"
#include "segment_set.h"

enum { SEGMENT_ADOPTED_OLD = 46, SEGMENT_ADOPTED_SIZE = SEGMENT_ADOPTED_OLD + SEGMENT_SEAL_SIZE };

struct segment_adopted {
	uint64_t from, to; /* bytes of the file that are sections */
	uint64_t size;     /* of the file, when it was adopted */
	uint64_t inode;
	int64_t seconds;
	uint32_t nanoseconds;
	uint8_t heads[SEGMENT_SEAL_SIZE];
	bool foreign; /* a link to a file that is somebody else's: it may change, and must not be changed */
	bool entered;  /* the index that was written has all its blocks, or has given them up */
	bool swept;    /* as of a segment_file */
	bool given_up; /* what it lost nobody is to complain of */
	bool summed;   /* heads is known */
	bool changed;  /* not kept: the file is another one now, or another one's */
};

/* Returns its length. */
size_t segment_adopted_encode(
	const struct segment_adopted *adopted, uint8_t out[SEGMENT_ADOPTED_SIZE]);
/* 0 or -EUCLEAN. */
int segment_adopted_decode(struct segment_adopted *adopted, const uint8_t *value, size_t len);
/* Takes down what a file is. */
void segment_adopted_know(struct segment_adopted *adopted, const struct stat *st);
/* Whether it is that still: of a foreign one. */
bool segment_adopted_is(const struct segment_adopted *adopted, const struct stat *st);

/* A segment becomes an adopted one, or what is known of it changes. 0, or a negative code; what is missing or
 * changed is adopted all the same. */
int segment_set_adopt(
	struct segment_set *set, uint32_t number, const struct segment_adopted *adopted);
/* It is not in the set any more; its file stays, and who reads it reads on. NULL is allowed. */
void segment_set_let_go(struct segment_set *set, struct segment_file *file);
/* What has this number is to go (segment_set_tidy). 0 or -ENOMEM. */
int segment_set_note_unwanted(struct segment_set *set, uint32_t number);
void segment_set_forget_unwanted(struct segment_set *set, uint32_t number);
/* A number that nobody in this process has: 0 when there is none left. */
uint32_t segment_set_take_number(struct segment_set *set);

/* Whether the heads that a scan met, from end to end, are those that were adopted; it is known otherwise when they make no
 * sense. */
bool segment_adopted_has_heads(const struct segment_adopted *adopted, const struct scan *scan);

/* Starts at the first section of a segment of either kind, as far as end. */
void segment_scan_start(struct scan *scan, const struct segment_keys *keys,
	const struct segment_file *file, uint64_t end);

#endif
