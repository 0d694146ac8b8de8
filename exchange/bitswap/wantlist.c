/* Our wantlist, as it is told to a peer: what is new, or all of it. */
#include "inner.h"

#include <anyio/memory.h>
#include <errno.h>

/* Who was asked once may keep a want whose cancel was not kept: all of our wants may be none. */
bool bitswap_wantlist_has_output(const struct bitswap_peer *peer)
{
	return !TAILQ_EMPTY(&peer->unsent) || peer->cancel_count > 0 || (peer->full && peer->asked);
}

static void entry_of(const struct bitswap_ask *ask, struct bitswap_item *item)
{
	*item = (struct bitswap_item){ .kind = BITSWAP_WANT,
		.cid = ask->want->cid,
		.priority = ask->want->priority,
		.send_dont_have = true,
		.want = ask->block ? BITSWAP_WANT_BLOCK : BITSWAP_WANT_HAVE };
}

/* Older peers know nothing but wanting blocks. */
static void make_bare(struct bitswap_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		items[i].want = BITSWAP_WANT_BLOCK;
		items[i].send_dont_have = false;
	}
}

static void mark_sent(struct bitswap_ask *ask)
{
	TAILQ_REMOVE(&ask->peer->unsent, ask, of_peer);
	TAILQ_INSERT_TAIL(&ask->peer->sent, ask, of_peer);
	ask->unsent = false;
	ask->told = true;
	ask->state = ASK_SENT;
	ask->since = anyio_now();
}

void bitswap_wantlist_put(struct bitswap_peer *peer, struct mf_pb_writer *out)
{
	size_t most = peer->ask_count + peer->cancel_count, n = 0;
	bool bare = peer->protocol != bitswap_protocols[0], full = peer->full;
	struct bitswap_item *items = most ? anyio_malloc(most * sizeof(*items)) : NULL;
	struct bitswap_ask *ask, *next;

	if (most && !items) {
		out->error = -ENOMEM;
		return;
	}
	if (full)
		TAILQ_FOREACH (ask, &peer->sent, of_peer)
			entry_of(ask, &items[n++]);
	for (size_t i = 0; !full && i < peer->cancel_count; i++)
		items[n++] = (struct bitswap_item){
			.kind = BITSWAP_WANT, .cid = peer->cancels[i], .cancel = true
		};
	for (ask = TAILQ_FIRST(&peer->unsent); ask; ask = next) {
		next = TAILQ_NEXT(ask, of_peer);
		entry_of(ask, &items[n++]);
		mark_sent(ask);
	}
	if (bare)
		make_bare(items, n);
	bitswap_put_wantlist(out, items, n, full);
	anyio_free(items);
	anyio_free(peer->cancels);
	peer->cancels = NULL;
	peer->cancel_count = peer->cancel_size = 0;
	peer->full = false;
}

/* Those told last come last. Their time begins only now. */
void bitswap_wantlist_sent(struct bitswap_peer *peer)
{
	struct bitswap_ask *ask;

	TAILQ_FOREACH_REVERSE(ask, &peer->sent, bitswap_asks, of_peer)
	{
		if (ask->since < peer->telling)
			break;
		ask->since = anyio_now();
	}
	peer->telling = 0;
}
