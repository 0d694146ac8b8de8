#include "options.h"

#include <errno.h>
#include <kit/call.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, NUMBER, COUNT /* not below 0 */, TEXT, TIME, DURABILITY };

#define NEVER "" /* as the only value: refused whenever it is given one */

/* Not here: what only says how the command line prints an answer (quiet, human), how it walks a disk
 * (recursive, hidden), or concerns what no node of ours does yet (fast-provide-root). */
static const struct option {
	const char *command; /* "": any */
	const char *name, *alias;
	enum kind kind;
	const char
		*only; /* the value that is done here; NULL: all are, or none changes the answer */
} options[] = {
	{ "", "cid-base", NULL, TEXT, NEVER },
	{ "", "durability", NULL, DURABILITY, NULL }, /* ours */
	{ "", "encoding", "enc", TEXT, "json" },
	{ "", "local", "L", FLAG, NULL },
	{ "", "offline", NULL, FLAG, NULL },
	{ "", "stream-channels", NULL, FLAG, NULL },
	{ "", "timeout", NULL, TIME, NULL },
	{ "", "upgrade-cidv0-in-output", NULL, FLAG, "false" },
	{ "add", "chunker", "s", TEXT, NULL },
	{ "add", "cid-version", NULL, NUMBER, NULL },
	{ "add", "empty-dirs", "E", FLAG, "true" },
	{ "add", "fscache", NULL, FLAG, "false" },
	{ "add", "hash", NULL, TEXT, "sha2-256" },
	{ "add", "inline", NULL, FLAG, "false" },
	{ "add", "max-directory-links", NULL, NUMBER, "0" },
	{ "add", "max-file-links", NULL, NUMBER, NEVER },
	{ "add", "max-hamt-fanout", NULL, NUMBER, "256" },
	{ "add", "mode", NULL, TEXT, NEVER },
	{ "add", "mtime", NULL, TEXT, NEVER },
	{ "add", "mtime-nsecs", NULL, TEXT, NEVER },
	{ "add", "nocopy", NULL, FLAG, "false" },
	{ "add", "only-hash", "n", FLAG, NULL },
	{ "add", "pin", NULL, FLAG, NULL },
	{ "add", "pin-name", NULL, TEXT, NULL },
	{ "add", "preserve-mode", NULL, FLAG, "false" },
	{ "add", "preserve-mtime", NULL, FLAG, "false" },
	{ "add", "progress", "p", FLAG, NULL },
	{ "add", "raw-leaves", NULL, FLAG, NULL },
	{ "add", "to-files", NULL, TEXT, NEVER },
	{ "add", "trickle", "t", FLAG, "false" },
	{ "add", "wrap-with-directory", "w", FLAG, NULL },
	{ "bitswap/wantlist", "peer", "p", TEXT, NEVER },
	{ "block/put", "allow-big-block", NULL, FLAG, "false" },
	{ "block/put", "format", "f", TEXT, NULL },
	{ "block/put", "mhlen", NULL, NUMBER, "-1" },
	{ "block/put", "pin", NULL, FLAG, NULL },
	{ "cat", "length", "l", COUNT, NULL },
	{ "cat", "offset", "o", COUNT, NULL },
	{ "config", "bool", NULL, FLAG, "false" },
	{ "config", "expand-auto", NULL, FLAG, "false" },
	{ "config", "json", NULL, FLAG, "false" },
	{ "dag/export", "local-only", NULL, FLAG, "false" },
	{ "dag/import", "allow-big-block", NULL, FLAG, "false" },
	{ "dag/import", "local-only", NULL, FLAG, "false" },
	{ "dag/import", "pin-roots", NULL, FLAG, NULL },
	{ "dag/import", "stats", NULL, FLAG, NULL },
	{ "dag/put", "allow-big-block", NULL, FLAG, "false" },
	{ "dag/put", "pin", NULL, FLAG, NULL },
	{ "files/stat", "with-local", NULL, FLAG, "false" },
	{ "get", "compress", "C", FLAG, "false" },
	{ "heat/top", "count", NULL, COUNT, NULL },
	{ "id", "peerid-base", NULL, TEXT, "b58mh" },
	{ "ls", "resolve-type", NULL, FLAG, NULL },
	{ "ls", "stream", "s", FLAG, "false" },
	{ "pin/add", "meta", NULL, TEXT, NULL },
	{ "pin/add", "name", "n", TEXT, NULL },
	{ "pin/add", "recursive", "r", FLAG, NULL },
	{ "pin/ls", "name", "n", TEXT, NULL },
	{ "pin/ls", "names", NULL, FLAG, NULL },
	{ "pin/ls", "stream", "s", FLAG, NULL },
	{ "pin/ls", "type", "t", TEXT, NULL },
	{ "pin/rm", "recursive", "r", FLAG, "true" },
	{ "pin/update", "unpin", NULL, FLAG, NULL },
	{ "ping", "count", "n", NUMBER, NULL },
	{ "repo/gc", "progress", NULL, FLAG, NULL },
	{ "repo/gc", "quiet", "q", FLAG, NULL },
	{ "repo/gc", "silent", NULL, FLAG, NULL },
	{ "repo/gc", "stream-errors", NULL, FLAG, NULL },
	{ "repo/gc", "summary", NULL, FLAG, NULL },
	{ "repo/stat", "size-only", NULL, FLAG, NULL },
	{ "repo/verify", "drop", NULL, FLAG, "false" },
	{ "repo/verify", "heal", NULL, FLAG, NULL },
	{ "repo/verify", "heal-timeout", NULL, TIME, NULL },
	{ "repo/verify", "tiers", NULL, FLAG, NULL },
	{ "swarm/peers", "direction", NULL, FLAG, NULL },
	{ "swarm/peers", "identify", NULL, FLAG, "false" },
	{ "swarm/peers", "latency", NULL, FLAG, NULL },
	{ "swarm/peers", "streams", NULL, FLAG, "false" },
	{ "swarm/peers", "verbose", "v", FLAG, NULL },
	{ "tier/move", "progress", NULL, FLAG, NULL },
	{ "wal/export", "no-verify", NULL, FLAG, NULL },
	{ "wal/list", "offset", NULL, COUNT, NULL },
	{ "wal/list", "pending", NULL, FLAG, NULL },
	{ "wal/list", "records", NULL, FLAG, NULL },
	{ "wal/list", "segment", NULL, COUNT, NULL },
	{ "wal/verify", "all", NULL, FLAG, NULL },
	{ "wal/verify", "progress", NULL, FLAG, NULL },
};

static const struct option *find(const char *command, const char *name)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		const struct option *option = &options[i];
		if ((!*option->command || !strcmp(option->command, command)) &&
			(!strcmp(option->name, name) ||
				(option->alias && !strcmp(option->alias, name))))
			return option;
	}
	return NULL;
}

/* ---- Values ---- */

/* A flag's value in our words; NULL for what is none. */
static char *flag(const char *value)
{
	static char yes_text[] = "true", no_text[] = "false";
	bool truth;

	if (kit_truth_parse(value, &truth))
		return NULL;
	return truth ? yes_text : no_text;
}

static bool is_number(const char *text, bool negative)
{
	char *end;

	if (*text == ' ' || (*text == '-' && !negative))
		return false;
	errno = 0;
	strtoll(text, &end, 10);
	return *text && !*end && errno == 0;
}

/* What is wrong with a value, or NULL. */
static const char *wrong(const struct option *option, struct http_param *param)
{
	anyio_time time = 0;

	switch (option->kind) {
	case FLAG:
		if (flag(param->value)) {
			param->value = flag(param->value);
			return NULL;
		}
		return "true or false";
	case NUMBER: return is_number(param->value, true) ? NULL : "a number";
	case COUNT: return is_number(param->value, false) ? NULL : "a number from 0 on";
	case TIME:
		return kit_time_parse(param->value, &time) ? "a time such as 10s, 1m30s or 500ms"
							   : NULL;
	case DURABILITY:
		return kit_durability_parse(param->value, &time)
			? "durable, batched, batched:TIME or none"
			: NULL;
	case TEXT: break;
	}
	return NULL;
}

/* ---- Requests ---- */

static int malformed(struct rpc_request *request, const char *name, const char *what)
{
	char text[300];

	snprintf(text, sizeof(text), "%.80s: the option %s %s\n", request->command, name, what);
	return http_reply(request->http, 400, "text/plain", text);
}

static int not_done(
	struct rpc_request *request, const struct option *option, const struct http_param *param)
{
	char text[300];

	snprintf(text, sizeof(text), "%.80s: the option %s=%.80s is not done here%s%s%s%s",
		request->command, option->name, param->value, *option->only ? "; only " : "",
		*option->only ? option->name : "", *option->only ? "=" : "", option->only);
	return rpc_fail_text(request, -ENOTSUP, text);
}

static bool given_before(const struct http_connection *http, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (!strcmp(http->params[i].name, http->params[at].name))
			return true;
	return false;
}

bool options_check(struct rpc_request *request, int *rc)
{
	struct http_connection *http = request->http;
	char what[120];

	for (size_t i = 0; i < http->param_count; i++) {
		struct http_param *param = &http->params[i];
		const struct option *option = find(request->command, param->name);
		if (!option)
			continue;
		param->name = (char *)option->name;
		const char *wanted = wrong(option, param);
		if (wanted)
			snprintf(what, sizeof(what), "is %s, not '%.40s'", wanted, param->value);
		if (wanted || given_before(http, i)) {
			*rc = malformed(
				request, option->name, wanted ? what : "was given more than once");
			return false;
		}
		if (option->only && *param->value && strcmp(option->only, param->value)) {
			*rc = not_done(request, option, param);
			return false;
		}
	}
	return true;
}
