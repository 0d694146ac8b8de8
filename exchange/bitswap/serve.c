/*
 * What peers want of us.
 *
 * A peer's wants are kept up to a number, those of highest priority; each is in one order (order.h) by its
 * state: to be sent, to be answered, or waiting for us to get the block. A peer that asks whether we have a small block is
 * sent it. Blocks are read in batches, a bounded number of them for all peers together. While others
 * wait a peer has its batch for one turn; what it has not taken by then it wants again. Peers that are
 * slow at taking have places of their own among the batches, so that however many they are, others find
 * one soon; and a peer that takes nothing at all loses its stream.
 */
#include "inner.h"

#include <anyio/memory.h>
#include <errno.h>
#include <stddef.h>

enum {
	SMALL_BLOCK = 1024, /* sent instead of HAVE */
	STUCK_SECONDS = 5,
	TURN_SECONDS = 1,
	FAIR_RATE = 256 << 10, /* bytes a second that earn the time a batch is held */
	BEHIND_SECONDS = 30,   /* of unearned time that are remembered */
	SLOW_BYTES = 256 << 10 /* in a batch of a slow peer */
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

/* A NULL cid: all. */
static void cancel_picked(struct bitswap_peer *peer, const struct mf_cid *cid)
{
	for (size_t i = 0; peer->batches && i < BITSWAP_BATCHES; i++) {
		struct bitswap_batch *batch = &peer->batches[i];
		for (size_t j = batch->next; j < batch->picked; j++)
			batch->wants[j].cancel |=
				!cid || bitswap_table_same(&batch->wants[j].cid, cid);
	}
}

void bitswap_serve_clear(struct bitswap_peer *peer)
{
	struct bitswap_served *served;

	cancel_picked(peer, NULL);

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

/* What no message can carry (an adopted archive may have brought it) is, to a peer, not here. */
static ssize_t size_to_serve(struct bitswap_peer *peer, const struct mf_cid *cid)
{
	ssize_t size = store_size(peer->bitswap->store, cid);

	return size > BITSWAP_BLOCK_MAX ? -ENOENT : size;
}

/* Where a want belongs by what the store says now. */
static enum bitswap_served_state judge(struct bitswap_peer *peer, struct bitswap_served *served)
{
	ssize_t size = size_to_serve(peer, &served->cid);

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
		cancel_picked(peer, &item->cid);
		return;
	}
	if (!served && (peer->bitswap->draining || !(served = served_new(peer, item))))
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

/* Whether it holds batches for longer than it earns by taking them. */
static bool is_slow(const struct bitswap_peer *peer)
{
	return peer->behind > TURN_SECONDS * ANYIO_SECOND;
}

/* The next wants as far as a batch goes. */
static size_t pick(struct bitswap_peer *peer, struct bitswap_item *items)
{
	size_t most = is_slow(peer) ? SLOW_BYTES : BITSWAP_BATCH_BYTES, count = 0, bytes = 0;
	struct bitswap_served *served;

	while ((served = served_first(peer, SERVED_READY)) && count < BITSWAP_BATCH_BLOCKS) {
		ssize_t size = store_size(peer->bitswap->store, &served->cid);
		bytes += size > 0 ? (size_t)size : 0;
		if (count > 0 && bytes > most)
			break;
		items[count++] = (struct bitswap_item){ .kind = BITSWAP_WANT,
			.cid = served->cid,
			.priority = served->spot.priority,
			.send_dont_have = served->send_dont_have };
		served_free(peer, served);
	}
	return count;
}

/* If the peer wants it still. */
static struct bitswap_served *put_back(struct bitswap_peer *peer, const struct bitswap_item *item)
{
	struct bitswap_served *served;

	if (peer->gone || item->cancel || served_find(peer, &item->cid) ||
		!(served = served_new(peer, item)))
		return NULL;
	served->block = true;
	served->send_dont_have = item->send_dont_have;
	return served;
}

/* A block that was there a moment ago cannot be read: to the peer that is the same as not here. */
static void put_back_unread(struct bitswap_peer *peer, const struct bitswap_item *item)
{
	struct bitswap_served *served = put_back(peer, item);

	if (served)
		served_move(peer, served, item->priority,
			item->send_dont_have ? SERVED_PRESENCE : SERVED_WAITING);
}

static int read_batch(struct bitswap_peer *peer, struct bitswap_batch *batch)
{
	struct bitswap_item *items = batch->wants;
	struct mf_cid cids[BITSWAP_BATCH_BLOCKS];
	struct store_block blocks[BITSWAP_BATCH_BLOCKS];
	int results[BITSWAP_BATCH_BLOCKS], rc = 0;
	size_t count = batch->picked = pick(peer, items);

	for (size_t i = 0; i < count; i++)
		cids[i] = items[i].cid;
	if (count)
		rc = store_get_many(peer->bitswap->store, cids, count, blocks, results);
	for (size_t i = 0; i < count; i++) {
		if (rc == 0 && results[i] == 0) {
			items[batch->count] = items[i];
			batch->blocks[batch->count++] = blocks[i];
		} else {
			put_back_unread(peer, &items[i]);
		}
	}
	batch->picked = batch->count;
	return rc == ANYIO_CANCELLED ? rc : 0;
}

/* ---- tokens ---- */

static void end_longest_stuck(struct bitswap *bitswap)
{
	struct bitswap_peer *peer, *stuck = NULL;

	TAILQ_FOREACH (peer, &bitswap->peers, link)
		if (peer->stuck && (!stuck || peer->stuck < stuck->stuck))
			stuck = peer;
	if (!stuck || anyio_now() - stuck->stuck <= STUCK_SECONDS * ANYIO_SECOND)
		return;
	stuck->stuck = 0;
	anyio_stream_abort(stuck->stream);
}

static size_t count_waiting(const struct bitswap *bitswap)
{
	return bitswap->serving.waiting + bitswap->serving_slow.waiting;
}

/* Lives while peers wait: as many others may lose their streams. */
static int hurry(void *arg)
{
	struct bitswap *bitswap = arg;
	int rc = 0;

	while (rc == 0 && count_waiting(bitswap) > 0) {
		rc = anyio_sleep(ANYIO_SECOND);
		for (size_t i = count_waiting(bitswap); rc == 0 && i > 0; i--)
			end_longest_stuck(bitswap);
	}
	bitswap->hurrying = false;
	return rc;
}

void bitswap_serve_hurry(struct bitswap *bitswap)
{
	if (!bitswap->hurrying && bitswap->group && count_waiting(bitswap) > 0)
		bitswap->hurrying = bitswap_start(bitswap, hurry, bitswap, "bitswap hurry") == 0;
}

static int take_token(struct bitswap *bitswap, struct bitswap_tokens *tokens)
{
	int rc;

	tokens->waiting++;
	if (anyio_semaphore_value(&tokens->free) == 0)
		bitswap_serve_hurry(bitswap);
	rc = anyio_semaphore_acquire(&tokens->free);
	tokens->waiting--;
	return rc;
}

static int take_tokens(struct bitswap_peer *peer, struct bitswap_batch *batch)
{
	int rc = 0;

	if (is_slow(peer)) {
		rc = take_token(peer->bitswap, &peer->bitswap->serving_slow);
		batch->slow = rc == 0;
	}
	if (rc == 0) {
		rc = take_token(peer->bitswap, &peer->bitswap->serving);
		batch->token = rc == 0;
	}
	return rc;
}

static void return_tokens(struct bitswap *bitswap, struct bitswap_batch *batch)
{
	if (batch->token)
		anyio_semaphore_release(&bitswap->serving.free);
	if (batch->slow)
		anyio_semaphore_release(&bitswap->serving_slow.free);
	batch->token = batch->slow = false;
}

/* ---- batches, from outside ---- */

/* The tokens are there, unless rc says otherwise. */
static int load(struct bitswap_peer *peer, struct bitswap_batch *batch, int rc)
{
	batch->picked = batch->count = batch->next = 0;
	batch->since = 0;
	if (rc == 0)
		rc = read_batch(peer, batch);
	if (batch->count == 0)
		return_tokens(peer->bitswap, batch);
	return rc;
}

int bitswap_serve_load(struct bitswap_peer *peer, struct bitswap_batch *batch)
{
	return peer->by_state[SERVED_READY].root ? load(peer, batch, take_tokens(peer, batch)) : 0;
}

int bitswap_serve_load_early(struct bitswap_peer *peer, struct bitswap_batch *batch)
{
	if (!peer->by_state[SERVED_READY].root || is_slow(peer) ||
		anyio_semaphore_acquire_nowait(&peer->bitswap->serving.free) < 0)
		return 0;
	batch->token = true;
	return load(peer, batch, 0);
}

bool bitswap_serve_turn_over(const struct bitswap_peer *peer, const struct bitswap_batch *batch)
{
	const struct bitswap *bitswap = peer->bitswap;
	bool awaited = bitswap->serving.waiting || (batch->slow && bitswap->serving_slow.waiting);

	return awaited && batch->since && anyio_now() - batch->since >= TURN_SECONDS * ANYIO_SECOND;
}

/* What it took earns time, wherever it was held; the rest of the time it is behind. */
static void settle(struct bitswap_peer *peer, const struct bitswap_batch *batch)
{
	uint64_t taken = 0;

	for (size_t i = 0; i < batch->next; i++)
		taken += batch->blocks[i].len;
	peer->behind += anyio_now() - batch->since;
	peer->behind -= (anyio_time)(taken * (ANYIO_SECOND / 1024) / (FAIR_RATE / 1024));
	if (peer->behind < 0)
		peer->behind = 0;
	if (peer->behind > BEHIND_SECONDS * ANYIO_SECOND)
		peer->behind = BEHIND_SECONDS * ANYIO_SECOND;
}

void bitswap_serve_drop_cancelled(struct bitswap_batch *batch)
{
	size_t kept = batch->next;

	for (size_t i = batch->next; i < batch->count; i++) {
		if (batch->wants[i].cancel) {
			store_block_release(&batch->blocks[i]);
			continue;
		}
		batch->wants[kept] = batch->wants[i];
		batch->blocks[kept++] = batch->blocks[i];
	}
	batch->picked = batch->count = kept;
}

void bitswap_serve_unload(struct bitswap_peer *peer, struct bitswap_batch *batch)
{
	if (batch->token && batch->since)
		settle(peer, batch);
	for (size_t i = 0; i < batch->count; i++)
		store_block_release(&batch->blocks[i]);
	batch->picked = batch->count = batch->next = 0;
	return_tokens(peer->bitswap, batch);
}

void bitswap_serve_put_back(struct bitswap_peer *peer, struct bitswap_batch *batch)
{
	struct bitswap_served *served;

	for (size_t i = batch->next; i < batch->count; i++)
		if ((served = put_back(peer, &batch->wants[i])))
			served_move(peer, served, batch->wants[i].priority, judge(peer, served));
	bitswap_serve_unload(peer, batch);
}
