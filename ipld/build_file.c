/*
 * The balanced layout, from the bottom up. Level 0 gathers leaves into a node, level 1 gathers
 * those nodes, and so on. A node is finished when its next sibling's first child arrives, not when
 * it is full: only then is it certain that it is not the root. At the end the unfinished nodes are
 * closed from the bottom; a level that holds a single child while nothing lies above it hands that
 * child up unchanged, so the root is never a node with one link too many.
 */
#include <ipld/unixfs_build.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ipld/block.h>

#include "unixfs.h"

enum { LEVELS_MAX = 64 }; /* links_per_node is at least 2, so 2^64 leaves fit */

/* A node under construction: its links and block sizes, encoded already. */
struct level {
	struct mf_pb_writer links, sizes;
	uint32_t count;
	uint64_t file_size, tsize;
	struct unixfs_built only; /* its first child */
};

struct unixfs_file_builder {
	struct unixfs_profile profile;
	bool has_meta;
	struct unixfs_meta meta;
	unixfs_emit_fn *emit;
	void *arg;
	struct mf_pb_writer block; /* the block being emitted, kept for its memory */
	struct mf_pb_writer held;  /* with meta: the first chunk, until a second arrives */
	bool holding;
	unsigned level_count;
	struct level levels[LEVELS_MAX];
};

void unixfs_leaf_frame(
	struct unixfs_leaf_frame *frame, const struct unixfs_profile *profile, size_t chunk_len)
{
	struct mf_pb_writer head = mf_pb_write_fixed(frame->head, sizeof(frame->head));
	struct mf_pb_writer tail = mf_pb_write_fixed(frame->tail, sizeof(frame->tail));
	struct unixfs_message message = { .type = UNIXFS_FILE,
		.data = chunk_len ? "" : NULL,
		.data_len = chunk_len,
		.with_size = true,
		.file_size = chunk_len };

	if (!profile->raw_leaves) {
		mf_pb_put_length(&head, 1, unixfs_message_size(&message));
		mf_pb_put_varint(&head, UNIXFS_FIELD_TYPE, UNIXFS_FILE);
		if (chunk_len)
			mf_pb_put_length(&head, UNIXFS_FIELD_DATA, chunk_len);
		mf_pb_put_varint(&tail, UNIXFS_FIELD_FILESIZE, chunk_len);
	}
	frame->head_len = (uint8_t)head.len;
	frame->tail_len = (uint8_t)tail.len;
	frame->codec = profile->raw_leaves ? MF_CODEC_RAW : MF_CODEC_DAG_PB;
	frame->cid_version = profile->raw_leaves ? 1 : profile->cid_version;
}

int unixfs_file_builder_new(struct unixfs_file_builder **out, const struct unixfs_profile *profile,
	const struct unixfs_meta *meta, unixfs_emit_fn *emit, void *arg)
{
	struct unixfs_file_builder *b;

	if (unixfs_profile_check(profile) < 0 || (meta && meta->mtime_nsec > 999999999))
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->profile = *profile;
	b->emit = emit;
	b->arg = arg;
	b->block = b->held = mf_pb_write_growing(0);
	b->has_meta = meta && (meta->has_mode || meta->has_mtime);
	if (b->has_meta) {
		b->meta = *meta;
		b->profile.raw_leaves = false;
	}
	*out = b;
	return 0;
}

void unixfs_file_builder_free(struct unixfs_file_builder *b)
{
	if (!b)
		return;
	for (unsigned i = 0; i < b->level_count; i++) {
		free(b->levels[i].links.data);
		free(b->levels[i].sizes.data);
	}
	free(b->block.data);
	free(b->held.data);
	free(b);
}

/* Turns a level's node into a block and emits it; the level is empty afterwards. */
static int finish_node(
	struct unixfs_file_builder *b, struct level *level, bool is_root, struct unixfs_built *node)
{
	struct unixfs_message message = { .type = UNIXFS_FILE,
		.with_size = true,
		.file_size = level->file_size,
		.sizes = level->sizes.data,
		.sizes_len = level->sizes.len,
		.meta = is_root && b->has_meta ? &b->meta : NULL };

	b->block.len = 0;
	mf_pb_put_raw(&b->block, level->links.data, level->links.len);
	unixfs_put_block(&b->block, &message);
	if (level->links.error || level->sizes.error || b->block.error)
		return -ENOMEM;
	if (b->block.len > IPLD_BLOCK_MAX)
		return -EMSGSIZE;
	mf_cid_of(&node->cid, b->profile.cid_version, MF_CODEC_DAG_PB, b->block.data, b->block.len);
	node->file_size = level->file_size;
	if (__builtin_add_overflow(level->tsize, (uint64_t)b->block.len, &node->tsize))
		return -EOVERFLOW;
	level->links.len = level->sizes.len = level->count = 0;
	level->file_size = level->tsize = 0;
	return b->emit(b->arg, &node->cid, b->block.data, b->block.len);
}

static int append_child(struct level *level, const struct unixfs_built *child)
{
	struct dag_pb_link link = { .cid = child->cid,
		.name = (const uint8_t *)"",
		.has_tsize = true,
		.tsize = child->tsize };

	if (__builtin_add_overflow(level->file_size, child->file_size, &level->file_size) ||
		__builtin_add_overflow(level->tsize, child->tsize, &level->tsize))
		return -EOVERFLOW;
	if (!level->count)
		level->only = *child;
	level->count++;
	dag_pb_put_link(&level->links, &link);
	mf_pb_put_varint(&level->sizes, UNIXFS_FIELD_BLOCKSIZES, child->file_size);
	return level->links.error ? level->links.error : level->sizes.error;
}

/* Adds a child at the given level, closing full nodes on the way up. */
static int add_child(struct unixfs_file_builder *b, unsigned i, const struct unixfs_built *child)
{
	struct unixfs_built carried = *child, full;

	for (; i < LEVELS_MAX; i++) {
		struct level *level = &b->levels[i];

		if (i == b->level_count) {
			level->links = level->sizes = mf_pb_write_growing(0);
			b->level_count++;
		}
		if (level->count < b->profile.links_per_node)
			return append_child(level, &carried);
		int rc = finish_node(b, level, false, &full);
		if (rc)
			return rc;
		rc = append_child(level, &carried);
		if (rc)
			return rc;
		carried = full;
	}
	return -EOVERFLOW;
}

static int make_leaf(struct unixfs_file_builder *b, const void *data, size_t len,
	const struct unixfs_meta *meta, struct unixfs_built *leaf)
{
	struct unixfs_message message = { .type = UNIXFS_FILE,
		.data = len ? data : NULL,
		.data_len = len,
		.with_size = true,
		.file_size = len,
		.meta = meta };

	leaf->file_size = leaf->tsize = len;
	if (b->profile.raw_leaves) {
		mf_cid_of(&leaf->cid, 1, MF_CODEC_RAW, data, len);
		return b->emit(b->arg, &leaf->cid, data, len);
	}
	b->block.len = 0;
	unixfs_put_block(&b->block, &message);
	if (b->block.error)
		return b->block.error;
	leaf->tsize = b->block.len;
	mf_cid_of(&leaf->cid, b->profile.cid_version, MF_CODEC_DAG_PB, b->block.data, b->block.len);
	return b->emit(b->arg, &leaf->cid, b->block.data, b->block.len);
}

static int add_data(struct unixfs_file_builder *b, const void *data, size_t len)
{
	struct unixfs_built leaf;
	int rc = make_leaf(b, data, len, NULL, &leaf);

	return rc ? rc : add_child(b, 0, &leaf);
}

int unixfs_file_builder_add_chunk(struct unixfs_file_builder *b, const void *data, size_t len)
{
	if (len > UNIXFS_CHUNK_MAX)
		return -EMSGSIZE;
	if (!len)
		return 0;
	if (b->has_meta && !b->level_count && !b->holding) {
		mf_pb_put_raw(&b->held, data, len);
		b->holding = true;
		return b->held.error;
	}
	if (b->holding) {
		b->holding = false;
		int rc = add_data(b, b->held.data, b->held.len);
		if (rc)
			return rc;
	}
	return add_data(b, data, len);
}

int unixfs_file_builder_add_leaf(struct unixfs_file_builder *b, const struct unixfs_built *leaf)
{
	return b->has_meta || !leaf->file_size ? -EINVAL : add_child(b, 0, leaf);
}

int unixfs_file_builder_finish(struct unixfs_file_builder *b, struct unixfs_built *root)
{
	int rc;

	if (b->holding || !b->level_count)
		return make_leaf(b, b->held.data ? (void *)b->held.data : "", b->held.len,
			b->has_meta ? &b->meta : NULL, root);
	for (unsigned i = 0;; i++) {
		struct level *level = &b->levels[i];
		bool top = i + 1 == b->level_count;

		if (top && level->count == 1) {
			*root = level->only;
			return 0;
		}
		rc = finish_node(b, level, top, root);
		if (rc || top)
			return rc;
		rc = add_child(b, i + 1, root);
		if (rc)
			return rc;
	}
}
