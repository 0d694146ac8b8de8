/*
 * The resource budget: memory, connections and streams, charged to a tree of accounts: the system,
 * then peer, connection, stream. A charge is taken from an account and all above it, or from none.
 *
 * Who gives way. A bound below the root is one party's own: who reaches it is refused. The bound of
 * the root is shared by parties who do not know each other (each account directly below it is one:
 * a peer, or a prefix of addresses), and a stranger who sits there must not fill it for all others.
 * So when the root is full somebody gives way: the party that holds most of what is short, the
 * newcomer's counted with what it asks for, and of that party the account that was unused the
 * longest. Where several hold the most it is the newcomer's party, if that is one of them and has
 * something to give, else the one unused the longest. A crowd thus pushes itself out and nobody
 * else, and as long as nobody else wants it one party may have it all. The newcomer is refused only
 * when its party alone would hold the most and has nothing else to give.
 *
 * Who gives way is no longer counted from that moment on, and is unwound in the turns that follow.
 *
 * One loop's; nothing here waits.
 */
#ifndef LIBP2P_RESOURCE_H
#define LIBP2P_RESOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <anyio/error.h>
#include <anyio/run.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What one account may hold. 0 in options means the default of that account. */
struct p2p_limit {
	uint64_t memory; /* bytes */
	uint32_t connections, connections_in;
	uint32_t streams, streams_in;
};

/* Of an account that only the root limits. */
ANYIO_API extern const struct p2p_limit p2p_no_limit;

/* Zero fields are go-libp2p's defaults, the system's scaled by a quarter of the machine's memory. Of
 * the descriptors that the process may open its connections take three eighths at most, and
 * handshakes one; clients of an API and files have the other half. */
struct p2p_limits {
	struct p2p_limit system;
	struct p2p_limit
		transient; /* connections that came in and are still in their handshake, all
	                             * together; beside the system's */
	struct p2p_limit peer;
	struct p2p_limit connection; /* memory and streams of one connection */
	struct p2p_limit stream;     /* memory of one stream */
};

/* Fills every field that is zero. */
ANYIO_API void p2p_limits_default(struct p2p_limits *limits);

struct p2p_account {
	struct p2p_account *parent;    /* NULL for the root */
	const struct p2p_limit *limit; /* borrowed */
	struct p2p_limit used;
	/* Set by the owner of an account that can give way: makes it give back, before it returns, all
	 * that is charged to it. NULL: it never gives way. */
	void (*give_way)(struct p2p_account *account);
	anyio_time last_use; /* of it or one below it, see p2p_account_use */
	struct p2p_account *first_child, *next, **link;
};

ANYIO_API void p2p_account_init(
	struct p2p_account *account, struct p2p_account *parent, const struct p2p_limit *limit);
/* Takes it out of the tree. Nothing is charged to it, and no account is below it. */
ANYIO_API void p2p_account_end(struct p2p_account *account);
/* It is used now, or counts as used until a time to come. For those that can give way. */
ANYIO_API void p2p_account_use(struct p2p_account *account, anyio_time when);

/* Takes bytes. ANYIO_TOO_MANY when this account or one above it would go over its limit and nobody
 * gives way; when somebody does, other accounts may be gone on return, never this one. */
ANYIO_API int p2p_account_charge(struct p2p_account *account, size_t bytes);
/* The same, but nobody gives way to it. */
ANYIO_API int p2p_account_charge_spare(struct p2p_account *account, size_t bytes);
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
