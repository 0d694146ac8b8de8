/* The scheduler: aborts, calls from threads and their tokens, seeds. */
#include "conformance.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include "../core/core.h"

static int sleep_forever(void *arg)
{
	return anyio_sleep_forever();
}

/* A wait whose abort says that the wake still comes. */
struct stubborn {
	struct anyio_task *task;
	int aborts;
	int64_t result;
};

static enum anyio_abort stubborn_abort(struct anyio_task *task, void *arg)
{
	((struct stubborn *)arg)->aborts++;
	return ANYIO_ABORT_PENDING;
}

static int park_stubbornly(void *arg)
{
	struct stubborn *stubborn = arg;
	stubborn->task = anyio_current_task();
	stubborn->result = anyio_park(stubborn_abort, stubborn);
	return stubborn->result < 0 ? (int)stubborn->result : 0;
}

static int slow_abort(int64_t wake_with, struct stubborn *stubborn)
{
	*stubborn = (struct stubborn){ 0 };
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, park_stubbornly, stubborn, "stubborn");
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	anyio_task_group_cancel(&group, "now");
	for (int i = 0; i < 5; i++)
		anyio_cancel_shielded_checkpoint();
	CHECK_RC(stubborn->aborts, 1);
	CHECK_RC(anyio_task_count(), 2);
	anyio_wake(stubborn->task, wake_with);
	return anyio_task_group_exit(&group, 0);
}

static int c26_after_a_failed_abort_the_task_completes(void *arg)
{
	struct stubborn stubborn;
	CHECK_RC(slow_abort(7, &stubborn), 0);
	CHECK_RC(stubborn.result, 7);
	return 0;
}

static int c27_after_a_slow_abort_the_cancellation_comes(void *arg)
{
	struct stubborn stubborn;
	CHECK_RC(slow_abort(ANYIO_CANCELLED, &stubborn), 0);
	CHECK_RC(stubborn.result, ANYIO_CANCELLED);
	return 0;
}

/* Woken and cancelled in the same turn: what was given first stays. */
static int r03_a_result_once_given_is_kept(void *arg)
{
	struct stubborn stubborn = { 0 };
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, park_stubbornly, &stubborn, "woken");
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	anyio_wake(stubborn.task, 9);
	anyio_task_group_cancel(&group, "too late");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(stubborn.result, 9);
	CHECK_RC(stubborn.aborts, 0);
	return 0;
}

static int park_twice(void *arg)
{
	park_stubbornly(arg);
	return park_stubbornly(arg);
}

/* One abort a wait, however often the scopes around it become effective, and one more in the next. */
static int r02_delivery_is_tried_once_a_wait(void *arg)
{
	struct stubborn stubborn = { 0 };
	ANYIO_TASK_GROUP(outer);
	ANYIO_TASK_GROUP(group);
	struct anyio_cancel_scope *scope = anyio_task_group_scope(&group);
	anyio_start_soon(&group, park_twice, &stubborn, "stubborn");
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(stubborn.aborts, 0);
	anyio_task_group_cancel(&outer, "now");
	CHECK_RC(stubborn.aborts, 1);
	anyio_cancel_scope_set_shield(scope, true);
	anyio_cancel_scope_set_shield(scope, false);
	anyio_task_group_cancel(&group, "again");
	for (int i = 0; i < 100; i++)
		anyio_cancel_shielded_checkpoint();
	CHECK_RC(stubborn.aborts, 1);
	anyio_wake(stubborn.task, 0);
	for (int i = 0; i < 100; i++)
		anyio_cancel_shielded_checkpoint();
	CHECK_RC(stubborn.aborts, 2);
	anyio_wake(stubborn.task, 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), ANYIO_CANCELLED);
	return anyio_task_group_exit(&outer, ANYIO_CANCELLED);
}

enum { CALLERS = 4, CALLS = 500 };

struct caller {
	struct anyio_token *token;
	pthread_t thread;
	int seen;
	struct call {
		struct caller *caller;
		int number;
	} calls[CALLS];
};

static void note_call(void *arg)
{
	struct call *call = arg;
	CHECK_RC(call->caller->seen, call->number);
	CHECK(!anyio_current_task());
	call->caller->seen++;
}

static void *call_many(void *arg)
{
	struct caller *caller = arg;
	for (int i = 0; i < CALLS; i++) {
		caller->calls[i] = (struct call){ caller, i };
		CHECK_RC(anyio_call_soon(caller->token, note_call, &caller->calls[i]), 0);
	}
	anyio_token_unref(caller->token);
	return NULL;
}

static int spin(void *arg)
{
	while (!*(bool *)arg)
		anyio_cancel_shielded_checkpoint();
	return 0;
}

static int c28_calls_from_threads_are_in_order_and_not_starved(void *arg)
{
	static struct caller callers[CALLERS];
	bool stop = false;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, spin, &stop, "spinner");
	for (int i = 0; i < CALLERS; i++) {
		callers[i].seen = 0;
		callers[i].token = anyio_current_token();
		CHECK_RC(pthread_create(&callers[i].thread, NULL, call_many, &callers[i]), 0);
	}
	for (int i = 0; i < CALLERS; i++)
		while (callers[i].seen < CALLS)
			anyio_checkpoint();
	stop = true;
	for (int i = 0; i < CALLERS; i++)
		pthread_join(callers[i].thread, NULL);
	return anyio_task_group_exit(&group, 0);
}

struct waking {
	struct anyio_token *token;
	struct anyio_task *task;
};

static void wake_task(void *arg)
{
	struct waking *waking = arg;
	anyio_wake(waking->task, 3);
}

static void *wake_from_thread(void *arg)
{
	struct waking *waking = arg;
	CHECK_RC(anyio_call_soon(waking->token, wake_task, waking), 0);
	anyio_token_unref(waking->token);
	return NULL;
}

static int c28b_a_call_wakes_an_idle_loop(void *arg)
{
	for (int i = 0; i < 50; i++) {
		struct waking waking = { anyio_current_token(), anyio_current_task() };
		pthread_t thread;
		CHECK_RC(pthread_create(&thread, NULL, wake_from_thread, &waking), 0);
		CHECK_RC(anyio_park(NULL, NULL), 3);
		pthread_join(thread, NULL);
	}
	return 0;
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

static int leak_token(void *arg)
{
	*(struct anyio_token **)arg = anyio_current_token();
	return 0;
}

static int call_at_the_end(void *arg)
{
	struct anyio_token *token = anyio_current_token();
	CHECK_RC(anyio_call_soon(token, set_flag, arg), 0);
	anyio_token_unref(token);
	return 0;
}

static int c29_calls_after_the_end_fail_cleanly(void *arg)
{
	struct anyio_token *token = NULL;
	bool ran = false, accepted = false;
	CHECK_RC(anyio_run(leak_token, &token, arg), 0);
	CHECK_RC(anyio_call_soon(token, set_flag, &ran), ANYIO_LOOP_ENDED);
	anyio_token_unref(token);
	CHECK(!ran);
	CHECK_RC(anyio_run(call_at_the_end, &accepted, arg), 0);
	CHECK(accepted);
	return 0;
}

static int call_without_memory(void *arg)
{
	struct anyio_token *token = anyio_current_token();
	anyio_fault_set(ANYIO_FAULT_MEMORY, 1, 0);
	CHECK_RC(anyio_call_soon(token, set_flag, arg), -ENOMEM);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	anyio_token_unref(token);
	return 0;
}

static int call_or_say_why(void *arg)
{
	struct anyio_token *token = anyio_current_token();
	int rc = anyio_call_soon(token, set_flag, arg);
	anyio_token_unref(token);
	return rc;
}

/* Each allocation that a run needs fails once; then none does. */
static int s_a_run_without_memory_says_so(void *arg)
{
	struct anyio_options options = *(struct anyio_options *)arg;
	bool ran = false;
	uint64_t at = 0;
	options.seeded = true;
	CHECK_RC(anyio_run(call_without_memory, &ran, &options), 0);
	while (!ran) {
		anyio_fault_set(ANYIO_FAULT_MEMORY, ++at, 0);
		int rc = anyio_run(call_or_say_why, &ran, &options);
		CHECK_RC(rc, ran ? 0 : -ENOMEM);
	}
	CHECK_RC((int64_t)anyio_fault_count(ANYIO_FAULT_MEMORY), (int64_t)at - 1);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	CHECK(at > 5); /* the loop, its order, its token, its root, the call */
	return 0;
}

enum { RUNNERS = 10, ROUNDS = 10 };

struct trace {
	uint8_t order[RUNNERS * ROUNDS];
	size_t count;
};
struct runner {
	struct trace *trace;
	uint8_t number;
};

static int run_and_note(void *arg)
{
	struct runner *runner = arg;
	for (int i = 0; i < ROUNDS; i++) {
		runner->trace->order[runner->trace->count++] = runner->number;
		anyio_checkpoint();
	}
	return 0;
}

static int trace_order(void *arg)
{
	struct runner runners[RUNNERS];
	ANYIO_TASK_GROUP(group);
	for (uint8_t i = 0; i < RUNNERS; i++) {
		runners[i] = (struct runner){ arg, i };
		anyio_start_soon(&group, run_and_note, &runners[i], "runner");
	}
	return anyio_task_group_exit(&group, 0);
}

static int c34_the_same_seed_gives_the_same_order(void *arg)
{
	struct anyio_options options = *(struct anyio_options *)arg;
	struct trace first = { .count = 0 }, again = { .count = 0 }, other = { .count = 0 };
	options.seeded = true;
	options.seed = 42;
	CHECK_RC(anyio_run(trace_order, &first, &options), 0);
	CHECK_RC(anyio_run(trace_order, &again, &options), 0);
	options.seed = 43;
	CHECK_RC(anyio_run(trace_order, &other, &options), 0);
	CHECK(memcmp(first.order, again.order, sizeof first.order) == 0);
	CHECK(memcmp(first.order, other.order, sizeof first.order) != 0);
	return 0;
}

/* A million operations that need not wait do not keep the others from running. */
static int count_turns(void *arg)
{
	int *turns = arg;
	while (*turns >= 0) {
		++*turns;
		anyio_cancel_shielded_checkpoint();
	}
	return 0;
}

static int s_operations_that_need_not_wait_yield(void *arg)
{
	int turns = 0;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, count_turns, &turns, "other");
	for (int i = 0; i < 640; i++)
		anyio_pass();
	CHECK(turns >= 9);
	turns = -1;
	return anyio_task_group_exit(&group, 0);
}

static int run_inside(void *arg)
{
	return anyio_run(sleep_forever, NULL, NULL);
}

static int s_one_loop_a_thread(void *arg)
{
	CHECK_RC(anyio_run(run_inside, NULL, arg), -EBUSY);
	CHECK_RC(anyio_checkpoint(), ANYIO_NO_LOOP);
	CHECK_RC(anyio_sleep(1), ANYIO_NO_LOOP);
	return 0;
}

static void *run_in_thread(void *arg)
{
	struct trace trace = { .count = 0 };
	CHECK_RC(anyio_run(trace_order, &trace, arg), 0);
	return NULL;
}

static int s_loops_run_side_by_side(void *arg)
{
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		CHECK_RC(pthread_create(&threads[i], NULL, run_in_thread, arg), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

struct reader {
	int fd;
	size_t bytes;
};

static int read_one(void *arg)
{
	struct reader *reader = arg;
	char byte;
	ssize_t got = anyio_read(reader->fd, &byte, 1);
	if (got > 0)
		reader->bytes++;
	return got < 0 ? (int)got : 0;
}

/* The byte that arrives while a cancel is under way is delivered or left, never lost. */
static int r09_a_cancelled_read_loses_nothing(void *arg)
{
	int ends[2];
	struct reader reader = { .bytes = 0 };
	size_t written = 0;
	CHECK_RC(pipe(ends), 0);
	reader.fd = ends[0];
	for (int i = 0; i < 200; i++) {
		ANYIO_TASK_GROUP(group);
		anyio_start_soon(&group, read_one, &reader, "reader");
		anyio_checkpoint();
		if (i % 2)
			anyio_checkpoint();
		if (i % 3)
			written += write(ends[1], "x", 1) == 1;
		anyio_task_group_cancel(&group, NULL);
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	}
	anyio_close(ends[1]);
	size_t before;
	do {
		before = reader.bytes;
		CHECK_RC(read_one(&reader), 0);
	} while (reader.bytes > before);
	CHECK_RC((int64_t)reader.bytes, (int64_t)written);
	anyio_close(ends[0]);
	return 0;
}

#ifdef __SANITIZE_THREAD__
enum { CROWD = 500 }; /* its fibers are heavy and few */
#else
enum { CROWD = 20000 };
#endif

static int s_a_crowd_of_tasks(void *arg)
{
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < CROWD; i++)
		CHECK_RC(anyio_start_soon(&group, sleep_forever, NULL, "one of the crowd"), 0);
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(anyio_task_count(), CROWD + 1);
	anyio_task_group_cancel(&group, NULL);
	return anyio_task_group_exit(&group, 0);
}

/* What other threads call, in their order; a task of the loop waits for the first and the last. */
struct many {
	struct anyio_event first, last;
	size_t count, run;
};

static void one_of_many(void *arg)
{
	struct many *many = arg;
	if (many->run++ == 0)
		anyio_event_set(&many->first);
	if (many->run == many->count)
		anyio_event_set(&many->last);
}

/* However many they are, tasks run and timers fire between them; and none is left behind. */
static int many_calls_do_not_hold_the_loop_up(void *arg)
{
	struct many many = { .count = 10000 };
	struct anyio_token *token = anyio_current_token();
	anyio_event_init(&many.first);
	anyio_event_init(&many.last);
	for (size_t i = 0; i < many.count; i++)
		CHECK_RC(anyio_call_soon(token, one_of_many, &many), 0);
	anyio_token_unref(token);
	CHECK_RC(anyio_event_wait(&many.first), 0);
	CHECK(many.run < many.count / 2);
	/* The loop is not quiet before the last. */
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(many.run, many.count);
	CHECK_RC(anyio_event_wait(&many.last), 0);
	return 0;
}

static int many_calls_need_nothing_else_to_go_on(void *arg)
{
	struct many many = { .count = 10000 };
	struct anyio_token *token = anyio_current_token();
	anyio_event_init(&many.first);
	anyio_event_init(&many.last);
	for (size_t i = 0; i < many.count; i++)
		CHECK_RC(anyio_call_soon(token, one_of_many, &many), 0);
	CHECK_RC(anyio_event_wait(&many.last), 0);
	anyio_token_unref(token);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(many_calls_do_not_hold_the_loop_up, 0),
		CONFORM(many_calls_need_nothing_else_to_go_on, 0),
		CONFORM(c26_after_a_failed_abort_the_task_completes, CONFORM_MOCK),
		CONFORM(c27_after_a_slow_abort_the_cancellation_comes, CONFORM_MOCK),
		CONFORM(r03_a_result_once_given_is_kept, CONFORM_MOCK),
		CONFORM(r02_delivery_is_tried_once_a_wait, CONFORM_MOCK),
		CONFORM(c28_calls_from_threads_are_in_order_and_not_starved, 0),
		CONFORM(c28b_a_call_wakes_an_idle_loop, 0),
		CONFORM(c29_calls_after_the_end_fail_cleanly, CONFORM_BARE),
		CONFORM(s_a_run_without_memory_says_so, CONFORM_BARE),
		CONFORM(c34_the_same_seed_gives_the_same_order, CONFORM_BARE),
		CONFORM(s_operations_that_need_not_wait_yield, CONFORM_ORDERED),
		CONFORM(s_one_loop_a_thread, CONFORM_BARE),
		CONFORM(s_loops_run_side_by_side, CONFORM_BARE | CONFORM_NO_SIM),
		CONFORM(r09_a_cancelled_read_loses_nothing, CONFORM_NO_SIM),
		CONFORM(s_a_crowd_of_tasks, CONFORM_NO_SIM),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
