/*
 * Everything below a root, each block once, depth first in the order of the links.
 *
 * The links still to follow lie on a stack, as bytes, in one frame for each block on the way down.
 * Of a block's links only those go there that are new: neither visited nor pushed by this block
 * already. So a frame is never larger than the block it came from, whatever the block says, and the
 * stack is bounded by the blocks between the root and here. A link that waits in a frame below may
 * be pushed again, for depth first means that who comes to it first takes it.
 *
 * The set of all links met is a hash table of keyed fingerprints. Blocks are got in runs: the one
 * wanted now, and those that will come off the stack after it. Whatever goes over many links lets
 * others have a turn now and then.
 */
#include "node.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum { AHEAD = 64, RUN = 32, STEPS_A_TURN = 1024 };

/* What the table knows of a link. 96 bits tell it from others. */
struct met {
	uint64_t high;
	uint32_t low;
	uint32_t mark; /* NOBODY: an empty place; VISITED; else the block that pushed it last */
};
enum { NOBODY, VISITED, FIRST_BLOCK };

struct frame {
	size_t start, next; /* of its links, and of those that are left, on the stack */
};

struct walk {
	struct kit_blocks *blocks;
	uint8_t *stack; /* links, each a length and the CID */
	size_t used, size;
	struct frame *frames;
	size_t depth, frames_size;
	struct met *met; /* open addressing */
	size_t met_count, met_size;
	uint8_t key[crypto_shorthash_siphashx24_KEYBYTES];
	uint32_t block; /* the number of the one whose links are being pushed; it may wrap, for a
			 * mark that is mistaken only leaves the link where it lies */
	uint32_t steps;
	bool skim; /* raw blocks, which link to nothing, are not read */
	struct mf_cid ahead[AHEAD];
	struct store_block run[RUN]; /* got together: run[i] answers ahead[i] */
	size_t run_at, run_count;
};

static int step(struct walk *walk)
{
	return ++walk->steps % STEPS_A_TURN ? 0 : anyio_checkpoint();
}

/* ---- the links met ---- */

/* A keyed hash of all that tells one block from another: whoever makes a DAG cannot make two of its
 * blocks look the same. The codec counts, because the same bytes may be read in two ways. */
static struct met fingerprint(const struct walk *walk, const struct mf_cid *cid)
{
	uint8_t bytes[MF_CID_BYTES_MAX], hash[crypto_shorthash_siphashx24_BYTES];
	struct mf_cid whole = *cid;
	struct met met = { 0 };

	whole.version = 1;
	ssize_t len = mf_cid_encode(&whole, bytes, sizeof(bytes));
	crypto_shorthash_siphashx24(hash, bytes, (size_t)len, walk->key);
	memcpy(&met.high, hash, sizeof(met.high));
	memcpy(&met.low, hash + sizeof(met.high), sizeof(met.low));
	return met;
}

/* Where it is, or the empty place where it belongs. */
static struct met *find(struct met *table, size_t size, const struct met *met)
{
	size_t at = (size_t)met->high & (size - 1);

	while (table[at].mark != NOBODY &&
		(table[at].high != met->high || table[at].low != met->low))
		at = (at + 1) & (size - 1);
	return &table[at];
}

static int grow(struct walk *walk)
{
	size_t size = walk->met_size ? walk->met_size * 2 : 1024;
	struct met *bigger = anyio_calloc(size, sizeof(*bigger));
	int rc = bigger ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < walk->met_size; i++) {
		if (walk->met[i].mark != NOBODY)
			*find(bigger, size, &walk->met[i]) = walk->met[i];
		rc = step(walk);
	}
	if (rc) {
		anyio_free(bigger);
		return rc;
	}
	anyio_free(walk->met);
	walk->met = bigger;
	walk->met_size = size;
	return 0;
}

/* The table's place for a link, made if need be; valid until the next is made. */
static int meet(struct walk *walk, const struct mf_cid *cid, struct met **out)
{
	struct met met = fingerprint(walk, cid);
	int rc = (walk->met_count + 1) * 4 > walk->met_size * 3 ? grow(walk) : 0;

	if (rc)
		return rc;
	*out = find(walk->met, walk->met_size, &met);
	if ((*out)->mark == NOBODY) {
		**out = met;
		walk->met_count++;
	}
	return 0;
}

static bool is_visited(const struct walk *walk, const struct mf_cid *cid)
{
	struct met met = fingerprint(walk, cid);

	return find(walk->met, walk->met_size, &met)->mark == VISITED;
}

/* ---- the stack ---- */

static int open_frame(struct walk *walk)
{
	if (anyio_grow(&walk->frames, &walk->frames_size, walk->depth + 1, sizeof(*walk->frames)))
		return -ENOMEM;
	walk->frames[walk->depth++] = (struct frame){ walk->used, walk->used };
	if (++walk->block < FIRST_BLOCK)
		walk->block = FIRST_BLOCK;
	return 0;
}

/* A frame that nothing is left of goes. */
static void close_frames(struct walk *walk)
{
	while (walk->depth && walk->frames[walk->depth - 1].next == walk->used)
		walk->used = walk->frames[--walk->depth].start;
}

static int push(void *arg, const struct mf_cid *cid)
{
	struct walk *walk = arg;
	struct met *met = NULL;
	int rc = step(walk);

	if (!rc)
		rc = meet(walk, cid, &met);
	if (rc || met->mark == VISITED || met->mark == walk->block)
		return rc;
	met->mark = walk->block;
	if (anyio_grow(&walk->stack, &walk->size, walk->used + 1 + MF_CID_BYTES_MAX, 1))
		return -ENOMEM;
	ssize_t len = mf_cid_encode(cid, walk->stack + walk->used + 1, MF_CID_BYTES_MAX);
	walk->stack[walk->used] = (uint8_t)len;
	walk->used += 1 + (size_t)len;
	return 0;
}

/* Reads the link at a place of the stack and returns the next place. */
static size_t link_at(const struct walk *walk, size_t at, struct mf_cid *cid)
{
	mf_cid_decode(cid, walk->stack + at + 1, walk->stack[at]);
	return at + 1 + walk->stack[at];
}

static void pop(struct walk *walk, struct mf_cid *cid)
{
	struct frame *frame = &walk->frames[walk->depth - 1];

	frame->next = link_at(walk, frame->next, cid);
	close_frames(walk);
}

/* ---- blocks ---- */

static void drop_run(struct walk *walk)
{
	while (walk->run_at < walk->run_count)
		store_block_release(&walk->run[walk->run_at++]);
}

static bool is_skipped(const struct walk *walk, const struct mf_cid *cid)
{
	return walk->skim && cid->codec == MF_CODEC_RAW;
}

static bool is_wanted(const struct walk *walk, const struct mf_cid *cid)
{
	return !is_skipped(walk, cid) && !is_visited(walk, cid);
}

/* Fills ahead, from the second place on, with what comes off the stack next. */
static size_t look_ahead(struct walk *walk)
{
	size_t count = 1, looked = 0, end = walk->used;

	for (size_t i = walk->depth; i-- > 0; end = walk->frames[i].start)
		for (size_t at = walk->frames[i].next; at < end;) {
			if (count == AHEAD || looked++ == 2 * AHEAD)
				return count;
			at = link_at(walk, at, &walk->ahead[count]);
			count += is_wanted(walk, &walk->ahead[count]);
		}
	return count;
}

/* Gets a block, and with it as many of those that come next as are at hand. */
static int get(struct walk *walk, const struct mf_cid *cid, struct store_block *block)
{
	int rc = 0;

	/* What lies before it in the run was visited elsewhere meanwhile. */
	while (walk->run_at < walk->run_count && !mf_cid_equal(&walk->ahead[walk->run_at], cid))
		store_block_release(&walk->run[walk->run_at++]);
	if (walk->run_at == walk->run_count) {
		walk->ahead[0] = *cid;
		walk->run_at = walk->run_count = 0;
		rc = kit_blocks_get_some(
			walk->blocks, walk->ahead, look_ahead(walk), walk->run, &walk->run_count);
	}
	if (!rc)
		*block = walk->run[walk->run_at++];
	return rc;
}

/* ---- walking ---- */

static int push_links(struct walk *walk, const struct mf_cid *cid, const struct store_block *block)
{
	int rc = open_frame(walk);

	if (rc)
		return rc;
	rc = ipld_links(cid->codec, block->data, block->len, push, walk);
	if (rc && rc != ANYIO_CANCELLED)
		kit_fail_code(walk->blocks->node, rc, "following links");
	close_frames(walk);
	return rc;
}

static int visit(struct walk *walk, const struct mf_cid *cid, kit_walk_fn *fn, void *arg)
{
	struct store_block block;

	if (is_skipped(walk, cid))
		return fn(arg, cid, NULL, 0);
	int rc = get(walk, cid, &block);
	if (rc)
		return rc;
	rc = fn ? fn(arg, cid, block.data, block.len) : 0;
	if (!rc)
		rc = push_links(walk, cid, &block);
	store_block_release(&block);
	return rc;
}

static int walk_all(struct walk *walk, const struct mf_cid *root, kit_walk_fn *fn, void *arg)
{
	int rc = open_frame(walk);

	if (!rc)
		rc = push(walk, root);
	while (!rc && walk->depth) {
		struct mf_cid cid;
		struct met *met;

		pop(walk, &cid);
		rc = step(walk);
		if (!rc)
			rc = meet(walk, &cid, &met);
		if (rc || met->mark == VISITED)
			continue;
		met->mark = VISITED;
		rc = visit(walk, &cid, fn, arg);
	}
	return rc;
}

static int walk_from(
	struct kit_blocks *blocks, const struct mf_cid *root, bool skim, kit_walk_fn *fn, void *arg)
{
	struct walk *walk = anyio_calloc(1, sizeof(*walk));
	int rc = -ENOMEM;

	if (walk) {
		walk->blocks = blocks;
		walk->skim = skim;
		randombytes_buf(walk->key, sizeof(walk->key));
		rc = walk_all(walk, root, fn, arg);
		drop_run(walk);
		anyio_free(walk->stack);
		anyio_free(walk->frames);
		anyio_free(walk->met);
	}
	anyio_free(walk);
	if (rc == -ENOMEM)
		kit_fail_code(blocks->node, rc, "walking");
	return rc;
}

int kit_walk(struct kit_blocks *blocks, const struct mf_cid *root, kit_walk_fn *fn, void *arg)
{
	return walk_from(blocks, root, false, fn, arg);
}

int kit_walk_names(struct kit_blocks *blocks, const struct mf_cid *root, kit_walk_fn *fn, void *arg)
{
	return walk_from(blocks, root, true, fn, arg);
}
