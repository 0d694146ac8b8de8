/*
 * Our wants: each is there from the first need of a block to the last, and is looked after as time goes
 * by, as peers come and go and as they say what they have. Whom to ask is pursue.c's.
 */
#include "inner.h"

#include <anyio/memory.h>
#include <errno.h>

enum {
	SEARCH_SECONDS = 60,
	ANSWERS_MAX = 16, /* of one peer about one want, from one search to the next */
	DOUBTS = 32,      /* wants of silent peers that all are asked about, at one look */
};

#define LOOK (ANYIO_SECOND / 2) /* between two looks at the wants */

struct bitswap_want *bitswap_want_find(const struct bitswap *bitswap, const struct mf_cid *cid)
{
	return (struct bitswap_want *)bitswap_table_find(&bitswap->wants, cid);
}

/* ---- time ---- */

/* doubts is how many more wants may be searched for. */
static void look_after_asked(struct bitswap *bitswap, struct bitswap_want *want, size_t *doubts)
{
	bitswap_want_pursue(bitswap, want);
	if (*doubts == 0 || want->searched || !bitswap_ask_is_doubtful(want->block))
		return;
	--*doubts;
	bitswap_want_search(bitswap, want);
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
	ask = bitswap_want_find_overdue(want);
	if (ask) {
		bitswap_ask_pass_over(bitswap, ask);
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
		bitswap_ask_queue(ask);
	}
	bitswap_want_pursue(bitswap, want);
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

int bitswap_want_join(struct bitswap_need *need)
{
	struct bitswap *bitswap = need->session->bitswap;
	struct bitswap_want *want = bitswap_want_find(bitswap, need->node.cid);

	if (!want && !(want = want_new(bitswap, need->node.cid)))
		return -ENOMEM;
	need->want = want;
	TAILQ_INSERT_TAIL(&want->needs, need, of_want);
	bitswap_want_pursue(bitswap, want);
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
	bitswap_asks_end(want, NULL);
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
	bitswap_asks_end(want, peer);
}

/* ---- peers ---- */

void bitswap_want_presence(struct bitswap_peer *peer, const struct mf_cid *cid, bool have)
{
	struct bitswap_want *want = bitswap_want_find(peer->bitswap, cid);
	struct bitswap_ask *ask = want ? bitswap_ask_find(want, peer) : NULL;
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
		/* Else it is to bring the block, and need not be asked again. */
		if (ask != want->block && (!ask->block || ask->state >= ASK_HAS))
			ask->state = ASK_HAS;
	} else {
		bitswap_ask_no_block(ask);
		ask->state = ASK_HAS_NOT;
	}
	bitswap_want_pursue(peer->bitswap, want);
}

/* Asked for all that nobody is about to bring, and about what is being searched for. */
void bitswap_want_peer_joined(struct bitswap_peer *peer)
{
	struct bitswap *bitswap = peer->bitswap;
	struct bitswap_want *want;

	bitswap_want_keep(bitswap);
	TAILQ_FOREACH (want, &bitswap->want_list, link)
		if (!want->arrived && (!want->block || want->searched) &&
			!bitswap_ask_find(want, peer))
			bitswap_ask_peer(want, peer, NULL, !want->block);
	bitswap_session_advance_all(bitswap);
}

static void asks_lost(struct bitswap *bitswap, struct bitswap_asks *asks)
{
	struct bitswap_ask *ask;

	while ((ask = TAILQ_FIRST(asks))) {
		struct bitswap_want *want = ask->want;
		bitswap_ask_free(ask);
		bitswap_want_pursue(bitswap, want);
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
