/*
 * Reading directories. The lister keeps a copy of each shard between the root and where it stands;
 * the finder keeps nothing but how many bits of the name's hash are used up.
 */
#include <ipld/unixfs_dir.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "murmur3.h"
#include "unixfs.h"

static int decode_dir(struct unixfs_node *node, uint32_t codec, const void *block, size_t len)
{
	int rc = unixfs_decode(node, codec, block, len);

	if (rc < 0)
		return rc;
	return node->type == UNIXFS_DIRECTORY || node->type == UNIXFS_HAMT_SHARD ? 0 : -ENOTDIR;
}

static void entry_of(struct unixfs_entry *entry, const struct dag_pb_link *link, size_t prefix_len)
{
	entry->name = link->name + prefix_len;
	entry->name_len = link->name_len - prefix_len;
	entry->cid = link->cid;
	entry->tsize = link->tsize;
}

static bool same_name(const struct unixfs_entry *entry, const struct unixfs_lookup *l)
{
	return entry->name_len == l->name_len && !memcmp(entry->name, l->name, l->name_len);
}

void unixfs_lookup_init(struct unixfs_lookup *l, const void *name, size_t name_len)
{
	l->name = name;
	l->name_len = name_len;
	l->hash = ipld_murmur3(name, name_len);
	l->bits_used = 0;
}

static int find_basic(const struct unixfs_lookup *l, const struct unixfs_node *node,
	struct unixfs_entry *entry)
{
	struct dag_pb_links links = dag_pb_links(&node->pb);
	struct dag_pb_link link;

	while (dag_pb_next(&links, &link)) {
		if (!link.name_len)
			continue;
		entry_of(entry, &link, 0);
		if (same_name(entry, l))
			return 1;
	}
	return -ENOENT;
}

/* The slot's link is found by the hexadecimal position its name starts with; decoding has checked
 * that each link has one. */
static int find_in_shard(struct unixfs_lookup *l, const struct unixfs_node *node,
	struct unixfs_entry *entry)
{
	struct dag_pb_links links = dag_pb_links(&node->pb);
	size_t prefix_len = unixfs_prefix_len(node->fanout);
	unsigned bits = (unsigned)__builtin_ctz(node->fanout);
	char prefix[UNIXFS_PREFIX_MAX];
	struct dag_pb_link link;

	if (l->bits_used + bits > 64)
		return -ELOOP;
	size_t slot = l->hash >> (64 - l->bits_used - bits) & (node->fanout - 1);
	l->bits_used += bits;
	unixfs_slot_prefix(prefix, slot, prefix_len);
	while (dag_pb_next(&links, &link)) {
		if (memcmp(link.name, prefix, prefix_len) != 0)
			continue;
		entry_of(entry, &link, prefix_len);
		if (!entry->name_len)
			return 0;
		return same_name(entry, l) ? 1 : -ENOENT;
	}
	return -ENOENT;
}

int unixfs_lookup_feed(struct unixfs_lookup *l, uint32_t codec, const void *block, size_t len,
	struct unixfs_entry *entry)
{
	struct unixfs_node node;
	int rc = decode_dir(&node, codec, block, len);

	if (rc < 0)
		return rc;
	if (node.type == UNIXFS_HAMT_SHARD)
		return find_in_shard(l, &node, entry);
	return l->bits_used ? -EBADMSG : find_basic(l, &node, entry);
}

struct frame {
	uint8_t *block; /* a copy */
	size_t len, prefix_len;
	struct dag_pb_links links;
};

struct unixfs_dir_reader {
	struct mf_cid want;
	bool wanting;
	struct unixfs_meta meta;
	bool have_root;
	size_t held;
	unsigned depth;
	struct frame frames[UNIXFS_SHARD_DEPTH_MAX];
};

int unixfs_dir_reader_new(struct unixfs_dir_reader **out, const struct mf_cid *root)
{
	struct unixfs_dir_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->want = *root;
	r->wanting = true;
	*out = r;
	return 0;
}

static void pop(struct unixfs_dir_reader *r)
{
	struct frame *frame = &r->frames[--r->depth];

	r->held -= frame->len;
	free(frame->block);
}

void unixfs_dir_reader_free(struct unixfs_dir_reader *r)
{
	if (!r)
		return;
	while (r->depth)
		pop(r);
	free(r);
}

/* Shards used up stay until the next call, because the last entry's name points into them. */
int unixfs_dir_reader_next(struct unixfs_dir_reader *r, struct unixfs_entry *entry)
{
	struct dag_pb_link link;

	if (r->wanting)
		return -EAGAIN;
	while (r->depth) {
		struct frame *top = &r->frames[r->depth - 1];

		if (!dag_pb_next(&top->links, &link)) {
			pop(r);
			continue;
		}
		if (link.name_len == top->prefix_len) {
			if (!top->prefix_len)
				continue; /* a nameless link in a plain directory names nothing */
			r->want = link.cid;
			r->wanting = true;
			return -EAGAIN;
		}
		entry_of(entry, &link, top->prefix_len);
		return 1;
	}
	return 0;
}

int unixfs_dir_reader_want(const struct unixfs_dir_reader *r, struct mf_cid *cid)
{
	*cid = r->want;
	return r->wanting;
}

int unixfs_dir_reader_feed(struct unixfs_dir_reader *r, const void *block, size_t len)
{
	struct unixfs_node node;
	struct frame *frame = &r->frames[r->depth];
	int rc;

	if (!r->wanting)
		return -EINVAL;
	if (r->depth == UNIXFS_SHARD_DEPTH_MAX)
		return -ELOOP;
	if (len > UNIXFS_DIR_HELD_MAX - r->held)
		return -EMSGSIZE;
	frame->block = malloc(len ? len : 1);
	if (!frame->block)
		return -ENOMEM;
	if (len)
		memcpy(frame->block, block, len);
	rc = decode_dir(&node, r->want.codec, frame->block, len);
	if (rc == 0 && r->have_root && node.type != UNIXFS_HAMT_SHARD)
		rc = -EBADMSG;
	if (rc < 0) {
		free(frame->block);
		return rc;
	}
	frame->len = len;
	frame->prefix_len = node.type == UNIXFS_HAMT_SHARD ? unixfs_prefix_len(node.fanout) : 0;
	frame->links = dag_pb_links(&node.pb);
	if (!r->have_root)
		r->meta = node.meta;
	r->have_root = true;
	r->held += len;
	r->depth++;
	r->wanting = false;
	return 0;
}

size_t unixfs_dir_reader_window(const struct unixfs_dir_reader *r, struct mf_cid *cids, size_t max)
{
	struct dag_pb_link link;
	size_t n = 0;

	if (r->wanting && max)
		cids[n++] = r->want;
	for (unsigned i = r->depth; i-- > 0;) {
		struct dag_pb_links links = r->frames[i].links;

		while (n < max && r->frames[i].prefix_len && dag_pb_next(&links, &link)) {
			if (link.name_len == r->frames[i].prefix_len)
				cids[n++] = link.cid;
		}
	}
	return n;
}

const struct unixfs_meta *unixfs_dir_reader_meta(const struct unixfs_dir_reader *r)
{
	return &r->meta;
}
