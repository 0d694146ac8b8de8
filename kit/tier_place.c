/* Where tiers are: the words of tier.places. No credential is part of one. */
#include "tiering.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct rest {
	const char *at, *end;
};

/* What is before the first of some characters, or all; out has size bytes. False: it is empty, or does not fit. */
static bool take(struct rest *rest, const char *until, char *out, size_t size)
{
	size_t len = 0;

	while (rest->at + len < rest->end && !strchr(until, rest->at[len]))
		len++;
	if (len == 0 || len >= size)
		return false;
	memcpy(out, rest->at, len);
	out[len] = '\0';
	rest->at += len;
	return true;
}

static bool skip(struct rest *rest, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(rest->end - rest->at) < len || memcmp(rest->at, text, len) != 0)
		return false;
	rest->at += len;
	return true;
}

/* HOST[:PORT]/BUCKET[/PREFIX][?region=REGION] */
static bool take_s3(struct rest *rest, const char *scheme, struct tier_place *place)
{
	char host[256];

	place->kind = "S3";
	if (!take(rest, "/?@", host, sizeof(host)) || !skip(rest, "/") ||
		!take(rest, "/?", place->bucket, sizeof(place->bucket)))
		return false;
	snprintf(place->endpoint, sizeof(place->endpoint), "%s%s", scheme, host);
	if (skip(rest, "/") && rest->at < rest->end && *rest->at != '?') {
		if (!take(rest, "?", place->prefix, sizeof(place->prefix) - 1))
			return false;
		if (place->prefix[strlen(place->prefix) - 1] != '/')
			strcat(place->prefix, "/");
	}
	return !skip(rest, "?region=") || take(rest, "?&", place->region, sizeof(place->region));
}

/* USER@HOST[:PORT]/FOLDER, or /~/FOLDER for one that begins where the user lands */
static bool take_sftp(struct rest *rest, struct tier_place *place)
{
	char host[256];

	place->kind = "SFTP";
	if (!take(rest, "@/:", place->user, sizeof(place->user)) || !skip(rest, "@") ||
		!take(rest, "/@", host, sizeof(host)))
		return false;
	snprintf(place->endpoint, sizeof(place->endpoint), "sftp://%s", host);
	skip(rest, "/~/");
	return take(rest, "", place->folder, sizeof(place->folder));
}

static bool take_url(struct rest *rest, struct tier_place *place)
{
	if (skip(rest, "file://")) {
		place->kind = "folder";
		strcpy(place->endpoint, "file://");
		return take(rest, "", place->folder, sizeof(place->folder)) &&
			place->folder[0] == '/';
	}
	if (skip(rest, "s3://"))
		return take_s3(rest, "https://", place);
	if (skip(rest, "s3+http://"))
		return take_s3(rest, "http://", place);
	return skip(rest, "sftp://") && take_sftp(rest, place);
}

bool tier_name_is(const char *name, size_t len)
{
	return len && len <= STORE_TIER_NAME_MAX && strspn(name, TIER_NAME_LETTERS) >= len &&
		!tier_name_reserved(name, len);
}

bool tier_name_reserved(const char *name, size_t len)
{
	return (len == 4 && !memcmp(name, "fast", 4)) || (len == 6 && !memcmp(name, "memory", 6));
}

int tier_place_parse(const char *word, size_t len, struct tier_place *out)
{
	struct rest rest = { word, word + len };

	memset(out, 0, sizeof(*out));
	if (!take(&rest, "=", out->name, sizeof(out->name)) ||
		!tier_name_is(out->name, strlen(out->name)) || !skip(&rest, "="))
		return -EINVAL;
	snprintf(out->url, sizeof(out->url), "%.*s", (int)(rest.end - rest.at), rest.at);
	return take_url(&rest, out) && rest.at == rest.end ? 0 : -EINVAL;
}

bool tier_name_twice(const char *value, const char *word)
{
	size_t len = strcspn(word, "=") + 1;

	for (const char *at = value; at < word; at += strcspn(at, " "), at += strspn(at, " "))
		if (!strncmp(at, word, len))
			return true;
	return false;
}

int tier_places_check(const char *value)
{
	struct tier_place place;
	size_t len;

	value += strspn(value, " ");
	for (const char *word = value; *word; word += len, word += strspn(word, " ")) {
		len = strcspn(word, " ");
		if (tier_place_parse(word, len, &place) < 0 || tier_name_twice(value, word))
			return -EINVAL;
	}
	return 0;
}
