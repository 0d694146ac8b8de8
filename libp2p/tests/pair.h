/* Two hosts in one loop, connected over loopback, and the ways of running a test. */
#ifndef LIBP2P_TESTS_PAIR_H
#define LIBP2P_TESTS_PAIR_H

#include "check.h"

#include <anyio/anyio.h>
#include <libp2p/libp2p.h>

struct pair {
	struct p2p_host *a, *b; /* a dials b */
	const struct mf_peer_id *a_id, *b_id;
	char address[P2P_ADDRESS_MAX]; /* of b */
	int (*body)(struct pair *pair);
	void (*options)(struct p2p_host_options *options);
	bool connect;
};

static inline struct p2p_host *make_host(
	uint8_t seed_byte, void (*adjust)(struct p2p_host_options *options))
{
	uint8_t seed[32] = { seed_byte };
	struct p2p_host_options options = { .perf = true };
	struct p2p_host *host;
	struct p2p_key key;

	p2p_key_from_seed(&key, seed);
	options.key = &key;
	if (adjust)
		adjust(&options);
	assert_int_equal(p2p_host_create(&options, &host), 0);
	return host;
}

static inline int pair_task(void *arg)
{
	struct pair *pair = arg;
	struct p2p_addresses addresses;
	const char *list[1] = { pair->address };
	int rc;

	pair->a = make_host(1, pair->options);
	pair->b = make_host(2, pair->options);
	pair->a_id = p2p_host_id(pair->a);
	pair->b_id = p2p_host_id(pair->b);
	ANYIO_TASK_GROUP(group);
	assert_int_equal(anyio_start(&group, p2p_host_run, pair->a, "a", NULL), 0);
	assert_int_equal(anyio_start(&group, p2p_host_run, pair->b, "b", NULL), 0);
	assert_int_equal(p2p_host_listen(pair->b, "/ip4/127.0.0.1/tcp/0"), 0);
	assert_int_equal(p2p_host_addresses(pair->b, &addresses), 0);
	assert_int_equal(addresses.count, 1);
	snprintf(pair->address, sizeof pair->address, "%s", addresses.text[0]);
	p2p_addresses_free(&addresses);
	rc = pair->connect ? p2p_host_connect(pair->a, pair->b_id, list, 1, NULL) : 0;
	if (rc == 0)
		rc = pair->body(pair);
	p2p_host_close(pair->a);
	p2p_host_close(pair->b);
	rc = anyio_task_group_exit(&group, rc);
	p2p_host_free(pair->a);
	p2p_host_free(pair->b);
	return rc;
}

/* On the backend named by the test's state, with a budget of operations and with a yield at every
 * one. */
static inline void run_pair(void **state, struct pair pair)
{
	for (int strict = 0; strict < 2; strict++) {
		struct anyio_options options = {
			.backend = *state, .seeded = true, .seed = 1, .strict = strict
		};
		struct pair fresh = pair;
		int rc = anyio_run(pair_task, &fresh, &options);

		if (rc < 0)
			fail_msg("%s on %s", anyio_error_name(rc), (const char *)*state);
	}
}

#endif
