/*
 * The resource budget: memory, connections and streams, charged to a tree of accounts: system, then
 * peer, connection, stream. A charge is taken from an account and all above it, or from none.
 * Who reaches a limit is closed; the node goes on.
 *
 * One loop's; nothing here waits.
 */
#ifndef LIBP2P_RESOURCE_H
#define LIBP2P_RESOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <anyio/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What one account may hold. 0 in options means the default of that account. */
struct p2p_limit {
	uint64_t memory; /* bytes */
	uint32_t connections, connections_in;
	uint32_t streams, streams_in;
};

/* Zero fields are go-libp2p's defaults, the system's scaled by a quarter of the machine's memory.
 */
struct p2p_limits {
	struct p2p_limit system;
	struct p2p_limit transient; /* connections still in their handshake, all together */
	struct p2p_limit peer;
	struct p2p_limit connection; /* memory and streams of one connection */
	struct p2p_limit stream;     /* memory of one stream */
};

/* Fills every field that is zero. */
ANYIO_API void p2p_limits_default(struct p2p_limits *limits);

struct p2p_account {
	struct p2p_account *parent;    /* NULL for the system */
	const struct p2p_limit *limit; /* borrowed */
	struct p2p_limit used;
};

ANYIO_API void p2p_account_init(
	struct p2p_account *account, struct p2p_account *parent, const struct p2p_limit *limit);

/* Takes bytes. ANYIO_TOO_MANY when this account or one above it would go over its limit. */
ANYIO_API int p2p_account_charge(struct p2p_account *account, size_t bytes);
ANYIO_API void p2p_account_release(struct p2p_account *account, size_t bytes);
/* The same for one connection or one stream. */
ANYIO_API int p2p_account_add_connection(struct p2p_account *account, bool inbound);
ANYIO_API void p2p_account_drop_connection(struct p2p_account *account, bool inbound);
ANYIO_API int p2p_account_add_stream(struct p2p_account *account, bool inbound);
ANYIO_API void p2p_account_drop_stream(struct p2p_account *account, bool inbound);

#ifdef __cplusplus
}
#endif
#endif
