/* Ping (libp2p/specs ping): /ipfs/ping/1.0.0. The host always answers. */
#ifndef LIBP2P_PING_H
#define LIBP2P_PING_H

#include <libp2p/host.h>

#ifdef __cplusplus
extern "C" {
#endif

#define P2P_PING_PROTOCOL "/ipfs/ping/1.0.0"

/* One round trip of 32 random bytes on a stream of its own; *rtt (may be NULL) in nanoseconds,
 * without the opening of the stream. Errors of p2p_host_open_stream and of streams; -EBADMSG when
 * other bytes came back; -ETIMEDOUT after 10 s. */
ANYIO_API int p2p_ping(struct p2p_host *host, const struct mf_peer_id *peer, anyio_time *rtt);

#ifdef __cplusplus
}
#endif
#endif
