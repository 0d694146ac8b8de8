/* Instruments: that what they are told is all that happened, in an order that makes sense. */
#include "conformance.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "../core/core.h" /* anyio_op_now */
#include "child.h"

/* Checks the order of what it is told, and counts it. */
struct tracer {
	struct anyio_instrument instrument;
	const struct anyio_task *running;
	bool polling;
	size_t spawned, ended, switches, polls, started, completed, cancelled;
	int last_result;
	char last_ended[48], last_operation[32];
	int last_fd;
};

static void on_spawned(void *arg, const struct anyio_task *task)
{
	struct tracer *tracer = arg;
	tracer->spawned++;
	CHECK(!anyio_current_task());
	CHECK_RC(anyio_checkpoint(), ANYIO_NO_LOOP);
}

static void on_ended(void *arg, const struct anyio_task *task, int result)
{
	struct tracer *tracer = arg;
	struct anyio_task_info info;
	tracer->ended++;
	tracer->last_result = result;
	anyio_task_describe(task, &info);
	strcpy(tracer->last_ended, info.name);
	CHECK(tracer->running == task);
	CHECK(!anyio_current_task());
}

static void on_before_switch(void *arg, const struct anyio_task *task)
{
	struct tracer *tracer = arg;
	CHECK(!tracer->running);
	CHECK(!tracer->polling);
	tracer->running = task;
	tracer->switches++;
}

static void on_after_switch(void *arg, const struct anyio_task *task)
{
	struct tracer *tracer = arg;
	CHECK(tracer->running == task);
	tracer->running = NULL;
}

static void on_started(void *arg, const struct anyio_task *task, const char *operation, int fd)
{
	struct tracer *tracer = arg;
	tracer->started++;
	strcpy(tracer->last_operation, operation);
	tracer->last_fd = fd;
	CHECK(!task || task == tracer->running);
}

static void on_completed(
	void *arg, const struct anyio_task *task, const char *operation, int fd, int64_t result)
{
	struct tracer *tracer = arg;
	tracer->completed++;
	tracer->cancelled += result == ANYIO_CANCELLED;
}

static void on_before_poll(void *arg, anyio_time timeout)
{
	struct tracer *tracer = arg;
	CHECK(!tracer->running);
	CHECK(!tracer->polling);
	tracer->polling = true;
	tracer->polls++;
}

static void on_after_poll(void *arg)
{
	struct tracer *tracer = arg;
	CHECK(tracer->polling);
	tracer->polling = false;
}

static void tracer_init(struct tracer *tracer)
{
	*tracer = (struct tracer){ .instrument = {
					   .arg = tracer,
					   .task_spawned = on_spawned,
					   .task_ended = on_ended,
					   .before_switch = on_before_switch,
					   .after_switch = on_after_switch,
					   .operation_started = on_started,
					   .operation_completed = on_completed,
					   .before_poll = on_before_poll,
					   .after_poll = on_after_poll,
				   } };
}

static int yield_often(void *arg)
{
	struct tracer *tracer = arg;
	for (int i = 0; i < 200; i++) {
		CHECK(tracer->running == anyio_current_task());
		anyio_cancel_shielded_checkpoint();
	}
	return anyio_sleep(ANYIO_MILLISECOND) < 0 ? -EPROTO : 7;
}

static int two_that_yield(void *arg)
{
	CHECK(((struct tracer *)arg)->running == anyio_current_task());
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, yield_often, arg, "one");
	anyio_start_soon(&group, yield_often, arg, "two");
	return anyio_task_group_exit(&group, 0);
}

static int i_every_switch_and_poll_is_told(void *arg)
{
	struct anyio_options options = *(struct anyio_options *)arg;
	struct tracer tracer;
	tracer_init(&tracer);
	options.instrument = &tracer.instrument;
	CHECK_RC(anyio_run(two_that_yield, &tracer, &options), 0);
	CHECK_RC((int64_t)tracer.spawned, 3);
	CHECK_RC((int64_t)tracer.ended, 3);
	CHECK(strcmp(tracer.last_ended, "root") == 0);
	CHECK(tracer.switches >= 200); /* in a drawn order one may be next itself */
	CHECK(tracer.polls >= 400 / 64);
	CHECK(!tracer.running && !tracer.polling);
	return 0;
}

static int fail_it(void *arg)
{
	return -EIO;
}

static int i_the_end_of_a_task_is_told_with_its_result(void *arg)
{
	struct tracer tracer;
	tracer_init(&tracer);
	tracer.running = anyio_current_task(); /* it comes in the middle */
	CHECK_RC(anyio_instrument_add(&tracer.instrument), 0);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, fail_it, NULL, "failing");
	CHECK_RC(anyio_task_group_exit(&group, 0), -EIO);
	CHECK_RC(tracer.last_result, -EIO);
	CHECK(strcmp(tracer.last_ended, "failing") == 0);
	CHECK_RC(anyio_instrument_remove(&tracer.instrument), 0);
	size_t before = tracer.switches;
	anyio_sleep(ANYIO_MILLISECOND);
	CHECK_RC((int64_t)tracer.switches, (int64_t)before);
	return 0;
}

static int read_for_ever(void *arg)
{
	char byte;
	ssize_t got = anyio_read(*(int *)arg, &byte, 1);
	return got < 0 ? (int)got : 0;
}

/* Reads that get data, reads that are cancelled while they wait, and operations that never wait. */
static int i_every_operation_that_starts_completes_once(void *arg)
{
	struct tracer tracer;
	int ends[2];
	char byte;
	CHECK_RC(pipe2(ends, O_CLOEXEC), 0);
	tracer_init(&tracer);
	tracer.running = anyio_current_task();
	CHECK_RC(anyio_instrument_add(&tracer.instrument), 0);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, read_for_ever, &ends[0], "reader");
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC((int64_t)tracer.started, 1);
	CHECK_RC((int64_t)tracer.completed, 0);
	CHECK(strcmp(tracer.last_operation, "read") == 0);
	CHECK_RC(tracer.last_fd, ends[0]);
	anyio_task_group_cancel(&group, "enough");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC((int64_t)tracer.completed, 1);
	CHECK_RC((int64_t)tracer.cancelled, 1);
	CHECK_RC(anyio_write(ends[1], "x", 1), 1);
	CHECK_RC(anyio_read(ends[0], &byte, 1), 1);
	struct anyio_op none = { .code = ANYIO_OP_SHUTDOWN, .fd = ends[0] };
	CHECK_RC(anyio_op_now(&none), -ENOTSOCK);
	anyio_close(ends[0]);
	anyio_close(ends[1]);
	CHECK_RC((int64_t)tracer.started, 6);
	CHECK_RC((int64_t)tracer.completed, 6);
	CHECK_RC((int64_t)tracer.cancelled, 1);
	CHECK_RC(anyio_instrument_remove(&tracer.instrument), 0);
	return 0;
}

struct counter {
	struct anyio_instrument instrument;
	struct counter *removes; /* takes it out when it is told */
	int told, order;
};

static int told;

static void count(void *arg, const struct anyio_task *task)
{
	struct counter *counter = arg;
	counter->told++;
	counter->order = told++;
	if (counter->removes) {
		CHECK_RC(anyio_instrument_remove(&counter->removes->instrument), 0);
		counter->removes = NULL;
	}
}

static int end_at_once(void *arg)
{
	return 0;
}

static void spawn_one(void)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, end_at_once, NULL, "child");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
}

/* They are told in order, and a callback may take out itself, who comes next and who came before. */
static int i_several_are_told_and_may_be_taken_out(void *arg)
{
	struct counter counters[4] = { 0 };
	for (int i = 0; i < 4; i++) {
		counters[i].instrument.arg = &counters[i];
		counters[i].instrument.task_spawned = count;
		CHECK_RC(anyio_instrument_add(&counters[i].instrument), 0);
	}
	CHECK_RC(anyio_instrument_add(&counters[2].instrument), -EBUSY);
	spawn_one();
	CHECK(counters[0].order < counters[1].order && counters[2].order < counters[3].order);
	counters[0].removes = &counters[1];
	counters[2].removes = &counters[2];
	counters[3].removes = &counters[0];
	spawn_one();
	spawn_one();
	CHECK_RC(counters[0].told, 2);
	CHECK_RC(counters[1].told, 1);
	CHECK_RC(counters[2].told, 2);
	CHECK_RC(counters[3].told, 3);
	CHECK_RC(anyio_instrument_remove(&counters[0].instrument), -ENOENT);
	CHECK_RC(anyio_instrument_remove(&counters[3].instrument), 0);
	spawn_one();
	CHECK_RC(counters[3].told, 3);
	return 0;
}

static void spawn_from_callback(void *arg, const struct anyio_task *task)
{
	struct counter *counter = arg;
	struct anyio_op none = { .code = ANYIO_OP_SHUTDOWN, .fd = -1 };
	CHECK_RC(anyio_op_now(&none), -EBADF);
	counter->told++;
}

static void told_of_operation(void *arg, const struct anyio_task *task, const char *name, int fd)
{
	CHECK(!"what a callback does is not told");
}

static int i_what_a_callback_does_is_not_told(void *arg)
{
	struct counter counter = { .told = 0 };
	counter.instrument = (struct anyio_instrument){ .arg = &counter,
		.task_spawned = spawn_from_callback,
		.operation_started = told_of_operation };
	CHECK_RC(anyio_instrument_add(&counter.instrument), 0);
	spawn_one();
	CHECK_RC(counter.told, 1);
	CHECK(anyio_current_task());
	return anyio_instrument_remove(&counter.instrument);
}

/* A callback that tries to spawn, at whatever it is told. */
struct spawner {
	struct anyio_instrument instrument;
	struct anyio_task_group *group;
	int tried;
};

static void try_to_spawn(void *arg)
{
	struct spawner *spawner = arg;
	struct anyio_task_handle handle;
	const struct anyio_task_options options = { .handle = &handle };
	CHECK_RC(anyio_start_soon(spawner->group, end_at_once, NULL, "stray"), ANYIO_NO_LOOP);
	CHECK_RC(anyio_try_start_soon(spawner->group, end_at_once, NULL, "stray"), ANYIO_NO_LOOP);
	CHECK_RC(anyio_start_soon_with(spawner->group, end_at_once, NULL, &options), ANYIO_NO_LOOP);
	CHECK_RC(anyio_start(spawner->group, end_at_once, NULL, "stray", NULL), ANYIO_NO_LOOP);
	CHECK_RC(anyio_to_thread(end_at_once, NULL, NULL), ANYIO_NO_LOOP);
	spawner->tried++;
}

static void spawn_when_told(void *arg, const struct anyio_task *task)
{
	try_to_spawn(arg);
}

static void spawn_at_a_poll(void *arg, anyio_time timeout)
{
	try_to_spawn(arg);
}

/* And it does not stick: the group's own block goes on. */
static int i_a_callback_spawns_nothing(void *arg)
{
	ANYIO_TASK_GROUP(group);
	struct spawner spawner = { .group = &group };
	spawner.instrument = (struct anyio_instrument){ .arg = &spawner,
		.task_spawned = spawn_when_told,
		.before_switch = spawn_when_told,
		.after_switch = spawn_when_told,
		.before_poll = spawn_at_a_poll,
		.after_poll = try_to_spawn };
	CHECK_RC(anyio_instrument_add(&spawner.instrument), 0);
	CHECK_RC(anyio_start_soon(&group, end_at_once, NULL, "child"), 0);
	CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
	CHECK(spawner.tried > 3);
	CHECK_RC(anyio_instrument_remove(&spawner.instrument), 0);
	CHECK_RC((int64_t)anyio_task_count(), 1);
	CHECK_RC(anyio_start_soon(&group, end_at_once, NULL, "child"), 0);
	return anyio_task_group_exit(&group, 0);
}

static int leave_it_installed(void *arg)
{
	return anyio_instrument_add(arg);
}

static int i_it_is_of_one_run(void *arg)
{
	struct counter counter = { .told = 0 };
	counter.instrument = (struct anyio_instrument){ .arg = &counter, .task_spawned = count };
	CHECK_RC(anyio_instrument_add(&counter.instrument), ANYIO_NO_LOOP);
	CHECK_RC(anyio_instrument_remove(&counter.instrument), ANYIO_NO_LOOP);
	CHECK_RC(anyio_run(leave_it_installed, &counter.instrument, arg), 0);
	CHECK_RC(anyio_run(leave_it_installed, &counter.instrument, arg), 0);
	CHECK_RC(counter.told, 0);
	return 0;
}

static int leave_on_the_stack(void *arg)
{
	struct anyio_instrument instrument = { .arg = NULL };
	anyio_instrument_add(&instrument);
	return 0;
}

static int spawn_one_that_leaves_it(void *arg)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, leave_on_the_stack, NULL, "careless");
	return anyio_task_group_exit(&group, 0);
}

static int overwrite_it(void *arg)
{
	static struct counter counter;
	counter.instrument = (struct anyio_instrument){ .arg = &counter, .task_spawned = count };
	anyio_instrument_add(&counter.instrument);
	memset(&counter.instrument, 0x5a, sizeof counter.instrument);
	spawn_one();
	return 0;
}

struct misuse {
	const struct anyio_options *options;
	anyio_task_fn body;
	const char *said;
};

static void run_misuse(void *arg)
{
	const struct misuse *misuse = arg;
	anyio_run(misuse->body, NULL, misuse->options);
}

static int i_one_whose_storage_goes_is_named(void *arg)
{
	const struct misuse all[] = {
		{ arg, spawn_one_that_leaves_it,
			"task \"careless\" ended with an instrument installed" },
		{ arg, leave_on_the_stack, "task \"root\" ended with an instrument installed" },
		{ arg, overwrite_it, "the storage of an instrument is gone" },
	};
	for (int i = 0; i < 3; i++) {
		char text[8192];
		int status = in_child(run_misuse, (void *)&all[i], text, sizeof text);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		CHECK(strstr(text, all[i].said));
	}
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(i_every_switch_and_poll_is_told, CONFORM_BARE),
		CONFORM(i_the_end_of_a_task_is_told_with_its_result, 0),
		CONFORM(i_every_operation_that_starts_completes_once, CONFORM_NO_SIM),
		CONFORM(i_several_are_told_and_may_be_taken_out, CONFORM_MOCK),
		CONFORM(i_what_a_callback_does_is_not_told, CONFORM_MOCK),
		CONFORM(i_a_callback_spawns_nothing, CONFORM_MOCK),
		CONFORM(i_one_whose_storage_goes_is_named, CONFORM_BARE),
		CONFORM(i_it_is_of_one_run, CONFORM_BARE),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
