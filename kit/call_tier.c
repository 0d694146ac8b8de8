/* Tiers, by name: tier/list, tier/stat, tier/move, tier/policy. Ours: Kubo has no such thing. */
#include "call.h"

static int tell_line(void *arg, const struct kit_tier_stat *stat)
{
	return call_answer(arg,
		json_pack("{s:s, s:s, s:s, s:I, s:I, s:o}", "Name", stat->name, "Kind", stat->kind,
			"State", stat->state, "Objects", (json_int_t)stat->objects, "Bytes",
			(json_int_t)stat->bytes, "Why", call_text(stat->why)));
}

int call_tier_list(struct call *call)
{
	return kit_tier_each(call->node, tell_line, call);
}

static int tell_all(void *arg, const struct kit_tier_stat *stat)
{
	return call_answer(arg,
		json_pack(
			"{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}",
			"Name", stat->name, "Kind", stat->kind, "State", stat->state, "Objects",
			(json_int_t)stat->objects, "Blocks", (json_int_t)stat->blocks, "Bytes",
			(json_int_t)stat->bytes, "Unwanted", (json_int_t)stat->unwanted, "Unread",
			(json_int_t)stat->unread, "Reads", (json_int_t)stat->reads, "ReadBytes",
			(json_int_t)stat->read_bytes, "Demoted", (json_int_t)stat->demoted,
			"DemotedBytes", (json_int_t)stat->demoted_bytes, "Promoted",
			(json_int_t)stat->promoted, "PromotedBytes",
			(json_int_t)stat->promoted_bytes, "Errors", (json_int_t)stat->errors, "Why",
			call_text(stat->why), "WrittenAt", call_text(stat->written_at)));
}

int call_tier_stat(struct call *call)
{
	return kit_tier_each(call->node, tell_all, call);
}

enum { TELL_EVERY = ANYIO_SECOND / 10 };

struct moving {
	struct call *call;
	anyio_time told;
};

static int tell_moved(void *arg, uint64_t done, uint64_t total)
{
	struct moving *moving = arg;

	if (done < total && anyio_now() - moving->told < TELL_EVERY)
		return 0;
	moving->told = anyio_now();
	return call_answer(moving->call,
		json_pack("{s:I, s:I}", "Progress", (json_int_t)done, "Total", (json_int_t)total));
}

/* progress: answers without Blocks come before. */
int call_tier_move(struct call *call)
{
	const char *const *args = call->from->args;
	struct moving moving = { .call = call };
	struct kit_tier_move_options options = { .arg = &moving };
	struct kit_tier_moved moved;
	bool progress = false;
	int rc = call_flag(call, "progress", &progress);

	if (progress)
		options.progress = tell_moved;
	if (!rc)
		rc = kit_tier_move(call->node, args[0], args[1], &options, &moved);

	return rc
		? rc
		: call_answer(call,
			  json_pack("{s:I, s:I, s:I}", "Blocks", (json_int_t)moved.blocks, "Bytes",
				  (json_int_t)moved.bytes, "Skipped", (json_int_t)moved.skipped));
}

static int set_policy(struct call *call)
{
	static const struct {
		const char *option, *key;
	} settings[] = { { "cold", "tier.cold" }, { "hot", "tier.hot" },
		{ "interval", "tier.interval" } };
	const char *dir = call->node->core->dir;
	char error[256] = "";

	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		const char *value = call_option(call, settings[i].option);
		int rc = value ? kit_config_set(dir, settings[i].key, value, error, sizeof(error))
			       : 0;

		if (rc)
			return kit_fail(
				call->node, rc, "%s", *error ? error : anyio_error_text(rc));
		if (value)
			kit_tier_policy_changed(call->node->core);
	}
	return 0;
}

/* Sets what options name, then tells all. */
int call_tier_policy(struct call *call)
{
	struct kit_tier_policy policy;
	int rc = set_policy(call);

	if (rc)
		return rc;
	kit_tier_policy_get(call->node, &policy);
	return call_answer(call,
		json_pack("{s:s, s:f, s:f, s:f, s:I, s:I, s:I}", "Tier", policy.tier, "Cold",
			policy.cold, "Hot", policy.hot, "HotSet", policy.hot_set, "Interval",
			(json_int_t)(policy.interval / ANYIO_SECOND), "Rest",
			(json_int_t)(policy.rest / ANYIO_SECOND), "Max", (json_int_t)policy.max));
}
