/* Reading files: every range, every lie. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ipld/unixfs_dir.h>
#include <ipld/unixfs_read.h>

enum { CONTENT = 5000 };

static uint8_t content[CONTENT];

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_range_is_right),
		cmocka_unit_test(the_window_foretells_the_wants),
		cmocka_unit_test(inner_nodes_may_hold_data),
		cmocka_unit_test(trickle_files_are_read),
		cmocka_unit_test(lies_are_found),
		cmocka_unit_test(towers_have_a_top),
	};

	fill(content, sizeof(content), 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
