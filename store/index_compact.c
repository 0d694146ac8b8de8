/*
 * LMDB joins leaves that are three quarters empty, and gives no page back to the disk. So an index that half of all blocks have
 * left stays as large as it was, and every writing of it writes nearly all of that. Here it is written anew, in the order of its
 * keys, beside itself: what is open goes on being read meanwhile, and nothing else is written. What a killed run leaves of the
 * new file, the next opening takes away.
 */
#include "index_db.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <anyio/cancel.h>
#include <anyio/thread.h>
#include "index_trust.h"

/* Entries of a transaction, all of whose pages are in memory until it ends; and how many of those are synced at a time, as others,
 * who sync the log, are not to wait for all of the new file. */
enum { PART = 16384, SYNC_EVERY = 16 };

/* What LMDB adds to an entry in a leaf; and a block's with that. */
enum { NODE_SIZE = 10, ENTRY_SIZE = 32 + INDEX_BLOCK_SIZE + NODE_SIZE };

static const char file_name[] = "compact.mdb", lock_name[] = "compact.mdb-lock";

struct compacting {
	struct index *index;
	MDB_env *env; /* the new one; or, in the end, the one that is not needed any more */
	MDB_dbi tables[INDEX_TABLES];
	MDB_txn *reader; /* of the old one */
	MDB_cursor *cursor;
	int table; /* that is being copied */
	size_t parts;
	uint64_t bytes, sum;
	bool damaged; /* the old one */
	bool in_place, ended;
	int unsynced;
};

int index_compact_clear(const struct index *index)
{
	int rc = index_clear_name(index, file_name);

	return rc < 0 ? rc : index_clear_name(index, lock_name);
}

/* A tree that only grows comes to 1.9 times its entries, one that half of them leave to 2.9; and a file, with pages that are free
 * for the next transaction, to four and a half times. */
bool index_is_loose(const struct index *index, uint64_t least, uint64_t *bytes)
{
	uint64_t held = index->written.counts.state_bytes, tree = 0, size = index_file_size(index);
	MDB_stat blocks, state;
	MDB_txn *txn;

	if (mdb_txn_begin(index->env, NULL, MDB_RDONLY, &txn))
		return false;
	mdb_stat(txn, index->blocks, &blocks);
	mdb_stat(txn, index->state, &state);
	mdb_txn_abort(txn);
	held += blocks.ms_entries * ENTRY_SIZE + state.ms_entries * NODE_SIZE;
	tree += (blocks.ms_branch_pages + blocks.ms_leaf_pages) * (uint64_t)blocks.ms_psize;
	tree += (state.ms_branch_pages + state.ms_leaf_pages) * (uint64_t)state.ms_psize;
	*bytes = held + held / 16;
	return size >= least && (tree > held / 5 * 12 || size > 6 * held);
}

static MDB_dbi table_of(const struct index *index, int table)
{
	const MDB_dbi tables[] = { [INDEX_BLOCKS] = index->blocks,
		[INDEX_STATE] = index->state,
		[INDEX_META] = index->meta };

	return tables[table];
}

static int make_tables(struct compacting *compacting)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(compacting->env, NULL, 0, &txn);

	if (rc)
		return rc;
	for (int i = 0; i < INDEX_TABLES && rc == 0; i++)
		rc = mdb_dbi_open(txn, index_table_names[i], MDB_CREATE, &compacting->tables[i]);
	if (rc == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return rc;
}

uint64_t disk_room(const char *folder)
{
	struct statvfs disk;

	return statvfs(folder, &disk) == 0 && disk.f_blocks > 0
		? (uint64_t)disk.f_bavail * disk.f_frsize
		: UINT64_MAX;
}

/* Whether the disk has as much again for those who put meanwhile. */
static bool has_room(const struct compacting *compacting)
{
	return disk_room(compacting->index->dir) >= 2 * compacting->bytes;
}

/* Not synced as it grows: it has no name that counts. */
static int begin_work(void *arg)
{
	struct compacting *compacting = arg;
	const struct index *index = compacting->index;
	char path[PATH_MAX];
	MDB_envinfo info;
	int rc = index_compact_clear(index);

	if (rc == 0)
		rc = has_room(compacting) ? index_reserve_lock(index, lock_name) : -ENOSPC;
	if (rc == 0)
		rc = index_path(index, file_name, path) ? 0 : -ENAMETOOLONG;
	if (rc < 0)
		return rc;
	mdb_env_info(index->env, &info);
	rc = mdb_env_create(&compacting->env);
	if (rc)
		return index_db_code(rc);
	mdb_env_set_maxdbs(compacting->env, INDEX_TABLES);
	mdb_env_set_mapsize(compacting->env, info.me_mapsize);
	rc = mdb_env_open(
		compacting->env, path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD | MDB_NOSYNC, 0644);
	if (rc == 0)
		rc = make_tables(compacting);
	if (rc == 0)
		rc = mdb_txn_begin(index->env, NULL, MDB_RDONLY, &compacting->reader);
	return index_db_code(rc);
}

/* The next entry of the table, which counts towards the sum of all: 0, MDB_NOTFOUND, or another code. */
static int read_entry(struct compacting *compacting, MDB_val *key, MDB_val *value)
{
	int table = compacting->table,
	    rc = mdb_cursor_get(compacting->cursor, key, value, MDB_NEXT);

	if (rc == 0 && (key->mv_size > INDEX_KEY_MAX || value->mv_size > STORE_STATE_VALUE_MAX))
		rc = MDB_CORRUPTED;
	if (rc == 0 && table != INDEX_META)
		compacting->sum += index_entry_sum(compacting->index, table, key->mv_data,
			key->mv_size, value->mv_data, value->mv_size);
	return rc;
}

static int copy_entries(struct compacting *compacting, MDB_txn *txn, bool *whole)
{
	MDB_cursor *to;
	MDB_val key, value;
	int rc = mdb_cursor_open(txn, compacting->tables[compacting->table], &to), read = 0;

	if (rc)
		return rc;
	for (int i = 0; i < PART && rc == 0; i++) {
		read = read_entry(compacting, &key, &value);
		if (read)
			break;
		rc = mdb_cursor_put(to, &key, &value, MDB_APPEND);
	}
	mdb_cursor_close(to);
	*whole = read == MDB_NOTFOUND;
	/* Entries out of order are as bad as none. */
	compacting->damaged = (read && !*whole) || rc == MDB_KEYEXIST;
	return rc || *whole ? rc : read;
}

/* Some entries; when there are no more in this table, the next one's turn has come. */
static int copy_work(void *arg)
{
	struct compacting *compacting = arg;
	MDB_dbi table = table_of(compacting->index, compacting->table);
	MDB_txn *txn;
	bool whole = false;
	int rc = compacting->cursor
		? 0
		: mdb_cursor_open(compacting->reader, table, &compacting->cursor);

	if (rc == 0)
		rc = mdb_txn_begin(compacting->env, NULL, 0, &txn);
	if (rc)
		return index_db_code(rc);
	rc = copy_entries(compacting, txn, &whole);
	if (rc)
		mdb_txn_abort(txn);
	else
		rc = mdb_txn_commit(txn);
	if (rc == 0 && ++compacting->parts % SYNC_EVERY == 0)
		rc = mdb_env_sync(compacting->env, 1);
	if (whole) {
		mdb_cursor_close(compacting->cursor);
		compacting->cursor = NULL;
		compacting->table++;
	}
	return index_db_code(rc);
}

static int copy(struct compacting *compacting)
{
	int rc = anyio_to_thread(begin_work, compacting, NULL);

	while (rc == 0 && compacting->table < INDEX_TABLES)
		rc = anyio_to_thread(copy_work, compacting, NULL);
	/* Also as a whole it is what was written. */
	compacting->damaged |= rc == 0 && compacting->sum != compacting->index->written.sum;
	return compacting->damaged ? -EUCLEAN : rc;
}

/* It is on disk before it has the name. That the name is there to stay must be known before anything else is written, of which
 * the old file would know nothing: unless it is, nothing is. */
static int place_work(void *arg)
{
	struct compacting *compacting = arg;
	struct index *index = compacting->index;
	char from[PATH_MAX], to[PATH_MAX];
	int rc = index_db_code(mdb_env_sync(compacting->env, 1));

	if (rc == 0)
		rc = index_db_code(mdb_env_set_flags(compacting->env, MDB_NOSYNC, 0));
	if (rc < 0)
		return rc;
	index_path(index, file_name, from);
	index_path(index, "data.mdb", to);
	if (rename(from, to) < 0)
		return -errno;
	compacting->in_place = true;
	compacting->unsynced = index_sync_names(index);
	return 0;
}

static int end_work(void *arg)
{
	struct compacting *compacting = arg;

	compacting->ended = true;
	if (compacting->cursor)
		mdb_cursor_close(compacting->cursor);
	if (compacting->reader)
		mdb_txn_abort(compacting->reader);
	if (compacting->env)
		mdb_env_close(compacting->env);
	return index_compact_clear(compacting->index);
}

/* On the loop's thread, which is the one that reads, in transactions that end before anybody else has a turn. */
static void take_new(struct compacting *compacting)
{
	struct index *index = compacting->index;
	MDB_env *old = index->env;

	if (index->reader)
		mdb_txn_abort(index->reader);
	index->reader = NULL;
	index->env = compacting->env;
	index->blocks = compacting->tables[INDEX_BLOCKS];
	index->state = compacting->tables[INDEX_STATE];
	index->meta = compacting->tables[INDEX_META];
	compacting->env = old;
}

static int end(void *arg)
{
	return anyio_to_thread(end_work, arg, NULL);
}

int index_compact(struct index *index, uint64_t bytes)
{
	struct compacting compacting = { .index = index, .bytes = bytes };
	struct anyio_cancel_scope scope;

	if (index->unsynced)
		return index->unsynced;
	int rc = copy(&compacting);
	if (rc == 0)
		rc = anyio_to_thread(place_work, &compacting, NULL);
	if (compacting.in_place)
		take_new(&compacting);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_run(&scope, end, &compacting);
	/* Without memory for a thread: a reader that stays would keep all pages for ever. */
	if (!compacting.ended)
		end_work(&compacting);
	index->suspect |= compacting.damaged;
	if (compacting.in_place)
		return index->unsynced = compacting.unsynced;
	/* Whatever else stopped it, the index is as it was. */
	return rc == ANYIO_CANCELLED || compacting.damaged ? rc : 0;
}
