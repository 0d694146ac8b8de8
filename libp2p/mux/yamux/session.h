/* What session.c and stream.c share. */
#ifndef LIBP2P_YAMUX_SESSION_H
#define LIBP2P_YAMUX_SESSION_H

#include "yamux.h"

struct p2p_yamux_session {
	struct p2p_yamux core;
	struct p2p_yamux_options options;
	struct p2p_channel *channel;
	struct anyio_lock sending;
	bool dead;          /* no more of anything */
	bool flush_started; /* a flushing task was spawned and has not begun to send */
	unsigned users;     /* tasks inside, that may wait; run() ends when they have left */
	unsigned quick;     /* operations since the last one that waited or yielded */
	struct anyio_event left;
	anyio_time ping_sent; /* 0: none outstanding */
	uint32_t ping_value;
	uint8_t missed; /* ticks since the ping outstanding */
	bool heard;     /* something came since the last tick */
	uint64_t received, sent;
};

/* Data that arrived before anybody asked. */
struct p2p_mux_chunk {
	struct p2p_mux_chunk *next;
	uint32_t start, end, size;
	uint8_t data[];
};

struct p2p_mux_stream {
	struct anyio_stream base;
	struct p2p_yamux_stream core;
	struct p2p_yamux_session *session; /* NULL once detached */
	struct p2p_account account;
	struct anyio_event readable, writable;
	uint8_t *wait_buffer; /* of the task that waits to receive; NULL: none */
	size_t wait_size, wait_filled;
	bool inbound, receiving, sending;
	bool counted;                       /* charged to the account, or may be */
	struct anyio_cancel_scope *serving; /* NULL: none */
	void *owner;                        /* options.owner, also after the session is gone */
	void (*drop)(void *owner);
	bool closed; /* by us */
	bool freed;  /* the owner is gone; the session frees it when it is over */
	bool swept;  /* closed here and met by one tick already */
	size_t held; /* bytes of chunks */
	size_t charged;
	struct p2p_mux_chunk *first, *last;
};

static inline struct p2p_mux_stream *p2p_mux_of(struct p2p_yamux_stream *core)
{
	return (struct p2p_mux_stream *)((char *)core - offsetof(struct p2p_mux_stream, core));
}

extern const struct p2p_yamux_hooks p2p_mux_hooks;
/* NULL: no memory, or the account has no room for a stream. */
struct p2p_mux_stream *p2p_mux_create(struct p2p_yamux_session *session, bool inbound);
void p2p_mux_release(struct p2p_mux_stream *stream);

/* Entering and leaving the session around whatever may wait. enter fails with ANYIO_BROKEN. */
int p2p_yamux_enter(struct p2p_yamux_session *session);
void p2p_yamux_leave(struct p2p_yamux_session *session);

/* Sees to it that control frames and unsent bytes go out soon. Never waits. */
void p2p_yamux_kick(struct p2p_yamux_session *session);
/* Sends frames of up to `want` bytes of the list, with control frames before them, by the caller,
 * who is inside the session. *taken says how many bytes are on their way for certain, whatever is
 * returned. */
int p2p_yamux_send(struct p2p_yamux_session *session, struct p2p_mux_stream *stream,
	const struct iovec *iov, int count, size_t *taken);
/* The connection is unusable. */
void p2p_yamux_break(struct p2p_yamux_session *session);
/* An operation that did not have to wait yields now and then. */
void p2p_yamux_pass(struct p2p_yamux_session *session);

#endif
