/*
 * The operation log: DIR/ops/NNNNNNNN.log, one file that counts, the one of the highest number (generation).
 *
 * What is appended waits in memory for the sync that makes it durable, together with the blocks put before it:
 * both files are written, the segment with a commit, this one with a batch of that commit's sequence, and both
 * synced; then it is acknowledged. After a crash a batch counts when the commit of its sequence is in the
 * segments, and no group up to it is torn: so no operation is there without the blocks it came after. What follows
 * the last batch that counts is cut.
 *
 * A batch is written only when the one before is durable. So bytes that are no batch, and have one behind them,
 * are damaged, and those at the end are what a crash left.
 *
 * LMDB holds the fold of the log up to a place in it (index->written.ops). When the file has grown much longer than what
 * it says, the next generation is written: that fold, whose batches have no sequence, as no crash takes them back, and what came
 * since; behind each an empty batch, by which it is known up to where the file says all, and what is damaged has one behind
 * it. It is made whole under another name, and renamed.
 *
 * Append, reserve and flush are called with store->writing held; syncing and rewriting with store->syncing.
 */
#ifndef STORE_OPS_H
#define STORE_OPS_H

#include "index.h"
#include "ops_batch.h"

struct store;
struct store_recovery;

struct ops {
	int dir_fd, fd; /* -1 */
	uint32_t generation;
	uint64_t end, durable_end; /* of what is written, of what is synced of it */
	uint8_t *batch; /* what is appended: head and operations, with room for the seal */
	size_t used, room;
	struct ops_reading *readings; /* those under way */
	bool lost; /* the file is missing, too short, or damaged: nothing is written to it */
};

/* Finds the file, or makes the first one when `first`; what older generations or an interrupted making left is
 * taken away. Whether it is all there, as the index knows it, ops->lost tells. 0 or a negative code. */
int ops_open(struct store *store, bool first, struct store_recovery *recovery);
void ops_close(struct ops *ops);

/* What becomes of what is read. Each may return a negative code to stop, and may wait; either may be NULL. */
struct ops_calls {
	int (*operation)(void *arg, uint64_t offset, uint64_t sequence,
		const struct ops_operation *operation);
	/* These bytes are not what was written. */
	int (*damaged)(void *arg, uint64_t from, uint64_t to);
	/* A batch, before its operations. */
	int (*batch)(void *arg, uint64_t sequence);
};
/* Reads the file that counts when it begins, whatever is renamed meanwhile, from a place on, up to the first batch of a
 * sequence above `last`. *end: where that, or what is no batch any more, begins. */
int ops_read(struct store *store, uint64_t from, uint64_t last, const struct ops_calls *calls,
	void *arg, uint64_t *end);

/* What LMDB holds of this file: where to read on (past its end, when LMDB knows a later one). */
uint64_t ops_known(const struct store *store);
/* The file ends here: what follows is cut, durably; or, of a store that only reads, counts for nothing. */
int ops_cut(struct store *store, uint64_t end);
/* Says, durably, that up to a sequence nothing else is to come: whatever commits tell of it was never acknowledged. */
int ops_mark(struct store *store, uint64_t sequence);

/* Room for one more operation: 0, -ENOMEM, or -EAGAIN: not before a sync. */
int ops_reserve(struct ops *ops);
void ops_append(struct ops *ops, const struct ops_operation *operation);
bool ops_pending(const struct ops *ops);
/* Writes what was appended, as a batch of this sequence. */
int ops_flush(struct store *store, uint64_t sequence);
int ops_sync(struct ops *ops);
/* Gives the memory back, if nothing is in it. */
void ops_rest(struct ops *ops);

/* Whether the file has grown longer than it is worth. */
bool ops_is_long(const struct store *store);
/* Writes the next generation. LMDB holds all that is durable up to index->written.ops, and nothing is written to it
 * meanwhile (the lock `checkpointing`). */
int ops_rewrite(struct store *store);

#endif
