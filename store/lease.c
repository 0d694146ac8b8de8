/*
 * Leases: a bit for each block that was touched while one is open. Bits are young or old, leases of this epoch or of
 * the one before. When the last lease of the one before ends, the next epoch begins: old bits are forgotten, for
 * all leases that were open when they were set have ended, and the young ones become old.
 */
#include <errno.h>
#include <string.h>
#include "collecting.h"

void store_lease_begin(struct store *store, struct store_lease *lease)
{
	struct leases *leases = &store->leases;

	*lease = (struct store_lease){ .store = store,
		.previous = leases->last,
		.segment = store->log.active ? store->log.active->number : 0,
		.epoch = leases->epoch };
	*(leases->last ? &leases->last->next : &leases->first) = lease;
	leases->last = lease;
	leases->open[lease->epoch % 2]++;
}

void store_lease_end(struct store_lease *lease)
{
	struct leases *leases = &lease->store->leases;

	*(lease->previous ? &lease->previous->next : &leases->first) = lease->next;
	*(lease->next ? &lease->next->previous : &leases->last) = lease->previous;
	leases->open[lease->epoch % 2]--;
	if (leases->open[(leases->epoch + 1) % 2] == 0) {
		live_free(&leases->old);
		leases->old = leases->young;
		leases->young = (struct live){ 0 };
		leases->epoch++;
	}
	if (!leases->first)
		live_free(&leases->old);
	lease->store->limit.stuck = 0;
}

uint32_t leases_segment(const struct store *store)
{
	const struct store_lease *lease = store->leases.first;

	return lease ? lease->segment : UINT32_MAX;
}

int store_touch(struct store *store, const struct index_place *place)
{
	int rc = 0;

	if (store->collecting)
		rc = live_add(&store->collecting->live, place->segment, place->ordinal, place->len);
	if (rc >= 0 && store->leases.first)
		rc = live_add(&store->leases.young, place->segment, place->ordinal, place->len);
	return rc < 0 ? rc : 0;
}

int leases_mark(struct store *store, struct live *live)
{
	int rc = live_merge(live, &store->leases.old);

	return rc < 0 ? rc : live_merge(live, &store->leases.young);
}

static void cut(struct live *live, uint32_t segment, uint32_t end)
{
	const struct live_segment *of = live_of(live, segment);
	uint64_t gone = live_count(live, segment, end, UINT32_MAX);

	if (gone > 0)
		live_cut(live, segment, end, of->bytes / of->count * gone);
}

void leases_cut(struct store *store, uint32_t segment, uint32_t end)
{
	cut(&store->leases.old, segment, end);
	cut(&store->leases.young, segment, end);
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
