/*
 * A small object in each tier says whose it is. So neither an empty folder, where a disk is not mounted, nor the place of
 * another repo is taken for the tier: nothing is written or removed there, and what is not found is away, not lost.
 */
#include "tiering.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char name[] = "ipfs-kit-tier";
enum { ID = STORE_ID_SIZE, TEXT = 2 * ID + 1 };

static void text_of(const struct kit_core *core, char text[TEXT + 1])
{
	uint8_t id[ID];

	store_id(core->store, id);
	for (int i = 0; i < ID; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
	memcpy(text + 2 * ID, "\n", 2);
}

static ssize_t read_text(void *arg, void *buffer, size_t size, uint64_t offset)
{
	size_t n = offset < TEXT ? TEXT - (size_t)offset : 0;

	n = n < size ? n : size;
	memcpy(buffer, (const char *)arg + offset, n);
	return (ssize_t)n;
}

/* Whether it has a mark, and objects beside it. */
static bool is_marked(const struct tier *tier)
{
	struct store *store = tier->tiers->core->store;
	const char *key = tier->place.name;
	struct store_tier_stat stat;

	return store_state_get(store, KIT_SPACE_TIERS, key, strlen(key), NULL, 0, NULL) >= 0 &&
		store_tier_stat(store, key, &stat) == 0 && stat.objects + stat.unwanted > 0;
}

static int make_mark(struct tier *tier, char *text, struct remote_why *why)
{
	struct remote_source source = { read_text, text, TEXT };
	struct store *store = tier->tiers->core->store;
	const char *key = tier->place.name;
	store_ticket ticket = 0;
	int rc = remote_put_from(tier->remote, name, &source, NULL, why);

	if (rc == 0)
		rc = store_state_put(store, KIT_SPACE_TIERS, key, strlen(key), "", 0, &ticket);
	return rc < 0 ? rc : store_sync(store, ticket);
}

int tier_mark_check(struct tier *tier, bool make, struct remote_why *why)
{
	char text[TEXT + 1], is[TEXT + 1];

	text_of(tier->tiers->core, text);
	ssize_t n = remote_get(tier->remote, name, 0, is, sizeof(is), why);
	if (n < 0 && n != -ENOENT)
		return (int)n;
	if (n == TEXT && !memcmp(is, text, TEXT))
		return 0;
	if (n != -ENOENT) {
		snprintf(why->what, sizeof(why->what),
			"the file %s there says that it is another repo's", name);
		snprintf(why->hint, sizeof(why->hint),
			"give this repo a place of its own in tier.places");
		return -EPERM;
	}
	if (!is_marked(tier))
		return make ? make_mark(tier, text, why) : 0;
	snprintf(why->what, sizeof(why->what), "the file %s, by which it is known, is not there",
		name);
	snprintf(why->hint, sizeof(why->hint),
		"is its disk mounted? If it is, write %.*s into that file", 2 * ID, text);
	return -ENXIO;
}
