/* Several maps at a time on the pool for computing, and what is left of it in a forked child. */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <anyio/thread.h>
#include "child.h"

static atomic_bool both_asked, small_ran;
static size_t threads;

static void wait_until(const atomic_bool *flag)
{
	while (!atomic_load(flag))
		sched_yield();
}

/* When both maps are there the small one has its turn before each thread has had two more of these. */
static void large_piece(void *arg, size_t index)
{
	wait_until(&both_asked);
	if (index > 2 * threads)
		wait_until(&small_ran);
}

static void small_piece(void *arg, size_t index)
{
	atomic_store(&small_ran, true);
}

static int map_large(void *arg)
{
	return anyio_cpu_map(large_piece, NULL, 100 + 4 * threads);
}

static int map_small(void *arg)
{
	return anyio_cpu_map(small_piece, NULL, 1);
}

static int maps_take_turns(void *arg)
{
	threads = anyio_cpu_count();
	atomic_store(&both_asked, false);
	atomic_store(&small_ran, false);
	ANYIO_TASK_GROUP(group);
	CHECK_RC(anyio_start_soon(&group, map_large, NULL, "large"), 0);
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(anyio_start_soon(&group, map_small, NULL, "small"), 0);
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	atomic_store(&both_asked, true);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int map_here(void *arg)
{
	return map_small(NULL);
}

static void run_map(void *options)
{
	anyio_run(map_here, NULL, options);
}

static int a_map_in_a_forked_child_ends_it_by_name(void *arg)
{
	char text[1024];

	CHECK_RC(anyio_run(map_here, NULL, arg), 0);
	int status = in_child(run_map, arg, text, sizeof(text));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, "forked child"));
	/* The parent goes on. */
	CHECK_RC(anyio_run(map_here, NULL, arg), 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(maps_take_turns, CONFORM_NO_SIM),
		CONFORM(a_map_in_a_forked_child_ends_it_by_name, CONFORM_NO_SIM | CONFORM_BARE),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
