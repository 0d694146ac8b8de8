/* A collection: what its parts share. */
#ifndef STORE_COLLECTING_H
#define STORE_COLLECTING_H

#include <store/collect.h>
#include "inner.h"
#include "live.h"

enum { READY_MAX = 8 }; /* segments swept before the index is written */

/* Segments that have been swept, and nothing needs any more when all is durable and the index is written. */
struct swept_segments {
	uint32_t numbers[READY_MAX];
	size_t count;
};

struct collecting {
	struct store *store;
	const struct store_collect_options *options;
	struct store_collect_result *result;
	struct live live;
	uint32_t below;                           /* segments of lower numbers only */
	uint64_t swept, to_sweep, freed, written; /* bytes */
	struct swept_segments ready, going;       /* going: those that are being dropped */
	uint64_t ready_from,
		moved_from; /* written, and moved, when others were last taken from them */
	/* By a task of this group, which there is while it sweeps, one at a time, if there is one. */
	struct anyio_task_group *droppers;
	struct anyio_task_handle dropper;
	bool dropping;
	int drop_failed;
	bool without_room; /* the disk had none for what lives in the segment that was to be swept, or for some of it */
	int unsynced; /* why the folder of the segments could not be synced; or 0 */
};

/* Mark what leases keep (lease.c), and what pins name and need (mark.c). */
int leases_mark(struct store *store, struct live *live);
/* What lived in the segment from that ordinal on was moved, to one of which the leases keep all. */
void leases_cut(struct store *store, uint32_t segment, uint32_t end);
int collecting_mark(struct collecting *collecting);
/* The lowest segment that an open lease writes to. */
uint32_t leases_segment(const struct store *store);

/* A block that is dead leaves the index, which has just said that it is there, with the lock `writing` held (sweep.c). */
int collecting_drop(
	struct collecting *collecting, const struct mf_cid *cid, const struct index_place *place);
/* What is live goes elsewhere, what is dead has left the index, or does now; if nothing needs the segment then, it is ready. 0, or
 * what stopped it, which a progress call may have done with any value. in_parts: the disk has little room. */
int collecting_sweep(struct collecting *collecting, uint32_t number, bool in_parts);

/* Whether it sweeps, and so sees to the index (collect_drop.c). */
bool collecting_is_sweeping(const struct collecting *collecting);
/* To be called after every segment: those that are ready go, if there are enough of them by now, or too much is there twice
 * (collect_drop.c). */
int collecting_drop_if_time(struct collecting *collecting);
/* To be called after every change of the index: when it is late to be written, they go with that. */
int collecting_write_if_late(struct collecting *collecting);
/* All that are left, now. */
int collecting_drop_rest(struct collecting *collecting);

/* Remote segments in which nothing lives, or little, when the marking has ended: whether there are any, whose dead is then to
 * leave the index. */
bool collecting_judge_remote(const struct collecting *collecting);
/* When it has, those with nothing alive are given up: the state says so, and store_tier_tend removes the objects. */
int collecting_drop_remote(struct collecting *collecting);

/* Collects down to goal bytes, waiting for its turn, if more than mark are used then (collect.c). */
int collect_down_to(struct store *store, uint64_t mark, uint64_t goal);

#endif
