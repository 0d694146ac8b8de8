/*
 * Heat in a store: the table (heat_table.h), written down now and then.
 *
 * Under each slot's number, four bytes, is the record of its root; under the key 0, one byte, is how many slots there are. A
 * root that takes another's place is written over it; so there are never more records than roots there may be.
 * A crash in the middle of writing, which takes several batches when very much has changed, may leave a root under two
 * numbers; the opening takes the hotter of them.
 */
#include <errno.h>
#include <time.h>
#include "bytes.h"
#include "heat_table.h"
#include "inner.h"

#define SAVE_EVERY (5 * 60 * ANYIO_SECOND)

enum { RECORDS_A_TURN = 1024 };

struct store_heat {
	struct store *store;
	struct heat_table table;
	struct anyio_event used; /* something was, since it was last written */
	size_t written_slots;
};

static const uint8_t count_key[1] = { 0 };

static void slot_key(uint8_t key[4], size_t slot)
{
	put_u32(key, (uint32_t)slot);
}

static anyio_time wall_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * ANYIO_SECOND + now.tv_nsec;
}

/* ---- taking up ---- */

static int load_slot(struct store_heat *heat, size_t slot, anyio_time wall, anyio_time now)
{
	uint8_t key[4], record[HEAT_RECORD_MAX];
	struct store_heat_root root;

	slot_key(key, slot);
	ssize_t len = store_state_get(
		heat->store, STORE_SPACE_HEAT, key, sizeof(key), record, sizeof(record), NULL);
	if (len < 0)
		return len == -ENOENT ? 0 : (int)len;
	bool sound = heat_record_decode(record, (size_t)len, wall, &root);
	return heat_table_restore(&heat->table, slot, sound ? &root : NULL, now);
}

/* Both clocks as they are at its begin: others may take long meanwhile. */
static int load(struct store_heat *heat)
{
	anyio_time wall = wall_clock(), now = anyio_now();
	uint8_t value[4];
	ssize_t len = store_state_get(heat->store, STORE_SPACE_HEAT, count_key, sizeof(count_key),
		value, sizeof(value), NULL);
	int rc = len < 0 && len != -ENOENT ? (int)len : 0;

	if (len == sizeof(value))
		heat->written_slots = get_u32(value);
	for (size_t slot = 0; !rc && slot < heat->written_slots && slot < STORE_HEAT_ROOTS;
		slot++) {
		rc = load_slot(heat, slot, wall, now);
		if (!rc && (slot + 1) % RECORDS_A_TURN == 0)
			rc = anyio_checkpoint();
	}
	return rc;
}

int store_heat_open(struct store *store, anyio_time half_life, struct store_heat **out)
{
	struct store_heat *heat = anyio_calloc(1, sizeof(*heat));

	*out = NULL;
	if (!heat)
		return -ENOMEM;
	heat->store = store;
	heat_table_init(&heat->table, STORE_HEAT_ROOTS, half_life);
	anyio_event_init(&heat->used);
	int rc = load(heat);
	if (rc) {
		heat_table_free(&heat->table);
		anyio_free(heat);
		return rc;
	}
	*out = heat;
	return 0;
}

/* ---- use ---- */

static void note(struct store_heat *heat, bool counted)
{
	if (counted)
		anyio_event_set(&heat->used);
}

void store_heat_add(struct store_heat *heat, const struct mf_cid *root, enum store_heat_kind kind)
{
	note(heat, heat_table_add(&heat->table, root, kind, false, anyio_now()));
}

void store_heat_add_known(
	struct store_heat *heat, const struct mf_cid *cid, enum store_heat_kind kind)
{
	anyio_time now = anyio_now();

	note(heat,
		heat_table_add(&heat->table, cid, kind, true, now) ||
			(store_pin_get(heat->store, cid) > STORE_PIN_NONE &&
				heat_table_add(&heat->table, cid, kind, false, now)));
}

double store_heat_of(struct store_heat *heat, const struct mf_cid *root)
{
	return heat_table_of(&heat->table, root, anyio_now());
}

size_t store_heat_hottest(struct store_heat *heat, struct store_heat_root *roots, size_t count)
{
	return heat_table_pick(&heat->table, true, roots, count, anyio_now());
}

size_t store_heat_coldest(struct store_heat *heat, struct store_heat_root *roots, size_t count)
{
	return heat_table_pick(&heat->table, false, roots, count, anyio_now());
}

void store_heat_stat(const struct store_heat *heat, struct store_heat_stat *stat)
{
	*stat = (struct store_heat_stat){ .roots = heat->table.count,
		.bytes = sizeof(*heat) + heat->table.bytes };
}

/* ---- writing down ---- */

static int save_count(struct store_heat *heat, store_ticket *ticket)
{
	size_t count = heat->table.slot_count;
	uint8_t value[4];

	if (count == heat->written_slots)
		return 0;
	put_u32(value, (uint32_t)count);
	int rc = store_state_put(heat->store, STORE_SPACE_HEAT, count_key, sizeof(count_key), value,
		sizeof(value), ticket);
	if (!rc)
		heat->written_slots = count;
	return rc;
}

static int save_slots(struct store_heat *heat, store_ticket *ticket)
{
	uint8_t key[4], record[HEAT_RECORD_MAX];
	struct store_heat_root root;
	enum heat_change change;
	size_t slot = 0;
	int rc = 0;

	while (!rc && (change = heat_table_next_change(&heat->table, &slot, &root, anyio_now()))) {
		bool put = change == HEAT_CHANGE_PUT;
		slot_key(key, slot);
		size_t len = put ? heat_record_encode(&root, wall_clock(), record) : 0;
		rc = store_state_put(heat->store, STORE_SPACE_HEAT, key, sizeof(key),
			put ? record : NULL, len, ticket);
		if (rc)
			heat_table_not_written(&heat->table, slot);
	}
	return rc;
}

int store_heat_save(struct store_heat *heat)
{
	store_ticket ticket = 0;

	anyio_event_init(&heat->used);
	int rc = save_count(heat, &ticket);
	if (!rc)
		rc = save_slots(heat, &ticket);
	return rc || !ticket ? rc : store_sync(heat->store, ticket);
}

/* What could not be written now may be with the next use. */
int store_heat_tend(void *arg)
{
	struct store_heat *heat = arg;
	int rc;

	do {
		rc = anyio_event_wait(&heat->used);
		if (!rc)
			rc = anyio_sleep(SAVE_EVERY);
		if (!rc && store_heat_save(heat) == ANYIO_CANCELLED)
			rc = ANYIO_CANCELLED;
	} while (!rc);
	return rc;
}

static int save_body(void *heat)
{
	return store_heat_save(heat);
}

int store_heat_close(struct store_heat *heat)
{
	struct anyio_cancel_scope scope;

	if (!heat)
		return 0;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	int rc = anyio_cancel_scope_run(&scope, save_body, heat);
	heat_table_free(&heat->table);
	anyio_free(heat);
	return rc;
}
