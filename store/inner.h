/*
 * A store from within: what its parts share.
 *
 * Locks, in the order they are taken: arranging, checkpointing, syncing, writing. `writing` guards the log's
 * end: one task appends at a time. `syncing` is held over an fdatasync; tasks that wait for it
 * find, when they get it, that the one before them has mostly done their work. Reading waits
 * for none.
 */
#ifndef STORE_INNER_H
#define STORE_INNER_H

#include <errno.h>
#include <anyio/anyio.h>
#include <store/store.h>
#include "arc.h"
#include "index.h"
#include "live.h"
#include "log.h"
#include "ops.h"
#include "segment.h"
#include "segment_set.h"

struct collecting;
struct segment_remote;
struct tier;
struct store_lease;

/* What was touched while a lease is open (lease.c). */
struct leases {
	struct store_lease *first, *last; /* in the order they began */
	struct live old, young;
	uint32_t epoch;
	size_t open[2]; /* leases of even epochs, and of odd ones */
};

/* How many bytes the repo may take (limit.c). */
struct limit {
	uint64_t max;           /* 0: any */
	uint64_t segment_bytes; /* of a repo without a limit */
	uint64_t reserved;      /* for puts under way */
	uint64_t settled;       /* what was used after the last collection beside puts */
	uint64_t stuck;         /* what was used when a put collected in vain; 0: none did */
	uint64_t stuck_room;    /* free on the disk then, if that was why; else UINT64_MAX */
	struct anyio_event over;
};

struct store {
	char *dir;
	struct store_options options;
	int dir_fd, lock_fd;
	int unwritable; /* why the repo cannot be written to: -EROFS or -EACCES; then it is only read. 0: it can be */
	struct segment_keys keys;
	struct segment_set segments;
	struct index index;
	struct log log;
	struct ops ops;
	struct arc cache;                 /* of struct shared (get.c) */
	struct index_position checkpoint; /* what LMDB holds */
	size_t due_at; /* when so much is new puts write the index again: later where they just failed to */
	uint64_t recovered; /* the highest sequence an opening found */
	/* arranging: segments are looked over, or collected; before all others. */
	struct anyio_lock arranging, checkpointing, syncing, writing;
	struct leases leases;
	struct limit limit;
	struct tier *tiers; /* those that were attached (tier.c) */
	/* Who read blocks from segments right now; when one last ended, 0: none since a collection began to sweep. */
	size_t readers;
	anyio_time last_read;
	uint64_t moves; /* blocks that were moved, here or to one, or became known to be there */
	struct collecting *collecting; /* a collection that marks or sweeps; or NULL */
	struct store_collect_stat collected;
	struct anyio_event put; /* something was, that store_tend has not seen to */
	/* A sync up to due_ticket is due then; `asked`: it has become so, or sooner. */
	anyio_time due;
	store_ticket due_ticket;
	int due_failed; /* why one that was due could not be made; 0: it was */
	struct anyio_event asked;
	bool tended;                                            /* store_tend runs */
	void (*on_damage)(void *arg, const struct mf_cid *cid); /* store_on_damage; or NULL */
	void *on_damage_arg;
	/* Nothing is written any more, and this is why: ANYIO_BROKEN, a sync failed; -EUCLEAN, the end of
	 * the log, or something of the operation log, is lost (recover.c); or as unwritable. */
	int broken;
};

/* Nothing was written since the opening, and nothing will be: the index has all. */
static inline bool store_only_reads(const struct store *store)
{
	return store->broken == -EUCLEAN || store->unwritable;
}

/* store_state_put with the lock `writing` held, and lengths in bounds. -EAGAIN: not before a sync. */
int store_state_put_locked(struct store *store, unsigned space, const void *key, size_t key_len,
	const void *value, size_t len, store_ticket *ticket);

/* Room for blocks under the limit, *held bytes until limit_leave: collects if need be. -EDQUOT: there is none;
 * or the errors of store_collect. */
int limit_enter(
	struct store *store, const struct store_block *blocks, size_t count, uint64_t *held);
int limit_enter_bytes(struct store *store, uint64_t bytes, uint64_t *held);
void limit_leave(struct store *store, uint64_t held);
/* The same for what a collection is to move; false: it would grow past the limit. */
bool limit_hold(struct store *store, uint64_t bytes, uint64_t *held);
/* Has a collection beside the puts begin, if it is time. */
void limit_look(struct store *store);
/* That collection. */
int limit_settle(struct store *store);

/* A block was found present by a put, or is to be kept: while there is a lease, or a collection. 0 or -ENOMEM. */
int store_touch(struct store *store, const struct index_place *place);
/* Writes blocks once more that lie at these places (segment and offset), verified; those that do not any more are left out, and
 * those that the index does not know at all, or there by another ordinal, are counted. The index may be due to be written
 * then (put.c). */
struct store_moved {
	uint64_t blocks, bytes;
	uint64_t unknown;
};
int store_move_many(struct store *store, const struct store_block *blocks,
	const struct index_place *places, size_t count, store_ticket *ticket,
	struct store_moved *moved);
/* What the state of the repo says of a segment (STORE_SPACE_SEGMENTS): nothing, or */
enum segment_state {
	SEGMENT_STATE_GONE =
		'g', /* it is missing, or has lost its end, and nobody is to complain */
	SEGMENT_STATE_SWEPT = 's', /* blocks of it left the index, or are about to */
	SEGMENT_STATE_DROPPED =
		'd', /* and needs it no more, or not from a place on: it is away, or cut, or the next one does that */
	SEGMENT_STATE_REMOTE = 'r',  /* segment_remote.h, and there is more of it */
	SEGMENT_STATE_ADOPTED = 'a', /* segment_adopted.h, and there is more of it */
	SEGMENT_STATE_ENTERED = 'e', /* only of what is adopted: the index has all its blocks */
	SEGMENT_STATE_ALTERED =
		'x', /* the same: damage in it was given up, so that its heads prove nothing any more */
	SEGMENT_STATE_UNWANTED =
		'u', /* an adoption that was not finished, or is over: the next opening
	                               * takes away what has its name */
};
/* Says so; *ticket is raised. Of what is adopted it says what comes to the same. */
int store_note_segment(
	struct store *store, uint32_t number, enum segment_state state, store_ticket *ticket);
/* Says of one of the log that nothing needs it from there on, as SEGMENT_STATE_DROPPED and that place, a u64. */
int store_note_cut(struct store *store, uint32_t number, uint64_t end, store_ticket *ticket);
/* Says so of one that is, or is to be, adopted. */
int store_note_adopted(struct store *store, uint32_t number, const struct segment_adopted *adopted,
	store_ticket *ticket);
/* Says so of one that is, or is to be, remote. */
int store_note_remote(
	struct store *store, const struct segment_remote *remote, store_ticket *ticket);
/* Nothing is to be said of it any more. */
int store_note_nothing(struct store *store, uint32_t number, store_ticket *ticket);
/* Says of a local segment that blocks of it have left the index, before they do. Durable. */
int store_begin_sweeping(struct store *store, struct segment_file *file);

struct replay;
/* An opening has read both logs: those adopted segments whose blocks the index may not have are gone through
 * (adopt_enter.c); and, when the log can be written, the state says that it has. */
int store_enter_adopted(
	struct store *store, const struct replay *replay, struct store_recovery *recovery);
int store_note_entered(struct store *store);
/* The blocks of one segment from an adoption: those that are absent are found there from now on. entered, which may
 * be NULL, is called for them. replay, which may be NULL, tells which are given up; lost, for what makes no sense. */
struct adopt_entering {
	struct store *store;
	const struct replay *replay;
	int (*entered)(void *arg, const struct mf_cid *cid, uint32_t len);
	int (*lost)(void *arg, uint64_t from, uint64_t to);
	int (*progress)(void *arg, uint64_t bytes);
	void *arg;
	uint64_t blocks; /* filled: of the file, and of them entered */
	uint64_t fresh;
};
int store_enter_blocks(struct adopt_entering *entering, struct segment_file *file);

/* Where a block is, as store_has sees it: 1 and the place, 0 (place->state says whether it is damaged or
 * gone), or a negative code. */
int store_find(struct store *store, const struct mf_cid *cid, struct index_place *place);
/* store_get past the cache, in which it is not looked for and not kept: of what the store reads for itself. */
int store_get_aside(struct store *store, const struct mf_cid *cid, struct store_block *out);
/* Before an index that was made anew is told of a copy in that segment: another that lies here is read, as one that went bad
 * must not be believed in its place, which would be given up then. 0 whatever it is like, or a negative code. */
int store_doubt(struct store *store, const struct mf_cid *cid, uint32_t number);
/* Whether the log has a segment that goes so far. */
bool store_reaches(const struct store *store, const struct index_place *place);
/* Bytes free on the disk that the repo lies on, for us; UINT64_MAX where that cannot be told. */
uint64_t store_disk_room(const struct store *store);
/* Whether others read, or did a moment ago. */
bool store_is_read(const struct store *store);
/* A cached block goes (arc_init's drop). */
void store_drop_shared(void *shared);
/* The block was found damaged at this place, or lost with it: index_forget, and who wants to be told is. */
void store_forget(struct store *store, const struct mf_cid *cid, const struct index_place *place);
/* The block was found whole at this place: if it counts as damaged there, no longer. */
void store_believe(struct store *store, const struct mf_cid *cid, const struct index_place *place);

/* Times as much as is due: then a put waits until the index is written. */
enum { CHECKPOINT_LATE = 4 };
/* Writes the index when enough is new, unless a collection that sweeps a repo without a limit sees to that; when it is late,
 * waits for whoever does, and fails with it. */
int store_checkpoint_if_due(struct store *store);
/* Writes the index, and its file anew if that is mostly empty and there is room for it. */
int store_compact_index(struct store *store);

/* Everything of both logs from the last checkpoint on; makes the store ready for writing. */
int store_recover(struct store *store, struct store_recovery *recovery);

/* A segment that is missing, or has lost its end, though it is known to have been longer. */
struct store_gap {
	uint32_t segment;
	uint64_t there, known; /* bytes */
	bool missing;
	bool changed; /* it is there, but is not what was adopted: nothing of it is believed */
};
/* Calls each for those whose loss was not accepted. */
int store_each_gap(
	const struct store *store, int (*each)(void *arg, const struct store_gap *gap), void *arg);
/* Begins to write again behind logs of which something is lost: in a segment of its own, and with the operations
 * that the index knows. */
int store_go_on(struct store *store);

struct store_range {
	uint32_t segment;
	uint64_t from, to;
};
/* Writes down, durably, that nobody is to believe what is damaged in these ranges. */
int store_write_voids(struct store *store, const struct store_range *ranges, size_t count);

/* What the operation log says of the segments, and what is lost of it, before they are looked at; and then the
 * fold of it into the index, up to the highest sequence that the segments have (fold.c). */
int store_fold_segments(struct store *store, struct store_recovery *recovery);
int store_fold(struct store *store, uint64_t last);
/* The commit up to which operations, those of the log from there on, are believed, of a replay that has settled all: of those
 * written with a group that is not whole, or after it, nobody was ever told. Whether operations are lost that were durable,
 * and whether there are fewer than commits tell of, replay says then. 0 or a negative code. */
int store_last_believed(struct store *store, struct replay *replay, uint64_t from, uint64_t *last);

void store_say(struct store_recovery *recovery, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
