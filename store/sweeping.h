/* A sweep of one segment: what its parts share. */
#ifndef STORE_SWEEPING_H
#define STORE_SWEEPING_H

#include "collecting.h"
#include "scan.h"

enum {
	SWEEP_WINDOW = 4 << 20,
	SWEEP_BATCH = 64,
	/* Behind a block of so many bytes little but the next head is read: if what it is of lives, that is read to where it is
	 * written from; what is dead is not read. */
	SWEEP_LARGE = 64 << 10,
	SWEEP_AHEAD = 4 << 10,
	SWEEP_SPARE =
		2 << 20, /* bytes of the disk that are left to the index, and the operation log */
};

/* A segment being swept. */
struct sweep {
	struct collecting *collecting;
	struct segment_file *file;
	uint8_t *window;
	uint64_t from; /* what is in it, of the file */
	size_t len;
	struct store_block blocks[SWEEP_BATCH]; /* live, to be moved */
	struct index_place places[SWEEP_BATCH];
	size_t count, bytes;
	bool lends;    /* the window is as large as any, or the last */
	bool borrowed; /* some of them lie in it */
	size_t ahead;  /* to be read next time: more each time, until a large block is met */
	uint64_t steps;
	uint64_t start; /* where this scan began: what is said of bytes before it still holds */
	bool keep;      /* something in it is damaged */
	uint64_t live;  /* blocks that were met of those that are live, by this scan */
};

/* What lives from where the scan is to its end, which is where the block of that ordinal is (UINT32_MAX: or would be), is moved;
 * sweep->keep when something there is not to be given up. */
int sweep_through(struct sweep *sweep, struct scan *scan, uint32_t end);
/* The window gets what the scan asked for, and more where that is likely to be of use. */
int sweep_read_window(
	struct sweep *sweep, const struct scan *scan, const struct scan_event *wanted);

/* All of a segment of the log, where the disk has no room for what lives in it: part by part, from its end, which is cut off then
 * (sweep_parts.c). Or what there is room for: without_room. */
int sweep_in_parts(struct sweep *sweep);

#endif
