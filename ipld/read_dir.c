/*
 * Reading directories. The lister keeps a copy of each shard between the root and where it stands;
 * the finder keeps nothing but how many bits of the name's hash are used up.
 *
 * A few small shards that link one child from every slot could stand for more entries than anybody
 * can list. So each shard is checked as it is fed: its names must hash to the slots walked from the
 * root to it, which a shard that has two parents, or two slots of one, can do for only one of them;
 * and a shard below the root must hold something, so that each walk down ends at names to check.
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

static int find_basic(
	const struct unixfs_lookup *l, const struct unixfs_node *node, struct unixfs_entry *entry)
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
static int find_in_shard(
	struct unixfs_lookup *l, const struct unixfs_node *node, struct unixfs_entry *entry)
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

/* Where in the trie something stands: the first bits of the hash of each name there. */
struct place {
	uint64_t hash; /* their value */
	unsigned bits; /* how many */
};

struct frame {
	uint8_t *block; /* a copy */
	size_t len, prefix_len;
	struct place place;
	unsigned slot_bits; /* how many more its slots tell */
	struct dag_pb_links links;
};

struct unixfs_dir_reader {
	struct mf_cid want;
	struct place place; /* of the shard wanted */
	bool wanting;
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

/* Decoding has checked that a link's name starts with its slot. */
static struct place place_of(const struct frame *frame, const struct dag_pb_link *link)
{
	size_t slot = 0;

	for (size_t i = 0; i < frame->prefix_len; i++) {
		uint8_t digit = link->name[i];
		slot = slot << 4 | (size_t)(digit <= '9' ? digit - '0' : digit - 'A' + 10);
	}
	return (struct place){ frame->place.hash << frame->slot_bits | slot,
		frame->place.bits + frame->slot_bits };
}

static int check_places(const struct frame *frame, bool is_root)
{
	struct dag_pb_links links = frame->links;
	struct dag_pb_link link;
	bool empty = true;

	if (frame->place.bits + frame->slot_bits > 64)
		return -ELOOP;
	while (dag_pb_next(&links, &link)) {
		struct place place = place_of(frame, &link);
		size_t skip = frame->prefix_len;
		empty = false;
		if (link.name_len > skip &&
			ipld_murmur3(link.name + skip, link.name_len - skip) >> (64 - place.bits) !=
				place.hash)
			return -EBADMSG;
	}
	return empty && !is_root ? -EBADMSG : 0;
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
			r->place = place_of(top, &link);
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

static int enter(
	const struct unixfs_dir_reader *r, struct frame *frame, const struct unixfs_node *node)
{
	frame->links = dag_pb_links(&node->pb);
	frame->prefix_len = 0;
	if (node->type != UNIXFS_HAMT_SHARD)
		return r->have_root ? -EBADMSG : 0;
	frame->prefix_len = unixfs_prefix_len(node->fanout);
	frame->slot_bits = (unsigned)__builtin_ctz(node->fanout);
	frame->place = r->place;
	return check_places(frame, !r->have_root);
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
	if (rc == 0)
		rc = enter(r, frame, &node);
	if (rc < 0) {
		free(frame->block);
		return rc;
	}
	frame->len = len;
	if (!r->have_root)
		r->have_root = true;
	r->held += len;
	r->depth++;
	r->wanting = false;
	return 0;
}

size_t unixfs_dir_reader_held(const struct unixfs_dir_reader *r)
{
	return r->held;
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
