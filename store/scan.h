/*
 * Reading a segment as a log. Pure: the caller gives windows of the file, the scanner says what
 * lies there and which bytes it wants next.
 *
 * It walks from section to section. Where the bytes stop making sense it searches on for the next
 * record that was truly written at its place after the last commit, reports what lies between as
 * lost, and goes on from there; so damage never hides what comes after it.
 */
#ifndef STORE_SCAN_H
#define STORE_SCAN_H

#include "segment.h"

struct scan {
	const struct segment_keys *keys;
	bool plain; /* sections only */
	uint32_t number;
	uint64_t size;     /* bytes of the file to look at */
	uint64_t at;       /* the next section */
	uint64_t start;    /* of the group */
	uint64_t tail;     /* the end of the last commit (or of the segment record) */
	uint64_t sequence; /* of the last commit */
	uint32_t ordinal;  /* of the next block in its segment */
	struct segment_sum sum;
	bool broken; /* something of this group was lost */
	bool searching;
	uint64_t search; /* how far the search has come */
};

enum scan_what {
	SCAN_MORE,   /* call again with a window that holds [offset, offset + len) */
	SCAN_BLOCK,  /* section at offset */
	SCAN_RECORD, /* section at offset and record; for a commit, intact */
	SCAN_LOST,   /* [offset, offset + len) makes no sense */
	SCAN_END,    /* scan->tail is the end of the last commit */
};

struct scan_event {
	enum scan_what what;
	uint64_t offset, len;
	struct segment_section section;
	struct segment_record record;
	uint32_t
		ordinal; /* how many blocks are before it in its segment, as far as they can be told */
	bool intact;     /* the commit's group is exactly what was written, as far as heads go */
};

/* Starts at the first section of the segment. */
void scan_start(struct scan *scan, const struct segment_keys *keys, uint32_t number, uint64_t size);
/* Starts behind a commit known from elsewhere. */
void scan_start_at(struct scan *scan, const struct segment_keys *keys, uint32_t number,
	uint64_t size, uint64_t at, uint64_t sequence, uint32_t ordinal);

/* Sections only, as of a CAR file of somebody else's: none is a record, and behind what makes no sense there is
 * nothing to go on from. Begins at `at`; scan->sum is of all heads. */
void scan_start_plain(struct scan *scan, const struct segment_keys *keys, uint32_t number,
	uint64_t size, uint64_t at);

/* The next event. window holds the len bytes of the file at from; one that ends early although it
 * was asked for more means that the file does. */
void scan_next(struct scan *scan, const uint8_t *window, uint64_t from, size_t len,
	struct scan_event *event);

#endif
