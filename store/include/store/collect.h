/*
 * Collection: what no pin needs goes, segment by segment.
 *
 * What is live is marked first: all that pins name, with what recursive ones link to, found by reading every node
 * but no raw leaf. Then each segment that was closed when the marking began, and has enough in it that is not
 * live, is read once: its live blocks are written again at the end of the log, verified, the others leave the
 * index, if all that is dead has not left it before (`every`); when both are durable the segment's file goes. Where
 * the disk has less room than that takes, it goes from its end, in parts that end with a commit.
 * Others put, get and pin meanwhile. To be killed is harmless anywhere: what was not yet taken away is taken by
 * the next collection.
 *
 * What a task has put, or found present, but not yet pinned, is kept by a lease:
 *
 *	store_lease_begin(store, &lease);
 *	... store_put_many, store_keep, store_pin_add, store_sync
 *	store_lease_end(&lease);
 *
 * From the beginning of a lease to its end no collection takes what is put in between by anybody, whether it was
 * present already or not, nor what store_keep was called for.
 */
#ifndef STORE_COLLECT_H
#define STORE_COLLECT_H

#include <store/block.h>

#ifdef __cplusplus
extern "C" {
#endif

struct store_lease {
	struct store *store;
	struct store_lease *next, *previous;
	uint32_t segment, epoch;
};
void store_lease_begin(struct store *store, struct store_lease *lease);
void store_lease_end(struct store_lease *lease);

/* As store_has; what is present is kept until all leases end that are open now. */
int store_keep(struct store *store, const struct mf_cid *cid);

struct store_collect_options {
	/* A segment is written anew when at least so many of a hundred of its bytes are dead; 0: 20; 1: nearly any. */
	unsigned dead_percent;
	/* Ends when so many bytes are free again; 0: all segments are looked at. Those with the most dead bytes first. */
	uint64_t enough;
	/* Whatever is dead can be had no more afterwards, also where its segment stays; else it can, as of a cache. */
	bool every;
	/* Called now and then; non-zero stops with that value. May be NULL, may wait, and then others that collect or
	 * verify wait too. done of total, of what:
	 * nodes marked (total 0: unknown), then bytes of segments (total 0: none yet). */
	int (*progress)(void *arg, bool sweeping, uint64_t done, uint64_t total);
	/* Called for each block that goes. May be NULL, must not wait. */
	void (*dropped)(void *arg, const struct mf_cid *cid, uint32_t len);
	void *arg;
};

struct store_collect_result {
	uint64_t live;               /* blocks marked */
	uint64_t dropped, bytes;     /* blocks that went, and their bytes */
	uint64_t moved, moved_bytes; /* live blocks written again */
	uint64_t segments;           /* that went */
	uint64_t freed;              /* bytes of their files, less what was written for them */
	uint64_t objects;            /* of tiers, that are to be removed: store_tier_tend */
	uint64_t kept_damaged;       /* segments kept because a live block in them is damaged */
	struct mf_cid missing; /* with -ENOENT: a block that pin `pin` needs and is not here */
	struct mf_cid pin;
};

/*
 * Collects. -EALREADY: one is under way, or a verification. -ENOENT: a recursive pin lacks a node (result->missing), so that what lies
 * below it cannot be told from what nobody needs; nothing is taken away. -EUCLEAN, ANYIO_BROKEN: nothing is written
 * to this store. -ENOSPC: for what lives in some segment the disk has no room, not even in parts. The errors of store_get and
 * store_put; what was freed by then stays freed. options may be NULL.
 * Memory: an eighth of a byte a block, and 64 bytes a link of the node at hand.
 */
int store_collect(struct store *store, const struct store_collect_options *options,
	struct store_collect_result *result);

/* What all collections have done since the store was opened, those too that a limit asked for. */
struct store_collect_stat {
	uint64_t runs;           /* that have ended */
	uint64_t failed;         /* of them, before they were done: also when they were stopped */
	uint64_t dropped, bytes; /* blocks that went, and their bytes */
	uint64_t moved_bytes;    /* of live blocks, written again */
	uint64_t segments;       /* that went */
	uint64_t freed;          /* as of store_collect_result */
	anyio_time last;         /* nanoseconds that the last one took; 0: there was none */
	bool running;            /* there is one now */
};
/* Does not wait. */
void store_collect_stat(const struct store *store, struct store_collect_stat *out);

#ifdef __cplusplus
}
#endif
#endif
