/*
 * Collecting what lies in tiers: nothing is written anew there, so a remote segment goes when all of it is dead. Nobody
 * waits for a tier here.
 */
#include "collecting.h"
#include "tiering.h"

/* One whose blocks the index does not have yet may be needed all the same. */
static bool is_dead(const struct collecting *collecting, const struct segment_remote *remote)
{
	return remote->entered && !remote->unwanted && !remote->busy &&
		remote->number < collecting->below && !live_of(&collecting->live, remote->number);
}

/* Only what was dead when the marking ended: of anything else the index may have something left. */
static struct segment_remote *next_dead(const struct collecting *collecting, uint32_t number)
{
	const struct segment_set *set = &collecting->store->segments;

	for (size_t i = 0; i < set->remote_count; i++)
		if (set->remote[i]->number > number && set->remote[i]->doomed &&
			is_dead(collecting, set->remote[i]))
			return set->remote[i];
	return NULL;
}

bool collecting_find_dead_remote(const struct collecting *collecting)
{
	const struct segment_set *set = &collecting->store->segments;
	bool found = false;

	for (size_t i = 0; i < set->remote_count; i++)
		found |= set->remote[i]->doomed = is_dead(collecting, set->remote[i]);
	return found;
}

int collecting_drop_remote(struct collecting *collecting)
{
	struct store *store = collecting->store;
	struct segment_remote *remote;
	store_ticket ticket = 0;
	uint32_t number = 0;
	int rc = next_dead(collecting, 0) ? store_checkpoint(store) : 0;

	while (rc == 0 && (remote = next_dead(collecting, number))) {
		number = remote->number;
		remote->unwanted = remote->busy = true;
		rc = store_note_remote(store, remote, &ticket);
		if (rc == 0)
			rc = store_sync(store, ticket);
		remote->unwanted = rc == 0;
		remote->busy = false;
		collecting->result->objects += rc == 0;
	}
	return rc;
}
