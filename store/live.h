/*
 * Which blocks are live: one bit a block, by segment and ordinal. Grows with what is added; 100 million blocks
 * take 12.5 MB.
 */
#ifndef STORE_LIVE_H
#define STORE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands before a block in its segment, where the hash is a SHA-256: it lives with the block. */
enum { LIVE_HEAD = 38 };

struct live_segment {
	uint32_t number;
	uint32_t room; /* bits */
	uint64_t *bits;
	uint64_t count, bytes; /* of live blocks, with their heads */
};

struct live {
	struct live_segment *segments; /* by number */
	size_t count, room;
};

/* 1: it is live from now on; 0: it was already; or -ENOMEM. len: of its data. */
int live_add(struct live *live, uint32_t segment, uint32_t ordinal, uint32_t len);
/* All of another: 0 or -ENOMEM. How many bytes are live is then an estimate. */
int live_merge(struct live *live, const struct live *from);
bool live_has(const struct live *live, uint32_t segment, uint32_t ordinal);
/* How many of a segment, from the one ordinal up to before the other, are. */
uint64_t live_count(const struct live *live, uint32_t segment, uint32_t first, uint32_t end);
/* Of a segment; NULL: none of its blocks is live. Valid until the next live_add. */
const struct live_segment *live_of(const struct live *live, uint32_t segment);
/* What lived in it from that ordinal on, of so many bytes, lives elsewhere. */
void live_cut(struct live *live, uint32_t segment, uint32_t end, uint64_t bytes);
void live_free(struct live *live);

#endif
