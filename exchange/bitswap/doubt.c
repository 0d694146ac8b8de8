/*
 * When a peer lets us wait for too long.
 *
 * Silence costs little. Whoever was asked for the block at a guess, or said it has it and never gave
 * us anything, is waited for alone for PATIENCE; who said so and has given before, for peer_timeout. Then
 * it is doubted: it comes after all others and is no holder of any session, until it gives a block that
 * was wanted.
 *
 * Who gives something now and then is not silent. But an ask is doubtful as well when somebody has waited
 * LATE for the block, whatever else the peer gave; whoever was late so much more often than it gave
 * blocks is doubted too, and then what it gives is no excuse for what it does not.
 *
 * Only what a peer was told makes it doubtful. While a message of ours is long on its way, or fails, the
 * peer is deaf: others are asked as well, but nothing is held against it.
 *
 * Doubts outlive a connection, so that coming again does not clear them: a number of peers that left are
 * remembered, the latest ones (peer.c).
 */
#include "inner.h"

enum {
	LATE_OFTEN = 3,
	LATE_MAX = 16, /* that are remembered */
};

#define PATIENCE ANYIO_SECOND
#define LATE     (4 * ANYIO_SECOND)

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
bool bitswap_ask_is_doubtful(const struct bitswap_ask *ask)
{
	const struct bitswap_peer *peer = ask->peer;
	bool trusted = ask->said && peer->given > 0 && !peer->doubted;

	if (!is_told(ask))
		return anyio_now() - ask->since >= PATIENCE;
	if (is_late(ask) ||
		(bitswap_peer_is_late_often(peer) && anyio_now() - ask->since >= PATIENCE))
		return true;
	return silence(ask) >= (trusted ? peer->bitswap->options.peer_timeout : PATIENCE) &&
		anyio_now() - peer->heard >= PATIENCE;
}

void bitswap_peer_doubt(struct bitswap_peer *peer)
{
	struct bitswap_session *session;

	if (peer->doubted)
		return;
	peer->doubted = true;
	LIST_FOREACH (session, &peer->bitswap->sessions, link)
		bitswap_session_drop_holder(session, peer);
}

void bitswap_ask_doubt(struct bitswap_ask *ask)
{
	if (!is_told(ask))
		return;
	if (!is_late(ask)) {
		bitswap_peer_doubt(ask->peer);
		return;
	}
	if (!ask->late && ask->peer->late < LATE_MAX)
		ask->peer->late++;
	ask->late = true;
	if (bitswap_peer_is_late_often(ask->peer))
		bitswap_peer_doubt(ask->peer);
}

bool bitswap_ask_is_overdue(const struct bitswap_ask *ask)
{
	const struct bitswap_peer *peer = ask->peer;
	anyio_time timeout = peer->bitswap->options.peer_timeout;

	/* A block that takes long is on its way as long as bytes of it come. */
	return is_told(ask) && silence(ask) >= timeout && anyio_now() - peer->heard >= timeout;
}
