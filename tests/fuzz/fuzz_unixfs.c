/*
 * UnixFS readers over blocks that are anything at all. The input is a list of blocks, each after two
 * bytes of length; whatever CID a reader asks for, it gets the next one.
 */
#include <stdlib.h>
#include <string.h>

#include <ipld/unixfs_dir.h>
#include <ipld/unixfs_read.h>

enum { FEEDS_MAX = 200 };

struct input {
	const uint8_t *data;
	size_t size, at;
};

static const uint8_t *next_block(struct input *in, size_t *len)
{
	if (in->size - in->at < 2)
		in->at = 0;
	if (in->size < 2) {
		*len = in->size;
		return in->data;
	}
	size_t want = (size_t)in->data[in->at] << 8 | in->data[in->at + 1],
	       left = in->size - in->at - 2;
	const uint8_t *block = in->data + in->at + 2;

	*len = want < left ? want : left;
	in->at += 2 + *len;
	return block;
}

static const void *lend(void *arg, const struct mf_cid *cid, size_t *len)
{
	return next_block(arg, len);
}

static void read_file(struct input in, const struct mf_cid *root, uint64_t from, uint64_t length)
{
	struct unixfs_reader *reader;
	struct mf_pb_view bytes;
	struct mf_cid cid, window[16];
	uint64_t given = 0, size;
	size_t len;

	if (unixfs_reader_new(&reader, root, from, length) < 0)
		return;
	for (int i = 0; i < FEEDS_MAX && unixfs_reader_want(reader, &cid); i++) {
		struct input ahead = in;

		if (unixfs_reader_window(reader, window, 16, lend, &ahead) < 1 ||
			!mf_cid_equal(&window[0], &cid))
			abort();
		const uint8_t *block = next_block(&in, &len);
		if (unixfs_reader_feed(reader, block, len, &bytes) < 0)
			break;
		if (bytes.len && (bytes.data < block || bytes.data + bytes.len > block + len))
			abort();
		given += bytes.len;
	}
	if (given > length || (unixfs_reader_size(reader, &size) && given > size))
		abort();
	unixfs_reader_free(reader);
}

static void read_dir(struct input in, const struct mf_cid *root)
{
	struct unixfs_dir_reader *reader;
	struct unixfs_entry entry;
	struct mf_cid cid, window[16];
	size_t len;
	int rc, feeds = 0;

	if (unixfs_dir_reader_new(&reader, root) < 0)
		return;
	while ((rc = unixfs_dir_reader_next(reader, &entry)) != 0) {
		if (rc == 1)
			continue;
		unixfs_dir_reader_want(reader, &cid);
		if (unixfs_dir_reader_window(reader, window, 16) < 1)
			abort();
		const uint8_t *block = next_block(&in, &len);
		if (++feeds > FEEDS_MAX || unixfs_dir_reader_feed(reader, block, len) < 0)
			break;
	}
	unixfs_dir_reader_free(reader);
}

static void look_up(struct input in, const char *name)
{
	struct unixfs_lookup lookup;
	struct unixfs_entry entry;
	size_t len;
	int rc = 0;

	unixfs_lookup_init(&lookup, name, strlen(name));
	while (rc == 0) {
		const uint8_t *block = next_block(&in, &len);

		rc = unixfs_lookup_feed(&lookup, MF_CODEC_DAG_PB, block, len, &entry);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { .data = data, .size = size };
	struct unixfs_node node;
	struct mf_cid root;

	unixfs_decode(&node, MF_CODEC_DAG_PB, data, size);
	mf_cid_of(&root, 1, MF_CODEC_DAG_PB, "", 0);
	read_file(in, &root, 0, UNIXFS_TO_END);
	read_file(in, &root, 5, 10);
	read_dir(in, &root);
	look_up(in, "a");
	return 0;
}
