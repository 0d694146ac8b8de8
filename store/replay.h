/*
 * Believing the log: what recovery and verification share.
 *
 * Segments are scanned in order. What is found waits with its group until the log itself proves
 * that group durable (a later commit, or a later segment, says so), then it is settled:
 *
 *	proven, and its heads are exactly what was written: believed as it is
 *	proven, but something is wrong with it: every block has to pass the gate; what does not, and
 *	what was lost, is a fault
 *	not proven by the end of the log: the same, but what does not pass may never have been
 *	acknowledged: it is no fault but unfinished; recovery writes that down in a VOID record, so
 *	that nobody trips over it again
 *
 * What follows the last commit of the last segment is the tail, which recovery cuts.
 */
#ifndef STORE_REPLAY_H
#define STORE_REPLAY_H

#include "index.h"
#include "scan.h"
#include "segment_set.h"

struct store;
struct store_range;
struct replay_item;
struct replay_group;
struct replay_void;

struct replay_block {
	const struct mf_cid *cid;
	struct index_place place;
	uint64_t section, end; /* bytes of its section */
};

struct replay_fault {
	uint32_t segment;
	uint64_t from, to;
	const struct mf_cid *cid; /* NULL: not a block */
	bool unfinished;
};

/* What becomes of it. Each may return a negative code to stop, and may wait. */
struct replay_calls {
	int (*block)(void *arg, const struct replay_block *block);
	int (*fault)(void *arg, const struct replay_fault *fault);
	/* Everything up to here is settled. */
	int (*settled)(void *arg, const struct index_position *position);
	/* Bytes scanned. */
	int (*progress)(void *arg, uint64_t bytes);
};

struct replay {
	struct store *store;
	const struct replay_calls *calls;
	void *arg;
	bool adopted;      /* only by replay_adopted */
	bool check_all;    /* every block passes the gate, whatever is proven; what cannot
	                             * be read is lost; what is void is told too: replay_is_void */
	uint64_t proven;   /* sequences up to this are durable */
	uint64_t durable;  /* nor is what is bad in these unfinished, as this process knows */
	uint64_t sequence; /* highest seen */
	uint64_t operations,
		promised; /* highest that operations went with, of those that are proven, and of all */
	bool operations_lost, operations_fewer; /* than those; store_last_believed */
	uint64_t torn; /* of the first group that is not proven, and not whole; 0: none */
	struct index_position last; /* last commit or segment record */
	uint64_t tail;              /* end of the last commit of the segment scanned last */
	uint64_t end;               /* of what was scanned of it */
	uint32_t unreadable;        /* this segment ended it; 0: none */
	/* From here on private. */
	struct replay_item *items;
	size_t item_count, item_room;
	uint8_t *bytes;
	size_t bytes_used, bytes_room;
	struct replay_group *groups;
	size_t group_count, group_room;
	struct replay_void *voids;
	size_t void_count, void_room;
	uint8_t *window;
	uint8_t *check;
	size_t open_first; /* first item of the group that is open */
};

/* Scans one segment from a position in it (its start when position->segment is another), up to
 * size. last: it is the last segment of the log. */
int replay_segment(struct replay *replay, struct segment_file *file,
	const struct index_position *position, uint64_t size, bool last);
/* The sections of an adopted segment, which prove nothing: with check_all each has to pass the gate, else all are believed,
 * and it is a fault of the whole when their heads are not those that were adopted; what makes no sense is one, too. For a
 * replay of its own. */
int replay_adopted(struct replay *replay, struct segment_file *file);
/* Whether a VOID record that was met covers these bytes. */
bool replay_is_void(const struct replay *replay, uint32_t segment, uint64_t from, uint64_t to);
/* All segments from a position on, and settles. apart: what follows the last commit is no tail. */
int replay_all(struct replay *replay, const struct index_position *from, bool apart);
/* Drops those ranges that a VOID record is about, which comes later in the log than they; how many are left. */
size_t replay_without_void(const struct replay *replay, struct store_range *ranges, size_t count);
/* Settles what is left, unproven. */
int replay_finish(struct replay *replay);
void replay_free(struct replay *replay);

#endif
