/*
 * What is left to do in a tier: objects that nothing needs are removed, and forgotten when they are away; the blocks of
 * those that the index does not have yet (it was made anew, or a crash came between) are entered, from the objects' own
 * indexes: an index says where each section begins, and as all are raw leaves, end to end, that tells the rest; and what
 * lives in one that is dead for the most part is written into a new one, so that the next collection gives it up.
 */
#include <errno.h>
#include <string.h>
#include "tier_index.h"
#include "tiering.h"

enum { BATCH = 256, ENTRIES_A_TURN = 1024 };

struct entering {
	struct store *store;
	struct segment_remote *remote;
	struct tier_index index;
	bool mends; /* it has been read before: only what is damaged elsewhere is found here from now on */
	uint64_t done; /* that were entered */
};

/* The block of the entry, and its place; at: where its section begins and ends, of the object. */
static int make_place(const struct segment_remote *remote, const struct car_index_entry *entry,
	uint64_t at, uint64_t end, struct mf_cid *cid, struct index_place *place)
{
	uint8_t prefix[CAR_PREFIX_MAX];
	uint64_t size = end - at;

	tier_index_cid(entry, cid);
	/* The length of the length depends on what it says. */
	for (size_t head = 1; head <= CAR_PREFIX_MAX && head <= size; head++) {
		ssize_t n = car_section_prefix(cid, (size_t)(size - head), prefix, sizeof(prefix));

		if (n < 0)
			return -EBADMSG;
		if ((size_t)n != head)
			continue;
		*place = (struct index_place){ .segment = remote->number,
			.offset = at + head,
			.len = (uint32_t)(size - head),
			.codec = MF_CODEC_RAW,
			.version = 1 };
		return size - head <= IPLD_BLOCK_BIG_MAX ? 0 : -EBADMSG;
	}
	return -EBADMSG;
}

/* With the lock `writing` held, and room reserved. What lies elsewhere, and is whole there, stays there. */
static int enter_one(struct entering *entering, size_t i, uint64_t base)
{
	const struct segment_remote *remote = entering->remote;
	struct store *store = entering->store;
	const struct car_index_entry *entries = entering->index.entries;
	uint64_t end = i + 1 < entering->index.count ? base + entries[i + 1].at : remote->to;
	uint64_t at = base + entries[i].at;
	struct index_place place, known = { .state = INDEX_GONE };
	struct mf_cid cid;
	int rc = at < remote->from || at >= end || end > remote->to
		? -EBADMSG
		: make_place(remote, &entries[i], at, end, &cid, &place);

	if (rc < 0 || (rc = store_find(store, &cid, &known)) != 0)
		return rc < 0 ? rc : 0;
	if (entering->mends && (known.state != INDEX_DAMAGED || known.segment == remote->number))
		return 0;
	place.ordinal = (uint32_t)i;
	rc = store_touch(store, &place);
	if (rc < 0)
		return rc;
	index_put(&store->index, &cid, &place);
	store->moves++;
	entering->done++;
	return 0;
}

static int enter_all(struct entering *entering)
{
	struct store *store = entering->store;
	size_t count = entering->index.count;
	struct mf_cid cid;
	int rc = 0;

	for (size_t at = 0; at < count && rc == 0; at += BATCH) {
		size_t end = at + BATCH < count ? at + BATCH : count;

		for (size_t i = at; i < end && rc == 0 && !entering->mends; i++) {
			tier_index_cid(&entering->index.entries[i], &cid);
			rc = store_doubt(store, &cid, entering->remote->number);
		}
		if (rc == 0)
			rc = anyio_lock_acquire(&store->writing);
		if (rc < 0)
			return rc;
		rc = store->broken ? store->broken : index_reserve(&store->index, BATCH);
		for (size_t i = at; i < end && rc == 0; i++)
			rc = enter_one(entering, i, CAR_V2_SIZE);
		anyio_lock_release(&store->writing);
		if (rc == 0)
			rc = store_checkpoint_if_due(store);
	}
	return rc;
}

static int note(struct store *store, const struct segment_remote *remote)
{
	store_ticket ticket = 0;
	int rc = store_note_remote(store, remote, &ticket);

	return rc < 0 ? rc : store_sync(store, ticket);
}

static int enter_and_note(struct entering *entering)
{
	int rc = enter_all(entering);

	if (rc == 0)
		rc = store_checkpoint(entering->store);
	if (rc < 0)
		return rc;
	entering->remote->entered = true;
	return note(entering->store, entering->remote);
}

/* What the index still has there is alive, or was lately. */
static int thin_out(struct entering *entering)
{
	struct store *store = entering->store;
	uint32_t number = entering->remote->number;
	struct mf_cid *cids = anyio_calloc(entering->index.count + 1, sizeof(*cids));
	struct index_place place;
	size_t count = 0;
	int rc = cids ? 0 : -ENOMEM;

	for (size_t i = 0; i < entering->index.count && rc >= 0; i++) {
		rc = (i + 1) % ENTRIES_A_TURN == 0 ? anyio_checkpoint() : 0;
		if (rc < 0)
			break;
		tier_index_cid(&entering->index.entries[i], &cids[count]);
		rc = store_find(store, &cids[count], &place);
		count += rc > 0 && place.segment == number;
	}
	if (rc >= 0)
		rc = tier_rewrite(
			store, tier_find(store, entering->remote->tier), number, cids, count);
	anyio_free(cids);
	/* One of them went, or is damaged: another time, without it. */
	return rc == -ENOENT ? -EBADMSG : rc;
}

static int with_index(struct entering *entering, int (*body)(struct entering *entering))
{
	int rc = tier_index_read(entering->store, entering->remote, &entering->index);

	if (rc == 0)
		rc = body(entering);
	tier_index_free(&entering->index);
	return rc;
}

static int remove_object(struct store *store, struct tier *tier, struct segment_remote *remote)
{
	char object[SEGMENT_REMOTE_OBJECT_MAX];
	struct store_tier verbs;
	store_ticket ticket = 0;
	int rc = tier_ask(tier, &verbs);

	segment_remote_object(remote, object);
	rc = tier_judge(tier, rc < 0 ? rc : verbs.remove(verbs.arg, object));
	if (rc == 0)
		rc = store_note_nothing(store, remote->number, &ticket);
	return rc < 0 ? rc : store_sync(store, ticket);
}

static int see_to(struct store *store, struct tier *tier, struct segment_remote *remote)
{
	struct entering entering = { .store = store, .remote = remote };

	if (remote->unwanted)
		return remove_object(store, tier, remote);
	if (!remote->entered)
		return with_index(&entering, enter_and_note);
	int rc = with_index(&entering, thin_out);
	/* A tier that cannot be asked now is asked again. */
	remote->thin = rc < 0 && rc != -EBADMSG;
	return rc;
}

/* The first of the tier's, behind a number, of which something is left to do. */
static struct segment_remote *next_to_tend(
	const struct store *store, const struct tier *tier, uint32_t number)
{
	struct segment_remote *remote;

	for (; (remote = segment_set_next_remote(&store->segments, number));
		number = remote->number)
		if (!remote->busy && (remote->unwanted || !remote->entered || remote->thin) &&
			strcmp(remote->tier, tier->stat.name) == 0)
			return remote;
	return NULL;
}

int store_tier_tend(struct store *store, const char *name)
{
	struct tier *tier = tier_find(store, name);
	struct segment_remote *remote;
	uint32_t number = 0;
	int rc = store->broken;

	if (!tier || !tier->stat.attached)
		return -ENODEV;
	while (rc == 0 && (remote = next_to_tend(store, tier, number))) {
		bool unwanted = remote->unwanted;

		number = remote->number;
		remote->busy = true;
		rc = see_to(store, tier, remote);
		/* One that is damaged, or lost, is no reason to leave out the others. */
		rc = rc == -EBADMSG ? 0 : rc;
		remote->busy = false;
		if (rc == 0 && unwanted)
			segment_set_forget_remote(&store->segments, number);
	}
	return rc;
}

int store_tier_mend(struct store *store, const char *name, uint64_t *mended)
{
	struct tier *tier = tier_find(store, name);
	struct segment_remote *remote;
	uint32_t number = 0;
	int rc = store_only_reads(store) ? -EROFS : store->broken;

	*mended = 0;
	if (!tier || !tier->stat.attached)
		return -ENODEV;
	while (rc == 0 && (remote = segment_set_next_remote(&store->segments, number))) {
		struct entering entering = { .store = store, .remote = remote, .mends = true };

		number = remote->number;
		if (remote->busy || remote->unwanted || !remote->entered ||
			strcmp(remote->tier, name) != 0)
			continue;
		remote->busy = true;
		rc = with_index(&entering, enter_all);
		rc = rc == -EBADMSG ? 0 : rc;
		remote->busy = false;
		*mended += entering.done;
	}
	/* Also what was found before the tier failed. */
	int kept = *mended > 0 ? store_checkpoint(store) : 0;
	return kept < 0 ? kept : rc;
}
