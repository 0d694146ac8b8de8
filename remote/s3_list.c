/*
 * The list of a bucket, page by page.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "s3.h"

struct listing {
	struct s3 *s3;
	int (*each)(void *arg, const struct remote_entry *entry);
	void *arg;
	char last[ANSWER_TEXT_MAX]; /* key that was reported: where the next page begins */
	char seen
		[ANSWER_TEXT_MAX]; /* the last of this attempt, which may begin with some that were reported */
	unsigned attempt;
	uint64_t reported;
	const struct s3_call *call;
	struct remote_why *why;
};

static int list_one(void *arg, const struct answer_entry *entry)
{
	struct listing *listing = arg;
	size_t prefix = strlen(listing->s3->remote.prefix);
	struct remote_entry out = { entry->key + prefix, entry->size };

	if (listing->attempt != listing->call->made)
		listing->seen[0] = '\0';
	listing->attempt = listing->call->made;
	if (strncmp(entry->key, listing->s3->remote.prefix, prefix) != 0 ||
		strcmp(entry->key, listing->seen) <= 0)
		return explain(listing->why, -EPROTO, NULL,
			"the store lists what it was not asked for, or not in order");
	strcpy(listing->seen, entry->key);
	if (strcmp(entry->key, listing->last) <= 0)
		return 0;
	strcpy(listing->last, entry->key);
	listing->reported++;
	return listing->each(listing->arg, &out);
}

static int list_page(struct listing *listing, const char *start, bool *more)
{
	struct s3_call call = { .method = "GET" };
	struct text query = { 0 };
	uint64_t before = listing->reported;
	int rc;

	text_add(&query, "list-type=2&max-keys=1000&prefix=");
	text_add_encoded(&query, start, 0);
	if (listing->last[0]) {
		text_add(&query, "&start-after=");
		text_add_encoded(&query, listing->last, 0);
	}
	call.query = query.chars;
	call.answer.each = list_one;
	call.answer.arg = listing;
	listing->call = &call;
	listing->attempt = 0;
	rc = query.rc ? query.rc : s3_perform(listing->s3, &call, listing->why);
	text_free(&query);
	*more = call.answer.truncated && listing->reported > before;
	return rc;
}

int s3_list(struct s3 *s3, const char *start, const char *after,
	int (*each)(void *arg, const struct remote_entry *entry), void *arg, struct remote_why *why)
{
	struct listing *listing = anyio_calloc(1, sizeof(*listing));
	bool more = true;
	int rc = 0;

	if (!listing)
		return -ENOMEM;
	*listing = (struct listing){ .s3 = s3, .each = each, .arg = arg, .why = why };
	if (after)
		snprintf(listing->last, sizeof(listing->last), "%s", after);
	while (!rc && more)
		rc = list_page(listing, start, &more);
	anyio_free(listing);
	return rc;
}
