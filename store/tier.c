/* The tiers of a store, and reading from them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "tiering.h"

struct tier *tier_find(const struct store *store, const char *name)
{
	struct tier *tier = store->tiers;

	while (tier && strcmp(tier->stat.name, name) != 0)
		tier = tier->next;
	return tier;
}

void tiers_free(struct store *store)
{
	while (store->tiers) {
		struct tier *tier = store->tiers;

		store->tiers = tier->next;
		anyio_free(tier);
	}
}

int store_tier_attach(struct store *store, const char *name, const struct store_tier *verbs)
{
	struct tier *tier = tier_find(store, name);

	if (!segment_remote_is_name(name))
		return -EINVAL;
	if (!tier) {
		tier = anyio_calloc(1, sizeof(*tier));
		if (!tier)
			return -ENOMEM;
		memcpy(tier->stat.name, name, strlen(name));
		tier->next = store->tiers;
		store->tiers = tier;
	}
	tier->verbs = *verbs;
	tier->stat.attached = true;
	return 0;
}

void store_tier_detach(struct store *store, const char *name)
{
	struct tier *tier = tier_find(store, name);

	if (tier)
		tier->stat.attached = false;
}

int tier_ask(const struct tier *tier, struct store_tier *verbs)
{
	if (!tier || !tier->stat.attached)
		return -ENODEV;
	*verbs = tier->verbs;
	return 0;
}

int tier_judge(struct tier *tier, int rc)
{
	if (rc >= 0 || rc == ANYIO_CANCELLED || rc == -ENOMEM)
		return rc;
	if (tier) {
		tier->stat.errors++;
		tier->stat.last_error = rc;
	}
	return rc == -EBADMSG ? rc : -EREMOTEIO;
}

int tier_read(struct store *store, const struct segment_remote *remote, uint64_t offset, void *out,
	size_t len)
{
	struct tier *tier = tier_find(store, remote->tier);
	char object[SEGMENT_REMOTE_OBJECT_MAX];
	struct store_tier verbs;

	segment_remote_object(remote, object);
	for (size_t done = 0; done < len;) {
		int rc = tier_ask(tier, &verbs);
		if (rc < 0)
			return tier_judge(tier, rc);
		tier->stat.reads += done == 0;
		ssize_t n = verbs.read(
			verbs.arg, object, offset + done, (uint8_t *)out + done, len - done);

		/* What the tier does not have is lost, or away with the disk that is to be mounted there. */
		if (n <= 0 || (size_t)n > len - done)
			return tier_judge(tier, n < 0 && n != -ENOENT ? (int)n : -EBADMSG);
		done += (size_t)n;
		tier->stat.read_bytes += (uint64_t)n;
	}
	return 0;
}

int tier_read_block(struct store *store, const struct index_place *place, void *out)
{
	const struct segment_remote *remote =
		segment_set_find_remote(&store->segments, place->segment);

	if (!remote)
		return -EBADMSG;
	struct segment_remote copy = *remote;
	return tier_read(store, &copy, place->offset, out, place->len);
}

int store_where(struct store *store, const struct mf_cid *cid, char tier[STORE_TIER_NAME_MAX + 1])
{
	struct index_place place;
	bool carried = cid->hash == MF_HASH_IDENTITY;
	int rc = carried ? 1 : store_find(store, cid, &place);
	const struct segment_remote *remote =
		!carried && (rc > 0 || (rc == 0 && place.state == INDEX_DAMAGED))
		? segment_set_find_remote(&store->segments, place.segment)
		: NULL;

	snprintf(tier, STORE_TIER_NAME_MAX + 1, "%s", remote ? remote->tier : "");
	return rc;
}

int store_tier_stat(struct store *store, const char *name, struct store_tier_stat *out)
{
	const struct segment_set *set = &store->segments;
	const struct tier *tier = tier_find(store, name);
	bool known = tier != NULL;

	*out = tier ? tier->stat : (struct store_tier_stat){ 0 };
	snprintf(out->name, sizeof(out->name), "%s", name);
	for (size_t i = 0; i < set->remote_count; i++) {
		const struct segment_remote *remote = set->remote[i];

		if (strcmp(remote->tier, name) != 0)
			continue;
		known = true;
		out->unwanted += remote->unwanted;
		if (remote->unwanted)
			continue;
		out->objects++;
		out->blocks += remote->blocks;
		out->bytes += remote->size;
		out->unread += !remote->entered;
	}
	return known ? 0 : -ENODEV;
}

static const char *lower(const char *best, const char *name, const char *after)
{
	return strcmp(name, after) > 0 && (!best || strcmp(name, best) < 0) ? name : best;
}

int store_tier_next(struct store *store, const char *after, struct store_tier_stat *out)
{
	const char *best = NULL;

	for (const struct tier *tier = store->tiers; tier; tier = tier->next)
		best = lower(best, tier->stat.name, after);
	for (size_t i = 0; i < store->segments.remote_count; i++)
		best = lower(best, store->segments.remote[i]->tier, after);
	if (!best)
		return 0;
	char name[STORE_TIER_NAME_MAX + 1];
	snprintf(name, sizeof(name), "%s", best);
	return store_tier_stat(store, name, out) < 0 ? 0 : 1;
}
