/*
 * What moves by itself: pinned roots that are cold go to the first tier while the repo is above two thirds of its limit,
 * those that are hot come back while it is below half of it, or has none. Between cold and hot is a gap (hot is at least four times
 * cold), and what was moved rests for a half-life: so nothing goes to and fro. What has gone is collected at once.
 * What rests is in memory alone: a restart costs at most one move too early of a root that was read meanwhile.
 */
#include "tiering.h"

#include <errno.h>
#include <kit/call.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOTS_MOST = 1024, RESTS_MOST = 4096, FINDS_A_LOOK = 16, PINS_A_TURN = 64 };

struct tier_rest {
	struct mf_cid root;
	anyio_time until;
};

struct policy {
	struct kit_node *node;
	struct kit_tiers *tiers;
	struct kit_tier_policy set;
	uint64_t used; /* bytes of the repo */
	int ends;      /* how often the last pin was passed */
};

static anyio_time time_of(const struct kit_config *config, const char *key)
{
	anyio_time time = 0;

	kit_time_parse(kit_config_value(config, key), &time);
	return time;
}

/* The tier that is in use, whatever was set since; else the one that would be. */
static void name_first(const struct kit_core *core, const struct kit_config *config, char name[32])
{
	const char *places = kit_config_value(config, "tier.places");
	size_t len = strcspn(places, "=");

	if (core->tiers)
		snprintf(name, 32, "%s", core->tiers->count ? core->tiers->list[0].place.name : "");
	else
		snprintf(name, 32, "%.*s", (int)len, places);
}

void kit_tier_policy_get(struct kit_node *node, struct kit_tier_policy *out)
{
	const struct kit_config *config;

	/* A file that is broken just now changes nothing. */
	if (kit_config_now(node, &config) < 0) {
		node->error[0] = '\0';
		config = node->core->config;
	}
	*out = (struct kit_tier_policy){ .cold = strtod(
						 kit_config_value(config, "tier.cold"), NULL),
		.hot = strtod(kit_config_value(config, "tier.hot"), NULL),
		.interval = time_of(config, "tier.interval"),
		.rest = time_of(config, "heat.half_life"),
		.max = kit_config_size(config, "store.max") };
	name_first(node->core, config, out->tier);
	out->hot_set = out->hot;
	if (out->hot < 4 * out->cold)
		out->hot = 4 * out->cold;
}

static bool rests(struct policy *policy, const struct mf_cid *root)
{
	struct kit_tiers *tiers = policy->tiers;
	anyio_time now = anyio_now();
	size_t left = 0;
	bool found = false;

	for (size_t i = 0; i < tiers->rest_count; i++) {
		if (tiers->rests[i].until <= now)
			continue;
		found |= mf_cid_equal(&tiers->rests[i].root, root);
		tiers->rests[left++] = tiers->rests[i];
	}
	tiers->rest_count = left;
	return found;
}

/* Whoever finds no room for it is looked at again sooner: that costs a walk, and moves nothing that is not to. */
static void let_rest(struct policy *policy, const struct mf_cid *root)
{
	struct kit_tiers *tiers = policy->tiers;

	if (!tiers->rests)
		tiers->rests = anyio_malloc(RESTS_MOST * sizeof(*tiers->rests));
	if (tiers->rests && tiers->rest_count < RESTS_MOST)
		tiers->rests[tiers->rest_count++] =
			(struct tier_rest){ *root, anyio_now() + policy->set.rest };
}

static int move(struct policy *policy, const struct mf_cid *root, const char *tier,
	struct store_marks *skip)
{
	struct kit_tier_moved moved;
	char path[MF_CID_TEXT_MAX];

	mf_cid_format(root, path, sizeof(path));
	int rc = tier_move(policy->node, path, tier, skip, &moved);
	if (tier)
		policy->tiers->left += moved.bytes;
	else
		policy->used += moved.bytes;
	if (rc == 0)
		let_rest(policy, root);
	return rc;
}

static int by_heat(const void *a, const void *b)
{
	double x = ((const struct store_heat_root *)a)->heat;
	double y = ((const struct store_heat_root *)b)->heat;

	return (x > y) - (x < y);
}

/* The next of the pinned roots below tier.cold, coldest first: how many, or a code. It goes on where the last look ended, so
 * that roots of which nothing is left to move keep none of the others waiting. */
static ssize_t find_cold(struct policy *policy, struct store_heat_root *roots)
{
	struct kit_core *core = policy->node->core;
	struct store_state_cursor *cursor = &policy->tiers->cold;
	struct store_pin pin;
	size_t count = 0, seen = 0;
	int rc = 1;

	while (count < ROOTS_MOST && (rc = store_pin_next(core->store, cursor, &pin)) > 0) {
		double heat = store_heat_of(core->heat, &pin.cid);

		int cancelled = ++seen % PINS_A_TURN == 0 ? anyio_checkpoint() : 0;

		if (cancelled)
			return cancelled;
		if (pin.mode == STORE_PIN_RECURSIVE && heat < policy->set.cold &&
			!rests(policy, &pin.cid))
			roots[count++] = (struct store_heat_root){ .cid = pin.cid, .heat = heat };
	}
	if (rc == 0) {
		*cursor = (struct store_state_cursor){ 0 };
		policy->ends++;
	}
	qsort(roots, count, sizeof(*roots), by_heat);
	return rc < 0 ? rc : (ssize_t)count;
}

static bool is_full(const struct policy *policy)
{
	return policy->set.max && policy->used > policy->set.max / 3 * 2 + policy->tiers->left;
}

static bool has_room(const struct policy *policy)
{
	return !policy->set.max || policy->used < policy->set.max / 2;
}

static int mark_leaf(void *arg, const struct mf_cid *cid, const void *data, size_t len)
{
	return store_marks_add(arg, cid);
}

/* Marks what lies below roots that are not cold, as far as their nodes are here. */
static int mark_warm(
	struct policy *policy, struct store_heat_root *roots, struct store_marks *marks)
{
	struct kit_node *node = policy->node;
	size_t count = store_heat_hottest(node->core->heat, roots, ROOTS_MOST);
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0 && roots[i].heat >= policy->set.cold; i++) {
		struct kit_blocks blocks;

		kit_blocks_open(&blocks, node);
		blocks.offline = true;
		rc = kit_walk_names(&blocks, &roots[i].cid, mark_leaf, marks);
		kit_blocks_close(&blocks);
		if (rc < 0 && rc != ANYIO_CANCELLED && rc != -ENOMEM)
			rc = 0;
	}
	return rc;
}

static int move_cold(struct policy *policy, struct store_heat_root *roots, struct store_marks *skip)
{
	int rc = 0;

	/* From where it stands to the end, and from the beginning. */
	for (int i = 0; i < FINDS_A_LOOK && rc == 0 && is_full(policy) && policy->ends < 2; i++) {
		ssize_t count = find_cold(policy, roots);

		rc = count < 0 ? (int)count : 0;
		for (ssize_t j = 0; j < count && rc == 0 && is_full(policy); j++)
			rc = move(policy, &roots[j].cid, policy->set.tier, skip);
	}
	return rc;
}

/* What a warmer root needs too stays with that. */
static int move_down(struct policy *policy, struct store_heat_root *roots)
{
	struct store_marks *marks;

	if (!is_full(policy) || !*policy->set.tier)
		return 0;
	int rc = store_marks_create(policy->node->core->store, &marks);
	if (rc == 0)
		rc = mark_warm(policy, roots, marks);
	if (rc == 0)
		rc = move_cold(policy, roots, marks);
	store_marks_free(marks);
	return rc;
}

static int move_up(struct policy *policy, struct store_heat_root *roots)
{
	size_t count = store_heat_hottest(policy->node->core->heat, roots, ROOTS_MOST);
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0 && has_room(policy); i++) {
		if (roots[i].heat <= policy->set.hot)
			break;
		if (!rests(policy, &roots[i].cid))
			rc = move(policy, &roots[i].cid, NULL, NULL);
		/* It may have heat and not be here any more. */
		rc = rc == -ENOENT ? 0 : rc;
	}
	return rc;
}

/* Only now has it moved. As long as that fails nothing else goes, or in the end all would. */
static int give_back(struct policy *policy)
{
	struct kit_tiers *tiers = policy->tiers;
	struct store_collect_options options = { .enough = tiers->left };
	struct store_collect_result result;
	int rc = tiers->left ? store_collect(tiers->core->store, &options, &result) : 0;

	if (rc == 0)
		tiers->left = 0;
	return rc;
}

static int look(struct kit_tiers *tiers, struct kit_node *node)
{
	struct policy policy = { .node = node, .tiers = tiers };
	struct store_heat_root *roots = anyio_malloc(ROOTS_MOST * sizeof(*roots));
	int rc = roots ? kit_heat_open(tiers->core) : -ENOMEM;

	kit_tier_policy_get(node, &policy.set);
	if (rc == 0)
		rc = give_back(&policy);
	policy.used = store_used(tiers->core->store);
	if (rc == 0)
		rc = move_down(&policy, roots);
	/* Also what was moved before one failed. */
	int given = give_back(&policy);
	rc = rc ? rc : given;
	policy.used = store_used(tiers->core->store);
	if (rc == 0)
		rc = move_up(&policy, roots);
	anyio_free(roots);
	return rc;
}

/* What fails is tried again next time; tier stat counts it. */
static int tend_all(struct kit_tiers *tiers)
{
	int rc = anyio_lock_acquire(&tiers->tending);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < tiers->count && rc != ANYIO_CANCELLED; i++)
		rc = store_tier_tend(tiers->core->store, tiers->list[i].place.name);
	anyio_lock_release(&tiers->tending);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

/* Whoever collects without a daemon waits for it, but not for long: a tier that is down has it done another time. */
static const anyio_time patience = 10 * ANYIO_SECOND;

static int tend_body(void *arg)
{
	return tend_all(arg);
}

int kit_tiers_tend(struct kit_core *core)
{
	return core->tiers ? anyio_move_on_after(patience, tend_body, core->tiers) : 0;
}

/* One that fails, or is not open, has none, and no repo that is only read can take a block from another place. */
static int mend_from(struct store *store, const char *tier)
{
	uint64_t mended;
	int rc = store_tier_mend(store, tier, &mended);

	return rc == -EREMOTEIO || rc == -ENODEV || rc == -EROFS ? 0 : rc;
}

int kit_tiers_mend(struct kit_core *core)
{
	struct kit_tiers *tiers = core->tiers;
	int rc = tiers ? anyio_lock_acquire(&tiers->tending) : 0;

	if (rc < 0 || !tiers)
		return rc;
	for (size_t i = 0; i < tiers->count && rc == 0; i++)
		rc = mend_from(core->store, tiers->list[i].place.name);
	anyio_lock_release(&tiers->tending);
	return rc;
}

int kit_tiers_collected(struct kit_core *core)
{
	struct kit_tiers *tiers = core->tiers;

	if (!tiers)
		return 0;
	if (!core->host)
		return kit_tiers_tend(core);
	anyio_event_set(&tiers->wake);
	return 0;
}

void kit_tier_policy_changed(struct kit_core *core)
{
	if (core->tiers)
		anyio_event_set(&core->tiers->wake);
}

static int wait_for_work(void *arg)
{
	return anyio_event_wait(&((struct kit_tiers *)arg)->wake);
}

int tiers_tend(void *arg)
{
	struct kit_tiers *tiers = arg;
	struct kit_node node = { .core = tiers->core, .offline = true };
	struct kit_tier_policy policy;
	anyio_time looked = anyio_now(), next;
	int rc = 0;

	while (rc != ANYIO_CANCELLED) {
		anyio_event_init(&tiers->wake);
		rc = tend_all(tiers);
		kit_tier_policy_get(&node, &policy);
		next = looked + policy.interval;
		if (rc == 0)
			rc = policy.interval ? anyio_move_on_at(next, wait_for_work, tiers)
					     : wait_for_work(tiers);
		if (rc == 0 && policy.interval && anyio_now() >= next) {
			rc = look(tiers, &node);
			looked = anyio_now();
		}
	}
	return rc;
}
