/*
 * The file cursor. It keeps a copy of every inner node between the root and where it stands, each
 * with the position of its next child that holds bytes of the range; children before the range are
 * stepped over by their declared sizes, and so are children that declare none. Sizes are checked
 * when a child arrives: it must hold exactly what its parent declared, so a lie is found no later
 * than the block that tells it.
 */
#include <ipld/unixfs_read.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An inner node whose children are being read. */
struct frame {
	uint8_t *block; /* a copy */
	size_t len;
	struct dag_pb_links links;
	struct unixfs_sizes sizes;
	struct mf_cid next; /* the child wanted, once has_next */
	uint64_t next_at;   /* where it starts in the file */
	uint64_t next_size;
	bool has_next;
};

struct unixfs_reader {
	struct mf_cid root;
	uint64_t from, to; /* bytes of the file still to give: [from, to) */
	uint64_t size;
	bool know_size, at_root;
	size_t held;
	unsigned depth;
	struct frame frames[UNIXFS_FILE_DEPTH_MAX];
};

/* Steps to the next child that holds bytes of [from, to); at is where the step starts. */
static void frame_advance(struct frame *frame, uint64_t at, uint64_t from, uint64_t to)
{
	struct dag_pb_link link;
	uint64_t size;

	frame->has_next = false;
	while (at < to && dag_pb_next(&frame->links, &link) &&
		unixfs_sizes_next(&frame->sizes, &size)) {
		if (size && at + size > from) {
			frame->has_next = true;
			frame->next = link.cid;
			frame->next_at = at;
			frame->next_size = size;
			return;
		}
		at += size;
	}
}

static void pop(struct unixfs_reader *r)
{
	struct frame *frame = &r->frames[--r->depth];

	r->held -= frame->len;
	free(frame->block);
}

/* Drops inner nodes that have nothing more to give. */
static void settle(struct unixfs_reader *r)
{
	while (r->depth && (r->from >= r->to || !r->frames[r->depth - 1].has_next))
		pop(r);
}

int unixfs_reader_new(
	struct unixfs_reader **out, const struct mf_cid *root, uint64_t offset, uint64_t length)
{
	struct unixfs_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->root = *root;
	unixfs_reader_seek(r, offset, length);
	*out = r;
	return 0;
}

void unixfs_reader_free(struct unixfs_reader *r)
{
	if (!r)
		return;
	while (r->depth)
		pop(r);
	free(r);
}

void unixfs_reader_seek(struct unixfs_reader *r, uint64_t offset, uint64_t length)
{
	while (r->depth)
		pop(r);
	r->from = offset;
	r->to = length > UINT64_MAX - offset ? UINT64_MAX : offset + length;
	r->at_root = true;
}

int unixfs_reader_want(const struct unixfs_reader *r, struct mf_cid *cid)
{
	if (r->at_root)
		*cid = r->root;
	else if (r->depth)
		*cid = r->frames[r->depth - 1].next;
	else
		return 0;
	return 1;
}

bool unixfs_reader_size(const struct unixfs_reader *r, uint64_t *size)
{
	*size = r->size;
	return r->know_size;
}

static int decode_file(
	struct unixfs_node *node, const struct mf_cid *cid, const void *block, size_t len)
{
	int rc = unixfs_decode(node, cid->codec, block, len);

	if (rc < 0)
		return rc;
	switch (node->type) {
	case UNIXFS_RAW:
	case UNIXFS_FILE: return 0;
	case UNIXFS_SYMLINK: return -ENOTSUP;
	case UNIXFS_DIRECTORY:
	case UNIXFS_HAMT_SHARD: return -EISDIR;
	case UNIXFS_METADATA:
	default: return -EBADMSG;
	}
}

/* The part of a node's own data that lies in the range; the data starts at at in the file. */
static struct mf_pb_view own_bytes(
	struct unixfs_reader *r, const struct unixfs_node *node, uint64_t at)
{
	uint64_t end = at + node->data_len;
	uint64_t from = r->from > at ? r->from : at;
	uint64_t to = r->to < end ? r->to : end;

	if (from >= to)
		return (struct mf_pb_view){ node->data, 0 };
	r->from = to;
	return (struct mf_pb_view){ node->data + (from - at), (size_t)(to - from) };
}

/* Keeps a copy of an inner node; its children start at at. */
static int push(struct unixfs_reader *r, uint32_t codec, const void *block, size_t len, uint64_t at)
{
	struct unixfs_node node;
	struct frame *frame = &r->frames[r->depth];

	if (r->depth == UNIXFS_FILE_DEPTH_MAX || len > UNIXFS_FILE_HELD_MAX - r->held)
		return -EMSGSIZE;
	frame->block = malloc(len);
	if (!frame->block)
		return -ENOMEM;
	memcpy(frame->block, block, len);
	frame->len = len;
	r->held += len;
	r->depth++;
	int rc = unixfs_decode(&node, codec, frame->block, len);
	if (rc < 0)
		return rc;
	frame->links = dag_pb_links(&node.pb);
	frame->sizes = unixfs_sizes(&node);
	frame_advance(frame, at, r->from, r->to);
	return 0;
}

int unixfs_reader_feed(
	struct unixfs_reader *r, const void *block, size_t len, struct mf_pb_view *bytes)
{
	struct unixfs_node node;
	struct mf_cid cid;
	uint64_t at = 0;

	*bytes = (struct mf_pb_view){ block, 0 };
	if (!unixfs_reader_want(r, &cid))
		return -EINVAL;
	int rc = decode_file(&node, &cid, block, len);
	if (rc < 0)
		return rc;
	if (r->at_root) {
		r->at_root = false;
		r->know_size = true;
		r->size = node.file_size;
		if (r->to > r->size)
			r->to = r->size;
	} else {
		struct frame *parent = &r->frames[r->depth - 1];

		if (node.file_size != parent->next_size)
			return -EBADMSG;
		at = parent->next_at;
		frame_advance(parent, at + node.file_size, r->from, r->to);
	}
	*bytes = own_bytes(r, &node, at);
	if (node.pb.link_count && r->from < r->to)
		rc = push(r, cid.codec, block, len, at + node.data_len);
	settle(r);
	return rc;
}

/* How far a look ahead descends through blocks it is lent; a frame here costs the stack 1 KiB. */
enum { WINDOW_DEPTH_MAX = 6 };

/* A look ahead in progress. */
struct window {
	struct mf_cid *cids;
	size_t count, max;
	uint64_t from, to;
	unixfs_have_fn *have;
	void *arg;
};

static void window_frame(struct window *w, struct frame *frame, unsigned depth);

/* Lists one child and, when its block can be had, what lies below it. */
static void window_child(
	struct window *w, const struct mf_cid *cid, uint64_t at, uint64_t size, unsigned depth)
{
	struct unixfs_node node;
	const void *block;
	size_t len;

	w->cids[w->count++] = *cid;
	if (cid->codec != MF_CODEC_DAG_PB || !w->have || depth == WINDOW_DEPTH_MAX)
		return;
	block = w->have(w->arg, cid, &len);
	if (!block || decode_file(&node, cid, block, len) < 0)
		return;
	if (!node.pb.link_count || (size != UNIXFS_TO_END && node.file_size != size))
		return;
	struct frame frame = { .links = dag_pb_links(&node.pb), .sizes = unixfs_sizes(&node) };
	frame_advance(&frame, at + node.data_len, w->from, w->to);
	window_frame(w, &frame, depth + 1);
}

static void window_frame(struct window *w, struct frame *frame, unsigned depth)
{
	while (frame->has_next && w->count < w->max) {
		window_child(w, &frame->next, frame->next_at, frame->next_size, depth);
		frame_advance(frame, frame->next_at + frame->next_size, w->from, w->to);
	}
}

size_t unixfs_reader_window(const struct unixfs_reader *r, struct mf_cid *cids, size_t max,
	unixfs_have_fn *have, void *arg)
{
	struct window w = {
		.cids = cids, .max = max, .from = r->from, .to = r->to, .have = have, .arg = arg
	};

	if (r->at_root && max)
		window_child(&w, &r->root, 0, UNIXFS_TO_END, 0);
	for (unsigned i = r->depth; i-- > 0;) {
		struct frame frame = r->frames[i];

		window_frame(&w, &frame, 0);
	}
	return w.count;
}
