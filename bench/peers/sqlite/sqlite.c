/*
 * SQLite: a table of blobs. Write-ahead log, synchronous=FULL, a transaction a group; the file is
 * mapped for reading.
 */
#include "../../store/work.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static sqlite3 *db;
static sqlite3_stmt *insert, *find;

static void check(int rc, int wanted)
{
	if (rc != wanted) {
		fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(db));
		exit(1);
	}
}

static void run(const char *sql)
{
	check(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void open_sqlite(const struct work *work)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/blocks.sqlite", work->dir);
	check(sqlite3_open(path, &db), SQLITE_OK);
	run("PRAGMA journal_mode=WAL");
	run("PRAGMA synchronous=FULL");
	run("PRAGMA mmap_size=8589934592");
	run("CREATE TABLE IF NOT EXISTS blocks(key BLOB PRIMARY KEY, data BLOB NOT NULL)");
	check(sqlite3_prepare_v2(db, "INSERT INTO blocks VALUES(?, ?)", -1, &insert, NULL),
		SQLITE_OK);
	check(sqlite3_prepare_v2(db, "SELECT data FROM blocks WHERE key = ?", -1, &find, NULL),
		SQLITE_OK);
}

static void bind(sqlite3_stmt *statement, int place, const void *data, size_t size)
{
	check(sqlite3_bind_blob64(statement, place, data, size, SQLITE_STATIC), SQLITE_OK);
}

static void put(const struct work *work, size_t first, size_t n)
{
	run("BEGIN");
	for (size_t i = 0; i < n; i++) {
		bind(insert, 1, work->keys[first + i], KEY);
		bind(insert, 2, work->data + i * work->size, work->size);
		check(sqlite3_step(insert), SQLITE_DONE);
		check(sqlite3_reset(insert), SQLITE_OK);
	}
	run("COMMIT");
}

static const uint8_t *get(const struct work *work, size_t number)
{
	check(sqlite3_reset(find), SQLITE_OK);
	bind(find, 1, work->keys[number], KEY);
	check(sqlite3_step(find), SQLITE_ROW);
	const uint8_t *data = sqlite3_column_blob(find, 0);
	if ((size_t)sqlite3_column_bytes(find, 0) != work->size)
		check(SQLITE_ERROR, SQLITE_ROW);
	return data;
}

static void halve(const struct work *work)
{
	sqlite3_stmt *remove;

	check(sqlite3_prepare_v2(db, "DELETE FROM blocks WHERE key = ?", -1, &remove, NULL),
		SQLITE_OK);
	run("BEGIN");
	for (size_t i = GROUP; i < work->count; i++) {
		if (i / GROUP % 2 == 0)
			continue;
		bind(remove, 1, work->keys[i], KEY);
		check(sqlite3_step(remove), SQLITE_DONE);
		check(sqlite3_reset(remove), SQLITE_OK);
	}
	run("COMMIT");
	sqlite3_finalize(remove);
	run("VACUUM");
	run("PRAGMA wal_checkpoint(TRUNCATE)");
}

static void close_sqlite(const struct work *work)
{
	sqlite3_finalize(insert);
	sqlite3_finalize(find);
	check(sqlite3_close(db), SQLITE_OK);
}

int main(int argc, char **argv)
{
	static const struct engine sqlite = { "sqlite", open_sqlite, put, get, close_sqlite,
		.halve = halve };

	return work_main(argc, argv, (const struct engine *const[]){ &sqlite, NULL });
}
