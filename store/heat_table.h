/*
 * Heat in memory. Pure: the time comes from outside.
 *
 * A root's heat is the sum over its uses of weight * 2^-(age / half-life): exponential forward decay (Cormode,
 * Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009). It is kept as of the last use; then
 *
 *	order = last use / half-life + log2(heat as of then)
 *
 * does not change as time goes by, and of two roots the one of the greater order is the hotter at any time. So a
 * heap by order, coldest on top, stays right while nobody touches it.
 *
 * A full table gives the place of its coldest root to one that comes. A sketch such as SpaceSaving would have the newcomer
 * inherit that one's heat, and find all that is frequent in a stream of any length; but then many roots that were
 * used once push out one that is used now and then, and what is told is not what was. Here a root stays
 * as long as there are not `most` hotter ones or newer ones.
 *
 * A clock that is set back stands still until it has caught up: heat never grows by it. Times before the first
 * one that was seen are fine, they are only of uses that were written down earlier.
 *
 * Each root has a number, its slot, as long as it is here: under that it is written down (heat.c).
 */
#ifndef STORE_HEAT_TABLE_H
#define STORE_HEAT_TABLE_H

#include <stdbool.h>
#include <store/heat.h>

struct heat_entry;

struct heat_slot {
	struct heat_entry *entry; /* NULL: free */
	bool written;             /* something is written down under its number */
	bool changed;             /* and it is not this */
};

struct heat_table {
	size_t most;
	anyio_time half_life;
	anyio_time now,
		behind; /* the latest time; how far the clock outside was set back, in all */
	struct heat_slot *slots;
	size_t slot_count, slot_room; /* slots ever used */
	size_t hint;                  /* no slot before it is free */
	uint32_t *heap;               /* slots by order, the coldest first */
	size_t count;                 /* roots */
	uint32_t *buckets;            /* slot + 1 of the first; 0: none */
	size_t bucket_count;          /* a power of two, or 0 */
	uint8_t seed[16];             /* CIDs are chosen by strangers */
	size_t bytes;                 /* allocated */
};

/* most: roots, at least 1. */
void heat_table_init(struct heat_table *table, size_t most, anyio_time half_life);
void heat_table_free(struct heat_table *table);

/* A use at a time. only_known: of a root that is not here, nothing. Whether it was counted. */
bool heat_table_add(struct heat_table *table, const struct mf_cid *root, enum store_heat_kind kind,
	bool only_known, anyio_time now);
double heat_table_of(struct heat_table *table, const struct mf_cid *root, anyio_time now);
/* store_heat_hottest and store_heat_coldest. */
size_t heat_table_pick(struct heat_table *table, bool hottest, struct store_heat_root *roots,
	size_t count, anyio_time now);

/* ---- what is written down ---- */

enum heat_change { HEAT_CHANGE_NONE, HEAT_CHANGE_PUT, HEAT_CHANGE_TAKE };
/* Looks for a slot, from *slot on, that has changed since it was written down: its root, as of its last use
 * (heat) and of now (unused); or its number alone, which nothing is under any more. It counts as written from then on.
 * Roots below the floor are forgotten on the way. */
enum heat_change heat_table_next_change(
	struct heat_table *table, size_t *slot, struct store_heat_root *root, anyio_time now);
/* It could not be written: nobody knows what is there now. */
void heat_table_not_written(struct heat_table *table, size_t slot);

/* Takes up what was written down under a number, below most; root->heat as of its last use, root->unused from now.
 * NULL: what nobody can read. Of one root under two numbers the hotter counts. 0 or -ENOMEM. */
int heat_table_restore(
	struct heat_table *table, size_t slot, const struct store_heat_root *root, anyio_time now);

/* What is written down of a root (little endian):
 *
 *	 0  1, the version
 *	 1  its heat as of its last use, a double's bits
 *	 9  when that was, nanoseconds of the wall clock since 1970
 *	17  how often it was used in each way, u64 each
 *	33  its CID
 */
enum {
	HEAT_RECORD_HEAD = 17 + 8 * STORE_HEAT_KINDS,
	HEAT_RECORD_MAX = HEAT_RECORD_HEAD + MF_CID_BYTES_MAX
};
/* wall: that clock now, against which root->unused counts. The length. */
size_t heat_record_encode(
	const struct store_heat_root *root, anyio_time wall, uint8_t out[HEAT_RECORD_MAX]);
/* A time that has not come yet is now. False: it is not of our making. */
bool heat_record_decode(
	const uint8_t *data, size_t len, anyio_time wall, struct store_heat_root *root);

#endif
