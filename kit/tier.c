/*
 * The tiers of a node, for as long as kit_tiers_run runs: each is a remote (remote/object.h), whose verbs the store is
 * given. A tier that cannot be made is told of by tier list, and what lies there by whoever wants it.
 */
#include "tiering.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- verbs ---- */

static void end(struct tier *tier, int rc, const struct remote_why *why)
{
	if (rc < 0 && rc != ANYIO_CANCELLED && why->what[0])
		snprintf(tier->text, sizeof(tier->text), "%s%s%s", why->what,
			why->hint[0] ? "; " : "", why->hint);
	else if (rc < 0 && rc != ANYIO_CANCELLED)
		snprintf(tier->text, sizeof(tier->text), "%s", anyio_error_text(rc));
	if (rc != ANYIO_CANCELLED)
		tier->error = rc;
	if (--tier->tiers->calls == 0)
		anyio_event_set(&tier->tiers->idle);
}

static ssize_t read_object(void *arg, const char *object, uint64_t offset, void *buffer, size_t len)
{
	struct tier *tier = arg;
	struct remote_why why = { .what = "" };

	tier->tiers->calls++;
	ssize_t n = remote_get(tier->remote, object, offset, buffer, len, &why);
	if (n == -ENOENT) {
		int rc = tier_mark_check(tier, false, &why);
		n = rc < 0 ? rc : n;
	}
	end(tier, n < 0 ? (int)n : 0, &why);
	return n;
}

/* tier_mark_check, by one at a time. */
static int check_mark(struct tier *tier, bool make, struct remote_why *why)
{
	int rc = anyio_lock_acquire(&tier->marking);

	if (rc < 0)
		return rc;
	rc = tier_mark_check(tier, make, why);
	anyio_lock_release(&tier->marking);
	return rc;
}

/* A place that is not there, or not this one, leaves nothing that is to be removed from it. */
static int ready(void *arg)
{
	struct tier *tier = arg;
	struct remote_why why = { .what = "" };

	tier->tiers->calls++;
	int rc = check_mark(tier, true, &why);
	end(tier, rc, &why);
	return rc;
}

static int write_object(void *arg, const char *object, const struct store_tier_source *source)
{
	struct tier *tier = arg;
	struct remote_source from = { source->read, source->arg, source->size };
	struct remote_why why = { .what = "" };

	tier->tiers->calls++;
	int rc = remote_put_from(tier->remote, object, &from, NULL, &why);
	end(tier, rc, &why);
	return rc;
}

static int remove_object(void *arg, const char *object)
{
	struct tier *tier = arg;
	struct remote_why why = { .what = "" };

	tier->tiers->calls++;
	int rc = tier_mark_check(tier, false, &why);
	if (rc == 0)
		rc = remote_delete(tier->remote, object, &why);
	end(tier, rc, &why);
	return rc;
}

static const char *why(void *arg)
{
	const struct tier *tier = arg;

	return tier->error < 0 && tier->text[0] ? tier->text : NULL;
}

/* ---- making them ---- */

/* DIR/tier-NAME.WHAT, if there is such a file; else "". */
static const char *file_of(const struct tier *tier, const char *what, char *out, size_t cap)
{
	int n = snprintf(out, cap, "%s/tier-%s.%s", tier->tiers->core->dir, tier->place.name, what);

	if (n >= (int)cap || access(out, F_OK) != 0)
		*out = '\0';
	return out;
}

static int read_credentials(struct tier *tier, struct remote_credentials *credentials)
{
	char path[4200];
	int rc;

	if (*file_of(tier, "credentials", path, sizeof(path)))
		return remote_credentials_file(credentials, path, &tier->why);
	rc = remote_credentials_environment(credentials, &tier->why);
	return rc == -ENOENT ? 0 : rc;
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

/* On a worker thread: it reads files. */
static int make(void *arg)
{
	struct tier *tier = arg;
	const struct tier_place *place = &tier->place;
	char key[4200], hosts[4200];
	struct remote_options options = { .endpoint = place->endpoint,
		.prefix = or_null(place->prefix),
		.bucket = or_null(place->bucket),
		.region = or_null(place->region),
		.folder = or_null(place->folder),
		.user = or_null(place->user),
		.durable = true };
	int rc = strcmp(place->kind, "folder") ? read_credentials(tier, &options.credentials) : 0;

	options.key_file = or_null(file_of(tier, "key", key, sizeof(key)));
	if (!*file_of(tier, "known_hosts", hosts, sizeof(hosts)) && getenv("HOME"))
		snprintf(hosts, sizeof(hosts), "%s/.ssh/known_hosts", getenv("HOME"));
	options.known_hosts = or_null(hosts);
	if (rc == 0)
		rc = remote_create(&options, &tier->remote, &tier->why);
	remote_credentials_wipe(&options.credentials);
	return rc;
}

static int open_one(struct kit_tiers *tiers, struct tier *tier)
{
	static const struct store_tier verbs = { read_object, write_object, remove_object, why,
		.ready = ready };
	struct store_tier with = verbs;

	tier->tiers = tiers;
	anyio_lock_init(&tier->marking);
	tiers->calls++;
	int rc = anyio_to_thread(make, tier, NULL);
	end(tier, rc, &tier->why);
	with.arg = tier;
	return rc == 0 ? store_tier_attach(tiers->core->store, tier->place.name, &with)
		: rc == ANYIO_CANCELLED || rc == -ENOMEM ? rc
							 : 0;
}

static int open_all(struct kit_tiers *tiers, const char *places)
{
	size_t len, room = 1;
	int rc = 0;

	for (const char *c = places; *c; c++)
		room += *c == ' ';
	tiers->list = anyio_calloc(room, sizeof(*tiers->list));
	if (!tiers->list)
		return -ENOMEM;
	for (const char *word = places; *(word += strspn(word, " ")) && rc == 0; word += len) {
		struct tier *tier = &tiers->list[tiers->count];

		len = strcspn(word, " ");
		/* Reading the config has checked it. */
		rc = tier_place_parse(word, len, &tier->place);
		if (rc == 0)
			rc = open_one(tiers, tier);
		tiers->count += rc == 0;
	}
	return rc;
}

static int wait_idle(void *arg)
{
	struct kit_tiers *tiers = arg;

	while (tiers->calls > 0) {
		anyio_event_init(&tiers->idle);
		int rc = anyio_event_wait(&tiers->idle);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void close_all(struct kit_tiers *tiers)
{
	struct anyio_cancel_scope scope;

	for (size_t i = 0; i < tiers->count; i++)
		store_tier_detach(tiers->core->store, tiers->list[i].place.name);
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_run(&scope, wait_idle, tiers);
	for (size_t i = 0; i < tiers->count; i++)
		remote_free(tiers->list[i].remote);
	anyio_free(tiers->list);
	anyio_free(tiers->rests);
}

/* What ends before it is told to is no reason to end the others: its calls say why. */
static int run_remote(void *remote)
{
	int rc = remote_run(remote);

	return rc == ANYIO_CANCELLED ? rc : 0;
}

bool kit_has_tiers(const struct kit_node *node)
{
	return *kit_config_value(node->core->config, "tier.places") != '\0';
}

int kit_tiers_run(void *arg)
{
	struct kit_node *node = arg;
	struct kit_core *core = node->core;
	struct kit_tiers tiers = { .core = core };

	anyio_event_init(&tiers.idle);
	anyio_event_init(&tiers.wake);
	anyio_lock_init(&tiers.tending);
	int rc = open_all(&tiers, kit_config_value(core->config, "tier.places"));
	core->tiers = &tiers;
	ANYIO_TASK_GROUP(group);
	for (size_t i = 0; i < tiers.count && rc == 0; i++)
		if (tiers.list[i].remote)
			rc = anyio_start_soon(&group, run_remote, tiers.list[i].remote, "tier");
	if (rc == 0)
		rc = anyio_start_soon(&group, tiers_tend, &tiers, "tiers");
	if (rc == 0)
		anyio_started(NULL);
	rc = anyio_task_group_exit(&group, rc);
	core->tiers = NULL;
	close_all(&tiers);
	return rc < 0 && rc != ANYIO_CANCELLED ? kit_fail_code(node, rc, "tiers") : rc;
}

/* ---- for who moves ---- */

static struct tier *find(const struct kit_core *core, const char *name)
{
	struct kit_tiers *tiers = core->tiers;

	for (size_t i = 0; tiers && i < tiers->count; i++)
		if (!strcmp(tiers->list[i].place.name, name))
			return &tiers->list[i];
	return NULL;
}

bool kit_tier_is(const struct kit_node *node, const char *name)
{
	return find(node->core, name) != NULL;
}

bool kit_tier_explain(const struct kit_core *core, const char *name, char *out, size_t cap)
{
	const struct tier *tier = find(core, name);

	if (!tier)
		snprintf(out, cap,
			"is not configured, or not open; 'ipfs-kit config tier.places' names those that are");
	else
		snprintf(out, cap, "fails: %s",
			*tier->text ? tier->text : anyio_error_text(-EREMOTEIO));
	return !tier || tier->error < 0;
}

/* What earlier moves have left there goes first; if it is this tier, and the repo can be written to. */
static int sweep_parts(struct tier *tier)
{
	struct remote_why why = { .what = "" };

	tier->tiers->calls++;
	int rc = check_mark(tier, false, &why);
	if (rc == 0)
		rc = remote_sweep(tier->remote, &why);
	end(tier, rc, &why);
	return rc;
}

int tier_tidy(struct kit_node *node, const char *name)
{
	struct tier *tier = find(node->core, name);

	if (node->core->unwritable)
		return node->core->unwritable;
	if (tier && tier->remote && !tier->swept)
		tier->swept = sweep_parts(tier) >= 0;
	return store_tier_tend(node->core->store, name);
}

/* ---- what there is ---- */

/* A command of its own has asked the tier for nothing yet. A folder is asked whether it is the tier; what is far away is not waited
 * for. A daemon tells what its last call met, as a disk that hangs is no reason that its metrics do. */
static void look(struct kit_core *core, struct tier *tier)
{
	struct remote_why why = { .what = "" };

	if (core->host || !tier->remote || strcmp(tier->place.kind, "folder") != 0)
		return;
	core->tiers->calls++;
	end(tier, tier_mark_check(tier, false, &why), &why);
}

static int tell(struct kit_node *node, const char *name, struct tier *tier,
	int (*each)(void *arg, const struct kit_tier_stat *stat), void *arg)
{
	struct kit_tier_stat out = {
		.name = name, .kind = tier ? tier->place.kind : "", .state = "up"
	};
	struct store_tier_stat stat = { 0 };
	struct remote_statistics remote = { 0 };
	char url[TIER_URL];

	store_tier_stat(node->core->store, name, &stat);
	if (tier)
		look(node->core, tier);
	if (tier && tier->remote)
		remote_stat(tier->remote, &remote);
	if (!tier)
		out.state = "not configured";
	else if (remote.down)
		out.state = "down";
	else if (!tier->remote || tier->error == -ENXIO || tier->error == -EPERM)
		out.state = "unusable";
	else if (remote.requests == 0)
		out.state = "not asked yet";
	out.objects = stat.objects;
	out.blocks = stat.blocks;
	out.bytes = stat.bytes;
	out.unwanted = stat.unwanted;
	out.unread = stat.unread;
	out.reads = stat.reads;
	out.read_bytes = stat.read_bytes;
	out.demoted = stat.demoted;
	out.demoted_bytes = stat.demoted_bytes;
	out.promoted = stat.promoted;
	out.promoted_bytes = stat.promoted_bytes;
	out.errors = stat.errors;
	out.why = tier && tier->error < 0 ? tier->text : "";
	tier_written_at(node->core, name, url);
	out.written_at = url;
	return each(arg, &out);
}

int kit_tier_each(
	struct kit_node *node, int (*each)(void *arg, const struct kit_tier_stat *stat), void *arg)
{
	const struct kit_tiers *tiers = node->core->tiers;
	struct store_tier_stat stat = { 0 };
	struct store_stat fast;
	int rc;

	store_stat(node->core->store, &fast);
	struct kit_tier_stat own = { .name = "fast",
		.kind = "repo",
		.state = "up",
		.objects = fast.segments,
		.bytes = fast.segment_bytes,
		.why = "",
		.written_at = "" };
	rc = each(arg, &own);
	for (size_t i = 0; tiers && i < tiers->count && rc == 0; i++)
		rc = tell(node, tiers->list[i].place.name, &tiers->list[i], each, arg);
	while (rc == 0 && store_tier_next(node->core->store, stat.name, &stat) > 0)
		if (!kit_tier_is(node, stat.name))
			rc = tell(node, stat.name, NULL, each, arg);
	return rc;
}
