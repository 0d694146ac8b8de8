/*
 * What each peer is asked about each want. An ask is queued here and told by wantlist.c; it stays,
 * whatever the answer was, until the want ends, for peers remember what they were asked until told
 * otherwise: then a cancel goes out, except to the peer that sent the block.
 */
#include "inner.h"

#include <anyio/memory.h>

void bitswap_ask_queue(struct bitswap_ask *ask)
{
	struct bitswap_peer *peer = ask->peer;

	if (!ask->unsent) {
		TAILQ_REMOVE(&peer->sent, ask, of_peer);
		TAILQ_INSERT_TAIL(&peer->unsent, ask, of_peer);
		ask->unsent = true;
	}
	ask->state = ASK_UNSENT;
	ask->since = anyio_now();
	bitswap_peer_kick(peer);
}

struct bitswap_ask *bitswap_ask_find(struct bitswap_want *want, const struct bitswap_peer *peer)
{
	struct bitswap_ask *ask;

	TAILQ_FOREACH (ask, &want->asks, of_want)
		if (ask->peer == peer)
			break;
	return ask;
}

/* NULL when the peer has been asked as much as may be, or without memory. */
static struct bitswap_ask *ask_new(struct bitswap_want *want, struct bitswap_peer *peer)
{
	struct bitswap_ask *ask;

	if (peer->ask_count >= BITSWAP_WANTS_MAX || !(ask = anyio_calloc(1, sizeof(*ask))))
		return NULL;
	ask->want = want;
	ask->peer = peer;
	TAILQ_INSERT_TAIL(&want->asks, ask, of_want);
	TAILQ_INSERT_TAIL(&peer->sent, ask, of_peer);
	peer->ask_count++;
	return ask;
}

void bitswap_ask_no_block(struct bitswap_ask *ask)
{
	if (!ask || ask->want->block != ask)
		return;
	ask->want->block = NULL;
	ask->peer->block_count--;
}

void bitswap_ask_free(struct bitswap_ask *ask)
{
	struct bitswap_peer *peer = ask->peer;

	bitswap_ask_no_block(ask);
	TAILQ_REMOVE(&ask->want->asks, ask, of_want);
	TAILQ_REMOVE(ask->unsent ? &peer->unsent : &peer->sent, ask, of_peer);
	peer->ask_count--;
	anyio_free(ask);
}

/* Too many cancels, or no memory for them: the next message tells all that is still wanted. */
static void ask_cancel(struct bitswap_ask *ask)
{
	struct bitswap_peer *peer = ask->peer;

	if (!ask->told)
		return;
	if (peer->cancel_count == peer->cancel_size && !peer->full) {
		size_t size = peer->cancel_size ? peer->cancel_size * 2 : 16;
		struct mf_cid *more = size > BITSWAP_WANTS_MAX
			? NULL
			: anyio_realloc(peer->cancels, size * sizeof(*more));
		peer->full = !more;
		if (more) {
			peer->cancels = more;
			peer->cancel_size = size;
		}
	}
	if (!peer->full)
		peer->cancels[peer->cancel_count++] = ask->want->cid;
	bitswap_peer_kick(peer);
}

void bitswap_asks_pass_on(struct bitswap_want *want)
{
	struct bitswap_ask *ask, *next;

	for (ask = TAILQ_FIRST(&want->asks); ask && ask->block; ask = next) {
		next = TAILQ_NEXT(ask, of_want);
		if (!ask->unsent)
			continue;
		bitswap_ask_no_block(ask);
		ask->block = false;
		TAILQ_REMOVE(&want->asks, ask, of_want);
		TAILQ_INSERT_TAIL(&want->asks, ask, of_want);
	}
}

void bitswap_ask_peer(
	struct bitswap_want *want, struct bitswap_peer *peer, struct bitswap_ask *ask, bool block)
{
	if (!ask && !(ask = ask_new(want, peer)))
		return;
	if (block) {
		bitswap_ask_no_block(want->block);
		TAILQ_REMOVE(&want->asks, ask, of_want);
		TAILQ_INSERT_HEAD(&want->asks, ask, of_want);
		want->block = ask;
		peer->block_count++;
	}
	ask->block = block;
	peer->asked = true;
	bitswap_ask_queue(ask);
}

void bitswap_asks_end(struct bitswap_want *want, const struct bitswap_peer *but)
{
	struct bitswap_ask *ask;

	while ((ask = TAILQ_FIRST(&want->asks))) {
		if (ask->peer != but)
			ask_cancel(ask);
		bitswap_ask_free(ask);
	}
}
