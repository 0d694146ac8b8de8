/*
 * A hash table from short byte strings to values of one size: the part of the index that is not
 * written yet. Entries lie one behind the other in one growing piece of memory, so they can be
 * walked, and the whole given back at once. Nothing can be taken out. Empty, it holds no memory.
 *
 * It grows a little with each reserve: after the slots were doubled, the old ones are kept until all
 * entries have moved, a few for each new one. So nobody waits while a million are hashed again.
 */
#ifndef STORE_TABLE_H
#define STORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table {
	size_t value_size; /* a multiple of 8 */
	size_t count;
	uint8_t *entries; /* one behind the other, each at a multiple of 8 */
	size_t used, room;
	uint32_t *slots; /* offset in entries / 8 + 1; 0: free */
	size_t slot_count;
	uint32_t *old_slots; /* NULL: none is left in them alone */
	size_t old_count;
	size_t moved, to_move; /* entries between these are in the old slots alone */
	uint8_t seed[16];      /* keys are chosen by strangers */
};

void table_init(struct table *table, size_t value_size);
void table_free(struct table *table); /* empty again */

/* Makes room for count more entries with keys of at most key_len: 0 or -ENOMEM. */
int table_reserve(struct table *table, size_t count, size_t key_len);
/* The value of a key, or NULL. Valid until the next reserve. */
void *table_find(const struct table *table, const uint8_t *key, size_t len);
/* The value of a key, made (zeroed) when it is new. Room was reserved. */
void *table_put(struct table *table, const uint8_t *key, size_t len);

/* Walks: *at starts at 0; false at the end. */
bool table_walk(
	const struct table *table, size_t *at, const uint8_t **key, size_t *len, void **value);

#endif
