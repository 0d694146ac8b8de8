/*
 * Our wants, and whom we ask.
 *
 * A want is asked of one peer as a block, so that it comes once: of one that said it has it, else of
 * one that had others of the session, which is a guess. When there is none, or the one asked does not
 * have it, all peers are asked whether they have it, one of them at a guess for the block, and the
 * first who does is asked for it. Peers remember what they were asked until told otherwise, so an ask
 * stays, whatever the answer was, until the want ends: then a cancel goes out, except to the peer that
 * sent the block.
 *
 * Silence costs little. Whoever was asked for the block at a guess, or said it has it and never gave
 * us anything, is waited for alone for PATIENCE; who said so and has given before, for peer_timeout. Then
 * it is doubted: all peers are asked whether they have this block, and one that says so is asked for
 * it too. The first ask stays, and either may bring the block: so a want comes twice only where
 * nothing came for so long, and one more peer is asked in each such time. Who is doubted comes after
 * all others and is no holder of any session, until it gives a block that was wanted.
 *
 * Who gives something now and then is not silent. But when somebody has waited LATE for a block, one more
 * peer is asked for it, whatever else the first one gave; whoever was late so much more often than
 * it gave blocks is doubted as well, and then what it gives is no excuse for what it does not.
 * After peer_timeout an ask counts as refused, and is told anew over another stream.
 *
 * Only what a peer was told makes it doubtful. While a message of ours is long on its way, or fails, the
 * peer is deaf: others are asked as above, but nothing is held against it.
 */
#include "inner.h"

#include <anyio/memory.h>
#include <errno.h>

enum {
	SEARCH_SECONDS = 60,
	ANSWERS_MAX = 16, /* of one peer about one want, from one search to the next */
	LATE_OFTEN = 3,
	LATE_MAX = 16, /* that are remembered */
	DOUBTS = 32,   /* wants of silent peers that all are asked about, at one look */
};

#define PATIENCE ANYIO_SECOND
#define LATE     (4 * ANYIO_SECOND)
#define LOOK     (PATIENCE / 2) /* between two looks at the wants */

struct bitswap_want *bitswap_want_find(const struct bitswap *bitswap, const struct mf_cid *cid)
{
	return (struct bitswap_want *)bitswap_table_find(&bitswap->wants, cid);
}

/* ---- asks ---- */

static void ask_queue(struct bitswap_ask *ask)
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

static struct bitswap_ask *ask_find(struct bitswap_want *want, const struct bitswap_peer *peer)
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

/* ask may be NULL. */
static void ask_no_block(struct bitswap_ask *ask)
{
	if (!ask || ask->want->block != ask)
		return;
	ask->want->block = NULL;
	ask->peer->block_count--;
}

static void ask_free(struct bitswap_ask *ask)
{
	struct bitswap_peer *peer = ask->peer;

	ask_no_block(ask);
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

/* Somebody else is asked for the block. Who was not told yet is then asked only whether it has it. */
static void ask_pass_on(struct bitswap_ask *ask)
{
	if (!ask)
		return;
	if (ask->unsent) {
		TAILQ_REMOVE(&ask->want->asks, ask, of_want);
		TAILQ_INSERT_TAIL(&ask->want->asks, ask, of_want);
		ask->block = false;
	}
	ask_no_block(ask);
}

/* Asks a peer whether it has the block, or for the block itself; ask is NULL the first time. Those
 * asked for the block come first among the want's asks. */
static void ask_peer(
	struct bitswap_want *want, struct bitswap_peer *peer, struct bitswap_ask *ask, bool block)
{
	if (!ask && !(ask = ask_new(want, peer)))
		return;
	if (block) {
		ask_pass_on(want->block);
		TAILQ_REMOVE(&want->asks, ask, of_want);
		TAILQ_INSERT_HEAD(&want->asks, ask, of_want);
		want->block = ask;
		peer->block_count++;
	}
	ask->block = block;
	peer->asked = true;
	ask_queue(ask);
}

/* ---- choosing ---- */

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
			ask = ask_find(want, peer);
			if ((!ask || (!ask->block && ask->state < ASK_HAS)) &&
				peer->ask_count < BITSWAP_WANTS_MAX && !bitswap_peer_is_deaf(peer))
				best = better(best, peer);
		}
	return best;
}

/* Asks all peers that were not asked; one of them for the block at once, if nobody is asked for it.
 * Who was asked is marked first: with many peers this comes at every answer, so it must not look for
 * each of them. */
static void search(struct bitswap *bitswap, struct bitswap_want *want)
{
	struct bitswap_peer *peer, *best = NULL;
	uint64_t mark = ++bitswap->searches;
	struct bitswap_ask *ask;

	want->searched = anyio_now();
	TAILQ_FOREACH (ask, &want->asks, of_want)
		ask->peer->searched = mark;
	TAILQ_FOREACH (peer, &bitswap->peers, link)
		if (peer->searched != mark)
			best = better(best, peer);
	if (!best)
		return;
	if (!want->block) {
		ask_peer(want, best, NULL, true);
		if (want->block)
			best->searched = mark;
	}
	TAILQ_FOREACH (peer, &bitswap->peers, link)
		if (peer->searched != mark)
			ask_peer(want, peer, NULL, false);
}

/* ---- silence ---- */

/* Not while it waits to be sent, nor while the message it is in is on its way. */
static bool is_told(const struct bitswap_ask *ask)
{
	return !ask->unsent && (!ask->peer->telling || ask->since < ask->peer->telling);
}

/* How long the peer has given nothing, since it was asked. */
static anyio_time silence(const struct bitswap_ask *ask)
{
	anyio_time gave = ask->peer->gave;

	return anyio_now() - (ask->since > gave ? ask->since : gave);
}

/* Somebody has waited for the block since it was asked, for long. */
static bool is_late(const struct bitswap_ask *ask)
{
	anyio_time awaited = ask->want->awaited;

	return awaited && anyio_now() - (ask->since > awaited ? ask->since : awaited) >= LATE;
}

bool bitswap_peer_is_late_often(const struct bitswap_peer *peer)
{
	return peer->late >= LATE_OFTEN;
}

/* A block that is on its way is no silence. */
static bool is_doubtful(const struct bitswap *bitswap, const struct bitswap_ask *ask)
{
	const struct bitswap_peer *peer = ask->peer;
	bool trusted = ask->said && peer->given > 0 && !peer->doubted;

	if (!is_told(ask))
		return anyio_now() - ask->since >= PATIENCE;
	if (is_late(ask) ||
		(bitswap_peer_is_late_often(peer) && anyio_now() - ask->since >= PATIENCE))
		return true;
	return silence(ask) >= (trusted ? bitswap->options.peer_timeout : PATIENCE) &&
		anyio_now() - peer->heard >= PATIENCE;
}

static void doubt(struct bitswap_peer *peer)
{
	struct bitswap_session *session;

	if (peer->doubted)
		return;
	peer->doubted = true;
	LIST_FOREACH (session, &peer->bitswap->sessions, link)
		bitswap_session_drop_holder(session, peer);
}

/* The ask is doubtful: so is the peer, unless it is only late for once, or was not told yet. */
static void doubt_ask(struct bitswap_ask *ask)
{
	if (!is_told(ask))
		return;
	if (!is_late(ask)) {
		doubt(ask->peer);
		return;
	}
	if (!ask->late && ask->peer->late < LATE_MAX)
		ask->peer->late++;
	ask->late = true;
	if (bitswap_peer_is_late_often(ask->peer))
		doubt(ask->peer);
}

/* Sees to it that somebody is asked for the block who may yet give it, if there is anybody. */
static void pursue(struct bitswap *bitswap, struct bitswap_want *want)
{
	struct bitswap_peer *peer;

	if (want->arrived || (want->block && !is_doubtful(bitswap, want->block)))
		return;
	if (want->block)
		doubt_ask(want->block);
	peer = find_teller(want);
	if (!peer && !want->block)
		peer = find_holder(want);
	if (peer)
		ask_peer(want, peer, ask_find(want, peer), true);
	else if (!want->block)
		search(bitswap, want);
}

/* ---- time ---- */

/* A peer that gives nothing is passed over; it is asked anew over another stream all the same, for
 * the stream may be what is wrong. */
static void pass_over(struct bitswap *bitswap, struct bitswap_ask *ask)
{
	struct bitswap_want *want = ask->want;
	struct bitswap_peer *peer = ask->peer;

	doubt(peer);
	ask_no_block(ask);
	ask->state = ASK_HAS_NOT;
	pursue(bitswap, want);
	ask->since = anyio_now();
	peer->renew = peer->full = true;
	bitswap_peer_kick(peer);
	if (!want->block) {
		want->block = ask;
		peer->block_count++;
	}
}

/* An ask for the block that has brought nothing for peer_timeout; NULL: none. */
static struct bitswap_ask *find_overdue(
	const struct bitswap *bitswap, const struct bitswap_want *want)
{
	struct bitswap_ask *ask;

	TAILQ_FOREACH (ask, &want->asks, of_want) {
		if (!ask->block)
			return NULL;
		if (is_told(ask) && (ask == want->block || ask->state < ASK_HAS) &&
			silence(ask) >= bitswap->options.peer_timeout)
			return ask;
	}
	return NULL;
}

/* doubts is how many more wants may be searched for. */
static void look_after_asked(struct bitswap *bitswap, struct bitswap_want *want, size_t *doubts)
{
	pursue(bitswap, want);
	if (*doubts == 0 || want->searched || !is_doubtful(bitswap, want->block))
		return;
	--*doubts;
	search(bitswap, want);
}

static void note_awaited(struct bitswap_want *want)
{
	const struct bitswap_need *need;
	bool awaited = false;

	TAILQ_FOREACH (need, &want->needs, of_want)
		awaited |= need->waiting > 0;
	if (!awaited)
		want->awaited = 0;
	else if (!want->awaited)
		want->awaited = anyio_now();
}

static void look_after(struct bitswap *bitswap, struct bitswap_want *want, size_t *doubts)
{
	anyio_time now = anyio_now();
	struct bitswap_ask *ask;

	if (want->arrived)
		return;
	note_awaited(want);
	ask = find_overdue(bitswap, want);
	if (ask) {
		pass_over(bitswap, ask);
		return;
	}
	if (want->block) {
		look_after_asked(bitswap, want, doubts);
		return;
	}
	if (!TAILQ_EMPTY(&want->asks) && now - want->searched < SEARCH_SECONDS * ANYIO_SECOND)
		return;
	want->searched = now;
	TAILQ_FOREACH (ask, &want->asks, of_want) {
		ask->answers = 0;
		ask_queue(ask);
	}
	pursue(bitswap, want);
}

static void look_after_all(struct bitswap *bitswap)
{
	struct bitswap_want *want, *next;
	size_t doubts = DOUBTS;

	for (want = TAILQ_FIRST(&bitswap->want_list); want; want = next) {
		next = TAILQ_NEXT(want, link);
		look_after(bitswap, want, &doubts);
	}
}

/* Lives while there are wants. */
static int keep(void *arg)
{
	struct bitswap *bitswap = arg;
	anyio_time pause = bitswap->options.peer_timeout / 4, joined = anyio_now();
	int rc = 0;

	while (rc == 0 && bitswap->wants.count > 0) {
		rc = anyio_sleep(pause < LOOK ? pause : LOOK);
		if (anyio_now() - joined >= pause) {
			bitswap_peers_join(bitswap);
			joined = anyio_now();
		}
		look_after_all(bitswap);
		bitswap_session_advance_all(bitswap);
	}
	bitswap->keeping = false;
	return rc;
}

void bitswap_want_keep(struct bitswap *bitswap)
{
	if (!bitswap->keeping && bitswap->group && bitswap->wants.count > 0)
		bitswap->keeping = bitswap_start(bitswap, keep, bitswap, "bitswap wants") == 0;
}

/* ---- life ---- */

static struct bitswap_want *want_new(struct bitswap *bitswap, const struct mf_cid *cid)
{
	struct bitswap_want *want = anyio_calloc(1, sizeof(*want));

	if (!want)
		return NULL;
	want->cid = *cid;
	want->node.cid = &want->cid;
	want->priority = INT32_MAX - (int32_t)(bitswap->asked++ & 0x3fffffff);
	TAILQ_INIT(&want->needs);
	TAILQ_INIT(&want->asks);
	if (bitswap_table_add(&bitswap->wants, &want->node) < 0) {
		anyio_free(want);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&bitswap->want_list, want, link);
	bitswap_want_keep(bitswap);
	return want;
}

static void end_asks(struct bitswap_want *want, const struct bitswap_peer *but)
{
	struct bitswap_ask *ask;

	while ((ask = TAILQ_FIRST(&want->asks))) {
		if (ask->peer != but)
			ask_cancel(ask);
		ask_free(ask);
	}
}

int bitswap_want_join(struct bitswap_need *need)
{
	struct bitswap *bitswap = need->session->bitswap;
	struct bitswap_want *want = bitswap_want_find(bitswap, need->node.cid);

	if (!want && !(want = want_new(bitswap, need->node.cid)))
		return -ENOMEM;
	need->want = want;
	TAILQ_INSERT_TAIL(&want->needs, need, of_want);
	pursue(bitswap, want);
	return 0;
}

void bitswap_want_leave(struct bitswap_need *need)
{
	struct bitswap *bitswap = need->session->bitswap;
	struct bitswap_want *want = need->want;

	need->want = NULL;
	TAILQ_REMOVE(&want->needs, need, of_want);
	if (!TAILQ_EMPTY(&want->needs))
		return;
	end_asks(want, NULL);
	TAILQ_REMOVE(&bitswap->want_list, want, link);
	bitswap_table_remove(&bitswap->wants, &want->node);
	anyio_free(want);
}

void bitswap_want_arrived(struct bitswap_want *want, struct bitswap_peer *peer)
{
	struct bitswap_need *need;

	want->arrived = true;
	if (!peer->gone && !peer->doubted)
		TAILQ_FOREACH (need, &want->needs, of_want)
			bitswap_session_add_holder(need->session, peer);
	end_asks(want, peer);
}

/* ---- peers ---- */

void bitswap_want_presence(struct bitswap_peer *peer, const struct mf_cid *cid, bool have)
{
	struct bitswap_want *want = bitswap_want_find(peer->bitswap, cid);
	struct bitswap_ask *ask = want ? ask_find(want, peer) : NULL;
	struct bitswap_need *need;

	/* What changes nothing costs nothing; nor does one that keeps changing its mind. */
	if (!ask || want->arrived || (!have && ask->state == ASK_HAS_NOT) ||
		ask->answers == ANSWERS_MAX)
		return;
	ask->answers++;
	ask->said = have;
	if (have) {
		if (!peer->doubted)
			TAILQ_FOREACH (need, &want->needs, of_want)
				bitswap_session_add_holder(need->session, peer);
		if (ask != want->block)
			ask->state = ASK_HAS;
	} else {
		ask_no_block(ask);
		ask->state = ASK_HAS_NOT;
	}
	pursue(peer->bitswap, want);
}

/* Asked for all that nobody is about to bring, and about what is being searched for. */
void bitswap_want_peer_joined(struct bitswap_peer *peer)
{
	struct bitswap *bitswap = peer->bitswap;
	struct bitswap_want *want;

	bitswap_want_keep(bitswap);
	TAILQ_FOREACH (want, &bitswap->want_list, link)
		if (!want->arrived && (!want->block || want->searched) && !ask_find(want, peer))
			ask_peer(want, peer, NULL, !want->block);
	bitswap_session_advance_all(bitswap);
}

static void asks_lost(struct bitswap *bitswap, struct bitswap_asks *asks)
{
	struct bitswap_ask *ask;

	while ((ask = TAILQ_FIRST(asks))) {
		struct bitswap_want *want = ask->want;
		ask_free(ask);
		pursue(bitswap, want);
	}
}

/* The peer is out of the list of peers already. */
void bitswap_want_peer_lost(struct bitswap_peer *peer)
{
	struct bitswap *bitswap = peer->bitswap;
	struct bitswap_session *session;

	LIST_FOREACH (session, &bitswap->sessions, link)
		bitswap_session_drop_holder(session, peer);
	asks_lost(bitswap, &peer->unsent);
	asks_lost(bitswap, &peer->sent);
	anyio_free(peer->cancels);
	peer->cancels = NULL;
	peer->cancel_count = peer->cancel_size = 0;
	bitswap_session_advance_all(bitswap);
}

int bitswap_missing_each(const struct bitswap *bitswap,
	int (*each)(void *arg, const struct bitswap_missing *missing), void *arg)
{
	const struct bitswap_want *want;
	const struct bitswap_ask *ask;
	int rc = 0;

	TAILQ_FOREACH (want, &bitswap->want_list, link) {
		struct bitswap_missing missing = { .cid = want->cid };
		if (want->arrived)
			continue;
		TAILQ_FOREACH (ask, &want->asks, of_want)
			missing.offers +=
				ask->state == ASK_HAS || (ask->state == ASK_SENT && ask->block);
		rc = each(arg, &missing);
		if (rc)
			break;
	}
	return rc;
}
