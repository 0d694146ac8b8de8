/*
 * The insides of a host: peers, their connections, and who is told. Private to the files of this
 * folder and to protocol/identify.c, which fills in what a peer says about itself.
 *
 * Lifetimes. A connection lives while its task runs or a stream of it exists (`refs`); its account
 * is the parent of its streams' accounts. A peer lives while it has a connection record, a dial, or
 * remembered addresses.
 */
#ifndef LIBP2P_SWARM_H
#define LIBP2P_SWARM_H

#include <libp2p/host.h>
#include <multiformats/multiaddr.h>
#include <multiformats/pb.h>

#include "mux/yamux/yamux.h"
#include "security/noise/noise.h"

enum {
	P2P_PEERS_REMEMBERED_MAX = 1024,  /* without a connection */
	P2P_REMEMBERED_MAX = 16,          /* addresses kept a peer */
	P2P_CONNECTION_COST = 16 * 1024,  /* charged for a bare one, bytes */
	P2P_STREAMS_PER_PROTOCOL_MAX = 2, /* of ping, identify and push, inbound, a connection */
	P2P_PREFIX_BYTES = 1 + 8,         /* family, and an IPv4 address or a /64 of IPv6 */
};

struct p2p_connection;
struct p2p_dial;

struct p2p_peer_entry {
	struct mf_peer_id id;
	struct p2p_host *host;
	struct p2p_account account;
	unsigned refs;                      /* connections, also ended ones with streams left */
	struct p2p_connection *connections; /* open ones, newest first */
	struct p2p_dial *dial;              /* under way */
	struct p2p_peer_entry *next;        /* in its bucket */
	bool identified;
	char *agent;
	char *protocols; /* texts one after the other, an empty one ends */
	char *addresses; /* the same, remembered */
	anyio_time remembered;
};

/* Lives while something that came from there does. */
struct p2p_prefix {
	struct p2p_prefix *next;
	struct p2p_host *host;
	uint8_t bytes[P2P_PREFIX_BYTES];
	unsigned refs;
	struct p2p_account arrivals, connections;
};

struct p2p_connection {
	struct p2p_host *host;
	struct p2p_peer_entry *peer;
	struct p2p_prefix *prefix;         /* it came in from there; NULL: dialled */
	struct p2p_connection *next;       /* of the peer */
	struct p2p_channel *channel;       /* until the session has it */
	struct p2p_yamux_session *session; /* NULL once over */
	struct p2p_account account;
	struct p2p_account place;       /* among those that came in */
	bool charged;                   /* to both */
	struct anyio_task_group *group; /* on the task's stack; NULL once over */
	struct anyio_event identified;  /* or over */
	char *address;
	anyio_time since;
	unsigned refs;
	bool ending;        /* cancelled, and not to be used any more */
	uint64_t said;      /* the sequence of what identify last said here; 0: nothing */
	uint8_t serving[3]; /* streams of the protocols that are limited */
};

struct p2p_handler_entry {
	struct p2p_handler_entry *next;
	p2p_handler handler;
	void *arg;
	unsigned refs; /* the registration and the streams being served */
	char id[];
};

struct p2p_listener {
	struct p2p_listener *next;
	struct p2p_host *host;
	struct anyio_listener *listener;
};

struct p2p_host {
	struct p2p_host_options options;
	struct p2p_key key;
	struct mf_peer_id id;
	char *agent;
	struct p2p_noise noise;
	struct p2p_limit system_limit; /* without that of `inbound` */
	struct p2p_account system;     /* its parties are peers */
	struct p2p_account transient;  /* what came in and is in its handshake, by prefix */
	struct p2p_account inbound;    /* connections that came in, by prefix */
	struct p2p_prefix *prefixes;
	struct anyio_task_group *group; /* of p2p_host_run; NULL outside it */
	bool closing;
	struct p2p_listener *listeners;
	struct p2p_handler_entry *handlers;
	struct p2p_watch *watches;
	struct p2p_peer_entry **buckets;
	size_t bucket_count, peer_count, connection_count;
	bool push_started;
	uint64_t record_sequence; /* of our signed peer record */
};

/* ---- peers.c ---- */
struct p2p_peer_entry *p2p_peer_find(const struct p2p_host *host, const struct mf_peer_id *id);
struct p2p_peer_entry *p2p_peer_make(
	struct p2p_host *host, const struct mf_peer_id *id); /* NULL: memory */
/* Forgets the peer if nothing needs it any more. */
void p2p_peer_settle(struct p2p_peer_entry *peer);
void p2p_peers_destroy(struct p2p_host *host);
/* Iteration: NULL begins and ends. */
struct p2p_peer_entry *p2p_peer_next(
	const struct p2p_host *host, const struct p2p_peer_entry *peer);
bool p2p_peer_speaks(const struct p2p_peer_entry *peer, const char *protocol);
/* Copies texts into one block as protocols and addresses have it. NULL: no memory. */
char *p2p_texts_pack(const struct mf_pb_view *texts, size_t count);
/* Forgets what was remembered too long ago, and the oldest over the limit. */
void p2p_peers_expire(struct p2p_host *host);

/* ---- upgrade.c ---- */
/* Raw stream to secured channel and muxer, within 15 s. Takes raw over, also when it fails. */
int p2p_upgrade(struct p2p_host *host, struct anyio_stream *raw, bool initiator,
	const struct mf_peer_id *expected, struct p2p_noise_result *result);

/* ---- prefix.c ---- */
/* Held for the caller; NULL: no memory. */
struct p2p_prefix *p2p_prefix_of(struct p2p_host *host, const struct anyio_stream *raw);
struct p2p_prefix *p2p_prefix_hold(struct p2p_prefix *prefix);
void p2p_prefix_drop(struct p2p_prefix *prefix);

/* ---- arrival.c ---- */
/* A handler (anyio/serve.h): secures a connection that came in and starts it, or closes it. */
int p2p_arrive(struct anyio_stream *raw, void *host);

/* ---- connection.c ---- */
/* Starts the connection's task. prefix: where it came from, NULL when it was dialled. Takes the
 * channel over, also when it fails. */
int p2p_connection_start(struct p2p_host *host, const struct p2p_noise_result *secured,
	struct p2p_prefix *prefix, const struct mf_multiaddr *remote);
/* The connection to use for new streams, or NULL. */
struct p2p_connection *p2p_connection_of(const struct p2p_host *host, const struct mf_peer_id *id);
void p2p_connection_hold(struct p2p_connection *connection);
void p2p_connection_drop(struct p2p_connection *connection);
void p2p_connection_cancel(struct p2p_connection *connection, const char *reason);
void p2p_tell_identified(struct p2p_host *host, const struct mf_peer_id *id);

/* ---- streams.c ---- */
#define P2P_NEGOTIATION_TIMEOUT (10 * ANYIO_SECOND) /* until a protocol is agreed on */
/* A stream on this very connection. */
int p2p_connection_open_stream(struct p2p_connection *connection, const char *const *protocols,
	size_t count, struct anyio_stream **stream, const char **chosen);

/* ---- handlers.c ---- */
/* yamux's accept: spawns the task that serves the stream. */
int p2p_stream_accept(void *connection, struct p2p_mux_stream *stream);
struct p2p_handler_entry *p2p_handler_find(const struct p2p_host *host, const char *id);
/* The connection that an inbound stream came on. */
struct p2p_connection *p2p_stream_connection(const struct p2p_stream_in *in);

/* ---- protocol/identify.c ---- */
int p2p_identify_register(struct p2p_host *host);
/* A task: asks the peer who it is. arg: the connection. */
int p2p_identify_task(void *connection);
/* Soon tells every peer what we now speak and where we listen. */
void p2p_identify_changed(struct p2p_host *host);

/* ---- protocol/ping.c, perf.c ---- */
int p2p_ping_register(struct p2p_host *host);
int p2p_perf_register(struct p2p_host *host);

#endif
