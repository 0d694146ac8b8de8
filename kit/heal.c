#include "heal.h"

#include <errno.h>
#include <stdio.h>

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

static void tell(struct heal *heal, size_t at, int rc)
{
	const struct mf_cid *cid = &heal->items[at].cid;
	const char *why = *heal->node->error ? heal->node->error : anyio_error_text(rc);

	if (!rc)
		why = NULL;
	else if (rc == -ETIMEDOUT)
		why = "no peer gave it in time; 'ipfs-kit swarm connect' to one that has it";
	heal->healed += !rc;
	heal->told(heal->arg, cid, why);
	heal->node->error[0] = 0;
}

int heal_all(struct heal *heal)
{
	struct kit_blocks blocks;
	int rc = 0;

	kit_blocks_open(&blocks, heal->node);
	for (size_t i = 0; i < heal->count; i++) {
		struct healing healing = { heal, &blocks, i };

		heal->node->error[0] = 0;
		rc = anyio_fail_after(heal->timeout, heal_one, &healing);
		if (rc == ANYIO_CANCELLED)
			break;
		tell(heal, i, rc);
	}
	if (rc != ANYIO_CANCELLED)
		rc = kit_blocks_sync(&blocks);
	kit_blocks_close(&blocks);
	return rc;
}
