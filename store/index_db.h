/* The index's part on disk. Private to index.c, but for what is asked without one (wal.c). */
#ifndef STORE_INDEX_DB_H
#define STORE_INDEX_DB_H

#include "index.h"

int index_db_open(struct index *index, struct index_position *position);
void index_db_close(struct index *index);
int index_db_remove(struct index *index);

/* 1, 0 or a negative code. */
int index_db_block(struct index *index, const struct index_key *key, struct index_place *place);
/* Up to `most` entries after *key, which the last one's replaces, keys and places: how many, or a negative code. */
ssize_t index_db_next_blocks(
	struct index *index, struct index_key *key, struct index_block *blocks, size_t most);
/* As index_state_find. */
ssize_t index_db_state(struct index *index, const struct index_key *key, void *value, size_t size);

/* A code of LMDB's as one of ours: its own mean that its file is not what it should be. */
int index_db_code(int rc);
/* Takes away what a compaction that did not end left: 0 or a negative code (index_compact.c). */
int index_compact_clear(const struct index *index);

/* Writes index->frozen, growing the map as needed. Waits on a worker thread. */
int index_db_write(struct index *index);

#endif
