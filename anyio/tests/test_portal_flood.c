/* More calls than a portal takes: callers wait for room, the loop goes on, and none is lost in silence. */
#include <errno.h>
#include <sched.h>
#include "portals.h"

enum { FLOOD = 5000, PENDING_MOST = 1024 };

static int count_plainly(void *arg)
{
	atomic_fetch_add(&((struct world *)arg)->calls, 1);
	return 0;
}

static void await_go(struct world *world)
{
	atomic_store(&world->ready, true);
	while (!atomic_load(&world->go))
		sched_yield();
}

static int flood(void *arg)
{
	struct world *world = arg;

	await_go(world);
	for (int i = 0; i < FLOOD; i++) {
		CHECK_RC(
			anyio_portal_start_soon(world->portal, count_plainly, world, "flood", NULL),
			0);
		atomic_fetch_add(&world->sent, 1);
	}
	return 0;
}

static bool is_full(struct anyio_portal *portal)
{
	bool full;

	pthread_mutex_lock(&portal->mutex);
	full = portal->full;
	pthread_mutex_unlock(&portal->mutex);
	return full;
}

/* Starts a caller, and does nothing else on the loop until that has come to the bound. */
static void start_flood(struct anyio_task_group *group, struct world *world, void **calls)
{
	CHECK_RC(anyio_start_soon(group, in_thread_task, calls, "caller"), 0);
	while (!atomic_load(&world->ready))
		CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
	atomic_store(&world->go, true);
	while (!is_full(world->portal) && atomic_load(&world->sent) < FLOOD)
		sched_yield();
	CHECK(is_full(world->portal));
	CHECK(atomic_load(&world->sent) <= PENDING_MOST);
	CHECK_RC(world->portal->pending, PENDING_MOST);
}

/* The loop's own calls are let through. */
static int who_calls_too_fast_waits(void *arg)
{
	struct anyio_task_group group, callers;
	struct world world;
	void *calls[] = { (void *)flood, &world };

	world_open(&world, &group);
	anyio_task_group_enter(&callers);
	start_flood(&callers, &world, calls);
	CHECK_RC(anyio_portal_start_soon(world.portal, count_plainly, &world, "own", NULL), 0);
	CHECK_RC(anyio_task_group_exit(&callers, 0), 0);
	world_close(&world, &group);
	CHECK_RC(world.calls, FLOOD + 1);
	return 0;
}

static int flood_until_stopped(void *arg)
{
	struct world *world = arg;
	int rc;

	await_go(world);
	do {
		rc = anyio_portal_start_soon(world->portal, count_plainly, world, "flood", NULL);
		if (rc == 0)
			atomic_fetch_add(&world->sent, 1);
	} while (rc == 0);
	CHECK_RC(rc, ANYIO_STOPPED);
	return 0;
}

/* Who waits for room is told of the stop; all that was accepted runs, in a cancelled group too. */
static int a_stop_ends_the_wait_for_room(void *arg)
{
	for (int how = 0; how < 3; how++) {
		struct anyio_task_group group, callers;
		struct world world;
		void *calls[] = { (void *)flood_until_stopped, &world };

		world_open(&world, &group);
		anyio_task_group_enter(&callers);
		start_flood(&callers, &world, calls);
		if (how == 2)
			anyio_task_group_cancel(&group, "test");
		else
			anyio_portal_stop(world.portal, how == 1);
		CHECK_RC(anyio_task_group_exit(&callers, 0), how == 2 ? ANYIO_CANCELLED : 0);
		world_close(&world, &group);
		CHECK_RC(world.calls, world.sent);
		CHECK(world.sent >= PENDING_MOST);
	}
	return 0;
}

static int sleep_forever(void *arg)
{
	return anyio_sleep_forever();
}

static int overfill(void *arg)
{
	struct anyio_task_group group;
	struct anyio_portal_task *task;
	struct world world;
	bool asked = *(bool *)arg;
	int rc = 0;

	world_open(&world, &group);
	while (rc == 0)
		rc = anyio_try_start_soon(&group, sleep_forever, NULL, "one more");
	CHECK_RC(rc, ANYIO_TOO_MANY);
	CHECK_RC(anyio_portal_start_soon(
			 world.portal, count_call, &world, "lost", asked ? &task : NULL),
		0);
	if (asked) {
		while (!anyio_portal_task_done(task))
			CHECK_RC(anyio_checkpoint(), 0);
		CHECK_RC(anyio_portal_task_wait(task, 0), ANYIO_TOO_MANY);
		anyio_portal_task_free(task);
		anyio_task_group_cancel(&group, "test");
	}
	rc = anyio_task_group_exit(&group, 0);
	anyio_portal_unref(world.portal);
	CHECK_RC(world.calls, 0);
	return rc;
}

static int what_cannot_run_is_told(void *arg)
{
	struct anyio_options options = *(struct anyio_options *)arg;
	bool asked = true;

	options.max_tasks = 10;
	CHECK_RC(anyio_run(overfill, &asked, &options), 0);
	asked = false;
	CHECK_RC(anyio_run(overfill, &asked, &options), ANYIO_TOO_MANY);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(who_calls_too_fast_waits, CONFORM_NO_SIM),
		CONFORM(a_stop_ends_the_wait_for_room, CONFORM_NO_SIM),
		CONFORM(what_cannot_run_is_told, CONFORM_NO_SIM | CONFORM_BARE),
	};
	return run_conformance(cases, sizeof cases / sizeof *cases);
}
