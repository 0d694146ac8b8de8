/*
 * Two hosts under bad weather: a simulated network that is slow, cuts what it carries short and
 * breaks connections, seed by seed; and a machine where the n-th allocation fails, for every n. A
 * conversation may fail then, with an error; it never hangs, never delivers wrong bytes, and leaves
 * nothing behind.
 */
#include "check.h"

#include <anyio/anyio.h>
#include <libp2p/libp2p.h>

struct weather {
	struct p2p_host *hosts[2];
	size_t completed;
};

static int host_of(struct weather *weather, int which)
{
	uint8_t seed[32] = { (uint8_t)(which + 1) };
	struct p2p_host_options options = { .perf = true };
	struct p2p_key key;

	p2p_key_from_seed(&key, seed);
	options.key = &key;
	return p2p_host_create(&options, &weather->hosts[which]);
}

static int converse(struct weather *weather)
{
	struct p2p_addresses addresses;
	struct mf_peer_id found = { 0 }; /* nobody, until there is a connection */
	int rc = p2p_host_addresses(weather->hosts[1], &addresses);

	if (rc < 0)
		return rc;
	if (addresses.count)
		rc = p2p_host_connect(weather->hosts[0], NULL, (const char *const *)addresses.text,
			addresses.count, &found);
	else
		rc = -ENOENT;
	p2p_addresses_free(&addresses);
	if (rc == 0)
		rc = p2p_host_wait_identified(weather->hosts[0], &found);
	if (rc == 0)
		rc = p2p_ping(weather->hosts[0], &found, NULL);
	if (rc == 0)
		rc = p2p_perf(weather->hosts[0], &found, 600000, 600000, NULL, NULL);
	if (rc == 0)
		weather->completed++;
	p2p_host_disconnect(weather->hosts[0], &found);
	return rc;
}

static int converse_often(void *arg)
{
	struct weather *weather = arg;
	int rc = 0;

	for (int i = 0; i < 3 && rc != ANYIO_CANCELLED; i++)
		rc = converse(weather);
	return rc;
}

static int with_hosts(void *arg)
{
	struct weather *weather = arg;
	int rc = 0;

	for (int i = 0; rc == 0 && i < 2; i++)
		rc = host_of(weather, i);
	ANYIO_TASK_GROUP(group);
	for (int i = 0; rc == 0 && i < 2; i++)
		rc = anyio_start(&group, p2p_host_run, weather->hosts[i], "host", NULL);
	if (rc == 0)
		rc = p2p_host_listen(weather->hosts[1], "/ip4/127.0.0.1/tcp/0");
	if (rc == 0)
		rc = anyio_move_on_after(1000 * ANYIO_SECOND, converse_often, weather);
	for (int i = 0; i < 2; i++)
		if (weather->hosts[i])
			p2p_host_close(weather->hosts[i]);
	rc = anyio_task_group_exit(&group, rc);
	for (int i = 0; i < 2; i++)
		p2p_host_free(weather->hosts[i]);
	return rc;
}

static int run(struct weather *weather, uint64_t seed, const struct anyio_sim_options *sim)
{
	struct anyio_options options = {
		.backend = "sim", .seeded = true, .seed = seed, .sim = sim
	};

	*weather = (struct weather){ 0 };
	return anyio_run(with_hosts, weather, &options);
}

static void slow_and_short(void **state)
{
	const struct anyio_sim_options sim = { .latency_min = ANYIO_MILLISECOND,
		.latency_max = 80 * ANYIO_MILLISECOND,
		.short_io = 300000,
		.late_cancel = 100000,
		.bandwidth = 2000000 };
	struct weather weather;

	for (uint64_t seed = 1; seed <= 40; seed++) {
		assert_int_equal(run(&weather, seed, &sim), 0);
		assert_int_equal(weather.completed, 3);
	}
}

static void breaking(void **state)
{
	const struct anyio_sim_options sim = { .latency_min = ANYIO_MILLISECOND,
		.latency_max = 30 * ANYIO_MILLISECOND,
		.short_io = 100000,
		.connection_break = 10000,
		.connect_fail = 100000,
		.late_cancel = 200000 };
	struct weather weather;
	size_t completed = 0;

	for (uint64_t seed = 1; seed <= 200; seed++) {
		int rc = run(&weather, seed, &sim);

		if (rc == ANYIO_DEADLOCK)
			fail_msg("seed %d hangs", (int)seed);
		completed += weather.completed;
	}
	assert_in_range(completed, 1, 599);
}

static void every_allocation(void **state)
{
	const struct anyio_sim_options sim = { 0 };
	struct weather weather;
	uint64_t total;

	anyio_fault_set(ANYIO_FAULT_MEMORY, UINT64_MAX, -ENOMEM); /* only counts */
	assert_int_equal(run(&weather, 1, &sim), 0);
	total = anyio_fault_count(ANYIO_FAULT_MEMORY);
	assert_true(total > 50);
	for (uint64_t at = 1; at <= total; at += at < 300 ? 1 : 1 + total / 300) {
		anyio_fault_set(ANYIO_FAULT_MEMORY, at, -ENOMEM);
		if (run(&weather, 1, &sim) == ANYIO_DEADLOCK)
			fail_msg("allocation %d hangs", (int)at);
	}
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slow_and_short),
		cmocka_unit_test(breaking),
		cmocka_unit_test(every_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
