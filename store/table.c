#include "table.h"

#include <errno.h>
#include <string.h>
#include <sodium.h>
#include <anyio/memory.h>

enum { MOVED = 4 }; /* entries moved for each that is reserved */

/* An entry: the value (so that it is aligned), the key's length as u16, the key. */
static size_t key_offset(const struct table *table)
{
	return table->value_size + sizeof(uint16_t);
}

static size_t entry_size(const struct table *table, size_t key_len)
{
	return (key_offset(table) + key_len + 7) & ~(size_t)7;
}

void table_init(struct table *table, size_t value_size)
{
	*table = (struct table){ .value_size = value_size };
	randombytes_buf(table->seed, sizeof(table->seed));
}

void table_free(struct table *table)
{
	anyio_free(table->entries);
	anyio_free(table->slots);
	anyio_free(table->old_slots);
	table_init(table, table->value_size);
}

static uint16_t key_length(const struct table *table, const uint8_t *entry)
{
	uint16_t len;

	memcpy(&len, entry + table->value_size, sizeof(len));
	return len;
}

static uint64_t hash_of(const struct table *table, const uint8_t *key, size_t len)
{
	uint64_t hash;

	crypto_shorthash((uint8_t *)&hash, key, len, table->seed);
	return hash;
}

/* The slot of a key: its own, or the free one where it would go. */
static uint32_t *find_slot(const struct table *table, uint32_t *slots, size_t slot_count,
	uint64_t hash, const uint8_t *key, size_t len)
{
	for (size_t i = hash;; i++) {
		uint32_t *slot = &slots[i & (slot_count - 1)];

		if (*slot == 0)
			return slot;
		const uint8_t *entry = table->entries + (size_t)(*slot - 1) * 8;
		if (key_length(table, entry) == len &&
			memcmp(entry + key_offset(table), key, len) == 0)
			return slot;
	}
}

/* The slot of a key that is there, of either set; else the free one of the new. */
static uint32_t *look_up(const struct table *table, const uint8_t *key, size_t len)
{
	uint64_t hash = hash_of(table, key, len);
	uint32_t *slot = find_slot(table, table->slots, table->slot_count, hash, key, len);

	if (*slot || !table->old_slots)
		return slot;
	uint32_t *old = find_slot(table, table->old_slots, table->old_count, hash, key, len);
	return *old ? old : slot;
}

static void move_some(struct table *table, size_t count)
{
	size_t at = table->moved, len;
	const uint8_t *key;
	void *value;

	if (!table->old_slots)
		return;
	while (count-- > 0 && at < table->to_move &&
		table_walk(table, &table->moved, &key, &len, &value)) {
		uint64_t hash = hash_of(table, key, len);

		*find_slot(table, table->slots, table->slot_count, hash, key, len) = at / 8 + 1;
		at = table->moved;
	}
	if (at < table->to_move)
		return;
	anyio_free(table->old_slots);
	table->old_slots = NULL;
}

static int grow_slots(struct table *table, size_t count)
{
	size_t slot_count = table->slot_count ? table->slot_count : 64;

	while (slot_count < count * 2)
		slot_count *= 2;
	if (slot_count == table->slot_count)
		return 0;
	uint32_t *slots = anyio_calloc(slot_count, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	/* Those of the last time are through by now: moving is faster than growing. Unless much was
	 * reserved at once. */
	move_some(table, table->count);
	table->old_slots = table->slots;
	table->old_count = table->slot_count;
	table->slots = slots;
	table->slot_count = slot_count;
	table->moved = 0;
	table->to_move = table->used;
	return 0;
}

int table_reserve(struct table *table, size_t count, size_t key_len)
{
	size_t need = table->used + count * entry_size(table, key_len);

	if (need > table->room) {
		size_t room =
			table->room + table->room / 2 > need ? table->room + table->room / 2 : need;
		uint8_t *entries = anyio_realloc(table->entries, room);

		if (!entries)
			return -ENOMEM;
		table->entries = entries;
		table->room = room;
	}
	move_some(table, count * MOVED);
	return grow_slots(table, table->count + count);
}

void *table_find(const struct table *table, const uint8_t *key, size_t len)
{
	if (table->count == 0)
		return NULL;
	uint32_t slot = *look_up(table, key, len);
	return slot ? table->entries + (size_t)(slot - 1) * 8 : NULL;
}

void *table_put(struct table *table, const uint8_t *key, size_t len)
{
	uint32_t *slot = look_up(table, key, len);
	uint16_t key_len = len;
	uint8_t *entry;

	if (*slot == 0) {
		*slot = table->used / 8 + 1;
		entry = table->entries + table->used;
		memset(entry, 0, table->value_size);
		memcpy(entry + table->value_size, &key_len, sizeof(key_len));
		memcpy(entry + key_offset(table), key, len);
		table->used += entry_size(table, len);
		table->count++;
	}
	return table->entries + (size_t)(*slot - 1) * 8;
}

bool table_walk(
	const struct table *table, size_t *at, const uint8_t **key, size_t *len, void **value)
{
	if (*at >= table->used)
		return false;
	uint8_t *entry = table->entries + *at;
	*len = key_length(table, entry);
	*value = entry;
	*key = entry + key_offset(table);
	*at += entry_size(table, *len);
	return true;
}
