/*
 * The daemon's HTTP faces: Kubo's RPC under /api/v0, and metrics at /debug/metrics/prometheus.
 *
 * POST only, but for the metrics, which are read by GET. A request that carries an Origin or a Referer
 * from a browser is refused (403) unless that origin is allowed. The RPC rules the node: it listens on
 * loopback or a UNIX socket, and elsewhere only with a secret.
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

#include <anyio/anyio.h>
#include <kit/kit.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SERVE_LISTEN_MAX = 8 };

struct serve_rpc {
	struct kit_node *node;
	const char *const
		*listen; /* multiaddrs /ip4/../tcp/.. /ip6/../tcp/.. /unix/PATH; NULL-terminated */
	const char *const *origins; /* allowed ones ("http://localhost:3000"), or "*"; NULL: none */
	const char *secret; /* wanted as "Authorization: Bearer SECRET" or Basic; NULL: none */
	void (*shutdown)(void *arg); /* called for /api/v0/shutdown */
	/* Tells who runs the node of requests that hold up a stop, or were cut off by it: one sentence, with
	 * strangers' text in it. Must not wait; NULL: nobody is told. */
	void (*tell)(void *arg, const char *sentence);
	void *arg;
	/* Filled when it listens, before anyio_started: what it listens on, as multiaddrs with real
	 * ports; valid while it runs. */
	char addresses[SERVE_LISTEN_MAX][160];
	char error[256]; /* one sentence when it could not listen */
};

/* The body of a service: listens, calls anyio_started(NULL), and serves until it is asked to stop. Then it
 * closes its listeners and the connections on which nothing was asked for, and requests that are being
 * answered have the grace of the service; what is left is told of, here and to the client, and ended.
 * -EADDRINUSE; -EPERM for an address that is not loopback without a secret; -EINVAL for another kind of
 * multiaddr; -E2BIG for more than SERVE_LISTEN_MAX. */
int serve_rpc_run(struct anyio_service *service, void *rpc);

#ifdef __cplusplus
}
#endif
#endif
