/* Task handles: what they tell of a task before, while and after it runs; and why a task failed. */
#include "conformance.h"
#include <errno.h>
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

static int return_code(void *arg)
{
	return *(int *)arg;
}

static void spawn(struct anyio_task_group *group, anyio_task_fn fn, void *arg, const char *name,
	struct anyio_task_handle *handle)
{
	struct anyio_task_options options = { .name = name, .handle = handle };
	CHECK_RC(anyio_start_soon_with(group, fn, arg, &options), 0);
}

static int sleep_then_flag(void *arg)
{
	int rc = anyio_sleep(ANYIO_SECOND);
	if (rc == 0)
		*(bool *)arg = true;
	return rc;
}

static int c23_cancelling_a_handle_affects_one_task(void *arg)
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

static int c23b_a_cancelled_wait_leaves_the_task_alone(void *arg)
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

static int h_the_status_follows_the_task(void *arg)
{
	struct anyio_task_handle good, bad, cancelled;
	int seven = 7, error = -EIO;
	ANYIO_TASK_GROUP(group);
	spawn(&group, sleep_forever, NULL, "cancelled", &cancelled);
	spawn(&group, return_code, &seven, "good", &good);
	CHECK_RC(anyio_task_handle_status(&cancelled), ANYIO_STATUS_PENDING);
	CHECK_RC(anyio_task_handle_result(&good), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(anyio_task_handle_status(&good), ANYIO_STATUS_FINISHED);
	CHECK_RC(anyio_task_handle_result(&good), 7);
	CHECK_RC(anyio_task_handle_status(&cancelled), ANYIO_STATUS_RUNNING);
	anyio_task_handle_cancel(&cancelled, "enough");
	CHECK_RC(anyio_task_handle_status(&cancelled), ANYIO_STATUS_CANCELLING);
	CHECK_RC(anyio_task_handle_wait(&cancelled), ANYIO_TASK_CANCELLED);
	CHECK_RC(anyio_task_handle_status(&cancelled), ANYIO_STATUS_CANCELLED);
	CHECK_RC(anyio_task_handle_result(&cancelled), ANYIO_TASK_CANCELLED);
	CHECK(!anyio_task_handle_error(&cancelled) && !anyio_task_handle_error(&good));
	spawn(&group, return_code, &error, "bad", &bad);
	CHECK_RC(anyio_task_group_exit(&group, 0), -EIO);
	CHECK_RC(anyio_task_handle_status(&bad), ANYIO_STATUS_FAILED);
	CHECK_RC(anyio_task_handle_result(&bad), -EIO);
	CHECK(strcmp(anyio_task_handle_name(&bad), "bad") == 0);
	CHECK(strcmp(anyio_task_handle_name(&good), "good") == 0);
	return 0;
}

static int end_though_cancelled(void *arg)
{
	anyio_sleep_forever();
	return 3;
}

/* Asked to be cancelled, and ended in another way: it is the end that counts. */
static int h_a_task_that_ends_though_cancelled_has_finished(void *arg)
{
	struct anyio_task_handle handle;
	ANYIO_TASK_GROUP(group);
	spawn(&group, end_though_cancelled, NULL, "stubborn", &handle);
	anyio_task_handle_cancel(&handle, NULL);
	CHECK_RC(anyio_task_handle_wait(&handle), 3);
	CHECK_RC(anyio_task_handle_status(&handle), ANYIO_STATUS_FINISHED);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int h_a_group_cancelled_is_not_a_handle_cancelled(void *arg)
{
	struct anyio_task_handle handle;
	ANYIO_TASK_GROUP(group);
	spawn(&group, sleep_forever, NULL, "child", &handle);
	anyio_checkpoint();
	anyio_task_group_cancel(&group, "all");
	CHECK(anyio_task_handle_status(&handle) != ANYIO_STATUS_CANCELLING);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(anyio_task_handle_status(&handle), ANYIO_STATUS_CANCELLED);
	return 0;
}

static int h_a_task_never_spawned_has_failed(void *arg)
{
	struct anyio_task_handle handle;
	struct anyio_task_options options = {
		.name = "huge", .stack_size = SIZE_MAX / 2, .handle = &handle, .may_fail = true
	};
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_start_soon_with(&group, sleep_forever, NULL, &options), -ENOMEM);
	CHECK_RC(anyio_task_handle_status(&handle), ANYIO_STATUS_FAILED);
	CHECK_RC(anyio_task_handle_result(&handle), -ENOMEM);
	CHECK_RC(anyio_task_handle_wait(&handle), -ENOMEM);
	CHECK(strcmp(anyio_task_handle_name(&handle), "huge") == 0);
	CHECK_RC(anyio_task_handle_error(&handle)->code, -ENOMEM);
	CHECK_RC(anyio_start_with(&group, sleep_forever, NULL, &options, NULL), -ENOMEM);
	CHECK_RC(anyio_task_handle_result(&handle), -ENOMEM);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int give_value(void *arg)
{
	CHECK_RC(anyio_task_set_value(arg), 0);
	int rc = anyio_checkpoint();
	CHECK_RC(anyio_task_set_value((int *)arg + 1), 0);
	return rc;
}

static int give_to_nobody(void *arg)
{
	CHECK_RC(anyio_task_set_value(arg), -ENOENT);
	return 0;
}

static int h_a_task_hands_over_a_value(void *arg)
{
	struct anyio_task_handle handle;
	int values[2];
	ANYIO_TASK_GROUP(group);
	spawn(&group, give_value, values, "giver", &handle);
	anyio_start_soon(&group, give_to_nobody, values, "without a handle");
	CHECK(!anyio_task_handle_value(&handle));
	CHECK_RC(anyio_task_handle_wait(&handle), 0);
	CHECK(anyio_task_handle_value(&handle) == &values[1]);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

struct waiting {
	struct anyio_task_handle *handle;
	int rc;
};

static int wait_for(void *arg)
{
	struct waiting *waiting = arg;
	waiting->rc = anyio_task_handle_wait(waiting->handle);
	return waiting->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

/* All learn the same; one that is cancelled meanwhile is only taken out of the queue. */
static int h_several_tasks_wait_for_one(void *arg)
{
	struct anyio_task_handle handle, waiters[3];
	struct waiting waiting[3];
	int five = 5;
	ANYIO_TASK_GROUP(group);
	spawn(&group, sleep_short, NULL, "slow", &handle);
	for (int i = 0; i < 3; i++) {
		waiting[i] = (struct waiting){ .handle = &handle, .rc = 1 };
		spawn(&group, wait_for, &waiting[i], "waiter", &waiters[i]);
	}
	CHECK_RC(anyio_checkpoint(), 0);
	CHECK_RC(anyio_checkpoint(), 0);
	anyio_task_handle_cancel(&waiters[1], "no longer");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(waiting[0].rc, 0);
	CHECK_RC(waiting[1].rc, ANYIO_CANCELLED);
	CHECK_RC(waiting[2].rc, 0);
	ANYIO_TASK_GROUP(again);
	spawn(&again, return_code, &five, "five", &handle);
	for (int i = 0; i < 3; i++)
		anyio_start_soon(&again, wait_for, &waiting[i], "waiter");
	CHECK_RC(anyio_task_group_exit(&again, 0), 0);
	for (int i = 0; i < 3; i++)
		CHECK_RC(waiting[i].rc, 5);
	return 0;
}

static int wait_for_self(void *arg)
{
	CHECK_RC(anyio_task_handle_wait(arg), -EDEADLK);
	return 0;
}

static int h_waiting_for_oneself_is_refused(void *arg)
{
	struct anyio_task_handle handle;
	ANYIO_TASK_GROUP(group);
	spawn(&group, wait_for_self, &handle, "self", &handle);
	return anyio_task_group_exit(&group, 0);
}

static int serve(void *arg)
{
	CHECK_RC(anyio_task_set_value(arg), 0);
	int rc = anyio_started(arg);
	return rc < 0 ? rc : anyio_sleep_forever();
}

static int fail_early(void *arg)
{
	return anyio_checkpoint() < 0 ? ANYIO_CANCELLED : -EPROTO;
}

static int use_much_stack(void *arg)
{
	volatile char room[200 << 10];
	room[0] = room[sizeof room - 1] = 1;
	anyio_started(NULL);
	return room[0] - 1;
}

static int h_start_takes_options(void *arg)
{
	struct anyio_task_handle handle;
	struct anyio_task_options options = { .name = "server", .handle = &handle };
	struct anyio_task_options large = { .name = "large", .stack_size = 256 << 10 };
	void *value = NULL;
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_start_with(&group, serve, &options, &options, &value), 0);
	CHECK(value == &options && anyio_task_handle_value(&handle) == &options);
	CHECK_RC(anyio_task_handle_status(&handle), ANYIO_STATUS_RUNNING);
	CHECK(strcmp(anyio_task_handle_name(&handle), "server") == 0);
	anyio_task_handle_cancel(&handle, NULL);
	CHECK_RC(anyio_task_handle_wait(&handle), ANYIO_TASK_CANCELLED);
	CHECK_RC(anyio_start_with(&group, fail_early, NULL, &options, NULL), -EPROTO);
	CHECK_RC(anyio_task_handle_status(&handle), ANYIO_STATUS_FAILED);
	CHECK_RC(anyio_task_handle_wait(&handle), -EPROTO);
	CHECK_RC(anyio_start_with(&group, use_much_stack, NULL, &large, NULL), 0);
	CHECK_RC(anyio_start_with(&group, sleep_short, NULL, NULL, NULL), ANYIO_NOT_STARTED);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static const char lost[] = "the segment is lost";
static int lost_line;

static int lose(void *arg)
{
	lost_line = __LINE__ + 1;
	return anyio_fail(-EIO, lost);
}

static int swallow(void *arg)
{
	CHECK_RC(lose(NULL), -EIO);
	return -EPIPE;
}

static int h_an_error_is_listed_with_task_code_text_and_place(void *arg)
{
	struct anyio_task_handle handle;
	const struct anyio_task_error *errors;
	int code = -EPIPE;
	ANYIO_TASK_GROUP(group);
	int line = __LINE__ - 1;
	spawn(&group, lose, NULL, "loser", &handle);
	anyio_start_soon(&group, return_code, &code, "mute");
	anyio_start_soon(&group, swallow, NULL, "swallower");
	CHECK_RC(anyio_task_group_exit(&group, 0), -EIO);
	CHECK_RC((int64_t)anyio_task_group_errors(&group, &errors), 3);
	CHECK(strcmp(errors[0].task, "loser") == 0);
	CHECK_RC(errors[0].code, -EIO);
	CHECK(errors[0].text == lost);
	CHECK(strstr(errors[0].file, "test_handle.c") && errors[0].line == line);
	CHECK(strstr(errors[0].failed_file, "test_handle.c"));
	CHECK_RC(errors[0].failed_line, lost_line);
	for (int i = 1; i < 3; i++) {
		CHECK(errors[i].text == anyio_error_text(-EPIPE));
		CHECK(!errors[i].failed_file && !errors[i].failed_line);
	}
	const struct anyio_task_error *own = anyio_task_handle_error(&handle);
	CHECK(own && own->code == -EIO && own->text == lost && own->line == line);
	return 0;
}

static int lose_inside(void *arg)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, lose, NULL, "loser");
	return anyio_task_group_exit(&group, 0);
}

static int start_loser(void *arg)
{
	return anyio_start(arg, lose, NULL, "loser", NULL);
}

static int h_what_was_said_goes_up_with_the_error(void *arg)
{
	const struct anyio_task_error *errors;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, lose_inside, NULL, "host");
	anyio_start_soon(&group, start_loser, &group, "starter");
	CHECK_RC(anyio_task_group_exit(&group, 0), -EIO);
	CHECK_RC((int64_t)anyio_task_group_errors(&group, &errors), 2);
	for (int i = 0; i < 2; i++) {
		CHECK(strcmp(errors[i].task, "loser") != 0);
		CHECK(errors[i].text == lost);
		CHECK_RC(errors[i].failed_line, lost_line);
	}
	return 0;
}

static int h_the_hosts_own_error_says_why_too(void *arg)
{
	const struct anyio_task_error *errors;
	ANYIO_TASK_GROUP(group);
	int rc = anyio_fail(-ENOSPC, "the disk is full");
	int line = __LINE__ - 1;
	CHECK_RC(anyio_task_group_exit(&group, rc), -ENOSPC);
	CHECK_RC((int64_t)anyio_task_group_errors(&group, &errors), 1);
	CHECK(strcmp(errors[0].text, "the disk is full") == 0);
	CHECK_RC(errors[0].failed_line, line);
	return 0;
}

static int h_outside_a_task_nothing_is_noted(void *arg)
{
	struct anyio_task_handle handle = { { 0 } };
	CHECK_RC(anyio_fail(-EIO, "nowhere"), -EIO);
	CHECK_RC(anyio_task_set_value(&handle), ANYIO_NO_LOOP);
	CHECK_RC(anyio_task_handle_wait(&handle), ANYIO_NO_LOOP);
	return 0;
}

static int one_handle_for_two(void *arg)
{
	struct anyio_task_handle handle;
	ANYIO_TASK_GROUP(group);
	spawn(&group, sleep_short, NULL, "first", &handle);
	spawn(&group, sleep_forever, NULL, "second", &handle);
	return anyio_task_group_exit(&group, 0);
}

/* The second has ended by then, and the handle would look like that of one that is through. */
static int one_handle_for_two_in_turn(void *arg)
{
	struct anyio_task_handle handle;
	ANYIO_TASK_GROUP(group);
	spawn(&group, sleep_forever, NULL, "first", &handle);
	spawn(&group, sleep_short, NULL, "second", &handle);
	anyio_task_handle_wait(&handle);
	anyio_task_group_cancel(&group, "enough");
	return anyio_task_group_exit(&group, 0);
}

struct misuse {
	const struct anyio_options *options;
	anyio_task_fn body;
};

static void run_misuse(void *arg)
{
	const struct misuse *misuse = arg;
	anyio_run(misuse->body, NULL, misuse->options);
}

static int h_a_handle_is_of_one_task_at_a_time(void *arg)
{
	const struct misuse both[] = { { arg, one_handle_for_two },
		{ arg, one_handle_for_two_in_turn } };
	for (int i = 0; i < 2; i++) {
		char text[8192];
		int status = in_child(run_misuse, (void *)&both[i], text, sizeof text);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		CHECK(strstr(text, "task \"first\" ended and its handle is not there any more"));
	}
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(c23_cancelling_a_handle_affects_one_task, CONFORM_MOCK),
		CONFORM(c23b_a_cancelled_wait_leaves_the_task_alone, CONFORM_MOCK),
		CONFORM(h_the_status_follows_the_task, CONFORM_MOCK),
		CONFORM(h_a_task_that_ends_though_cancelled_has_finished, CONFORM_MOCK),
		CONFORM(h_a_group_cancelled_is_not_a_handle_cancelled, CONFORM_MOCK),
		CONFORM(h_a_task_never_spawned_has_failed, CONFORM_MOCK),
		CONFORM(h_a_task_hands_over_a_value, CONFORM_MOCK),
		CONFORM(h_several_tasks_wait_for_one, CONFORM_MOCK),
		CONFORM(h_waiting_for_oneself_is_refused, CONFORM_MOCK),
		CONFORM(h_start_takes_options, CONFORM_MOCK),
		CONFORM(h_an_error_is_listed_with_task_code_text_and_place,
			CONFORM_MOCK | CONFORM_ORDERED),
		CONFORM(h_what_was_said_goes_up_with_the_error, CONFORM_MOCK),
		CONFORM(h_the_hosts_own_error_says_why_too, CONFORM_MOCK),
		CONFORM(h_outside_a_task_nothing_is_noted, CONFORM_BARE),
		CONFORM(h_a_handle_is_of_one_task_at_a_time, CONFORM_BARE | CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
