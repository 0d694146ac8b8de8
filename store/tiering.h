/* Tiers from within: what their parts share. */
#ifndef STORE_TIERING_H
#define STORE_TIERING_H

#include <store/tier.h>
#include "inner.h"
#include "segment_remote.h"

struct tier {
	struct tier *next;
	struct store_tier verbs;     /* of an attached one */
	struct store_tier_stat stat; /* its name, whether it is attached, and what is counted */
};

/* NULL: there is none of that name that was ever attached. It stays as long as the store. */
struct tier *tier_find(const struct store *store, const char *name);
void tiers_free(struct store *store);
/* Its verbs, before one is called: nothing is asked of a tier that was detached, whatever is under way. 0 or -ENODEV. */
int tier_ask(const struct tier *tier, struct store_tier *verbs);
/* What became of a verb: counted, and made -EREMOTEIO when it is the tier's own affair. tier may be NULL. */
int tier_judge(struct tier *tier, int rc);
/* Reads exactly so much of an object, -EBADMSG when it ends before that; else as store_get. Waits, without locks. */
int tier_read(struct store *store, const struct segment_remote *remote, uint64_t offset, void *out,
	size_t len);
/* A block that lies in a remote segment. */
int tier_read_block(struct store *store, const struct index_place *place, void *out);

/* As store_demote, of leaves that lie in this remote segment: what lives in it is written into another. */
int tier_rewrite(struct store *store, struct tier *tier, uint32_t from, const struct mf_cid *cids,
	size_t count);

#endif
