/* Files and directories as Kubo 0.43 builds them: its CIDs at every boundary. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ipld/unixfs_dir.h>

enum { CONTENT_MAX = 140000 };

static uint8_t content[CONTENT_MAX]; /* fill(.., 1) */

static const struct {
	const char *profile;
	uint32_t chunk, links;
	size_t size;
	const char *cid;
} files[] = {
	{ "unixfs-v0-2015", 64, 174, 0, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH" },
	{ "unixfs-v0-2015", 64, 174, 1, "QmZGt1QzJJWwjCjZvNjcBkJ6zSq8k5KAtyvvCukDKiyRrM" },
	{ "unixfs-v0-2015", 64, 174, 64, "QmVWKKU9Sn6hnKdTN5FtRwHhrKy7g64D1TSJ2sA6hqwooB" },
	{ "unixfs-v0-2015", 64, 174, 65, "QmYx5WVhqhvr39H2nP9caVp5sBB7FXTUvoLvHjsdbpiUQ6" },
	{ "unixfs-v0-2015", 64, 174, 11135, "QmXKriXuxEa2TftLo4kquc3czSHeaS7oD6SGZCxqScMBoC" },
	{ "unixfs-v0-2015", 64, 174, 11136, "QmRFxCyhUaiH5ASmwtitmSjphR9wAGhhPsqfay2X1WGQMN" },
	{ "unixfs-v0-2015", 64, 174, 11137, "Qmd7TxXWfwcSpNkpzz1NDWYK8apAuafEcXcwyF1RB6EzS7" },
	{ "unixfs-v0-2015", 64, 174, 11207, "QmRns7mqRNjZjr12CJrVaqNpVYRr6F5DaoCtWMbrfd29fs" },
	{ "unixfs-v1-2025", 64, 1024, 0,
		"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku" },
	{ "unixfs-v1-2025", 64, 1024, 1,
		"bafkreifmvsdmbzqjzkig6yzlbyw2ztfsw56sfmdcd4qox3hbusbvxe7w6a" },
	{ "unixfs-v1-2025", 64, 1024, 64,
		"bafkreifrqsxddzgoo2mxwjffuxc2y7e74gsrdwdrbvwkqoirldzmlb2dh4" },
	{ "unixfs-v1-2025", 64, 1024, 65,
		"bafybeichloljy6f4id54zlc3kullqpwajyxar6zfck5hzgnwzs6xnxanza" },
	{ "unixfs-v1-2025", 64, 1024, 65535,
		"bafybeidyr6pnfn4zb3jhbxajsilrslsqpxmwmvikf5cdstk5j3tkydllmu" },
	{ "unixfs-v1-2025", 64, 1024, 65536,
		"bafybeibrerrgmes4rsujnvagjj54g7mozuu24tfbryvxnsgvw3zzxbroku" },
	{ "unixfs-v1-2025", 64, 1024, 65537,
		"bafybeiepty6xt2qvf5ymfpwlkfbz3hekovlhttrrtb5x52iefs5ifxxpsa" },
	{ "unixfs-v1-2025", 64, 1024, 65607,
		"bafybeih55lskbigbnes42fozcbwo7hbwihv2tbh4sxhoxhpknw6wexduz4" },
	{ "kubo-cid-v1", 64, 174, 0,
		"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku" },
	{ "kubo-cid-v1", 64, 174, 1,
		"bafkreifmvsdmbzqjzkig6yzlbyw2ztfsw56sfmdcd4qox3hbusbvxe7w6a" },
	{ "kubo-cid-v1", 64, 174, 64,
		"bafkreifrqsxddzgoo2mxwjffuxc2y7e74gsrdwdrbvwkqoirldzmlb2dh4" },
	{ "kubo-cid-v1", 64, 174, 65,
		"bafybeichloljy6f4id54zlc3kullqpwajyxar6zfck5hzgnwzs6xnxanza" },
	{ "kubo-cid-v1", 64, 174, 11135,
		"bafybeidmlp6ywkgjirr2s7za2l5fuia45irmwwkxsx5velpql4snx4lddi" },
	{ "kubo-cid-v1", 64, 174, 11136,
		"bafybeiawaafpb7hf3u3qts4pt43ggzsllrvez4fsn2eshrdbnkin2nl7pe" },
	{ "kubo-cid-v1", 64, 174, 11137,
		"bafybeidysj6ycajxkpbksc6m6u26yahluja7dtflwposj2ia2q3qtvjpu4" },
	{ "kubo-cid-v1", 64, 174, 11207,
		"bafybeiapy6346vnch75uaexadhvpo26hw2m6whrer35lnxbnfbeh6gmlqe" },
	{ "unixfs-v0-2015", 16, 3, 45, "QmZUTWBsew9R2kUaa7cXQNfRN1ACASG3vuYLQq1Gu51hWf" },
	{ "unixfs-v0-2015", 16, 3, 61, "QmRnMRMgiuwvs3WEn7aW58GmiM3pLbmo1GoZZU2KYhLkKa" },
	{ "unixfs-v0-2015", 16, 3, 77, "QmXhE9a3NGsNNuUhG6xwwUdSWQu6B7mxgonx6ggpvxDKSp" },
	{ "unixfs-v0-2015", 16, 3, 125, "QmTVhs2jR77Rr3dZn1C9dZbna3Y2EjxLqgdyGJdbsjyuvz" },
	{ "unixfs-v0-2015", 16, 3, 141, "QmTkdFp2sYTRU2rdU4MrDc2YLEoVyaBkjQiVmXFhdTo8ti" },
	{ "unixfs-v0-2015", 16, 3, 429, "Qmbzx8cC6ZfgL6zyDitUnbZM3m5Ak5pG7NDUPaARRWVSjN" },
	{ "unixfs-v0-2015", 16, 3, 445, "QmQrqf3YUmfe6UMdNoB8gn4JDWWGyT8vCCA6uHS148mEa8" },
};

/* count empty files named by their number in five digits and padded with x to length, the last one
 * to last. */
static const struct {
	const char *profile;
	size_t count, length, last;
	const char *cid;
} dirs[] = {
	{ "unixfs-v0-2015", 2048, 94, 94, "QmSTLdD2CrkyyZFCTY1RKEPhtYbVeD9zC56Ros6voAeRXx" },
	{ "unixfs-v0-2015", 2048, 94, 95, "QmTsZ4woyYHGoKctf1mY9FFyWTuC7oEHH3yV3WC9yq1gbj" },
	{ "unixfs-v0-2015", 5000, 60, 60, "QmSqsJHiajNV6mVfwNYGJGeWf1eMMEi3KHhrYEa17NDkRq" },
	{ "unixfs-v0-2015", 0, 0, 0, "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn" },
	{ "unixfs-v1-2025", 2048, 84, 80,
		"bafybeicepctzewxofy2jfwywqlueoewjso2xwf25rek5bu7u3equrqq7li" },
	{ "unixfs-v1-2025", 2048, 84, 81,
		"bafybeief53z2sryozp2zbt7rff6pqohnb5e2r6bkhj2fw2uvfiurswjkji" },
	{ "unixfs-v1-2025", 5000, 60, 60,
		"bafybeidhvstijyc7f3svkmlatkizscsszwbltyx4qtynkudzcby3j6fdj4" },
	{ "unixfs-v1-2025", 0, 0, 0,
		"bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354" },
	{ "kubo-cid-v1", 2048, 92, 92,
		"bafybeigzhxl23q4qkdiwbrzgede57vwbbc3zmlxqogstq6phg5ksedmeuy" },
	{ "kubo-cid-v1", 2048, 92, 93,
		"bafybeihgkbn6hyssjzpkoydb6czkh2h6xpl7mdivbvqvzp3nc3voihr7by" },
	{ "kubo-cid-v1", 5000, 60, 60,
		"bafybeidhvstijyc7f3svkmlatkizscsszwbltyx4qtynkudzcby3j6fdj4" },
	{ "kubo-cid-v1", 0, 0, 0, "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354" },
};

/* Chunks of 64 bytes, mode 04755, mtime 1600000000.123456789. */
static const struct {
	const char *profile;
	size_t size;
	const char *cid;
} with_meta[] = {
	{ "unixfs-v0-2015", 0, "QmPG8TtHH7wUszx3WkvCpkY8xXKibiz9bKkqyHGhEfvvzz" },
	{ "unixfs-v0-2015", 5, "Qmf6Ubwv2CLwWwA4z4hLvJprkpbK1qSCEvrfnvHqN7EdJP" },
	{ "unixfs-v0-2015", 64, "QmbBYxiaFa4ViQa26koNVYL18SirSNQcRCXGG7ritg83U9" },
	{ "unixfs-v0-2015", 65, "Qme3Y1Z2bu4ZSmKkYopZGit6V45WqMrEKqE7V3rx9NikgG" },
	{ "unixfs-v0-2015", 11520, "QmQGpwEHqBBRCtUeXHjyD7DDcQfXgPdHq7aTUkcuAdQK1s" },
	{ "kubo-cid-v1", 0, "bafybeianwmvfgml7tt2katvrmoc4nri2z42em46epofvkkhn6w3ksryi34" },
	{ "kubo-cid-v1", 5, "bafybeihy6upiw4wucth6hbjulsyylttm7sw7k5jnrbs6tpqjw2j2hjsqra" },
	{ "kubo-cid-v1", 64, "bafybeif62m2bbgj4jtw733qpz6dqkhrlbkmwzto5ij2waofryyuixh7osy" },
	{ "kubo-cid-v1", 65, "bafybeiewh7ew35wqdyoeowpkylogxv2lwbjsp262ekw5rm3wseulkxnfja" },
	{ "kubo-cid-v1", 11520, "bafybeiasmvxp3f4bcfyorzrp3z4hjtx5cf5ydc6cc4nuzujva7qlzgu2ym" },
};

static void add_file(const struct unixfs_profile *profile, const struct unixfs_meta *meta,
	size_t size, struct blocks *blocks, struct unixfs_built *root)
{
	struct unixfs_file_builder *builder;

	assert_int_equal(unixfs_file_builder_new(&builder, profile, meta, blocks_put, blocks), 0);
	for (size_t at = 0; at < size; at += profile->chunk_size) {
		size_t n = size - at < profile->chunk_size ? size - at : profile->chunk_size;

		assert_int_equal(unixfs_file_builder_add_chunk(builder, content + at, n), 0);
	}
	assert_int_equal(unixfs_file_builder_finish(builder, root), 0);
	unixfs_file_builder_free(builder);
	assert_int_equal(root->file_size, size);
}

static void files_have_kubos_cids(void **state)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct unixfs_profile profile = *unixfs_profile_find(files[i].profile);
		struct blocks blocks = { 0 };
		struct unixfs_built root;
		uint64_t total = 0;

		profile.chunk_size = files[i].chunk;
		profile.links_per_node = files[i].links;
		add_file(&profile, NULL, files[i].size, &blocks, &root);
		assert_cid(&root.cid, files[i].cid);
		for (size_t k = 0; k < blocks.count; k++)
			total += blocks.items[k].len;
		assert_int_equal(root.tsize, total);
		blocks_free(&blocks);
	}
}

static void files_with_metadata_have_kubos_cids(void **state)
{
	const struct unixfs_meta meta = { .has_mode = true,
		.mode = 04755,
		.has_mtime = true,
		.mtime = 1600000000,
		.mtime_nsec = 123456789 };

	for (size_t i = 0; i < sizeof(with_meta) / sizeof(with_meta[0]); i++) {
		struct unixfs_profile profile = *unixfs_profile_find(with_meta[i].profile);
		struct blocks blocks = { 0 };
		struct unixfs_built root;

		profile.chunk_size = 64;
		add_file(&profile, &meta, with_meta[i].size, &blocks, &root);
		assert_cid(&root.cid, with_meta[i].cid);
		blocks_free(&blocks);
	}
}

static int ignore(void *arg, const struct mf_cid *cid, const void *block, size_t len)
{
	return 0;
}

/* A leaf made outside from its frame gives the tree that the builder makes by itself. */
static void leaves_can_be_made_outside(void **state)
{
	static const char *const names[] = { "unixfs-v0-2015", "unixfs-v1-2025" };

	for (int p = 0; p < 2; p++) {
		struct unixfs_profile profile = *unixfs_profile_find(names[p]);
		struct unixfs_file_builder *builder;
		struct unixfs_built leaf, root, same;
		struct unixfs_leaf_frame frame;
		struct blocks blocks = { 0 };
		uint8_t block[256];

		profile.chunk_size = 100;
		assert_int_equal(
			unixfs_file_builder_new(&builder, &profile, NULL, ignore, NULL), 0);
		for (size_t at = 0; at < 1000; at += 100) {
			unixfs_leaf_frame(&frame, &profile, 100);
			memcpy(block, frame.head, frame.head_len);
			memcpy(block + frame.head_len, content + at, 100);
			memcpy(block + frame.head_len + 100, frame.tail, frame.tail_len);
			leaf.file_size = 100;
			leaf.tsize = 100u + frame.head_len + frame.tail_len;
			mf_cid_of(&leaf.cid, frame.cid_version, frame.codec, block, leaf.tsize);
			assert_int_equal(unixfs_file_builder_add_leaf(builder, &leaf), 0);
		}
		assert_int_equal(unixfs_file_builder_finish(builder, &root), 0);
		unixfs_file_builder_free(builder);
		add_file(&profile, NULL, 1000, &blocks, &same);
		assert_true(mf_cid_equal(&root.cid, &same.cid));
		assert_int_equal(root.tsize, same.tsize);
		blocks_free(&blocks);
	}
}

static void builders_refuse_nonsense(void **state)
{
	struct unixfs_profile profile = unixfs_v0_2015;
	const struct unixfs_meta meta = { .has_mode = true };
	struct unixfs_meta bad = { .has_mtime = true, .mtime_nsec = 1000000000 };
	struct unixfs_file_builder *builder;
	struct unixfs_built leaf = { .file_size = UINT64_MAX, .tsize = 1 };
	uint32_t chunk = 1;

	assert_int_equal(unixfs_file_builder_new(&builder, &profile, &bad, ignore, NULL), -EINVAL);
	assert_int_equal(unixfs_file_builder_new(&builder, &profile, &meta, ignore, NULL), 0);
	assert_int_equal(unixfs_file_builder_add_leaf(builder, &leaf), -EINVAL);
	unixfs_file_builder_free(builder);
	assert_int_equal(unixfs_file_builder_new(&builder, &profile, NULL, ignore, NULL), 0);
	assert_int_equal(
		unixfs_file_builder_add_chunk(builder, content, UNIXFS_CHUNK_MAX + 1), -EMSGSIZE);
	mf_cid_of(&leaf.cid, 1, MF_CODEC_RAW, "", 0);
	assert_int_equal(unixfs_file_builder_add_leaf(builder, &leaf), 0);
	assert_int_equal(unixfs_file_builder_add_leaf(builder, &leaf), -EOVERFLOW);
	unixfs_file_builder_free(builder);
	profile.links_per_node = 1;
	assert_int_equal(unixfs_file_builder_new(&builder, &profile, NULL, ignore, NULL), -EINVAL);
	assert_int_equal(unixfs_chunker_parse("size-262144", &chunk), 0);
	assert_int_equal(chunk, 262144);
	assert_int_equal(unixfs_chunker_parse("size-0", &chunk), -ERANGE);
	assert_int_equal(unixfs_chunker_parse("size-2096897", &chunk), -ERANGE);
	assert_int_equal(unixfs_chunker_parse("size-2096896", &chunk), 0);
	assert_int_equal(unixfs_chunker_parse("size-", &chunk), -EINVAL);
	assert_int_equal(unixfs_chunker_parse("size-1x", &chunk), -EINVAL);
	assert_int_equal(unixfs_chunker_parse("size-99999999999999999999", &chunk), -EINVAL);
	assert_int_equal(unixfs_chunker_parse("rabin-16-32-64", &chunk), -ENOTSUP);
	assert_int_equal(unixfs_chunker_parse("buzhash", &chunk), -ENOTSUP);
}

/* Entries with the names described at dirs; freed with free_entries. */
static struct unixfs_entry *make_entries(
	const struct unixfs_profile *profile, size_t count, size_t length, size_t last)
{
	struct unixfs_entry *entries = calloc(count + 1, sizeof(*entries));
	struct unixfs_built leaf;
	struct blocks blocks = { 0 };

	add_file(profile, NULL, 0, &blocks, &leaf);
	blocks_free(&blocks);
	for (size_t i = 0; i < count; i++) {
		size_t n = i + 1 < count ? length : last;
		char *name = malloc(n + 6);

		memset(name, 'x', n);
		snprintf(name, n + 6, "%05zu", i);
		name[5] = 'x';
		/* Reversed: the order given must not matter. */
		entries[count - 1 - i] = (struct unixfs_entry){
			.name = (uint8_t *)name, .name_len = n, .cid = leaf.cid, .tsize = leaf.tsize
		};
	}
	return entries;
}

static void free_entries(struct unixfs_entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free((void *)entries[i].name);
	free(entries);
}

/* Lists the whole directory and looks each of its names up. */
static size_t list(const struct blocks *blocks, const struct mf_cid *root)
{
	struct unixfs_dir_reader *reader;
	struct unixfs_entry entry, found;
	struct mf_cid cid, window[8];
	size_t n = 0;
	int rc;

	assert_int_equal(unixfs_dir_reader_new(&reader, root), 0);
	while ((rc = unixfs_dir_reader_next(reader, &entry)) != 0) {
		if (rc == -EAGAIN) {
			assert_int_equal(unixfs_dir_reader_want(reader, &cid), 1);
			assert_in_range(unixfs_dir_reader_window(reader, window, 8), 1, 8);
			assert_true(mf_cid_equal(&window[0], &cid));
			const struct stored *block = blocks_get(blocks, &cid);
			assert_int_equal(
				unixfs_dir_reader_feed(reader, block->data, block->len), 0);
			continue;
		}
		assert_int_equal(rc, 1);
		struct unixfs_lookup lookup;
		unixfs_lookup_init(&lookup, entry.name, entry.name_len);
		for (cid = *root, rc = 0; rc == 0; cid = found.cid) {
			const struct stored *block = blocks_get(blocks, &cid);

			rc = unixfs_lookup_feed(
				&lookup, cid.codec, block->data, block->len, &found);
		}
		assert_int_equal(rc, 1);
		assert_true(mf_cid_equal(&found.cid, &entry.cid));
		n++;
	}
	unixfs_dir_reader_free(reader);
	return n;
}

static void directories_have_kubos_cids(void **state)
{
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		const struct unixfs_profile *profile = unixfs_profile_find(dirs[i].profile);
		struct unixfs_entry *entries =
			make_entries(profile, dirs[i].count, dirs[i].length, dirs[i].last);
		struct blocks blocks = { 0 };
		struct unixfs_built root;
		struct unixfs_lookup lookup;
		struct unixfs_entry found;

		assert_int_equal(unixfs_dir_build(profile, NULL, entries, dirs[i].count, blocks_put,
					 &blocks, &root),
			0);
		assert_cid(&root.cid, dirs[i].cid);
		assert_int_equal(list(&blocks, &root.cid), dirs[i].count);
		unixfs_lookup_init(&lookup, "absent", 6);
		const struct stored *block = blocks_get(&blocks, &root.cid);
		int rc = unixfs_lookup_feed(
			&lookup, MF_CODEC_DAG_PB, block->data, block->len, &found);
		assert_true(rc == -ENOENT || (rc == 0 && blocks.count > 1));
		blocks_free(&blocks);
		free_entries(entries, dirs[i].count);
	}
}

static void directories_refuse_bad_names(void **state)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "/" };
	struct unixfs_entry entries[2] = { 0 };
	struct unixfs_profile profile = unixfs_v1_2025;
	struct unixfs_built root;

	mf_cid_of(&entries[0].cid, 1, MF_CODEC_RAW, "", 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		entries[0].name = (const uint8_t *)bad[i];
		entries[0].name_len = strlen(bad[i]);
		assert_int_equal(
			unixfs_dir_build(&profile, NULL, entries, 1, ignore, NULL, &root), -EINVAL);
	}
	entries[0].name = (const uint8_t *)"a\0b";
	entries[0].name_len = 3;
	assert_int_equal(
		unixfs_dir_build(&profile, NULL, entries, 1, ignore, NULL, &root), -EINVAL);
	entries[0].name_len = 1;
	entries[1] = entries[0];
	assert_int_equal(
		unixfs_dir_build(&profile, NULL, entries, 2, ignore, NULL, &root), -EEXIST);
	profile.hamt_threshold = 1;
	assert_int_equal(
		unixfs_dir_build(&profile, NULL, entries, 2, ignore, NULL, &root), -EEXIST);
	entries[1].name = (const uint8_t *)"b";
	entries[0].tsize = entries[1].tsize = UINT64_MAX;
	assert_int_equal(
		unixfs_dir_build(&profile, NULL, entries, 2, ignore, NULL, &root), -EOVERFLOW);
}

static int stop_at(void *arg, const struct mf_cid *cid, const void *block, size_t len)
{
	int *left = arg;

	return (*left)-- == 0 ? -EIO : 0;
}

static void a_failing_sink_stops_everything(void **state)
{
	struct unixfs_profile profile = unixfs_v1_2025;
	struct unixfs_entry *entries = make_entries(&profile, 3000, 60, 60);
	struct unixfs_built root;

	for (int at = 0; at < 5; at++) {
		int left = at;

		profile.hamt_threshold = 1;
		assert_int_equal(
			unixfs_dir_build(&profile, NULL, entries, 3000, stop_at, &left, &root),
			-EIO);
		assert_int_equal(left, -1);
	}
	free_entries(entries, 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_have_kubos_cids),
		cmocka_unit_test(files_with_metadata_have_kubos_cids),
		cmocka_unit_test(leaves_can_be_made_outside),
		cmocka_unit_test(builders_refuse_nonsense),
		cmocka_unit_test(directories_have_kubos_cids),
		cmocka_unit_test(directories_refuse_bad_names),
		cmocka_unit_test(a_failing_sink_stops_everything),
	};

	fill(content, sizeof(content), 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
