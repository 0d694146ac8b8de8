/* TCP over IPv4 and IPv6, by number or by name. */
#ifndef LIBP2P_TCP_H
#define LIBP2P_TCP_H

#include <anyio/anyio.h>
#include <multiformats/multiaddr.h>

/* Whether the address is one of this transport's: /ip4 /ip6 /dns /dns4 /dns6, /tcp, and at most a
 * /p2p. */
bool p2p_tcp_fits(const struct mf_multiaddr *address);
/* Connects. -EINVAL when it does not fit; errors of name resolution and of the kernel. */
int p2p_tcp_dial(const struct mf_multiaddr *address, struct anyio_stream **raw);
/* -EINVAL for names and everything else that is not /ip4 or /ip6 and /tcp. */
int p2p_tcp_listen(const struct mf_multiaddr *address, struct anyio_listener **listener);
/* The other end of a connection, /ip4/.../tcp/...; empty when it is not known. */
void p2p_tcp_remote(const struct anyio_stream *raw, struct mf_multiaddr *address);

#endif
