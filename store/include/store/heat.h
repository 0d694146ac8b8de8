/*
 * Heat: how much a content root is in use. Each use adds a weight to it, and all of it is halved in every
 * half-life; so what counts is how often, and how lately. At most STORE_HEAT_ROOTS roots have any: when one more
 * comes, the coldest gives way.
 *
 * It lies in memory, and is written to the repo's state every few minutes (store_heat_tend) and when it is closed,
 * never when it changes: a crash takes what came since it was last written, and nothing else depends on it.
 *
 * Of a CID the version does not count, the codec does. CIDs that carry their bytes (identity) have no heat.
 * For tasks of the store's loop.
 */
#ifndef STORE_HEAT_H
#define STORE_HEAT_H

#include <store/block.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { STORE_HEAT_ROOTS = 65536 };

enum store_heat_kind {
	STORE_HEAT_READ, /* somebody here reads it: adds 1 */
	STORE_HEAT_WANT, /* its first block went to somebody elsewhere: adds 1/4 */
	STORE_HEAT_KINDS,
};

struct store_heat;

/* Takes up what the repo's state has. half_life in nanoseconds, above 0; another one than before holds since
 * each root's last use. Lets others run now and then, who are not to open the same store's meanwhile. -ENOMEM,
 * ANYIO_CANCELLED, or the errors of store_state_get. */
int store_heat_open(struct store *store, anyio_time half_life, struct store_heat **heat);
/* Writes what is not written and frees it, whatever comes of that: 0, or why it is not durable. NULL: 0. */
int store_heat_close(struct store_heat *heat);

/* A use of a root. Never waits; without memory a new root is passed over. */
void store_heat_add(struct store_heat *heat, const struct mf_cid *root, enum store_heat_kind kind);
/* The same of a block that may be a root: it counts when it is pinned or has heat already. */
void store_heat_add_known(
	struct store_heat *heat, const struct mf_cid *cid, enum store_heat_kind kind);

/* The heat of a root now; 0 when it has none. */
double store_heat_of(struct store_heat *heat, const struct mf_cid *root);

struct store_heat_root {
	struct mf_cid cid; /* as it was first used */
	double heat;       /* now */
	double order;      /* greater is hotter, and stays so as time goes by */
	anyio_time unused; /* nanoseconds since it was last used */
	uint64_t counts[STORE_HEAT_KINDS];
};
/* The hottest roots, hottest first, or the coldest, coldest first: how many, up to count. Those that time has left
 * with less than STORE_HEAT_FLOOR are not among them. */
#define STORE_HEAT_FLOOR (1.0 / 64) /* a single read, six half-lives later */
size_t store_heat_hottest(struct store_heat *heat, struct store_heat_root *roots, size_t count);
size_t store_heat_coldest(struct store_heat *heat, struct store_heat_root *roots, size_t count);

struct store_heat_stat {
	size_t roots;
	size_t bytes; /* of memory */
};
void store_heat_stat(const struct store_heat *heat, struct store_heat_stat *stat);

/* Writes to the repo's state what has changed since it was last written, and makes it durable; forgets what is
 * below STORE_HEAT_FLOOR. Nothing to write: 0 at once. Else the errors of store_put. */
int store_heat_save(struct store_heat *heat);
/* A task: saves now and then, as long as there is something to save; sleeps without waking otherwise. Ends when
 * cancelled. */
int store_heat_tend(void *heat);

#ifdef __cplusplus
}
#endif
#endif
