#include "check.h"

#include <libp2p/resource.h>

static void all_or_nothing(void **state)
{
	struct p2p_limits limits = {
		.system.memory = 100, .peer.memory = 80, .stream.memory = 200
	};
	struct p2p_account system, peer, stream;

	p2p_limits_default(&limits);
	p2p_account_init(&system, NULL, &limits.system);
	p2p_account_init(&peer, &system, &limits.peer);
	p2p_account_init(&stream, &peer, &limits.stream);
	assert_int_equal(p2p_account_charge(&stream, 80), 0);
	assert_int_equal(p2p_account_charge(&stream, 1), ANYIO_TOO_MANY);
	assert_int_equal(stream.used.memory, 80);
	assert_int_equal(p2p_account_charge(&system, 20), 0);
	assert_int_equal(p2p_account_charge(&system, 1), ANYIO_TOO_MANY);
	p2p_account_release(&stream, 80);
	assert_int_equal(system.used.memory, 20);
	assert_int_equal(p2p_account_charge(&stream, SIZE_MAX), ANYIO_TOO_MANY);
}

static void directions(void **state)
{
	struct p2p_limit limit = {
		.streams = 3, .streams_in = 1, .connections = 2, .connections_in = 1
	};
	struct p2p_account account;

	p2p_account_init(&account, NULL, &limit);
	assert_int_equal(p2p_account_add_stream(&account, true), 0);
	assert_int_equal(p2p_account_add_stream(&account, true), ANYIO_TOO_MANY);
	assert_int_equal(p2p_account_add_stream(&account, false), 0);
	assert_int_equal(p2p_account_add_stream(&account, false), 0);
	assert_int_equal(p2p_account_add_stream(&account, false), ANYIO_TOO_MANY);
	p2p_account_drop_stream(&account, true);
	assert_int_equal(p2p_account_add_stream(&account, true), 0);
	assert_int_equal(p2p_account_add_connection(&account, true), 0);
	assert_int_equal(p2p_account_add_connection(&account, true), ANYIO_TOO_MANY);
	assert_int_equal(p2p_account_add_connection(&account, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_or_nothing),
		cmocka_unit_test(directions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
