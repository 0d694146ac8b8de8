/* Portals: calls from other threads, their handles, and the race with the stop. The simulation has no
 * threads. */
#include "conformance.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "portals.h"

static int fail_at_once(void *arg)
{
	return -EIO;
}

static int call_three_times(void *arg)
{
	struct world *world = arg;

	for (int i = 1; i <= 3; i++)
		CHECK_RC(anyio_portal_call(world->portal, count_call, world), i);
	CHECK_RC(anyio_portal_call(world->portal, fail_at_once, NULL), -EIO);
	CHECK_RC(anyio_portal_call(world->portal, count_call, world), 4);
	return 0;
}

static int calls_run_on_the_loop(void *arg)
{
	struct anyio_task_group group;
	struct world world;

	world_open(&world, &group);
	in_thread(call_three_times, &world);
	CHECK_RC(anyio_portal_call(world.portal, count_call, &world), -EDEADLK);
	CHECK_RC(anyio_portal_start_task(world.portal, count_call, &world, NULL, NULL, NULL),
		-EDEADLK);
	world_close(&world, &group);
	return 0;
}

static int call_rejected(void *arg)
{
	struct world *world = arg;
	struct anyio_portal_task *task = (void *)world;

	CHECK_RC(anyio_portal_call(world->portal, count_call, world), ANYIO_STOPPED);
	CHECK_RC(anyio_portal_start_soon(world->portal, count_call, world, "late", &task),
		ANYIO_STOPPED);
	CHECK(task == NULL);
	CHECK_RC(anyio_portal_start_task(world->portal, count_call, world, "late", &task, NULL),
		ANYIO_STOPPED);
	return 0;
}

static int stop_and_call(void *arg)
{
	struct world *world = arg;

	anyio_portal_stop(world->portal, false);
	return call_rejected(world);
}

/* Stopped by a thread, from the loop, and by the cancellation of its group. */
static int c60_a_stopped_portal_rejects_calls(void *arg)
{
	for (int how = 0; how < 3; how++) {
		struct anyio_task_group group;
		struct world world;

		world_open(&world, &group);
		if (how == 0)
			in_thread(stop_and_call, &world);
		else if (how == 1)
			anyio_portal_stop(world.portal, true);
		else
			anyio_task_group_cancel(&group, "test");
		CHECK_RC(anyio_task_group_exit(&group, 0), 0);
		in_thread(call_rejected, &world);
		CHECK_RC(world.calls, 0);
		anyio_portal_unref(world.portal);
	}
	return 0;
}

/* It has not even arrived when the portal is stopped. */
static int what_was_accepted_before_the_stop_runs(void *arg)
{
	struct anyio_task_group group;
	struct anyio_portal_task *task;
	struct world world;

	world_open(&world, &group);
	CHECK_RC(anyio_portal_start_soon(world.portal, count_call, &world, "slow", &task), 0);
	CHECK_RC(anyio_portal_start_soon(world.portal, count_call, &world, "lost", NULL), 0);
	CHECK_RC(anyio_portal_task_wait(task, ANYIO_FOREVER), -EDEADLK);
	anyio_portal_stop(world.portal, false);
	CHECK_RC(anyio_portal_start_soon(world.portal, count_call, &world, "late", NULL),
		ANYIO_STOPPED);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK(anyio_portal_task_done(task));
	CHECK_RC(anyio_portal_task_wait(task, ANYIO_FOREVER), 1);
	CHECK_RC(world.calls, 2);
	anyio_portal_task_free(task);
	anyio_portal_unref(world.portal);
	return 0;
}

static int wait_for_event(void *arg)
{
	struct world *world = arg;
	int rc;

	atomic_fetch_add(&world->calls, 1);
	rc = anyio_event_wait(&world->event);
	if (rc == ANYIO_CANCELLED)
		atomic_fetch_add(&world->cancelled, 1);
	return rc < 0 ? rc : 7;
}

static int set_event(void *arg)
{
	anyio_event_set(&((struct world *)arg)->event);
	return 0;
}

static int use_handles(void *arg)
{
	struct world *world = arg;
	struct anyio_portal_task *first, *second;

	CHECK_RC(anyio_portal_start_soon(world->portal, wait_for_event, world, "one", &first), 0);
	CHECK_RC(anyio_portal_start_soon(world->portal, wait_for_event, world, NULL, &second), 0);
	CHECK_RC(anyio_portal_task_wait(first, ANYIO_MILLISECOND), -ETIMEDOUT);
	/* The past is over, whatever of a second it is past. */
	CHECK_RC(anyio_portal_task_wait(first, 1 - ANYIO_SECOND), -ETIMEDOUT);
	CHECK_RC(anyio_portal_task_wait(first, -ANYIO_FOREVER), -ETIMEDOUT);
	CHECK(!anyio_portal_task_done(first));
	anyio_portal_task_cancel(second);
	CHECK_RC(anyio_portal_task_wait(second, ANYIO_FOREVER), ANYIO_TASK_CANCELLED);
	CHECK(!anyio_portal_task_done(first));
	CHECK_RC(anyio_portal_call(world->portal, set_event, world), 0);
	CHECK_RC(anyio_portal_task_wait(first, ANYIO_FOREVER), 7);
	CHECK(anyio_portal_task_done(first));
	CHECK_RC(anyio_portal_task_wait(first, 0), 7);
	anyio_portal_task_cancel(first);
	anyio_portal_task_free(first);
	anyio_portal_task_free(second);
	anyio_portal_task_free(NULL);
	/* Nobody asks what became of this one. */
	return anyio_portal_start_soon(world->portal, count_call, world, "lost", NULL);
}

static int handles_wait_cancel_and_tell(void *arg)
{
	struct anyio_task_group group;
	struct world world;

	world_open(&world, &group);
	in_thread(use_handles, &world);
	world_close(&world, &group);
	CHECK_RC(world.calls, 3);
	CHECK_RC(world.cancelled, 1);
	return 0;
}

/* The cancel comes in order behind the start, so that it meets a task that has not run yet. */
static int cancel_at_once(void *arg)
{
	struct world *world = arg;
	struct anyio_portal_task *task;

	for (int i = 0; i < 50; i++) {
		CHECK_RC(anyio_portal_start_soon(
				 world->portal, wait_for_event, world, "brief", &task),
			0);
		anyio_portal_task_cancel(task);
		CHECK_RC(anyio_portal_task_wait(task, ANYIO_FOREVER), ANYIO_TASK_CANCELLED);
		anyio_portal_task_free(task);
	}
	return 0;
}

static int a_task_may_be_cancelled_before_it_runs(void *arg)
{
	struct anyio_task_group group;
	struct world world;

	world_open(&world, &group);
	in_thread(cancel_at_once, &world);
	world_close(&world, &group);
	CHECK_RC(world.calls, 50);
	CHECK_RC(world.cancelled, 50);
	return 0;
}

static int start_then_wait(void *arg)
{
	CHECK_RC(anyio_checkpoint(), 0);
	CHECK_RC(anyio_started(arg), 0);
	return wait_for_event(arg);
}

static int start_and_end(void *arg)
{
	CHECK_RC(anyio_started(arg), 0);
	return -EIO;
}

static int end_well(void *arg)
{
	return 0;
}

static int use_handshake(void *arg)
{
	struct world *world = arg;
	struct anyio_portal *portal = world->portal;
	struct anyio_portal_task *task, *none = (void *)world;
	void *value = NULL;

	CHECK_RC(anyio_portal_start_task(portal, start_then_wait, world, "s", &task, &value), 0);
	CHECK(value == world);
	CHECK(!anyio_portal_task_done(task));
	CHECK_RC(anyio_portal_start_task(portal, fail_at_once, NULL, "fails", &none, NULL), -EIO);
	CHECK(none == NULL);
	CHECK_RC(anyio_portal_start_task(portal, end_well, NULL, "ends", NULL, NULL),
		ANYIO_NOT_STARTED);
	CHECK_RC(anyio_portal_start_task(portal, start_and_end, world, "brief", &none, NULL), 0);
	CHECK_RC(anyio_portal_task_wait(none, ANYIO_FOREVER), -EIO);
	anyio_portal_task_free(none);
	anyio_portal_task_cancel(task);
	CHECK_RC(anyio_portal_task_wait(task, ANYIO_FOREVER), ANYIO_TASK_CANCELLED);
	anyio_portal_task_free(task);
	return 0;
}

static int start_task_has_the_handshake(void *arg)
{
	struct anyio_task_group group;
	struct world world;

	world_open(&world, &group);
	in_thread(use_handshake, &world);
	world_close(&world, &group);
	return 0;
}

static int never_start(void *arg)
{
	atomic_fetch_add(&((struct world *)arg)->calls, 1);
	return anyio_sleep_forever();
}

static int start_never(void *arg)
{
	struct world *world = arg;
	struct anyio_portal_task *task;

	CHECK_RC(anyio_portal_start_task(world->portal, never_start, world, "n", &task, NULL),
		ANYIO_TASK_CANCELLED);
	return 0;
}

static int call_waiting(void *arg)
{
	struct world *world = arg;

	CHECK_RC(anyio_portal_call(world->portal, wait_for_event, world),
		world->cancel_remaining ? ANYIO_TASK_CANCELLED : 7);
	return 0;
}

static void until_calls(struct world *world, int calls)
{
	while (atomic_load(&world->calls) < calls)
		CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
}

/* What runs goes on, or is cancelled; also what has not started yet. */
static int stopping_lets_what_runs_end_or_cancels_it(void *arg)
{
	for (int cancel = 0; cancel < 2; cancel++) {
		struct anyio_task_group group, callers;
		struct world world;
		void *waiting[] = { (void *)call_waiting, &world };
		void *never[] = { (void *)start_never, &world };

		world_open(&world, &group);
		world.cancel_remaining = cancel;
		anyio_task_group_enter(&callers);
		anyio_start_soon(&callers, in_thread_task, waiting, "caller");
		if (cancel)
			anyio_start_soon(&callers, in_thread_task, never, "starter");
		until_calls(&world, 1 + cancel);
		anyio_portal_stop(world.portal, false);
		in_thread(call_rejected, &world);
		if (cancel)
			anyio_portal_stop(world.portal, true);
		else
			anyio_event_set(&world.event);
		CHECK_RC(anyio_task_group_exit(&callers, 0), 0);
		world_close(&world, &group);
		CHECK_RC(world.cancelled, cancel);
	}
	return 0;
}

/* Eight threads that call as fast as they can while the portal is stopped: every call that was
 * answered ran, every other was rejected, and none is left. */
enum { THREADS = 8 };

struct caller {
	struct world *world;
	int answered;
};

static int count_quickly(void *arg)
{
	atomic_fetch_add(&((struct world *)arg)->calls, 1);
	return 1;
}

static int call_until_rejected(void *arg)
{
	struct caller *self = arg;
	struct anyio_portal_task *task = NULL;
	struct world *world = self->world;
	int rc;

	for (int i = 0;; i++) {
		if (i % 3 == 0) {
			rc = anyio_portal_call(world->portal, count_quickly, world);
		} else {
			rc = anyio_portal_start_soon(
				world->portal, count_quickly, world, "quick", &task);
			if (rc == 0)
				rc = anyio_portal_task_wait(task, ANYIO_FOREVER);
			anyio_portal_task_free(task);
			task = NULL;
		}
		if (rc < 0)
			break;
		CHECK_RC(rc, 1);
		self->answered++;
	}
	CHECK_RC(rc, ANYIO_STOPPED);
	return 0;
}

static int stop_in_thread(void *arg)
{
	anyio_portal_stop(((struct world *)arg)->portal, false);
	return 0;
}

static int a_call_racing_with_the_stop_is_answered_or_rejected(void *arg)
{
	for (int round = 0; round < 5; round++) {
		struct anyio_task_group group, callers;
		struct world world;
		struct caller all[THREADS];
		void *calls[THREADS][2];
		int answered = 0;

		world_open(&world, &group);
		anyio_task_group_enter(&callers);
		for (int i = 0; i < THREADS; i++) {
			all[i] = (struct caller){ .world = &world };
			calls[i][0] = (void *)call_until_rejected;
			calls[i][1] = &all[i];
			anyio_start_soon(&callers, in_thread_task, calls[i], "caller");
		}
		until_calls(&world, 200 * round);
		in_thread(stop_in_thread, &world);
		CHECK_RC(anyio_task_group_exit(&callers, 0), 0);
		world_close(&world, &group);
		for (int i = 0; i < THREADS; i++)
			answered += all[i].answered;
		CHECK_RC(world.calls, answered);
		CHECK(answered >= 200 * round);
	}
	return 0;
}

/* The end of the loop itself, from outside it. */
struct shared {
	struct anyio_portal *portal;
	atomic_int calls;
};

static int count_shared(void *arg)
{
	atomic_fetch_add(&((struct shared *)arg)->calls, 1);
	return 1;
}

static void *share(void *arg)
{
	struct shared *shared = arg;

	for (int i = 0; i < 100; i++)
		CHECK_RC(anyio_portal_call(shared->portal, count_shared, shared), 1);
	CHECK_RC(anyio_portal_start_soon(shared->portal, count_shared, shared, "last", NULL), 0);
	anyio_portal_unref(shared->portal);
	return NULL;
}

static int a_loop_in_its_own_thread_is_shared_by_reference(void *arg)
{
	struct anyio_options options = *(struct anyio_options *)arg;
	struct shared shared = { .calls = 0 };
	pthread_t threads[THREADS];

	CHECK_RC(anyio_portal_start(&options, &shared.portal), 0);
	for (int i = 0; i < THREADS; i++) {
		anyio_portal_ref(shared.portal);
		if (pthread_create(&threads[i], NULL, share, &shared) != 0)
			abort();
	}
	anyio_portal_unref(shared.portal);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	/* Whoever was last has waited for the loop's end. */
	CHECK_RC(shared.calls, THREADS * 101);
	options.backend = "none";
	shared.portal = (void *)&shared;
	CHECK_RC(anyio_portal_start(&options, &shared.portal), ANYIO_NO_BACKEND);
	CHECK(shared.portal == NULL);
	return 0;
}

static int unref_here(void *arg)
{
	anyio_portal_unref(((struct shared *)arg)->portal);
	return count_shared(arg);
}

/* The last reference given back on the loop itself: the thread ends alone, so the test waits for its
 * descriptors to go. */
static int the_last_reference_may_go_on_the_loop(void *arg)
{
	struct shared shared = { .calls = 0 };
	size_t fds = conformance_count_fds();

	CHECK_RC(anyio_portal_start(arg, &shared.portal), 0);
	CHECK_RC(anyio_portal_start_soon(shared.portal, unref_here, &shared, "last", NULL), 0);
	while (atomic_load(&shared.calls) == 0 || conformance_count_fds() != fds)
		sched_yield();
	return 0;
}

static int call_in_shortage(void *arg)
{
	struct world *world = arg;
	uint64_t at = 0;
	int rc;

	do {
		anyio_fault_set(ANYIO_FAULT_MEMORY, ++at, -ENOMEM);
		rc = anyio_portal_call(world->portal, count_call, world);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		CHECK(rc == -ENOMEM || rc == 1);
	} while (rc < 0 && at < 20);
	CHECK(at > 2 && at < 20);
	at = 0;
	do {
		anyio_fault_set(ANYIO_FAULT_MEMORY, ++at, -ENOMEM);
		rc = anyio_portal_start_task(
			world->portal, start_and_end, world, "short", NULL, NULL);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		CHECK(rc == -ENOMEM || rc == 0);
	} while (rc < 0 && at < 20);
	CHECK(at > 3 && at < 20);
	return 0;
}

static int a_shortage_is_the_calls_result(void *arg)
{
	struct anyio_task_group group;
	struct anyio_portal *none;
	struct world world;

	world_open(&world, &group);
	in_thread(call_in_shortage, &world);
	CHECK_RC(world.calls, 1);
	for (uint64_t at = 1; at <= 2; at++) {
		anyio_fault_set(ANYIO_FAULT_MEMORY, at, -ENOMEM);
		CHECK_RC(anyio_portal_open(&group, &none), -ENOMEM);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		CHECK(none == NULL);
	}
	world_close(&world, &group);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(calls_run_on_the_loop, CONFORM_NO_SIM),
		CONFORM(c60_a_stopped_portal_rejects_calls, CONFORM_NO_SIM),
		CONFORM(what_was_accepted_before_the_stop_runs, CONFORM_ORDERED),
		CONFORM(handles_wait_cancel_and_tell, CONFORM_NO_SIM),
		CONFORM(a_task_may_be_cancelled_before_it_runs, CONFORM_NO_SIM),
		CONFORM(start_task_has_the_handshake, CONFORM_NO_SIM),
		CONFORM(stopping_lets_what_runs_end_or_cancels_it, CONFORM_NO_SIM),
		CONFORM(a_call_racing_with_the_stop_is_answered_or_rejected, CONFORM_NO_SIM),
		CONFORM(a_loop_in_its_own_thread_is_shared_by_reference, CONFORM_BARE),
		CONFORM(the_last_reference_may_go_on_the_loop, CONFORM_NO_SIM | CONFORM_BARE),
		CONFORM(a_shortage_is_the_calls_result, CONFORM_NO_SIM),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
