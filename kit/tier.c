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

/* ---- moving ---- */

enum { BATCH = 16384, BATCH_BYTES = 256 << 20 };

struct moving {
	struct kit_node *node;
	const char *tier;         /* NULL: back to the repo */
	struct store_marks *skip; /* these stay; NULL: none do */
	struct mf_cid *cids;
	size_t count;
	uint64_t bytes;
	struct kit_tier_moved *moved;
	uint64_t missing;     /* leaves that are neither here nor in a tier */
	struct mf_cid absent; /* the first of them */
};

/* Whether the config's file, as it is now, names a tier. A file that is broken just now names none. */
static bool is_in_config(struct kit_node *node, const char *tier)
{
	const struct kit_config *config;
	size_t len = strlen(tier);

	if (kit_config_now(node, &config) < 0) {
		node->error[0] = '\0';
		return false;
	}
	for (const char *word = kit_config_value(config, "tier.places");
		*(word += strspn(word, " ")); word += strcspn(word, " "))
		if (!strncmp(word, tier, len) && word[len] == '=')
			return true;
	return false;
}

static int explain_none(struct kit_node *node, const char *tier)
{
	struct store_tier_stat stat;
	char how[KIT_TIER_HOW];

	if (!kit_tier_is(node, tier) && is_in_config(node, tier))
		return kit_fail(node, -ENODEV,
			"the tier %.40s was named after the daemon started, which takes tier.places when it starts again",
			tier);
	if (kit_tier_is(node, tier) || store_tier_stat(node->core->store, tier, &stat) == 0) {
		kit_tier_explain(node->core, tier, how, sizeof(how));
		return kit_fail(node, -ENODEV, "the tier %.40s %s", tier, how);
	}
	return kit_fail(node, -ENOENT,
		"no tier is called '%.40s'; 'ipfs-kit config tier.places' names them", tier);
}

/* The first tier from which some of it would not come, and how that is. */
static int explain_back(const struct moving *moving)
{
	struct kit_node *node = moving->node;
	char tier[STORE_TIER_NAME_MAX + 1], how[KIT_TIER_HOW];

	for (size_t i = 0; i < moving->count; i++)
		if (store_where(node->core->store, &moving->cids[i], tier) >= 0 && *tier &&
			kit_tier_explain(node->core, tier, how, sizeof(how)))
			return kit_fail(node, -EREMOTEIO,
				"what was not moved is where it was, in the tier %.40s, which %s",
				tier, how);
	return kit_fail(node, -EREMOTEIO,
		"a tier failed just now, and what was not moved is where it was; run it again");
}

static int explain(struct kit_node *node, const char *tier, int rc)
{
	char how[KIT_TIER_HOW];

	if (rc == ANYIO_CANCELLED)
		return rc;
	if (rc == -ENODEV && tier)
		return explain_none(node, tier);
	if (rc == -EREMOTEIO && tier) {
		kit_tier_explain(node->core, tier, how, sizeof(how));
		return kit_fail(node, rc,
			"what was not moved is where it was, as the tier %.40s %s", tier, how);
	}
	if (rc == -EBADMSG && tier)
		return kit_fail(node, rc,
			"what was written to the tier %.40s reads back differently, or a block is damaged here, which 'ipfs-kit repo "
			"verify' tells; that part was not moved",
			tier);
	if (rc == -EBADMSG)
		return kit_fail(node, rc,
			"a block is damaged in its tier, or not there, which 'ipfs-kit repo verify' names; all others were moved; "
			"add the content again, or fetch it through a daemon");
	return kit_fail_code(node, rc, "tier move");
}

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

static int move_batch(struct moving *moving)
{
	struct store *store = moving->node->core->store;
	struct store_move_result result = { 0 };
	int rc = moving->count == 0 ? 0
		: moving->tier
		? store_demote(store, moving->tier, moving->cids, moving->count, &result)
		: store_promote(store, moving->cids, moving->count, &result);

	moving->moved->blocks += result.blocks;
	moving->moved->bytes += result.bytes;
	moving->moved->skipped += result.skipped;
	rc = rc == -EREMOTEIO && !moving->tier ? explain_back(moving)
		: rc < 0                       ? explain(moving->node, moving->tier, rc)
					       : 0;
	moving->count = moving->bytes = 0;
	return rc;
}

/* Only raw leaves move. */
static int take_leaf(void *arg, const struct mf_cid *cid, const void *data, size_t len)
{
	struct moving *moving = arg;
	ssize_t size =
		cid->codec == MF_CODEC_RAW ? store_size(moving->node->core->store, cid) : -ENOENT;

	if (moving->skip && size >= 0 && store_marks_has(moving->skip, cid)) {
		moving->moved->skipped++;
		return 0;
	}
	/* What counts as damaged there is asked for once more. */
	char from[STORE_TIER_NAME_MAX + 1];
	if (size == -ENOENT && !moving->tier &&
		store_where(moving->node->core->store, cid, from) == 0 && *from)
		size = 0;
	if (size == -ENOENT && cid->codec == MF_CODEC_RAW && moving->missing++ == 0)
		moving->absent = *cid;
	if (size < 0)
		return size == -ENOENT ? 0 : kit_fail_code(moving->node, (int)size, "tier move");
	moving->cids[moving->count++] = *cid;
	moving->bytes += (uint64_t)size;
	return moving->count == BATCH || moving->bytes >= BATCH_BYTES ? move_batch(moving) : 0;
}

/* The names of leaves are walked without reading them, so that nobody else tells of what is not there. */
static int explain_missing(
	const struct moving *moving, struct kit_blocks *blocks, const struct mf_cid *root)
{
	struct store_tier_stat unread;
	struct store_block block;
	char text[MF_CID_TEXT_MAX];

	if (mf_cid_equal(&moving->absent, root) ||
		kit_find_unread(moving->node->core->store, &unread)) {
		int rc = kit_blocks_get(blocks, &moving->absent, &block);
		if (rc < 0)
			return rc;
		store_block_release(&block);
		return kit_fail(moving->node, -ENOENT,
			"some of it came to be known only now; run it again");
	}
	mf_cid_format(&moving->absent, text, sizeof(text));
	return kit_fail(moving->node, -ENOENT,
		"%llu block%s below it %s not in the repo, %s%s; all others are moved (%llu now); 'ipfs-kit pin add CID' "
		"through a daemon fetches what is missing",
		(unsigned long long)moving->missing, moving->missing == 1 ? "" : "s",
		moving->missing == 1 ? "is" : "are", moving->missing == 1 ? "" : "the first is ",
		text, (unsigned long long)moving->moved->blocks);
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

static int tidy(struct kit_node *node, const char *name)
{
	struct tier *tier = find(node->core, name);

	if (node->core->unwritable)
		return node->core->unwritable;
	if (tier && tier->remote && !tier->swept)
		tier->swept = sweep_parts(tier) >= 0;
	return store_tier_tend(node->core->store, name);
}

static int move(struct kit_node *node, const char *path, const char *tier, struct store_marks *skip,
	bool told, struct kit_tier_moved *moved)
{
	struct moving moving = { .node = node, .tier = tier, .skip = skip, .moved = moved };
	struct kit_blocks blocks;
	struct mf_cid root;
	int rc;

	*moved = (struct kit_tier_moved){ 0 };
	if (tier && !strcmp(tier, "fast"))
		moving.tier = NULL;
	if (moving.tier && (rc = tidy(node, tier)) < 0)
		return explain(node, tier, rc);
	rc = kit_reading_begin(node, path, &blocks, &root);
	blocks.offline = true;
	moving.cids = anyio_malloc(BATCH * sizeof(*moving.cids));
	if (rc == 0 && !moving.cids)
		rc = kit_fail_code(node, -ENOMEM, "tier move");
	if (rc == 0)
		rc = kit_walk_names(&blocks, &root, take_leaf, &moving);
	if (rc == 0)
		rc = move_batch(&moving);
	/* What moves by itself takes what there is. */
	if (rc == 0 && moving.missing && told)
		rc = explain_missing(&moving, &blocks, &root);
	anyio_free(moving.cids);
	return kit_reading_end(&blocks, rc);
}

int tier_move(struct kit_node *node, const char *path, const char *tier, struct store_marks *skip,
	struct kit_tier_moved *moved)
{
	return move(node, path, tier, skip, false, moved);
}

int kit_tier_move(
	struct kit_node *node, const char *path, const char *tier, struct kit_tier_moved *moved)
{
	return move(node, path, tier, NULL, true, moved);
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
