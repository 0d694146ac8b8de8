/* The pages of LMDB's file: what is found sound, LMDB reads and changes without harm. */
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "store/index_pages.h"

enum { MOST = 1 << 20 };

static int entry(void *arg, enum index_table table, const uint8_t *key, size_t key_len,
	const uint8_t *value, size_t len)
{
	return 0;
}

static void read_table(MDB_txn *txn, MDB_dbi dbi)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	unsigned sum = 0;

	if (mdb_cursor_open(txn, dbi, &cursor))
		abort();
	while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0)
		for (size_t i = 0; i < value.mv_size; i++)
			sum += ((uint8_t *)value.mv_data)[i];
	mdb_cursor_close(cursor);
	(void)sum;
}

/* Puts some entries, and takes the first ones away. */
static int change_table(MDB_txn *txn, MDB_dbi dbi)
{
	uint8_t bytes[40] = { 0 };
	MDB_val key = { sizeof(bytes), bytes }, value = { 21, bytes };
	MDB_cursor *cursor;
	int rc = 0;

	for (int i = 0; i < 20 && rc == 0; i++) {
		bytes[0] = (uint8_t)(i * 13);
		rc = mdb_put(txn, dbi, &key, &value, 0);
	}
	if (rc == 0 && (rc = mdb_cursor_open(txn, dbi, &cursor)) == 0) {
		rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
		for (int i = 0; i < 10 && rc == 0; i++)
			if ((rc = mdb_cursor_del(cursor, 0)) == 0)
				rc = mdb_cursor_get(cursor, &key, &value, MDB_GET_CURRENT);
		mdb_cursor_close(cursor);
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static void use(const char *path)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	if (mdb_env_create(&env) || mdb_env_set_maxdbs(env, 3) ||
		mdb_env_set_mapsize(env, 64 << 20) ||
		mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600))
		abort();
	for (int i = 0; i < INDEX_TABLES; i++) {
		if (mdb_txn_begin(env, NULL, 0, &txn))
			abort();
		int rc = mdb_dbi_open(txn, index_table_names[i], MDB_CREATE, &dbi);
		if (rc)
			abort();
		read_table(txn, dbi);
		rc = change_table(txn, dbi);
		if (rc)
			mdb_txn_abort(txn);
		else
			mdb_txn_commit(txn);
	}
	mdb_env_close(env);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[PATH_MAX];
	const char *folder = getenv("TMPDIR");

	if (size > MOST)
		return 0;
	snprintf(path, sizeof(path), "%s/fuzz-index-XXXXXX", folder ? folder : "/tmp");
	int fd = mkstemp(path);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	if (index_pages_check(fd, entry, (void *[2]){ NULL, NULL }) == 0)
		use(path);
	close(fd);
	unlink(path);
	return 0;
}
