/*
 * Whom we ask for a want.
 *
 * A want is asked of one peer as a block, so that it comes once: of one that said it has it, else of
 * one that had others of the session, which is a guess. When there is none, or the one asked does not
 * have it, all peers are asked whether they have it, one of them at a guess for the block, and the
 * first who does is asked for it.
 *
 * When an ask has become doubtful (doubt.c) all peers are asked whether they have this block, and one
 * that says so is asked for it too. The first ask stays, and either may bring the block: so a want comes
 * twice only where nothing came for so long. In each such time as many more are asked as have let us wait
 * already, up to VOLLEY: so that many who say they have it and do not give it cost little more time than
 * a few. After peer_timeout an ask counts as refused, and is told anew over another stream.
 */
#include "inner.h"

enum { VOLLEY = 8 };

static int rank(const struct bitswap_peer *peer)
{
	return peer->doubted ? 2 : bitswap_peer_is_deaf(peer);
}

/* Of two peers: one that is not doubted and hears us, then the one with less to do, then the one that gave
 * more. */
static struct bitswap_peer *better(struct bitswap_peer *a, struct bitswap_peer *b)
{
	if (!a)
		return b;
	if (rank(a) != rank(b))
		return rank(a) < rank(b) ? a : b;
	if (a->block_count != b->block_count)
		return a->block_count < b->block_count ? a : b;
	return b->given > a->given ? b : a;
}

/* A peer that said it has it, and was not asked for it since. */
static struct bitswap_peer *find_teller(const struct bitswap_want *want)
{
	struct bitswap_peer *best = NULL;
	struct bitswap_ask *ask;

	TAILQ_FOREACH (ask, &want->asks, of_want)
		if (ask->state == ASK_HAS)
			best = better(best, ask->peer);
	return best;
}

/* One that had others of the session, and was not asked for this. */
static struct bitswap_peer *find_holder(struct bitswap_want *want)
{
	struct bitswap_peer *best = NULL;
	struct bitswap_need *need;
	struct bitswap_ask *ask;

	TAILQ_FOREACH (need, &want->needs, of_want)
		for (size_t i = 0; i < need->session->holder_count; i++) {
			struct bitswap_peer *peer = need->session->holders[i];
			ask = bitswap_ask_find(want, peer);
			if ((!ask || (!ask->block && ask->state < ASK_HAS)) &&
				peer->ask_count < BITSWAP_WANTS_MAX && !bitswap_peer_is_deaf(peer))
				best = better(best, peer);
		}
	return best;
}

/* Who was asked is marked first: with many peers this comes at every answer, so it must not look for each
 * of them. */
void bitswap_want_search(struct bitswap *bitswap, struct bitswap_want *want)
{
	struct bitswap_peer *peer, *best = NULL;
	uint64_t mark = ++bitswap->searches;
	struct bitswap_ask *ask;

	want->searched = anyio_now();
	TAILQ_FOREACH (ask, &want->asks, of_want)
		ask->peer->mark = mark;
	TAILQ_FOREACH (peer, &bitswap->peers, link)
		if (peer->mark != mark)
			best = better(best, peer);
	if (!best)
		return;
	if (!want->block) {
		bitswap_ask_peer(want, best, NULL, true);
		if (want->block)
			best->mark = mark;
	}
	TAILQ_FOREACH (peer, &bitswap->peers, link)
		if (peer->mark != mark)
			bitswap_ask_peer(want, peer, NULL, false);
}

/* How many let us wait for the block, those that are not to be doubted yet included. */
static size_t doubt_asked(const struct bitswap_want *want)
{
	struct bitswap_ask *ask;
	size_t count = 0;

	TAILQ_FOREACH (ask, &want->asks, of_want) {
		if (!ask->block)
			break;
		count += ask->state < ASK_HAS;
		if (ask->state < ASK_HAS && bitswap_ask_is_doubtful(ask))
			bitswap_ask_doubt(ask);
	}
	return count;
}

static bool ask_tellers(struct bitswap_want *want, size_t most)
{
	struct bitswap_peer *peer = find_teller(want);

	if (!peer)
		return false;
	bitswap_asks_pass_on(want);
	for (; peer && most > 0; most--) {
		bitswap_ask_peer(want, peer, bitswap_ask_find(want, peer), true);
		peer = find_teller(want);
	}
	return true;
}

void bitswap_want_pursue(struct bitswap *bitswap, struct bitswap_want *want)
{
	struct bitswap_peer *peer;
	size_t waited;

	if (want->arrived || (want->block && !bitswap_ask_is_doubtful(want->block)))
		return;
	waited = want->block ? doubt_asked(want) : 0;
	if (ask_tellers(want, waited > VOLLEY ? VOLLEY : waited + !waited) || want->block)
		return;
	peer = find_holder(want);
	if (peer)
		bitswap_ask_peer(want, peer, bitswap_ask_find(want, peer), true);
	else
		bitswap_want_search(bitswap, want);
}

/* It is asked anew over another stream all the same, for the stream may be what is wrong. */
void bitswap_ask_pass_over(struct bitswap *bitswap, struct bitswap_ask *ask)
{
	struct bitswap_want *want = ask->want;
	struct bitswap_peer *peer = ask->peer;

	bitswap_peer_doubt(peer);
	bitswap_ask_no_block(ask);
	ask->state = ASK_HAS_NOT;
	bitswap_want_pursue(bitswap, want);
	ask->since = anyio_now();
	peer->renew = peer->full = true;
	bitswap_peer_kick(peer);
	if (!want->block) {
		want->block = ask;
		peer->block_count++;
	}
}

struct bitswap_ask *bitswap_want_find_overdue(const struct bitswap_want *want)
{
	struct bitswap_ask *ask;

	TAILQ_FOREACH (ask, &want->asks, of_want) {
		if (!ask->block)
			return NULL;
		if ((ask == want->block || ask->state < ASK_HAS) && bitswap_ask_is_overdue(ask))
			return ask;
	}
	return NULL;
}
