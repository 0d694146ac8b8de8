/* Variables of a task and of a run: who sees what, who owns the values, and what failure leaves. */
#include "conformance.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include "child.h"

static const struct anyio_task_local name = { .initial = "nobody" };
static const struct anyio_task_local other = { 0 };

static bool named(const char *expected)
{
	return strcmp(anyio_task_local_get(&name), expected) == 0;
}

static int t_set_get_and_reset(void *arg)
{
	struct anyio_local_token first, second, third;
	CHECK(named("nobody"));
	CHECK(!anyio_task_local_get(&other));
	CHECK_RC(anyio_task_local_set(&name, "one", &first), 0);
	CHECK_RC(anyio_task_local_set(&other, "else", &third), 0);
	CHECK_RC(anyio_task_local_set(&name, "two", &second), 0);
	CHECK(named("two"));
	CHECK_RC(anyio_task_local_reset(&name, &second), 0);
	CHECK(named("one"));
	CHECK_RC(anyio_task_local_reset(&name, &first), 0);
	CHECK(named("nobody"));
	CHECK(strcmp(anyio_task_local_get(&other), "else") == 0);
	CHECK_RC(anyio_task_local_reset(&other, &third), 0);
	CHECK(!anyio_task_local_get(&other));
	return 0;
}

static int reset_anothers(void *arg)
{
	CHECK_RC(anyio_task_local_reset(&name, arg), -EINVAL);
	return 0;
}

static int t_a_token_is_for_one_use_of_one_task(void *arg)
{
	struct anyio_local_token token;
	CHECK_RC(anyio_task_local_set(&name, "one", &token), 0);
	CHECK_RC(anyio_task_local_reset(&other, &token), -EINVAL);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, reset_anothers, &token, "thief");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(named("one"));
	CHECK_RC(anyio_task_local_reset(&name, &token), 0);
	CHECK_RC(anyio_task_local_reset(&name, &token), -EINVAL);
	CHECK(named("nobody"));
	return 0;
}

struct child {
	struct anyio_event go, done;
	const char *sees, *sets, *sees_then;
};

static int look_and_set(void *arg)
{
	struct child *child = arg;
	CHECK(named(child->sees));
	CHECK_RC(anyio_task_local_set(&name, (void *)child->sets, NULL), 0);
	anyio_event_set(&child->done);
	CHECK_RC(anyio_event_wait(&child->go), 0);
	CHECK(named(child->sets));
	return 0;
}

/* What was set at the spawn is seen; what either sets later is its own. */
static int t_a_child_begins_with_a_copy(void *arg)
{
	struct child children[2] = { { .sees = "one", .sets = "a" },
		{ .sees = "two", .sets = "b" } };
	for (int i = 0; i < 2; i++) {
		anyio_event_init(&children[i].go);
		anyio_event_init(&children[i].done);
	}
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_task_local_set(&name, "one", NULL), 0);
	anyio_start_soon(&group, look_and_set, &children[0], "first");
	CHECK_RC(anyio_task_local_set(&name, "two", NULL), 0);
	anyio_start_soon(&group, look_and_set, &children[1], "second");
	CHECK_RC(anyio_task_local_set(&name, "three", NULL), 0);
	for (int i = 0; i < 2; i++)
		CHECK_RC(anyio_event_wait(&children[i].done), 0);
	CHECK(named("three"));
	for (int i = 0; i < 2; i++)
		anyio_event_set(&children[i].go);
	return anyio_task_group_exit(&group, 0);
}

static int see_spawner(void *arg)
{
	CHECK(named("spawner"));
	anyio_started(NULL);
	return 0;
}

static int spawn_elsewhere(void *arg)
{
	CHECK_RC(anyio_task_local_set(&name, "spawner", NULL), 0);
	anyio_start_soon(arg, see_spawner, NULL, "soon");
	return anyio_start(arg, see_spawner, NULL, "start", NULL);
}

static int see_nobody(void *arg)
{
	CHECK(named("nobody"));
	return 0;
}

static void spawn_outside_a_task(void *group)
{
	anyio_start_soon(group, see_nobody, NULL, "from a call");
}

/* Not the group's host: who spawns is whose variables are seen. */
static int t_it_is_the_spawners_that_are_inherited(void *arg)
{
	ANYIO_TASK_GROUP(outer);
	CHECK_RC(anyio_task_local_set(&name, "host", NULL), 0);
	ANYIO_TASK_GROUP(inner);
	anyio_start_soon(&inner, spawn_elsewhere, &outer, "spawner");
	CHECK_RC(anyio_task_group_exit(&inner, 0), 0);
	struct anyio_token *token = anyio_current_token();
	CHECK_RC(anyio_call_soon(token, spawn_outside_a_task, &outer), 0);
	anyio_token_unref(token);
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK(named("host"));
	return anyio_task_group_exit(&outer, 0);
}

static int holds;

static void hold(void *value)
{
	++*(int *)value;
	holds++;
}

static void release(void *value)
{
	--*(int *)value;
	holds--;
}

static const struct anyio_task_local counted = { .hold = hold, .release = release };
static const struct anyio_task_local plain = { 0 };

static int change_counted(void *arg)
{
	int **values = arg;
	CHECK_RC(*values[0], 1); /* shared with the parent */
	CHECK_RC(anyio_task_local_set(&plain, "copies the rest", NULL), 0);
	CHECK_RC(*values[0], 2);
	CHECK_RC(anyio_task_local_set(&counted, values[1], NULL), 0);
	CHECK_RC(*values[0], 1);
	CHECK_RC(*values[1], 1);
	return 0;
}

static int t_values_are_held_as_long_as_they_are_set(void *arg)
{
	int one = 0, two = 0, *values[] = { &one, &two };
	struct anyio_local_token token, unset;
	holds = 0;
	CHECK_RC(anyio_task_local_set(&counted, &one, &unset), 0);
	CHECK_RC(one, 1);
	CHECK_RC(anyio_task_local_set(&counted, &two, &token), 0);
	CHECK(one == 1 && two == 1); /* the token holds the first */
	CHECK_RC(anyio_task_local_reset(&counted, &token), 0);
	CHECK(one == 1 && two == 0);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, change_counted, values, "child");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(one == 1 && two == 0);
	CHECK_RC(anyio_task_local_reset(&counted, &unset), 0);
	CHECK_RC(holds, 0);
	return 0;
}

static int end_with_it_set(void *arg)
{
	CHECK_RC(anyio_task_local_set(&counted, arg, NULL), 0);
	CHECK_RC(anyio_task_local_set(&counted, arg, NULL), 0);
	CHECK_RC(*(int *)arg, 1);
	return anyio_sleep_forever();
}

static int t_a_tasks_end_releases_its_values(void *arg)
{
	int value = 0;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, end_with_it_set, &value, "child");
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(value, 1);
	anyio_task_group_cancel(&group, NULL);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(value, 0);
	return 0;
}

static int wait_for_event(void *arg)
{
	return anyio_event_wait(arg);
}

static int t_without_memory_nothing_changes(void *arg)
{
	int one = 0, two = 0;
	struct anyio_local_token token, unset;
	struct anyio_event end;
	anyio_event_init(&end);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	CHECK_RC(anyio_task_local_set(&counted, &one, NULL), -ENOMEM);
	CHECK(!anyio_task_local_get(&counted));
	CHECK_RC(anyio_task_local_set(&counted, &one, &unset), 0);
	CHECK_RC(anyio_task_local_set(&counted, &two, &token), 0);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, wait_for_event, &end, "shares");
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	CHECK_RC(anyio_task_local_reset(&counted, &token), -ENOMEM);
	CHECK(anyio_task_local_get(&counted) == &two);
	CHECK(one == 1 && two == 1);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	CHECK_RC(anyio_task_local_reset(&counted, &token), 0);
	CHECK(anyio_task_local_get(&counted) == &one);
	CHECK(one == 1 && two == 1); /* the child's */
	anyio_event_set(&end);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(one == 1 && two == 0);
	CHECK_RC(anyio_task_local_reset(&counted, &unset), 0);
	CHECK_RC(one, 0);
	return 0;
}

enum { MANY = 100 };

static int check_many(void *arg)
{
	struct anyio_task_local *many = arg;
	for (size_t i = 0; i < MANY; i++)
		CHECK(anyio_task_local_get(&many[i]) == &many[i]);
	return 0;
}

static int t_many_variables(void *arg)
{
	static struct anyio_task_local many[MANY];
	for (size_t i = 0; i < MANY; i++)
		CHECK_RC(anyio_task_local_set(&many[i], &many[i], NULL), 0);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, check_many, many, "child");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return check_many(many);
}

static int destroyed[8], destroyed_count;

static void note_destroyed(void *value)
{
	destroyed[destroyed_count++] = *(int *)value;
}

static const struct anyio_run_local first = { .destroy = note_destroyed };
static const struct anyio_run_local second = { .destroy = note_destroyed };
static int numbers[] = { 0, 1, 2, 3, 4 };
static const struct anyio_run_local third = { .initial = &numbers[4] };

static int set_second(void *arg)
{
	CHECK(anyio_run_local_get(&first) == &numbers[1]);
	return anyio_run_local_set(&second, &numbers[2], NULL);
}

static int use_run_locals(void *arg)
{
	CHECK(!anyio_run_local_get(&first));
	CHECK_RC(anyio_run_local_set(&first, &numbers[3], NULL), 0);
	CHECK_RC(anyio_run_local_set(&first, &numbers[1], NULL), 0);
	CHECK(destroyed_count == 1 && destroyed[0] == 3);
	CHECK(anyio_run_local_get(&third) == &numbers[4]);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, set_second, NULL, "child");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(anyio_run_local_get(&second) == &numbers[2]);
	CHECK(destroyed_count == 1);
	return 0;
}

static int use_nothing(void *arg)
{
	CHECK(!anyio_run_local_get(&first));
	return 0;
}

/* Every run has its own, and ends with the destructors, the last first. */
static int l_a_run_has_its_own_and_destroys_them(void *arg)
{
	destroyed_count = 0;
	CHECK_RC(anyio_run(use_run_locals, NULL, arg), 0);
	CHECK_RC(destroyed_count, 3);
	CHECK(destroyed[1] == 2 && destroyed[2] == 1);
	CHECK_RC(anyio_run(use_nothing, NULL, arg), 0);
	CHECK_RC(destroyed_count, 3);
	return 0;
}

static int reset_run_locals(void *arg)
{
	struct anyio_local_token before, unset;
	CHECK_RC(anyio_run_local_set(&first, &numbers[1], &unset), 0);
	CHECK_RC(anyio_run_local_set(&first, &numbers[2], &before), 0);
	CHECK_RC(destroyed_count, 0);
	CHECK_RC(anyio_run_local_reset(&second, &before), -EINVAL);
	CHECK_RC(anyio_run_local_reset(&first, &before), 0);
	CHECK(destroyed_count == 1 && destroyed[0] == 2);
	CHECK(anyio_run_local_get(&first) == &numbers[1]);
	CHECK_RC(anyio_run_local_reset(&first, &before), -EINVAL);
	CHECK_RC(anyio_run_local_reset(&first, &unset), 0);
	CHECK(destroyed_count == 2 && destroyed[1] == 1);
	CHECK(!anyio_run_local_get(&first));
	return 0;
}

static int l_a_token_keeps_what_was_before(void *arg)
{
	destroyed_count = 0;
	CHECK_RC(anyio_run(reset_run_locals, NULL, arg), 0);
	CHECK_RC(destroyed_count, 2);
	return 0;
}

static void set_another(void *value)
{
	note_destroyed(value);
	CHECK(anyio_run_local_get(&first) == &numbers[1]);
	CHECK_RC(anyio_run_local_set(&second, &numbers[2], NULL), 0);
}

static int set_one_that_sets(void *arg)
{
	static const struct anyio_run_local sets = { .destroy = set_another };
	CHECK_RC(anyio_run_local_set(&first, &numbers[1], NULL), 0);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	CHECK_RC(anyio_run_local_set(&sets, &numbers[4], NULL), -ENOMEM);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	return anyio_run_local_set(&sets, &numbers[3], NULL);
}

static int l_a_destructor_may_set_again(void *arg)
{
	destroyed_count = 0;
	CHECK_RC(anyio_run(set_one_that_sets, NULL, arg), 0);
	CHECK_RC(destroyed_count, 3);
	CHECK(destroyed[0] == 3 && destroyed[1] == 2 && destroyed[2] == 1);
	return 0;
}

static int l_outside_a_loop_nothing_is_set(void *arg)
{
	struct anyio_local_token token;
	CHECK(named("nobody"));
	CHECK_RC(anyio_task_local_set(&name, "x", &token), ANYIO_NO_LOOP);
	CHECK_RC(anyio_task_local_reset(&name, &token), ANYIO_NO_LOOP);
	CHECK(anyio_run_local_get(&third) == &numbers[4]);
	CHECK_RC(anyio_run_local_set(&first, &numbers[1], &token), ANYIO_NO_LOOP);
	CHECK_RC(anyio_run_local_reset(&first, &token), ANYIO_NO_LOOP);
	return 0;
}

static int last_held, last_released;

static void hold_last(void *value)
{
	last_held++;
}
static void release_last(void *value)
{
	last_released++;
}
static const struct anyio_task_local last = { .hold = hold_last, .release = release_last };

static void hold_nothing(void *value)
{
}
static void release_and_set(void *value)
{
	CHECK_RC(anyio_task_local_set(&last, value, NULL), 0);
}
static const struct anyio_task_local setters[] = {
	{ .hold = hold_nothing, .release = release_and_set },
	{ .hold = hold_nothing, .release = release_and_set },
};

static int set_the_setters(void *arg)
{
	for (int i = 0; i < 2; i++)
		CHECK_RC(anyio_task_local_set(&setters[i], "value", NULL), 0);
	return 0;
}

static int t_a_release_may_set_another(void *arg)
{
	last_held = last_released = 0;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, set_the_setters, NULL, "setter");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(last_held, 2);
	CHECK_RC(last_released, 2);
	return 0;
}

static void release_for_ever(void *value);
static const struct anyio_task_local endless = { .hold = hold_nothing,
	.release = release_for_ever };
static void release_for_ever(void *value)
{
	anyio_task_local_set(&endless, value, NULL);
}

static void destroy_for_ever(void *value);
static const struct anyio_run_local endless_run = { .destroy = destroy_for_ever };
static void destroy_for_ever(void *value)
{
	anyio_run_local_set(&endless_run, value, NULL);
}

static int set_endless(void *arg)
{
	return anyio_task_local_set(&endless, "value", NULL);
}
static int set_endless_run(void *arg)
{
	return anyio_run_local_set(&endless_run, "value", NULL);
}
static void run_endless(void *arg)
{
	alarm(20);
	anyio_run(set_endless, NULL, arg);
}
static void run_endless_run(void *arg)
{
	alarm(20);
	anyio_run(set_endless_run, NULL, arg);
}

static int l_an_end_that_sets_for_ever_is_named(void *arg)
{
	char text[8192];
	int status = in_child(run_endless, arg, text, sizeof text);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, "the release of a local sets a local each time"));
	status = in_child(run_endless_run, arg, text, sizeof text);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, "the destroy of a local sets a local each time"));
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(t_set_get_and_reset, CONFORM_MOCK),
		CONFORM(t_a_token_is_for_one_use_of_one_task, CONFORM_MOCK),
		CONFORM(t_a_child_begins_with_a_copy, CONFORM_MOCK),
		CONFORM(t_it_is_the_spawners_that_are_inherited, CONFORM_MOCK),
		CONFORM(t_values_are_held_as_long_as_they_are_set, CONFORM_MOCK),
		CONFORM(t_a_tasks_end_releases_its_values, CONFORM_MOCK),
		CONFORM(t_without_memory_nothing_changes, CONFORM_MOCK),
		CONFORM(t_many_variables, CONFORM_MOCK),
		CONFORM(l_a_run_has_its_own_and_destroys_them, CONFORM_BARE),
		CONFORM(l_a_token_keeps_what_was_before, CONFORM_BARE),
		CONFORM(l_a_destructor_may_set_again, CONFORM_BARE),
		CONFORM(t_a_release_may_set_another, CONFORM_MOCK),
		CONFORM(l_an_end_that_sets_for_ever_is_named, CONFORM_BARE),
		CONFORM(l_outside_a_loop_nothing_is_set, CONFORM_BARE),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
