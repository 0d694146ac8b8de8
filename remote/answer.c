#include "answer.h"

#include <anyio/memory.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"

struct answer_state {
	XML_Parser parser;
	char names[ANSWER_DEPTH_MAX][ANSWER_NAME_MAX]; /* of the elements we are in */
	unsigned depth;
	char text[ANSWER_TEXT_MAX]; /* of the innermost, so far */
	size_t text_len, fed;
	size_t quiet; /* bytes fed since the parser last said something */
	struct answer_entry entry;
	int rc;
};

static void stop(struct answer *answer, int rc)
{
	if (!answer->state->rc)
		answer->state->rc = rc;
	expat.stop(answer->state->parser, XML_FALSE);
}

/* The name without its namespace's prefix. */
static const char *local_name(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon ? colon + 1 : name;
}

static void on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct answer *answer = arg;
	struct answer_state *state = answer->state;

	state->quiet = 0;
	if (state->rc) /* the parser may say some more after it was stopped */
		return;
	if (state->depth == ANSWER_DEPTH_MAX) {
		stop(answer, -EPROTO);
		return;
	}
	name = local_name(name);
	snprintf(state->names[state->depth], ANSWER_NAME_MAX, "%s", name);
	if (state->depth == 0)
		answer->is_error = !strcmp(name, "Error");
	if (state->depth == 1) {
		state->entry.key[0] = state->entry.upload[0] = '\0';
		state->entry.size = 0;
	}
	state->depth++;
	state->text_len = 0;
}

static void on_text(void *arg, const XML_Char *text, int len)
{
	struct answer *answer = arg;
	struct answer_state *state = answer->state;

	state->quiet = 0;
	if (state->rc)
		return;
	if (state->text_len + (size_t)len >= sizeof(state->text)) {
		stop(answer, -EPROTO);
		return;
	}
	memcpy(state->text + state->text_len, text, (size_t)len);
	state->text_len += (size_t)len;
}

static void on_doctype(void *arg, const XML_Char *name, const XML_Char *system,
	const XML_Char *public, int has_subset)
{
	stop(arg, -EPROTO);
}

/* ---- values ---- */

static int parse_size(const char *text, uint64_t *size)
{
	char *end;

	errno = 0;
	*size = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno && *size <= INT64_MAX ? 0 : -EPROTO;
}

/* Keeps the beginning: these are for people, or shorter than this by far. */
static void keep(char *out, size_t cap, const char *text)
{
	snprintf(out, cap, "%.*s", (int)cap - 1, text);
}

static int end_entry(struct answer *answer)
{
	struct answer_state *state = answer->state;

	if (!state->entry.key[0])
		return -EPROTO;
	return answer->each ? answer->each(answer->arg, &state->entry) : 0;
}

static int end_in_entry(struct answer_state *state, const char *name)
{
	if (!strcmp(name, "Key"))
		keep(state->entry.key, sizeof(state->entry.key), state->text);
	else if (!strcmp(name, "UploadId"))
		keep(state->entry.upload, sizeof(state->entry.upload), state->text);
	else if (!strcmp(name, "Size"))
		return parse_size(state->text, &state->entry.size);
	return 0;
}

static int end_in_root(struct answer *answer, const char *name)
{
	struct answer_state *state = answer->state;
	const struct {
		const char *name;
		char *out;
		size_t cap;
	} values[] = { { "Code", answer->code, sizeof(answer->code) },
		{ "Message", answer->message, sizeof(answer->message) },
		{ "Region", answer->region, sizeof(answer->region) },
		{ "Endpoint", answer->endpoint, sizeof(answer->endpoint) },
		{ "UploadId", answer->upload, sizeof(answer->upload) },
		{ "ETag", answer->etag, sizeof(answer->etag) } };

	if (!strcmp(name, "Contents") || !strcmp(name, "Upload"))
		return end_entry(answer);
	if (!strcmp(name, "IsTruncated"))
		answer->truncated = !strcmp(state->text, "true");
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		if (!strcmp(name, values[i].name))
			keep(values[i].out, values[i].cap, state->text);
	return 0;
}

static void on_end(void *arg, const XML_Char *unused)
{
	struct answer *answer = arg;
	struct answer_state *state = answer->state;
	const char *name;
	int rc = 0;

	state->quiet = 0;
	if (state->rc)
		return;
	name = state->names[--state->depth];
	state->text[state->text_len] = '\0';
	if (state->depth == 1)
		rc = end_in_root(answer, name);
	else if (state->depth == 2 &&
		(!strcmp(state->names[1], "Contents") || !strcmp(state->names[1], "Upload")))
		rc = end_in_entry(state, name);
	state->text_len = 0;
	if (rc)
		stop(answer, rc);
}

/* ---- life ---- */

int answer_begin(struct answer *answer)
{
	static const XML_Memory_Handling_Suite memory = { anyio_malloc, anyio_realloc, anyio_free };
	struct answer fresh = { .each = answer->each, .arg = answer->arg };

	*answer = fresh;
	answer->state = anyio_calloc(1, sizeof(*answer->state));
	if (!answer->state)
		return -ENOMEM;
	answer->state->parser = expat.create(NULL, &memory, NULL);
	if (!answer->state->parser) {
		answer_end(answer);
		return -ENOMEM;
	}
	expat.set_user_data(answer->state->parser, answer);
	expat.set_elements(answer->state->parser, on_start, on_end);
	expat.set_characters(answer->state->parser, on_text);
	expat.set_doctype(answer->state->parser, on_doctype);
	return 0;
}

static int feed(struct answer *answer, const void *data, size_t len, int is_last)
{
	struct answer_state *state = answer->state;

	if (state->rc)
		return state->rc;
	if (expat.parse(state->parser, data, (int)len, is_last) != XML_STATUS_OK && !state->rc)
		state->rc = -EPROTO;
	return state->rc;
}

int answer_feed(struct answer *answer, const void *data, size_t len)
{
	struct answer_state *state = answer->state;
	int rc;

	if (len > ANSWER_SIZE_MAX - state->fed)
		return state->rc = -EPROTO;
	state->fed += len;
	state->quiet += len;
	rc = len ? feed(answer, data, len, 0) : 0;
	if (!rc && state->quiet > ANSWER_TOKEN_MAX)
		rc = state->rc = -EPROTO;
	return rc;
}

int answer_finish(struct answer *answer)
{
	return answer->state->fed ? feed(answer, "", 0, 1) : 0;
}

void answer_end(struct answer *answer)
{
	if (answer->state && answer->state->parser)
		expat.free(answer->state->parser);
	anyio_free(answer->state);
	answer->state = NULL;
}
