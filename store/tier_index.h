/* The index of an object in a tier, which the object carries itself: read from there, and believed only when it is the one
 * that was written. */
#ifndef STORE_TIER_INDEX_H
#define STORE_TIER_INDEX_H

#include <ipld/car.h>
#include "segment_remote.h"

struct tier_index {
	uint8_t *bytes; /* in which the digests lie */
	struct car_index_entry *
		entries; /* by place: at is where a section begins, behind the first CAR_V2_SIZE bytes */
	size_t count, max;
};

/* 0; -EBADMSG: it is not what was written, or not there; else as tier_read. To be freed whatever it returns. Waits. */
int tier_index_read(
	struct store *store, const struct segment_remote *remote, struct tier_index *index);
void tier_index_free(struct tier_index *index);
/* The CID of an entry: all are raw leaves. */
void tier_index_cid(const struct car_index_entry *entry, struct mf_cid *cid);

#endif
