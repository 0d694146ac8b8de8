/* Commands by name about the node: identity, peers, repo, config. */
#include <kit/problem.h>
#include "call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *strings(char **list)
{
	json_t *array = json_array();

	for (char **text = list; array && text && *text; text++)
		json_array_append_new(array, json_string(*text));
	return array;
}

int call_id(struct call *call)
{
	char **addresses = NULL, **protocols = NULL;
	int rc;

	if (call->count && strcmp(call->from->args[0], kit_peer_id(call->node)))
		return kit_fail(call->node, -ENOTSUP, "id tells about this node only");
	rc = kit_addresses(call->node, &addresses);
	if (!rc)
		rc = kit_protocols(call->node, &protocols);
	if (!rc)
		rc = call_answer(call,
			json_pack("{s:s, s:s, s:o, s:s, s:o}", "ID", kit_peer_id(call->node),
				"PublicKey", kit_public_key_base64(call->node), "Addresses",
				strings(addresses), "AgentVersion", kit_agent(), "Protocols",
				strings(protocols)));
	kit_strings_free(addresses);
	kit_strings_free(protocols);
	return rc;
}

int call_version(struct call *call)
{
	char repo[16];

	snprintf(repo, sizeof(repo), "%d", STORE_VERSION);
	return call_answer(call,
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "Version", kit_version(), "Commit", "",
			"Repo", repo, "System",
#ifdef __x86_64__
			"amd64/linux",
#else
			"arm64/linux",
#endif
			"Golang", ""));
}

/* ---- Peers ---- */

static int each_string(
	struct call *call, const char *verb, int (*one)(struct kit_node *node, const char *address))
{
	json_t *done = json_array();
	int rc = done ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < call->count; i++) {
		const char *address = call->from->args[i], *id = strrchr(address, '/');
		char text[160];
		rc = one(call->node, address);
		snprintf(text, sizeof(text), "%s %.100s success", verb, id ? id + 1 : address);
		if (!rc && json_array_append_new(done, json_string(text)))
			rc = -ENOMEM;
	}
	if (rc) {
		json_decref(done);
		return rc;
	}
	return call_answer(call, json_pack("{s:o}", "Strings", done));
}

int call_swarm_connect(struct call *call)
{
	return each_string(call, "connect", kit_connect);
}

int call_swarm_disconnect(struct call *call)
{
	return each_string(call, "disconnect", kit_disconnect);
}

struct peer_list {
	json_t *peers;
	bool verbose, latency, direction; /* what was asked for */
};

static int list_peer(void *arg, const struct kit_peer *peer)
{
	const struct peer_list *list = arg;
	char latency[32] = "n/a";
	int rc = 0;

	if (peer->latency >= 0)
		snprintf(latency, sizeof(latency), "%.3fms", (double)peer->latency / 1e6);
	json_t *entry = json_pack("{s:s, s:s, s:s, s:n}", "Addr", peer->address, "Peer", peer->id,
		"Muxer", "/yamux/1.0.0", "Streams");
	if (list->verbose || list->latency)
		rc |= json_object_set_new(entry, "Latency", json_string(latency));
	if (list->verbose || list->direction)
		rc |= json_object_set_new(entry, "Direction", json_integer(peer->inbound ? 1 : 2));
	rc |= json_array_append_new(list->peers, entry);
	return rc ? -ENOMEM : 0;
}

int call_swarm_peers(struct call *call)
{
	struct peer_list list = { .peers = json_array() };
	int rc = list.peers ? call_flag(call, "verbose", &list.verbose) : -ENOMEM;

	if (!rc)
		rc = call_flag(call, "latency", &list.latency);
	if (!rc)
		rc = call_flag(call, "direction", &list.direction);
	if (!rc)
		rc = kit_peers(call->node, list_peer, &list);
	if (rc) {
		json_decref(list.peers);
		return rc;
	}
	return call_answer(call, json_pack("{s:o}", "Peers", list.peers));
}

struct wantlist {
	struct store *store;
	json_t *keys, *offers, *damaged;
};

static int list_missing(void *arg, const struct bitswap_missing *missing)
{
	struct wantlist *list = arg;
	json_t *key = json_pack("{s:o}", "/", call_cid(&missing->cid));
	char why[360];

	if (!store_explain(list->store, &missing->cid, why, sizeof(why)))
		*why = 0;
	return json_array_append_new(list->keys, key) ||
			json_array_append_new(list->damaged, call_text(why)) ||
			json_array_append_new(
				list->offers, json_integer((json_int_t)missing->offers))
		? -ENOMEM
		: 0;
}

int call_bitswap_wantlist(struct call *call)
{
	struct bitswap *bitswap = call->node->core->bitswap;
	struct wantlist list = { call->node->core->store, json_array(), json_array(),
		json_array() };
	int rc = list.keys && list.offers && list.damaged ? 0 : -ENOMEM;

	if (!rc && bitswap)
		rc = bitswap_missing_each(bitswap, list_missing, &list);
	if (rc) {
		json_decref(list.keys);
		json_decref(list.offers);
		json_decref(list.damaged);
		return kit_fail_code(call->node, rc, "bitswap/wantlist");
	}
	return call_answer(call,
		json_pack("{s:o, s:o, s:o}", "Keys", list.keys, "Offers", list.offers, "Damaged",
			list.damaged));
}

int call_swarm_addrs_local(struct call *call)
{
	char **addresses;
	int rc = kit_addresses(call->node, &addresses);

	if (rc)
		return rc;
	rc = call_answer(call, json_pack("{s:o}", "Strings", strings(addresses)));
	kit_strings_free(addresses);
	return rc;
}

static int pong(struct call *call, anyio_time time, const char *text)
{
	return call_answer(call,
		json_pack("{s:b, s:I, s:s}", "Success", 1, "Time", (json_int_t)time, "Text", text));
}

int call_ping(struct call *call)
{
	const char *option = call_option(call, "count");
	long count = option && *option ? strtol(option, NULL, 10) : 10;
	anyio_time total = 0, time;
	char text[160];
	int rc;

	if (count < 1 || count > 1000000)
		return kit_fail(call->node, -EINVAL, "ping: count is a number from 1 on");
	snprintf(text, sizeof(text), "PING %.100s.", call->from->args[0]);
	rc = pong(call, 0, text);
	for (long i = 0; !rc && i < count; i++) {
		if (i > 0)
			rc = anyio_sleep(ANYIO_SECOND);
		if (!rc)
			rc = kit_ping(call->node, call->from->args[0], &time);
		if (!rc) {
			total += time;
			rc = pong(call, time, "");
		}
	}
	snprintf(
		text, sizeof(text), "Average latency: %.2fms", (double)total / (double)count / 1e6);
	return rc ? rc : pong(call, 0, text);
}

/* ---- Repo and config ---- */

/* What Kubo's answer does not have is left out where there is none of it. */
static json_t *some(uint64_t count)
{
	return count ? json_integer((json_int_t)count) : NULL;
}

int call_repo_stat(struct call *call)
{
	struct kit_repo_stat stat;
	bool size_only = false; /* as Kubo answers that: the other fields are there, and empty */
	int rc = call_flag(call, "size-only", &size_only);
	char version[32];

	if (!rc)
		rc = kit_repo_stat(call->node, &stat);
	if (rc)
		return rc;
	snprintf(version, sizeof(version), "ipfs-kit-repo@%u", stat.version);
	return call_answer(call,
		json_pack("{s:I, s:I, s:I, s:s, s:s, s:o*, s:o*}", "RepoSize",
			(json_int_t)stat.disk_bytes, "StorageMax", (json_int_t)stat.max_bytes,
			"NumObjects", size_only ? 0 : (json_int_t)stat.blocks, "RepoPath",
			size_only ? "" : stat.path, "Version", size_only ? "" : version,
			"AdoptedFiles", some(stat.adopted), "LinkedFiles", some(stat.linked)));
}

int call_repo_version(struct call *call)
{
	char version[16];

	snprintf(version, sizeof(version), "%d", STORE_VERSION);
	return call_answer(call, json_pack("{s:s}", "Version", version));
}

static int tell_problem(void *arg, const struct kit_problem *problem)
{
	return call_answer(arg, kit_problem_json(problem));
}

int call_repo_verify(struct call *call)
{
	struct kit_verify_options options = { .problem = tell_problem, .arg = call };
	const char *timeout = call_option(call, "heal-timeout");
	int rc = call_flag(call, "heal", &options.heal);

	if (!rc)
		rc = call_flag(call, "tiers", &options.tiers);
	if (!rc && timeout && *timeout &&
		(kit_time_parse(timeout, &options.heal_timeout) || options.heal_timeout == 0))
		rc = kit_fail(call->node, -EINVAL,
			"heal-timeout cannot be '%.40s'; it is a time above zero, such as 30s",
			timeout);
	if (!rc)
		rc = kit_repo_verify(call->node, &options);
	return rc ? rc
		  : call_answer(call,
			    json_pack("{s:s, s:i}", "Msg",
				    kit_repo_verified(call->node, options.tiers), "Progress", 0));
}

enum { TELL_EVERY = ANYIO_SECOND / 10 };

struct collecting {
	struct call *call;
	bool silent, progress;
	anyio_time told;
};

static int tell_removed(void *arg, const struct mf_cid *cid)
{
	struct collecting *collecting = arg;

	return collecting->silent
		? 0
		: call_answer(collecting->call, json_pack("{s:{s:o}}", "Key", "/", call_cid(cid)));
}

static int tell_swept(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	struct collecting *collecting = arg;

	if (!collecting->progress || !sweeping || anyio_now() - collecting->told < TELL_EVERY)
		return 0;
	collecting->told = anyio_now();
	return call_answer(collecting->call,
		json_pack("{s:I, s:I}", "Progress", (json_int_t)done, "Total", (json_int_t)total));
}

/* As Kubo's. summary and progress are ours: answers without a Key. */
int call_repo_gc(struct call *call)
{
	struct collecting collecting = { .call = call };
	struct kit_gc_options options = {
		.progress = tell_swept, .removed = tell_removed, .arg = &collecting
	};
	struct kit_gc_result done;
	bool summary = false;
	int rc = call_flag(call, "silent", &collecting.silent);

	if (!rc)
		rc = call_flag(call, "progress", &collecting.progress);
	if (!rc)
		rc = call_flag(call, "summary", &summary);
	if (!rc)
		rc = kit_repo_gc(call->node, &options, &done);
	if (rc || !summary)
		return rc;
	return call_answer(call,
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "Kept", (json_int_t)done.kept,
			"Removed", (json_int_t)done.removed, "RemovedBytes",
			(json_int_t)done.removed_bytes, "MovedBytes", (json_int_t)done.moved_bytes,
			"FreedBytes", (json_int_t)done.freed_bytes, "DamagedSegments",
			(json_int_t)done.damaged_segments));
}

int call_config(struct call *call)
{
	const char *key = call->from->args[0], *value;
	const struct kit_config *config;
	char error[512] = "";
	int rc = 0;

	if (call->count == 2)
		rc = kit_config_set(
			call->node->core->dir, key, call->from->args[1], error, sizeof(error));
	if (rc)
		return kit_fail(call->node, rc, "%s", *error ? error : anyio_error_text(rc));
	/* Also when somebody else has changed it, and asks what it is: so the command line has it taken. */
	kit_apply_limit(call->node);
	kit_tier_policy_changed(call->node->core);
	rc = kit_config_now(call->node, &config);
	if (rc)
		return rc;
	value = kit_config_value(config, key);
	if (!value)
		return kit_fail(call->node, -ENOENT, "no setting is called '%.60s'", key);
	return call_answer(call, json_pack("{s:s, s:s}", "Key", key, "Value", value));
}

int call_config_show(struct call *call)
{
	const struct kit_config *config;
	int rc = kit_config_now(call->node, &config);

	if (rc)
		return rc;
	json_t *all = json_object();
	const char *key;
	for (size_t i = 0; all && (key = kit_config_key(i)); i++) {
		/* The secret stays in its file. */
		if (!strcmp(key, "api.secret"))
			continue;
		if (json_object_set_new(all, key, call_text(kit_config_value(config, key)))) {
			json_decref(all);
			all = NULL;
		}
	}
	return call_answer(call, all);
}
