/* A collection: what its parts share. */
#ifndef STORE_COLLECTING_H
#define STORE_COLLECTING_H

#include <store/collect.h>
#include "inner.h"
#include "live.h"

struct collecting {
	struct store *store;
	const struct store_collect_options *options;
	struct store_collect_result *result;
	struct live live;
	uint32_t below;                           /* segments of lower numbers only */
	uint64_t swept, to_sweep, freed, written; /* bytes */
};

/* Marks what leases keep, and what pins name and need (mark.c). */
int leases_mark(struct store *store, struct live *live);
int collecting_mark(struct collecting *collecting);
/* The lowest segment that an open lease writes to. */
uint32_t leases_segment(const struct store *store);

/* Remote segments in which nothing lives, or little, when the marking has ended: whether there are any, whose dead is then to
 * leave the index. */
bool collecting_judge_remote(const struct collecting *collecting);
/* When it has, those with nothing alive are given up: the state says so, and store_tier_tend removes the objects. */
int collecting_drop_remote(struct collecting *collecting);

/* Collects down to goal bytes, waiting for its turn, if more than mark are used then (collect.c). */
int collect_down_to(struct store *store, uint64_t mark, uint64_t goal);

#endif
