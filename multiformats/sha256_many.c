/*
 * Many texts at once. Each lane carries one text: first its whole blocks, straight from the
 * caller's memory, then one or two padded blocks. All lanes advance by as many blocks as the
 * shortest has left; a lane that ends takes the next job, so lengths may differ.
 */
#include <multiformats/sha256.h>

#include <stdbool.h>
#include <string.h>

#include "engine.h"

const uint32_t sha256_constants[64] = { 0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
	0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
	0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
	0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
	0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
	0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
	0xa4506ceb, 0xbef9a3f7, 0xc67178f2 };

static int always_works(void)
{
	return 1;
}

static const struct sha256_engine engine_libcrypto = { "libcrypto", 1, 1, always_works, NULL };

#if defined(__x86_64__)
extern const struct sha256_engine sha256_engine_avx512, sha256_engine_ni, sha256_engine_avx2;
#endif

const struct sha256_engine *const sha256_engines[] = {
#if defined(__x86_64__)
	&sha256_engine_avx512,
	&sha256_engine_ni,
	&sha256_engine_avx2,
#endif
	&engine_libcrypto,
	NULL,
};

unsigned sha256_engines_working(void)
{
	/* Asking the processor can be slow. Threads that come here at once find the same answer; the
	 * last engine works everywhere, so it is never 0. */
	static _Atomic unsigned known;
	unsigned found = known;

	if (found)
		return found;
	for (size_t i = 0; sha256_engines[i]; i++)
		if (sha256_engines[i]->works())
			found |= 1u << i;
	known = found;
	return found;
}

static const struct sha256_engine *widest(void)
{
	return sha256_engines[__builtin_ctz(sha256_engines_working())];
}

const char *mf_sha256_engine(void)
{
	return widest()->name;
}

size_t mf_sha256_lanes(void)
{
	return widest()->width;
}

/* Lanes in use are the first `busy` ones, more perhaps than the engine at work takes. States and
 * positions lie in arrays of their own because the engines take them so. */
struct lanes {
	struct mf_sha256_job *next, *end; /* jobs no lane has taken yet */
	size_t busy;
	uint32_t state[SHA256_LANES_MAX][8];
	const uint8_t *at[SHA256_LANES_MAX];
	struct lane {
		struct mf_sha256_job *job;
		size_t blocks; /* left of the text, or of the padding */
		bool padded;   /* the text is done */
		uint8_t padding[2 * SHA256_BLOCK];
	} lane[SHA256_LANES_MAX];
};

/* Turns from a text that has no whole block left to its padding. */
static void pad(struct lanes *lanes, size_t i)
{
	struct lane *lane = &lanes->lane[i];

	lane->blocks = sha256_pad(lane->padding, lanes->at[i], lane->job->len);
	lanes->at[i] = lane->padding;
	lane->padded = true;
}

static void take_job(struct lanes *lanes, size_t i)
{
	struct mf_sha256_job *job = lanes->next++;

	memcpy(lanes->state[i], sha256_initial, sizeof(sha256_initial));
	lanes->at[i] = job->data;
	lanes->lane[i].job = job;
	lanes->lane[i].blocks = job->len / SHA256_BLOCK;
	lanes->lane[i].padded = false;
	if (lanes->lane[i].blocks == 0)
		pad(lanes, i);
}

/* A lane without a job left gets the last lane's work, so that the busy ones stay together. */
static void drop_lane(struct lanes *lanes, size_t i)
{
	size_t last = --lanes->busy;

	if (i == last)
		return;
	memcpy(lanes->state[i], lanes->state[last], sizeof(lanes->state[i]));
	lanes->lane[i] = lanes->lane[last];
	lanes->at[i] = lanes->lane[i].padded
		? lanes->lane[i].padding + (lanes->at[last] - lanes->lane[last].padding)
		: lanes->at[last];
}

/* The first `folded` lanes have got on by so many blocks. */
static void advance(struct lanes *lanes, size_t folded, size_t blocks)
{
	/* Downwards, so that a lane moved by drop_lane has been advanced already, if it was folded. */
	for (size_t i = folded; i-- > 0;) {
		struct lane *lane = &lanes->lane[i];
		lanes->at[i] += blocks * SHA256_BLOCK;
		lane->blocks -= blocks;
		if (lane->blocks > 0)
			continue;
		if (!lane->padded) {
			pad(lanes, i);
			continue;
		}
		sha256_write_digest(lane->job->digest, lanes->state[i]);
		if (lanes->next < lanes->end)
			take_job(lanes, i);
		else
			drop_lane(lanes, i);
	}
}

static size_t shortest(const struct lanes *lanes, size_t count)
{
	size_t blocks = lanes->lane[0].blocks;

	for (size_t i = 1; i < count; i++)
		if (lanes->lane[i].blocks < blocks)
			blocks = lanes->lane[i].blocks;
	return blocks;
}

/* What remains when too few lanes are busy to gain by going together. */
static void drain(struct lanes *lanes)
{
	while (lanes->busy > 0) {
		size_t i = lanes->busy - 1;
		struct lane *lane = &lanes->lane[i];
		sha256_fold_one(lanes->state[i], lanes->at[i], lane->blocks);
		if (!lane->padded) {
			lanes->at[i] += lane->blocks * SHA256_BLOCK;
			pad(lanes, i);
			continue;
		}
		sha256_write_digest(lane->job->digest, lanes->state[i]);
		lanes->busy--;
	}
}

/* Folds with one engine as long as enough lanes are busy for it. */
static void fold_with(const struct sha256_engine *engine, struct lanes *lanes)
{
	while (lanes->busy < engine->width && lanes->next < lanes->end)
		take_job(lanes, lanes->busy++);
	while (lanes->busy >= engine->width_min) {
		size_t busy = lanes->busy < engine->width ? lanes->busy : engine->width;
		size_t blocks = shortest(lanes, busy);
		/* Lanes without a job repeat the first one's work, to no effect. */
		for (size_t i = busy; i < engine->width; i++)
			lanes->at[i] = lanes->at[0];
		engine->fold(lanes->state, lanes->at, blocks);
		advance(lanes, busy, blocks);
	}
}

void sha256_many_with(unsigned engines, struct mf_sha256_job *jobs, size_t n)
{
	struct lanes lanes;

	lanes.next = jobs;
	lanes.end = jobs + n;
	lanes.busy = 0;
	/* Lanes never used are folded along; what is in them does not matter but must be something.
	 */
	memset(lanes.state, 0, sizeof(lanes.state));
	for (size_t i = 0; sha256_engines[i]; i++)
		if (engines >> i & 1 && sha256_engines[i]->fold &&
			n >= sha256_engines[i]->width_min)
			fold_with(sha256_engines[i], &lanes);
	drain(&lanes);
	for (; lanes.next < lanes.end; lanes.next++)
		mf_sha256(lanes.next->data, lanes.next->len, lanes.next->digest);
}

void mf_sha256_many(struct mf_sha256_job *jobs, size_t n)
{
	sha256_many_with(sha256_engines_working(), jobs, n);
}
