/* Pauses and the breaker, on a clock that stands still but for what is slept. */
#include "../../tests/check.h"
#include "retry.h"

enum { ATTEMPTS = 12, REQUESTS = 200 };

/* ---- pauses ---- */

static void test_pauses_grow_and_end(void **state)
{
	anyio_time most[ATTEMPTS] = { 0 };

	for (uint64_t seed = 0; seed < REQUESTS; seed++) {
		struct retry retry = {
			.attempts = ATTEMPTS, .pause = 200 * ANYIO_MILLISECOND, .random = seed
		};
		anyio_time limit = retry.pause;

		for (int i = 0; i < ATTEMPTS - 1; i++) {
			anyio_time pause = retry_next(&retry, 0);

			assert_true(pause >= 0 && pause <= limit && pause <= RETRY_PAUSE_MOST);
			most[i] = pause > most[i] ? pause : most[i];
			limit *= 2;
		}
		assert_true(retry_next(&retry, 0) == ANYIO_FOREVER);
	}
	/* They use what they may: the jitter is full, and doubles. */
	for (int i = 0; i < ATTEMPTS - 1; i++) {
		anyio_time limit = (200 * ANYIO_MILLISECOND) << i;

		assert_true(
			most[i] > (limit < RETRY_PAUSE_MOST ? limit : RETRY_PAUSE_MOST) * 8 / 10);
	}
}

static void test_store_may_ask_for_more(void **state)
{
	struct retry retry = { .attempts = 9, .pause = 1, .random = 7 };

	assert_true(retry_next(&retry, 3 * ANYIO_SECOND) == 3 * ANYIO_SECOND);
	assert_true(retry_next(&retry, 3600 * ANYIO_SECOND) == RETRY_PAUSE_MOST);
}

static void test_one_attempt_is_one(void **state)
{
	struct retry retry = { .attempts = 1, .pause = ANYIO_SECOND };

	assert_true(retry_next(&retry, 0) == ANYIO_FOREVER);
}

static void test_requests_do_not_come_together(void **state)
{
	int same = 0;

	for (uint64_t seed = 0; seed < REQUESTS; seed++) {
		struct retry a = { .attempts = 3, .pause = ANYIO_SECOND, .random = seed };
		struct retry b = { .attempts = 3, .pause = ANYIO_SECOND, .random = seed + 1 };

		same += retry_next(&a, 0) == retry_next(&b, 0);
	}
	assert_int_equal(same, 0);
}

/* ---- the breaker ---- */

static const struct breaker fresh = { .failures_most = 3, .pause = 4 * ANYIO_SECOND };

static int ask_and_fail(struct breaker *breaker)
{
	int entered = breaker_enter(breaker, anyio_now());

	if (entered >= 0)
		breaker_leave(breaker, entered, BREAKER_FAILED, anyio_now());
	return entered;
}

static int open_it(struct breaker *breaker)
{
	*breaker = fresh;
	for (int i = 0; i < 3; i++)
		CHECK_RC(0, ask_and_fail(breaker));
	CHECK_RC(-EHOSTDOWN, breaker_enter(breaker, anyio_now()));
	return 0;
}

static int opens_after_failures_in_a_row(void *arg)
{
	struct breaker breaker = fresh;

	for (int i = 0; i < 10; i++) {
		CHECK_RC(0, ask_and_fail(&breaker));
		CHECK_RC(0, ask_and_fail(&breaker));
		CHECK_RC(0, breaker_enter(&breaker, anyio_now()));
		breaker_leave(&breaker, 0, BREAKER_ANSWERED, anyio_now());
	}
	return open_it(&breaker);
}

static int probes_alone(void *arg)
{
	struct breaker breaker;

	CHECK_RC(0, open_it(&breaker));
	CHECK_RC(0, anyio_sleep(4 * ANYIO_SECOND - 1));
	CHECK_RC(-EHOSTDOWN, breaker_enter(&breaker, anyio_now()));
	CHECK_RC(0, anyio_sleep(1));
	CHECK_RC(1, breaker_enter(&breaker, anyio_now()));
	for (int i = 0; i < 3; i++) {
		CHECK_RC(-EHOSTDOWN, breaker_enter(&breaker, anyio_now()));
		CHECK_RC(0, anyio_sleep(ANYIO_SECOND));
	}
	breaker_leave(&breaker, 1, BREAKER_ANSWERED, anyio_now());
	CHECK(breaker.state == BREAKER_CLOSED);
	/* And it takes all its failures again. */
	CHECK_RC(0, ask_and_fail(&breaker));
	CHECK_RC(0, ask_and_fail(&breaker));
	CHECK_RC(0, breaker_enter(&breaker, anyio_now()));
	return 0;
}

static int waits_longer_each_time(void *arg)
{
	anyio_time pause = 4 * ANYIO_SECOND;
	struct breaker breaker;

	CHECK_RC(0, open_it(&breaker));
	for (int i = 0; i < 10; i++) {
		CHECK_RC(0, anyio_sleep(pause - 1));
		CHECK_RC(-EHOSTDOWN, ask_and_fail(&breaker));
		CHECK_RC(0, anyio_sleep(1));
		CHECK_RC(1, ask_and_fail(&breaker));
		pause = 2 * pause < BREAKER_PAUSE_MOST ? 2 * pause : BREAKER_PAUSE_MOST;
	}
	/* Closed once, it begins with the first pause. */
	CHECK_RC(0, anyio_sleep(pause));
	CHECK_RC(1, breaker_enter(&breaker, anyio_now()));
	breaker_leave(&breaker, 1, BREAKER_ANSWERED, anyio_now());
	for (int i = 0; i < 3; i++)
		CHECK_RC(0, ask_and_fail(&breaker));
	CHECK_RC(0, anyio_sleep(4 * ANYIO_SECOND));
	CHECK_RC(1, breaker_enter(&breaker, anyio_now()));
	return 0;
}

static int lets_the_next_probe_at_once(void *arg)
{
	struct breaker breaker;

	CHECK_RC(0, open_it(&breaker));
	CHECK_RC(0, anyio_sleep(4 * ANYIO_SECOND));
	CHECK_RC(1, breaker_enter(&breaker, anyio_now()));
	breaker_leave(&breaker, 1, BREAKER_UNKNOWN, anyio_now());
	CHECK_RC(1, breaker_enter(&breaker, anyio_now()));
	return 0;
}

/* Who entered while it was closed and comes back when it is open changes nothing. */
static int ignores_the_late(void *arg)
{
	struct breaker breaker = fresh;
	anyio_time until;

	CHECK_RC(0, breaker_enter(&breaker, anyio_now()));
	CHECK_RC(0, breaker_enter(&breaker, anyio_now()));
	for (int i = 0; i < 3; i++)
		CHECK_RC(0, ask_and_fail(&breaker));
	until = breaker.until;
	CHECK_RC(0, anyio_sleep(ANYIO_SECOND));
	breaker_leave(&breaker, 0, BREAKER_FAILED, anyio_now());
	CHECK(breaker.until == until);
	breaker_leave(&breaker, 0, BREAKER_ANSWERED, anyio_now());
	CHECK_RC(-EHOSTDOWN, breaker_enter(&breaker, anyio_now()));
	return 0;
}

static void test_breaker(void **state)
{
	static int (*const bodies[])(void *) = { opens_after_failures_in_a_row, probes_alone,
		waits_longer_each_time, lets_the_next_probe_at_once, ignores_the_late };
	struct anyio_options options = { .mock_clock = true };

	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
		assert_int_equal(anyio_run(bodies[i], NULL, &options), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pauses_grow_and_end),
		cmocka_unit_test(test_store_may_ask_for_more),
		cmocka_unit_test(test_one_attempt_is_one),
		cmocka_unit_test(test_requests_do_not_come_together),
		cmocka_unit_test(test_breaker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
