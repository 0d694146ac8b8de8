/*
 * What makes content hot: reads through this node, and peers that are given it. A content root is the CID that a
 * path begins with.
 */
#include "node.h"

#include <errno.h>
#include <kit/call.h>

static anyio_time half_life(struct kit_core *core)
{
	anyio_time time = 0;

	kit_time_parse(kit_config_value(core->config, "heat.half_life"), &time);
	return time;
}

int kit_heat_open(struct kit_core *core)
{
	if (core->heat)
		return 0;
	int rc = anyio_lock_acquire(&core->opening_heat);
	if (rc)
		return rc;
	/* Another may have done it meanwhile. */
	if (!core->heat)
		rc = store_heat_open(core->store, half_life(core), &core->heat);
	anyio_lock_release(&core->opening_heat);
	return rc;
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

/* Reading is not to complain of a full disk. When all that was written is durable, only heat and the index had no
 * room: the heat of this run is lost then, and the index the next opening makes up for. */
int kit_heat_close_store(struct kit_core *core)
{
	bool others = is_pending(core);

	store_heat_close(core->heat);
	core->heat = NULL;
	int rc = store_close(core->store);
	return !others && (rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG) ? 0 : rc;
}
