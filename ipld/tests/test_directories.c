/* Directories: shards honest and not, and the public gateway fixtures walked whole. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ipld/unixfs_dir.h>
#include <ipld/unixfs_read.h>

/* A shard's block made by hand: links of the given names, all to the same child. */
static int decode_shard(uint64_t fanout, uint64_t hash, const void *bits, size_t bits_len,
	const char *const names[], size_t count)
{
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct unixfs_node node;
	struct dag_pb_link link = { 0 };

	mf_cid_of(&link.cid, 1, MF_CODEC_RAW, "", 0);
	for (size_t i = 0; i < count; i++) {
		link.name = (const uint8_t *)names[i];
		link.name_len = strlen(names[i]);
		dag_pb_put_link(&out, &link);
	}
	size_t mark = mf_pb_open(&out, 1);
	mf_pb_put_varint(&out, 1, UNIXFS_HAMT_SHARD);
	mf_pb_put_bytes(&out, 2, bits, bits_len);
	mf_pb_put_varint(&out, 5, hash);
	mf_pb_put_varint(&out, 6, fanout);
	mf_pb_close(&out, mark);
	int rc = unixfs_decode(&node, MF_CODEC_DAG_PB, out.data, out.len);
	free(out.data);
	return rc;
}

static void bad_shards_are_refused(void **state)
{
	static const char *const two[] = { "00a", "09b" };
	static const char *const swapped[] = { "09b", "00a" };
	static const char *const wrong[] = { "00a", "0Ab" };
	static const char *const naked[] = { "00a", "9" };
	static const uint64_t bad_fanouts[] = { 0, 1, 4, 7, 255, 2048, UINT64_MAX };
	const uint8_t bits[] = { 0x02, 0x01 }, padded[33] = { [31] = 0x02, [32] = 0x01 };

	assert_int_equal(decode_shard(256, 0x22, bits, 2, two, 2), 0);
	for (size_t i = 0; i < sizeof(bad_fanouts) / sizeof(bad_fanouts[0]); i++)
		assert_int_equal(decode_shard(bad_fanouts[i], 0x22, bits, 2, two, 2), -EBADMSG);
	assert_int_equal(decode_shard(256, 0x12, bits, 2, two, 2), -EBADMSG);
	assert_int_equal(decode_shard(256, 0x22, padded + 1, 32, two, 2), 0);
	assert_int_equal(decode_shard(256, 0x22, padded, 33, two, 2), -EBADMSG);
	assert_int_equal(decode_shard(256, 0x22, bits + 1, 1, two, 2), -EBADMSG);
	assert_int_equal(decode_shard(256, 0x22, bits, 2, two, 1), -EBADMSG);
	assert_int_equal(decode_shard(256, 0x22, bits, 2, swapped, 2), -EBADMSG);
	assert_int_equal(decode_shard(256, 0x22, bits, 2, wrong, 2), -EBADMSG);
	assert_int_equal(decode_shard(256, 0x22, bits, 2, naked, 2), -EBADMSG);
	assert_int_equal(decode_shard(16, 0x22, bits, 2, two, 2), -EBADMSG);
}

/* A shard whose one child is a shard whose one child is ... deeper than the hash has bits. */
static void shard_towers_have_a_top(void **state)
{
	struct blocks blocks = { 0 };
	struct unixfs_entry entry;
	struct unixfs_dir_reader *reader;
	struct dag_pb_link link = { .name = (const uint8_t *)"0", .name_len = 1 };
	const uint8_t bit = 1;
	int rc;

	mf_cid_of(&link.cid, 1, MF_CODEC_RAW, "", 0);
	for (int level = 0; level < 30; level++) {
		struct mf_pb_writer out = mf_pb_write_growing(0);
		struct unixfs_message message = {
			.type = UNIXFS_HAMT_SHARD, .data = &bit, .data_len = 1, .fanout = 8
		};

		dag_pb_put_link(&out, &link);
		unixfs_put_block(&out, &message);
		mf_cid_of(&link.cid, 1, MF_CODEC_DAG_PB, out.data, out.len);
		blocks_put(&blocks, &link.cid, out.data, out.len);
		free(out.data);
	}
	assert_int_equal(unixfs_dir_reader_new(&reader, &link.cid), 0);
	while ((rc = unixfs_dir_reader_next(reader, &entry)) == -EAGAIN) {
		struct mf_cid cid;

		unixfs_dir_reader_want(reader, &cid);
		const struct stored *block = blocks_get(&blocks, &cid);
		rc = unixfs_dir_reader_feed(reader, block->data, block->len);
		if (rc < 0)
			break;
	}
	assert_int_equal(rc, -ELOOP);
	unixfs_dir_reader_free(reader);
	blocks_free(&blocks);
}

/* A shard of 8 slots, those of bits taken: all by the same entry or, without a name, child. */
static struct mf_cid put_shard(
	struct blocks *blocks, uint8_t bits, const char *name, struct mf_cid child)
{
	struct mf_pb_writer out = mf_pb_write_growing(0);
	struct unixfs_message message = {
		.type = UNIXFS_HAMT_SHARD, .data = &bits, .data_len = 1, .fanout = 8
	};
	struct mf_cid cid;

	for (int slot = 0; slot < 8; slot++) {
		char full[32];
		struct dag_pb_link link = { .cid = child, .name = (uint8_t *)full };

		if (bits >> slot & 1) {
			link.name_len = (size_t)snprintf(full, sizeof(full), "%d%s", slot, name);
			dag_pb_put_link(&out, &link);
		}
	}
	unixfs_put_block(&out, &message);
	mf_cid_of(&cid, 1, MF_CODEC_DAG_PB, out.data, out.len);
	blocks_put(blocks, &cid, out.data, out.len);
	free(out.data);
	return cid;
}

/* Lists a directory; the end's code, and how many entries and shards there were before it. */
static int list(
	const struct blocks *blocks, const struct mf_cid *root, size_t *entries, size_t *shards)
{
	struct unixfs_dir_reader *reader;
	struct unixfs_entry entry;
	int rc;

	*entries = *shards = 0;
	assert_int_equal(unixfs_dir_reader_new(&reader, root), 0);
	while ((rc = unixfs_dir_reader_next(reader, &entry)) != 0) {
		struct mf_cid cid;

		if (rc == 1) {
			++*entries;
			continue;
		}
		unixfs_dir_reader_want(reader, &cid);
		const struct stored *block = blocks_get(blocks, &cid);
		rc = unixfs_dir_reader_feed(reader, block->data, block->len);
		if (rc < 0)
			break;
		++*shards;
	}
	unixfs_dir_reader_free(reader);
	return rc;
}

/* Each slot of each shard names the one shard below: eight times the work a level. */
static void shards_are_listed_once(void **state)
{
	struct mf_cid child, cid;
	size_t entries, shards, listed = 0;

	mf_cid_of(&child, 1, MF_CODEC_RAW, "", 0);
	for (int i = 0; i < 2000; i++) {
		struct blocks blocks = { 0 };
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		cid = put_shard(&blocks, 1, name, child);
		for (int level = 0; level < 2; level++)
			cid = put_shard(&blocks, 0xff, "", cid);
		/* The name is right in at most one of the 64 places. */
		assert_int_equal(list(&blocks, &cid, &entries, &shards), -EBADMSG);
		assert_in_range(entries, 0, 1);
		listed += entries;
		blocks_free(&blocks);
	}
	assert_in_range(listed, 1, 100);

	struct blocks blocks = { 0 };
	cid = put_shard(&blocks, 0, "", child);
	assert_int_equal(list(&blocks, &cid, &entries, &shards), 0); /* an empty directory */
	for (int level = 0; level < 20; level++)
		cid = put_shard(&blocks, 0xff, "", cid);
	assert_int_equal(list(&blocks, &cid, &entries, &shards), -EBADMSG);
	assert_int_equal(entries, 0);
	assert_int_equal(shards, 20);
	blocks_free(&blocks);
}

/* What a walk over a directory tree met. */
struct census {
	size_t dirs, files, links, others, missing;
	uint64_t bytes;
};

static void walk(
	const struct blocks *blocks, const struct mf_cid *cid, int depth, struct census *census);

static void walk_dir(
	const struct blocks *blocks, const struct mf_cid *root, int depth, struct census *census)
{
	struct unixfs_dir_reader *reader;
	struct unixfs_entry entry;
	int rc;

	census->dirs++;
	assert_int_equal(unixfs_dir_reader_new(&reader, root), 0);
	while ((rc = unixfs_dir_reader_next(reader, &entry)) != 0) {
		if (rc == 1) {
			walk(blocks, &entry.cid, depth + 1, census);
			continue;
		}
		struct mf_cid cid;
		unixfs_dir_reader_want(reader, &cid);
		const struct stored *block = blocks_get(blocks, &cid);
		if (!block) {
			census->missing++;
			break;
		}
		assert_int_equal(unixfs_dir_reader_feed(reader, block->data, block->len), 0);
	}
	unixfs_dir_reader_free(reader);
}

static void walk(
	const struct blocks *blocks, const struct mf_cid *cid, int depth, struct census *census)
{
	struct unixfs_node node;
	struct got got;
	const struct stored *block = blocks_get(blocks, cid);

	assert_in_range(depth, 0, 20);
	if (!block) {
		census->missing++;
		return;
	}
	if (unixfs_decode(&node, cid->codec, block->data, block->len) < 0) {
		census->others++;
		return;
	}
	if (node.type == UNIXFS_DIRECTORY || node.type == UNIXFS_HAMT_SHARD) {
		walk_dir(blocks, cid, depth, census);
	} else if (node.type == UNIXFS_SYMLINK) {
		census->links++;
	} else {
		int rc = read_range(blocks, cid, 0, UNIXFS_TO_END, &got);

		assert_true(rc == 0 || rc == -ENOENT);
		census->missing += rc == -ENOENT;
		census->files++;
		census->bytes += got.len;
		free(got.data);
	}
}

static const struct {
	const char *file;
	struct census census;
} cars[] = {
	{ "dir_listing/fixtures.car", { 6, 4, 0, 0, 0, 150 } },
	{ "path_gateway_tar/fixtures.car", { 6, 4, 0, 0, 0, 150 } },
	{ "path_gateway_tar/outside-root.car", { 1, 2, 0, 0, 0, 28 } },
	{ "path_gateway_unixfs/dir-with-files.car", { 1, 4, 0, 0, 0, 1100 } },
	{ "path_gateway_unixfs/dir-with-percent-encoded-filename.car", { 1, 1, 0, 0, 0, 38 } },
	{ "path_gateway_unixfs/symlink.car", { 1, 1, 1, 0, 0, 8 } },
	{ "redirects_file/redirects.car", { 15, 19, 0, 0, 0, 66199 } },
	{ "subdomain_gateway/fixtures.car", { 5, 8, 0, 0, 0, 80 } },
	{ "trustless_gateway_car/dir-with-duplicate-files.car", { 1, 4, 0, 0, 0, 1100 } },
	{ "trustless_gateway_car/dir-with-dag-cbor-with-links.car", { 1, 0, 0, 1, 0, 0 } },
	{ "trustless_gateway_car/file-3k-and-3-blocks-missing-block.car", { 0, 1, 0, 0, 1, 1024 } },
	{ "trustless_gateway_car/single-layer-hamt-with-multi-block-files.car",
		{ 1, 1000, 0, 0, 0, 1026000 } },
	{ "trustless_gateway_car/subdir-with-mixed-block-files.car", { 2, 3, 0, 0, 0, 1069 } },
};

static void gateway_fixtures_are_read(void **state)
{
	const char *dir = fixtures();

	for (size_t i = 0; i < sizeof(cars) / sizeof(cars[0]); i++) {
		struct blocks blocks = { 0 };
		struct census census = { 0 };
		size_t len;
		uint8_t *data = read_fixture(&len, "%s/gateway/%s", dir, cars[i].file);
		struct mf_cid root = blocks_load_car(&blocks, data, len);

		walk(&blocks, &root, 0, &census);
		assert_int_equal(census.dirs, cars[i].census.dirs);
		assert_int_equal(census.files, cars[i].census.files);
		assert_int_equal(census.links, cars[i].census.links);
		assert_int_equal(census.others, cars[i].census.others);
		assert_int_equal(census.missing, cars[i].census.missing);
		assert_int_equal(census.bytes, cars[i].census.bytes);
		blocks_free(&blocks);
		free(data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_shards_are_refused),
		cmocka_unit_test(shard_towers_have_a_top),
		cmocka_unit_test(shards_are_listed_once),
		cmocka_unit_test(gateway_fixtures_are_read),
	};

	return ipld_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
