/* Calls on threads that wait for the loop, which wants a thread for something of its own. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <anyio/plain.h>
#include <anyio/process.h>
#include <anyio/thread.h>
#include "processes.h"

enum { CALLS = 3 };

struct calls {
	anyio_task_fn on_loop;
	atomic_int begun;
	int done;
};

static int replace(void *arg)
{
	char path[128];
	const char *place = getenv("TMPDIR");

	snprintf(path, sizeof(path), "%s/anyio-lanes-%d", place ? place : "/tmp", (int)getpid());
	CHECK_RC(anyio_plain_replace(AT_FDCWD, path, 0600, NULL, "x", 1, false), 0);
	unlink(path);
	return 0;
}

static int run_process(void *arg)
{
	char *const argv[] = { "true", NULL };
	struct anyio_process_result result;

	CHECK_RC(anyio_process_run(argv, NULL, &result), 0);
	CHECK_RC(result.code, 0);
	anyio_process_result_free(&result);
	return 0;
}

/* Asks when all calls there may be have their thread. */
static int call(void *arg)
{
	struct calls *calls = arg;

	atomic_fetch_add(&calls->begun, 1);
	while (atomic_load(&calls->begun) < CALLS)
		usleep(100);
	return anyio_from_thread_run(calls->on_loop, NULL);
}

static int call_task(void *arg)
{
	struct calls *calls = arg;
	int rc = anyio_to_thread(call, calls, NULL);

	calls->done += rc == 0;
	return rc;
}

static int call_all(void *arg)
{
	struct calls *calls = arg;
	ANYIO_TASK_GROUP(group);

	for (int i = 0; i < CALLS; i++)
		CHECK_RC(anyio_start_soon(&group, call_task, calls, "call"), 0);
	return anyio_task_group_exit(&group, 0);
}

static void calls_run(anyio_task_fn on_loop, const struct anyio_options *given)
{
	struct anyio_options options = *given;
	struct calls calls = { .on_loop = on_loop };

	options.worker_threads = CALLS;
	CHECK_RC(anyio_run(call_all, &calls, &options), 0);
	CHECK_RC(calls.done, CALLS);
}

static int a_file_is_replaced_while_all_calls_wait_for_it(void *arg)
{
	calls_run(replace, arg);
	return 0;
}

static int a_process_starts_while_all_calls_wait_for_it(void *arg)
{
	calls_run(run_process, arg);
	no_children();
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(a_file_is_replaced_while_all_calls_wait_for_it,
			CONFORM_NO_SIM | CONFORM_BARE),
		CONFORM(a_process_starts_while_all_calls_wait_for_it,
			CONFORM_NO_SIM | CONFORM_BARE),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
