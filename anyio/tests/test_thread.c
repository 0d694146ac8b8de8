/* Worker threads, calls back from them, the CPU pool. */
#include "conformance.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

static void spawn(struct anyio_task_group *group, anyio_task_fn fn, void *arg,
	struct anyio_task_handle *handle)
{
	struct anyio_task_options options = { .name = "child", .handle = handle };

	CHECK_RC(anyio_start_soon_with(group, fn, arg, &options), 0);
}

/* A call that lasts until the test opens its gate. */
struct gated {
	struct anyio_limiter *limiter;
	bool abandon;
	struct anyio_task_handle handle;
	int rc;
	atomic_bool began, open, ended, destroyed;
	_Atomic int seen; /* what the thread was told about cancellation */
};

static int pass_gate(void *arg)
{
	struct gated *self = arg;

	atomic_store(&self->began, true);
	while (!atomic_load(&self->open)) {
		atomic_store(&self->seen, anyio_from_thread_check_cancelled());
		sched_yield();
	}
	atomic_store(&self->ended, true);
	return 42;
}

static void destroy_gated(void *arg)
{
	struct gated *self = arg;

	CHECK(atomic_load(&self->ended));
	atomic_store(&self->destroyed, true);
}

static int call_gated(void *arg)
{
	struct gated *self = arg;
	struct anyio_thread_options options = {
		.limiter = self->limiter,
		.abandon_on_cancel = self->abandon,
		.destroy = destroy_gated,
	};

	self->rc = anyio_to_thread(pass_gate, self, &options);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static void until(atomic_bool *flag)
{
	while (!atomic_load(flag))
		CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
}

static pthread_t thread_of_loop;

static int other_thread(void *arg)
{
	CHECK(!pthread_equal(pthread_self(), thread_of_loop));
	return *(int *)arg;
}

static int returns_what_the_function_returned(void *arg)
{
	int value = 7;

	thread_of_loop = pthread_self();
	CHECK_RC(anyio_to_thread(other_thread, &value, NULL), 7);
	value = -EIO;
	CHECK_RC(anyio_to_thread(other_thread, &value, NULL), -EIO);
	return 0;
}

static int list_folder(void *arg)
{
	struct anyio_names names;
	int rc = anyio_listdir(AT_FDCWD, ".", &names);

	if (rc == 0)
		anyio_names_free(&names);
	return rc;
}

/* Asks once all of them are at it. */
static int ask_together(void *arg)
{
	pthread_barrier_wait(arg);
	return anyio_from_thread_run(list_folder, NULL);
}

static int call_together(void *arg)
{
	return anyio_to_thread(ask_together, arg, NULL);
}

/* All threads that calls may have wait for tasks, which want files and names. */
static int calls_leave_threads_for_files_and_names(void *arg)
{
	struct anyio_limiter_statistics limit;
	struct anyio_address *addresses;
	struct gated gated = { .open = false };
	pthread_barrier_t all;
	size_t count;
	ANYIO_TASK_GROUP(group);

	limit = anyio_limiter_statistics(anyio_default_thread_limiter());
	CHECK_RC(pthread_barrier_init(&all, NULL, (unsigned)limit.total), 0);
	for (unsigned i = 0; i + 1 < limit.total; i++)
		spawn(&group, call_together, &all, NULL);
	spawn(&group, call_gated, &gated, NULL);
	until(&gated.began);
	CHECK_RC(anyio_getaddrinfo("localhost", 80, AF_INET, &addresses, &count), 0);
	anyio_free(addresses);
	atomic_store(&gated.open, true);
	spawn(&group, call_together, &all, NULL);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	pthread_barrier_destroy(&all);
	return 0;
}

static int call_from_a_thread(void *arg)
{
	int value = 7;

	return anyio_to_thread(other_thread, &value, NULL);
}

static int call_a_thread_that_calls(void *arg)
{
	return anyio_to_thread(call_from_a_thread, NULL, NULL);
}

/* Neither before a loop nor on one of its threads. */
static int only_tasks_call_threads(void *arg)
{
	struct anyio_address *addresses;
	size_t count;

	CHECK_RC(call_from_a_thread(NULL), ANYIO_NO_LOOP);
	CHECK_RC(anyio_getaddrinfo("localhost", 80, AF_INET, &addresses, &count), ANYIO_NO_LOOP);
	CHECK_RC(anyio_run(call_a_thread_that_calls, NULL, arg), ANYIO_NO_LOOP);
	return 0;
}

static int c58_r11_cancel_waits_for_the_thread_by_default(void *arg)
{
	struct gated self = { .abandon = false };
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	spawn(&group, call_gated, &self, &self.handle);
	until(&self.began);
	CHECK_RC(self.seen, 0);
	anyio_task_handle_cancel(&self.handle, "test");
	/* The thread is told, and nobody leaves before it ends. */
	while (atomic_load(&self.seen) != ANYIO_CANCELLED)
		CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
	CHECK_RC(self.rc, 0);
	atomic_store(&self.open, true);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, 42);
	CHECK(!atomic_load(&self.destroyed));
	return 0;
}

static int c59_r11_abandoned_frees_its_token_only_at_thread_end(void *arg)
{
	struct anyio_limiter limiter;
	struct anyio_limiter_statistics stat;
	struct gated self = { .limiter = &limiter, .abandon = true };
	struct anyio_task_group group;

	anyio_limiter_init(&limiter, 1);
	anyio_task_group_enter(&group);
	spawn(&group, call_gated, &self, &self.handle);
	until(&self.began);
	anyio_task_handle_cancel(&self.handle, "test");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, ANYIO_CANCELLED);
	CHECK(!atomic_load(&self.ended));
	stat = anyio_limiter_statistics(&limiter);
	CHECK_RC((int64_t)stat.borrowed, 1);
	CHECK_RC(anyio_limiter_acquire_nowait_for(&limiter, &self), ANYIO_WOULD_BLOCK);
	atomic_store(&self.open, true);
	CHECK_RC(anyio_limiter_acquire_for(&limiter, &self), 0);
	CHECK(atomic_load(&self.destroyed));
	CHECK_RC(anyio_limiter_release_for(&limiter, &self), 0);
	anyio_limiter_destroy(&limiter);
	/* The loose task that saw to it ends in its own time. */
	while (anyio_task_count() > 1)
		CHECK_RC(anyio_checkpoint(), 0);
	return 0;
}

static int return_cancelled(void *arg)
{
	return ANYIO_CANCELLED;
}

static void count_destroyed(void *arg)
{
	++*(int *)arg;
}

static int c59b_r11_whoever_is_cancelled_does_not_own_the_arguments(void *arg)
{
	static const struct anyio_thread_options options = { .abandon_on_cancel = true,
		.destroy = count_destroyed };
	struct anyio_cancel_scope scope;
	int destroyed = 0;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "before it starts");
	anyio_cancel_scope_enter(&scope);
	int rc = anyio_to_thread(return_cancelled, &destroyed, &options);
	CHECK_RC(rc, ANYIO_CANCELLED);
	CHECK_RC(destroyed, 1);
	CHECK_RC(anyio_cancel_scope_exit(&scope, rc), 0);
	CHECK_RC(anyio_to_thread(return_cancelled, &destroyed, &options), ANYIO_CANCELLED);
	CHECK_RC(destroyed, 2);
	return 0;
}

static int limiter_bounds_the_threads(void *arg)
{
	struct anyio_limiter limiter;
	struct gated calls[3];
	struct anyio_task_group group;

	anyio_limiter_init(&limiter, 2);
	anyio_task_group_enter(&group);
	for (int i = 0; i < 3; i++) {
		calls[i] = (struct gated){ .limiter = &limiter };
		spawn(&group, call_gated, &calls[i], &calls[i].handle);
		if (i < 2)
			until(&calls[i].began);
	}
	CHECK_RC(anyio_sleep(5 * ANYIO_MILLISECOND), 0);
	CHECK(!atomic_load(&calls[2].began));
	atomic_store(&calls[0].open, true);
	until(&calls[2].began);
	/* Not even an unabandonable call waits for its token uncancelled. */
	atomic_store(&calls[1].open, true);
	atomic_store(&calls[2].open, true);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	anyio_limiter_destroy(&limiter);
	return 0;
}

static int cancelled_before_the_start_runs_nothing(void *arg)
{
	struct anyio_limiter limiter;
	struct gated self = { .limiter = &limiter };
	struct anyio_task_group group;

	anyio_limiter_init(&limiter, 0);
	anyio_task_group_enter(&group);
	spawn(&group, call_gated, &self, &self.handle);
	anyio_wait_all_tasks_blocked();
	anyio_task_handle_cancel(&self.handle, "test");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, ANYIO_CANCELLED);
	CHECK(!atomic_load(&self.began));
	anyio_limiter_destroy(&limiter);
	return 0;
}

struct asking {
	struct anyio_event event;
	struct anyio_task_handle handle;
	int steps, rc;
};

static int step_on_the_loop(void *arg)
{
	struct asking *self = arg;
	int rc = anyio_checkpoint();

	CHECK(pthread_equal(pthread_self(), thread_of_loop));
	return rc < 0 ? rc : ++self->steps;
}

static int ask_three_times(void *arg)
{
	for (int i = 1; i <= 3; i++)
		CHECK_RC(anyio_from_thread_run(step_on_the_loop, arg), i);
	return 0;
}

static int thread_runs_functions_on_the_loop(void *arg)
{
	struct asking self = { .steps = 0 };

	thread_of_loop = pthread_self();
	CHECK_RC(anyio_to_thread(ask_three_times, &self, NULL), 0);
	CHECK_RC(self.steps, 3);
	CHECK_RC(anyio_from_thread_run(step_on_the_loop, &self), ANYIO_NO_LOOP);
	CHECK_RC(anyio_from_thread_check_cancelled(), ANYIO_NO_LOOP);
	return 0;
}

static int wait_on_the_loop(void *arg)
{
	return anyio_event_wait(arg);
}

static int ask_and_wait(void *arg)
{
	struct asking *self = arg;

	self->rc = anyio_from_thread_run(wait_on_the_loop, &self->event);
	CHECK_RC(anyio_from_thread_check_cancelled(), ANYIO_CANCELLED);
	return 0;
}

static int call_asking(void *arg)
{
	return anyio_to_thread(ask_and_wait, arg, NULL);
}

static int what_a_thread_asks_is_cancelled_with_its_caller(void *arg)
{
	struct asking self = { .steps = 0 };
	struct anyio_task_group group;

	anyio_event_init(&self.event);
	anyio_task_group_enter(&group);
	spawn(&group, call_asking, &self, &self.handle);
	while (anyio_event_statistics(&self.event).waiting == 0)
		CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
	anyio_task_handle_cancel(&self.handle, "test");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(self.rc, ANYIO_CANCELLED);
	return 0;
}

static int cancel_own_task(void *arg)
{
	struct asking *self = arg;

	anyio_task_handle_cancel(&self->handle, "test");
	return 0;
}

static int ask_to_be_cancelled(void *arg)
{
	CHECK_RC(anyio_from_thread_check_cancelled(), 0);
	CHECK_RC(anyio_from_thread_run(cancel_own_task, arg), 0);
	return anyio_from_thread_check_cancelled();
}

static int call_and_be_cancelled(void *arg)
{
	return anyio_to_thread(ask_to_be_cancelled, arg, NULL);
}

/* What has happened on the loop before the thread's own request was answered the thread sees. */
static int a_thread_knows_at_once_that_it_is_cancelled(void *arg)
{
	struct asking self = { .steps = 0 };
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	spawn(&group, call_and_be_cancelled, &self, &self.handle);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(anyio_task_handle_result(&self.handle), ANYIO_TASK_CANCELLED);
	return 0;
}

static int pass_gate_and_ask(void *arg)
{
	struct gated *self = arg;

	pass_gate(self);
	CHECK_RC(anyio_from_thread_check_cancelled(), ANYIO_CANCELLED);
	CHECK_RC(anyio_from_thread_run(return_cancelled, NULL), ANYIO_CANCELLED);
	atomic_store(&self->seen, 1);
	return 0;
}

static int abandon_asking(void *arg)
{
	const struct anyio_thread_options options = { .abandon_on_cancel = true };

	return anyio_to_thread(pass_gate_and_ask, arg, &options);
}

/* Nobody is there to run what an abandoned thread asks for; it is told so, and not left waiting. */
static int c59c_an_abandoned_thread_is_answered(void *arg)
{
	struct gated self = { .abandon = true };
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	spawn(&group, abandon_asking, &self, &self.handle);
	until(&self.began);
	anyio_task_handle_cancel(&self.handle, "test");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	atomic_store(&self.open, true);
	while (anyio_task_count() > 1)
		CHECK_RC(anyio_checkpoint(), 0);
	CHECK_RC(atomic_load(&self.seen), 1);
	return 0;
}

static int default_limiter_bounds_the_threads(void *arg)
{
	struct anyio_limiter *limiter = anyio_default_thread_limiter();
	struct anyio_limiter_statistics stat;
	struct gated calls[2];
	struct anyio_task_group group;

	stat = anyio_limiter_statistics(limiter);
	CHECK_RC((int64_t)stat.total, 40);
	anyio_limiter_set_total(limiter, 1);
	anyio_task_group_enter(&group);
	for (int i = 0; i < 2; i++) {
		calls[i] = (struct gated){ .limiter = NULL };
		spawn(&group, call_gated, &calls[i], NULL);
		anyio_wait_all_tasks_blocked();
	}
	until(&calls[0].began);
	stat = anyio_limiter_statistics(limiter);
	CHECK_RC((int64_t)stat.borrowed, 1);
	CHECK_RC((int64_t)stat.waiting, 1);
	CHECK(!atomic_load(&calls[1].began));
	anyio_limiter_set_total(limiter, 2);
	until(&calls[1].began);
	atomic_store(&calls[0].open, true);
	atomic_store(&calls[1].open, true);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int default_limiter_is_the_loops(void *arg)
{
	CHECK(anyio_default_thread_limiter() == NULL);
	return 0;
}

struct squares {
	atomic_uint runs[1000];
	uint64_t out[1000];
};

static void square(void *arg, size_t index)
{
	struct squares *self = arg;

	atomic_fetch_add(&self->runs[index], 1);
	self->out[index] = index * index;
}

static int map_squares(void *arg)
{
	struct squares *self = arg;

	for (size_t count = 0; count <= 1000; count = count * 3 + 1) {
		*self = (struct squares){ .out = { 0 } };
		CHECK_RC(anyio_cpu_map(square, self, count), 0);
		for (size_t i = 0; i < count; i++)
			CHECK(self->runs[i] == 1 && self->out[i] == i * i);
	}
	return 0;
}

static int cpu_map_runs_every_index_once(void *arg)
{
	static struct squares maps[4];
	struct anyio_task_group group;

	CHECK(anyio_cpu_count() >= 1);
	anyio_task_group_enter(&group);
	for (int i = 0; i < 4; i++)
		spawn(&group, map_squares, &maps[i], NULL);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static atomic_bool gate;

static void wait_for_gate(void *arg, size_t index)
{
	while (!atomic_load(&gate))
		sched_yield();
}

static int map_gated(void *arg)
{
	return anyio_cpu_map(wait_for_gate, NULL, 2);
}

static int cpu_map_leaves_the_loop_running(void *arg)
{
	struct anyio_task_group group;

	atomic_store(&gate, false);
	anyio_task_group_enter(&group);
	spawn(&group, map_gated, NULL, NULL);
	CHECK_RC(anyio_sleep(5 * ANYIO_MILLISECOND), 0);
	atomic_store(&gate, true);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int ask_once(void *arg)
{
	return anyio_from_thread_run(step_on_the_loop, arg);
}

/* Short of memory at any point: the call is made whole or not at all. */
static int any_shortage_is_reported(void *arg)
{
	struct anyio_limiter limiter;
	struct anyio_thread_options options = { .limiter = &limiter };
	uint64_t at = 0;
	int rc;

	thread_of_loop = pthread_self();
	do {
		struct asking self = { .steps = 0 };

		anyio_limiter_init(&limiter, 1);
		anyio_fault_set(ANYIO_FAULT_MEMORY, ++at, -ENOMEM);
		rc = anyio_to_thread(ask_once, &self, &options);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		CHECK_RC(rc, rc < 0 ? -ENOMEM : 1);
		CHECK_RC(self.steps, rc < 0 ? 0 : 1);
		CHECK_RC(anyio_limiter_acquire(&limiter), 0);
		CHECK_RC(anyio_limiter_release(&limiter), 0);
		anyio_limiter_destroy(&limiter);
	} while (rc < 0 && at < 100);
	CHECK(at > 2 && at < 100);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(returns_what_the_function_returned, CONFORM_NO_SIM),
		CONFORM(calls_leave_threads_for_files_and_names, CONFORM_NO_SIM),
		CONFORM(only_tasks_call_threads, CONFORM_BARE),
		CONFORM(c58_r11_cancel_waits_for_the_thread_by_default, CONFORM_NO_SIM),
		CONFORM(c59_r11_abandoned_frees_its_token_only_at_thread_end, CONFORM_NO_SIM),
		CONFORM(c59b_r11_whoever_is_cancelled_does_not_own_the_arguments, 0),
		CONFORM(c59c_an_abandoned_thread_is_answered, CONFORM_NO_SIM),
		CONFORM(limiter_bounds_the_threads, CONFORM_NO_SIM),
		CONFORM(default_limiter_bounds_the_threads, CONFORM_NO_SIM),
		CONFORM(default_limiter_is_the_loops, CONFORM_BARE),
		CONFORM(cancelled_before_the_start_runs_nothing, 0),
		CONFORM(thread_runs_functions_on_the_loop, CONFORM_NO_SIM),
		CONFORM(what_a_thread_asks_is_cancelled_with_its_caller, CONFORM_NO_SIM),
		CONFORM(a_thread_knows_at_once_that_it_is_cancelled, CONFORM_NO_SIM),
		CONFORM(any_shortage_is_reported, CONFORM_NO_SIM),
		CONFORM(cpu_map_runs_every_index_once, 0),
		CONFORM(cpu_map_leaves_the_loop_running, CONFORM_NO_SIM),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
