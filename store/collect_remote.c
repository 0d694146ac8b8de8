/*
 * Collecting what lies in tiers: a remote segment goes when all of it is dead; of one in which little lives,
 * store_tier_tend writes that into a new one. Nobody waits for a tier here.
 */
#include "collecting.h"
#include "tiering.h"

/* One whose blocks the index does not have yet may be needed all the same. */
static bool can_be_judged(const struct collecting *collecting, const struct segment_remote *remote)
{
	return remote->entered && !remote->unwanted && !remote->busy &&
		remote->number < collecting->below;
}

static bool is_dead(const struct collecting *collecting, const struct segment_remote *remote)
{
	return can_be_judged(collecting, remote) && !live_of(&collecting->live, remote->number);
}

static bool is_thin(const struct collecting *collecting, const struct segment_remote *remote)
{
	const struct live_segment *live = live_of(&collecting->live, remote->number);

	return can_be_judged(collecting, remote) && live &&
		live->bytes < (remote->to - remote->from) / 2;
}

/* Only what was dead when the marking ended: of anything else the index may have something left. */
static struct segment_remote *next_dead(const struct collecting *collecting, uint32_t number)
{
	struct segment_remote *remote;

	for (; (remote = segment_set_next_remote(&collecting->store->segments, number));
		number = remote->number)
		if (remote->doomed && is_dead(collecting, remote))
			return remote;
	return NULL;
}

bool collecting_judge_remote(const struct collecting *collecting)
{
	const struct segment_set *set = &collecting->store->segments;
	bool found = false;

	for (size_t i = 0; i < set->remote_count; i++) {
		struct segment_remote *remote = set->remote[i];

		remote->doomed = is_dead(collecting, remote);
		remote->thin = is_thin(collecting, remote);
		found |= remote->doomed || remote->thin;
	}
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
