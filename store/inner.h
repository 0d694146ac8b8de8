/*
 * A store from within: what its parts share.
 *
 * Locks, in the order they are taken: checkpointing, syncing, writing. `writing` guards the log's
 * end: one task appends at a time. `syncing` is held over an fdatasync; tasks that wait for it
 * find, when they get it, that the one before them has mostly done their work. Reading takes no
 * lock.
 */
#ifndef STORE_INNER_H
#define STORE_INNER_H

#include <anyio/anyio.h>
#include <store/store.h>
#include "index.h"
#include "log.h"
#include "segment.h"
#include "segment_set.h"

struct store {
	char *dir;
	struct store_options options;
	int dir_fd, lock_fd;
	struct segment_keys keys;
	struct segment_set segments;
	struct index index;
	struct log log;
	struct index_position checkpoint; /* what LMDB holds */
	struct anyio_lock checkpointing, syncing, writing;
	struct anyio_event put; /* something was, that store_tend has not seen to */
	int broken;             /* a sync failed with this: nothing is written any more */
};

/* Where a block is, as store_has sees it: 1 and the place, 0, or a negative code. */
int store_find(struct store *store, const struct mf_cid *cid, struct index_place *place);

/* Writes the index when enough is new. */
int store_checkpoint_if_due(struct store *store);

/* Everything of the log from the last checkpoint on; makes the store ready for writing. */
int store_recover(struct store *store, struct store_recovery *recovery);

void store_say(struct store_recovery *recovery, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
