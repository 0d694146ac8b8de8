/* A sharded directory of any names, at any fanout, lists and finds exactly those names. The first
 * byte is the fanout's, the rest are names between line ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ipld/unixfs_dir.h>

enum { NAMES_MAX = 300, BLOCKS_MAX = 2000 };

struct blocks {
	struct block {
		struct mf_cid cid;
		uint8_t *data;
		size_t len;
	} items[BLOCKS_MAX];
	size_t count;
};

static int keep(void *arg, const struct mf_cid *cid, const void *block, size_t len)
{
	struct blocks *blocks = arg;

	if (blocks->count == BLOCKS_MAX)
		return -ENOSPC;
	struct block *item = &blocks->items[blocks->count++];
	*item = (struct block){ .cid = *cid, .data = malloc(len), .len = len };
	memcpy(item->data, block, len);
	return 0;
}

static const struct block *get(const struct blocks *blocks, const struct mf_cid *cid)
{
	for (size_t i = 0; i < blocks->count; i++) {
		if (mf_cid_equal(&blocks->items[i].cid, cid))
			return &blocks->items[i];
	}
	abort();
}

static void find(
	const struct blocks *blocks, const struct mf_cid *root, const struct unixfs_entry *wanted)
{
	struct unixfs_lookup lookup;
	struct unixfs_entry entry;
	struct mf_cid cid = *root;
	int rc = 0;

	unixfs_lookup_init(&lookup, wanted->name, wanted->name_len);
	for (; rc == 0; cid = entry.cid) {
		const struct block *block = get(blocks, &cid);

		rc = unixfs_lookup_feed(&lookup, cid.codec, block->data, block->len, &entry);
	}
	if (rc != 1 || entry.tsize != wanted->tsize)
		abort();
}

static size_t list(const struct blocks *blocks, const struct mf_cid *root)
{
	struct unixfs_dir_reader *reader;
	struct unixfs_entry entry;
	struct mf_cid cid;
	size_t n = 0;
	int rc;

	if (unixfs_dir_reader_new(&reader, root) < 0)
		abort();
	while ((rc = unixfs_dir_reader_next(reader, &entry)) != 0) {
		if (rc == 1) {
			n++;
			continue;
		}
		unixfs_dir_reader_want(reader, &cid);
		const struct block *block = get(blocks, &cid);
		if (unixfs_dir_reader_feed(reader, block->data, block->len) < 0)
			abort();
	}
	unixfs_dir_reader_free(reader);
	return n;
}

static size_t split(const uint8_t *data, size_t size, struct unixfs_entry *entries)
{
	size_t n = 0, start = 0;

	for (size_t i = 0; i <= size && n < NAMES_MAX; i++) {
		if (i < size && data[i] != '\n')
			continue;
		entries[n] = (struct unixfs_entry){
			.name = data + start, .name_len = i - start, .tsize = n
		};
		mf_cid_of(&entries[n++].cid, 1, MF_CODEC_RAW, "", 0);
		start = i + 1;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct unixfs_entry entries[NAMES_MAX];
	static struct blocks blocks;
	struct unixfs_profile profile = unixfs_v1_2025;
	struct unixfs_built root;

	if (!size)
		return 0;
	blocks.count = 0;
	profile.hamt_fanout = 8u << data[0] % 8;
	profile.hamt_threshold = data[0] & 8 ? 1 : 256 << 10;
	size_t count = split(data + 1, size - 1, entries);
	if (unixfs_dir_build(&profile, NULL, entries, count, keep, &blocks, &root) == 0) {
		if (list(&blocks, &root.cid) != count)
			abort();
		for (size_t i = 0; i < count; i++)
			find(&blocks, &root.cid, &entries[i]);
	}
	for (size_t i = 0; i < blocks.count; i++)
		free(blocks.items[i].data);
	return 0;
}
