/* Streams whose protocol is proposed but not yet answered. Private to streams.c. */
#ifndef LIBP2P_EAGER_H
#define LIBP2P_EAGER_H

#include <anyio/stream.h>

/* Proposes the protocol on inner and wraps it: the first receive reports a refusal, as
 * -EPROTONOSUPPORT. *stream owns inner from then on; on an error inner is still the caller's:
 * -ENOMEM, or what sending gave. */
int p2p_eager_open(struct anyio_stream *inner, const char *protocol, struct anyio_stream **stream);

#endif
