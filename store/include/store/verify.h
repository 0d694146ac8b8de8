/*
 * Looking over a repo: what it holds, and whether it still holds it whole.
 */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include <store/block.h>

#ifdef __cplusplus
extern "C" {
#endif

struct store_stat {
	uint64_t blocks; /* different blocks */
	uint64_t bytes;  /* of them */
	uint64_t segments;
	uint64_t
		segment_bytes; /* of the segment files, but for links to files that are somebody else's */
	uint64_t adopted,
		linked; /* of the segments: adopted ones (store/adopt.h), and those of them that are links */
	uint64_t index_bytes; /* of the index file */
	uint64_t pins;
	uint64_t
		damaged; /* blocks that were found to be, by whoever read them, since the repo was opened */
};
/* Does not wait for the disk beyond a stat. */
int store_stat(struct store *store, struct store_stat *out);

enum store_fault_kind {
	STORE_FAULT_DAMAGE,   /* bytes segment:from..to are not what was written */
	STORE_FAULT_BLOCK,    /* the block cid at segment:from does not match it */
	STORE_FAULT_INDEX,    /* the index does not know the block cid, or points elsewhere */
	STORE_FAULT_POINTERS, /* `blocks` entries of the index point at no block */
	STORE_FAULT_SEGMENT, /* segment is missing (from 0), or ends at from, and was `to` bytes long; it
	                       * held `blocks` blocks that are lost with it */
	STORE_FAULT_OPERATIONS, /* bytes from..to of the operation log, the file of the number `segment`, are not what was
	                         * written; both 0: it is missing, or an older copy */
	STORE_FAULT_CHANGED, /* segment, a link to somebody else's file, was changed since it was adopted: `blocks`
	                      * blocks in it are not believed */
	STORE_FAULT_PIN, /* pin, recursive or direct, needs `blocks` blocks that are missing or bad, cid
	                  * one of them */
	STORE_FAULT_TIER, /* the block cid, bytes from..to of `object` in `tier`, is damaged there, or not there: read
	                   * again now; error -EREMOTEIO: it was when it was read last, and cannot be read now, and is not
	                   * given up; cid NULL: it is no block, but the object's own index, which is never given up */
	STORE_FAULT_UNREAD, /* what lies in `object` of `tier`, `blocks` blocks, is not known yet, as its index could not
	                     * be read since that of the repo was made anew: what pins lack may be there; error
	                     * -EREMOTEIO: `blocks` blocks of the tier could not be read, of which `object` was the first
	                     * to fail; after two objects that do, one behind the other, it is asked no more */
};
struct store_fault {
	enum store_fault_kind kind;
	uint32_t segment;
	uint64_t from, to; /* bytes in the segment's file */
	uint64_t blocks;
	const struct mf_cid *cid; /* NULL when unknown */
	const struct mf_cid *pin;
	const char *tier, *object; /* NULL: none */
	int error;
	bool follows; /* of a pin: what is missing was told before; this is not counted as a fault */
	bool accepted; /* the loss is, now; not counted either */
};

struct store_verify_options {
	/* Called now and then: bytes of segments, and of objects in tiers, read so far, of all. Non-zero stops the walk with
	 * that value. May be NULL. Must not wait. */
	int (*progress)(void *arg, uint64_t done, uint64_t total);
	/* Called for every fault. May be NULL. Must not wait. */
	void (*fault)(void *arg, const struct store_fault *fault);
	void *arg;
	bool skip_pins; /* only segments and index */
	/* What is damaged or missing in the segments is given up: it is told once more, the index forgets
	 * it, and neither an opening nor a verification complains of it again. Nothing is cut or removed. A
	 * store that only read writes again. Pins stay: those that need what is lost are faults until they
	 * are taken away, or what they need is put again. */
	bool accept_loss;
	/* Also reads the blocks that lie in tiers, all that the index has there, past the cache: what is damaged, or not there,
	 * is a fault, and counts as damaged from then on. A tier that cannot be asked is told once, and the rest goes on.
	 * An object whose own index is damaged, or that is not there, is asked for block by block. A collection may run while
	 * tiers are read. */
	bool tiers;
};
struct store_verify_result {
	uint64_t bytes, blocks; /* read and found good; a block stored twice counts twice */
	uint64_t pins;          /* looked at */
	uint64_t faults;
	uint64_t accepted;
};

/*
 * Reads every byte of every segment, passes every block through the gate, compares with the index,
 * and walks what the pins need. A damaged copy of a block that is whole elsewhere is no fault. Others may
 * put and get meanwhile; what they put after the start is not looked at. Returns 0 also when there are
 * faults (result->faults), of which what the disk does not give back is one; a negative code when the
 * looking itself failed. options may be NULL. Memory: a few MiB, 64 bytes a block under pins, and 256
 * bytes a block that is damaged; with tiers, some 100 bytes a block of the largest object.
 */
int store_verify(struct store *store, const struct store_verify_options *options,
	struct store_verify_result *result);

#ifdef __cplusplus
}
#endif
#endif
