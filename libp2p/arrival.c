/*
 * Arrivals: connections that came in and are still in their handshake.
 *
 * There is a bounded number of places for them, beside those for connections, and a stranger holds
 * one for as long as a handshake may last without saying anything. Who gives way when all are taken
 * is told in resource.h: of the most crowded prefix the oldest, who had the longest to get done.
 */
#include <errno.h>
#include <stddef.h>

#include "swarm.h"
#include "transport/tcp.h"

struct arrival {
	struct p2p_prefix *prefix;
	struct p2p_account place;
	struct anyio_cancel_scope scope; /* around the handshake */
	bool placed;
};

/* ---- places ---- */

static int take_place(struct arrival *arrival)
{
	int rc = p2p_account_add_connection(&arrival->place, true);

	if (rc < 0)
		return rc;
	rc = p2p_account_charge(&arrival->place, P2P_NOISE_HANDSHAKE_MAX);
	if (rc < 0)
		p2p_account_drop_connection(&arrival->place, true);
	arrival->placed = rc == 0;
	return rc;
}

static void leave_place(struct arrival *arrival)
{
	if (!arrival->placed)
		return;
	arrival->placed = false;
	p2p_account_release(&arrival->place, P2P_NOISE_HANDSHAKE_MAX);
	p2p_account_drop_connection(&arrival->place, true);
}

static void give_way(struct p2p_account *place)
{
	struct arrival *arrival =
		(struct arrival *)((char *)place - offsetof(struct arrival, place));

	leave_place(arrival);
	anyio_cancel_scope_cancel(&arrival->scope, "its place is wanted");
}

/* ---- life ---- */

static int begin(struct arrival *arrival, struct p2p_host *host, const struct anyio_stream *raw)
{
	arrival->placed = false;
	arrival->prefix = p2p_prefix_of(host, raw);
	if (!arrival->prefix)
		return -ENOMEM;
	anyio_cancel_scope_init(&arrival->scope);
	p2p_account_init(&arrival->place, &arrival->prefix->arrivals, &p2p_no_limit);
	arrival->place.give_way = give_way;
	p2p_account_use(&arrival->place, anyio_now());
	return 0;
}

static int secure(struct arrival *arrival, struct p2p_host *host, struct anyio_stream *raw,
	struct p2p_noise_result *secured)
{
	int rc = take_place(arrival);

	if (rc < 0) {
		anyio_stream_free(raw);
	} else {
		anyio_cancel_scope_enter(&arrival->scope);
		rc = p2p_upgrade(host, raw, false, NULL, secured);
		rc = anyio_cancel_scope_exit(&arrival->scope, rc);
		leave_place(arrival);
	}
	p2p_account_end(&arrival->place);
	return rc;
}

int p2p_arrive(struct anyio_stream *raw, void *arg)
{
	struct p2p_host *host = arg;
	struct p2p_noise_result secured = { .muxer = -1 };
	struct mf_multiaddr remote;
	struct arrival arrival;
	int rc = begin(&arrival, host, raw);

	if (rc < 0) {
		anyio_stream_free(raw);
		return rc;
	}
	p2p_tcp_remote(raw, &remote);
	rc = secure(&arrival, host, raw, &secured);
	if (secured.channel)
		rc = p2p_connection_start(host, &secured, arrival.prefix, &remote);
	p2p_prefix_drop(arrival.prefix);
	return rc;
}
