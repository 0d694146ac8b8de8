/* Keeping the repo within its bounds: collection, the limit, and what is on its way meanwhile. */
#include "node.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void kit_apply_limit(struct kit_node *node)
{
	const struct kit_config *config;

	/* A config that cannot be read changes nothing. */
	if (kit_config_now(node, &config) == 0)
		store_set_limit(node->core->store, kit_config_size(config, "store.max"));
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

enum { TOLD_AT_ONCE = 1 << 20 };

struct gc {
	const struct kit_gc_options *options;
	uint8_t *gone; /* CIDs not yet told, each behind its length */
	size_t used, room;
	bool no_memory;
};

/* The store waits for nobody here. */
static void note_gone(void *arg, const struct mf_cid *cid, uint32_t len)
{
	struct gc *gc = arg;

	if (!gc->options->removed || gc->no_memory)
		return;
	if (gc->used + 1 + MF_CID_BYTES_MAX > gc->room) {
		size_t room = gc->room * 2 + 4096;
		uint8_t *more = anyio_realloc(gc->gone, room);

		gc->no_memory = !more;
		if (!more)
			return;
		gc->gone = more;
		gc->room = room;
	}
	size_t n = mf_cid_encode(cid, gc->gone + gc->used + 1, MF_CID_BYTES_MAX);
	gc->gone[gc->used] = n;
	gc->used += 1 + n;
}

static int tell_gone(struct gc *gc)
{
	int rc = gc->no_memory ? -ENOMEM : 0;

	for (size_t at = 0; at < gc->used && rc == 0; at += 1 + gc->gone[at]) {
		struct mf_cid cid;

		mf_cid_decode(&cid, gc->gone + at + 1, gc->gone[at]);
		rc = gc->options->removed(gc->options->arg, &cid);
	}
	gc->used = 0;
	return rc;
}

static int on_progress(void *arg, bool sweeping, uint64_t done, uint64_t total)
{
	struct gc *gc = arg;
	int rc = 0;

	if (gc->options->progress)
		rc = gc->options->progress(gc->options->arg, sweeping, done, total);
	return !rc && (gc->used >= TOLD_AT_ONCE || gc->no_memory) ? tell_gone(gc) : rc;
}

static int explain(struct kit_node *node, int rc, const struct store_collect_result *result)
{
	char pin[MF_CID_TEXT_MAX], missing[MF_CID_TEXT_MAX];

	if (rc == -EALREADY)
		return kit_fail(node, rc,
			"the repo is being collected or verified already; run it again when that has ended");
	if (rc != -ENOENT)
		return kit_fail_code(node, rc, "repo gc");
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
	struct gc gc = { .options = options ? options : &none };
	struct store_collect_options how = {
		.every = true, .progress = on_progress, .dropped = note_gone, .arg = &gc
	};
	struct store_collect_result result;

	kit_apply_limit(node);
	node->error[0] = 0;
	int rc = store_collect(node->core->store, &how, &result);
	if (result.objects > 0 && kit_tiers_collected(node->core) < 0)
		rc = ANYIO_CANCELLED;
	int told = tell_gone(&gc);
	anyio_free(gc.gone);
	*out = (struct kit_gc_result){ .kept = result.live,
		.removed = result.dropped,
		.removed_bytes = result.bytes,
		.moved_bytes = result.moved_bytes,
		.freed_bytes = result.freed,
		.damaged_segments = result.kept_damaged };
	if (rc)
		return rc == ANYIO_CANCELLED ? rc : explain(node, rc, &result);
	return told ? kit_fail_code(node, told, "repo gc") : 0;
}
