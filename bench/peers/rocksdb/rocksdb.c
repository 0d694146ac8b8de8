/*
 * RocksDB with BlobDB: values lie in blob files, keys in the tree. A batch a group, its log synced.
 * Nothing is compressed, keys have a Bloom filter and a cache that holds all of them.
 */
#include "../../store/work.h"

#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>

enum { CACHE = 256 << 20, FILTER_BITS = 10, FORCE = 3 /* kForceOptimized */ };

static rocksdb_t *db;
static rocksdb_options_t *options;
static rocksdb_writeoptions_t *synced;
static rocksdb_readoptions_t *reads;
static rocksdb_pinnableslice_t *got;

static void fail_if(const char *error)
{
	if (error) {
		fprintf(stderr, "rocksdb: %s\n", error);
		exit(1);
	}
}

static void open_rocksdb(const struct work *work)
{
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
	char *error = NULL;

	rocksdb_block_based_options_set_block_cache(table, rocksdb_cache_create_lru(CACHE));
	rocksdb_block_based_options_set_filter_policy(
		table, rocksdb_filterpolicy_create_bloom_full(FILTER_BITS));
	options = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_block_based_table_factory(options, table);
	rocksdb_options_set_compression(options, rocksdb_no_compression);
	rocksdb_options_set_enable_blob_files(options, 1);
	rocksdb_options_set_min_blob_size(options, 0);
	rocksdb_options_set_blob_compression_type(options, rocksdb_no_compression);
	rocksdb_options_set_enable_blob_gc(options, 1);
	rocksdb_options_set_blob_gc_age_cutoff(options, 1);
	synced = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(synced, 1);
	reads = rocksdb_readoptions_create();
	db = rocksdb_open(options, work->dir, &error);
	fail_if(error);
}

static void put(const struct work *work, size_t first, size_t n)
{
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	char *error = NULL;

	for (size_t i = 0; i < n; i++)
		rocksdb_writebatch_put(batch, (const char *)work->keys[first + i], KEY,
			(const char *)work->data + i * work->size, work->size);
	rocksdb_write(db, synced, batch, &error);
	fail_if(error);
	rocksdb_writebatch_destroy(batch);
}

static const uint8_t *get(const struct work *work, size_t number)
{
	char *error = NULL;
	size_t len = 0;

	if (got)
		rocksdb_pinnableslice_destroy(got);
	got = rocksdb_get_pinned(db, reads, (const char *)work->keys[number], KEY, &error);
	fail_if(error);
	const char *data = rocksdb_pinnableslice_value(got, &len);
	if (len != work->size)
		fail_if("a block is missing");
	return (const uint8_t *)data;
}

/* Deletes are synced once; then all is compacted, blobs too. */
static void halve(const struct work *work)
{
	rocksdb_writeoptions_t *unsynced = rocksdb_writeoptions_create();
	rocksdb_compactoptions_t *all = rocksdb_compactoptions_create();
	char *error = NULL;

	for (size_t first = GROUP; first < work->count; first += 2 * GROUP) {
		rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
		for (size_t i = first; i < first + GROUP && i < work->count; i++)
			rocksdb_writebatch_delete(batch, (const char *)work->keys[i], KEY);
		rocksdb_write(
			db, first + 2 * GROUP < work->count ? unsynced : synced, batch, &error);
		fail_if(error);
		rocksdb_writebatch_destroy(batch);
	}
	rocksdb_compactoptions_set_bottommost_level_compaction(all, FORCE);
	rocksdb_compact_range_opt(db, all, NULL, 0, NULL, 0);
	rocksdb_compactoptions_destroy(all);
	rocksdb_writeoptions_destroy(unsynced);
}

static void close_rocksdb(const struct work *work)
{
	if (got)
		rocksdb_pinnableslice_destroy(got);
	rocksdb_close(db);
}

int main(int argc, char **argv)
{
	static const struct engine rocksdb = { "rocksdb", open_rocksdb, put, get, close_rocksdb,
		.halve = halve };

	return work_main(argc, argv, (const struct engine *const[]){ &rocksdb, NULL });
}
