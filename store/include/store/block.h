/*
 * Blocks: put, sync, get.
 *
 * Putting and acknowledging are two steps. A put appends to the log and gives a ticket; store_sync
 * waits until everything up to that ticket is durable. Many tasks share one fdatasync. Only what
 * was synced is promised to survive a crash.
 *
 *	store_ticket last = 0;
 *
 *	while (next_chunk(&blocks, &n))
 *		rc = store_put_many(store, blocks, n, STORE_VERIFIED, &last);
 *	rc = store_pin_add(store, &root, STORE_PIN_RECURSIVE, &last);
 *	rc = store_sync(store, last);
 *
 * A block is found by its multihash: version and codec of the CID asked with don't matter.
 * Identity CIDs carry their block: always present, never stored.
 */
#ifndef STORE_BLOCK_H
#define STORE_BLOCK_H

#include <stdbool.h>
#include <sys/types.h>
#include <anyio/run.h>
#include <multiformats/cid.h>
#include <store/repo.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A place in the log. Later places are greater; 0 is always durable. */
typedef uint64_t store_ticket;

struct store_block {
	struct mf_cid cid;
	const void *data; /* NULL when absent */
	size_t len;       /* bytes */
	void *memory;     /* of blocks the store gave: store_block_release; else unused */
	bool shared;      /* memory is the store's cache's too: data is only read */
};

/* A block of at least STORE_BULK bytes whose data begins in memory at a multiple of STORE_BULK_ALIGN,
 * and is a multiple of it long, goes to the disk from where it lies, without a copy (O_DIRECT), on
 * file systems that can. Memory of huge pages is best: it reaches the disk in the fewest pieces. */
enum { STORE_BULK = 256 << 10, STORE_BULK_ALIGN = 4096 };

enum store_put_flags {
	STORE_VERIFIED =
		1, /* the caller has just passed it through the gate: nothing is hashed here */
	STORE_BIG =
		2, /* it may be longer than IPLD_BLOCK_MAX, up to IPLD_BLOCK_BIG_MAX: the repo holds such
	                * (store/adopt.h) */
};

/*
 * Appends blocks. data is written from where it lies and is the caller's again on return. Blocks
 * already present are not written again; the ticket then waits for the earlier one. *ticket is
 * raised to cover these blocks, never lowered, so that one variable serves a whole import.
 *
 * Without STORE_VERIFIED every block goes through the gate first, many at once on the CPU pool;
 * when one fails, none is stored. -EBADMSG: bytes and CID do not match. -EPROTONOSUPPORT: a hash
 * we don't know or don't trust. -EMSGSIZE: over IPLD_BLOCK_MAX. -EDQUOT: no room below the limit
 * (store_set_limit), also after a collection; nothing is stored then. -ENOSPC, -EIO, -ENOMEM: none of these blocks is
 * acknowledged; some may have been stored; the store goes on. ANYIO_BROKEN: an
 * earlier sync failed; nothing is written any more until the repo is opened anew. -EUCLEAN: the end of the
 * log is lost; nothing is written before it is back or its loss accepted (store_verify). ANYIO_CANCELLED.
 */
int store_put(struct store *store, const struct mf_cid *cid, const void *data, size_t len,
	unsigned flags, store_ticket *ticket);
int store_put_many(struct store *store, const struct store_block *blocks, size_t count,
	unsigned flags, store_ticket *ticket);

/*
 * Waits until everything up to ticket is durable. One of the waiting tasks writes the commit and
 * syncs for all. Errors of the disk: nothing pending is acknowledged; after a failed fdatasync
 * (-EIO, -ENOSPC, then ANYIO_BROKEN) the store only reads until it is opened anew. A cancelled wait
 * (ANYIO_CANCELLED) takes nothing back.
 */
int store_sync(struct store *store, store_ticket ticket);

/*
 * For who can bear to lose the last moments: returns at once, and the sync begins `within` nanoseconds from now
 * at the latest, one for all who asked in between. Needs store_tend to run; where it does not, or within is 0 or
 * less, this is store_sync. A sync that failed is told by the next call: one that did not come to fdatasync is tried
 * again then, and every second; else ANYIO_BROKEN, to all further puts too. What may be lost at any time, as of a
 * cache, needs neither this nor store_sync: it becomes durable with the next sync of anybody's.
 */
int store_sync_within(struct store *store, store_ticket ticket, anyio_time within);

/*
 * Reads a block and passes it through the gate, or takes it from the cache (store_set_cache), into which it
 * came that way; release it. -ENOENT: not
 * here. -EBADMSG: damaged on disk, or lost with its segment (store_explain says where); from now on it
 * counts as absent, so that a put mends it. -EREMOTEIO: it lies in a tier that cannot be asked now (store_explain
 * says which, and why). -EIO, -ENOMEM, ANYIO_CANCELLED. On error *out is empty and
 * needs no release.
 */
int store_get(struct store *store, const struct mf_cid *cid, struct store_block *out);

/* Keeps so many bytes of the blocks that were read, verified, in memory: what is asked for again, and again
 * (arc.h). 0, as at first: none. Takes effect at once; may be called at any time. */
void store_set_cache(struct store *store, uint64_t bytes);

struct store_cache_stat {
	uint64_t max_bytes;     /* as it was set */
	uint64_t blocks, bytes; /* in it now; what is known of each takes some of the bytes */
	/* Since the store was opened: blocks that were asked for while there was a cache, and were in it or not. */
	uint64_t hits, misses;
};
/* Does not wait. */
void store_cache_stat(const struct store *store, struct store_cache_stat *out);

/* Why store_get gave -EBADMSG or -EREMOTEIO, as the rest of a sentence whose subject is the block: "is lost:
 * segments/00000002.car is missing". Cuts what is longer than cap; 320 bytes are enough. false: nothing of the
 * kind is known of it: it is here, or in a tier of which no failure is known, or is not. Does not wait. */
bool store_explain(struct store *store, const struct mf_cid *cid, char *out, size_t cap);
/* From now on found(arg, cid) is called for each block that is found damaged or lost, by a read, a verification or a
 * collection, and did not count as that before; NULL: nobody is told. It is called in the loop's thread, by the task
 * that found it and in the midst of that: it must not wait, and of the store may call store_explain only. */
void store_on_damage(
	struct store *store, void (*found)(void *arg, const struct mf_cid *cid), void *arg);

/*
 * The same as store_get for many: neighbours on disk are read together, all are verified at once on the CPU
 * pool. out[i] answers cids[i]; results[i] is 0 or a code as of store_get. Returns 0, or the error
 * that stopped it (nothing to release then). Memory: the sum of the sizes; see store_size.
 */
int store_get_many(struct store *store, const struct mf_cid *cids, size_t count,
	struct store_block *out, int *results);

/* Gives the memory back and empties the block. An empty block is allowed. */
void store_block_release(struct store_block *block);

/* 1 when present, 0 when not, or a negative code. Does not read the block, does not wait. */
int store_has(struct store *store, const struct mf_cid *cid);
/* Its size in bytes, -ENOENT. Does not read the block, does not wait. */
ssize_t store_size(struct store *store, const struct mf_cid *cid);

#ifdef __cplusplus
}
#endif
#endif
