#include "check.h"

#include <libp2p/resource.h>
#include <sys/resource.h>

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

/* ---- descriptors ---- */

/* Connections and handshakes leave half of the descriptors to others, however few there are. */
static void descriptors(void **state)
{
	struct rlimit before, few;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (rlim_t count = 16; count <= before.rlim_cur && count <= 256; count *= 2) {
		struct p2p_limits limits = { 0 };
		few = (struct rlimit){ count, before.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		assert_int_equal(anyio_descriptor_limit(), count);
		p2p_limits_default(&limits);
		assert_true(limits.system.connections > 0 && limits.system.connections_in > 0);
		assert_true(limits.transient.connections_in > 0);
		assert_true(
			limits.system.connections + limits.transient.connections_in <= count / 2);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* ---- who gives way ---- */

enum { PARTIES = 3, HOLDERS = 4 };

struct crowd {
	struct p2p_limit limit;
	struct p2p_account root, party[PARTIES], holder[PARTIES][HOLDERS];
	struct p2p_account *gave; /* the last */
	size_t count;
};

static struct crowd crowd;

static void give_way(struct p2p_account *account)
{
	crowd.gave = account;
	crowd.count++;
	p2p_account_release(account, account->used.memory);
	if (account->used.connections_in)
		p2p_account_drop_connection(account, true);
}

static int make_crowd(void **state)
{
	crowd = (struct crowd){ .limit = { .memory = 100, .connections = 4, .connections_in = 4 } };
	p2p_account_init(&crowd.root, NULL, &crowd.limit);
	for (int i = 0; i < PARTIES; i++) {
		p2p_account_init(&crowd.party[i], &crowd.root, &p2p_no_limit);
		for (int j = 0; j < HOLDERS; j++) {
			p2p_account_init(&crowd.holder[i][j], &crowd.party[i], &p2p_no_limit);
			crowd.holder[i][j].give_way = give_way;
			p2p_account_use(&crowd.holder[i][j], 1 + j);
		}
	}
	return 0;
}

static int end_crowd(void **state)
{
	for (int i = 0; i < PARTIES; i++) {
		for (int j = 0; j < HOLDERS; j++)
			p2p_account_end(&crowd.holder[i][j]);
		p2p_account_end(&crowd.party[i]);
	}
	return crowd.root.first_child != NULL;
}

static void add(int party, int holder, struct p2p_account *gives)
{
	crowd.gave = NULL;
	assert_int_equal(p2p_account_add_connection(&crowd.holder[party][holder], true), 0);
	assert_ptr_equal(crowd.gave, gives);
	assert_true(crowd.root.used.connections_in <= 4);
}

static void the_most_crowded_gives_way(void **state)
{
	for (int j = 0; j < HOLDERS; j++)
		add(0, j, NULL);
	p2p_account_use(&crowd.holder[0][0], 1 + HOLDERS); /* of use since */
	add(1, 0, &crowd.holder[0][1]);
	add(1, 1, &crowd.holder[0][2]);
	/* Each has two: a third of its own pushes out its own, one of another party whoever is first. */
	add(1, 2, &crowd.holder[1][0]);
	assert_int_equal(p2p_account_add_connection(&crowd.holder[2][0], true), 0);
	assert_int_equal(crowd.party[2].used.connections_in, 1);
	assert_int_equal(crowd.root.used.connections_in, 4);
}

static void who_has_nothing_is_let_in(void **state)
{
	crowd.limit.connections_in = 2;
	add(0, 0, NULL);
	add(1, 0, NULL);
	p2p_account_use(&crowd.holder[1][0], 2 + HOLDERS);
	add(2, 0, &crowd.holder[0][0]);
	p2p_account_use(&crowd.holder[2][0], 3 + HOLDERS);
	add(0, 1, &crowd.holder[1][0]);
	assert_int_equal(crowd.party[2].used.connections_in, 1);
}

static void who_alone_holds_most_is_refused(void **state)
{
	assert_int_equal(p2p_account_charge(&crowd.holder[0][0], 60), 0);
	assert_int_equal(p2p_account_charge(&crowd.holder[1][0], 20), 0);
	assert_int_equal(p2p_account_charge(&crowd.holder[1][1], 20), 0);
	assert_int_equal(p2p_account_charge(&crowd.holder[0][0], 1), ANYIO_TOO_MANY);
	assert_int_equal(p2p_account_charge_spare(&crowd.holder[1][1], 1), ANYIO_TOO_MANY);
	assert_int_equal(crowd.count, 0);
	assert_int_equal(p2p_account_charge(&crowd.holder[1][1], 10), 0);
	assert_ptr_equal(crowd.gave, &crowd.holder[0][0]);
	/* More than there is: nobody gives way for nothing. */
	assert_int_equal(p2p_account_charge(&crowd.holder[2][0], 101), ANYIO_TOO_MANY);
	assert_int_equal(crowd.count, 1);
	assert_int_equal(crowd.holder[1][1].used.memory, 30);
}

#define CROWDED(name) cmocka_unit_test_setup_teardown(name, make_crowd, end_crowd)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_or_nothing),
		cmocka_unit_test(directions),
		cmocka_unit_test(descriptors),
		CROWDED(the_most_crowded_gives_way),
		CROWDED(who_has_nothing_is_let_in),
		CROWDED(who_alone_holds_most_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
