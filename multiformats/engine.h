/*
 * How SHA-256 is computed on this processor. An engine folds blocks into one state, or into `width`
 * states at once; the scheduler in sha256_many.c keeps its lanes full.
 */
#ifndef MULTIFORMATS_PRIVATE_ENGINE_H
#define MULTIFORMATS_PRIVATE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include <multiformats/sha256.h>

enum { SHA256_BLOCK = 64, SHA256_LANES_MAX = 16 };

struct sha256_engine {
	const char *name;
	size_t width;       /* lanes folded at once, 1 to SHA256_LANES_MAX */
	size_t width_min;   /* with fewer busy lanes than this, the next engine is faster */
	int (*works)(void); /* does this processor have what it takes? */
	/* Folds the same number of blocks into each of `width` states; NULL when width is 1. */
	void (*fold)(uint32_t (*states)[8], const uint8_t *const *data, size_t blocks);
};

/* All engines of this build, the fastest first; ends with NULL. The last one always works. A batch
 * begins with the first that has texts enough, and goes on with the next when too few are left. */
extern const struct sha256_engine *const sha256_engines[];

/* A bit for each engine of that list that works here, the first the lowest; never 0. */
unsigned sha256_engines_working(void);

/* Folds whole blocks into one state; libcrypto picks the processor's best code by itself. */
void sha256_fold_one(uint32_t state[8], const uint8_t *data, size_t blocks);

extern const uint32_t sha256_initial[8];
extern const uint32_t sha256_constants[64];

/* Pads the last len % 64 bytes (at `rest`) of a text of that length. Returns the blocks, 1 or 2. */
size_t sha256_pad(uint8_t out[2 * SHA256_BLOCK], const uint8_t *rest, uint64_t len);
void sha256_write_digest(uint8_t out[MF_SHA256_SIZE], const uint32_t state[8]);

/* mf_sha256_many by these engines alone (bits as above, all of which work here). */
void sha256_many_with(unsigned engines, struct mf_sha256_job *jobs, size_t n);

#endif
