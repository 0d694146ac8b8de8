/*
 * The logs seen from outside, that of the blocks and that of operations: how far they are durable, what lies
 * where, and what an opening would read again.
 */
#ifndef STORE_WAL_H
#define STORE_WAL_H

#include <store/pin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A place in the log. */
struct store_wal_place {
	uint32_t segment;  /* NNNNNNNN.car; 0: nothing yet */
	uint64_t offset;   /* bytes from its start */
	uint64_t sequence; /* of the commit that ends there */
};

struct store_wal_status {
	struct store_wal_place durable;    /* acknowledged up to here */
	struct store_wal_place end;        /* appended up to here; sequence is the next commit's */
	struct store_wal_place checkpoint; /* the index on disk knows all up to here */
	uint64_t pending_bytes;            /* appended, not durable: not acknowledged to anybody */
	uint64_t
		behind_bytes; /* from the checkpoint to the durable end: what an opening after a crash
	                         * reads again */
	uint64_t behind_entries;  /* blocks and state the index holds in memory only */
	uint64_t segments, bytes; /* of all segments */
	uint32_t operations;      /* the number of the operation log's file */
	uint64_t operations_bytes, operations_pending; /* of it; appended, not durable */
	uint64_t syncs; /* that made something durable, since the store was opened */
	int stopped; /* 0; or why nothing is written any more: ANYIO_BROKEN, -EUCLEAN (store_put) */
};
/* Does not wait. */
void store_wal_status(struct store *store, struct store_wal_status *out);

enum store_wal_kind {
	STORE_WAL_SEGMENT, /* begins a segment; of: the one before it (0: none), which was `to` bytes long */
	STORE_WAL_BLOCK,  /* cid, len bytes of data */
	STORE_WAL_COMMIT, /* ends a group of `count` sections that starts at `from` */
	STORE_WAL_VOID,   /* segment `of`, bytes from..to: nobody is to believe them */
	STORE_WAL_FILL,   /* zeros up to a boundary */
	STORE_WAL_LOST,   /* bytes that make no sense */
	STORE_WAL_ADOPTED, /* the segment was adopted: its sections are from..to, and none of the log */
	/* Of the operation log: */
	STORE_WAL_PIN,   /* cid, mode: NONE takes it away */
	STORE_WAL_STATE, /* of: the space; len bytes of value, mode NONE: it is taken away */
};

struct store_wal_entry {
	enum store_wal_kind kind;
	uint32_t segment;     /* 0: it is of the operation log */
	uint32_t operations;  /* the number of its file */
	uint64_t offset, end; /* bytes of the section, or the operation, in the file */
	uint64_t
		sequence; /* of the commit that covers it, or is to; 0 when bytes before it are lost */
	bool durable;     /* else it is written, but not yet acknowledged */
	bool linked;      /* of an adopted segment: it is a link to somebody else's file */
	bool intact; /* of a commit: its group's heads are exactly what was written. Blocks are not read:
	              * store_verify does */
	struct mf_cid cid;
	uint64_t len;
	enum store_pin_mode mode;
	uint32_t of;
	uint64_t from, to, count;
};

/*
 * Calls each for the sections of the log in their order, as far as they are written now: of all segments from
 * number `segment` on (0: all, and then of the operation log), in that one those that end behind offset. each
 * may wait, and returns non-zero to stop with that value. Heads are read, blocks are passed over. A segment that is
 * missing is passed over too (store_verify tells). -EIO, -ENOMEM, ANYIO_CANCELLED.
 */
int store_wal_each(struct store *store, uint32_t segment, uint64_t offset,
	int (*each)(void *arg, const struct store_wal_entry *entry), void *arg);

struct store_wal_replay {
	uint64_t bytes;  /* of log read */
	uint64_t blocks; /* that the index would be given */
	uint64_t operations;
	uint64_t
		unfinished; /* places that were never acknowledged, and did not reach the disk whole */
	uint64_t damaged; /* places of durable log that are not what was written */
	uint64_t cut;     /* bytes behind the last commit, which an opening would cut */
};
/*
 * Goes over the log as an opening after a crash at this moment would, from the checkpoint (all: from the very
 * start, as when there is no index), and changes nothing. At the end fault, which may be NULL and may wait, is
 * called for each place that is damaged, or known to be missing, but for those whose loss was accepted; non-zero
 * stops with that value. 0, also when something is damaged; the errors of an opening.
 */
int store_wal_replay(struct store *store, bool all,
	int (*fault)(void *arg, uint32_t segment, uint64_t from, uint64_t to), void *arg,
	struct store_wal_replay *out);

#ifdef __cplusplus
}
#endif
#endif
