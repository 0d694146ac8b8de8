/*
 * What peers want of us.
 *
 * A peer's wants are kept up to a number, those of highest priority; each is in one list: to be sent,
 * to be answered, or waiting for us to get the block. A peer that asks whether we have a small block is
 * sent it. Blocks are read in batches, a bounded number of them for all peers together; a peer that
 * does not take its blocks while others wait loses its stream.
 */
#include "inner.h"

#include <anyio/memory.h>
#include <errno.h>
#include <stddef.h>

enum {
	SMALL_BLOCK = 1024, /* sent instead of HAVE */
	STUCK_SECONDS = 5,
};

/* The first and the last of a state; NULL when there is none. The spot is where a want begins. */
static struct bitswap_served *served_first(
	const struct bitswap_peer *peer, enum bitswap_served_state state)
{
	return (struct bitswap_served *)bitswap_order_first(&peer->by_state[state]);
}

static struct bitswap_served *served_last(
	const struct bitswap_peer *peer, enum bitswap_served_state state)
{
	return (struct bitswap_served *)bitswap_order_last(&peer->by_state[state]);
}

static struct bitswap_served *served_find(const struct bitswap_peer *peer, const struct mf_cid *cid)
{
	struct bitswap_node *node = bitswap_table_find(&peer->served, cid);

	return node
		? (struct bitswap_served *)((char *)node - offsetof(struct bitswap_served, node))
		: NULL;
}

static void served_move(struct bitswap_peer *peer, struct bitswap_served *served, int32_t priority,
	enum bitswap_served_state state)
{
	bitswap_order_remove(&peer->by_state[served->state], &served->spot);
	served->state = state;
	bitswap_order_insert(&peer->by_state[state], &served->spot, priority);
}

static void served_free(struct bitswap_peer *peer, struct bitswap_served *served)
{
	bitswap_order_remove(&peer->by_state[served->state], &served->spot);
	bitswap_table_remove(&peer->served, &served->node);
	peer->bitswap->statistics.peer_wants--;
	anyio_free(served);
}

void bitswap_serve_clear(struct bitswap_peer *peer)
{
	struct bitswap_served *served;

	for (int i = 0; i < SERVED_STATES; i++)
		while ((served = served_first(peer, i)))
			served_free(peer, served);
}

/* Whether there is room for one more want, making it if this one matters more than another. */
static bool make_room(struct bitswap_peer *peer, int32_t priority)
{
	struct bitswap_served *least = NULL;

	if (peer->served.count < BITSWAP_WANTS_MAX)
		return true;
	for (int i = 0; i < SERVED_STATES; i++) {
		struct bitswap_served *last = served_last(peer, i);
		if (last && (!least || last->spot.priority < least->spot.priority))
			least = last;
	}
	if (!least || least->spot.priority >= priority)
		return false;
	served_free(peer, least);
	return true;
}

/* Where a want belongs by what the store says now. */
static enum bitswap_served_state judge(struct bitswap_peer *peer, struct bitswap_served *served)
{
	ssize_t size = store_size(peer->bitswap->store, &served->cid);

	served->have = size >= 0;
	if (served->have && (served->block || size <= SMALL_BLOCK))
		return SERVED_READY;
	return served->have || served->send_dont_have ? SERVED_PRESENCE : SERVED_WAITING;
}

/* A NULL return: not kept. */
static struct bitswap_served *served_new(struct bitswap_peer *peer, const struct bitswap_item *item)
{
	struct bitswap_served *served;

	if (!make_room(peer, item->priority) || !(served = anyio_calloc(1, sizeof(*served))))
		return NULL;
	served->cid = item->cid;
	served->node.cid = &served->cid;
	served->state = SERVED_WAITING;
	if (bitswap_table_add(&peer->served, &served->node) < 0) {
		anyio_free(served);
		return NULL;
	}
	bitswap_order_insert(&peer->by_state[SERVED_WAITING], &served->spot, item->priority);
	peer->bitswap->statistics.peer_wants++;
	return served;
}

void bitswap_serve_want(struct bitswap_peer *peer, const struct bitswap_item *item)
{
	struct bitswap_served *served = served_find(peer, &item->cid);

	if (item->cancel) {
		if (served)
			served_free(peer, served);
		return;
	}
	if (!served && !(served = served_new(peer, item)))
		return;
	served->block |= item->want == BITSWAP_WANT_BLOCK;
	served->send_dont_have = item->send_dont_have;
	served_move(peer, served, item->priority, judge(peer, served));
}

void bitswap_have(struct bitswap *bitswap, const struct mf_cid *cid)
{
	struct bitswap_peer *peer;

	TAILQ_FOREACH (peer, &bitswap->peers, link) {
		struct bitswap_served *served = served_find(peer, cid);
		if (!served || served->state == SERVED_READY)
			continue;
		served_move(peer, served, served->spot.priority, judge(peer, served));
		bitswap_peer_kick(peer);
	}
}

bool bitswap_serve_has_output(const struct bitswap_peer *peer)
{
	return peer->by_state[SERVED_READY].root || peer->by_state[SERVED_PRESENCE].root;
}

/* Who was told that we have it asks again, for the block; who was told that we don't waits on. */
void bitswap_serve_put_presences(struct bitswap_peer *peer, struct mf_pb_writer *out)
{
	struct bitswap_served *served;

	while ((served = served_first(peer, SERVED_PRESENCE))) {
		if (peer->protocol == bitswap_protocols[0])
			bitswap_put_presence(out, &served->cid, served->have);
		if (served->have)
			served_free(peer, served);
		else
			served_move(peer, served, served->spot.priority, SERVED_WAITING);
	}
}

/* ---- batches ---- */

/* The next wants as far as a batch goes; they are no longer the peer's. */
static size_t pick(struct bitswap_peer *peer, struct mf_cid *cids, bool *send_dont_have)
{
	struct bitswap_served *served;
	size_t count = 0, bytes = 0;

	while ((served = served_first(peer, SERVED_READY)) && count < BITSWAP_BATCH_BLOCKS) {
		ssize_t size = store_size(peer->bitswap->store, &served->cid);
		bytes += size > 0 ? (size_t)size : 0;
		if (count > 0 && bytes > BITSWAP_BATCH_BYTES)
			break;
		cids[count] = served->cid;
		send_dont_have[count++] = served->send_dont_have;
		served_free(peer, served);
	}
	return count;
}

/* A block that was there a moment ago cannot be read: to the peer that is the same as not here. */
static void put_back(struct bitswap_peer *peer, const struct mf_cid *cid, bool send_dont_have)
{
	struct bitswap_item item = {
		.kind = BITSWAP_WANT, .cid = *cid, .priority = 1, .send_dont_have = send_dont_have
	};
	struct bitswap_served *served;

	if (peer->gone || served_find(peer, cid) || !(served = served_new(peer, &item)))
		return;
	served->block = true;
	served->send_dont_have = send_dont_have;
	served_move(peer, served, item.priority, send_dont_have ? SERVED_PRESENCE : SERVED_WAITING);
}

static int read_batch(struct bitswap_peer *peer, struct bitswap_batch *batch)
{
	struct mf_cid cids[BITSWAP_BATCH_BLOCKS];
	struct store_block blocks[BITSWAP_BATCH_BLOCKS];
	bool send_dont_have[BITSWAP_BATCH_BLOCKS];
	int results[BITSWAP_BATCH_BLOCKS];
	size_t count = pick(peer, cids, send_dont_have);
	int rc = count ? store_get_many(peer->bitswap->store, cids, count, blocks, results) : 0;

	for (size_t i = 0; i < count; i++) {
		if (rc == 0 && results[i] == 0)
			batch->blocks[batch->count++] = blocks[i];
		else
			put_back(peer, &cids[i], send_dont_have[i]);
	}
	return rc == ANYIO_CANCELLED ? rc : 0;
}

/* ---- tokens ---- */

struct waiting {
	struct anyio_semaphore *serving;
	bool got;
};

static int acquire(void *arg)
{
	struct waiting *waiting = arg;
	int rc = anyio_semaphore_acquire(waiting->serving);

	waiting->got = rc == 0;
	return rc;
}

/* Ends the stream that has been stuck the longest, if one has been stuck for long. */
static void end_stuck(struct bitswap *bitswap)
{
	struct bitswap_peer *peer, *stuck = NULL;

	TAILQ_FOREACH (peer, &bitswap->peers, link)
		if (peer->stuck && (!stuck || peer->stuck < stuck->stuck))
			stuck = peer;
	if (stuck && anyio_now() - stuck->stuck > STUCK_SECONDS * ANYIO_SECOND)
		anyio_stream_abort(stuck->stream);
}

/* While others wait, nobody keeps a batch in memory without taking it. */
static int take_token(struct bitswap *bitswap)
{
	struct waiting waiting = { &bitswap->serving, false };
	int rc = 0;

	while (rc == 0 && !waiting.got) {
		rc = anyio_move_on_after(ANYIO_SECOND, acquire, &waiting);
		if (rc == 0 && !waiting.got)
			end_stuck(bitswap);
	}
	return rc;
}

int bitswap_serve_load(struct bitswap_peer *peer, struct bitswap_batch *batch)
{
	int rc;

	batch->count = batch->next = 0;
	if (!peer->by_state[SERVED_READY].root)
		return 0;
	rc = take_token(peer->bitswap);
	if (rc < 0)
		return rc;
	batch->token = true;
	rc = read_batch(peer, batch);
	if (batch->count == 0)
		bitswap_serve_unload(peer, batch);
	return rc;
}

void bitswap_serve_unload(struct bitswap_peer *peer, struct bitswap_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++)
		store_block_release(&batch->blocks[i]);
	batch->count = batch->next = 0;
	if (batch->token)
		anyio_semaphore_release(&peer->bitswap->serving);
	batch->token = false;
}
