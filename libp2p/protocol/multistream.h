/*
 * multistream-select (libp2p/specs connections) as a conversation. The caller sets the deadline.
 * Reads take exactly what belongs to the negotiation, so that data right behind it is left for the
 * protocol.
 */
#ifndef LIBP2P_MULTISTREAM_H
#define LIBP2P_MULTISTREAM_H

#include <anyio/stream.h>

#include "multistream_codec.h"

enum { P2P_MULTISTREAM_PROPOSALS_MAX = 64 };

/* Proposes in turn. Returns the index of the first that was accepted; -EPROTONOSUPPORT; -EPROTO for
 * an answer that is neither; errors of the stream. */
int p2p_multistream_select(struct anyio_stream *stream, const char *const *protocols, size_t count);

/* Answers until a proposal is found: find returns NULL for an unknown id, else what *found becomes.
 * 0, -EPROTO, -EPROTONOSUPPORT after P2P_MULTISTREAM_PROPOSALS_MAX refusals; errors of the stream.
 */
int p2p_multistream_answer(struct anyio_stream *stream,
	const void *(*find)(void *arg, const char *id), void *arg, const void **found);

#endif
