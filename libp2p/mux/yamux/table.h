#ifndef LIBP2P_YAMUX_TABLE_H
#define LIBP2P_YAMUX_TABLE_H

#include "core.h"

int p2p_yamux_table_add(struct p2p_yamux *core, struct p2p_yamux_stream *stream); /* -ENOMEM */
struct p2p_yamux_stream *p2p_yamux_table_find(const struct p2p_yamux *core, uint32_t id);
void p2p_yamux_table_remove(struct p2p_yamux *core, struct p2p_yamux_stream *stream);

/* The list of streams that have a control frame to send. Both idempotent. */
void p2p_yamux_list(struct p2p_yamux *core, struct p2p_yamux_stream *stream);
void p2p_yamux_unlist(struct p2p_yamux *core, struct p2p_yamux_stream *stream);

/* Takes the stream out of the session; the owner may free it in `detached`. Idempotent. */
void p2p_yamux_detach(struct p2p_yamux *core, struct p2p_yamux_stream *stream);
/* Remembers to send a reset for an id that has no storage. */
void p2p_yamux_refuse(struct p2p_yamux *core, uint32_t id);

#endif
