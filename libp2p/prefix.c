/*
 * Where connections come from, as far as that tells strangers apart: one can have many identities
 * and many addresses of one IPv6 network, but hardly many prefixes. Each is a party to the host's
 * two bounds on what comes in (see resource.h): handshakes, and connections.
 *
 * No prefix has a bound of its own: many honest peers may share an address (a NAT, loopback).
 */
#include <string.h>

#include <anyio/memory.h>

#include "swarm.h"

static void read_bytes(const struct anyio_stream *raw, uint8_t bytes[P2P_PREFIX_BYTES])
{
	struct anyio_address address;

	memset(bytes, 0, P2P_PREFIX_BYTES);
	if (anyio_stream_remote_address(raw, &address) < 0)
		return;
	bytes[0] = (uint8_t)address.any.sa_family;
	if (address.any.sa_family == AF_INET)
		memcpy(bytes + 1, &address.ip4.sin_addr, sizeof address.ip4.sin_addr);
	else if (address.any.sa_family == AF_INET6)
		memcpy(bytes + 1, &address.ip6.sin6_addr, P2P_PREFIX_BYTES - 1);
}

struct p2p_prefix *p2p_prefix_of(struct p2p_host *host, const struct anyio_stream *raw)
{
	uint8_t bytes[P2P_PREFIX_BYTES];
	struct p2p_prefix *prefix = host->prefixes;

	read_bytes(raw, bytes);
	while (prefix && memcmp(prefix->bytes, bytes, sizeof bytes) != 0)
		prefix = prefix->next;
	if (prefix)
		return p2p_prefix_hold(prefix);
	prefix = anyio_calloc(1, sizeof *prefix);
	if (!prefix)
		return NULL;
	prefix->host = host;
	memcpy(prefix->bytes, bytes, sizeof bytes);
	p2p_account_init(&prefix->arrivals, &host->transient, &p2p_no_limit);
	p2p_account_init(&prefix->connections, &host->inbound, &p2p_no_limit);
	prefix->next = host->prefixes;
	host->prefixes = prefix;
	return p2p_prefix_hold(prefix);
}

struct p2p_prefix *p2p_prefix_hold(struct p2p_prefix *prefix)
{
	prefix->refs++;
	return prefix;
}

void p2p_prefix_drop(struct p2p_prefix *prefix)
{
	struct p2p_prefix **at = &prefix->host->prefixes;

	if (--prefix->refs > 0)
		return;
	while (*at != prefix)
		at = &(*at)->next;
	*at = prefix->next;
	p2p_account_end(&prefix->arrivals);
	p2p_account_end(&prefix->connections);
	anyio_free(prefix);
}
