/*
 * Which blocks stay in memory: the adaptive replacement cache of Megiddo and Modha ("ARC: A Self-Tuning, Low
 * Overhead Replacement Cache", FAST 2003), bounded by bytes in place of pages.
 *
 * Four lists, newest first. T1 holds what was asked for once lately, T2 what was asked for again; B1 and B2
 * remember, without their bytes, what was dropped from either. A miss that B1 remembers says that T1 was too
 * small, one that B2 remembers that T2 was: the target of T1 moves by as much as the block is long, or more
 * when the other list of memories is longer. So a scan flows through T1 and leaves T2 alone, and what is asked for
 * all the time stays, without a number to tune.
 *
 * An entry costs ARC_COST bytes, which count as its block's; entries that only remember take at most a quarter of the
 * capacity besides it. What is longer than an eighth of the capacity is not taken.
 */
#ifndef STORE_ARC_H
#define STORE_ARC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum arc_list { ARC_T1, ARC_T2, ARC_B1, ARC_B2, ARC_LISTS };
enum { ARC_COST = 128 };

struct arc_entry;

struct arc {
	uint64_t capacity; /* bytes */
	uint64_t target;   /* of T1 */
	struct {
		struct arc_entry *newest, *oldest;
		uint64_t bytes; /* as asked for, without ARC_COST */
		size_t count;
	} lists[ARC_LISTS];
	struct arc_entry **buckets;
	size_t bucket_count;   /* a power of two; 0: nothing was put yet */
	uint8_t seed[16];      /* keys are chosen by strangers */
	uint64_t hits, misses; /* of arc_get */
	void (*drop)(void *value);
};

/* capacity in bytes; 0: nothing is kept. drop is called with each value that goes; it must not wait. */
void arc_init(struct arc *arc, uint64_t capacity, void (*drop)(void *value));
/* Another capacity from now on; what it has no room for goes. */
void arc_resize(struct arc *arc, uint64_t capacity);
/* Drops everything. */
void arc_free(struct arc *arc);

/* The value of a key, which is now the newest of T2; or NULL. */
void *arc_get(struct arc *arc, const uint8_t *key, size_t len);
/* Offers a value of size bytes for a key that arc_get did not have. True: it was taken, and belongs to the
 * cache until it is dropped. False: it is too long, or there is no memory for an entry. */
bool arc_put(struct arc *arc, const uint8_t *key, size_t len, void *value, uint32_t size);
/* Drops a value, and forgets that it was there. */
void arc_remove(struct arc *arc, const uint8_t *key, size_t len);
/* Bytes that values and their entries take. */
uint64_t arc_bytes(const struct arc *arc);

#endif
