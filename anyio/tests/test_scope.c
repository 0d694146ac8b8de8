/* Cancel scopes: who catches what, shields, deadlines, leaving in order, nesting. */
#include "conformance.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "child.h"

static int sleep_forever(void *arg)
{
	return anyio_sleep_forever();
}

static int sleep_short(void *arg)
{
	return anyio_sleep(ANYIO_MILLISECOND);
}

static int cancelled_again_and_again(void *arg)
{
	struct anyio_cancel_scope *scope = arg;
	anyio_cancel_scope_cancel(scope, "now");
	for (int i = 0; i < 3; i++) {
		CHECK_RC(anyio_checkpoint(), ANYIO_CANCELLED);
		CHECK_RC(anyio_checkpoint_if_cancelled(), ANYIO_CANCELLED);
		CHECK_RC(anyio_sleep(0), ANYIO_CANCELLED);
		CHECK_RC(anyio_sleep_forever(), ANYIO_CANCELLED);
	}
	return ANYIO_CANCELLED;
}

static int c14_every_later_call_is_cancelled_again(void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	CHECK_RC(anyio_cancel_scope_run(&scope, cancelled_again_and_again, &scope), 0);
	CHECK(anyio_cancel_scope_cancelled_caught(&scope));
	CHECK(!anyio_cancel_scope_timed_out(&scope));
	CHECK_RC(anyio_checkpoint(), 0);
	return 0;
}

struct counter {
	int turns;
	bool stop;
};

static int count_until_told(void *arg)
{
	struct counter *counter = arg;
	while (!counter->stop && anyio_checkpoint() == 0)
		counter->turns++;
	return 0;
}

/* A task that ignores the code in a loop must not freeze the others. */
static int r00_a_cancelled_call_still_yields(void *arg)
{
	struct counter counter = { 0 };
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, count_until_told, &counter, "other");
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, NULL);
	anyio_cancel_scope_enter(&scope);
	int (*const calls[])(void) = { anyio_checkpoint, anyio_sleep_forever,
		anyio_checkpoint_if_cancelled, anyio_wait_all_tasks_blocked };
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		int before = counter.turns;
		for (int turn = 0; turn < 4; turn++)
			CHECK_RC(calls[i](), ANYIO_CANCELLED);
		CHECK(counter.turns > before);
	}
	counter.stop = true;
	CHECK_RC(anyio_cancel_scope_exit(&scope, ANYIO_CANCELLED), 0);
	return anyio_task_group_exit(&group, 0);
}

static int c15_nothing_is_caught_when_nothing_blocked(void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_enter(&scope);
	anyio_cancel_scope_cancel(&scope, "unused");
	CHECK_RC(anyio_cancel_scope_exit(&scope, 5), 5);
	CHECK(anyio_cancel_scope_cancel_called(&scope));
	CHECK(!anyio_cancel_scope_cancelled_caught(&scope));
	return 0;
}

static int c16_inner_does_not_catch_for_the_outer(void *arg)
{
	struct anyio_cancel_scope outer, inner;
	anyio_cancel_scope_init(&outer);
	anyio_cancel_scope_init(&inner);
	anyio_cancel_scope_enter(&outer);
	anyio_cancel_scope_enter(&inner);
	anyio_cancel_scope_cancel(&inner, "inner");
	anyio_cancel_scope_cancel(&outer, "outer");
	int rc = anyio_checkpoint();
	CHECK_RC(rc, ANYIO_CANCELLED);
	rc = anyio_cancel_scope_exit(&inner, rc);
	CHECK_RC(rc, ANYIO_CANCELLED);
	CHECK(!anyio_cancel_scope_cancelled_caught(&inner));
	rc = anyio_cancel_scope_exit(&outer, rc);
	CHECK_RC(rc, 0);
	CHECK(anyio_cancel_scope_cancelled_caught(&outer));
	return 0;
}

static int c17_a_shielded_inner_catches_its_own(void *arg)
{
	struct anyio_cancel_scope outer, inner;
	anyio_cancel_scope_init(&outer);
	anyio_cancel_scope_init(&inner);
	anyio_cancel_scope_enter(&outer);
	anyio_cancel_scope_cancel(&outer, "outer");
	anyio_cancel_scope_set_shield(&inner, true);
	anyio_cancel_scope_enter(&inner);
	CHECK_RC(anyio_checkpoint(), 0);
	anyio_cancel_scope_cancel(&inner, "inner");
	int rc = anyio_checkpoint();
	CHECK_RC(rc, ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&inner, rc), 0);
	CHECK(anyio_cancel_scope_cancelled_caught(&inner));
	CHECK_RC(anyio_checkpoint(), ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&outer, ANYIO_CANCELLED), 0);
	return 0;
}

struct shielded {
	struct anyio_cancel_scope scope;
	bool woken;
	int rc;
};

static int sleep_in_scope(void *arg)
{
	struct shielded *shielded = arg;
	anyio_cancel_scope_enter(&shielded->scope);
	shielded->rc = anyio_sleep_forever();
	shielded->woken = true;
	return anyio_cancel_scope_exit(&shielded->scope, shielded->rc);
}

static int c18_a_shield_delays_the_delivery(void *arg)
{
	struct shielded child = { .rc = 0 };
	anyio_cancel_scope_init(&child.scope);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, sleep_in_scope, &child, "child");
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	anyio_cancel_scope_set_shield(&child.scope, true);
	anyio_task_group_cancel(&group, "now");
	for (int i = 0; i < 5; i++)
		anyio_cancel_shielded_checkpoint();
	CHECK(!child.woken);
	anyio_cancel_scope_set_shield(&child.scope, false);
	for (int i = 0; i < 100 && !child.woken; i++)
		anyio_cancel_shielded_checkpoint();
	CHECK(child.woken);
	CHECK_RC(child.rc, ANYIO_CANCELLED);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int r01_raising_a_shield_takes_the_cancellation_away(void *arg)
{
	struct anyio_cancel_scope outer, middle, inner;
	anyio_cancel_scope_init(&outer);
	anyio_cancel_scope_init(&middle);
	anyio_cancel_scope_init(&inner);
	anyio_cancel_scope_enter(&outer);
	anyio_cancel_scope_enter(&middle);
	anyio_cancel_scope_enter(&inner);
	anyio_cancel_scope_cancel(&outer, NULL);
	CHECK_RC(anyio_checkpoint(), ANYIO_CANCELLED);
	anyio_cancel_scope_set_shield(&middle, true);
	CHECK_RC(anyio_checkpoint(), 0);
	anyio_cancel_scope_set_shield(&middle, false);
	CHECK_RC(anyio_checkpoint(), ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&inner, ANYIO_CANCELLED), ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&middle, ANYIO_CANCELLED), ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&outer, ANYIO_CANCELLED), 0);
	return 0;
}

static int c20_a_deadline_moves_live(void *arg)
{
	struct shielded child = { .rc = 0 };
	anyio_cancel_scope_init(&child.scope);
	anyio_cancel_scope_set_timeout(&child.scope, 10 * ANYIO_SECOND);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, sleep_in_scope, &child, "child");
	anyio_time began = anyio_now();
	CHECK_RC(anyio_sleep(ANYIO_SECOND), 0);
	anyio_cancel_scope_set_deadline(&child.scope, began + 20 * ANYIO_SECOND);
	CHECK_RC(anyio_sleep(15 * ANYIO_SECOND), 0);
	CHECK(!child.woken);
	anyio_cancel_scope_set_timeout(&child.scope, ANYIO_SECOND);
	CHECK_RC(anyio_cancel_scope_deadline(&child.scope), anyio_now() + ANYIO_SECOND);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(child.woken && anyio_cancel_scope_timed_out(&child.scope));
	CHECK(anyio_now() < began + 19 * ANYIO_SECOND);
	return 0;
}

static int c21_the_effective_deadline_respects_shields(void *arg)
{
	struct anyio_cancel_scope outer, inner;
	anyio_time now = anyio_now();
	CHECK_RC(anyio_current_effective_deadline(), ANYIO_FOREVER);
	anyio_cancel_scope_init(&outer);
	anyio_cancel_scope_init(&inner);
	anyio_cancel_scope_set_deadline(&outer, now + 10 * ANYIO_SECOND);
	anyio_cancel_scope_set_deadline(&inner, now + 20 * ANYIO_SECOND);
	anyio_cancel_scope_enter(&outer);
	anyio_cancel_scope_enter(&inner);
	CHECK_RC(anyio_current_effective_deadline(), now + 10 * ANYIO_SECOND);
	anyio_cancel_scope_set_shield(&inner, true);
	CHECK_RC(anyio_current_effective_deadline(), now + 20 * ANYIO_SECOND);
	anyio_cancel_scope_cancel(&outer, NULL);
	CHECK_RC(anyio_current_effective_deadline(), now + 20 * ANYIO_SECOND);
	anyio_cancel_scope_set_shield(&inner, false);
	CHECK(anyio_current_effective_deadline() < now);
	anyio_cancel_scope_exit(&inner, 0);
	anyio_cancel_scope_exit(&outer, 0);
	return 0;
}

static int leave_anothers_scope(void *arg)
{
	CHECK_RC(anyio_cancel_scope_exit(arg, 0), ANYIO_WRONG_ORDER);
	return 0;
}

static int c22_leaving_in_wrong_order_is_an_error(void *arg)
{
	struct anyio_cancel_scope outer, inner;
	anyio_cancel_scope_init(&outer);
	anyio_cancel_scope_init(&inner);
	CHECK_RC(anyio_cancel_scope_exit(&inner, 0), ANYIO_WRONG_ORDER);
	anyio_cancel_scope_enter(&outer);
	anyio_cancel_scope_enter(&inner);
	CHECK_RC(anyio_cancel_scope_exit(&outer, 0), ANYIO_WRONG_ORDER);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, leave_anothers_scope, &inner, "thief");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(anyio_cancel_scope_exit(&inner, 0), 0);
	CHECK_RC(anyio_cancel_scope_exit(&inner, 0), ANYIO_WRONG_ORDER);
	CHECK_RC(anyio_cancel_scope_exit(&outer, 0), 0);
	return 0;
}

enum { DEEP = 100000 };

static int c30_deep_nesting_does_not_overflow(void *arg)
{
	struct anyio_cancel_scope *scopes = malloc(DEEP * sizeof *scopes);
	if (!scopes)
		return -ENOMEM;
	for (size_t i = 0; i < DEEP; i++) {
		anyio_cancel_scope_init(&scopes[i]);
		anyio_cancel_scope_enter(&scopes[i]);
	}
	anyio_cancel_scope_cancel(&scopes[0], "all of it");
	int rc = anyio_checkpoint();
	CHECK_RC(rc, ANYIO_CANCELLED);
	anyio_cancel_scope_set_shield(&scopes[DEEP / 2], true);
	CHECK_RC(anyio_checkpoint(), 0);
	anyio_cancel_scope_set_shield(&scopes[DEEP / 2], false);
	CHECK_RC(anyio_checkpoint(), ANYIO_CANCELLED);
	for (size_t i = DEEP; i-- > 1;)
		rc = anyio_cancel_scope_exit(&scopes[i], rc);
	CHECK_RC(rc, ANYIO_CANCELLED);
	CHECK_RC(anyio_cancel_scope_exit(&scopes[0], rc), 0);
	free(scopes);
	return 0;
}

static int r05_a_cancel_before_enter_works(void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "first");
	anyio_cancel_scope_cancel(&scope, "second");
	CHECK_RC(anyio_cancel_scope_run(&scope, sleep_forever, NULL), 0);
	CHECK(strcmp(anyio_cancel_scope_reason(&scope), "first") == 0);
	return 0;
}

/* The call came first: that the deadline passed later does not change why. */
static int r04_the_cause_is_stored_when_it_fires(void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_timeout(&scope, ANYIO_SECOND);
	anyio_cancel_scope_enter(&scope);
	anyio_cancel_scope_cancel(&scope, "called");
	struct anyio_cancel_scope shield;
	anyio_cancel_scope_init(&shield);
	anyio_cancel_scope_set_shield(&shield, true);
	anyio_cancel_scope_enter(&shield);
	CHECK_RC(anyio_sleep(5 * ANYIO_SECOND), 0);
	anyio_cancel_scope_exit(&shield, 0);
	int rc = anyio_checkpoint();
	CHECK_RC(anyio_cancel_scope_exit(&scope, rc), 0);
	CHECK(anyio_cancel_scope_cancelled_caught(&scope));
	CHECK(!anyio_cancel_scope_timed_out(&scope));
	return 0;
}

static int fail_at_once(void *arg)
{
	return -ENOENT;
}

static int r04_fail_after_keeps_other_results(void *arg)
{
	CHECK_RC(anyio_fail_after(ANYIO_SECOND, sleep_short, NULL), 0);
	CHECK_RC(anyio_fail_after(ANYIO_SECOND, fail_at_once, NULL), -ENOENT);
	CHECK_RC(anyio_move_on_after(ANYIO_SECOND, fail_at_once, NULL), -ENOENT);
	return 0;
}

static int outlast(void *arg)
{
	anyio_sleep_forever();
	return 3;
}

/* Cut off by a deadline of its own, by one around it, and not cut off. */
static int r04_deadlines_fail_or_move_on(void *arg)
{
	anyio_time soon = anyio_now() + ANYIO_SECOND;
	CHECK_RC(anyio_move_on_at(soon, sleep_forever, NULL), 0);
	CHECK(anyio_now() >= soon);
	soon = anyio_now() + ANYIO_SECOND;
	CHECK_RC(anyio_fail_at(soon, sleep_forever, NULL), -ETIMEDOUT);
	CHECK(anyio_now() >= soon);
	CHECK_RC(anyio_fail_at(soon, sleep_forever, NULL), -ETIMEDOUT);
	CHECK_RC(anyio_fail_at(anyio_now() + ANYIO_SECOND, outlast, NULL), 3);
	CHECK_RC(anyio_fail_after(ANYIO_SECOND, outlast, NULL), 3);
	CHECK_RC(anyio_fail_at(ANYIO_FOREVER, sleep_short, NULL), 0);
	CHECK_RC(anyio_move_on_at(ANYIO_FOREVER, fail_at_once, NULL), -ENOENT);
	return 0;
}

static int fail_after_long(void *arg)
{
	int rc = anyio_fail_after(60 * ANYIO_SECOND, sleep_forever, NULL);
	CHECK_RC(rc, ANYIO_CANCELLED); /* not its own timeout */
	return rc;
}

static int r04_a_timeout_outside_is_not_ones_own(void *arg)
{
	CHECK_RC(anyio_fail_after(ANYIO_SECOND, fail_after_long, NULL), -ETIMEDOUT);
	return 0;
}

static bool because(const char *reason)
{
	const char *given = anyio_cancel_reason();
	return reason && given ? strcmp(reason, given) == 0 : reason == given;
}

static int r01_the_reason_is_the_innermost_that_applies(void *arg)
{
	struct anyio_cancel_scope outer, inner;
	anyio_cancel_scope_init(&outer);
	anyio_cancel_scope_init(&inner);
	anyio_cancel_scope_set_timeout(&inner, ANYIO_SECOND);
	anyio_cancel_scope_enter(&outer);
	anyio_cancel_scope_enter(&inner);
	CHECK(because(NULL));
	anyio_cancel_scope_cancel(&outer, "outer");
	CHECK(because("outer"));
	CHECK(!anyio_cancel_scope_reason(&inner));
	anyio_cancel_scope_set_shield(&inner, true);
	CHECK(anyio_cancel_scope_shield(&inner) && !anyio_cancel_scope_shield(&outer));
	CHECK(because(NULL));
	CHECK_RC(anyio_sleep_forever(), ANYIO_CANCELLED);
	CHECK(because("deadline"));
	CHECK_RC(anyio_cancel_scope_exit(&inner, ANYIO_CANCELLED), 0);
	CHECK(strcmp(anyio_cancel_scope_reason(&inner), "deadline") == 0);
	CHECK(because("outer"));
	CHECK_RC(anyio_cancel_scope_exit(&outer, ANYIO_CANCELLED), 0);
	CHECK(because(NULL));
	return 0;
}

struct reasons {
	const char *expected;
	int seen;
};

static int ask_why(void *arg)
{
	struct reasons *reasons = arg;
	int rc = anyio_sleep_forever();
	reasons->seen += because(reasons->expected);
	return rc;
}

/* By a group, by a handle, by a sibling's failure, and by one who gave no reason. */
static int r01_a_task_can_ask_why(void *arg)
{
	static const char *const expected[] = { "the group", "the handle", "a task failed", NULL };
	for (int i = 0; i < 4; i++) {
		struct reasons reasons = { .expected = expected[i] };
		struct anyio_task_handle handle;
		struct anyio_task_options options = { .handle = &handle };
		ANYIO_TASK_GROUP(group);
		anyio_start_soon_with(&group, ask_why, &reasons, &options);
		anyio_start_soon(&group, ask_why, &reasons, "other");
		CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
		if (i == 1)
			anyio_task_handle_cancel(&handle, expected[i]);
		else if (i != 2)
			anyio_task_group_cancel(&group, expected[i]);
		CHECK_RC(anyio_wait_all_tasks_blocked(), i == 1 || i == 2 ? 0 : ANYIO_CANCELLED);
		CHECK(i != 1 || reasons.seen == 1);
		CHECK_RC(anyio_task_group_exit(&group, i == 1 || i == 2 ? -EIO : ANYIO_CANCELLED),
			i == 1 || i == 2 ? -EIO : 0);
		CHECK_RC(reasons.seen, i == 1 ? 1 : 2);
	}
	return 0;
}

/* Would flush for an hour; what it cannot do it leaves, and releases the rest. */
static int close_slowly(void *arg)
{
	int rc = anyio_sleep(3600 * ANYIO_SECOND);
	CHECK(rc == 0 || because("closed by force"));
	*(bool *)arg = true;
	return rc;
}

static int r04_a_forced_close_does_not_wait(void *arg)
{
	bool closed = false;
	anyio_time began = anyio_now();
	CHECK_RC(anyio_close_forcefully(close_slowly, &closed), 0);
	CHECK(closed && anyio_now() < began + ANYIO_SECOND);
	CHECK_RC(anyio_close_forcefully(fail_at_once, NULL), -ENOENT);
	struct anyio_cancel_scope outer;
	anyio_cancel_scope_init(&outer);
	anyio_cancel_scope_enter(&outer);
	anyio_cancel_scope_cancel(&outer, NULL);
	CHECK_RC(anyio_close_forcefully(close_slowly, &closed), 0);
	return anyio_cancel_scope_exit(&outer, 0);
}

static void enter_again(void)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_enter(&scope);
	anyio_cancel_scope_exit(&scope, 0);
	anyio_cancel_scope_enter(&scope);
}

static void enter_in_a_call(void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_enter(&scope);
}

static int enter_wrongly(void *arg)
{
	if (arg)
		enter_again();
	struct anyio_token *token = anyio_current_token();
	anyio_call_soon(token, enter_in_a_call, NULL);
	anyio_token_unref(token);
	return anyio_checkpoint() < 0 ? ANYIO_CANCELLED : anyio_sleep(ANYIO_SECOND);
}

static void run_enter_again(void *options)
{
	anyio_run(enter_wrongly, "again", options);
}

static void run_enter_in_a_call(void *options)
{
	anyio_run(enter_wrongly, NULL, options);
}

static int r05_a_scope_is_for_one_use_in_a_task(void *arg)
{
	char text[8192];
	int status = in_child(run_enter_again, arg, text, sizeof text);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, "test_scope.c") && strstr(text, "entered twice"));
	status = in_child(run_enter_in_a_call, arg, text, sizeof text);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, "test_scope.c") && strstr(text, "outside a running task"));
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(c14_every_later_call_is_cancelled_again, CONFORM_MOCK),
		CONFORM(r00_a_cancelled_call_still_yields, CONFORM_MOCK),
		CONFORM(c15_nothing_is_caught_when_nothing_blocked, CONFORM_MOCK),
		CONFORM(c16_inner_does_not_catch_for_the_outer, CONFORM_MOCK),
		CONFORM(c17_a_shielded_inner_catches_its_own, CONFORM_MOCK),
		CONFORM(c18_a_shield_delays_the_delivery, CONFORM_MOCK),
		CONFORM(r01_raising_a_shield_takes_the_cancellation_away, CONFORM_MOCK),
		CONFORM(c20_a_deadline_moves_live, CONFORM_MOCK),
		CONFORM(c21_the_effective_deadline_respects_shields, CONFORM_MOCK),
		CONFORM(c22_leaving_in_wrong_order_is_an_error, CONFORM_MOCK),
		CONFORM(c30_deep_nesting_does_not_overflow, CONFORM_MOCK),
		CONFORM(r05_a_cancel_before_enter_works, CONFORM_MOCK),
		CONFORM(r04_the_cause_is_stored_when_it_fires, CONFORM_MOCK),
		CONFORM(r04_fail_after_keeps_other_results, CONFORM_MOCK),
		CONFORM(r04_deadlines_fail_or_move_on, CONFORM_MOCK),
		CONFORM(r04_a_timeout_outside_is_not_ones_own, CONFORM_MOCK),
		CONFORM(r01_the_reason_is_the_innermost_that_applies, CONFORM_MOCK),
		CONFORM(r01_a_task_can_ask_why, CONFORM_MOCK),
		CONFORM(r04_a_forced_close_does_not_wait, CONFORM_MOCK),
		CONFORM(r05_a_scope_is_for_one_use_in_a_task, CONFORM_BARE),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
