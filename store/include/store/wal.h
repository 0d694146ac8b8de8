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
	uint64_t files;           /* of them, those that are there, as far as is known */
	uint32_t first, last;     /* their lowest and highest number; 0: there are none */
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
	uint64_t unfinished; /* as of struct store_recovery */
	uint64_t damaged;    /* places of durable log that are not what was written */
	uint64_t cut;        /* bytes behind the last commit, which an opening would cut */
};
struct store_wal_replay_options {
	bool all; /* from the very start, as when there is no index */
	/* Called at the end for each place that is damaged, or known to be missing, but for those whose loss was accepted;
	 * non-zero stops with that value. May be NULL, may wait. */
	int (*fault)(void *arg, uint32_t segment, uint64_t from, uint64_t to);
	/* Called now and then: bytes of segments gone over, of all. Non-zero stops with that value. May be NULL, must
	 * not wait. */
	int (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};
/*
 * Goes over the log as an opening after a crash at this moment would, from the checkpoint or the very start, and
 * changes nothing. options may be NULL. 0, also when something is damaged; the errors of an opening.
 */
int store_wal_replay(struct store *store, const struct store_wal_replay_options *options,
	struct store_wal_replay *out);

/* How a segment is exported, and where to. */
struct store_wal_export_options {
	int fd; /* open for writing; or -1, and write takes the bytes */
	bool place; /* it is a new regular file, which gets them from its start on; else whatever can be written to */
	bool unverified; /* the bytes as they lie */
	/* 0 or a code, which ends it. May wait. */
	int (*write)(void *arg, const void *data, size_t len);
	/* Called for each place that is not what was written: with the CID of the block that stands there, or NULL where
	 * that cannot be told. May be NULL, must not wait. */
	void (*fault)(void *arg, uint64_t from, uint64_t to, const struct mf_cid *cid);
	/* Called now and then with bytes verified and copied, of all that are to be; non-zero ends it with that
	 * value. May be NULL. */
	int (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct store_wal_exported {
	uint64_t bytes;  /* of the archive */
	uint64_t faults; /* places that are not what was written; what was given up is among them */
	bool remote;     /* it lies in a tier */
};

/*
 * Writes a segment as the CARv1 file it is: its header, and all sections up to its durable end, those of
 * records and of blocks that nobody needs any more among them; of an adopted CARv2 the archive in it, as it was
 * adopted. The bytes are copied by the kernel where it can do that, without passing through here. A collection does not
 * wait for it, and what is exported stays there until it is done.
 *
 * First every block in it is verified, and nothing is written when one is not what it was: -EBADMSG. What the kernel
 * copies then is not looked at again, but of a linked file (store/adopt.h) whether it is the same still: -ESTALE. Other
 * errors: -ENOENT: there is no such segment, or a collection has taken it away, or an adopted file is not what it was; or
 * it is remote: only its blocks can be read. What reading and writing give. Memory: some 10 MiB.
 */
int store_wal_export(struct store *store, uint32_t segment,
	const struct store_wal_export_options *options, struct store_wal_exported *exported);

#ifdef __cplusplus
}
#endif
#endif
