/* Perf (libp2p/specs perf): /perf/1.0.0. Served only when the host's options say so. */
#ifndef LIBP2P_PERF_H
#define LIBP2P_PERF_H

#include <libp2p/host.h>

#ifdef __cplusplus
extern "C" {
#endif

#define P2P_PERF_PROTOCOL "/perf/1.0.0"

/* Sends upload bytes, then receives download bytes. Durations in nanoseconds may be NULL. Errors of
 * p2p_host_open_stream and of streams; -EBADMSG when another number of bytes came. */
ANYIO_API int p2p_perf(struct p2p_host *host, const struct mf_peer_id *peer, uint64_t upload,
	uint64_t download, anyio_time *upload_time, anyio_time *download_time);

#ifdef __cplusplus
}
#endif
#endif
