/*
 * LMDB's data format, version 1: two meta pages, of which the later one counts; from it hang two
 * trees, one of named tables (each a tree), one of lists of free pages. A file is sound when
 *
 * - every page in use is inside the file, says its own number, and is reached once; no page in use
 *   is free, and none is free twice;
 * - the nodes of a page lie in it one beside the other, with nothing between;
 * - keys ascend through the whole tree, separators too, and every leaf is equally deep;
 * - pages and entries are as many as the tree's record says.
 *
 * LMDB reads and changes such a file without leaving it or itself. What stands in keys and values
 * is the caller's to judge. Numbers are in the machine's order, as LMDB writes them.
 *
 * A large table of blocks is walked by two threads, from its first key on and from a separator of its root on: what opens
 * a repo waits for this, and has no more to do meanwhile.
 */
#include "index_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <anyio/memory.h>

enum {
	MAGIC = 0xBEEFC0DE,
	VERSION = 1,
	FIRST_PAGE = 2,
	PAGE_SIZE_MAX = 32768,
	PAGE_BRANCH = 1,
	PAGE_LEAF = 2,
	PAGE_OVERFLOW = 4,
	PAGE_META = 8,
	NODE_HEAD = 8,
	NODE_BIG = 1,   /* the value is on pages of its own */
	NODE_TABLE = 2, /* the value is a tree's record */
	INTEGER_KEYS = 8,
	OF_A_FILE = 0x4000,     /* beside those: the file was made without a folder of its own */
	DEPTH_MAX = 16,         /* a file that needs more has no room on a disk */
	WALKS_MAX = 3,          /* of trees at a time: a table by two, in that of tables */
	TWO_FROM = 256,         /* leaves that are worth a thread */
	FETCH_SIZE = 128 << 10, /* Linux cuts what it is asked for to its read-ahead, mostly this */
};

static const size_t no_page = (size_t)-1;
static const size_t pages_max = (size_t)1 << 33;

const char *const index_table_names[INDEX_TABLES] = { "blocks", "state", "meta" };

struct tree {
	uint32_t pad;
	uint16_t flags, depth;
	size_t branches, leaves, overflows, entries, root;
};

struct meta {
	uint32_t magic, version;
	size_t address, map_size;
	struct tree free, main;
	size_t last_page, transaction;
};

struct head {
	size_t number;
	uint16_t pad, flags, lower, upper;
};
enum { HEAD_SIZE = sizeof(size_t) + 8 };

struct node {
	uint32_t number; /* the value's length, or a page's number, of which flags are the top */
	uint16_t flags;
	size_t key_len, len; /* len: of what stands behind the key */
	const uint8_t *key, *value;
};

struct check {
	int fd;
	index_entry_fn entry;
	void *const *args;
	size_t page_size, end; /* end: pages in the file that count */
	struct meta meta;
	atomic_uchar *seen; /* a bit a page */
	uint8_t *pages;     /* one for each level of each walk */
};

/* One tree under way. */
struct walk {
	struct check *check;
	const struct tree *tree;
	uint8_t *pages;
	void *arg;
	int table; /* or one of these */
	struct tree found;
	uint8_t last[INDEX_KEY_MAX]; /* the key before, or the separator */
	size_t last_len;
	bool any, separator;
};
enum { TABLE_FREE = -2, TABLE_MAIN = -1 };

static int read_at(const struct check *check, void *out, size_t len, uint64_t offset)
{
	ssize_t n = pread(check->fd, out, len, (off_t)offset);

	return n < 0 ? -errno : (size_t)n == len ? 0 : -EUCLEAN;
}

/* Marks pages as met: false when one of them is none, or was met before. */
static bool meet(struct check *check, size_t first, size_t count)
{
	if (first < FIRST_PAGE || first >= check->end || count > check->end - first)
		return false;
	for (size_t i = first; i < first + count; i++) {
		unsigned char bit = 1 << i % 8;

		if (atomic_fetch_or_explicit(&check->seen[i / 8], bit, memory_order_relaxed) & bit)
			return false;
	}
	return true;
}

/* Node i of a page whose head was checked; false when it is not inside. */
static bool get_node(const struct walk *walk, const uint8_t *page, size_t i, struct node *node)
{
	size_t size = walk->check->page_size, left;
	struct head head;
	uint16_t at, key_len;

	memcpy(&head, page, HEAD_SIZE);
	memcpy(&at, page + HEAD_SIZE + 2 * i, sizeof(at));
	if (at < head.upper || at % 2 || (size_t)at + NODE_HEAD > size)
		return false;
	memcpy(&node->number, page + at, sizeof(node->number));
	memcpy(&node->flags, page + at + 4, sizeof(node->flags));
	memcpy(&key_len, page + at + 6, sizeof(key_len));
	left = size - at - NODE_HEAD;
	node->key_len = key_len;
	node->key = page + at + NODE_HEAD;
	node->value = node->key + key_len;
	node->len = head.flags == PAGE_BRANCH ? 0
		: node->flags & NODE_BIG      ? sizeof(size_t)
					      : node->number;
	return key_len <= INDEX_KEY_MAX && key_len <= left && node->len <= left - key_len;
}

/* Whether nodes begin at the lowest byte in use and one where the other ends: their starts are bits, two bytes each. */
static bool is_start(const uint64_t *starts, size_t at)
{
	return starts[at / 128] >> at / 2 % 64 & 1;
}

static int check_page(
	const struct walk *walk, const uint8_t *page, size_t number, bool leaf, size_t *count)
{
	uint64_t starts[PAGE_SIZE_MAX / 128 + 1];
	struct head head;
	struct node node;
	size_t used = 0, size = walk->check->page_size;
	size_t most = ((size - HEAD_SIZE) / 2 & ~(size_t)1) - 2;

	memcpy(&head, page, HEAD_SIZE);
	if (head.number != number || head.flags != (leaf ? PAGE_LEAF : PAGE_BRANCH) ||
		head.lower < HEAD_SIZE || head.lower % 2 || head.upper % 2 ||
		head.lower > head.upper || head.upper > size)
		return -EUCLEAN;
	*count = (head.lower - HEAD_SIZE) / 2;
	/* LMDB stops the program at a branch with one child, in the tree of free pages too. */
	if (*count < (leaf ? 1U : 2U))
		return -EUCLEAN;
	memset(starts, 0, size / 16 + sizeof(*starts));
	starts[size / 128] |= (uint64_t)1 << size / 2 % 64;
	for (size_t i = 0; i < *count; i++) {
		if (!get_node(walk, page, i, &node))
			return -EUCLEAN;
		size_t at = node.key - NODE_HEAD - page;
		starts[at / 128] |= (uint64_t)1 << at / 2 % 64;
	}
	for (size_t i = 0; i < *count; i++) {
		get_node(walk, page, i, &node);
		size_t at = node.key - NODE_HEAD - page;
		size_t len = (NODE_HEAD + node.key_len + node.len + 1) & ~(size_t)1;
		/* What is larger LMDB keeps on pages of its own, and counts on that when it joins two pages. */
		if (!is_start(starts, at + len) || NODE_HEAD + node.key_len + node.len > most)
			return -EUCLEAN;
		used += len;
	}
	return is_start(starts, head.upper) && used == size - head.upper ? 0 : -EUCLEAN;
}

/* Keys of the free tree are numbers: with the highest byte first they compare like others. */
static bool key_of(const struct walk *walk, const struct node *node, uint8_t out[INDEX_KEY_MAX])
{
	size_t number;

	if (node->key_len == 0)
		return false;
	memcpy(out, node->key, node->key_len);
	if (walk->table != TABLE_FREE)
		return true;
	if (node->key_len != sizeof(number))
		return false;
	memcpy(&number, node->key, sizeof(number));
	for (size_t i = 0; i < sizeof(number); i++)
		out[i] = (uint8_t)(number >> 8 * (sizeof(number) - 1 - i));
	return number > 0 && number <= walk->check->meta.transaction;
}

/* The next key or separator must be behind the last one; a key may equal its separator. */
static bool in_order(struct walk *walk, const struct node *node, bool separator)
{
	uint8_t key[INDEX_KEY_MAX];

	if (!key_of(walk, node, key))
		return false;
	if (walk->any) {
		size_t least = walk->last_len < node->key_len ? walk->last_len : node->key_len;
		int order = memcmp(walk->last, key, least);

		if (order == 0)
			order = (walk->last_len > node->key_len) - (walk->last_len < node->key_len);
		if (order > 0 || (order == 0 && !(walk->separator && !separator)))
			return false;
	}
	memcpy(walk->last, key, node->key_len);
	walk->last_len = node->key_len;
	walk->separator = separator;
	walk->any = true;
	return true;
}

static int walk_tree(struct check *check, const struct tree *tree, int table);

static int take_table(struct walk *walk, const struct node *node)
{
	struct tree tree;

	if (node->flags != NODE_TABLE || node->len != sizeof(tree))
		return -EUCLEAN;
	memcpy(&tree, node->value, sizeof(tree));
	for (int i = 0; i < INDEX_TABLES; i++)
		if (node->key_len == strlen(index_table_names[i]) &&
			memcmp(node->key, index_table_names[i], node->key_len) == 0)
			return walk_tree(walk->check, &tree, i);
	return -EUCLEAN;
}

/* A list of free pages: their count, then their numbers descending; there may be room behind. */
static int take_free(struct walk *walk, const uint8_t *list, size_t len)
{
	size_t count, number, last = no_page;

	if (len < sizeof(count) || len % sizeof(count))
		return -EUCLEAN;
	memcpy(&count, list, sizeof(count));
	if (count > len / sizeof(count) - 1)
		return -EUCLEAN;
	for (size_t i = 1; i <= count; i++, last = number) {
		memcpy(&number, list + i * sizeof(number), sizeof(number));
		if (number >= last || !meet(walk->check, number, 1))
			return -EUCLEAN;
	}
	return 0;
}

/* A list too long for its page. */
static int take_big_free(struct walk *walk, const struct node *node)
{
	struct check *check = walk->check;
	size_t first, count = (HEAD_SIZE - 1 + (size_t)node->number) / check->page_size + 1;
	struct head head;
	uint32_t pages;

	memcpy(&first, node->value, sizeof(first));
	/* LMDB leaves room for less than a page of numbers behind those of all pages. */
	if (node->number / sizeof(size_t) > check->end + check->page_size / sizeof(size_t) ||
		!meet(check, first, count))
		return -EUCLEAN;
	uint8_t *bytes = anyio_malloc(count * check->page_size);
	if (!bytes)
		return -ENOMEM;
	int rc = read_at(check, bytes, count * check->page_size, first * check->page_size);
	if (rc == 0) {
		memcpy(&head, bytes, HEAD_SIZE);
		memcpy(&pages, &head.lower, sizeof(pages));
		rc = head.number == first && head.flags == PAGE_OVERFLOW && pages == count
			? take_free(walk, bytes + HEAD_SIZE, node->number)
			: -EUCLEAN;
	}
	walk->found.overflows += count;
	anyio_free(bytes);
	return rc;
}

static int take_leaf(struct walk *walk, const struct node *node)
{
	struct check *check = walk->check;

	walk->found.entries++;
	if (!in_order(walk, node, false))
		return -EUCLEAN;
	if (walk->table == TABLE_MAIN)
		return take_table(walk, node);
	if (walk->table == TABLE_FREE && node->flags == NODE_BIG)
		return take_big_free(walk, node);
	if (node->flags)
		return -EUCLEAN;
	if (walk->table == TABLE_FREE)
		return take_free(walk, node->value, node->len);
	return check->entry(
		walk->arg, walk->table, node->key, node->key_len, node->value, node->len);
}

static int walk_page(struct walk *walk, size_t number, int level);

/* Nodes of the page at this level. Nobody reads the first key of a branch. */
static int walk_nodes(struct walk *walk, int level, size_t from, size_t to)
{
	const uint8_t *page = walk->pages + level * walk->check->page_size;
	bool leaf = level + 1 == walk->tree->depth;
	int rc = 0;

	for (size_t i = from; i < to && rc == 0; i++) {
		struct node node;

		get_node(walk, page, i, &node);
		if (leaf) {
			rc = take_leaf(walk, &node);
			continue;
		}
		if (i > 0 && !in_order(walk, &node, true))
			return -EUCLEAN;
		size_t child = node.number;
		if (sizeof(size_t) > 4)
			child |= (size_t)((uint64_t)node.flags << 32);
		rc = walk_page(walk, child, level + 1);
	}
	return rc;
}

struct half {
	struct walk walk;
	size_t from, to; /* children of the root */
	int rc;
};

static void *walk_half(void *arg)
{
	struct half *half = arg;

	half->rc = walk_nodes(&half->walk, 0, half->from, half->to);
	return NULL;
}

/* All children of the root, the later ones on another thread, where there can be one. */
static int walk_both_halves(struct walk *walk, size_t count)
{
	size_t size = walk->check->page_size;
	struct half later = { .walk = *walk, .from = count / 2, .to = count };
	struct node separator;
	pthread_t thread;

	later.walk.pages += DEPTH_MAX * size;
	later.walk.arg = walk->check->args[1];
	later.walk.found = (struct tree){ 0 };
	memcpy(later.walk.pages, walk->pages, size);
	bool started = pthread_create(&thread, NULL, walk_half, &later) == 0;
	int rc = walk_nodes(walk, 0, 0, later.from);
	if (started)
		pthread_join(thread, NULL);
	else
		walk_half(&later);
	get_node(walk, walk->pages, later.from, &separator);
	if (rc == 0 && !in_order(walk, &separator, true))
		rc = -EUCLEAN;
	walk->found.branches += later.walk.found.branches;
	walk->found.leaves += later.walk.found.leaves;
	walk->found.entries += later.walk.found.entries;
	return rc < 0 ? rc : later.rc;
}

static int walk_page(struct walk *walk, size_t number, int level)
{
	struct check *check = walk->check;
	const struct tree *tree = walk->tree;
	uint8_t *page = walk->pages + level * check->page_size;
	bool leaf = level + 1 == tree->depth;
	size_t count = 0;

	if (!meet(check, number, 1))
		return -EUCLEAN;
	int rc = read_at(check, page, check->page_size, (uint64_t)number * check->page_size);
	if (rc == 0)
		rc = check_page(walk, page, number, leaf, &count);
	if (rc < 0)
		return rc;
	++*(leaf ? &walk->found.leaves : &walk->found.branches);
	bool large = walk->table == INDEX_BLOCKS && level == 0 && tree->leaves >= TWO_FROM;
	return large ? walk_both_halves(walk, count) : walk_nodes(walk, level, 0, count);
}

static int walk_tree(struct check *check, const struct tree *tree, int table)
{
	struct walk walk = { .check = check, .tree = tree, .arg = check->args[0], .table = table };
	uint16_t flags = table == TABLE_FREE ? INTEGER_KEYS | (tree->flags & OF_A_FILE) : 0;
	int rc = 0;

	walk.pages = check->pages + (table < 0 ? 0 : DEPTH_MAX * check->page_size);
	if (tree->flags != flags || tree->depth > DEPTH_MAX ||
		(tree->root == no_page) != (tree->depth == 0))
		return -EUCLEAN;
	if (tree->root != no_page)
		rc = walk_page(&walk, tree->root, 0);
	if (rc < 0)
		return rc;
	return walk.found.branches == tree->branches && walk.found.leaves == tree->leaves &&
			walk.found.overflows == tree->overflows &&
			walk.found.entries == tree->entries
		? 0
		: -EUCLEAN;
}

/* Meta page i, which the transactions whose numbers are even or odd like it write. */
static int read_meta(const struct check *check, size_t i, size_t page_size, struct meta *meta)
{
	uint8_t bytes[HEAD_SIZE + sizeof(*meta)];
	struct head head;
	int rc = read_at(check, bytes, sizeof(bytes), i * page_size);

	if (rc < 0)
		return rc;
	memcpy(&head, bytes, HEAD_SIZE);
	memcpy(meta, bytes + HEAD_SIZE, sizeof(*meta));
	return head.flags == PAGE_META && meta->magic == MAGIC && meta->version == VERSION &&
			(meta->transaction == 0 || meta->transaction % 2 == i)
		? 0
		: -EUCLEAN;
}

static int read_metas(struct check *check)
{
	struct meta other;
	struct stat st;
	int rc = read_meta(check, 0, 0, &check->meta);
	size_t size = check->meta.free.pad;

	if (rc < 0 || fstat(check->fd, &st) < 0)
		return rc < 0 ? rc : -errno;
	if (size < 512 || size > 32768 || (size & (size - 1)))
		return -EUCLEAN;
	rc = read_meta(check, 1, size, &other);
	if (rc < 0)
		return rc;
	if (other.free.pad != size)
		return -EUCLEAN;
	if (other.transaction > check->meta.transaction)
		check->meta = other;
	check->page_size = size;
	check->end = check->meta.last_page + 1;
	return check->meta.last_page >= FIRST_PAGE - 1 && check->meta.last_page < pages_max &&
			check->end <= (uint64_t)st.st_size / size
		? 0
		: -EUCLEAN;
}

void index_pages_fetch(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return;
	/* Of a file with holes no more than is on the disk. */
	off_t there = (off_t)st.st_blocks * 512;
	for (off_t at = 0; at < st.st_size && at < there; at += FETCH_SIZE)
		posix_fadvise(fd, at, FETCH_SIZE, POSIX_FADV_WILLNEED);
}

int index_pages_check(int fd, index_entry_fn entry, void *const args[2])
{
	struct check check = { .fd = fd, .entry = entry, .args = args };
	int rc = read_metas(&check);

	if (rc < 0)
		return rc;
	check.seen = anyio_calloc(1, check.end / 8 + 1);
	check.pages = anyio_malloc(WALKS_MAX * DEPTH_MAX * check.page_size);
	if (check.seen && check.pages) {
		index_pages_fetch(fd);
		rc = walk_tree(&check, &check.meta.main, TABLE_MAIN);
		if (rc == 0)
			rc = walk_tree(&check, &check.meta.free, TABLE_FREE);
	} else {
		rc = -ENOMEM;
	}
	anyio_free(check.seen);
	anyio_free(check.pages);
	return rc;
}
