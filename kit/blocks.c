/* Blocks from the store, and from peers what the store does not have. */
#include "node.h"
#include "room.h"

#include <errno.h>
#include <string.h>

/* At once from the disk: enough to keep every core verifying. */
enum { SOME_BYTES = 8 << 20, SOME_MAX = 32 };

/* What was fetched is made durable this often, so that an interrupted get need not fetch it again. */
enum { SYNC_FETCHED = 64 << 20 };

void kit_blocks_open(struct kit_blocks *blocks, struct kit_node *node)
{
	*blocks = (struct kit_blocks){ .node = node, .offline = node->offline };
}

/* Holds bytes beside what is kept: what the last get gave has been released by now. While it waits it
 * holds nothing, or those who wait for each other would wait for good. */
static int hold(struct kit_blocks *blocks, size_t bytes)
{
	struct kit_room *room = blocks->node->room;
	size_t all = blocks->kept + bytes;

	if (!room || room_try(room, &blocks->held, all))
		return 0;
	int rc = kit_room_hold(room, &blocks->held, all);
	if (rc)
		blocks->kept = 0;
	return rc;
}

bool kit_blocks_keep(struct kit_blocks *blocks, size_t bytes)
{
	struct kit_room *room = blocks->node->room;

	if (room && !room_try(room, &blocks->held, bytes))
		return false;
	blocks->kept = bytes;
	return true;
}

int kit_blocks_wait_to_keep(struct kit_blocks *blocks, size_t bytes)
{
	blocks->kept = bytes;
	return hold(blocks, 0);
}

void kit_blocks_close(struct kit_blocks *blocks)
{
	blocks->kept = 0;
	hold(blocks, 0);
	if (blocks->session)
		bitswap_session_close(blocks->session);
	blocks->session = NULL;
}

int kit_blocks_sync(struct kit_blocks *blocks)
{
	if (!blocks->session)
		return 0;
	int rc = kit_sync(blocks->node, bitswap_session_ticket(blocks->session));
	return rc && rc != ANYIO_CANCELLED ? kit_fail_code(blocks->node, rc, "making it durable")
					   : rc;
}

bool kit_find_unread(struct store *store, struct store_tier_stat *stat)
{
	*stat = (struct store_tier_stat){ 0 };
	while (store_tier_next(store, stat->name, stat) > 0)
		if (stat->unread > 0)
			return true;
	return false;
}

static int missing(struct kit_blocks *blocks, const struct mf_cid *cid)
{
	const struct kit_core *core = blocks->node->core;
	char text[MF_CID_TEXT_MAX], how[KIT_TIER_HOW];
	struct store_tier_stat tier;

	/* Who is interrupted goes offline before it is through: that is not why. */
	if (anyio_checkpoint_if_cancelled() < 0)
		return ANYIO_CANCELLED;
	mf_cid_format(cid, text, sizeof(text));
	if (kit_find_unread(core->store, &tier))
		return kit_fail(blocks->node, -ENOENT,
			"block %s is not in the repo as far as its index tells, which was made anew and does not know yet what lies in "
			"the tier %s, which %s",
			text, tier.name,
			kit_tier_explain(core, tier.name, how, sizeof(how)) ? how
				: core->unwritable
				? "was not read yet: it is when the repo is opened where it can be written to, by 'repo verify'"
				: "was not read yet; 'ipfs-kit repo verify' reads it, or tells why not");
	if (blocks->imported)
		return kit_fail(blocks->node, -ENOENT,
			"block %s is neither in the archive nor in the repo", text);
	return kit_fail(blocks->node, -ENOENT,
		blocks->node->offline
			? "block %s is not in the repo, and no peer was asked for it, as offline wants it; run it without --offline"
			: core->bitswap
			? "block %s is not in the repo"
			: "block %s is not in the repo, and this node is offline; start 'ipfs-kit daemon' "
			  "and connect to a peer that has it, or name one with --connect ADDR",
		text);
}

static int damaged(struct kit_blocks *blocks, const struct mf_cid *cid, int rc)
{
	const struct kit_core *core = blocks->node->core;
	char text[MF_CID_TEXT_MAX], why[KIT_TIER_HOW], tier[STORE_TIER_NAME_MAX + 1];

	if (rc == ANYIO_CANCELLED)
		return rc;
	mf_cid_format(cid, text, sizeof(text));
	if (rc != -EBADMSG && rc != -EREMOTEIO)
		return kit_fail(blocks->node, rc, "block %s: %s", text, anyio_error_text(rc));
	if (rc == -EREMOTEIO) {
		store_where(core->store, cid, tier);
		kit_tier_explain(core, tier, why, sizeof(why));
		return kit_fail(blocks->node, rc, "block %s lies in the tier %s, which %s", text,
			tier, why);
	}
	store_explain(core->store, cid, why, sizeof(why));
	return kit_fail(blocks->node, -EUCLEAN,
		"block %s %s; put a whole copy of that segment back%s%s", text, why,
		core->read_only ? "" : ", or add the content again, or fetch it through a daemon",
		!core->read_only && kit_has_tiers(blocks->node)
			? ", or 'ipfs-kit repo verify --heal' looks for it in tiers"
			: "");
}

/* Nobody is asked. What is damaged is there all the same, perhaps whole again by now. */
static int only_here(struct kit_blocks *blocks, const struct mf_cid *cid, struct store_block *block)
{
	int rc = store_get(blocks->node->core->store, cid, block);

	return rc == -ENOENT ? missing(blocks, cid) : rc ? damaged(blocks, cid, rc) : 0;
}

/* What is fetched takes room, of which there may be less by now than when the daemon began. */
static int open_session(struct kit_blocks *blocks)
{
	if (blocks->session)
		return 0;
	kit_apply_limit(blocks->node);
	return bitswap_session_open(blocks->node->core->bitswap, &blocks->session);
}

static int fetch(struct kit_blocks *blocks, const struct mf_cid *cids, size_t count,
	struct store_block *block)
{
	struct kit_node *node = blocks->node;

	if (!node->core->bitswap || blocks->offline)
		return only_here(blocks, cids, block);
	int rc = open_session(blocks);
	if (rc)
		return kit_fail_code(node, rc, "fetching");
	if (count > 1)
		bitswap_prefetch(blocks->session, cids, count);
	rc = bitswap_fetch(blocks->session, cids, block);
	if (rc)
		return rc != ANYIO_CANCELLED ? kit_fail_code(node, rc, "fetching") : rc;
	blocks->unsynced += block->len;
	if (blocks->unsynced >= SYNC_FETCHED) {
		blocks->unsynced = 0;
		rc = kit_blocks_sync(blocks);
		if (rc)
			store_block_release(block);
	}
	return rc;
}

/* What was fetched ahead need not be read back from the disk. Asks for what comes after it. */
static size_t take(
	struct kit_blocks *blocks, const struct mf_cid *cids, size_t count, struct store_block *out)
{
	size_t n = 0;

	while (blocks->session && n < count && n < SOME_MAX &&
		bitswap_take(blocks->session, &cids[n], &out[n]) == 0)
		n++;
	if (n)
		bitswap_prefetch(blocks->session, cids + n, count - n);
	return n;
}

static size_t size_here(struct kit_blocks *blocks, const struct mf_cid *cid)
{
	ssize_t size = store_size(blocks->node->core->store, cid);

	return size > 0 ? (size_t)size : 0;
}

/* Counts blocks that are in memory already; on failure they are released. */
static int keep(struct kit_blocks *blocks, struct store_block *out, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += out[i].len;
	int rc = hold(blocks, bytes);
	for (size_t i = 0; rc && i < count; i++)
		store_block_release(&out[i]);
	return rc;
}

static int get_one(struct kit_blocks *blocks, const struct mf_cid *cid, struct store_block *block)
{
	hold(blocks, 0);
	if (take(blocks, cid, 1, block))
		return keep(blocks, block, 1);
	int rc = hold(blocks, size_here(blocks, cid));
	if (!rc)
		rc = store_get(blocks->node->core->store, cid, block);

	/* A damaged block counts as absent: peers may mend it. */
	if (rc == -ENOENT || (rc == -EBADMSG && blocks->node->core->bitswap)) {
		hold(blocks, 0);
		rc = fetch(blocks, cid, 1, block);
		return rc ? rc : keep(blocks, block, 1);
	}
	return rc ? damaged(blocks, cid, rc) : 0;
}

/* How many of cids lie here, one after another, of those that may be got at once. */
static size_t run_here(
	struct kit_blocks *blocks, const struct mf_cid *cids, size_t count, size_t *bytes)
{
	size_t n = 0, most = room_share(blocks->node->room, SOME_BYTES);

	for (*bytes = 0; n < count && n < SOME_MAX && (n == 0 || *bytes < most) &&
		store_has(blocks->node->core->store, &cids[n]) == 1;
		n++)
		*bytes += size_here(blocks, &cids[n]);
	return n;
}

/* The first of those that count as absent. What counts as damaged may be whole by now: a disk is mounted again. */
static int get_lacking(
	struct kit_blocks *blocks, const struct mf_cid *cids, size_t count, struct store_block *out)
{
	int rc = store_get(blocks->node->core->store, cids, out);

	return rc == 0 || rc == ANYIO_CANCELLED || rc == -ENOMEM ? rc
								 : fetch(blocks, cids, count, out);
}

static int get_some(struct kit_blocks *blocks, const struct mf_cid *cids, size_t count,
	struct store_block *out, size_t *got)
{
	struct store *store = blocks->node->core->store;
	int results[SOME_MAX], rc;
	size_t n, bytes;

	hold(blocks, 0);
	/* Only a block that is in the store can be at hand: for others there is room for one. */
	*got = store_has(store, cids) == 1 ? take(blocks, cids, count, out) : 0;
	if (*got)
		return keep(blocks, out, *got);
	n = run_here(blocks, cids, count, &bytes);
	if (n < 2) {
		rc = n ? get_one(blocks, cids, out) : get_lacking(blocks, cids, count, out);
		*got = rc ? 0 : 1;
		return rc || n ? rc : keep(blocks, out, 1);
	}
	rc = hold(blocks, bytes);
	if (rc)
		return rc;
	rc = store_get_many(store, cids, n, out, results);
	if (rc)
		return damaged(blocks, cids, rc);
	while (*got < n && results[*got] == 0)
		++*got;
	for (size_t i = *got; i < n; i++)
		if (results[i] == 0)
			store_block_release(&out[i]);
	if (*got)
		return 0;
	rc = get_one(blocks, cids, out);
	*got = rc ? 0 : 1;
	return rc;
}

/* What nobody could read was not in use. */
static int count_read(struct kit_blocks *blocks, int rc)
{
	if (!rc && blocks->reads)
		kit_heat_read(blocks);
	return rc;
}

int kit_blocks_get(struct kit_blocks *blocks, const struct mf_cid *cid, struct store_block *block)
{
	return count_read(blocks, get_one(blocks, cid, block));
}

int kit_blocks_get_some(struct kit_blocks *blocks, const struct mf_cid *cids, size_t count,
	struct store_block *out, size_t *got)
{
	return count_read(blocks, get_some(blocks, cids, count, out, got));
}
