/* The start handshake: who hears what of a task that says when it is ready, or never does. */
#include "conformance.h"
#include <errno.h>

static int fail_after_sleep(void *arg)
{
	int rc = anyio_sleep(ANYIO_MILLISECOND);
	return rc < 0 ? rc : -EPIPE;
}

static int server(void *arg)
{
	int rc = anyio_checkpoint();
	if (rc < 0)
		return rc;
	CHECK_RC(anyio_started(arg), 0);
	return anyio_sleep_forever();
}

static int c09_start_returns_the_started_value(void *arg)
{
	int thing;
	void *value = NULL;
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_start(&group, server, &thing, "server", &value), 0);
	CHECK(value == &thing);
	anyio_task_group_cancel(&group, NULL);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int started_twice(void *arg)
{
	CHECK_RC(anyio_started(NULL), 0);
	CHECK_RC(anyio_started(NULL), ANYIO_ALREADY_STARTED);
	return 0;
}

static int started_unasked(void *arg)
{
	CHECK_RC(anyio_started(NULL), ANYIO_ALREADY_STARTED);
	return 0;
}

static int c10_started_twice_is_an_error(void *arg)
{
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_start(&group, started_twice, NULL, "twice", NULL), 0);
	anyio_start_soon(&group, started_unasked, NULL, "unasked");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int just_end(void *arg)
{
	return anyio_checkpoint();
}

static int c11_ending_without_started_is_an_error(void *arg)
{
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_start(&group, just_end, NULL, "mute", NULL), ANYIO_NOT_STARTED);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int c12_an_error_before_started_is_the_starters_alone(void *arg)
{
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_start(&group, fail_after_sleep, NULL, "broken", NULL), -EPIPE);
	CHECK_RC(anyio_checkpoint(), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(anyio_task_group_errors(&group, NULL), 0);
	return 0;
}

static int start_then_fail(void *arg)
{
	anyio_started(NULL);
	return -EIO;
}

static int c12b_an_error_after_started_is_the_groups(void *arg)
{
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_start(&group, start_then_fail, NULL, "broken", NULL), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), -EIO);
	return 0;
}

struct handshake {
	struct anyio_task_group *group;
	bool ran, finished;
};

static int never_ready(void *arg)
{
	struct handshake *handshake = arg;
	handshake->ran = true;
	int rc = anyio_sleep_forever();
	if (rc < 0)
		return rc;
	handshake->finished = true;
	anyio_started(NULL);
	return 0;
}

static int start_never_ready(void *arg)
{
	struct handshake *handshake = arg;
	return anyio_start(handshake->group, never_ready, handshake, "never", NULL);
}

static int c13_cancelled_start_cancels_and_awaits_the_child(void *arg)
{
	ANYIO_TASK_GROUP(group);
	struct handshake handshake = { .group = &group };
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "before");
	CHECK_RC(anyio_cancel_scope_run(&scope, start_never_ready, &handshake), 0);
	CHECK(anyio_cancel_scope_cancelled_caught(&scope));
	CHECK(handshake.ran && !handshake.finished);
	handshake.ran = false;
	CHECK_RC(anyio_fail_after(ANYIO_SECOND, start_never_ready, &handshake), -ETIMEDOUT);
	CHECK(handshake.ran && !handshake.finished);
	CHECK_RC(anyio_task_count(), 1);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

struct late_start {
	struct anyio_task_group *group;
	bool ended;
};

static int start_late(void *arg)
{
	struct late_start *late = arg;
	CHECK_RC(anyio_sleep_forever(), ANYIO_CANCELLED);
	CHECK_RC(anyio_started(late), 0); /* nobody hears it any more */
	for (int i = 0; i < 10; i++)
		anyio_cancel_shielded_checkpoint();
	late->ended = true;
	return 0;
}

static int start_it_late(void *arg)
{
	struct late_start *late = arg;
	void *value = NULL;
	int rc = anyio_start(late->group, start_late, late, "late", &value);
	CHECK(late->ended && !value);
	return rc;
}

/* Once cancelled, start waits for the end, whatever the child still says. */
static int r08_a_cancelled_start_waits_even_for_one_that_starts(void *arg)
{
	ANYIO_TASK_GROUP(group);
	struct late_start late = { .group = &group };
	CHECK_RC(anyio_fail_after(ANYIO_SECOND, start_it_late, &late), -ETIMEDOUT);
	CHECK(late.ended);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int fail_when_cancelled(void *arg)
{
	anyio_sleep_forever();
	return -EPROTO;
}

/* A cancelled start whose child fails all the same: that error is the starter's. */
static int start_failing(void *arg)
{
	int rc = anyio_start(arg, fail_when_cancelled, NULL, "fails", NULL);
	CHECK_RC(rc, -EPROTO);
	return rc;
}

static int r08_an_error_of_a_cancelled_start_is_not_lost(void *arg)
{
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_fail_after(ANYIO_SECOND, start_failing, &group), -EPROTO);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

struct chain {
	unsigned links;
	unsigned ended;
};

/* Each link waits for the next one to be started, and the last one for ever. */
static int chain_link(void *arg)
{
	struct chain *chain = arg;
	ANYIO_TASK_GROUP(group);
	int rc = chain->links-- > 1 ? anyio_start(&group, chain_link, chain, "link", NULL)
				    : anyio_sleep_forever();
	CHECK_RC(rc, ANYIO_CANCELLED);
	chain->ended++;
	return anyio_task_group_exit(&group, rc);
}

static int c13b_cancelling_a_long_chain_of_starts_takes_no_stack(void *arg)
{
	enum { LINKS = 1000 };
	struct chain chain = { .links = LINKS };
	CHECK_RC(anyio_move_on_after(ANYIO_SECOND, chain_link, &chain), 0);
	CHECK_RC(chain.ended, LINKS);
	CHECK_RC(anyio_task_count(), 1);
	return 0;
}

static int slow_server(void *arg)
{
	int rc = anyio_sleep(ANYIO_SECOND);
	if (rc < 0)
		return rc;
	*(bool *)arg = true;
	return anyio_started(NULL);
}

struct delayed {
	struct anyio_task_group *group;
	bool ready;
};

static int start_in_other_group(void *arg)
{
	struct delayed *delayed = arg;
	return anyio_start(delayed->group, slow_server, &delayed->ready, "slow", NULL);
}

static int c31_a_pending_start_keeps_the_group_open(void *arg)
{
	ANYIO_TASK_GROUP(outer);
	ANYIO_TASK_GROUP(group);
	struct delayed delayed = { .group = &group };
	CHECK_RC(anyio_start_soon(&outer, start_in_other_group, &delayed, "starter"), 0);
	anyio_checkpoint();
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(delayed.ready);
	CHECK_RC(anyio_task_group_exit(&outer, 0), 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(c09_start_returns_the_started_value, CONFORM_MOCK),
		CONFORM(c10_started_twice_is_an_error, CONFORM_MOCK),
		CONFORM(c11_ending_without_started_is_an_error, CONFORM_MOCK),
		CONFORM(c12_an_error_before_started_is_the_starters_alone, CONFORM_MOCK),
		CONFORM(c12b_an_error_after_started_is_the_groups, CONFORM_MOCK),
		CONFORM(c13_cancelled_start_cancels_and_awaits_the_child, CONFORM_MOCK),
		CONFORM(c13b_cancelling_a_long_chain_of_starts_takes_no_stack, CONFORM_MOCK),
		CONFORM(r08_a_cancelled_start_waits_even_for_one_that_starts, CONFORM_MOCK),
		CONFORM(r08_an_error_of_a_cancelled_start_is_not_lost, CONFORM_MOCK),
		CONFORM(c31_a_pending_start_keeps_the_group_open, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
