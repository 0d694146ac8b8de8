/*
 * What makes content hot: reads through this node, and peers that are given it. A content root is the CID that a
 * path begins with.
 */
#include "node.h"

#include <kit/call.h>

static anyio_time half_life(struct kit_core *core)
{
	anyio_time time = 0;

	kit_time_parse(kit_config_value(core->config, "heat.half_life"), &time);
	return time;
}

int kit_heat_open(struct kit_core *core)
{
	return core->heat ? 0 : store_heat_open(core->store, half_life(core), &core->heat);
}

/* Whoever reads is not to fail for it. */
void kit_heat_read(struct kit_blocks *blocks)
{
	struct kit_core *core = blocks->node->core;

	blocks->reads = false;
	if (kit_heat_open(core) == 0)
		store_heat_add(core->heat, &blocks->root, STORE_HEAT_READ);
}

void kit_heat_given(void *arg, const struct mf_cid *cid)
{
	struct kit_core *core = arg;

	store_heat_add_known(core->heat, cid, STORE_HEAT_WANT);
}

static bool is_pending(struct kit_core *core)
{
	struct store_wal_status status;

	store_wal_status(core->store, &status);
	return status.pending_bytes || status.operations_pending;
}

/* Where heat alone finds no room on the disk, nothing is lost that anybody was promised. */
int kit_heat_close_store(struct kit_core *core)
{
	bool others = is_pending(core);
	int heat = store_heat_close(core->heat), rc = store_close(core->store);

	core->heat = NULL;
	return heat && heat == rc && !others ? 0 : rc;
}
