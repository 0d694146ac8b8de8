#include "index_db.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <anyio/testing.h>
#include <anyio/thread.h>
#include <store/pin.h>
#include "bytes.h"

enum {
	FORMAT = 1,
	BLOCK_SIZE = 21, /* bytes of a block's entry */
	META_SIZE = 76,
};
static const size_t map_least = 64 << 20;

/* Codes of LMDB's own mean that its file is not what it should be. */
static int from_lmdb(int rc)
{
	if (rc == 0)
		return 0;
	return rc > 0 ? -rc : rc == MDB_NOTFOUND ? -ENOENT : -EUCLEAN;
}

/* What was found wrong while reading is thrown away when the index is closed. */
static int noted(struct index *index, int rc)
{
	index->suspect |= rc == -EUCLEAN;
	return rc;
}

static void encode_place(const struct index_place *place, uint8_t out[BLOCK_SIZE])
{
	put_u64(out, place->offset);
	put_u32(out + 8, place->segment);
	put_u32(out + 12, place->len);
	put_u32(out + 16, place->codec);
	out[20] = place->version;
}

static int decode_place(const MDB_val *value, struct index_place *place)
{
	const uint8_t *in = value->mv_data;

	if (value->mv_size != BLOCK_SIZE)
		return -EUCLEAN;
	*place = (struct index_place){ .offset = get_u64(in),
		.segment = get_u32(in + 8),
		.len = get_u32(in + 12),
		.codec = get_u32(in + 16),
		.version = in[20] };
	return 1;
}

static void encode_meta(const struct index *index, uint8_t out[META_SIZE])
{
	const struct index_generation *frozen = &index->frozen;

	put_u32(out, FORMAT);
	memcpy(out + 4, index->repo, 16);
	put_u64(out + 20, frozen->position.offset);
	put_u64(out + 28, frozen->position.end);
	put_u64(out + 36, frozen->position.sequence);
	put_u64(out + 44, frozen->counts.blocks);
	put_u64(out + 52, frozen->counts.bytes);
	put_u64(out + 60, frozen->counts.pins);
	put_u32(out + 68, frozen->position.segment);
	put_u32(out + 72, 0);
}

/* False when this is not an index of this repo in this format. */
static bool decode_meta(
	struct index *index, const uint8_t *in, size_t len, struct index_position *position)
{
	if (len != META_SIZE || get_u32(in) != FORMAT || memcmp(in + 4, index->repo, 16) != 0)
		return false;
	*position = (struct index_position){ .offset = get_u64(in + 20),
		.end = get_u64(in + 28),
		.sequence = get_u64(in + 36),
		.segment = get_u32(in + 68) };
	index->counts = (struct index_counts){
		.blocks = get_u64(in + 44), .bytes = get_u64(in + 52), .pins = get_u64(in + 60)
	};
	return true;
}

static const char meta_key[] = "checkpoint";

/* LMDB reads its file through a map: one that was cut short must not be touched. */
static bool file_is_whole(struct index *index)
{
	char path[PATH_MAX];
	struct stat st;
	MDB_envinfo info;
	MDB_stat stat_of;

	snprintf(path, sizeof(path), "%s/data.mdb", index->dir);
	return mdb_env_info(index->env, &info) == 0 && mdb_env_stat(index->env, &stat_of) == 0 &&
		stat(path, &st) == 0 &&
		(uint64_t)st.st_size >= (info.me_last_pgno + 1) * (uint64_t)stat_of.ms_psize;
}

static int open_tables(struct index *index, struct index_position *position, bool *usable)
{
	MDB_txn *txn;
	MDB_val key = { sizeof(meta_key), (void *)meta_key }, value;
	int rc = mdb_txn_begin(index->env, NULL, 0, &txn);

	if (rc)
		return from_lmdb(rc);
	if ((rc = mdb_dbi_open(txn, "blocks", MDB_CREATE, &index->blocks)) ||
		(rc = mdb_dbi_open(txn, "pins", MDB_CREATE, &index->pins)) ||
		(rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &index->meta))) {
		mdb_txn_abort(txn);
		return from_lmdb(rc);
	}
	rc = mdb_get(txn, index->meta, &key, &value);
	*usable = rc == MDB_NOTFOUND ||
		(rc == 0 && decode_meta(index, value.mv_data, value.mv_size, position));
	if (rc == MDB_NOTFOUND) {
		MDB_stat blocks = { 0 };

		mdb_stat(txn, index->blocks, &blocks);
		*usable = blocks.ms_entries == 0;
	}
	return from_lmdb(mdb_txn_commit(txn));
}

static int open_once(struct index *index, struct index_position *position, bool *usable)
{
	*usable = false;
	*position = (struct index_position){ 0 };
	int rc = mdb_env_create(&index->env);
	if (rc)
		return from_lmdb(rc);
	mdb_env_set_maxdbs(index->env, 3);
	mdb_env_set_mapsize(index->env, map_least);
	rc = mdb_env_open(index->env, index->dir, MDB_NOTLS | MDB_NORDAHEAD, 0644);
	if (rc)
		return from_lmdb(rc);
	if (!file_is_whole(index))
		return -EUCLEAN;
	return open_tables(index, position, usable);
}

struct open_call {
	struct index *index;
	struct index_position *position;
};

/* On a worker thread: making an index syncs. */
static int open_work(void *arg)
{
	struct open_call *call = arg;
	struct index *index = call->index;
	bool usable;
	int rc = open_once(index, call->position, &usable);

	if ((rc == 0 && usable) || (rc < 0 && rc != -EUCLEAN && rc != -EINVAL))
		return rc;
	index_db_close(index);
	if ((rc = index_db_remove(index)) < 0)
		return rc;
	return open_once(index, call->position, &usable);
}

int index_db_open(struct index *index, struct index_position *position)
{
	struct open_call call = { index, position };

	return anyio_to_thread(open_work, &call, NULL);
}

void index_db_close(struct index *index)
{
	if (index->reader)
		mdb_txn_abort(index->reader);
	if (index->env)
		mdb_env_close(index->env);
	index->reader = NULL;
	index->env = NULL;
	if (index->suspect)
		index_db_remove(index);
	index->suspect = false;
}

int index_db_remove(struct index *index)
{
	static const char *const names[] = { "data.mdb", "lock.mdb" };
	char path[PATH_MAX];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", index->dir, names[i]);
		if (unlink(path) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static int read_begin(struct index *index)
{
	if (index->reader)
		return from_lmdb(mdb_txn_renew(index->reader));
	return from_lmdb(mdb_txn_begin(index->env, NULL, MDB_RDONLY, &index->reader));
}

int index_db_block(struct index *index, const struct index_key *key, struct index_place *place)
{
	MDB_val k = { key->len, (void *)key->bytes }, v;
	int rc = read_begin(index);

	if (rc < 0)
		return rc;
	rc = mdb_get(index->reader, index->blocks, &k, &v);
	rc = rc == 0 ? decode_place(&v, place) : rc == MDB_NOTFOUND ? 0 : from_lmdb(rc);
	mdb_txn_reset(index->reader);
	return noted(index, rc);
}

int index_db_pin(struct index *index, const struct index_key *key)
{
	MDB_val k = { key->len, (void *)key->bytes }, v;
	int rc = read_begin(index);

	if (rc < 0)
		return rc;
	rc = mdb_get(index->reader, index->pins, &k, &v);
	if (rc == 0)
		rc = v.mv_size == 1 ? *(uint8_t *)v.mv_data : -EUCLEAN;
	else
		rc = rc == MDB_NOTFOUND ? STORE_PIN_NONE : from_lmdb(rc);
	mdb_txn_reset(index->reader);
	return noted(index, rc);
}

/* The entry after *key; the key found replaces it, its value is handed to take() before the
 * transaction ends. */
static int next(struct index *index, MDB_dbi table, struct index_key *key,
	int (*take)(const MDB_val *value, void *out), void *out)
{
	MDB_cursor *cursor;
	MDB_val k = { key->len, key->bytes }, v;
	int rc = read_begin(index);

	if (rc < 0)
		return rc;
	rc = mdb_cursor_open(index->reader, table, &cursor);
	if (rc == 0) {
		rc = mdb_cursor_get(cursor, &k, &v, key->len ? MDB_SET_RANGE : MDB_FIRST);
		if (rc == 0 && key->len == k.mv_size &&
			memcmp(key->bytes, k.mv_data, key->len) == 0)
			rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
		if (rc == 0 && k.mv_size > sizeof(key->bytes))
			rc = MDB_CORRUPTED;
		mdb_cursor_close(cursor);
	}
	if (rc == 0) {
		key->len = k.mv_size;
		memcpy(key->bytes, k.mv_data, k.mv_size);
		rc = take(&v, out);
	} else {
		rc = rc == MDB_NOTFOUND ? 0 : from_lmdb(rc);
	}
	mdb_txn_reset(index->reader);
	return noted(index, rc);
}

static int take_place(const MDB_val *value, void *out)
{
	return decode_place(value, out);
}

static int take_mode(const MDB_val *value, void *out)
{
	if (value->mv_size != 1)
		return -EUCLEAN;
	*(uint32_t *)out = *(uint8_t *)value->mv_data;
	return 1;
}

int index_next_block(struct index *index, struct index_key *key, struct index_place *place)
{
	return next(index, index->blocks, key, take_place, place);
}

int index_next_pin(struct index *index, struct index_key *key, uint32_t *mode)
{
	return next(index, index->pins, key, take_mode, mode);
}

/* Entries in the order of their keys, so that neighbours in the tree are written together. */
struct sorted {
	const uint8_t *key;
	size_t len;
	void *value;
};

static int compare(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;
	int order = memcmp(x->key, y->key, x->len < y->len ? x->len : y->len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

static void sort(const struct table *table, struct sorted *out)
{
	size_t at = 0, n = 0;

	while (table_walk(table, &at, &out[n].key, &out[n].len, &out[n].value))
		n++;
	qsort(out, n, sizeof(*out), compare);
}

struct write_call {
	struct index *index;
	struct sorted *sorted;
};

static int write_entry(
	MDB_txn *txn, MDB_dbi table, const struct sorted *entry, void *bytes, size_t len)
{
	MDB_val k = { entry->len, (void *)entry->key }, v = { len, bytes };
	int rc = bytes ? mdb_put(txn, table, &k, &v, 0) : mdb_del(txn, table, &k, NULL);

	return !bytes && rc == MDB_NOTFOUND ? 0 : rc;
}

static int write_all(MDB_txn *txn, struct write_call *call)
{
	struct index *index = call->index;
	const struct index_generation *frozen = &index->frozen;
	uint8_t bytes[META_SIZE];
	int rc = 0;

	sort(&frozen->blocks, call->sorted);
	for (size_t i = 0; i < frozen->blocks.count && rc == 0; i++) {
		const struct index_place *place = call->sorted[i].value;

		encode_place(place, bytes);
		rc = write_entry(txn, index->blocks, &call->sorted[i],
			place->state == INDEX_DAMAGED ? NULL : bytes, BLOCK_SIZE);
	}
	sort(&frozen->pins, call->sorted);
	for (size_t i = 0; i < frozen->pins.count && rc == 0; i++) {
		const struct index_pin *pin = call->sorted[i].value;

		bytes[0] = pin->mode;
		rc = write_entry(txn, index->pins, &call->sorted[i], pin->mode ? bytes : NULL, 1);
	}
	encode_meta(index, bytes);
	struct sorted meta = { (const uint8_t *)meta_key, sizeof(meta_key), NULL };
	return rc ? rc : write_entry(txn, index->meta, &meta, bytes, META_SIZE);
}

/* On a worker thread. */
static int write_work(void *arg)
{
	struct write_call *call = arg;
	MDB_txn *txn;
	int rc = mdb_txn_begin(call->index->env, NULL, 0, &txn);

	if (rc == 0) {
		rc = write_all(txn, call);
		if (rc)
			mdb_txn_abort(txn);
		else
			rc = mdb_txn_commit(txn);
	}
	return rc == MDB_MAP_FULL ? -EOVERFLOW : from_lmdb(rc);
}

int index_db_write(struct index *index)
{
	const struct index_generation *frozen = &index->frozen;
	size_t most = frozen->blocks.count > frozen->pins.count ? frozen->blocks.count
								: frozen->pins.count;
	struct write_call call = { .index = index,
		.sorted = anyio_calloc(most + 1, sizeof(*call.sorted)) };
	int rc = call.sorted ? -EOVERFLOW : -ENOMEM;

	while (rc == -EOVERFLOW) {
		rc = anyio_to_thread(write_work, &call, NULL);
		if (rc == -EOVERFLOW) {
			MDB_envinfo info;

			mdb_env_info(index->env, &info);
			int grown = mdb_env_set_mapsize(index->env, info.me_mapsize * 2);
			if (grown)
				rc = from_lmdb(grown);
		}
	}
	anyio_free(call.sorted);
	return rc;
}

uint64_t index_file_size(struct index *index)
{
	MDB_envinfo info;
	MDB_stat stat_of;

	if (mdb_env_info(index->env, &info) || mdb_env_stat(index->env, &stat_of))
		return 0;
	return (info.me_last_pgno + 1) * (uint64_t)stat_of.ms_psize;
}
