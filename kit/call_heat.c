/* Heat, by name: heat/top. Ours: Kubo has no such thing. */
#include "call.h"

#include <errno.h>
#include <time.h>

enum {
	TOP_COUNT = 20,
	TOP_MOST = 1000 /* so many are in memory for the caller, about 200 bytes each */
};

/* Bytes of all below a root as its own block tells; -1: it does not, or is not here. Asks no peer. */
static json_int_t size_of(struct call *call, const struct mf_cid *root)
{
	struct kit_node *node = call->node;
	struct kit_look look = { 0 };
	struct kit_blocks blocks;

	if (root->codec == MF_CODEC_RAW)
		return store_size(node->core->store, root);
	if (root->codec != MF_CODEC_DAG_PB)
		return -1;
	kit_blocks_open(&blocks, node);
	blocks.offline = true;
	int rc = kit_look(&blocks, root, &look);
	kit_blocks_close(&blocks);
	anyio_free(look.target);
	node->error[0] = 0;
	return rc || look.cumulative > INT64_MAX ? -1 : (json_int_t)look.cumulative;
}

static int tell_root(struct call *call, const struct store_heat_root *root)
{
	json_int_t used = (json_int_t)(time(NULL) - root->unused / ANYIO_SECOND);
	json_int_t size = size_of(call, &root->cid);

	if (anyio_checkpoint_if_cancelled() < 0)
		return ANYIO_CANCELLED;
	json_t *answer = json_pack("{s:o, s:f, s:I, s:I, s:I, s:b}", "Root", call_cid(&root->cid),
		"Heat", root->heat, "Reads", (json_int_t)root->counts[STORE_HEAT_READ], "Wants",
		(json_int_t)root->counts[STORE_HEAT_WANT], "LastUse", used, "Pinned",
		store_pin_get(call->node->core->store, &root->cid) > STORE_PIN_NONE);
	if (answer && size >= 0 && json_object_set_new(answer, "Size", json_integer(size))) {
		json_decref(answer);
		answer = NULL;
	}
	return call_answer(call, answer);
}

int call_heat_top(struct call *call)
{
	struct kit_core *core = call->node->core;
	struct store_heat_stat stat;
	uint64_t count = TOP_COUNT;
	int rc = call_number(call, "count", TOP_MOST, &count);

	if (rc)
		return rc;
	rc = kit_heat_open(core);
	if (rc)
		return kit_fail_code(call->node, rc, "heat");
	store_heat_stat(core->heat, &stat);
	if (count > stat.roots)
		count = stat.roots;
	struct store_heat_root *roots = anyio_malloc((count + 1) * sizeof(*roots));
	if (!roots)
		return kit_fail_code(call->node, -ENOMEM, "heat");
	count = store_heat_hottest(core->heat, roots, count);
	for (size_t i = 0; !rc && i < count; i++)
		rc = tell_root(call, &roots[i]);
	anyio_free(roots);
	return rc;
}
