#include "tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_SIZE = 256 };

struct parts {
	struct mf_multiaddr_part host, port;
	bool more; /* a /p2p behind */
};

static int take_apart(const struct mf_multiaddr *address, struct parts *parts)
{
	struct mf_multiaddr_part rest;
	size_t at = 0;

	if (!mf_multiaddr_next(address, &at, &parts->host) ||
		!mf_multiaddr_next(address, &at, &parts->port) || parts->port.code != MF_P_TCP)
		return -EINVAL;
	switch (parts->host.code) {
	case MF_P_IP4:
	case MF_P_IP6:
	case MF_P_DNS:
	case MF_P_DNS4:
	case MF_P_DNS6: break;
	default: return -EINVAL;
	}
	parts->more = mf_multiaddr_next(address, &at, &rest);
	if (!parts->more)
		return 0;
	return rest.code == MF_P_P2P && !mf_multiaddr_next(address, &at, &rest) ? 0 : -EINVAL;
}

bool p2p_tcp_fits(const struct mf_multiaddr *address)
{
	struct parts parts;

	return take_apart(address, &parts) == 0;
}

static int to_address(const struct mf_multiaddr *multiaddr, struct anyio_address *address)
{
	int transport = mf_multiaddr_to_sockaddr(multiaddr, &address->storage, &address->len);

	return transport == MF_P_TCP ? 0 : -EINVAL;
}

static int dial_family(const char *name, uint16_t port, int family, struct anyio_stream **raw)
{
	struct anyio_address *addresses;
	size_t count;
	int rc = anyio_getaddrinfo(name, port, family, &addresses, &count);

	if (rc < 0)
		return rc;
	rc = -ENOENT;
	for (size_t i = 0; i < count; i++) {
		rc = anyio_connect_address(&addresses[i], raw);
		if (rc == 0 || rc == ANYIO_CANCELLED)
			break;
	}
	free(addresses);
	return rc;
}

static int dial_name(const struct parts *parts, struct anyio_stream **raw)
{
	uint16_t port = (uint16_t)(parts->port.value[0] << 8 | parts->port.value[1]);
	char name[NAME_MAX_SIZE];

	if (parts->host.len >= sizeof name)
		return -EINVAL;
	memcpy(name, parts->host.value, parts->host.len);
	name[parts->host.len] = 0;
	switch (parts->host.code) {
	case MF_P_DNS4: return dial_family(name, port, AF_INET, raw);
	case MF_P_DNS6: return dial_family(name, port, AF_INET6, raw);
	default: return anyio_connect_tcp(name, port, raw);
	}
}

int p2p_tcp_dial(const struct mf_multiaddr *multiaddr, struct anyio_stream **raw)
{
	struct anyio_address address;
	struct parts parts;
	int rc = take_apart(multiaddr, &parts);

	if (rc < 0)
		return rc;
	if (parts.host.code != MF_P_IP4 && parts.host.code != MF_P_IP6)
		return dial_name(&parts, raw);
	rc = to_address(multiaddr, &address);
	return rc < 0 ? rc : anyio_connect_address(&address, raw);
}

int p2p_tcp_listen(const struct mf_multiaddr *multiaddr, struct anyio_listener **listener)
{
	struct anyio_address address;
	struct parts parts;
	int rc = take_apart(multiaddr, &parts);

	if (rc == 0 && parts.more)
		rc = -EINVAL;
	if (rc == 0)
		rc = to_address(multiaddr, &address);
	if (rc < 0)
		return rc;
	return anyio_listen_address(
		&address, &(struct anyio_listen_options){ .v6_only = true }, listener);
}

void p2p_tcp_remote(const struct anyio_stream *raw, struct mf_multiaddr *multiaddr)
{
	struct anyio_address address;

	multiaddr->len = 0;
	if (anyio_stream_remote_address(raw, &address) == 0)
		mf_multiaddr_from_sockaddr(multiaddr, &address.any, MF_P_TCP);
}
