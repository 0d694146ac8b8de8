/* LMDB alone: blocks are its values. Synced, as it comes; a read transaction for each read. */
#include "engines.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>

static MDB_env *env;
static MDB_dbi dbi;
static MDB_txn *reading;

static void fail_if(int rc, const char *what)
{
	if (rc) {
		fprintf(stderr, "lmdb: %s: %s\n", what, mdb_strerror(rc));
		exit(1);
	}
}

static void open_lmdb(const struct work *work)
{
	MDB_txn *txn;

	fail_if(mdb_env_create(&env), "create");
	/* Twice the blocks with a page more each: only address space. */
	fail_if(mdb_env_set_mapsize(env, (1u << 30) + 2 * work->count * (work->size + 4096)),
		"mapsize");
	fail_if(mdb_env_open(env, work->dir, 0, 0600), "open");
	fail_if(mdb_txn_begin(env, NULL, 0, &txn), "begin");
	fail_if(mdb_dbi_open(txn, NULL, 0, &dbi), "dbi");
	fail_if(mdb_txn_commit(txn), "commit");
	fail_if(mdb_txn_begin(env, NULL, MDB_RDONLY, &reading), "begin");
	mdb_txn_reset(reading);
}

static void put(const struct work *work, size_t first, size_t n)
{
	MDB_txn *txn;

	fail_if(mdb_txn_begin(env, NULL, 0, &txn), "begin");
	for (size_t i = 0; i < n; i++) {
		MDB_val key = { KEY, work->keys[first + i] };
		MDB_val value = { work->size, work->data + i * work->size };
		fail_if(mdb_put(txn, dbi, &key, &value, MDB_NOOVERWRITE), "put");
	}
	fail_if(mdb_txn_commit(txn), "commit");
}

static const uint8_t *get(const struct work *work, size_t number)
{
	MDB_val key = { KEY, work->keys[number] }, value;

	mdb_txn_reset(reading);
	fail_if(mdb_txn_renew(reading), "renew");
	fail_if(mdb_get(reading, dbi, &key, &value), "get");
	return value.mv_data;
}

static void close_lmdb(const struct work *work)
{
	mdb_txn_abort(reading);
	mdb_env_close(env);
}

const struct engine engine_lmdb = { "lmdb", open_lmdb, put, get, close_lmdb };
