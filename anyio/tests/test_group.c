/* Task groups: who waits for whom, and whose an error is. */
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

static int c01_exit_waits_for_every_child(void *arg)
{
	bool done[3] = { false };
	ANYIO_TASK_GROUP(group);
	for (size_t i = 0; i < 3; i++)
		CHECK_RC(anyio_start_soon(&group, sleep_then_flag, &done[i], "child"), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(done[0] && done[1] && done[2]);
	return 0;
}

static int c02_spawning_in_a_closed_group_fails(void *arg)
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

static int c03_first_failure_cancels_host_and_siblings(void *arg)
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

static int c04_failing_host_cancels_children(void *arg)
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

static int c05_two_failures_are_both_listed(void *arg)
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

struct numbered {
	int number, *order, *next;
};

static int fail_numbered(void *arg)
{
	struct numbered *self = arg;
	self->order[(*self->next)++] = self->number;
	return -EIO - self->number;
}

static int c05b_more_failures_than_are_kept_are_counted(void *arg)
{
	enum { KEPT = 8, MANY = 20 };
	int order[MANY], next = 0;
	struct numbered tasks[MANY];
	const struct anyio_task_error *errors;
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < MANY; i++) {
		tasks[i] = (struct numbered){ .number = i, .order = order, .next = &next };
		anyio_start_soon(&group, fail_numbered, &tasks[i],
			"one of many with a name that is far too long");
	}
	int rc = anyio_task_group_exit(&group, 0);
	CHECK_RC(anyio_task_group_errors(&group, &errors), MANY);
	CHECK_RC(rc, errors[0].code);
	for (int i = 0; i < KEPT; i++)
		CHECK_RC(errors[i].code, -EIO - order[i]);
	return 0;
}

static int c06_cancellations_are_never_listed(void *arg)
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

static int r00_the_cancelled_code_without_a_cancellation_is_an_error(void *arg)
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

static int c07_cancelled_while_exiting_waits_on(void *arg)
{
	int child = 0;
	CHECK_RC(anyio_move_on_after(ANYIO_MILLISECOND, group_of_one, &child), 0);
	CHECK_RC(child, ANYIO_CANCELLED);
	return 0;
}

static int c08_empty_group_yields_once(void *arg)
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

static int fail_when_cancelled(void *arg)
{
	anyio_sleep_forever();
	return -EPROTO;
}

/* The first real one, though cancellations came before it and the host was cancelled by it. */
static int r07_the_first_real_error_is_returned(void *arg)
{
	struct anyio_task_handle handle;
	struct anyio_task_options options = { .handle = &handle };
	const struct anyio_task_error *errors;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon_with(&group, sleep_forever, NULL, &options);
	anyio_start_soon(&group, fail_when_cancelled, NULL, "second");
	anyio_task_handle_cancel(&handle, "first of all");
	CHECK_RC(anyio_task_handle_wait(&handle), ANYIO_TASK_CANCELLED);
	anyio_start_soon(&group, fail_after_sleep, NULL, "first");
	int rc = anyio_sleep_forever();
	CHECK_RC(rc, ANYIO_CANCELLED);
	CHECK_RC(anyio_task_group_exit(&group, rc), -EPIPE);
	CHECK_RC(anyio_task_group_errors(&group, &errors), 2);
	CHECK(errors[0].code == -EPIPE && errors[1].code == -EPROTO);
	return 0;
}

/* Ends when it is done, cancelled or not. */
static int wait_shielded(void *arg)
{
	struct anyio_cancel_scope shield;
	anyio_cancel_scope_init(&shield);
	anyio_cancel_scope_set_shield(&shield, true);
	anyio_cancel_scope_enter(&shield);
	CHECK_RC(anyio_sleep(ANYIO_SECOND), 0);
	*(bool *)arg = true;
	return anyio_cancel_scope_exit(&shield, 0);
}

static int group_of_shielded(void *arg)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, wait_shielded, arg, "shielded");
	return anyio_task_group_exit(&group, 0);
}

static int r06_the_wait_goes_on_until_the_last_child_ends(void *arg)
{
	bool done = false;
	CHECK_RC(anyio_move_on_after(ANYIO_MILLISECOND, group_of_shielded, &done), 0);
	CHECK(done);
	CHECK_RC(anyio_task_count(), 1);
	return 0;
}

static int note_start(void *arg)
{
	*(bool *)arg = true;
	return anyio_checkpoint();
}

static int c24_a_cancelled_task_still_starts(void *arg)
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

static int sleep_a_while(void *arg)
{
	int rc = anyio_sleep(ANYIO_SECOND);
	*(bool *)arg = true;
	return rc;
}

/* Else its children would be left behind. */
static int g_its_scope_is_left_by_its_exit_alone(void *arg)
{
	bool ended = false;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, sleep_a_while, &ended, "child");
	CHECK_RC(anyio_cancel_scope_exit(anyio_task_group_scope(&group), 0), ANYIO_WRONG_ORDER);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(ended);
	return 0;
}

static int g_a_task_without_a_function_is_refused(void *arg)
{
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_start_soon(&group, NULL, NULL, "nothing"), -EINVAL);
	CHECK_RC(anyio_start(&group, NULL, NULL, "nothing", NULL), -EINVAL);
	return anyio_task_group_exit(&group, 0);
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(c01_exit_waits_for_every_child, CONFORM_MOCK),
		CONFORM(c02_spawning_in_a_closed_group_fails, CONFORM_MOCK),
		CONFORM(c03_first_failure_cancels_host_and_siblings, CONFORM_MOCK),
		CONFORM(c04_failing_host_cancels_children, CONFORM_MOCK),
		CONFORM(c05_two_failures_are_both_listed, CONFORM_MOCK),
		CONFORM(c05b_more_failures_than_are_kept_are_counted, CONFORM_MOCK),
		CONFORM(c06_cancellations_are_never_listed, CONFORM_MOCK),
		CONFORM(r00_the_cancelled_code_without_a_cancellation_is_an_error, CONFORM_MOCK),
		CONFORM(c07_cancelled_while_exiting_waits_on, CONFORM_MOCK),
		CONFORM(c08_empty_group_yields_once, CONFORM_MOCK | CONFORM_ORDERED),
		CONFORM(r07_the_first_real_error_is_returned, CONFORM_MOCK),
		CONFORM(r06_the_wait_goes_on_until_the_last_child_ends, CONFORM_MOCK),
		CONFORM(c24_a_cancelled_task_still_starts, CONFORM_MOCK),
		CONFORM(g_a_failed_spawn_sticks, CONFORM_MOCK),
		CONFORM(g_a_spawn_that_may_fail_is_only_reported, CONFORM_MOCK),
		CONFORM(g_leaving_groups_in_wrong_order_is_refused, CONFORM_MOCK),
		CONFORM(g_its_scope_is_left_by_its_exit_alone, CONFORM_MOCK),
		CONFORM(g_a_task_without_a_function_is_refused, CONFORM_MOCK),
		CONFORM(g_the_limit_on_tasks_is_kept, CONFORM_MOCK | CONFORM_BARE),
		CONFORM(g_a_child_comes_and_goes_before_the_host_wakes,
			CONFORM_MOCK | CONFORM_BARE),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
