/*
 * A libp2p host: it listens, dials, secures and multiplexes connections, tells who the peers are
 * and carries streams of named protocols.
 *
 * Structured: everything a host does lives in a task group of p2p_host_run, a task that the caller
 * starts in a group of its own. A host belongs to its loop: all functions are called from tasks of
 * that loop. Addresses are multiaddrs as text ("/ip4/127.0.0.1/tcp/4001/p2p/12D3..."); peers are
 * peer ids. Streams are anyio streams, so a protocol is straight-line code.
 *
 *	p2p_host_create(&(struct p2p_host_options){ .key = &key }, &host);
 *	anyio_start(&group, p2p_host_run, host, "host", NULL);
 *	p2p_host_listen(host, "/ip4/0.0.0.0/tcp/4001");
 *	...
 *	p2p_host_close(host);
 *	anyio_task_group_exit(&group, 0);
 *	p2p_host_free(host);
 */
#ifndef LIBP2P_HOST_H
#define LIBP2P_HOST_H

#include <anyio/anyio.h>
#include <libp2p/key.h>
#include <libp2p/resource.h>

#ifdef __cplusplus
extern "C" {
#endif

struct p2p_host;

enum {
	P2P_ADDRESS_MAX = 512,  /* longest multiaddr text with its NUL */
	P2P_PROTOCOL_MAX = 256, /* longest protocol id with its NUL */
	P2P_PROTOCOLS_PER_PEER = 1024,
	P2P_ADDRESSES_PER_PEER = 500,
};

struct p2p_host_options {
	const struct p2p_key *key; /* required; copied */
	const char *agent_version; /* who we say we are; NULL: nothing */
	struct p2p_limits limits;  /* zero fields: defaults */
	bool perf;                 /* serve /perf/1.0.0 */
	anyio_time keep_alive;     /* between pings of every connection; 0: 30 s */
};

/* Strings are copied. -EINVAL without a key, -ENOMEM. */
ANYIO_API int p2p_host_create(const struct p2p_host_options *options, struct p2p_host **host);

/* The host's task: spawn it with anyio_start; it calls anyio_started(NULL) once dialling, listening
 * and streams work, and returns when closed or cancelled, after every connection is gone.
 * Streams handed out must be freed by then or fail with ANYIO_CLOSED from then on. */
ANYIO_API int p2p_host_run(void *host);

/* Asks the host to end: GoAway on every connection, then everything is unwound and p2p_host_run
 * returns. Does not wait. Idempotent. */
ANYIO_API void p2p_host_close(struct p2p_host *host);
/* After p2p_host_run has returned, or if it never ran. Streams must be freed before. NULL is
 * allowed. */
ANYIO_API void p2p_host_free(struct p2p_host *host);

ANYIO_API const struct mf_peer_id *p2p_host_id(const struct p2p_host *host);

/* ---- addresses ---- */

/* Listens on /ip4 or /ip6 with /tcp/PORT (0: the kernel chooses). May be called several times.
 * -EINVAL for an address that cannot be listened on, else the kernel's error (-EADDRINUSE...). */
ANYIO_API int p2p_host_listen(struct p2p_host *host, const char *address);
/* Nobody can connect any more; the connections there are go on. */
ANYIO_API void p2p_host_stop_listening(struct p2p_host *host);

struct p2p_addresses {
	char **text; /* NUL-terminated multiaddrs */
	size_t count;
};
/* What we listen on, wildcards replaced by the addresses of the interfaces, without /p2p. -ENOMEM.
 */
ANYIO_API int p2p_host_addresses(struct p2p_host *host, struct p2p_addresses *addresses);
ANYIO_API void p2p_addresses_free(struct p2p_addresses *addresses);

/* ---- connections ---- */

/* Connects to a peer at any of the addresses (/ip4 /ip6 /dns /dns4 /dns6, /tcp/PORT, /p2p/ID or
 * not), tried in turn with a head start of 250 ms each. An open connection is reused; callers that
 * dial one peer at the same time share one dial. Waits until the connection is secured and
 * multiplexed (identify may still go on). peer NULL: whoever answers, or the /p2p of the addresses;
 * *found (may be NULL) says who it is, also with -EPERM. count 0: the addresses the host remembers for the peer.
 * -EINVAL: no address that can be dialled; -EPERM: another peer answered; -ENOENT: no address is
 * known; -ETIMEDOUT; ANYIO_TOO_MANY: the budget; ANYIO_CLOSED: the host is ending; the kernel's
 * errors. */
ANYIO_API int p2p_host_connect(struct p2p_host *host, const struct mf_peer_id *peer,
	const char *const *addresses, size_t count, struct mf_peer_id *found);

/* Closes all connections to the peer. -ENOTCONN when there was none. Does not wait. */
ANYIO_API int p2p_host_disconnect(struct p2p_host *host, const struct mf_peer_id *peer);
ANYIO_API bool p2p_host_connected(const struct p2p_host *host, const struct mf_peer_id *peer);

/* The peer was of use just now, by what it gave or took; counts as used for `ahead` longer. When
 * there are too many connections that came in, one gives way (see resource.h): of the most crowded
 * prefix the one longest without use. Only protocols know what use is, for a stranger can ping. */
ANYIO_API void p2p_host_used(
	struct p2p_host *host, const struct mf_peer_id *peer, anyio_time ahead);

struct p2p_peer {
	struct mf_peer_id id;
	char address[P2P_ADDRESS_MAX]; /* the remote end, without /p2p */
	bool inbound;
	bool identified;    /* identify has completed: agent and protocols are known */
	anyio_time latency; /* last round trip; 0: not measured yet */
	anyio_time since;   /* connected at */
	size_t streams;
	size_t memory;           /* bytes charged to the connection */
	uint64_t received, sent; /* bytes of application data, multiplexer headers included */
	char agent[128];         /* "" until identified */
};
/* One entry a connection. *peers is freed with anyio_free. -ENOMEM. */
ANYIO_API int p2p_host_peers(const struct p2p_host *host, struct p2p_peer **peers, size_t *count);

/* What all peers together have open now. */
struct p2p_host_statistics {
	size_t connections, connections_in; /* all of them, and those of them that came in */
	size_t streams, streams_in;
	uint64_t memory; /* bytes charged to them */
};
/* Does not wait. */
ANYIO_API void p2p_host_stat(const struct p2p_host *host, struct p2p_host_statistics *out);

/* Whether the peer said by identify that it speaks the protocol: 1 or 0; -EAGAIN before identify
 * has completed; -ENOTCONN. */
ANYIO_API int p2p_host_speaks(
	const struct p2p_host *host, const struct mf_peer_id *peer, const char *protocol);
/* Waits until identify has completed. -ENOTCONN when the connection is gone, or went. */
ANYIO_API int p2p_host_wait_identified(struct p2p_host *host, const struct mf_peer_id *peer);

/* Remembers addresses of a peer for an hour (bounded: the oldest peers without a connection go). */
ANYIO_API int p2p_host_remember(struct p2p_host *host, const struct mf_peer_id *peer,
	const char *const *addresses, size_t count);

/* Callbacks on the host's loop; they must not wait (start a task instead). Any may be NULL.
 * connected: the first connection to the peer; disconnected: the last one is gone; identified:
 * identify has completed or a push has changed what the peer speaks. A callback may unwatch itself,
 * no other. Caller-owned storage, in place until p2p_host_unwatch or the host's end. */
struct p2p_watch {
	void (*connected)(void *arg, const struct mf_peer_id *peer);
	void (*disconnected)(void *arg, const struct mf_peer_id *peer);
	void (*identified)(void *arg, const struct mf_peer_id *peer);
	void *arg;
	struct p2p_watch *next; /* the host's */
};
ANYIO_API void p2p_host_watch(struct p2p_host *host, struct p2p_watch *watch);
ANYIO_API void p2p_host_unwatch(struct p2p_host *host, struct p2p_watch *watch);

/* ---- streams ---- */

/* Opens a stream to a connected peer and settles on the first protocol both speak. With one
 * protocol that identify has promised, nothing is awaited: the first receive reports a refusal.
 * *chosen (may be NULL) points into protocols. The stream is to be freed: that closes it, both ways
 * at once; abort first resets it. Its errors: -ECONNRESET reset by the peer, ANYIO_BROKEN the
 * connection is gone, ANYIO_CLOSED closed on this side, -EPROTONOSUPPORT refused (late, see above).
 * Here: -ENOTCONN, -EPROTONOSUPPORT none of them, -ETIMEDOUT after 10 s, ANYIO_TOO_MANY. */
ANYIO_API int p2p_host_open_stream(struct p2p_host *host, const struct mf_peer_id *peer,
	const char *const *protocols, size_t count, struct anyio_stream **stream,
	const char **chosen);

/* An inbound stream, in a task of its own. */
struct p2p_stream_in {
	struct p2p_host *host;
	struct anyio_stream *stream; /* the host's: closed when the handler returns 0, reset when it
				      * returns an error */
	struct mf_peer_id peer;
	const char *protocol; /* as registered */
};
typedef int (*p2p_handler)(struct p2p_stream_in *in, void *arg);

/* Serves a protocol id. A handler's error ends its stream, never the host. Peers are told by
 * identify push. -EEXIST, -EINVAL for an id over P2P_PROTOCOL_MAX, -ENOMEM. */
ANYIO_API int p2p_host_handle(
	struct p2p_host *host, const char *protocol, p2p_handler handler, void *arg);
/* -ENOENT. Streams being served go on. */
ANYIO_API int p2p_host_unhandle(struct p2p_host *host, const char *protocol);
/* The ids that are served, the host's own included, in the order of registration; a NULL ends them.
 * *protocols is freed with anyio_free; the ids are the host's, each until it is unhandled. -ENOMEM.
 */
ANYIO_API int p2p_host_protocols(const struct p2p_host *host, const char ***protocols);

#ifdef __cplusplus
}
#endif
#endif
