/* Commands by name: the table, and those about content. The others are in call_node.c. */
#include "call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Short enough for KIT_ROOM_SMALL: whoever limits memory lets such pieces pass without waiting, so they
 * may be given while blocks are held. */
enum { PIECE_SIZE = KIT_ROOM_SMALL / 2 };

static int give(struct call *call)
{
	size_t len = call->text_len;

	call->text_len = 0;
	return len ? call->from->answer(call->from->arg, call->text, len) : 0;
}

/* Makes room for some of len bytes: for how many, or a negative code. */
static ssize_t make_place(struct call *call, size_t len)
{
	int rc = call->from->pieces && call->text_len == PIECE_SIZE ? give(call) : 0;

	if (!rc && call->text_len == call->text_size) {
		size_t size = call->text_size ? call->text_size * 2 : PIECE_SIZE;
		char *bigger = anyio_realloc(call->text, size);
		if (!bigger)
			return kit_fail_code(call->node, -ENOMEM, call->from->command);
		call->text = bigger;
		call->text_size = size;
	}
	if (rc)
		return rc;
	size_t place = call->text_size - call->text_len;
	return (ssize_t)(place < len ? place : len);
}

int call_write(struct call *call, const char *text)
{
	size_t len = strlen(text);

	while (len) {
		ssize_t n = make_place(call, len);
		if (n < 0)
			return (int)n;
		memcpy(call->text + call->text_len, text, (size_t)n);
		call->text_len += (size_t)n;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The text of a value, which is taken; NULL when memory is short. Whoever takes the text may take long:
 * the larger half of the memory goes first. */
static char *text_of(struct call *call, json_t *value)
{
	char *text = value
		? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | kit_json_digits(value))
		: NULL;

	json_decref(value);
	if (!text)
		kit_fail_code(call->node, -ENOMEM, call->from->command);
	return text;
}

int call_write_json(struct call *call, json_t *value)
{
	char *text = text_of(call, value);
	int rc = text ? call_write(call, text) : -ENOMEM;

	free(text);
	return rc;
}

static int end_answer(struct call *call)
{
	return call->from->pieces ? call->from->answer(call->from->arg, "", 0) : 0;
}

int call_write_end(struct call *call)
{
	int rc = give(call);

	return rc ? rc : end_answer(call);
}

int call_answer(struct call *call, json_t *value)
{
	char *text = text_of(call, value);
	int rc = text ? call->from->answer(call->from->arg, text, strlen(text)) : -ENOMEM;

	free(text);
	return rc ? rc : end_answer(call);
}

const char *call_option(const struct call *call, const char *name)
{
	for (const struct kit_call_option *o = call->from->options; o && o->name; o++)
		if (!strcmp(o->name, name))
			return o->value;
	return NULL;
}

int call_flag(const struct call *call, const char *name, bool *flag)
{
	const char *value = call_option(call, name);

	if (!value || !kit_truth_parse(value, flag))
		return 0;
	return kit_fail(call->node, -EINVAL, "%s: the option %s is true or false, not '%s'",
		call->from->command, name, value);
}

int call_number(const struct call *call, const char *name, uint64_t most, uint64_t *number)
{
	const char *text = call_option(call, name);

	if (!text || !*text || (kit_number_parse(text, number) == 0 && *number <= most))
		return 0;
	return most == UINT64_MAX
		? kit_fail(call->node, -EINVAL, "%s cannot be '%.40s'", name, text)
		: kit_fail(call->node, -EINVAL,
			  "%s cannot be '%.40s'; give a number from 0 to %llu", name, text,
			  (unsigned long long)most);
}

json_t *call_cid(const struct mf_cid *cid)
{
	char text[MF_CID_TEXT_MAX];

	return mf_cid_format(cid, text, sizeof(text)) < 0 ? NULL : json_string(text);
}

json_t *call_text(const char *bytes)
{
	char *text = kit_json_text(bytes);
	json_t *value = text ? json_string(text) : NULL;

	free(text);
	return value;
}

/* ---- ls, stat, resolve, block/stat ---- */

struct ls {
	struct call *call;
	bool begun; /* this object's links */
};

static int ls_entry(void *arg, const struct kit_entry *entry)
{
	struct ls *ls = arg;
	static const int types[] = {
		[KIT_FILE] = 2, [KIT_DIRECTORY] = 1, [KIT_SYMLINK] = 4, [KIT_OTHER] = 0
	};
	json_t *link = json_pack("{s:o, s:o, s:I, s:i, s:o}", "Name", call_text(entry->name),
		"Hash", call_cid(&entry->cid), "Size", (json_int_t)entry->size, "Type",
		types[entry->kind], "Target", call_text(entry->target ? entry->target : ""));

	int rc = ls->begun ? call_write(ls->call, ",") : 0;
	ls->begun = true;
	if (!rc)
		return call_write_json(ls->call, link);
	json_decref(link);
	return rc;
}

static int ls_object(struct call *call, const char *path, bool resolve_type)
{
	struct ls ls = { .call = call };
	int rc = call_write(call, "{\"Hash\":");

	if (!rc)
		rc = call_write_json(call, call_text(path));
	if (!rc)
		rc = call_write(call, ",\"Links\":[");
	if (!rc)
		rc = kit_ls(call->node, path, resolve_type, ls_entry, &ls);
	return rc ? rc : call_write(call, "]}");
}

static int call_ls(struct call *call)
{
	bool resolve_type = true;
	int rc = call_flag(call, "resolve-type", &resolve_type);

	if (!rc)
		rc = call_write(call, "{\"Objects\":[");
	for (size_t i = 0; !rc && i < call->count; i++) {
		rc = i ? call_write(call, ",") : 0;
		if (!rc)
			rc = ls_object(call, call->from->args[i], resolve_type);
	}
	if (!rc)
		rc = call_write(call, "]}");
	return rc ? rc : call_write_end(call);
}

struct target {
	char text[4097]; /* a path that a system takes is no longer */
	size_t len;
};

static int take_target(void *arg, const void *data, size_t len)
{
	struct target *target = arg;
	size_t room = sizeof(target->text) - 1 - target->len;

	len = len < room ? len : room;
	memcpy(target->text + target->len, data, len);
	target->len += len;
	return 0;
}

static int call_stat(struct call *call)
{
	static const char *const kinds[] = { "file", "directory", "symlink", "block" };
	struct target target = { .len = 0 };
	struct kit_sink sink = { take_target, &target };
	struct kit_stat stat;
	int rc = kit_stat_path(call->node, call->from->args[0], &stat);

	if (!rc && stat.kind == KIT_SYMLINK)
		rc = kit_cat(call->node, call->from->args[0], 0, sizeof(target.text) - 1, &sink);
	if (rc)
		return rc;
	target.text[target.len] = 0;
	json_t *answer = json_pack("{s:o, s:I, s:I, s:I, s:s}", "Hash", call_cid(&stat.cid), "Size",
		(json_int_t)stat.size, "CumulativeSize", (json_int_t)stat.cumulative_size, "Blocks",
		(json_int_t)stat.blocks, "Type", kinds[stat.kind]);
	if (answer && stat.kind == KIT_SYMLINK)
		json_object_set_new(answer, "Target", call_text(target.text));
	if (answer && stat.has_mode)
		json_object_set_new(answer, "Mode", json_integer(stat.mode));
	if (answer && stat.has_mtime)
		json_object_set_new(answer, "Mtime", json_integer(stat.mtime));
	return call_answer(call, answer);
}

static int call_resolve(struct call *call)
{
	char path[MF_CID_TEXT_MAX + 8] = "/ipfs/";
	struct mf_cid cid;
	int rc = kit_resolve(call->node, call->from->args[0], &cid);

	if (rc)
		return rc;
	mf_cid_format(&cid, path + 6, sizeof(path) - 6);
	return call_answer(call, json_pack("{s:s}", "Path", path));
}

static int call_block_stat(struct call *call)
{
	struct mf_cid cid;
	size_t len;
	int rc = kit_block_stat(call->node, call->from->args[0], &cid, &len);

	return rc
		? rc
		: call_answer(call,
			  json_pack("{s:o, s:I}", "Key", call_cid(&cid), "Size", (json_int_t)len));
}

/* ---- The table ---- */

#define ANY SIZE_MAX /* one after the other */

static const struct {
	const char *name;
	size_t min_args, max_args;
	int (*run)(struct call *call);
} commands[] = {
	{ "bitswap/wantlist", 0, 0, call_bitswap_wantlist },
	{ "block/stat", 1, 1, call_block_stat },
	{ "config", 1, 2, call_config },
	{ "config/show", 0, 0, call_config_show },
	{ "files/stat", 1, 1, call_stat },
	{ "heat/top", 0, 0, call_heat_top },
	{ "id", 0, 1, call_id },
	{ "ls", 1, ANY, call_ls },
	{ "metrics", 0, 0, call_metrics },
	{ "pin/add", 1, ANY, call_pin_add },
	{ "pin/ls", 0, ANY, call_pin_ls },
	{ "pin/rm", 1, ANY, call_pin_rm },
	{ "pin/update", 2, 2, call_pin_update },
	{ "ping", 1, 1, call_ping },
	{ "repo/gc", 0, 0, call_repo_gc },
	{ "repo/stat", 0, 0, call_repo_stat },
	{ "repo/verify", 0, 0, call_repo_verify },
	{ "repo/version", 0, 0, call_repo_version },
	{ "resolve", 1, 1, call_resolve },
	{ "stat", 1, 1, call_stat },
	{ "swarm/addrs/local", 0, 0, call_swarm_addrs_local },
	{ "swarm/connect", 1, ANY, call_swarm_connect },
	{ "swarm/disconnect", 1, ANY, call_swarm_disconnect },
	{ "swarm/peers", 0, 0, call_swarm_peers },
	{ "tier/list", 0, 0, call_tier_list },
	{ "tier/move", 2, 2, call_tier_move },
	{ "tier/policy", 0, 0, call_tier_policy },
	{ "tier/stat", 0, 0, call_tier_stat },
	{ "version", 0, 0, call_version },
	{ "wal/checkpoint", 0, 0, call_wal_checkpoint },
	{ "wal/list", 0, 0, call_wal_list },
	{ "wal/status", 0, 0, call_wal_status },
	{ "wal/verify", 0, 0, call_wal_verify },
};
enum { COMMANDS = sizeof(commands) / sizeof(*commands) };

int kit_call_run(struct kit_node *node, const struct kit_call *from)
{
	struct call call = { .node = node, .from = from };

	node->error[0] = 0;
	while (from->args && from->args[call.count])
		call.count++;
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, from->command))
			continue;
		if (call.count < commands[i].min_args)
			return kit_fail(node, -EINVAL, "%s: an argument is missing", from->command);
		if (call.count > commands[i].max_args)
			return kit_fail(node, -EINVAL,
				"%s: too many arguments; at most %zu are taken", from->command,
				commands[i].max_args);
		int rc = commands[i].run(&call);
		anyio_free(call.text);
		return rc;
	}
	return kit_fail(node, -ENOSYS, "no command is called '%s'", from->command);
}
