/* Keeping the repo within its bounds: collection, the limit, and what is on its way meanwhile. */
#include "telling.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void kit_apply_limit(struct kit_node *node)
{
	const struct kit_config *config;

	/* A config that cannot be read changes nothing, and nobody asked for it. */
	if (kit_config_now(node, &config) == 0)
		store_set_limit(node->core->store, kit_config_size(config, "store.max"));
	else
		node->error[0] = 0;
}

void kit_writing_begin(struct kit_node *node, struct store_lease *lease)
{
	kit_apply_limit(node);
	store_lease_begin(node->core->store, lease);
	node->error[0] = 0;
}

int kit_keep(struct kit_node *node, const struct mf_cid *cid, const void *data, size_t len)
{
	store_ticket ticket = 0;
	int rc = store_keep(node->core->store, cid);

	if (rc == 0)
		rc = store_put(node->core->store, cid, data, len, STORE_VERIFIED, &ticket);
	return rc < 0 ? rc : 0;
}

/* ---- Collection ---- */

struct gc {
	struct kit_node *node;
	const struct kit_gc_options *options;
	struct store_collect_result *result;
	struct telling telling;
	struct {
		bool fresh, sweeping; /* not yet told */
		uint64_t done, total;
	} far;
};

/* With a lock of the store held: it waits for nobody here. */
static void note_gone(void *arg, const struct mf_cid *cid, uint32_t len)
{
	struct gc *gc = arg;
	uint8_t bytes[MF_CID_BYTES_MAX];

	if (gc->options->removed)
		telling_note(&gc->telling, bytes, mf_cid_encode(cid, bytes, sizeof(bytes)));
}

static int on_progress(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	struct gc *gc = arg;

	gc->far.fresh = true;
	gc->far.sweeping = sweeping;
	gc->far.done = done;
	gc->far.total = total;
	telling_wake(&gc->telling);
	int rc = telling_pace(&gc->telling);
	return rc ? rc : gc->telling.failed;
}

static int tell(void *arg, const void *note, size_t len)
{
	struct gc *gc = arg;
	struct mf_cid cid;
	bool fresh = gc->far.fresh;

	gc->far.fresh = false;
	if (note) {
		mf_cid_decode(&cid, note, len);
		return gc->options->removed(gc->options->arg, &cid);
	}
	return fresh && gc->options->progress
		? gc->options->progress(
			  gc->options->arg, gc->far.sweeping, gc->far.done, gc->far.total)
		: 0;
}

static int collect(void *arg)
{
	struct gc *gc = arg;
	struct store_collect_options how = {
		.every = true, .progress = on_progress, .dropped = note_gone, .arg = gc
	};
	int rc = store_collect(gc->node->core->store, &how, gc->result);

	/* Objects of which nothing lives, or little. */
	if (kit_tiers_collected(gc->node->core) < 0)
		rc = ANYIO_CANCELLED;
	return rc;
}

static int explain(struct kit_node *node, int rc, const struct store_collect_result *result)
{
	char pin[MF_CID_TEXT_MAX], missing[MF_CID_TEXT_MAX];

	if (rc == -EALREADY)
		return kit_fail(node, rc,
			"the repo is being collected or verified already; run it again when that has ended");
	if (rc == -ENOSPC)
		return kit_fail(node, rc,
			"collecting: no space left on the disk of %s for what is to be written anew (%llu MiB were given back, nothing "
			"acknowledged is lost); make a few MiB of room there, or 40 where much was added at once, and run it again",
			node->core->dir, (unsigned long long)(result->freed >> 20));
	if (rc != -ENOENT)
		return kit_fail_code(node, rc, "collecting");
	mf_cid_format(&result->pin, pin, sizeof(pin));
	mf_cid_format(&result->missing, missing, sizeof(missing));
	return kit_fail(node, rc,
		"nothing was collected: %s, which the pin %s needs, is missing or damaged, so that what lies below it cannot be "
		"told from what nobody needs; 'ipfs-kit pin add %s' fetches it through a daemon, 'ipfs-kit pin rm' gives the pin up",
		missing, pin, pin);
}

int kit_repo_gc(
	struct kit_node *node, const struct kit_gc_options *options, struct kit_gc_result *out)
{
	static const struct kit_gc_options none;
	struct store_collect_result result = { 0 };
	struct gc gc = { .node = node,
		.options = options ? options : &none,
		.result = &result,
		.telling = { .tell = tell, .arg = &gc, .room = node->room } };

	kit_apply_limit(node);
	node->error[0] = 0;
	int rc = telling_run(&gc.telling, collect, &gc);
	*out = (struct kit_gc_result){ .kept = result.live,
		.removed = result.dropped,
		.removed_bytes = result.bytes,
		.moved_bytes = result.moved_bytes,
		.freed_bytes = result.freed,
		.damaged_segments = result.kept_damaged };
	if (rc)
		return rc == ANYIO_CANCELLED ? rc : explain(node, rc, &result);
	if (gc.telling.failed)
		return kit_fail_code(node, gc.telling.failed, "collecting");
	return gc.telling.lost
		? kit_fail(node, -ENOBUFS,
			  "all was collected, %llu blocks, but their names were read too "
			  "slowly for all of them to be told",
			  (unsigned long long)result.dropped)
		: 0;
}
