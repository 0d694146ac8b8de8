/* What is wrong with tier.places, told to who sets it. */
#include "tiering.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN = 100 }; /* of a word */

struct fault {
	const char *word;
	int len; /* of the word, as much as is shown */
	char *why;
	size_t cap;
};

static const struct {
	const char *scheme, *form;
} schemes[] = {
	{ "file://", "NAME=file:///FOLDER" },
	{ "s3://", "NAME=s3://HOST[:PORT]/BUCKET[/PREFIX][?region=REGION], without keys" },
	{ "s3+http://",
		"NAME=s3+http://HOST[:PORT]/BUCKET[/PREFIX][?region=REGION], without keys" },
	{ "sftp://", "NAME=sftp://USER@HOST[:PORT]/FOLDER" },
};
static const char known[] = "file:///FOLDER, s3://HOST/BUCKET, s3+http://HOST/BUCKET or "
			    "sftp://USER@HOST/FOLDER";

/* A comma, and another place behind it: a folder may have both in its name, but nobody means that. */
static bool has_comma(const char *word, size_t len)
{
	for (const char *c = word; c < word + len; c++) {
		const char *name = c + 1 + strspn(c + 1, " ");
		size_t letters = strspn(name, TIER_NAME_LETTERS);

		if (*c == ',' && letters && name[letters] == '=')
			return true;
	}
	return false;
}

static void explain_name(const struct fault *fault, size_t len)
{
	if (tier_name_reserved(fault->word, len))
		snprintf(fault->why, fault->cap,
			"'%.*s': the name %.*s is the repo's own; choose another name", fault->len,
			fault->word, (int)len, fault->word);
	else
		snprintf(fault->why, fault->cap,
			"'%.*s': what is before the = is no name; use 1 to %d of a-z, 0-9, - and _",
			fault->len, fault->word, STORE_TIER_NAME_MAX);
}

static void explain_url(const struct fault *fault, const char *url)
{
	const char *form = NULL, *scheme = strstr(url, "://");

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (!strncmp(url, schemes[i].scheme, strlen(schemes[i].scheme)))
			form = schemes[i].form;
	if (form)
		snprintf(fault->why, fault->cap,
			"'%.*s': something in the URL is missing or too much; write %s", fault->len,
			fault->word, form);
	else if (*url == '/')
		snprintf(fault->why, fault->cap,
			"'%.*s': a folder is written with file:// before its path; write '%.*sfile://%.*s'",
			fault->len, fault->word, (int)(url - fault->word), fault->word,
			fault->len - (int)(url - fault->word), url);
	else if (scheme && scheme < fault->word + fault->len)
		snprintf(fault->why, fault->cap,
			"'%.*s': no places are known that begin with %.*s://; give %s", fault->len,
			fault->word, (int)(scheme - url), url, known);
	else
		snprintf(fault->why, fault->cap,
			"'%.*s': what is behind the = does not begin as places do; give %s",
			fault->len, fault->word, known);
}

/* False: there is nothing wrong with it. */
static bool explain_word(const struct fault *fault, const char *value, size_t len)
{
	size_t name = strcspn(fault->word, "= ");
	struct tier_place place;

	if (has_comma(fault->word, len))
		snprintf(fault->why, fault->cap,
			"'%.*s': places are separated by spaces, not by commas; put a space in place of the comma",
			fault->len, fault->word);
	else if (name == len)
		snprintf(fault->why, fault->cap,
			"'%.*s' has no =, before which is the name of a place; give NAME=%s",
			fault->len, fault->word, known);
	else if (tier_name_twice(value, fault->word))
		snprintf(fault->why, fault->cap,
			"'%.*s': a place before it is called %.*s too; give each another name",
			fault->len, fault->word, (int)name, fault->word);
	else if (tier_place_parse(fault->word, len, &place) == 0)
		return false;
	else if (!tier_name_is(fault->word, name))
		explain_name(fault, name);
	else
		explain_url(fault, fault->word + name + 1);
	return true;
}

int tier_places_explain(const char *value, char *why, size_t cap)
{
	size_t len;

	for (const char *word = value; *(word += strspn(word, " ")); word += len) {
		len = strcspn(word, " ");
		struct fault fault = { word, (int)(len < SHOWN ? len : SHOWN), why, cap };
		if (explain_word(&fault, value, len))
			return -EINVAL;
	}
	return 0;
}
