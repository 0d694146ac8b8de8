/*
 * A small object in each tier says whose it is, and since when: by the repo's id, and a number that is another one each time a tier
 * in which nothing lies begins anew. So neither an empty folder, where a disk is not mounted, nor the place of another repo, nor
 * one that was left is taken for the tier: nothing is written or removed there, and what is not found is away, not lost.
 */
#include "tiering.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const char name[] = "ipfs-kit-tier";
enum { ID = 2 * STORE_ID_SIZE, NUMBER = 16, TEXT = ID + 1 + NUMBER + 1 };

/* What the repo's state has of it: "NUMBER URL"; of marks that had no number, nothing. */
struct mark {
	char number[NUMBER + 1];
	char url[TIER_URL]; /* "": not known */
};

/* Its length. */
static size_t text_of(const struct kit_core *core, const struct mark *mark, char text[TEXT + 1])
{
	uint8_t id[STORE_ID_SIZE];

	store_id(core->store, id);
	for (int i = 0; i < STORE_ID_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", id[i]);
	return ID +
		(size_t)snprintf(
			text + ID, TEXT + 1 - ID, "%s%s\n", *mark->number ? "-" : "", mark->number);
}

/* 0; -ENOENT: it has none. */
static int get_mark(const struct kit_core *core, const char *tier, struct mark *mark)
{
	char value[NUMBER + 1 + TIER_URL] = "";
	ssize_t n = store_state_get(
		core->store, KIT_SPACE_TIERS, tier, strlen(tier), value, sizeof(value) - 1, NULL);
	const char *url = strchr(value, ' ');

	*mark = (struct mark){ .number = "" };
	if (url)
		snprintf(mark->url, sizeof(mark->url), "%s", url + 1);
	if (url && url - value == NUMBER)
		memcpy(mark->number, value, NUMBER);
	return n < 0 ? (int)n : 0;
}

void tier_written_at(const struct kit_core *core, const char *tier, char url[TIER_URL])
{
	struct mark mark;

	get_mark(core, tier, &mark);
	strcpy(url, mark.url);
}

static int put_mark(const struct tier *tier, const struct mark *mark)
{
	struct store *store = tier->tiers->core->store;
	const char *key = tier->place.name;
	char value[NUMBER + 1 + TIER_URL];
	store_ticket ticket = 0;

	if (!strcmp(mark->url, tier->place.url))
		return 0;
	int n = snprintf(value, sizeof(value), "%s %s", mark->number, tier->place.url);
	int rc = store_state_put(
		store, KIT_SPACE_TIERS, key, strlen(key), value, (size_t)n, &ticket);
	return rc < 0 ? rc : store_sync(store, ticket);
}

struct bytes {
	const char *at;
	size_t len;
};

static ssize_t read_text(void *arg, void *buffer, size_t size, uint64_t offset)
{
	const struct bytes *text = arg;
	size_t n = offset < text->len ? text->len - (size_t)offset : 0;

	n = n < size ? n : size;
	memcpy(buffer, text->at + offset, n);
	return (ssize_t)n;
}

static int make_mark(struct tier *tier, struct remote_why *why)
{
	struct mark mark = { .url = "" };
	char text[TEXT + 1];
	uint8_t number[NUMBER / 2];

	randombytes_buf(number, sizeof(number));
	sodium_bin2hex(mark.number, sizeof(mark.number), number, sizeof(number));
	struct bytes bytes = { text, text_of(tier->tiers->core, &mark, text) };
	struct remote_source source = { read_text, &bytes, bytes.len };
	int rc = remote_put_from(tier->remote, name, &source, NULL, why);

	return rc < 0 ? rc : put_mark(tier, &mark);
}

/* The way is back to where it was: with this mark in another place, all that lies in the old one would count as lost. */
static void explain(const struct tier *tier, const struct store_tier_stat *stat,
	const struct mark *mark, bool left, struct remote_why *why)
{
	bool moved = *mark->url && strcmp(mark->url, tier->place.url) != 0;
	char text[TEXT + 1], lies[80] = "something of this repo is still to be removed there";
	size_t len = text_of(tier->tiers->core, mark, text);

	if (stat->blocks)
		snprintf(lies, sizeof(lies), "%llu block%s of this repo should be",
			(unsigned long long)stat->blocks, stat->blocks == 1 ? "" : "s");
	snprintf(why->what, sizeof(why->what),
		"this may be another place than before: the file %s, by which it is known, is %s, and %s",
		name, left ? "an older one" : "not there", lies);
	snprintf(why->hint, sizeof(why->hint),
		"%s%s%s; only if you know that it is the same place, write %.*s into that file",
		moved ? "set it back to " : "mount its disk, or set tier.places back",
		moved ? mark->url : "", moved ? " in tier.places" : "", (int)len - 1, text);
}

int tier_mark_check(struct tier *tier, bool make, struct remote_why *why)
{
	const struct kit_core *core = tier->tiers->core;
	char text[TEXT + 1], is[TEXT + 1];
	struct store_tier_stat stat;
	struct mark mark;

	ssize_t n = remote_get(tier->remote, name, 0, is, sizeof(is), why);
	if (n < 0 && n != -ENOENT)
		return (int)n;
	bool marked = get_mark(core, tier->place.name, &mark) == 0;
	size_t len = text_of(core, &mark, text);
	/* Whoever has written it by hand may have left out the end of the line. */
	if (marked && n <= (ssize_t)len && n + 1 >= (ssize_t)len && !memcmp(is, text, (size_t)n))
		return make ? put_mark(tier, &mark) : 0;
	if (n != -ENOENT && (n < ID || memcmp(is, text, ID) != 0)) {
		snprintf(why->what, sizeof(why->what),
			"the file %s there says that it is another repo's", name);
		snprintf(why->hint, sizeof(why->hint),
			"give this repo a place of its own in tier.places");
		return -EPERM;
	}
	/* Where nothing lies yet, or nothing any more, it begins anew. */
	if (!marked || store_tier_stat(core->store, tier->place.name, &stat) < 0 ||
		stat.objects + stat.unwanted == 0)
		return make ? make_mark(tier, why) : 0;
	explain(tier, &stat, &mark, n != -ENOENT, why);
	return -ENXIO;
}
