/*
 * Building directories. A sharded one is built from the sorted hashes of all its names: the entries
 * of a shard are a range of that list, the entries of one slot a range of that range. A slot with
 * one entry links it; a slot with more links a shard one level down.
 */
#include <ipld/unixfs_dir.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ipld/block.h>

#include "murmur3.h"
#include "unixfs.h"

/* An entry's place in the order wanted. */
struct place {
	uint64_t hash; /* 0 when sorting by name alone */
	const struct unixfs_entry *entry;
};

struct dir_builder {
	const struct unixfs_profile *profile;
	const struct unixfs_meta *meta;
	unixfs_emit_fn *emit;
	void *arg;
	struct place *places;
	unsigned bits; /* of hash a level takes */
};

static int compare_names(const struct unixfs_entry *a, const struct unixfs_entry *b)
{
	int diff = memcmp(a->name, b->name, a->name_len < b->name_len ? a->name_len : b->name_len);

	return diff ? diff : (a->name_len > b->name_len) - (a->name_len < b->name_len);
}

static int compare_places(const void *x, const void *y)
{
	const struct place *a = x, *b = y;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return compare_names(a->entry, b->entry);
}

static bool name_is_good(const struct unixfs_entry *e)
{
	if (!e->name_len || memchr(e->name, '/', e->name_len) || memchr(e->name, 0, e->name_len))
		return false;
	return e->name[0] != '.' || e->name_len > 2 || (e->name_len == 2 && e->name[1] != '.');
}

static struct dag_pb_link link_of(const struct unixfs_entry *e)
{
	return (struct dag_pb_link){ .cid = e->cid,
		.name = e->name,
		.name_len = e->name_len,
		.has_tsize = true,
		.tsize = e->tsize };
}

static size_t cid_size(const struct mf_cid *cid)
{
	uint8_t bytes[MF_CID_BYTES_MAX];

	return (size_t)mf_cid_encode(cid, bytes, sizeof(bytes));
}

uint64_t unixfs_dir_size(const struct unixfs_profile *profile, const struct unixfs_meta *meta,
	const struct unixfs_entry *entries, size_t count)
{
	struct unixfs_message message = { .type = UNIXFS_DIRECTORY, .meta = meta };
	bool whole = profile->hamt_size_by == UNIXFS_BLOCK_BYTES;
	uint64_t size = whole ? dag_pb_data_size(unixfs_message_size(&message)) : 0;

	for (size_t i = 0; i < count; i++) {
		struct dag_pb_link link = link_of(&entries[i]);
		uint64_t one =
			whole ? dag_pb_link_size(&link) : link.name_len + cid_size(&link.cid);

		if (__builtin_add_overflow(size, one, &size))
			return UINT64_MAX;
	}
	return size;
}

/* Sorts the entries, by hash first when asked. Refuses bad and repeated names. */
static int sort_entries(
	struct dir_builder *b, const struct unixfs_entry *entries, size_t count, bool by_hash)
{
	b->places = calloc(count ? count : 1, sizeof(*b->places));
	if (!b->places)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (!name_is_good(&entries[i]))
			return -EINVAL;
		b->places[i].entry = &entries[i];
		if (by_hash)
			b->places[i].hash = ipld_murmur3(entries[i].name, entries[i].name_len);
	}
	qsort(b->places, count, sizeof(*b->places), compare_places);
	for (size_t i = 1; i < count; i++) {
		if (!compare_places(&b->places[i - 1], &b->places[i]))
			return -EEXIST;
	}
	return 0;
}

/* Ends a block whose links are written: adds the data, emits it. tsize is that of its links. */
static int finish_block(struct dir_builder *b, struct mf_pb_writer *block,
	const struct unixfs_message *message, uint64_t tsize, struct unixfs_built *built)
{
	unixfs_put_block(block, message);
	if (block->error)
		return block->error;
	if (block->len > IPLD_BLOCK_MAX)
		return -EMSGSIZE;
	mf_cid_of(&built->cid, b->profile->cid_version, MF_CODEC_DAG_PB, block->data, block->len);
	built->file_size = 0;
	if (__builtin_add_overflow(tsize, (uint64_t)block->len, &built->tsize))
		return -EOVERFLOW;
	return b->emit(b->arg, &built->cid, block->data, block->len);
}

static int build_basic(struct dir_builder *b, size_t count, struct unixfs_built *root)
{
	struct mf_pb_writer block = mf_pb_write_growing(0);
	struct unixfs_message message = { .type = UNIXFS_DIRECTORY, .meta = b->meta };
	uint64_t tsize = 0;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		struct dag_pb_link link = link_of(b->places[i].entry);

		dag_pb_put_link(&block, &link);
		if (block.len > IPLD_BLOCK_MAX)
			rc = -EMSGSIZE;
		else if (__builtin_add_overflow(tsize, link.tsize, &tsize))
			rc = -EOVERFLOW;
	}
	if (rc == 0)
		rc = finish_block(b, &block, &message, tsize, root);
	free(block.data);
	return rc;
}

/* A shard being written. */
struct shard {
	struct mf_pb_writer block, name;
	uint8_t bitfield[UNIXFS_FANOUT_MAX / 8]; /* bit i in byte i / 8, lowest first */
	uint64_t tsize;
};

static int put_slot(
	struct dir_builder *b, struct shard *shard, size_t slot, const struct unixfs_entry *entry)
{
	char prefix[UNIXFS_PREFIX_MAX];
	size_t prefix_len = unixfs_prefix_len(b->profile->hamt_fanout);
	struct dag_pb_link link = link_of(entry);

	shard->bitfield[slot / 8] |= (uint8_t)(1 << slot % 8);
	shard->name.len = 0;
	unixfs_slot_prefix(prefix, slot, prefix_len);
	mf_pb_put_raw(&shard->name, prefix, prefix_len);
	mf_pb_put_raw(&shard->name, entry->name, entry->name_len);
	if (shard->name.error)
		return shard->name.error;
	link.name = shard->name.data;
	link.name_len = shard->name.len;
	dag_pb_put_link(&shard->block, &link);
	if (shard->block.len > IPLD_BLOCK_MAX)
		return -EMSGSIZE;
	return __builtin_add_overflow(shard->tsize, entry->tsize, &shard->tsize) ? -EOVERFLOW : 0;
}

static int finish_shard(
	struct dir_builder *b, struct shard *shard, bool is_root, struct unixfs_built *built)
{
	uint8_t bits[UNIXFS_FANOUT_MAX / 8];
	size_t len = sizeof(bits);

	while (len && !shard->bitfield[len - 1])
		len--;
	for (size_t i = 0; i < len; i++)
		bits[i] = shard->bitfield[len - 1 - i];
	struct unixfs_message message = { .type = UNIXFS_HAMT_SHARD,
		.data = len ? bits : NULL,
		.data_len = len,
		.fanout = b->profile->hamt_fanout,
		.meta = is_root ? b->meta : NULL };
	return finish_block(b, &shard->block, &message, shard->tsize, built);
}

static int build_shard(struct dir_builder *b, const struct place *places, size_t count,
	unsigned used, struct unixfs_built *built);

/* Writes the slots of a shard whose entries have their first used bits of hash in common. */
static int fill_shard(struct dir_builder *b, struct shard *shard, const struct place *places,
	size_t count, unsigned used)
{
	unsigned shift = 64 - used - b->bits;
	size_t mask = b->profile->hamt_fanout - 1;

	for (size_t i = 0; i < count;) {
		size_t slot = places[i].hash >> shift & mask, n = 1;
		struct unixfs_entry below = { .name = (const uint8_t *)"" };
		struct unixfs_built built;
		int rc;

		while (i + n < count && (places[i + n].hash >> shift & mask) == slot)
			n++;
		if (n == 1) {
			rc = put_slot(b, shard, slot, places[i].entry);
		} else {
			rc = build_shard(b, places + i, n, used + b->bits, &built);
			if (rc)
				return rc;
			below.cid = built.cid;
			below.tsize = built.tsize;
			rc = put_slot(b, shard, slot, &below);
		}
		if (rc)
			return rc;
		i += n;
	}
	return 0;
}

/* Recurses at most 64 / bits levels; the shard lives on the heap to keep the frames small. */
static int build_shard(struct dir_builder *b, const struct place *places, size_t count,
	unsigned used, struct unixfs_built *built)
{
	struct shard *shard;
	int rc;

	if (used + b->bits > 64)
		return -ELOOP;
	shard = calloc(1, sizeof(*shard));
	if (!shard)
		return -ENOMEM;
	shard->block = shard->name = mf_pb_write_growing(0);
	rc = fill_shard(b, shard, places, count, used);
	if (rc == 0)
		rc = finish_shard(b, shard, used == 0, built);
	free(shard->block.data);
	free(shard->name.data);
	free(shard);
	return rc;
}

int unixfs_dir_build(const struct unixfs_profile *profile, const struct unixfs_meta *meta,
	const struct unixfs_entry *entries, size_t count, unixfs_emit_fn *emit, void *arg,
	struct unixfs_built *root)
{
	struct dir_builder b = { .profile = profile, .meta = meta, .emit = emit, .arg = arg };
	bool sharded;
	int rc;

	if (unixfs_profile_check(profile) < 0 || (meta && meta->mtime_nsec > 999999999))
		return -EINVAL;
	b.bits = (unsigned)__builtin_ctz(profile->hamt_fanout);
	sharded = profile->hamt_threshold &&
		unixfs_dir_size(profile, meta, entries, count) > profile->hamt_threshold;
	rc = sort_entries(&b, entries, count, sharded);
	if (rc == 0)
		rc = sharded ? build_shard(&b, b.places, count, 0, root)
			     : build_basic(&b, count, root);
	free(b.places);
	return rc;
}
