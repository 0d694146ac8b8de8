/*
 * A few whole nodes in one loop, for tests: host, store and bitswap each. Bodies run as tasks and
 * return what went wrong; the runner asserts.
 */
#ifndef EXCHANGE_TESTS_NODES_H
#define EXCHANGE_TESTS_NODES_H

#include <exchange/bitswap.h>
#include <multiformats/pb.h>

#include "../../tests/check.h"

enum { NODES = 3 };

struct node {
	struct p2p_host *host;
	struct store *store;
	struct bitswap *bitswap;
	struct mf_peer_id id;
	char dir[64], index[64], address[P2P_ADDRESS_MAX];
};

struct nodes {
	struct node node[NODES];
	int (*body)(struct nodes *nodes);
	struct bitswap_options options;
	bool simulated;
};

/* On every backend that works here, each with fresh repos. */
void nodes_run(int (*body)(struct nodes *nodes), const struct bitswap_options *options);

/* In the simulation, where waiting takes no time; sim NULL: with a perfect network and disk. */
void nodes_run_simulated(int (*body)(struct nodes *nodes), const struct bitswap_options *options,
	const struct anyio_sim_options *sim);

int nodes_connect(struct nodes *nodes, int from, int to);

/* Block number n of a given length: its bytes are drawn from n. */
enum { TEST_BLOCK_MAX = 2 << 20 };
void test_block(uint64_t n, size_t len, uint8_t *out, struct mf_cid *cid);
/* Puts it into a node's store. */
int test_put(struct node *node, uint64_t n, size_t len, struct mf_cid *cid);
/* Fetches it in the session, and compares. */
int test_fetch(struct bitswap_session *session, uint64_t n, size_t len);

struct bitswap_statistics test_stat(const struct node *node);
/* Tasks: until peers want something of a node, or nothing any more. */
int test_wait_for_peer_wants(void *node);
int test_wait_for_no_peer_wants(void *node);

/* One block of 20,000 bytes fetched in a session by a task of its own, which never fails: rc says. */
enum { TEST_SIZE = 20000 };
struct test_fetching {
	struct bitswap_session *session;
	uint64_t n;
	int rc;
};
int test_fetch_task(void *fetching);

/* ---- peers that speak by hand ---- */

/* One more host, running in the group: free it after. Numbers tell them apart. */
int test_host(struct anyio_task_group *group, uint8_t number, struct p2p_host **host);
/* Sends a message with its length, and frees it. */
int test_send(struct anyio_stream *stream, struct mf_pb_writer *out);
/* A handler that reads nothing. */
int test_take_nothing(struct p2p_stream_in *in, void *arg);
/* Waits for the other side to have done with a stream: the end it says, or the reset. */
int test_wait_for_end(void *stream);

struct bitswap_item;
/* The host, which is connected, tells node 0 a wantlist; returns once it was taken in. */
int test_tell(struct nodes *nodes, struct p2p_host *host, const struct bitswap_item *items,
	size_t count, bool full);

/* So many hosts that want many blocks of node 0, numbers 0 on, and take them as the handler does. */
enum { TEST_TAKERS = 30, TEST_TAKEN = 64, TEST_TAKEN_SIZE = 1 << 18 };
int test_takers(struct nodes *nodes, struct anyio_task_group *group, struct p2p_host **hosts,
	p2p_handler taker);

/* Runs fn(arg) with a deadline: -ETIMEDOUT when something hangs. */
#define WITHIN(seconds, fn, arg) anyio_fail_after((seconds)*ANYIO_SECOND, fn, arg)

#endif
