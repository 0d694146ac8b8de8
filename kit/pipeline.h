/*
 * Blocks on their way into the store, many at a time.
 *
 * A batch is a large buffer that chunks are read into, with room around each for the few bytes that
 * make it a dag-pb leaf. Full batches go down a pipeline: one task hashes them on all cores, another
 * appends them to the log, while the caller reads the next. So reading, hashing and writing go on
 * at the same time, and nothing is copied.
 */
#ifndef KIT_PIPELINE_H
#define KIT_PIPELINE_H

#include "journal.h"
#include "node.h"

enum {
	BATCH_BYTES = 4 << 20,      /* of one batch's buffer, or two slots */
	BATCH_BYTES_MAX = 16 << 20, /* where so many chunks as fill it are hashed at once */
	BATCH_BLOCKS = 1024,
	BATCHES = 3,         /* one being read, one hashed, one written */
	BATCHES_CHECKED = 2, /* one read and hashed while the other is written */
	BATCH_HEAD = 32,     /* room before a chunk for a leaf's head, and after it for its tail */
	BATCH_TAIL = 16,
	READ_LEAST = 64 << 10, /* asked of a source at a time */
	/* So much is put between two syncs. */
	SYNC_BYTES = 64 << 20,
	SYNC_BLOCKS = 2048,
};

struct batch {
	uint8_t *data;
	size_t used, size;
	size_t held; /* in the node's room */
	struct store_block blocks[BATCH_BLOCKS];
	uint32_t file_bytes[BATCH_BLOCKS]; /* of leaves: the chunk's length */
	uint64_t places[BATCH_BLOCKS];     /* of blocks to be checked: where they came from */
	int results[BATCH_BLOCKS];         /* of hashing */
	uint64_t number;      /* they are filled, hashed and put in this order, from 1 */
	size_t count, hashed; /* blocks[hashed..count) are leaves of the open file, CIDs unknown */
};

struct pipeline {
	struct kit_node *node;
	bool only_hash;
	bool checking; /* blocks come with CIDs, and are not believed */
	struct unixfs_profile profile;
	size_t slot, head,
		align; /* of a chunk in a batch: its room, of that before it, where it begins */
	store_ticket ticket;
	struct batch *batches[BATCHES];
	struct batch *filling; /* the caller's; NULL when none is at hand */
	uint8_t *ahead;        /* what was read of the source beyond a small chunk */
	size_t ahead_start, ahead_end;
	bool reading;                  /* bytes are being read into filling, behind what is used */
	struct anyio_task_group group; /* of the two tasks */
	struct anyio_sender *to_hash, *to_put, *to_free;
	struct anyio_receiver *from_read, *from_hash, *free;
	struct unixfs_file_builder *builder; /* of the open file */
	uint64_t number;                     /* of the batch last begun */
	struct journal *journal;             /* NULL: none is kept */
	size_t in_flight;                    /* batches between the caller and the end of hashing */
	struct anyio_event hashed; /* set when in_flight falls to 0, and when the hasher ends */
	bool hasher_ended;
	int failure; /* of hashing or putting: sticks */
	/* The first block that did not pass; what came before it is put, what came after it is not. */
	struct {
		struct mf_cid cid;
		uint64_t place;
		int rc;
	} refused;
	struct kit_imported taken; /* of those checked: what was put */
};

/* Enters a task group and starts the two tasks in it: pipeline_end must come from the same task, and
 * scopes entered in between must be left by then. On failure there is nothing to end. */
int pipeline_begin(struct pipeline *pipeline, struct kit_node *node,
	const struct unixfs_profile *profile, bool only_hash);
/* The same for blocks that come with their CIDs, by pipeline_room and pipeline_check. */
int pipeline_begin_checking(struct pipeline *pipeline, struct kit_node *node);
/* Sends what is left and waits until all of it is in the log (not yet synced: see ticket). */
int pipeline_flush(struct pipeline *pipeline);
/* Ends the tasks, leaves the group and frees everything but the pipeline itself. Returns rc, or what
 * went wrong; without pipeline_flush before it, what was still under way is given up. */
int pipeline_end(struct pipeline *pipeline, int rc);

/* Reads one file from a source: chunks, leaves, tree. The first leaves may be known already: source
 * then begins behind them. */
int pipeline_file(struct pipeline *pipeline, const struct kit_source *source,
	const struct journal_leaf *leaves, size_t count, const struct unixfs_meta *meta,
	void (*progress)(void *arg, size_t bytes), void *arg, struct unixfs_built *root);
/* What the builder is told of a leaf that an earlier run made. */
void pipeline_known_leaf(const struct unixfs_profile *profile, const struct journal_leaf *known,
	struct unixfs_built *leaf);
/* Appends a finished block (copied). The unixfs_emit_fn of builders. */
int pipeline_put(void *pipeline, const struct mf_cid *cid, const void *block, size_t len);
/* Room for a block of len bytes, which the caller fills. What earlier ones met is returned: see refused, and
 * failure. */
int pipeline_room(struct pipeline *pipeline, size_t len, uint8_t **data);
/* Appends the block that was filled in there, which has yet to pass the gate; place is told when it does not. */
void pipeline_check(struct pipeline *pipeline, const struct mf_cid *cid, const uint8_t *data,
	size_t len, uint64_t place);

#endif
