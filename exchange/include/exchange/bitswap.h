/*
 * Bitswap 1.2.0 (IPFS specs, bitswap-protocol.md): gives blocks of a store to peers, and fetches
 * blocks from peers into the store.
 *
 * One bitswap belongs to one host and one store of the same loop. Fetching goes through sessions:
 * a session is one user's interest (a file, a DAG) and remembers which peers had what.
 */
#ifndef EXCHANGE_BITSWAP_H
#define EXCHANGE_BITSWAP_H

#include <anyio/anyio.h>
#include <libp2p/host.h>
#include <multiformats/cid.h>
#include <store/store.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bitswap;
struct bitswap_session;

struct bitswap_options {
	size_t session_cache; /* bytes of fetched, untaken blocks a session holds; 0: 40 MiB */
	/* A peer that was asked for a block and gives nothing for this long counts as having refused, and
	 * is asked anew over another stream; 0: 10 s. Others are asked long before that: after a second,
	 * or, if the peer said that it has the block and has given some before, once somebody has waited
	 * for 4 s. */
	anyio_time peer_timeout;
	/* Called with each block that is about to be sent to a peer. Must not wait. */
	void (*given)(void *arg, const struct mf_cid *cid);
	void *arg;
};

/* Registers the protocols with the host. -ENOMEM. Free after run has returned. */
int bitswap_create(struct p2p_host *host, struct store *store,
	const struct bitswap_options *options, struct bitswap **bitswap);
void bitswap_free(struct bitswap *bitswap);

/* The body of a task: serves peers and fetches until cancelled. Everything it spawns lives in its
 * own group. */
int bitswap_run(void *bitswap);

/* From now on peers want nothing new of us; waits until they have been sent what they wanted before.
 * ANYIO_CANCELLED: some had not. For one task. */
int bitswap_drain(struct bitswap *bitswap);

/* Tells peers who wait for it that the store now has a block. */
void bitswap_have(struct bitswap *bitswap, const struct mf_cid *cid);

/* A session. -ENOMEM. Closing cancels what it still wants. */
int bitswap_session_open(struct bitswap *bitswap, struct bitswap_session **session);
void bitswap_session_close(struct bitswap_session *session);

/* Fetches one block: from the store when it is there, else from peers. It is verified, put into
 * the store (durable only after store_sync) and handed over; release *block with
 * store_block_release. Waits as long as it takes, also for peers yet to connect: put a deadline
 * around it. Several tasks may fetch in one session, the same CID too. -EPROTONOSUPPORT: its hash
 * is unknown or not trusted, so that no peer can give it; ANYIO_CLOSED: session or bitswap ended;
 * -ENOMEM; the errors of store_get and store_put. */
int bitswap_fetch(
	struct bitswap_session *session, const struct mf_cid *cid, struct store_block *block);

/* A block that was prefetched and is at hand: as bitswap_fetch, but never waits. -ENOENT: it is not. */
int bitswap_take(
	struct bitswap_session *session, const struct mf_cid *cid, struct store_block *block);

/* A hint: these will be fetched soon, in this order. Asks for them at once as far as the session's
 * cache allows; never waits. CIDs already wanted or present are ignored. */
void bitswap_prefetch(struct bitswap_session *session, const struct mf_cid *cids, size_t count);

/* What to give store_sync so that everything this session fetched so far is durable. */
store_ticket bitswap_session_ticket(const struct bitswap_session *session);

/* One of our wants: how many connected peers said that they have the block, or were asked for it and
 * have not answered yet: it may be on its way. */
struct bitswap_missing {
	struct mf_cid cid;
	size_t offers;
};
/* Calls each for what we want and have not got, the oldest first, until it returns other than 0;
 * returns what it returned. each must not wait. */
int bitswap_missing_each(const struct bitswap *bitswap,
	int (*each)(void *arg, const struct bitswap_missing *missing), void *arg);

struct bitswap_statistics {
	uint64_t blocks_sent, bytes_sent;
	uint64_t blocks_received, bytes_received;
	uint64_t duplicates_received, unwanted_received, invalid_received;
	size_t wants;      /* ours, open now */
	size_t peer_wants; /* theirs, kept now */
	size_t peers;
};
void bitswap_stat(const struct bitswap *bitswap, struct bitswap_statistics *out);

#ifdef __cplusplus
}
#endif
#endif
