/* A problem that a verification found, in JSON. */
#include <kit/problem.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "call.h"

static json_t *cid_of(const struct mf_cid *cid)
{
	return cid ? call_cid(cid) : NULL;
}

json_t *kit_problem_json(const struct kit_problem *problem)
{
	size_t size = MF_CID_TEXT_MAX + 3 + strlen(problem->text);
	char name[MF_CID_TEXT_MAX] = "", *line = malloc(size);

	if (!line)
		return NULL;
	if (problem->cid)
		mf_cid_format(problem->cid, name, sizeof(name));
	snprintf(line, size, "%s%s%s", name, *name ? ": " : "", problem->text);
	json_t *value =
		json_pack("{s:o, s:i, s:s, s:o*, s:s*, s:o*, s:o*, s:o*, s:o*, s:s*, s:s*, s:o*}",
			"Msg", call_text(line), "Progress", 0, "Kind", problem->kind, "Cid",
			cid_of(problem->cid), "File", problem->file, "Offset",
			problem->to ? json_integer((json_int_t)problem->from) : NULL, "End",
			problem->to ? json_integer((json_int_t)problem->to) : NULL, "Blocks",
			problem->blocks ? json_integer((json_int_t)problem->blocks) : NULL,
			"Missing", cid_of(problem->missing), "Tier", problem->tier, "Object",
			problem->object, "GivenUp", problem->given_up ? json_true() : NULL);
	free(line);
	return value;
}
