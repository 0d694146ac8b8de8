/*
 * Records of heat, a byte of length before each: whatever they say, what is taken from them is heat that can be
 * compared and added to, is written down as the same again, and no root is there twice.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "store/heat_table.h"

enum { SLOTS = 16 };
static const anyio_time wall = 1790000000 * ANYIO_SECOND;

static void check_again(const struct store_heat_root *root)
{
	uint8_t record[HEAT_RECORD_MAX];
	struct store_heat_root again;
	size_t len = heat_record_encode(root, wall, record);

	if (!heat_record_decode(record, len, wall, &again) || again.heat != root->heat ||
		again.unused != root->unused || !mf_cid_equal(&again.cid, &root->cid) ||
		memcmp(again.counts, root->counts, sizeof(again.counts)))
		abort();
}

static void take_up(struct heat_table *table, size_t slot, const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len + 1); /* exact, for the sanitizer */
	struct store_heat_root root;

	memcpy(copy, data, len);
	bool sound = heat_record_decode(copy, len, wall, &root);
	if (sound)
		check_again(&root);
	free(copy);
	if (!table->slots || slot >= table->slot_count || !table->slots[slot].entry)
		heat_table_restore(table, slot, sound ? &root : NULL, ANYIO_SECOND);
}

static void look_at_all(struct heat_table *table)
{
	struct store_heat_root roots[SLOTS];
	size_t count = heat_table_pick(table, true, roots, SLOTS, ANYIO_SECOND);

	if (count > table->count || table->count > SLOTS)
		abort();
	for (size_t i = 0; i < count; i++) {
		if (!isfinite(roots[i].order) || !(roots[i].heat > 0))
			abort();
		for (size_t j = 0; j < i; j++)
			if (mf_cid_equal(&roots[i].cid, &roots[j].cid))
				abort();
		double before = heat_table_of(table, &roots[i].cid, ANYIO_SECOND);
		heat_table_add(table, &roots[i].cid, STORE_HEAT_READ, true, ANYIO_SECOND);
		if (!(heat_table_of(table, &roots[i].cid, ANYIO_SECOND) >= before))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct heat_table table;
	size_t at = 0;

	if (sodium_init() < 0)
		abort();
	heat_table_init(&table, SLOTS, 24 * 3600 * ANYIO_SECOND);
	for (size_t slot = 0; at < size && slot < SLOTS; slot++) {
		size_t len = data[at++];
		if (len > size - at)
			len = size - at;
		take_up(&table, slot, data + at, len);
		at += len;
	}
	look_at_all(&table);
	heat_table_free(&table);
	return 0;
}
