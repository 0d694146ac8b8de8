/*
 * Arrivals: connections that came in and are still in their handshake.
 *
 * There is a bounded number of places for them, and a stranger holds one for as long as a handshake
 * may last without saying anything. So when all are taken, who comes next takes the place of
 * another: of those who came from one prefix (an IPv4 address, a /64 of IPv6), the prefix that
 * holds the most, it is the oldest, who had the longest to get done. A crowd of one prefix thus
 * pushes itself out and nobody else. No prefix has a bound below that of all: many honest peers may
 * share an address (a NAT, loopback), and as long as nobody else wants the places they may have
 * them.
 */
#include <errno.h>
#include <string.h>

#include <anyio/memory.h>

#include "swarm.h"
#include "transport/tcp.h"

struct prefix {
	uint8_t family;
	uint8_t bytes[8]; /* of the address, zeros behind */
};

struct p2p_arrival {
	TAILQ_ENTRY(p2p_arrival) link;
	struct p2p_host *host;
	struct anyio_stream *raw;
	struct prefix prefix;
	struct anyio_cancel_scope scope; /* around the handshake */
	bool placed;
};

static struct prefix prefix_of(const struct anyio_stream *raw)
{
	struct anyio_address address;
	struct prefix prefix = { 0 };

	if (anyio_stream_remote_address(raw, &address) < 0)
		return prefix;
	prefix.family = (uint8_t)address.any.sa_family;
	if (prefix.family == AF_INET)
		memcpy(prefix.bytes, &address.ip4.sin_addr, sizeof address.ip4.sin_addr);
	else if (prefix.family == AF_INET6)
		memcpy(prefix.bytes, &address.ip6.sin6_addr, sizeof prefix.bytes);
	return prefix;
}

/* ---- places ---- */

static int take_place(struct p2p_arrival *arrival)
{
	struct p2p_account *transient = &arrival->host->transient;
	int rc = p2p_account_add_connection(transient, true);

	if (rc < 0)
		return rc;
	rc = p2p_account_charge(transient, P2P_NOISE_HANDSHAKE_MAX);
	if (rc < 0) {
		p2p_account_drop_connection(transient, true);
		return rc;
	}
	arrival->placed = true;
	TAILQ_INSERT_TAIL(&arrival->host->arrivals, arrival, link);
	return 0;
}

static void leave_place(struct p2p_arrival *arrival)
{
	struct p2p_account *transient = &arrival->host->transient;

	if (!arrival->placed)
		return;
	arrival->placed = false;
	TAILQ_REMOVE(&arrival->host->arrivals, arrival, link);
	p2p_account_release(transient, P2P_NOISE_HANDSHAKE_MAX);
	p2p_account_drop_connection(transient, true);
}

static size_t count_prefix(const struct p2p_host *host, const struct prefix *prefix)
{
	const struct p2p_arrival *each;
	size_t count = 0;

	TAILQ_FOREACH (each, &host->arrivals, link)
		count += memcmp(&each->prefix, prefix, sizeof *prefix) == 0;
	return count;
}

/* The oldest of the most crowded prefix; the newcomer counts, so that one of its own goes when it
 * is as crowded as any. NULL when nobody is here. */
static struct p2p_arrival *find_crowder(struct p2p_host *host, const struct prefix *newcomer)
{
	struct p2p_arrival *each, *found = NULL;
	size_t most = 0;

	TAILQ_FOREACH (each, &host->arrivals, link) {
		bool same = memcmp(&each->prefix, newcomer, sizeof *newcomer) == 0;
		size_t count = count_prefix(host, &each->prefix) + same;

		if (count > most) {
			most = count;
			found = each;
		}
	}
	return found;
}

/* ---- the handshake ---- */

/* It has a task of its own because it needs a deep stack, for a moment. */
static int arrival_task(void *arg)
{
	struct p2p_arrival *arrival = arg;
	struct p2p_host *host = arrival->host;
	struct p2p_noise_result secured;
	struct mf_multiaddr remote;
	int rc;

	p2p_tcp_remote(arrival->raw, &remote);
	anyio_cancel_scope_enter(&arrival->scope);
	rc = p2p_upgrade(host, arrival->raw, false, NULL, &secured);
	rc = anyio_cancel_scope_exit(&arrival->scope, rc);
	leave_place(arrival);
	anyio_free(arrival);
	if (secured.channel)
		rc = p2p_connection_start(host, &secured, true, &remote);
	return rc == ANYIO_CANCELLED ? rc : 0;
}

void p2p_arrive(struct p2p_host *host, struct anyio_stream *raw)
{
	struct p2p_arrival *arrival = anyio_calloc(1, sizeof *arrival), *crowder;

	if (!arrival)
		goto refused;
	arrival->host = host;
	arrival->raw = raw;
	arrival->prefix = prefix_of(raw);
	anyio_cancel_scope_init(&arrival->scope);
	if (take_place(arrival) < 0) {
		crowder = find_crowder(host, &arrival->prefix);
		if (!crowder)
			goto refused;
		leave_place(crowder);
		anyio_cancel_scope_cancel(&crowder->scope, "its place is wanted");
		if (take_place(arrival) < 0)
			goto refused;
	}
	if (anyio_try_start_soon(host->group, arrival_task, arrival, "arrival") == 0)
		return;
	leave_place(arrival);
refused:
	anyio_free(arrival);
	anyio_stream_free(raw);
}
