/* Task groups, the start handshake and handles: who waits for whom, and whose an error is. */
#include "conformance.h"
#include <errno.h>
#include <string.h>

static int set_flag(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

static int sleep_then_flag(void *arg)
{
	int rc = anyio_sleep(ANYIO_SECOND);
	if (rc == 0)
		*(bool *)arg = true;
	return rc;
}

static int sleep_forever(void *arg)
{
	return anyio_sleep_forever();
}

/* Sleeps until cancelled and says so. */
static int note_cancel(void *arg)
{
	int rc = anyio_sleep_forever();
	*(int *)arg = rc;
	return rc;
}

static int fail_io(void *arg)
{
	return -EIO;
}

static int fail_after_sleep(void *arg)
{
	int rc = anyio_sleep(ANYIO_MILLISECOND);
	return rc < 0 ? rc : -EPIPE;
}

static int g01_exit_waits_for_every_child(void *arg)
{
	bool done[3] = { false };
	ANYIO_TASK_GROUP(group);
	for (size_t i = 0; i < 3; i++)
		CHECK_RC(anyio_start_soon(&group, sleep_then_flag, &done[i], "child"), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(done[0] && done[1] && done[2]);
	return 0;
}

static int g02_spawning_in_a_closed_group_fails(void *arg)
{
	bool ran = false;
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(anyio_start_soon(&group, set_flag, &ran, "late"), ANYIO_GROUP_CLOSED);
	CHECK_RC(anyio_start(&group, set_flag, &ran, "late", NULL), ANYIO_GROUP_CLOSED);
	CHECK_RC(anyio_task_group_exit(&group, 0), ANYIO_WRONG_ORDER);
	anyio_cancel_shielded_checkpoint();
	CHECK(!ran);
	return 0;
}

static int g03_first_failure_cancels_host_and_siblings(void *arg)
{
	int sibling = 0;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, note_cancel, &sibling, "sibling");
	anyio_start_soon(&group, fail_after_sleep, NULL, "failing");
	int rc = anyio_sleep_forever();
	CHECK_RC(rc, ANYIO_CANCELLED);
	CHECK_RC(anyio_task_group_exit(&group, rc), -EPIPE);
	CHECK_RC(sibling, ANYIO_CANCELLED);
	CHECK_RC(anyio_checkpoint(), 0);
	return 0;
}

static int g04_failing_host_cancels_children(void *arg)
{
	int child = 0;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, note_cancel, &child, "child");
	CHECK_RC(anyio_task_group_exit(&group, -ENOENT), -ENOENT);
	CHECK_RC(child, ANYIO_CANCELLED);
	const struct anyio_task_error *errors;
	CHECK_RC(anyio_task_group_errors(&group, &errors), 1);
	CHECK(strcmp(errors[0].task, "root") == 0);
	return 0;
}

static int g05_two_failures_are_both_listed(void *arg)
{
	ANYIO_TASK_GROUP(group);
	int line = __LINE__ - 1;
	anyio_start_soon(&group, fail_io, NULL, "first");
	anyio_start_soon(&group, fail_io, NULL, "second");
	CHECK_RC(anyio_task_group_exit(&group, 0), -EIO);
	const struct anyio_task_error *errors;
	CHECK_RC(anyio_task_group_errors(&group, &errors), 2);
	CHECK_RC(errors[0].code, -EIO);
	CHECK_RC(errors[1].code, -EIO);
	CHECK(strcmp(errors[0].task, errors[1].task) != 0);
	CHECK_RC(errors[0].line, line);
	CHECK(strstr(errors[0].file, "test_group.c"));
	return 0;
}

static int g05b_more_failures_than_are_kept_are_counted(void *arg)
{
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 20; i++)
		anyio_start_soon(
			&group, fail_io, NULL, "one of many with a name that is far too long");
	CHECK_RC(anyio_task_group_exit(&group, 0), -EIO);
	CHECK_RC(anyio_task_group_errors(&group, NULL), 20);
	return 0;
}

static int g06_cancellations_are_never_listed(void *arg)
{
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 3; i++)
		anyio_start_soon(&group, sleep_forever, NULL, "child");
	anyio_checkpoint();
	anyio_task_group_cancel(&group, "enough");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(anyio_task_group_errors(&group, NULL), 0);
	struct anyio_cancel_scope *scope = anyio_task_group_scope(&group);
	CHECK(anyio_cancel_scope_cancelled_caught(scope));
	CHECK(strcmp(anyio_cancel_scope_reason(scope), "enough") == 0);
	return 0;
}

static int return_cancelled(void *arg)
{
	return ANYIO_CANCELLED;
}

static int g06b_the_cancelled_code_without_a_cancellation_is_an_error(void *arg)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, return_cancelled, NULL, "liar");
	CHECK_RC(anyio_task_group_exit(&group, 0), ANYIO_CANCELLED);
	CHECK_RC(anyio_task_group_errors(&group, NULL), 1);
	return 0;
}

/* Notices its cancellation and takes its time to end. */
static int slow_unwind(void *arg)
{
	int rc = anyio_sleep_forever();
	for (int i = 0; i < 5; i++)
		anyio_cancel_shielded_checkpoint();
	*(int *)arg = rc;
	return rc;
}

static int group_of_one(void *arg)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, slow_unwind, arg, "slow");
	return anyio_task_group_exit(&group, 0);
}

static int g07_cancelled_while_exiting_waits_on(void *arg)
{
	int child = 0;
	CHECK_RC(anyio_move_on_after(ANYIO_MILLISECOND, group_of_one, &child), 0);
	CHECK_RC(child, ANYIO_CANCELLED);
	return 0;
}

static int g08_empty_group_yields_once(void *arg)
{
	bool ran = false;
	ANYIO_TASK_GROUP(outer);
	anyio_start_soon(&outer, set_flag, &ran, "other");
	ANYIO_TASK_GROUP(empty);
	CHECK(!ran);
	CHECK_RC(anyio_task_group_exit(&empty, 0), 0);
	CHECK(ran);
	CHECK_RC(anyio_task_group_exit(&outer, 7), 7);
	return 0;
}

static int server(void *arg)
{
	int rc = anyio_checkpoint();
	if (rc < 0)
		return rc;
	CHECK_RC(anyio_started(arg), 0);
	return anyio_sleep_forever();
}

static int g09_start_returns_the_started_value(void *arg)
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

static int g10_started_twice_is_an_error(void *arg)
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

static int g11_ending_without_started_is_an_error(void *arg)
{
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_start(&group, just_end, NULL, "mute", NULL), ANYIO_NOT_STARTED);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int g12_an_error_before_started_is_the_starters_alone(void *arg)
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

static int g12b_an_error_after_started_is_the_groups(void *arg)
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

static int g13_cancelled_start_cancels_and_awaits_the_child(void *arg)
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

static int g13b_cancelling_a_long_chain_of_starts_takes_no_stack(void *arg)
{
	enum { LINKS = 1000 };
	struct chain chain = { .links = LINKS };
	CHECK_RC(anyio_move_on_after(ANYIO_SECOND, chain_link, &chain), 0);
	CHECK_RC(chain.ended, LINKS);
	CHECK_RC(anyio_task_count(), 1);
	return 0;
}

static int g23_cancelling_a_handle_affects_one_task(void *arg)
{
	struct anyio_task_handle one, other;
	bool done = false;
	ANYIO_TASK_GROUP(group);
	struct anyio_task_options first = { .name = "one", .handle = &one };
	struct anyio_task_options second = { .name = "other", .handle = &other };
	anyio_start_soon_with(&group, sleep_forever, NULL, &first);
	anyio_start_soon_with(&group, sleep_then_flag, &done, &second);
	anyio_checkpoint();
	anyio_task_handle_cancel(&one, "only this one");
	CHECK_RC(anyio_task_handle_wait(&one), ANYIO_TASK_CANCELLED);
	CHECK_RC(anyio_task_handle_wait(&one), ANYIO_TASK_CANCELLED);
	CHECK(!done);
	CHECK_RC(anyio_task_handle_wait(&other), 0);
	CHECK(done);
	anyio_task_handle_cancel(&other, "too late");
	CHECK_RC(anyio_task_handle_wait(&other), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int wait_handle(void *arg)
{
	return anyio_task_handle_wait(arg);
}

static int g23b_a_cancelled_wait_leaves_the_task_alone(void *arg)
{
	struct anyio_task_handle handle;
	bool done = false;
	ANYIO_TASK_GROUP(group);
	struct anyio_task_options options = { .handle = &handle };
	anyio_start_soon_with(&group, sleep_then_flag, &done, &options);
	CHECK_RC(anyio_fail_after(ANYIO_MILLISECOND, wait_handle, &handle), -ETIMEDOUT);
	CHECK(!done);
	CHECK_RC(anyio_task_handle_wait(&handle), 0);
	CHECK(done);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int note_start(void *arg)
{
	*(bool *)arg = true;
	return anyio_checkpoint();
}

static int s24_a_cancelled_task_still_starts(void *arg)
{
	bool ran[2] = { false };
	struct anyio_task_handle handle;
	struct anyio_task_options options = { .handle = &handle };
	ANYIO_TASK_GROUP(group);
	anyio_start_soon_with(&group, note_start, &ran[0], &options);
	anyio_task_handle_cancel(&handle, "early");
	CHECK_RC(anyio_task_handle_wait(&handle), ANYIO_TASK_CANCELLED);
	CHECK(ran[0]);
	anyio_task_group_cancel(&group, "all");
	CHECK_RC(anyio_start_soon(&group, note_start, &ran[1], "in a cancelled group"), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(ran[1]);
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

static int s31_a_pending_start_keeps_the_group_open(void *arg)
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

static int g_a_failed_spawn_sticks(void *arg)
{
	int child = 0;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, note_cancel, &child, "child");
	anyio_checkpoint();
	struct anyio_task_options huge = { .name = "huge", .stack_size = SIZE_MAX / 2 };
	int rc = anyio_start_soon_with(&group, sleep_forever, NULL, &huge);
	CHECK_RC(rc, -ENOMEM);
	CHECK_RC(anyio_task_group_exit(&group, 0), -ENOMEM);
	CHECK_RC(child, ANYIO_CANCELLED);
	return 0;
}

static int g_a_spawn_that_may_fail_is_only_reported(void *arg)
{
	bool child = false, done = false;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, sleep_then_flag, &child, "child");
	struct anyio_task_options huge = {
		.name = "huge", .stack_size = SIZE_MAX / 2, .may_fail = true
	};
	CHECK_RC(anyio_start_soon_with(&group, sleep_forever, NULL, &huge), -ENOMEM);
	CHECK_RC(anyio_try_start_soon(&group, sleep_then_flag, &done, "small"), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(child && done);
	return 0;
}

static int g_leaving_groups_in_wrong_order_is_refused(void *arg)
{
	ANYIO_TASK_GROUP(outer);
	ANYIO_TASK_GROUP(inner);
	CHECK_RC(anyio_task_group_exit(&outer, 0), ANYIO_WRONG_ORDER);
	CHECK_RC(anyio_task_group_exit(&inner, 0), 0);
	CHECK_RC(anyio_task_group_exit(&outer, 0), 0);
	return 0;
}

static int spawn_limit_body(void *arg)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, sleep_forever, NULL, "one");
	anyio_start_soon(&group, sleep_forever, NULL, "two");
	CHECK_RC(anyio_start_soon(&group, sleep_forever, NULL, "three"), ANYIO_TOO_MANY);
	return anyio_task_group_exit(&group, 0);
}

static int g_the_limit_on_tasks_is_kept(void *arg)
{
	struct anyio_options options = *(struct anyio_options *)arg;
	options.max_tasks = 3;
	CHECK_RC(anyio_run(spawn_limit_body, NULL, &options), ANYIO_TOO_MANY);
	return 0;
}

static int end_at_once(void *arg)
{
	return 0;
}

static int end_after_a_turn(void *arg)
{
	return anyio_checkpoint();
}

static int spawn_from_outside(void *arg)
{
	int rc = anyio_checkpoint();

	if (rc == 0)
		rc = anyio_try_start_soon(arg, end_at_once, NULL, "late");
	return rc == ANYIO_GROUP_CLOSED ? 0 : rc;
}

static int late_child_body(void *arg)
{
	struct anyio_task_group inner;

	ANYIO_TASK_GROUP(outer);
	anyio_task_group_enter(&inner);
	anyio_start_soon(&inner, end_after_a_turn, NULL, "child");
	anyio_start_soon(&outer, spawn_from_outside, &inner, "outside");
	int rc = anyio_task_group_exit(&inner, 0);
	return anyio_task_group_exit(&outer, rc);
}

/* The last child ends, and before the host's turn comes another is spawned from outside, and ends
 * too. */
static int g_a_child_comes_and_goes_before_the_host_wakes(void *arg)
{
	struct anyio_options options = *(struct anyio_options *)arg;

	options.seeded = true;
	for (options.seed = 1; options.seed <= 100; options.seed++)
		CHECK_RC(anyio_run(late_child_body, NULL, &options), 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(g01_exit_waits_for_every_child, CONFORM_MOCK),
		CONFORM(g02_spawning_in_a_closed_group_fails, CONFORM_MOCK),
		CONFORM(g03_first_failure_cancels_host_and_siblings, CONFORM_MOCK),
		CONFORM(g04_failing_host_cancels_children, CONFORM_MOCK),
		CONFORM(g05_two_failures_are_both_listed, CONFORM_MOCK),
		CONFORM(g05b_more_failures_than_are_kept_are_counted, CONFORM_MOCK),
		CONFORM(g06_cancellations_are_never_listed, CONFORM_MOCK),
		CONFORM(g06b_the_cancelled_code_without_a_cancellation_is_an_error, CONFORM_MOCK),
		CONFORM(g07_cancelled_while_exiting_waits_on, CONFORM_MOCK),
		CONFORM(g08_empty_group_yields_once, CONFORM_MOCK | CONFORM_ORDERED),
		CONFORM(g09_start_returns_the_started_value, CONFORM_MOCK),
		CONFORM(g10_started_twice_is_an_error, CONFORM_MOCK),
		CONFORM(g11_ending_without_started_is_an_error, CONFORM_MOCK),
		CONFORM(g12_an_error_before_started_is_the_starters_alone, CONFORM_MOCK),
		CONFORM(g12b_an_error_after_started_is_the_groups, CONFORM_MOCK),
		CONFORM(g13_cancelled_start_cancels_and_awaits_the_child, CONFORM_MOCK),
		CONFORM(g13b_cancelling_a_long_chain_of_starts_takes_no_stack, CONFORM_MOCK),
		CONFORM(g23_cancelling_a_handle_affects_one_task, CONFORM_MOCK),
		CONFORM(g23b_a_cancelled_wait_leaves_the_task_alone, CONFORM_MOCK),
		CONFORM(s24_a_cancelled_task_still_starts, CONFORM_MOCK),
		CONFORM(s31_a_pending_start_keeps_the_group_open, CONFORM_MOCK),
		CONFORM(g_a_failed_spawn_sticks, CONFORM_MOCK),
		CONFORM(g_a_spawn_that_may_fail_is_only_reported, CONFORM_MOCK),
		CONFORM(g_leaving_groups_in_wrong_order_is_refused, CONFORM_MOCK),
		CONFORM(g_the_limit_on_tasks_is_kept, CONFORM_MOCK | CONFORM_BARE),
		CONFORM(g_a_child_comes_and_goes_before_the_host_wakes,
			CONFORM_MOCK | CONFORM_BARE),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
