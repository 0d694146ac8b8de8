/*
 * Everything below a root, each block once, depth first. The set of what was seen is a hash table; the
 * stack holds the links still to follow. Both are bounded by the size of the DAG. Blocks are got in
 * runs: the one wanted now, and those that will come off the stack after it.
 */
#include "node.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum { AHEAD = 64, RUN = 32 };

struct seen {
	uint64_t word[2];
};

struct walk {
	struct kit_blocks *blocks;
	struct mf_cid *stack;
	size_t used, size;
	struct seen *seen; /* open addressing */
	size_t seen_used, seen_size;
	uint8_t key[crypto_shorthash_siphashx24_KEYBYTES];
	size_t first; /* where the links of the current block start on the stack */
	struct mf_cid ahead[AHEAD];
	struct store_block run[RUN]; /* got together: run[i] answers ahead[i] */
	size_t run_at, run_count;
};

/* A keyed hash of all that tells one block from another: whoever makes a DAG cannot make two of its
 * blocks look the same. The codec counts, because the same bytes may be read in two ways. */
static struct seen fingerprint(const struct walk *walk, const struct mf_cid *cid)
{
	uint8_t bytes[MF_CID_BYTES_MAX];
	struct mf_cid whole = *cid;
	struct seen value;

	whole.version = 1;
	ssize_t len = mf_cid_encode(&whole, bytes, sizeof(bytes));
	crypto_shorthash_siphashx24((unsigned char *)value.word, bytes, (size_t)len, walk->key);
	value.word[1] |= !value.word[0] && !value.word[1]; /* all zero is an empty place */
	return value;
}

static bool insert(struct seen *table, size_t size, struct seen value)
{
	size_t at = (size_t)(value.word[0] * 0x9e3779b97f4a7c15u >> 20) & (size - 1);

	for (; table[at].word[0] || table[at].word[1]; at = (at + 1) & (size - 1))
		if (table[at].word[0] == value.word[0] && table[at].word[1] == value.word[1])
			return false;
	table[at] = value;
	return true;
}

/* 1 when new, 0 when seen, -ENOMEM. */
static int see(struct walk *walk, const struct mf_cid *cid)
{
	if ((walk->seen_used + 1) * 2 > walk->seen_size) {
		size_t size = walk->seen_size ? walk->seen_size * 2 : 1024;
		struct seen *bigger = anyio_calloc(size, sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		for (size_t i = 0; i < walk->seen_size; i++)
			if (walk->seen[i].word[0] || walk->seen[i].word[1])
				insert(bigger, size, walk->seen[i]);
		anyio_free(walk->seen);
		walk->seen = bigger;
		walk->seen_size = size;
	}
	bool added = insert(walk->seen, walk->seen_size, fingerprint(walk, cid));
	walk->seen_used += added;
	return added;
}

static int push(void *arg, const struct mf_cid *cid)
{
	struct walk *walk = arg;

	if (walk->used == walk->size) {
		size_t size = walk->size ? walk->size * 2 : 256;
		struct mf_cid *bigger = anyio_realloc(walk->stack, size * sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		walk->stack = bigger;
		walk->size = size;
	}
	walk->stack[walk->used++] = *cid;
	return 0;
}

/* Links were pushed in order; the first must come off first. */
static void reverse(struct walk *walk)
{
	for (size_t i = walk->first, j = walk->used; i + 1 < j; i++) {
		struct mf_cid swap = walk->stack[i];
		walk->stack[i] = walk->stack[--j];
		walk->stack[j] = swap;
	}
}

static void drop_run(struct walk *walk)
{
	while (walk->run_at < walk->run_count)
		store_block_release(&walk->run[walk->run_at++]);
}

/* Gets a block, and with it as many of those that come next as are at hand. */
static int get(struct walk *walk, const struct mf_cid *cid, struct store_block *block)
{
	size_t count = 1;
	int rc = 0;

	/* What lies before it in the run was seen elsewhere meanwhile. */
	while (walk->run_at < walk->run_count && !mf_cid_equal(&walk->ahead[walk->run_at], cid))
		store_block_release(&walk->run[walk->run_at++]);
	if (walk->run_at == walk->run_count) {
		walk->ahead[0] = *cid;
		for (size_t i = walk->used; i-- > 0 && count < AHEAD;)
			walk->ahead[count++] = walk->stack[i];
		walk->run_at = walk->run_count = 0;
		rc = kit_blocks_get_some(
			walk->blocks, walk->ahead, count, walk->run, &walk->run_count);
	}
	if (!rc)
		*block = walk->run[walk->run_at++];
	return rc;
}

int kit_walk(struct kit_blocks *blocks, const struct mf_cid *root, kit_walk_fn *fn, void *arg)
{
	struct walk *walk = anyio_calloc(1, sizeof(*walk));
	int rc = walk ? 0 : -ENOMEM;

	if (!rc) {
		walk->blocks = blocks;
		randombytes_buf(walk->key, sizeof(walk->key));
		rc = push(walk, root);
	}
	while (!rc && walk->used) {
		struct mf_cid cid = walk->stack[--walk->used];
		struct store_block block;
		int new = see(walk, &cid);
		if (new <= 0) {
			rc = new;
			continue;
		}
		rc = get(walk, &cid, &block);
		if (rc)
			break;
		rc = fn(arg, &cid, block.data, block.len);
		walk->first = walk->used;
		if (!rc) {
			rc = ipld_links(cid.codec, block.data, block.len, push, walk);
			if (rc)
				kit_fail_code(blocks->node, rc, "following links");
		}
		store_block_release(&block);
		reverse(walk);
	}
	if (rc == -ENOMEM)
		kit_fail_code(blocks->node, rc, "walking");
	if (walk) {
		drop_run(walk);
		anyio_free(walk->stack);
		anyio_free(walk->seen);
	}
	anyio_free(walk);
	return rc;
}
