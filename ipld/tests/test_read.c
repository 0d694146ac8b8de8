/* Reading files and directories: every range, every lie, and the public gateway fixtures. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ipld/unixfs_dir.h>
#include <ipld/unixfs_read.h>

enum { CONTENT = 5000 };

static uint8_t content[CONTENT];

struct got {
	uint8_t *data;
	size_t len, blocks;
};

/* Reads a range; returns 0, the reader's error, or -ENOENT for a block that is not there. */
static int read_range(const struct blocks *blocks, const struct mf_cid *root, uint64_t offset,
	uint64_t length, struct got *got)
{
	struct unixfs_reader *reader;
	struct mf_pb_view bytes;
	struct mf_cid cid, window[2];
	int rc = 0;

	*got = (struct got){ .data = malloc(1) };
	assert_int_equal(unixfs_reader_new(&reader, root, offset, length), 0);
	while (rc == 0 && unixfs_reader_want(reader, &cid)) {
		const struct stored *block = blocks_get(blocks, &cid);

		assert_in_range(unixfs_reader_window(reader, window, 2, NULL, NULL), 1, 2);
		assert_true(mf_cid_equal(&window[0], &cid));
		if (!block) {
			rc = -ENOENT;
			break;
		}
		rc = unixfs_reader_feed(reader, block->data, block->len, &bytes);
		if (rc == 0 && bytes.len) {
			got->data = realloc(got->data, got->len + bytes.len);
			memcpy(got->data + got->len, bytes.data, bytes.len);
			got->len += bytes.len;
		}
		got->blocks++;
	}
	unixfs_reader_free(reader);
	return rc;
}

static struct mf_cid add_content(const struct unixfs_profile *profile, struct blocks *blocks)
{
	struct unixfs_file_builder *builder;
	struct unixfs_built root;

	assert_int_equal(unixfs_file_builder_new(&builder, profile, NULL, blocks_put, blocks), 0);
	for (size_t at = 0; at < CONTENT; at += profile->chunk_size) {
		size_t n = CONTENT - at < profile->chunk_size ? CONTENT - at : profile->chunk_size;

		assert_int_equal(unixfs_file_builder_add_chunk(builder, content + at, n), 0);
	}
	assert_int_equal(unixfs_file_builder_finish(builder, &root), 0);
	unixfs_file_builder_free(builder);
	return root.cid;
}

static void every_range_is_right(void **state)
{
	static const uint64_t points[] = { 0, 1, 63, 64, 65, 191, 192, 193, 1727, 1728, 1729, 2500,
		CONTENT - 1, CONTENT, CONTENT + 1, UINT64_MAX - 1, UINT64_MAX };
	enum { POINTS = sizeof(points) / sizeof(points[0]) };

	for (int raw = 0; raw < 2; raw++) {
		struct unixfs_profile profile = unixfs_kubo_cid_v1;
		struct blocks blocks = { 0 };
		struct got got;

		profile.chunk_size = 64;
		profile.links_per_node = 3;
		profile.raw_leaves = raw;
		struct mf_cid root = add_content(&profile, &blocks);
		for (size_t i = 0; i < POINTS * POINTS; i++) {
			uint64_t from = points[i / POINTS], length = points[i % POINTS];
			uint64_t start = from < CONTENT ? from : CONTENT;
			uint64_t left = CONTENT - start, want = length < left ? length : left;

			assert_int_equal(read_range(&blocks, &root, from, length, &got), 0);
			assert_int_equal(got.len, want);
			assert_memory_equal(got.data, content + start, want);
			if (want <= 1) /* no more than one path down: 3^5 leaves are enough */
				assert_in_range(got.blocks, 1, 6);
			free(got.data);
		}
		blocks_free(&blocks);
	}
}

static const void *lend(void *arg, const struct mf_cid *cid, size_t *len)
{
	const struct stored *block = blocks_get(arg, cid);

	*len = block ? block->len : 0;
	return block ? block->data : NULL;
}

static void the_window_foretells_the_wants(void **state)
{
	struct unixfs_profile profile = unixfs_kubo_cid_v1;
	struct blocks blocks = { 0 };
	struct unixfs_reader *reader;
	struct mf_cid window[200], blind[200], cid;
	struct mf_pb_view bytes;

	profile.chunk_size = 64;
	profile.links_per_node = 4;
	struct mf_cid root = add_content(&profile, &blocks);
	assert_int_equal(unixfs_reader_new(&reader, &root, 300, 3000), 0);
	size_t n = unixfs_reader_window(reader, window, 200, lend, &blocks);
	assert_int_equal(unixfs_reader_window(reader, blind, 200, NULL, NULL), 1);
	assert_int_equal(unixfs_reader_window(reader, window, 0, lend, &blocks), 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(unixfs_reader_want(reader, &cid), 1);
		assert_true(mf_cid_equal(&cid, &window[i]));
		size_t seen = unixfs_reader_window(reader, blind, 200, NULL, NULL);
		assert_in_range(seen, 1, n - i);
		assert_true(mf_cid_equal(&cid, &blind[0]));
		const struct stored *block = blocks_get(&blocks, &cid);
		assert_int_equal(unixfs_reader_feed(reader, block->data, block->len, &bytes), 0);
	}
	assert_int_equal(unixfs_reader_want(reader, &cid), 0);
	assert_int_equal(unixfs_reader_window(reader, blind, 200, NULL, NULL), 0);
	unixfs_reader_seek(reader, 0, 1);
	assert_int_equal(unixfs_reader_want(reader, &cid), 1);
	assert_true(mf_cid_equal(&cid, &root));
	unixfs_reader_free(reader);
	blocks_free(&blocks);
}

/* A dag-pb file node put together by hand, honest or not. */
struct fake {
	const char *data; /* own bytes, or NULL */
	const char *link_name;
	struct mf_cid links[4];
	uint64_t sizes[4];
	size_t link_count, size_count;
	uint64_t file_size;
	enum unixfs_type type;
};

static struct mf_cid put_fake(struct blocks *blocks, const struct fake *fake)
{
	struct mf_pb_writer out = mf_pb_write_growing(0), sizes = mf_pb_write_growing(0);
	struct mf_cid cid;

	for (size_t i = 0; i < fake->link_count; i++) {
		const char *name = fake->link_name ? fake->link_name : "";
		struct dag_pb_link link = { .cid = fake->links[i],
			.name = (const uint8_t *)name,
			.name_len = strlen(name),
			.has_tsize = true,
			.tsize = UINT64_MAX };

		dag_pb_put_link(&out, &link);
	}
	for (size_t i = 0; i < fake->size_count; i++)
		mf_pb_put_varint(&sizes, 4, fake->sizes[i]);
	struct unixfs_message message = { .type = fake->type,
		.data = fake->data,
		.data_len = fake->data ? strlen(fake->data) : 0,
		.with_size = true,
		.file_size = fake->file_size,
		.sizes = sizes.data,
		.sizes_len = sizes.len };
	unixfs_put_block(&out, &message);
	mf_cid_of(&cid, 1, MF_CODEC_DAG_PB, out.data, out.len);
	blocks_put(blocks, &cid, out.data, out.len);
	free(out.data);
	free(sizes.data);
	return cid;
}

static struct mf_cid put_raw(struct blocks *blocks, const char *text)
{
	struct mf_cid cid;

	mf_cid_of(&cid, 1, MF_CODEC_RAW, text, strlen(text));
	blocks_put(blocks, &cid, text, strlen(text));
	return cid;
}

static void assert_reads(const struct blocks *blocks, const struct mf_cid *root, const char *text)
{
	size_t len = strlen(text);
	struct got got;

	for (size_t from = 0; from <= len; from++) {
		for (size_t n = 0; n <= len - from; n++) {
			assert_int_equal(read_range(blocks, root, from, n, &got), 0);
			assert_int_equal(got.len, n);
			assert_memory_equal(got.data, text + from, n);
			free(got.data);
		}
	}
}

static void inner_nodes_may_hold_data(void **state)
{
	struct blocks blocks = { 0 };
	struct fake leaf = { .type = UNIXFS_RAW, .data = "fg", .file_size = 2 };
	struct fake inner = { .type = UNIXFS_FILE,
		.data = "cd",
		.file_size = 5,
		.links = { put_raw(&blocks, "e"), put_fake(&blocks, &leaf) },
		.sizes = { 1, 2 },
		.link_count = 2,
		.size_count = 2 };
	struct fake root = { .type = UNIXFS_FILE,
		.data = "ab",
		.file_size = 9,
		.links = { put_fake(&blocks, &inner), put_raw(&blocks, ""),
			put_raw(&blocks, "hi") },
		.sizes = { 5, 0, 2 },
		.link_count = 3,
		.size_count = 3 };
	struct mf_cid cid = put_fake(&blocks, &root);

	assert_reads(&blocks, &cid, "abcdefghi");
	blocks_free(&blocks);
}

/* data/trickle.car: 300 bytes of content in chunks of 8 as Kubo's --trickle lays them out. */
static void trickle_files_are_read(void **state)
{
	struct blocks blocks = { 0 };
	struct got got;
	size_t len;
	uint8_t *car = read_fixture(&len, "%s/trickle.car", TEST_DATA);
	struct mf_cid root = blocks_load_car(&blocks, car, len);

	for (size_t from = 0; from <= 300; from += 7) {
		for (size_t n = 0; n <= 300 - from; n += 11) {
			assert_int_equal(read_range(&blocks, &root, from, n, &got), 0);
			assert_int_equal(got.len, n);
			assert_memory_equal(got.data, content + from, n);
			free(got.data);
		}
	}
	free(car);
	blocks_free(&blocks);
}

static void assert_refused(struct blocks *blocks, const struct fake *fake, int error)
{
	struct mf_cid cid = put_fake(blocks, fake);
	struct got got;

	assert_int_equal(read_range(blocks, &cid, 0, UNIXFS_TO_END, &got), error);
	free(got.data);
}

static void lies_are_found(void **state)
{
	struct blocks blocks = { 0 };
	struct mf_cid a = put_raw(&blocks, "aaa");
	const struct fake honest = { .type = UNIXFS_FILE,
		.file_size = 3,
		.links = { a },
		.sizes = { 3 },
		.link_count = 1,
		.size_count = 1 };
	struct fake lie = honest;

	assert_refused(&blocks, &honest, 0);
	lie.file_size = 4; /* size is not the sum */
	assert_refused(&blocks, &lie, -EBADMSG);
	lie.sizes[0] = 4; /* the child is smaller than said */
	assert_refused(&blocks, &lie, -EBADMSG);
	lie.sizes[0] = lie.file_size = 2; /* and larger */
	assert_refused(&blocks, &lie, -EBADMSG);
	lie = honest;
	lie.size_count = 0; /* fewer sizes than links */
	lie.file_size = 0;
	assert_refused(&blocks, &lie, -EBADMSG);
	lie = honest;
	lie.size_count = 2; /* more sizes than links */
	assert_refused(&blocks, &lie, -EBADMSG);
	lie = honest;
	lie.link_name = "chunk";
	assert_refused(&blocks, &lie, -EBADMSG);
	lie = honest;
	lie.links[1] = lie.links[2] = a; /* sums that wrap around to 3 */
	lie.link_count = lie.size_count = 3;
	lie.sizes[1] = UINT64_MAX;
	lie.sizes[2] = 1;
	assert_refused(&blocks, &lie, -EBADMSG);
	lie = honest;
	lie.type = UNIXFS_METADATA;
	assert_refused(&blocks, &lie, -EBADMSG);
	lie.type = UNIXFS_DIRECTORY;
	lie.size_count = 0;
	assert_refused(&blocks, &lie, -EISDIR);
	lie.type = UNIXFS_SYMLINK;
	assert_refused(&blocks, &lie, -EBADMSG);
	lie = (struct fake){ .type = UNIXFS_SYMLINK, .data = "/etc" };
	assert_refused(&blocks, &lie, -ENOTSUP);
	blocks_free(&blocks);
}

static void towers_have_a_top(void **state)
{
	struct blocks blocks = { 0 };
	struct mf_cid cid = put_raw(&blocks, "x");
	struct got got;

	for (int level = 1; level <= UNIXFS_FILE_DEPTH_MAX + 1; level++) {
		struct fake node = { .type = UNIXFS_FILE,
			.file_size = 1,
			.links = { cid },
			.sizes = { 1 },
			.link_count = 1,
			.size_count = 1 };

		cid = put_fake(&blocks, &node);
		int rc = read_range(&blocks, &cid, 0, UNIXFS_TO_END, &got);
		assert_int_equal(rc, level > UNIXFS_FILE_DEPTH_MAX ? -EMSGSIZE : 0);
		free(got.data);
	}
	blocks_free(&blocks);
}

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
		cmocka_unit_test(every_range_is_right),
		cmocka_unit_test(the_window_foretells_the_wants),
		cmocka_unit_test(inner_nodes_may_hold_data),
		cmocka_unit_test(trickle_files_are_read),
		cmocka_unit_test(lies_are_found),
		cmocka_unit_test(towers_have_a_top),
		cmocka_unit_test(bad_shards_are_refused),
		cmocka_unit_test(shard_towers_have_a_top),
		cmocka_unit_test(shards_are_listed_once),
		cmocka_unit_test(gateway_fixtures_are_read),
	};

	fill(content, sizeof(content), 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
