/*
 * Where each block lies, and the state that the operation log makes (store/state.h).
 *
 * Three generations: what is new (fresh), what a checkpoint is writing right now (frozen), and
 * LMDB. A question is put to them in that order. A checkpoint freezes the fresh one at the very
 * moment a commit is written, waits until that commit is durable, and then writes the frozen one to
 * LMDB on a worker thread, in synced transactions, the last with the commit's position. So LMDB always has
 * both logs up to that durable commit, and nothing that is not durable; in the midst of it, and when it fails, some of what comes
 * behind that too, which it may be told again. If that write fails the frozen generation
 * stays, and the next checkpoint begins with it.
 *
 * The loop's thread reads LMDB, in transactions that never outlive a call.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include <lmdb.h>
#include <multiformats/cid.h>
#include <multiformats/multihash.h>
#include <store/state.h>
#include "table.h"

enum index_state {
	INDEX_PRESENT,
	INDEX_DAMAGED, /* its bytes were found not to match: counts as absent, and is remembered */
	INDEX_GONE,    /* never there, or given up */
};

enum { INDEX_OFFSET_BITS = 48 };

struct index_place {
	uint64_t offset;   /* of the data in the segment, in so many bits */
	uint64_t sequence; /* of the commit that makes it durable; 0: long since durable */
	uint32_t segment;
	uint32_t len;
	uint32_t codec;
	uint32_t ordinal; /* of the block in its segment: no other that the index knows has it */
	uint8_t version;
	uint8_t state;
};

struct index_state_value {
	uint64_t sequence;
	uint8_t *bytes; /* NULL: taken away */
	uint64_t len;
};

/* What stands for a block's hash (index_block_key), or the space of a piece of state and its key. */
struct index_key {
	uint16_t len;
	uint8_t bytes[1 + STORE_STATE_KEY_MAX];
};

_Static_assert((int)STORE_STATE_KEY_MAX >= (int)MF_CID_BYTES_MAX, "a CID is a key");

/* A commit in the log. */
struct index_position {
	uint32_t segment; /* 0: none */
	uint64_t offset;  /* of its section */
	uint64_t end;     /* of it */
	uint64_t sequence;
	uint32_t ordinal; /* of the next block */
};

/* A place in the operation log. */
struct ops_position {
	uint32_t generation; /* 0: none */
	uint64_t end;
};

struct index_counts {
	uint64_t blocks, bytes, pins;
	uint64_t state_bytes; /* keys and values of all state */
};

/* What LMDB says of itself. */
struct index_meta {
	struct index_position position; /* it holds the log up to here, and may know more */
	struct ops_position ops;        /* and the operation log */
	struct index_counts counts;     /* of its entries */
	uint64_t sum;                   /* of all entries of blocks and state: index_trust.h */
};

struct index_generation {
	struct table blocks, state;
	struct index_position position; /* of a frozen one */
	struct ops_position ops;
	struct index_counts counts; /* of all generations up to this one, when frozen */
	bool used;
};

/* An entry of a table, for whoever wants them in the order of their keys. */
struct index_sorted {
	const uint8_t *key;
	size_t len;
	void *value;
};

struct index {
	char *dir;
	uint8_t repo[16];
	MDB_env *env;
	MDB_dbi blocks, state, meta;
	MDB_txn *reader;
	struct index_generation fresh, frozen;
	/* Only read: what is frozen stays where it is, and here it is in order (index_kept.c); blocks, and state. */
	bool only_read;
	struct index_sorted *kept[2];
	size_t kept_count[2];
	struct index_counts counts; /* of everything */
	struct index_meta written;  /* as the last checkpoint left it */
	size_t promised;  /* blocks for which a put may have reserved room it has not used */
	uint64_t damaged; /* blocks that were found to be, since the opening */
	bool sparing; /* its file counts: it is written in smaller parts, which takes longer and less room */
	bool suspect;  /* LMDB's file is damaged: it will be made anew by the next opening */
	bool doubtful; /* it may be: the next opening will look it over first */
	int unsynced; /* why the name of its file may not be there to stay: nothing is written until the next opening */
};

/* Opens or makes the index in dir (which exists). *position is that of its last checkpoint, or
 * empty when it is new or had to be made anew. 0 or a negative code. */
int index_open(struct index *index, const char *dir, const uint8_t repo[16],
	struct index_position *position);
/* The same where nothing can be written: one that is missing, or cannot be believed, is empty, and stays so in LMDB. */
int index_open_to_read(struct index *index, const char *dir, const uint8_t repo[16],
	struct index_position *position);
/* What is not written is gone. */
void index_close(struct index *index);
/* Empties it, memory and disk. */
int index_clear(struct index *index);

void index_block_key(struct index_key *key, const struct mf_cid *cid);
void index_state_key(struct index_key *key, uint8_t space, const void *bytes, size_t len);

/* 1 and the place; 0 when absent: place->state says whether it is damaged at *place, or gone; or a
 * negative code. */
int index_find(struct index *index, const struct mf_cid *cid, struct index_place *place);
/* The same as it was before anything of a higher sequence than `durable`. */
int index_find_durable(
	struct index *index, const struct mf_cid *cid, uint64_t durable, struct index_place *place);
/* How many blocks are here by what is newer than that only. */
uint64_t index_count_after(const struct index *index, uint64_t durable);
/* Room for count blocks in memory, which stays his who reserved it (one task at a time)
 * until he has put that many, however long he waits in between: 0 or -ENOMEM. */
int index_reserve(struct index *index, size_t count);
/* Room was reserved. add: the block is known to be absent; put: what was there before, if anything,
 * is replaced. */
void index_add(struct index *index, const struct mf_cid *cid, const struct index_place *place);
void index_put(struct index *index, const struct mf_cid *cid, const struct index_place *place);
/* The same of one that index_find has just found there, well or damaged. */
void index_move(struct index *index, const struct mf_cid *cid, const struct index_place *found,
	const struct index_place *place);
/* From now on the block counts as absent, if it is still at this place: it is damaged there. Whether it did not before. */
bool index_forget(struct index *index, const struct mf_cid *cid, const struct index_place *place);
/* The same for one that is given up: nothing is remembered. 0 or -ENOMEM. */
int index_drop(struct index *index, const struct mf_cid *cid, const struct index_place *place);
/* The same of one that index_find has just found there, well or damaged. */
int index_drop_found(
	struct index *index, const struct mf_cid *cid, const struct index_place *found);

/* The value, copied up to size bytes: its length, -ENOENT, or another negative code; *sequence as in a place. */
ssize_t index_state_find(struct index *index, const struct index_key *key, void *value, size_t size,
	uint64_t *sequence);
/* value NULL: takes it away. 0; or a negative code, and nothing is changed. */
int index_state_put(struct index *index, const struct index_key *key, const void *value, size_t len,
	uint64_t sequence);

/* New things not yet frozen. */
size_t index_fresh(const struct index *index);
/* Those, and what is frozen. */
size_t index_unwritten(const struct index *index);
/* Freezes what is fresh; nothing is frozen yet. */
void index_freeze(
	struct index *index, const struct index_position *position, const struct ops_position *ops);
/* Writes what is frozen, if anything: 0 or a negative code. Waits. Only read: it is kept in memory from then on, for good,
 * and is found by those who go through what is written. */
int index_write(struct index *index);

/* The first piece of state written whose key is after *key (any, when key->len is 0), and its value, of up to
 * STORE_STATE_VALUE_MAX bytes: 1, 0 at the end, or a negative code. Only sees LMDB. */
int index_next_state(struct index *index, struct index_key *key, uint8_t *value, size_t *len);

/* Up to `most` blocks written whose keys are after *key (any, when key->len is 0), damaged ones too, in the order of their keys,
 * and where each is now, which may be nowhere; the last key replaces *key. How many; 0 at the end; or a negative code. What was
 * never written is not seen. */
struct index_block {
	struct index_key key;
	struct mf_cid cid;
	struct index_place place;
};
ssize_t index_next_blocks(
	struct index *index, struct index_key *key, struct index_block *blocks, size_t most);

/* Has the file read into memory, where lookups find it without waiting for the disk. */
int index_fetch(struct index *index);

uint64_t index_file_size(const struct index *index);
/* The same, or as large as it comes to be in the course of time with what is in it by now, if that is more. */
uint64_t index_grown_size(const struct index *index);
enum { INDEX_GROWN_BLOCK = 125 }; /* bytes, of that, for a block */

/* Whether its file is of at least so many bytes, and mostly empty; and how many it would be of without gaps. */
bool index_is_loose(const struct index *index, uint64_t least, uint64_t *bytes);
/* Writes its file anew, without gaps, which takes so many bytes; nothing is frozen, and nobody writes it meanwhile. 0, also when
 * there was no room for that or anything else was in its way; -EUCLEAN: what was written is damaged; or why it cannot be written
 * to any more. Waits. */
int index_compact(struct index *index, uint64_t bytes);

/* Bytes free, for us, on the disk of a folder; UINT64_MAX where that cannot be told. A short call to the kernel. */
uint64_t disk_room(const char *folder);

#endif
