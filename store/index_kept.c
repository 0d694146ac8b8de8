/*
 * What is new of an index that is only read. It cannot go to LMDB, so it stays in the frozen generation, whose entries move no
 * more; and whoever goes through the index in the order of its keys meets them between those of LMDB.
 */
#include "index_db.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <anyio/memory.h>
#include "index_pages.h"

static int compare_keys(const void *a, size_t a_len, const void *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare(const void *a, const void *b)
{
	const struct index_sorted *x = a, *y = b;

	return compare_keys(x->key, x->len, y->key, y->len);
}

void index_sort(const struct table *table, struct index_sorted *out)
{
	size_t at = 0, n = 0;

	while (table_walk(table, &at, &out[n].key, &out[n].len, &out[n].value))
		n++;
	qsort(out, n, sizeof(*out), compare);
}

int index_keep(struct index *index)
{
	const struct table *tables[] = {
		[INDEX_BLOCKS] = &index->frozen.blocks, [INDEX_STATE] = &index->frozen.state
	};

	index_let_go(index);
	for (int i = 0; i < 2; i++) {
		index->kept[i] = anyio_calloc(tables[i]->count + 1, sizeof(*index->kept[i]));
		if (!index->kept[i])
			return -ENOMEM;
		index_sort(tables[i], index->kept[i]);
		index->kept_count[i] = tables[i]->count;
	}
	return 0;
}

void index_let_go(struct index *index)
{
	for (int i = 0; i < 2; i++) {
		anyio_free(index->kept[i]);
		index->kept[i] = NULL;
		index->kept_count[i] = 0;
	}
}

/* The first one behind a key whose place among those written, if there is one, is not before it: its key replaces *key. */
static const struct index_sorted *next_kept(struct index *index, enum index_table table,
	const struct index_key *after, bool written, struct index_key *key)
{
	const struct index_sorted *kept = index->kept[table];
	size_t from = 0, to = index->kept_count[table];

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (compare_keys(kept[middle].key, kept[middle].len, after->bytes, after->len) > 0)
			to = middle;
		else
			from = middle + 1;
	}
	if (from == index->kept_count[table])
		return NULL;
	kept += from;
	if (written && compare_keys(kept->key, kept->len, key->bytes, key->len) > 0)
		return NULL;
	key->len = kept->len;
	memcpy(key->bytes, kept->key, kept->len);
	return kept;
}

int index_next_state(struct index *index, struct index_key *key, uint8_t *value, size_t *len)
{
	const struct index_key before = *key;
	int rc = index_db_next_state(index, key, value, len);
	const struct index_sorted *kept =
		rc < 0 ? NULL : next_kept(index, INDEX_STATE, &before, rc > 0, key);

	if (!kept)
		return rc;
	const struct index_state_value *now = kept->value;
	*len = now->bytes ? now->len : 0;
	if (now->bytes)
		memcpy(value, now->bytes, now->len);
	return 1;
}

ssize_t index_kept_next_block(struct index *index, struct index_key *key, struct index_block *block)
{
	const struct index_key before = *key;
	ssize_t count = index_db_next_blocks(index, key, block, 1);
	const struct index_sorted *kept =
		count < 0 ? NULL : next_kept(index, INDEX_BLOCKS, &before, count > 0, key);

	if (!kept)
		return count;
	block->key = *key;
	block->place = *(const struct index_place *)kept->value;
	return 1;
}
