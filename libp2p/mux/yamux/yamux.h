/*
 * Yamux over a secured channel.
 *
 * One task reads (p2p_yamux_run): it parses frames where they were decrypted and copies data
 * straight into the buffer of the task that waits for it, else into the stream's queue. It never
 * sends. Who sends holds the session's lock: senders of data, and a short-lived task for control
 * frames when no sender is there to take them along. A sender that is cancelled while the socket is
 * full leaves sealed bytes behind; that task sends them.
 */
#ifndef LIBP2P_YAMUX_H
#define LIBP2P_YAMUX_H

#include <anyio/anyio.h>
#include <libp2p/resource.h>

#include "../../security/channel.h"
#include "core.h"

#define P2P_YAMUX_PROTOCOL "/yamux/1.0.0"

struct p2p_yamux_session;
struct p2p_mux_stream;

struct p2p_yamux_options {
	bool client;                 /* dialled */
	struct p2p_account *account; /* the connection's: alive as long as a stream is */
	const struct p2p_limit *stream_limit;
	struct anyio_task_group *group; /* for flushes; must outlive p2p_yamux_run */
	/* A stream of the peer's: takes it (0), or refuses it with a negative code. Must not wait.
	 */
	int (*accept)(void *owner, struct p2p_mux_stream *stream);
	/* A stream begins and ends to need the account. */
	void (*hold)(void *owner);
	void (*drop)(void *owner);
	void *owner;
};

/* Takes the channel over, also when it fails. -ENOMEM. */
int p2p_yamux_create(struct p2p_channel *channel, const struct p2p_yamux_options *options,
	struct p2p_yamux_session **session);

/* Reads until the connection ends or the task is cancelled: says go away if there is room for it. 0
 * when the peer or a tick ended it, else the reason. All streams are broken by then and nobody is
 * inside. */
int p2p_yamux_run(struct p2p_yamux_session *session);
/* After run. Streams stay as broken ones until they are freed. */
void p2p_yamux_free(struct p2p_yamux_session *session);

/* Once every keep-alive period: pings; closes when nothing came in a whole period with a ping unanswered, or
 * when it stays unanswered for three; resets streams closed here a period ago and never there. */
void p2p_yamux_tick(struct p2p_yamux_session *session);
/* Whether new streams have a chance. */
bool p2p_yamux_alive(const struct p2p_yamux_session *session);
anyio_time p2p_yamux_rtt(const struct p2p_yamux_session *session);
void p2p_yamux_counts(const struct p2p_yamux_session *session, uint64_t *received, uint64_t *sent,
	size_t *streams);

/* A new stream of ours, to be freed with anyio_stream_free. ANYIO_BROKEN, ANYIO_CLOSED: the peer
 * goes away; ANYIO_TOO_MANY: the budget, or too many that the peer has not accepted; -ENOMEM. */
int p2p_mux_open(struct p2p_yamux_session *session, struct p2p_mux_stream **stream);
struct anyio_stream *p2p_mux_stream_base(struct p2p_mux_stream *stream);
/* The scope around whatever is done for the stream, cancelled when it has to give way: whoever serves it
 * may wait for something else than the stream. NULL takes it off. */
void p2p_mux_set_serving(struct p2p_mux_stream *stream, struct anyio_cancel_scope *scope);

#endif
