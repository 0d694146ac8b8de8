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
/* As index_next_state. */
int index_db_next_state(struct index *index, struct index_key *key, uint8_t *value, size_t *len);
/* As index_state_find. */
ssize_t index_db_state(struct index *index, const struct index_key *key, void *value, size_t size);

/* A code of LMDB's as one of ours: its own mean that its file is not what it should be. */
int index_db_code(int rc);
/* Takes away what a compaction that did not end left: 0 or a negative code (index_compact.c). */
int index_compact_clear(const struct index *index);

/* Writes index->frozen, growing the map as needed. Waits on a worker thread. */
int index_db_write(struct index *index);

/* All entries of a table, in the order of their keys, so that neighbours in the tree are written together. */
void index_sort(const struct table *table, struct index_sorted *out);

/* What is frozen is kept, in order: 0 or -ENOMEM; and given back (index_kept.c). */
int index_keep(struct index *index);
void index_let_go(struct index *index);
/* As index_next_blocks, of one block, of those written and those kept. */
ssize_t index_kept_next_block(
	struct index *index, struct index_key *key, struct index_block *block);

#endif
