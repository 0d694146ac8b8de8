/* Whether the index on disk can be believed. Private to index_db.c and index_compact.c. */
#ifndef STORE_INDEX_TRUST_H
#define STORE_INDEX_TRUST_H

#include <limits.h>
#include "index.h"
#include "index_pages.h"

enum {
	INDEX_FORMAT = 7,
	INDEX_BLOCK_SIZE = 18,    /* bytes of a block's entry, */
	INDEX_BLOCK_MAX = 22,     /* or, with a rare codec, these */
	INDEX_DAMAGED_BIT = 0x80, /* of its first */
	INDEX_META_SIZE = 112,
};

/* 1 when the index in index->dir may be opened, or there is none; 0 when it must be made anew; or
 * a negative code. From now on it is not sealed; *sealed tells whether it was. Only read: nothing is touched, and the seal
 * counts for nothing. Blocks. */
int index_trusted(const struct index *index, bool *sealed);
/* The names in index->dir are there to stay: 0 or a negative code. Blocks. */
int index_sync_names(const struct index *index);
/* It is closed, and as it should be. Failing only costs the next opening time. */
void index_seal(const struct index *index);
/* Takes away what stands at a name in index->dir, if anything; a folder that holds something is
 * somebody's, and is renamed. 0 or a negative code. */
int index_clear_name(const struct index *index, const char *name);

/* The path of a name in index->dir; false when that is too long. */
bool index_path(const struct index *index, const char *name, char path[PATH_MAX]);
/* Room on the disk for a lock file, which LMDB writes through memory: there a full disk would be SIGBUS.
 * 0 or a negative code. */
int index_reserve_lock(const struct index *index, const char *name);

/* What an entry adds to the sum of all. */
uint64_t index_entry_sum(const struct index *index, enum index_table table, const void *key,
	size_t key_len, const void *value, size_t len);

extern const char index_meta_key[11];
void index_meta_encode(
	const struct index *index, const struct index_meta *meta, uint8_t out[INDEX_META_SIZE]);
/* False when this is not what was encoded, or is not this repo's. */
bool index_meta_decode(
	const struct index *index, const uint8_t *in, size_t len, struct index_meta *meta);

#endif
