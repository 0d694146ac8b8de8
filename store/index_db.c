/*
 * The index in LMDB: opening it when it can be trusted (index_trust.h), reading it on the loop's
 * thread, writing checkpoints on a worker thread.
 */
#include "index_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <anyio/memory.h>
#include <anyio/thread.h>
#include <ipld/block.h>
#include "bytes.h"
#include "index_trust.h"

static const size_t map_least = 64 << 20;

/* Blocks in one part of a checkpoint, and how many must be new for it to have parts: each is synced. And small ones, up to so many. */
enum { PART = 2048, PARTS_FROM = 16384, SMALL_PART = 128, SMALL_PARTS = 32 };

int index_db_code(int rc)
{
	if (rc == 0)
		return 0;
	return rc > 0 ? -rc : rc == MDB_NOTFOUND ? -ENOENT : -EUCLEAN;
}

/* A write cut short for want of room, LMDB calls EIO: whether there is room for more is asked of the
 * file itself. */
static int why_short(const struct index *index, int rc)
{
	struct stat st;
	int fd;

	if (rc != -EIO || mdb_env_get_fd(index->env, &fd) || fstat(fd, &st) < 0)
		return rc;
	int why = posix_fallocate(fd, st.st_size, 1);
	if (why == 0 && ftruncate(fd, st.st_size) < 0)
		return -errno;
	return why == ENOSPC || why == EDQUOT || why == EFBIG ? -why : rc;
}

/* What was found wrong while reading is thrown away when the index is closed. */
static int noted(struct index *index, int rc)
{
	index->suspect |= rc == -EUCLEAN;
	return rc;
}

/* As short as it can be: a leaf of the tree holds so many more. By number, to which only new ones may be added. */
static const uint32_t codecs[] = { MF_CODEC_RAW, MF_CODEC_DAG_PB, MF_CODEC_DAG_CBOR,
	MF_CODEC_DAG_JSON };
enum { CODECS = sizeof(codecs) / sizeof(*codecs), OTHER_CODEC = 0x3f, VERSION_BIT = 0x40 };

/* No block is as long as 24 bits say. Returns its length. */
static size_t encode_place(const struct index_place *place, uint8_t out[INDEX_BLOCK_MAX])
{
	uint8_t codec = 0;

	while (codec < CODECS && codecs[codec] != place->codec)
		codec++;
	put_u32(out + 1, (uint32_t)place->offset);
	put_u32(out + 5, (uint32_t)(place->offset >> 32) & 0xffff);
	put_u32(out + 7, place->segment);
	put_u32(out + 11, place->len);
	put_u32(out + 14, place->ordinal);
	put_u32(out + INDEX_BLOCK_SIZE, place->codec);
	out[0] = (codec < CODECS ? codec : OTHER_CODEC) | (place->version ? VERSION_BIT : 0) |
		(place->state == INDEX_DAMAGED ? INDEX_DAMAGED_BIT : 0);
	return codec < CODECS ? INDEX_BLOCK_SIZE : INDEX_BLOCK_MAX;
}

static int decode_place(const MDB_val *value, struct index_place *place)
{
	const uint8_t *in = value->mv_data;
	uint8_t codec = value->mv_size ? in[0] & OTHER_CODEC : 0;

	if (value->mv_size != (codec == OTHER_CODEC ? INDEX_BLOCK_MAX : INDEX_BLOCK_SIZE) ||
		(codec >= CODECS && codec != OTHER_CODEC))
		return -EUCLEAN;
	*place = (struct index_place){ .offset = get_u32(in + 1) |
			(uint64_t)(get_u32(in + 5) & 0xffff) << 32,
		.segment = get_u32(in + 7),
		.len = get_u32(in + 11) & 0xffffff,
		.ordinal = get_u32(in + 14),
		.codec = codec < CODECS ? codecs[codec] : get_u32(in + INDEX_BLOCK_SIZE),
		.version = in[0] & VERSION_BIT ? 1 : 0,
		.state = in[0] & INDEX_DAMAGED_BIT ? INDEX_DAMAGED : INDEX_PRESENT };
	return place->len <= IPLD_BLOCK_BIG_MAX ? 1 : -EUCLEAN;
}

static int open_tables(struct index *index, struct index_position *position, bool *usable)
{
	MDB_txn *txn;
	MDB_val key = { sizeof(index_meta_key), (void *)index_meta_key }, value;
	struct index_meta meta = { 0 };
	unsigned create = index->only_read ? 0 : MDB_CREATE;
	int rc = mdb_txn_begin(index->env, NULL, index->only_read ? MDB_RDONLY : 0, &txn);

	if (rc)
		return index_db_code(rc);
	if ((rc = mdb_dbi_open(txn, "blocks", create, &index->blocks)) ||
		(rc = mdb_dbi_open(txn, "state", create, &index->state)) ||
		(rc = mdb_dbi_open(txn, "meta", create, &index->meta))) {
		mdb_txn_abort(txn);
		return index_db_code(rc);
	}
	rc = mdb_get(txn, index->meta, &key, &value);
	*usable = rc == MDB_NOTFOUND ||
		(rc == 0 && index_meta_decode(index, value.mv_data, value.mv_size, &meta));
	if (rc == MDB_NOTFOUND) {
		MDB_stat blocks = { 0 };

		mdb_stat(txn, index->blocks, &blocks);
		*usable = blocks.ms_entries == 0;
	}
	*position = meta.position;
	index->counts = meta.counts;
	index->written = meta;
	return index_db_code(mdb_txn_commit(txn));
}

static int open_once(struct index *index, struct index_position *position, bool *usable)
{
	unsigned how = index->only_read ? MDB_RDONLY | MDB_NOLOCK : 0;

	*usable = false;
	*position = (struct index_position){ 0 };
	int rc = index->only_read ? 0 : index_reserve_lock(index, "lock.mdb");
	if (rc < 0)
		return rc;
	rc = mdb_env_create(&index->env);
	if (rc)
		return index_db_code(rc);
	mdb_env_set_maxdbs(index->env, 3);
	mdb_env_set_mapsize(index->env, map_least);
	rc = mdb_env_open(index->env, index->dir, MDB_NOTLS | MDB_NORDAHEAD | how, 0644);
	if (rc)
		return index_db_code(rc);
	return why_short(index, open_tables(index, position, usable));
}

struct open_call {
	struct index *index;
	struct index_position *position;
};

/* On a worker thread: making an index syncs. Nothing is written to a file whose name may not last: one that is sealed has been
 * through this. */
static int open_work(void *arg)
{
	struct open_call *call = arg;
	struct index *index = call->index;
	bool sealed = false, usable;
	int rc = index_compact_clear(index);

	if (rc == 0)
		rc = index_trusted(index, &sealed);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		rc = open_once(index, call->position, &usable);
		if ((rc == 0 && usable) || (rc < 0 && rc != -EUCLEAN && rc != -EINVAL))
			return rc < 0 || sealed ? rc : index_sync_names(index);
	}
	index_db_close(index);
	rc = index_db_remove(index);
	if (rc == 0)
		rc = open_once(index, call->position, &usable);
	return rc < 0 ? rc : index_sync_names(index);
}

/* The same where nothing can be written: the file is read from end to end, sealed or not, as no seal is broken; and one that
 * is missing, or is not what it should be, is none. */
static int open_to_read(void *arg)
{
	struct open_call *call = arg;
	struct index *index = call->index;
	bool sealed, usable = false;
	int rc = index_trusted(index, &sealed);

	if (rc > 0)
		rc = open_once(index, call->position, &usable);
	if (rc == 0 && usable)
		return 0;
	index_db_close(index);
	index->counts = (struct index_counts){ 0 };
	index->written = (struct index_meta){ 0 };
	*call->position = (struct index_position){ 0 };
	return rc == -EUCLEAN || rc == -EINVAL || rc == -ENOENT ? 0 : rc;
}

int index_db_open(struct index *index, struct index_position *position)
{
	struct open_call call = { index, position };
	int rc = anyio_to_thread(index->only_read ? open_to_read : open_work, &call, NULL);

	index->doubtful |= rc < 0;
	return rc;
}

void index_db_close(struct index *index)
{
	if (index->reader)
		mdb_txn_abort(index->reader);
	if (index->env)
		mdb_env_close(index->env);
	index->reader = NULL;
	if (index->suspect && !index->only_read)
		index_db_remove(index);
	else if (index->env && !index->doubtful && !index->unsynced && !index->only_read)
		index_seal(index);
	index->env = NULL;
	index->suspect = index->doubtful = false;
	index->unsynced = 0;
}

int index_db_remove(struct index *index)
{
	static const char *const names[] = { "sealed", "data.mdb", "lock.mdb" };
	int rc = 0;

	for (int i = 0; i < 3 && rc == 0; i++)
		rc = index_clear_name(index, names[i]);
	return rc;
}

static int read_begin(struct index *index)
{
	if (index->reader)
		return index_db_code(mdb_txn_renew(index->reader));
	return index_db_code(mdb_txn_begin(index->env, NULL, MDB_RDONLY, &index->reader));
}

int index_db_block(struct index *index, const struct index_key *key, struct index_place *place)
{
	MDB_val k = { key->len, (void *)key->bytes }, v;
	int rc = index->env ? read_begin(index) : 0;

	if (rc < 0 || !index->env)
		return rc;
	rc = mdb_get(index->reader, index->blocks, &k, &v);
	rc = rc == 0 ? decode_place(&v, place) : rc == MDB_NOTFOUND ? 0 : index_db_code(rc);
	mdb_txn_reset(index->reader);
	return noted(index, rc);
}

ssize_t index_db_state(struct index *index, const struct index_key *key, void *value, size_t size)
{
	MDB_val k = { key->len, (void *)key->bytes }, v;
	ssize_t rc = index->env ? read_begin(index) : -ENOENT;

	if (rc < 0)
		return rc;
	rc = mdb_get(index->reader, index->state, &k, &v);
	if (rc == 0) {
		rc = v.mv_size <= STORE_STATE_VALUE_MAX ? (ssize_t)v.mv_size : -EUCLEAN;
		if (rc >= 0)
			memcpy(value, v.mv_data, v.mv_size < size ? v.mv_size : size);
	} else {
		rc = index_db_code(rc);
	}
	mdb_txn_reset(index->reader);
	return rc == -ENOENT ? rc : noted(index, rc);
}

/* Whether k comes after *key: a tree that goes round in circles must not be followed. */
static bool is_after(const MDB_val *k, const struct index_key *key)
{
	size_t least = k->mv_size < key->len ? k->mv_size : key->len;
	int order = memcmp(k->mv_data, key->bytes, least);

	return order > 0 || (order == 0 && k->mv_size > key->len);
}

/* Entries after *key, each of whose keys replaces it, for take() before the transaction ends, which returns 1 when it wants
 * another, else 0, or a negative code. 0 or that. */
static int each_after(struct index *index, MDB_dbi table, struct index_key *key,
	int (*take)(const struct index_key *key, const MDB_val *value, void *out), void *out)
{
	MDB_cursor *cursor;
	MDB_val k = { key->len, key->bytes }, v;
	int rc = index->env ? read_begin(index) : 0, taken = 1;

	if (rc < 0 || !index->env)
		return rc;
	rc = mdb_cursor_open(index->reader, table, &cursor);
	if (rc == 0) {
		rc = mdb_cursor_get(cursor, &k, &v, key->len ? MDB_SET_RANGE : MDB_FIRST);
		if (rc == 0 && key->len == k.mv_size &&
			memcmp(key->bytes, k.mv_data, key->len) == 0)
			rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
		while (rc == 0) {
			if (k.mv_size > sizeof(key->bytes) || !is_after(&k, key)) {
				rc = MDB_CORRUPTED;
				break;
			}
			key->len = k.mv_size;
			memcpy(key->bytes, k.mv_data, k.mv_size);
			taken = take(key, &v, out);
			if (taken <= 0)
				break;
			rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
		}
		mdb_cursor_close(cursor);
	}
	mdb_txn_reset(index->reader);
	rc = rc == MDB_NOTFOUND ? 0 : rc ? index_db_code(rc) : taken;
	return noted(index, rc < 0 ? rc : 0);
}

struct value_out {
	uint8_t *bytes;
	size_t *len;
	bool found;
};

static int take_value(const struct index_key *key, const MDB_val *value, void *arg)
{
	struct value_out *out = arg;

	if (value->mv_size > STORE_STATE_VALUE_MAX)
		return -EUCLEAN;
	memcpy(out->bytes, value->mv_data, value->mv_size);
	*out->len = value->mv_size;
	out->found = true;
	return 0;
}

int index_db_next_state(struct index *index, struct index_key *key, uint8_t *value, size_t *len)
{
	struct value_out out = { value, len, false };
	int rc = each_after(index, index->state, key, take_value, &out);

	return rc < 0 ? rc : out.found;
}

struct blocks_out {
	struct index_block *blocks;
	size_t count, most;
};

static int take_block(const struct index_key *key, const MDB_val *value, void *arg)
{
	struct blocks_out *out = arg;
	struct index_block *block = &out->blocks[out->count];
	int rc = decode_place(value, &block->place);

	if (rc < 0)
		return rc;
	block->key = *key;
	return ++out->count < out->most;
}

ssize_t index_db_next_blocks(
	struct index *index, struct index_key *key, struct index_block *blocks, size_t most)
{
	struct blocks_out out = { blocks, 0, most };
	int rc = each_after(index, index->blocks, key, take_block, &out);

	return rc < 0 ? rc : (ssize_t)out.count;
}

struct write_call {
	struct index *index;
	struct index_sorted *sorted;
	struct index_meta written; /* by the transactions that are through */
	struct index_meta meta;    /* with what the present one does */
};

/* What an entry adds to the counts: 1, or -1 to take it from them. */
static void count_entry(struct index_counts *counts, enum index_table table,
	const struct index_sorted *entry, const MDB_val *value, int sign)
{
	struct index_place place;

	if (table == INDEX_STATE) {
		counts->state_bytes += sign * (int64_t)(entry->len + value->mv_size);
		if (entry->key[0] == STORE_SPACE_PINS)
			counts->pins += sign;
	} else if (decode_place(value, &place) > 0 && place.state == INDEX_PRESENT) {
		counts->blocks += sign;
		counts->bytes += sign * (int64_t)place.len;
	}
}

static void account(struct write_call *call, enum index_table table,
	const struct index_sorted *entry, const MDB_val *value, int sign)
{
	call->meta.sum += sign *
		index_entry_sum(
			call->index, table, entry->key, entry->len, value->mv_data, value->mv_size);
	count_entry(&call->meta.counts, table, entry, value, sign);
}

/* Puts an entry, or takes it away when there are no bytes. The cursor finds it once for both steps. */
static int write_entry(MDB_cursor *cursor, struct write_call *call, enum index_table table,
	const struct index_sorted *entry, const void *bytes, size_t len)
{
	MDB_val k = { entry->len, (void *)entry->key }, v = { len, (void *)bytes };
	int rc = bytes ? mdb_cursor_put(cursor, &k, &v, MDB_NOOVERWRITE)
		       : mdb_cursor_get(cursor, &k, &v, MDB_SET);

	if (!bytes && rc == MDB_NOTFOUND)
		return 0;
	/* Now v is what was there. */
	if (rc == (bytes ? MDB_KEYEXIST : 0)) {
		if (v.mv_size > STORE_STATE_VALUE_MAX)
			return MDB_CORRUPTED;
		account(call, table, entry, &v, -1);
		v = (MDB_val){ len, (void *)bytes };
		rc = bytes ? mdb_cursor_put(cursor, &k, &v, MDB_CURRENT)
			   : mdb_cursor_del(cursor, 0);
	}
	if (rc == 0 && bytes)
		account(call, table, entry, &(MDB_val){ len, (void *)bytes }, 1);
	return rc;
}

static int write_meta(MDB_txn *txn, const struct write_call *call)
{
	struct index *index = call->index;
	uint8_t bytes[INDEX_META_SIZE];
	MDB_val k = { sizeof(index_meta_key), (void *)index_meta_key },
		v = { INDEX_META_SIZE, bytes };

	index_meta_encode(index, &call->meta, bytes);
	return mdb_put(txn, index->meta, &k, &v, 0);
}

static int write_blocks(MDB_txn *txn, struct write_call *call, size_t from, size_t to)
{
	uint8_t bytes[INDEX_BLOCK_MAX];
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, call->index->blocks, &cursor);

	if (rc)
		return rc;
	for (size_t i = from; i < to && rc == 0; i++) {
		const struct index_place *place = call->sorted[i].value;

		size_t len = encode_place(place, bytes);
		rc = write_entry(cursor, call, INDEX_BLOCKS, &call->sorted[i],
			place->state == INDEX_GONE ? NULL : bytes, len);
	}
	mdb_cursor_close(cursor);
	return rc;
}

static int write_state(MDB_txn *txn, struct write_call *call)
{
	const struct table *state = &call->index->frozen.state;
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, call->index->state, &cursor);

	if (rc)
		return rc;
	index_sort(state, call->sorted);
	for (size_t i = 0; i < state->count && rc == 0; i++) {
		const struct index_state_value *value = call->sorted[i].value;

		rc = write_entry(
			cursor, call, INDEX_STATE, &call->sorted[i], value->bytes, value->len);
	}
	mdb_cursor_close(cursor);
	return rc;
}

/* The blocks of one part, and behind the last all else. */
static int write_part(MDB_txn *txn, struct write_call *call, size_t part, size_t parts)
{
	const struct index_generation *frozen = &call->index->frozen;
	size_t count = frozen->blocks.count;
	int rc = write_blocks(txn, call, count * part / parts, count * (part + 1) / parts);

	if (rc == 0 && part + 1 == parts) {
		rc = write_state(txn, call);
		call->meta.position = frozen->position;
		call->meta.ops = frozen->ops;
	}
	return rc ? rc : write_meta(txn, call);
}

static size_t count_parts(const struct index *index)
{
	size_t count = index->frozen.blocks.count, parts = count < PARTS_FROM ? 1 : count / PART;
	size_t small = count / SMALL_PART < SMALL_PARTS ? count / SMALL_PART : SMALL_PARTS;

	return index->sparing && small > parts ? small : parts;
}

/*
 * On a worker thread. In parts of neighbouring keys, each a transaction: what one copies of the tree, the next but
 * one has for free pages, so that the file need have room for two parts more than the tree, and not for all of it
 * twice. In between the index knows more than its position says, which it may be told again.
 */
static int write_work(void *arg)
{
	struct write_call *call = arg;
	struct index *index = call->index;
	size_t parts = count_parts(index);
	int rc = 0;

	index_sort(&index->frozen.blocks, call->sorted);
	for (size_t part = 0; part < parts && rc == 0; part++) {
		MDB_txn *txn;

		call->meta = call->written;
		rc = mdb_txn_begin(index->env, NULL, 0, &txn);
		if (rc)
			break;
		rc = write_part(txn, call, part, parts);
		if (rc)
			mdb_txn_abort(txn);
		else
			rc = mdb_txn_commit(txn);
		if (rc == 0)
			call->written = call->meta;
	}
	return rc == MDB_MAP_FULL ? -EOVERFLOW : why_short(index, index_db_code(rc));
}

/* Doubles the map. LMDB gives the old one up before it asks for the new one, and cannot go on
 * without, so whether there is room is tried first. */
static int grow(struct index *index)
{
	MDB_envinfo info;

	mdb_env_info(index->env, &info);
	void *room = mmap(NULL, info.me_mapsize * 2, PROT_READ,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return -errno;
	munmap(room, info.me_mapsize * 2);
	return index_db_code(mdb_env_set_mapsize(index->env, info.me_mapsize * 2));
}

int index_db_write(struct index *index)
{
	const struct index_generation *frozen = &index->frozen;
	size_t most = frozen->blocks.count > frozen->state.count ? frozen->blocks.count
								 : frozen->state.count;
	struct write_call call = { .index = index,
		.sorted = anyio_calloc(most + 1, sizeof(*call.sorted)),
		.written = index->written };
	int rc = call.sorted ? -EOVERFLOW : -ENOMEM;

	while (rc == -EOVERFLOW) {
		rc = anyio_to_thread(write_work, &call, NULL);
		if (rc == -EOVERFLOW && (rc = grow(index)) == 0)
			rc = -EOVERFLOW;
	}
	anyio_free(call.sorted);
	index->written = call.written;
	/* Whatever stopped LMDB in the middle: the file is looked over before it is used again. */
	index->doubtful |= rc < 0;
	return rc;
}

/* Closing the last one of a file that is gone takes long, too. */
static int fetch_work(void *arg)
{
	int *fd = arg;

	index_pages_fetch(*fd);
	close(*fd);
	*fd = -1;
	return 0;
}

/* By a descriptor of its own: meanwhile another file may come to be the index. */
int index_fetch(struct index *index)
{
	int fd;

	if (mdb_env_get_fd(index->env, &fd))
		return -EBADF;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int rc = anyio_to_thread(fetch_work, &fd, NULL);
	if (fd >= 0)
		close(fd);
	return rc;
}

uint64_t index_file_size(const struct index *index)
{
	MDB_envinfo info;
	MDB_stat stat_of;

	if (mdb_env_info(index->env, &info) || mdb_env_stat(index->env, &stat_of))
		return 0;
	return (info.me_last_pgno + 1) * (uint64_t)stat_of.ms_psize;
}
