#include "heal.h"

#include <errno.h>

/* Most of the time goes into waiting for peers that do not have it: so many are asked for together. */
enum { AT_ONCE = 32 };

struct healing {
	struct heal *heal;
	struct kit_blocks *blocks;
	size_t at;
};

int heal_note(struct heal *heal, const struct mf_cid *cid, bool below)
{
	if (anyio_grow(&heal->items, &heal->room, heal->count + 1, sizeof(*heal->items)))
		return -ENOMEM;
	heal->items[heal->count].cid = *cid;
	heal->items[heal->count++].below = below;
	return 0;
}

void heal_free(struct heal *heal)
{
	anyio_free(heal->items);
}

/* What is damaged counts as absent, so that a fetch writes it. */
static int heal_one(void *arg)
{
	struct healing *healing = arg;
	const struct mf_cid *cid = &healing->heal->items[healing->at].cid;
	struct store_block block;

	if (healing->heal->items[healing->at].below)
		return kit_walk(healing->blocks, cid, NULL, NULL);
	int rc = kit_blocks_get(healing->blocks, cid, &block);
	if (!rc)
		store_block_release(&block);
	return rc;
}

static void tell(const struct healing *healing, int rc)
{
	struct heal *heal = healing->heal;
	const struct mf_cid *cid = &heal->items[healing->at].cid;
	const char *error = healing->blocks->node->error;
	const char *why = *error ? error : anyio_error_text(rc);

	if (!rc)
		why = NULL;
	else if (rc == -ETIMEDOUT && healing->blocks->offline)
		why = "its tier did not give it in time; --heal-timeout gives it more";
	else if (rc == -ETIMEDOUT)
		why = "no peer gave it in time; 'ipfs-kit swarm connect' to one that has it";
	else if (rc == -ENOTCONN && !heal->node->core->bitswap)
		why = "no tier has it, and peers are asked by a daemon; start 'ipfs-kit daemon', and connect to one that has it";
	else if (rc == -ENOTCONN)
		why = "no peer is connected; 'ipfs-kit swarm connect' to one that has it";
	heal->healed += !rc;
	heal->told(heal->arg, cid, why);
}

/* A host that goes offline meanwhile is none. */
static bool has_peers(const struct kit_core *core)
{
	struct p2p_host_statistics statistics = { 0 };

	if (core->host)
		p2p_host_stat(core->host, &statistics);
	return statistics.connections > 0;
}

/* Takes one after another that no other task has taken. */
static int heal_some(void *arg)
{
	struct heal *heal = arg;
	struct kit_node own = *heal->node;
	struct kit_blocks blocks;
	int rc = 0;

	kit_blocks_open(&blocks, &own);
	blocks.session = heal->session;
	while (rc != ANYIO_CANCELLED && heal->taken < heal->count) {
		struct healing healing = { heal, &blocks, heal->taken++ };

		own.error[0] = 0;
		/* Of nobody an answer is waited for; a tier may have it. */
		blocks.offline = !heal->session || !has_peers(own.core);
		rc = blocks.offline && !own.core->tiers
			? -ENOTCONN
			: anyio_fail_after(heal->timeout, heal_one, &healing);
		if (blocks.offline && (rc == -EUCLEAN || rc == -ENOENT)) {
			own.error[0] = 0;
			rc = -ENOTCONN;
		}
		if (rc != ANYIO_CANCELLED)
			tell(&healing, rc);
	}
	blocks.session = NULL;
	kit_blocks_close(&blocks);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

static int heal_together(struct heal *heal)
{
	ANYIO_TASK_GROUP(group);
	/* Where there is no room for more tasks, those there are do it. */
	for (size_t i = 1; i < AT_ONCE && i < heal->count; i++)
		anyio_try_start_soon(&group, heal_some, heal, "heal");
	return anyio_task_group_exit(&group, heal_some(heal));
}

/* One session: what it has fetched ahead has one bound, and who had one block is asked for the next. */
int heal_all(struct heal *heal)
{
	struct bitswap *bitswap = heal->node->core->bitswap;
	int rc = 0;

	if (!heal->count)
		return 0;
	kit_apply_limit(heal->node);
	rc = kit_tiers_mend(heal->node->core);
	if (!rc && bitswap && !heal->node->offline)
		rc = bitswap_session_open(bitswap, &heal->session);
	if (!rc)
		rc = heal_together(heal);
	if (!rc && heal->session)
		rc = kit_sync(heal->node, bitswap_session_ticket(heal->session));
	if (heal->session)
		bitswap_session_close(heal->session);
	return rc;
}
