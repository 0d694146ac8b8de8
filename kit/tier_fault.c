/* What is wrong with tier.places, told to who sets it. */
#include "tiering.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN = 100 }; /* of a word */

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

int tier_places_explain(const char *value, char *why, size_t cap)
{
	size_t len;

	for (const char *word = value; *(word += strspn(word, " ")); word += len) {
		len = strcspn(word, " ");
		if (!has_comma(word, len))
			continue;
		snprintf(why, cap,
			"'%.*s': places are separated by spaces, not by commas; put a space in place of the comma",
			(int)(len < SHOWN ? len : SHOWN), word);
		return -EINVAL;
	}
	return 0;
}
