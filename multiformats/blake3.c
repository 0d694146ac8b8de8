/*
 * BLAKE3 in its plain mode (https://github.com/BLAKE3-team/BLAKE3-specs). The text is cut into
 * chunks of 1024 bytes, the leaves of a binary tree whose left subtrees are full. The roots of the
 * full subtrees seen so far wait on a stack, at most one for each bit of the number of chunks.
 */
#include "hash.h"

#include <string.h>

enum { BLOCK = 64, CHUNK = 1024, STACK = 54, ROUNDS = 7 };

enum flag { CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8 };

static const uint32_t initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
	0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

/* The last block of a chunk, or a parent: what is needed to get its value, or the root's output. */
struct node {
	uint32_t cv[8], words[16];
	uint64_t counter;
	uint32_t len, flags;
};

static uint32_t rotate(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static void mix(uint32_t s[16], int a, int b, int c, int d, uint32_t x, uint32_t y)
{
	s[a] += s[b] + x;
	s[d] = rotate(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 12);
	s[a] += s[b] + y;
	s[d] = rotate(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotate(s[b] ^ s[c], 7);
}

static void round_once(uint32_t s[16], const uint32_t m[16])
{
	for (int i = 0; i < 4; i++)
		mix(s, i, i + 4, i + 8, i + 12, m[2 * i], m[2 * i + 1]);
	for (int i = 0; i < 4; i++)
		mix(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[2 * i + 8],
			m[2 * i + 9]);
}

static void compress(const struct node *node, uint32_t out[16])
{
	static const uint8_t order[16] = { 2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8 };
	uint32_t s[16], m[16], next[16];

	memcpy(s, node->cv, sizeof(node->cv));
	memcpy(s + 8, initial, 4 * sizeof(*s));
	s[12] = (uint32_t)node->counter;
	s[13] = (uint32_t)(node->counter >> 32);
	s[14] = node->len;
	s[15] = node->flags;
	memcpy(m, node->words, sizeof(m));
	for (int round = 0; round < ROUNDS; round++) {
		round_once(s, m);
		for (int i = 0; i < 16; i++)
			next[i] = m[order[i]];
		memcpy(m, next, sizeof(m));
	}
	for (int i = 0; i < 8; i++) {
		out[i] = s[i] ^ s[i + 8];
		out[i + 8] = s[i + 8] ^ node->cv[i];
	}
}

static void value(const struct node *node, uint32_t cv[8])
{
	uint32_t out[16];

	compress(node, out);
	memcpy(cv, out, 8 * sizeof(*cv));
}

static void load(struct node *node, const uint8_t *data, size_t len)
{
	uint8_t block[BLOCK] = { 0 };

	if (len > 0)
		memcpy(block, data, len);
	for (size_t i = 0; i < BLOCK; i += 4)
		node->words[i / 4] = (uint32_t)block[i] | (uint32_t)block[i + 1] << 8 |
			(uint32_t)block[i + 2] << 16 | (uint32_t)block[i + 3] << 24;
	node->len = (uint32_t)len;
}

static struct node chunk(const uint8_t *data, size_t len, uint64_t counter)
{
	struct node node = { .counter = counter, .flags = CHUNK_START };

	memcpy(node.cv, initial, sizeof(initial));
	for (; len > BLOCK; data += BLOCK, len -= BLOCK) {
		load(&node, data, BLOCK);
		value(&node, node.cv);
		node.flags = 0;
	}
	load(&node, data, len);
	node.flags |= CHUNK_END;
	return node;
}

static struct node parent(const uint32_t left[8], const uint32_t right[8])
{
	struct node node = { .len = BLOCK, .flags = PARENT };

	memcpy(node.cv, initial, sizeof(initial));
	memcpy(node.words, left, 8 * sizeof(*left));
	memcpy(node.words + 8, right, 8 * sizeof(*right));
	return node;
}

static void write_root(struct node *root, uint8_t *out, size_t len)
{
	uint32_t words[16];

	root->flags |= ROOT;
	for (size_t i = 0; i < len; i++) {
		if (i % BLOCK == 0) {
			root->counter = i / BLOCK;
			compress(root, words);
		}
		out[i] = (uint8_t)(words[i % BLOCK / 4] >> (8 * (i % 4)));
	}
}

void hash_blake3(const uint8_t *data, size_t len, size_t digest_len, uint8_t *out)
{
	uint32_t stack[STACK][8], cv[8];
	size_t depth = 0;
	uint64_t chunks = 0;

	for (; len > CHUNK; data += CHUNK, len -= CHUNK) {
		struct node node = chunk(data, CHUNK, chunks++);
		value(&node, cv);
		/* Each time the count gets another factor two, two equal subtrees become one. */
		for (uint64_t n = chunks; n % 2 == 0; n /= 2) {
			node = parent(stack[--depth], cv);
			value(&node, cv);
		}
		memcpy(stack[depth++], cv, sizeof(cv));
	}
	struct node node = chunk(data, len, chunks);
	while (depth > 0) {
		value(&node, cv);
		node = parent(stack[--depth], cv);
	}
	write_root(&node, out, digest_len);
}
