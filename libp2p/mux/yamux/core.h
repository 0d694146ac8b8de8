/*
 * A yamux session as a pure state machine: bytes of the peer go in and become calls of hooks,
 * control frames to send come out. No I/O, no tasks, no clock of its own; what it allocates is the
 * table of streams.
 *
 * Windows. A stream's receive side obeys
 *	recv_window + buffered <= recv_max
 * where recv_window is what the peer may still send and buffered what has arrived and was not yet
 * taken. Credit is given back only when it comes to half of recv_max or more, so that updates do
 * not follow every read; if a whole round of that took less than four round trips the window limits
 * the speed, and recv_max doubles (as go-yamux does).
 *
 * Control frames are never queued as bytes: a stream that has something to say is put on a list
 * once, and what it has to say is worked out when it is written. So a peer that does not read
 * cannot make the queue grow. Only refusals and echoes are remembered as such, a fixed number of
 * them.
 */
#ifndef LIBP2P_YAMUX_CORE_H
#define LIBP2P_YAMUX_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <anyio/run.h>

#include "frame.h"

enum {
	P2P_YAMUX_UNACKED_MAX = 256, /* streams begun and not yet accepted, each way */
	P2P_YAMUX_DATA_MAX =
		65507, /* most data in a frame of ours: with its header one Noise message */
	P2P_YAMUX_ECHOES_MAX = 16, /* answers owed and unsent, then the peer is cut off */
	P2P_YAMUX_REFUSALS_MAX = 256,
};

struct p2p_yamux;

/* Embedded in the owner's stream; the owner's storage. */
struct p2p_yamux_stream {
	uint32_t id;
	uint16_t say;                      /* flags to go out with the next frame */
	bool local_fin, remote_fin, reset; /* local_fin: asked for; it may still be in `say` */
	bool acked;                        /* the peer, or we, accepted the stream */
	bool listed, attached;             /* on the control list; in the table */
	bool credit_due;
	uint32_t send_window; /* bytes we may send */
	uint32_t recv_window; /* bytes the peer may send */
	uint32_t recv_max;
	size_t buffered;  /* bytes delivered to the owner and not reported as taken */
	anyio_time epoch; /* when credit was last given */
	struct p2p_yamux_stream *next_in_bucket, *next_listed;
};

/* What the owner does. None may wait; none may call p2p_yamux_input. */
struct p2p_yamux_hooks {
	/* A stream of the peer's: returns its storage, initialised by p2p_yamux_stream_init, or
	 * NULL to refuse it. */
	struct p2p_yamux_stream *(*opened)(void *owner, uint32_t id);
	/* Bytes of a stream, inside what was given to p2p_yamux_input. A negative code resets it.
	 */
	int (*data)(void *owner, struct p2p_yamux_stream *stream, const uint8_t *data, size_t len);
	/* Something changed: remote_fin, reset, acked, or send_window grew. */
	void (*changed)(void *owner, struct p2p_yamux_stream *stream);
	/* The stream is over both ways and out of the table. */
	void (*detached)(void *owner, struct p2p_yamux_stream *stream);
	/* Whether recv_max may grow by so many bytes: 0, or a negative code. */
	int (*grow)(void *owner, struct p2p_yamux_stream *stream, uint32_t by);
	/* Our ping came back. */
	void (*pong)(void *owner, uint32_t value);
};

struct p2p_yamux {
	const struct p2p_yamux_hooks *hooks;
	void *owner;
	bool client;
	bool going, gone;    /* we, the peer, said go away */
	uint32_t window_max; /* recv_max never grows over it */
	uint32_t next_id;
	uint32_t go_away_reason; /* to say, when `going` */
	bool go_away_said;
	anyio_time rtt; /* 0: unknown, windows do not grow; set by the owner */

	struct p2p_yamux_stream **buckets; /* NULL until the first stream */
	size_t bucket_count, stream_count;
	uint32_t unacked_in, unacked_out;

	struct p2p_yamux_stream *listed_first, **listed_last;
	bool ping_wanted;
	uint8_t echo_count;
	uint32_t ping_value, echoes[P2P_YAMUX_ECHOES_MAX];
	uint32_t *refusals; /* stream ids to reset that have no storage; NULL when none */
	uint32_t refusal_count;
	bool overrun; /* an answer had no place: the session is to end */

	uint8_t header[P2P_YAMUX_HEADER];
	uint8_t header_len;
	uint32_t body_left; /* of the current data frame */
	uint16_t body_flags;
	struct p2p_yamux_stream *body_stream; /* NULL: discard */
};

void p2p_yamux_init(struct p2p_yamux *core, bool client, uint32_t window_max,
	const struct p2p_yamux_hooks *hooks, void *owner);
/* Detaches every stream and frees the table. */
void p2p_yamux_destroy(struct p2p_yamux *core);

void p2p_yamux_stream_init(struct p2p_yamux_stream *stream);

/* Takes all of data. 0, or a negative code that ends the session: -EPROTO (say go away with
 * P2P_YAMUX_PROTOCOL_ERROR and close), -ENOMEM, ANYIO_TOO_MANY (floods). */
int p2p_yamux_input(struct p2p_yamux *core, const uint8_t *data, size_t len);

/* Whether p2p_yamux_control would write anything. */
bool p2p_yamux_has_control(const struct p2p_yamux *core);
/* Writes as many whole control frames as fit. Returns the bytes written, 0 when there are none. */
size_t p2p_yamux_control(struct p2p_yamux *core, uint8_t *out, size_t cap);

/* Begins a stream of ours; nothing is sent before its first frame. ANYIO_TOO_MANY: too many are
 * unaccepted; ANYIO_CLOSED: going away; -ENOMEM. */
int p2p_yamux_open(struct p2p_yamux *core, struct p2p_yamux_stream *stream);
/* Makes the header of a data frame of at most `want` bytes and takes them from the window. Returns
 * the bytes the frame holds, 0 when the window is empty. Not after local_fin or reset. */
size_t p2p_yamux_data(struct p2p_yamux *core, struct p2p_yamux_stream *stream, size_t want,
	uint8_t header[P2P_YAMUX_HEADER]);
/* The owner took len buffered bytes at time now. */
void p2p_yamux_taken(
	struct p2p_yamux *core, struct p2p_yamux_stream *stream, size_t len, anyio_time now);
/* Lets unsaid flags (SYN, ACK) go out although there is no data to carry them. */
void p2p_yamux_announce(struct p2p_yamux *core, struct p2p_yamux_stream *stream);
void p2p_yamux_finish(struct p2p_yamux *core, struct p2p_yamux_stream *stream);
/* Resets and detaches. Idempotent. */
void p2p_yamux_reset(struct p2p_yamux *core, struct p2p_yamux_stream *stream);
void p2p_yamux_ping(struct p2p_yamux *core, uint32_t value);
void p2p_yamux_go_away(struct p2p_yamux *core, enum p2p_yamux_go_away reason);

/* For the owner's sweeps: the stream after `stream` in no particular order; NULL begins and ends.
 */
struct p2p_yamux_stream *p2p_yamux_next(
	const struct p2p_yamux *core, const struct p2p_yamux_stream *stream);

#endif
