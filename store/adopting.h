/* An adoption: what its parts share. */
#ifndef STORE_ADOPTING_H
#define STORE_ADOPTING_H

#include <store/adopt.h>
#include "inner.h"
#include "segment_adopted.h"

struct adopting {
	struct store *store;
	const struct store_adopt_options *options;
	struct store_adopt_result *result;
	int source; /* the caller's */
	int fd;     /* what is adopted, by its name among the segments; -1: not yet */
	bool named; /* what has that name is ours */
	uint32_t number;
	struct segment_adopted adopted;
	struct segment_sum sum; /* of the heads of what was looked through */
	struct mf_cid *roots;
	size_t root_count;
	store_ticket ticket; /* of blocks that lie elsewhere */
	uint64_t absent;     /* blocks that do not */
	bool said;           /* the state says that it is adopted, durably or not */
};

/* Puts the source among the segments, under adopting->number and durable: result->how, and adopting->fd. On failure
 * there may be a file of that name (adopt_place.c). */
int adopt_place(struct adopting *adopting);
/* Reads it from end to end: header, sections, blocks; fills all that is known of it then (adopt_check.c). */
int adopt_check(struct adopting *adopting);

#endif
