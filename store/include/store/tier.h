/*
 * Tiers: colder places for blocks than the repo's own segments. A tier keeps objects, and every object is a CAR file of
 * version 2 with an index, which anybody can read; to the store it is a segment that lies elsewhere (a remote segment).
 * What a tier is made of, the layer above knows: it gives the store a table of verbs.
 *
 * Only raw leaves are moved to a tier; whatever may have links stays, so that listing, marking and walking never wait for
 * one. A block is in one place at a time as far as the index tells, and that place changes only when the copy was read
 * back and found the same, byte for byte, and is durable; the bytes it leaves behind are dead, and the next collection
 * gives them back. A remote segment in which nothing lives any more is given up by a collection, and its object removed by
 * store_tier_tend; what lives in one that a collection has found to be dead by more than half, store_tier_tend first writes
 * into a new one.
 *
 * No lock of the store is held while a tier is waited for: a slow one delays only who asks it. Every wait takes its
 * deadline from the scopes around it.
 */
#ifndef STORE_TIER_H
#define STORE_TIER_H

#include <store/block.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	STORE_TIER_NAME_MAX = 31, /* bytes; of a-z 0-9 - _ */
	STORE_TIER_WHY_MAX = 200,
};

/* The bytes of an object on its way out: up to size of them from offset on, fewer but not none before its end. May be
 * asked for the same ones again, and by several tasks. A negative code ends the writing. */
struct store_tier_source {
	ssize_t (*read)(void *arg, void *buffer, size_t size, uint64_t offset);
	void *arg;
	uint64_t size; /* in all */
};

/* What the store asks of a tier. Negative codes are the tier's own; ANYIO_CANCELLED and -ENOMEM are what they are. */
struct store_tier {
	/* How many bytes, fewer only at the object's end; -ENOENT: there is no such object. */
	ssize_t (*read)(void *arg, const char *object, uint64_t offset, void *buffer, size_t len);
	/* 0: it is there, whole and durable; else it may be there or not. */
	int (*write)(void *arg, const char *object, const struct store_tier_source *source);
	/* 0 also when there is none. */
	int (*remove)(void *arg, const char *object);
	/* When its last answer was a failure: that in words, and what to do about it; else NULL. May be NULL. */
	const char *(*why)(void *arg);
	void *arg;
	/* Whether it can be written to: 0, or why not. Asked before each write, while nothing is known of its object yet: who is
	 * refused now leaves nothing to be removed. May be NULL. */
	int (*ready)(void *arg);
};

/* Gives a tier its verbs, in place of those it had. -EINVAL: that is no name; -ENOMEM. */
int store_tier_attach(struct store *store, const char *name, const struct store_tier *tier);
/* Takes them away: no call of them begins any more; those under way are the caller's to wait for. What lies there can be had
 * no more, and is not forgotten. */
void store_tier_detach(struct store *store, const char *name);

/*
 * Does what is left to do in a tier: removes objects that nothing needs, those of moves that were cut off too; reads
 * the indexes of those whose blocks the store's own index, made anew, does not have yet; and writes what lives in those that
 * are dead by more than half, as the last collection of this store has found, into new ones. -ENODEV: it is not attached.
 * -EREMOTEIO: it fails (store_tier_stat says how); the rest is done another time. Objects that are damaged or not there are
 * passed over, and stay unread. Else the errors of store_put.
 */
int store_tier_tend(struct store *store, const char *name);
/*
 * Looks through the indexes of a tier's objects for blocks that were found damaged elsewhere, here or in another object, as what
 * was moved back lies there until a collection: *mended of them are found there from now on, and verified when they are
 * read, which is durable when this returns. It reads all those indexes. -EROFS: the repo is only read. -EREMOTEIO: it fails, perhaps
 * after some were found. Else as store_tier_tend.
 */
int store_tier_mend(struct store *store, const char *name, uint64_t *mended);

struct store_move_options {
	/* Bytes of blocks that are done; of what is written to a tier, half, and all when it is read back. A negative code ends
	 * the move, which returns it. May be NULL, must not wait. */
	int (*progress)(void *arg, uint64_t done);
	void *arg;
};
struct store_move_result {
	uint64_t blocks, bytes; /* that were moved */
	uint64_t skipped;       /* not here, there already, or not to be moved */
};
/*
 * Moves raw leaves to a tier, as one object. -ENODEV, -EREMOTEIO: as above. -EBADMSG: what was written reads back
 * differently, or a block is damaged here. -ENOENT: one of them went meanwhile. Nothing is moved then. The errors of store_put:
 * some may be moved, and store_tier_tend moves the others. options may be NULL. Memory: some 250 bytes a block.
 */
int store_demote(struct store *store, const char *tier, const struct mf_cid *cids, size_t count,
	const struct store_move_options *options, struct store_move_result *result);
/* Moves blocks back from whatever tiers they lie in. A tier that fails ends it; those before are moved. -EBADMSG: some
 * are damaged there; all others are moved. -EDQUOT: there is no room below the limit. Else the errors of store_get and store_put. */
int store_promote(struct store *store, const struct mf_cid *cids, size_t count,
	const struct store_move_options *options, struct store_move_result *result);

/* Where a block lies: 1, and the name of the tier, "" for the repo itself; 0: it is not here, or is damaged, then with the
 * tier's name all the same; or a negative code. Does not wait. */
int store_where(struct store *store, const struct mf_cid *cid, char tier[STORE_TIER_NAME_MAX + 1]);

/* Blocks of a store that somebody has picked out: a bit each, by where they lie. One that is moved, or written anew by a
 * collection, is not among them any more. */
struct store_marks;
/* 0 or -ENOMEM. */
int store_marks_create(struct store *store, struct store_marks **marks);
void store_marks_free(struct store_marks *marks);
/* Picks one: 0, also when it is not here or carries itself; or a negative code. Does not wait. */
int store_marks_add(struct store_marks *marks, const struct mf_cid *cid);
bool store_marks_has(struct store_marks *marks, const struct mf_cid *cid);

struct store_tier_stat {
	char name[STORE_TIER_NAME_MAX + 1];
	bool attached;
	uint64_t objects, blocks, bytes; /* that are there; bytes of the objects */
	uint64_t unwanted;               /* objects that are still to be removed */
	uint64_t unread;                 /* objects whose blocks are not in the index yet */
	/* Since the store was opened: */
	uint64_t reads, read_bytes, demoted, demoted_bytes, promoted, promoted_bytes, errors;
	int last_error; /* 0: none */
};
/* The tier of the first name behind `after` ("": the first of all), attached or known from what lies there: 1, or 0 at the
 * end. Does not wait. */
int store_tier_next(struct store *store, const char *after, struct store_tier_stat *out);
/* One of them; -ENODEV. */
int store_tier_stat(struct store *store, const char *name, struct store_tier_stat *out);

#ifdef __cplusplus
}
#endif
#endif
