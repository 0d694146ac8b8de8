/*
 * Leases: what was touched while one is open, in the order it was. What the oldest lease does not need any more
 * is forgotten.
 */
#include <errno.h>
#include <string.h>
#include "collecting.h"

void store_lease_begin(struct store *store, struct store_lease *lease)
{
	struct store_lease *last = store->leases.last;

	*lease = (struct store_lease){ .store = store,
		.previous = last,
		.segment = store->log.active ? store->log.active->number : 0,
		.since = store->leases.first_touched + store->leases.count };
	if (last)
		last->next = lease;
	else
		store->leases.first = lease;
	store->leases.last = lease;
}

/* Touches before the oldest lease's begin are nobody's. */
static void forget_old(struct leases *leases)
{
	uint64_t since =
		leases->first ? leases->first->since : leases->first_touched + leases->count;
	size_t gone = (size_t)(since - leases->first_touched);

	if (leases->first && gone < leases->count / 2)
		return;
	leases->count -= gone;
	leases->first_touched += gone;
	if (leases->count == 0) {
		anyio_free(leases->touched);
		leases->touched = NULL;
		leases->room = 0;
	} else {
		memmove(leases->touched, leases->touched + gone,
			leases->count * sizeof(*leases->touched));
	}
}

void store_lease_end(struct store_lease *lease)
{
	struct leases *leases = &lease->store->leases;

	*(lease->previous ? &lease->previous->next : &leases->first) = lease->next;
	*(lease->next ? &lease->next->previous : &leases->last) = lease->previous;
	forget_old(leases);
	lease->store->limit.stuck = 0;
}

uint32_t leases_segment(const struct store *store)
{
	const struct store_lease *lease = store->leases.first;

	return lease ? lease->segment : UINT32_MAX;
}

static int remember(struct leases *leases, const struct index_place *place)
{
	if (leases->count == leases->room) {
		size_t room = leases->room ? leases->room * 2 : 64;
		void *more = anyio_realloc(leases->touched, room * sizeof(*leases->touched));

		if (!more)
			return -ENOMEM;
		leases->touched = more;
		leases->room = room;
	}
	leases->touched[leases->count++] =
		(struct touch){ place->segment, place->ordinal, place->len };
	return 0;
}

int store_touch(struct store *store, const struct index_place *place)
{
	int rc = 0;

	if (store->collecting)
		rc = live_add(&store->collecting->live, place->segment, place->ordinal, place->len);
	if (rc >= 0 && store->leases.first)
		rc = remember(&store->leases, place);
	return rc < 0 ? rc : 0;
}

int leases_mark(struct store *store, struct live *live)
{
	int rc = 0;

	for (size_t i = 0; i < store->leases.count && rc >= 0; i++) {
		const struct touch *touch = &store->leases.touched[i];

		rc = live_add(live, touch->segment, touch->ordinal, touch->len);
	}
	return rc < 0 ? rc : 0;
}

int store_keep(struct store *store, const struct mf_cid *cid)
{
	struct index_place place;

	if (cid->hash == MF_HASH_IDENTITY)
		return 1;
	int rc = store_find(store, cid, &place);
	if (rc > 0) {
		int touched = store_touch(store, &place);
		rc = touched < 0 ? touched : 1;
	}
	return rc;
}
