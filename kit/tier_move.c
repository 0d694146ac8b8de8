/* Moving leaves to a tier, and back: what a walk finds below a root goes in parts. */
#include "telling.h"
#include "tiering.h"

#include <errno.h>
#include <string.h>

enum { BATCH = 16384, BATCH_BYTES = 256 << 20 };

struct moving {
	struct kit_node *node;
	const char *tier;         /* NULL: back to the repo */
	struct store_marks *skip; /* these stay; NULL: none do */
	struct mf_cid *cids;
	size_t count;
	uint64_t bytes;
	const struct kit_tier_move_options *options;
	struct kit_tier_moved *moved;
	struct kit_blocks blocks;
	struct mf_cid root;
	struct telling telling;
	uint64_t done, total; /* bytes, when somebody is told of them */
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
	/* A CID where the tier is to be, is most likely one of two that were swapped. */
	if (kit_path_check(tier, node->error, sizeof(node->error)) == 0)
		return kit_fail(node, -ENOENT,
			"no tier is called '%.300s'; the CID comes first, then the tier: 'ipfs-kit tier move CID TIER'",
			tier);
	return kit_fail(node, -ENOENT,
		"no tier is called '%.300s'; 'ipfs-kit config tier.places' names them", tier);
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

/* The tier may wait for what comes of this: who reads slowly does not hold it up. */
static int on_progress(void *arg, uint64_t done)
{
	struct moving *moving = arg;

	moving->done = moving->moved->bytes + done;
	telling_wake(&moving->telling);
	return moving->telling.failed;
}

/* More may have come here since it was measured. Who fails before anything is moved has told nothing else. */
static int tell(void *arg, const void *note, size_t len)
{
	const struct moving *moving = arg;
	uint64_t done = moving->done < moving->total ? moving->done : moving->total;

	return done ? moving->options->progress(moving->options->arg, done, moving->total) : 0;
}

static int move_batch(struct moving *moving)
{
	struct store_move_options options = { on_progress, moving };
	const struct store_move_options *how = moving->options->progress ? &options : NULL;
	struct store *store = moving->node->core->store;
	struct store_move_result result = { 0 };
	int rc = moving->count == 0 ? 0
		: moving->tier
		? store_demote(store, moving->tier, moving->cids, moving->count, how, &result)
		: store_promote(store, moving->cids, moving->count, how, &result);

	moving->moved->blocks += result.blocks;
	moving->moved->bytes += result.bytes;
	moving->moved->skipped += result.skipped;
	if (moving->telling.failed)
		return moving->telling.failed;
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
static int explain_missing(struct moving *moving)
{
	struct store_tier_stat unread;
	struct store_block block;
	char text[MF_CID_TEXT_MAX];

	if (mf_cid_equal(&moving->absent, &moving->root) ||
		kit_find_unread(moving->node->core->store, &unread)) {
		int rc = kit_blocks_get(&moving->blocks, &moving->absent, &block);
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

static int measure_leaf(void *arg, const struct mf_cid *cid, const void *data, size_t len)
{
	struct moving *moving = arg;
	struct store *store = moving->node->core->store;
	char from[STORE_TIER_NAME_MAX + 1];
	ssize_t size = cid->codec == MF_CODEC_RAW ? store_size(store, cid) : -ENOENT;

	if (size > 0 && store_where(store, cid, from) > 0 && (moving->tier ? !*from : *from))
		moving->total += (uint64_t)size;
	return 0;
}

static int move_all(void *arg)
{
	struct moving *moving = arg;
	int rc = 0;

	if (moving->options->progress)
		rc = kit_walk_names(&moving->blocks, &moving->root, measure_leaf, moving);
	if (rc == 0)
		rc = kit_walk_names(&moving->blocks, &moving->root, take_leaf, moving);
	return rc == 0 ? move_batch(moving) : rc;
}

static int move(struct moving *moving)
{
	moving->telling =
		(struct telling){ .tell = tell, .arg = moving, .room = moving->node->room };
	int rc = moving->options->progress ? telling_run(&moving->telling, move_all, moving)
					   : move_all(moving);

	if (moving->telling.failed < 0 && moving->telling.failed != ANYIO_CANCELLED)
		rc = kit_fail_code(moving->node, moving->telling.failed, "tier move");
	return rc;
}

static int move_below(struct moving *moving, const char *path, const char *tier, bool told)
{
	struct kit_node *node = moving->node;
	int rc = 0;

	*moving->moved = (struct kit_tier_moved){ 0 };
	if (tier && strcmp(tier, "fast") != 0)
		moving->tier = tier;
	if (moving->tier && (rc = tier_tidy(node, tier)) < 0)
		return explain(node, tier, rc);
	rc = kit_reading_begin(node, path, &moving->blocks, &moving->root);
	moving->blocks.offline = true;
	moving->cids = anyio_malloc(BATCH * sizeof(*moving->cids));
	if (rc == 0 && !moving->cids)
		rc = kit_fail_code(node, -ENOMEM, "tier move");
	if (rc == 0)
		rc = move(moving);
	/* What moves by itself takes what there is. */
	if (rc == 0 && moving->missing && told)
		rc = explain_missing(moving);
	anyio_free(moving->cids);
	return kit_reading_end(&moving->blocks, rc);
}

int tier_move(struct kit_node *node, const char *path, const char *tier, struct store_marks *skip,
	struct kit_tier_moved *moved)
{
	static const struct kit_tier_move_options none;
	struct moving moving = { .node = node, .skip = skip, .options = &none, .moved = moved };

	return move_below(&moving, path, tier, false);
}

int kit_tier_move(struct kit_node *node, const char *path, const char *tier,
	const struct kit_tier_move_options *options, struct kit_tier_moved *moved)
{
	static const struct kit_tier_move_options none;
	struct moving moving = {
		.node = node, .options = options ? options : &none, .moved = moved
	};

	return move_below(&moving, path, tier, true);
}
