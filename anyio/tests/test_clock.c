/* When all are blocked: that the mock clock jumps then and no sooner, and waiting for it. */
#include "conformance.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>
#include "../core/core.h"

static int sleep_forever(void *arg)
{
	return anyio_sleep_forever();
}

static int sleep_an_hour(void *arg)
{
	int rc = anyio_sleep(3600 * ANYIO_SECOND);
	*(bool *)arg = true;
	return rc;
}

static int c33_the_mock_clock_never_skips_runnable_tasks(void *arg)
{
	bool slept = false;
	anyio_time began = anyio_now();
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, sleep_an_hour, &slept, "sleeper");
	for (int i = 0; i < 1000; i++)
		CHECK_RC(anyio_checkpoint(), 0);
	CHECK(!slept);
	CHECK(anyio_now() < began + 3600 * ANYIO_SECOND);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(slept);
	CHECK(anyio_now() >= began + 3600 * ANYIO_SECOND);
	return 0;
}

static int write_byte(void *arg)
{
	usleep(2000);
	CHECK_RC(write(*(int *)arg, "x", 1), 1);
	return 0;
}

static void *write_in_thread(void *arg)
{
	write_byte(arg);
	return NULL;
}

static int c33b_the_mock_clock_waits_for_the_kernel(void *arg)
{
	int ends[2];
	char byte;
	bool slept = false;
	pthread_t thread;
	CHECK_RC(pipe(ends), 0);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, sleep_an_hour, &slept, "sleeper");
	CHECK_RC(pthread_create(&thread, NULL, write_in_thread, &ends[1]), 0);
	CHECK_RC(anyio_read(ends[0], &byte, 1), 1);
	CHECK(!slept);
	pthread_join(thread, NULL);
	anyio_close(ends[0]);
	anyio_close(ends[1]);
	return anyio_task_group_exit(&group, 0);
}

static int usleep_work(void *arg)
{
	usleep(2000);
	return 0;
}

static atomic_bool noted;

static void note_nothing(void *arg)
{
	atomic_store(&noted, true);
}

static void *call_later(void *arg)
{
	struct anyio_token *token = arg;
	usleep(2000);
	CHECK_RC(anyio_call_soon(token, note_nothing, NULL), 0);
	while (!atomic_load(&noted))
		sched_yield();
	usleep(2000); /* the loop waits again by now */
	anyio_token_unref(token);
	return NULL;
}

/* A thread that works for the loop, and one that may call it, until it gives that up. */
static int c33c_the_mock_clock_waits_for_threads(void *arg)
{
	bool slept = false;
	pthread_t thread;
	struct anyio_token *token = anyio_current_token();
	atomic_store(&noted, false);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, sleep_an_hour, &slept, "sleeper");
	CHECK_RC(anyio_to_thread(usleep_work, NULL, NULL), 0);
	CHECK(!slept);
	CHECK_RC(pthread_create(&thread, NULL, call_later, token), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(slept);
	CHECK(noted); /* it called before the clock jumped */
	pthread_join(thread, NULL);
	return 0;
}

static int cancel_self(void *arg)
{
	struct anyio_cancel_scope scope;
	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "at once");
	CHECK_RC(anyio_cancel_scope_run(&scope, sleep_forever, NULL), 0);
	anyio_cancel_shielded_checkpoint();
	*(bool *)arg = true;
	return 0;
}

static int c64_waiting_for_all_to_block_waits_for_the_cancelled(void *arg)
{
	bool done = false;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, cancel_self, &done, "unwinds");
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK(done);
	return anyio_task_group_exit(&group, 0);
}

struct slow {
	atomic_bool begun, go;
	bool done;
};

static int slow_work(void *arg)
{
	struct slow *slow = arg;
	atomic_store(&slow->begun, true);
	while (!atomic_load(&slow->go))
		sched_yield();
	usleep(10000); /* the loop looks, finds nothing, and must wait on */
	return 0;
}

static int work_slowly(void *arg)
{
	struct slow *slow = arg;
	struct anyio_op op = { .code = ANYIO_OP_WORK, .fn = slow_work, .arg = slow };
	CHECK_RC(anyio_op_run(&op), 0);
	slow->done = true;
	return 0;
}

/* Its operation was asked to end, cannot, and has not yet. */
static int c64b_and_for_operations_that_end_late(void *arg)
{
	struct slow slow = { .done = false };
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, work_slowly, &slow, "slow");
	while (!atomic_load(&slow.begun))
		anyio_checkpoint();
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK(!slow.done);
	struct anyio_cancel_scope shield;
	anyio_cancel_scope_init(&shield);
	anyio_cancel_scope_set_shield(&shield, true);
	anyio_cancel_scope_enter(&shield);
	anyio_task_group_cancel(&group, "late");
	atomic_store(&slow.go, true);
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK(slow.done);
	anyio_cancel_scope_exit(&shield, 0);
	return anyio_task_group_exit(&group, 0);
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(c33_the_mock_clock_never_skips_runnable_tasks, CONFORM_MOCK),
		CONFORM(c33b_the_mock_clock_waits_for_the_kernel, CONFORM_MOCK | CONFORM_NO_SIM),
		CONFORM(c33c_the_mock_clock_waits_for_threads, CONFORM_MOCK | CONFORM_NO_SIM),
		CONFORM(c64_waiting_for_all_to_block_waits_for_the_cancelled, CONFORM_MOCK),
		CONFORM(c64b_and_for_operations_that_end_late, CONFORM_NO_SIM),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
