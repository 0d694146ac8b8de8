/* A problem that a verification found, in JSON. */
#include <kit/problem.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "call.h"

/* NULL is a value for which there was no memory, and then there is none of the whole. */
static void put(json_t **whole, const char *key, json_t *value)
{
	if (!*whole)
		json_decref(value);
	else if (json_object_set_new(*whole, key, value)) {
		json_decref(*whole);
		*whole = NULL;
	}
}

static json_t *sentence(const struct kit_problem *problem)
{
	size_t size = MF_CID_TEXT_MAX + 3 + strlen(problem->text);
	char name[MF_CID_TEXT_MAX] = "", *line = malloc(size);

	if (!line)
		return NULL;
	if (problem->cid)
		mf_cid_format(problem->cid, name, sizeof(name));
	snprintf(line, size, "%s%s%s", name, *name ? ": " : "", problem->text);
	json_t *value = call_text(line);
	free(line);
	return value;
}

json_t *kit_problem_json(const struct kit_problem *problem)
{
	json_t *whole = json_object();

	put(&whole, "Msg", sentence(problem));
	put(&whole, "Progress", json_integer(0));
	put(&whole, "Kind", json_string(problem->kind));
	if (problem->cid)
		put(&whole, "Cid", call_cid(problem->cid));
	if (problem->file)
		put(&whole, "File", json_string(problem->file));
	if (problem->to) {
		put(&whole, "Offset", json_integer((json_int_t)problem->from));
		put(&whole, "End", json_integer((json_int_t)problem->to));
	}
	if (problem->blocks)
		put(&whole, "Blocks", json_integer((json_int_t)problem->blocks));
	if (problem->missing)
		put(&whole, "Missing", call_cid(problem->missing));
	if (problem->tier)
		put(&whole, "Tier", json_string(problem->tier));
	if (problem->object)
		put(&whole, "Object", json_string(problem->object));
	if (problem->given_up)
		put(&whole, "GivenUp", json_true());
	return whole;
}
