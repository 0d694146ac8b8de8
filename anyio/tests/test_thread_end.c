/* Functions that end their worker thread instead of returning. Not in the simulation, which has no threads. */
#include "conformance.h"
#include <pthread.h>
#include <stdatomic.h>
#include <anyio/testing.h>
#include <errno.h>

static int return_it(void *arg)
{
	return *(int *)arg;
}

static int end_its_thread(void *arg)
{
	pthread_exit(arg);
}

static int cancel_its_thread(void *allow)
{
	if (allow != NULL)
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	pthread_cancel(pthread_self());
	pthread_testcancel();
	return 3;
}

/* The waiting task is told, and the next call finds another thread. */
static int the_waiting_task_is_told(void *arg)
{
	int value = 7;

	CHECK_RC(anyio_to_thread(end_its_thread, NULL, NULL), ANYIO_THREAD_ENDED);
	CHECK_RC(anyio_to_thread(return_it, &value, NULL), 7);
	CHECK_RC(anyio_to_thread(cancel_its_thread, NULL, NULL), 3);
	CHECK_RC(anyio_to_thread(cancel_its_thread, &value, NULL), ANYIO_THREAD_ENDED);
	CHECK_RC(anyio_to_thread(return_it, &value, NULL), 7);
	CHECK_RC((int64_t)anyio_limiter_statistics(anyio_default_thread_limiter()).borrowed, 0);
	return 0;
}

/* A call that ends its thread once the test opens its gate. */
struct gated {
	struct anyio_thread_options options;
	bool short_of_memory;
	atomic_bool began, open, destroyed;
	int rc;
};

static int end_behind_the_gate(void *arg)
{
	struct gated *self = arg;

	atomic_store(&self->began, true);
	while (!atomic_load(&self->open))
		sched_yield();
	if (self->short_of_memory)
		anyio_fault_set_sticky(ANYIO_FAULT_MEMORY, 1, -ENOMEM);
	pthread_exit(NULL);
}

static void destroy_gated(void *arg)
{
	atomic_store(&((struct gated *)arg)->destroyed, true);
}

static int call_gated(void *arg)
{
	struct gated *self = arg;

	self->rc = anyio_to_thread(end_behind_the_gate, self, &self->options);
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static void until(atomic_bool *flag)
{
	while (!atomic_load(flag))
		CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
}

static int one_that_was_abandoned_destroys_its_arguments(void *arg)
{
	struct gated gated = { .options = { .abandon_on_cancel = true, .destroy = destroy_gated } };
	struct anyio_limiter *limiter = anyio_default_thread_limiter();
	ANYIO_TASK_GROUP(group);

	anyio_start_soon(&group, call_gated, &gated, "gated");
	until(&gated.began);
	anyio_task_group_cancel(&group, "abandon it");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(gated.rc, ANYIO_CANCELLED);
	CHECK(!atomic_load(&gated.destroyed));
	atomic_store(&gated.open, true);
	until(&gated.destroyed);
	while (anyio_limiter_statistics(limiter).borrowed > 0)
		CHECK_RC(anyio_sleep(ANYIO_MILLISECOND), 0);
	return 0;
}

/* What waits for the only thread there is. */
struct queued {
	struct anyio_limiter limiter;
	struct gated first;
	struct waiting {
		struct queued *queue;
		int number, rc;
	} rest[4];
};

static int call_waiting(void *arg)
{
	struct waiting *self = arg;
	struct anyio_thread_options options = { .limiter = &self->queue->limiter };

	self->rc = anyio_to_thread(
		self->number == 2 ? end_its_thread : return_it, &self->number, &options);
	return 0;
}

static int fill_the_queue(void *arg)
{
	struct queued *self = arg;
	ANYIO_TASK_GROUP(group);

	anyio_limiter_init(&self->limiter, 10);
	self->first.options.limiter = &self->limiter;
	anyio_start_soon(&group, call_gated, &self->first, "first");
	until(&self->first.began);
	for (int i = 0; i < 4; i++) {
		self->rest[i] = (struct waiting){ .queue = self, .number = i };
		anyio_start_soon(&group, call_waiting, &self->rest[i], "waiting");
	}
	anyio_wait_all_tasks_blocked();
	atomic_store(&self->first.open, true);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	anyio_limiter_destroy(&self->limiter);
	return 0;
}

static void run_queue(const struct anyio_options *from, struct queued *queued)
{
	struct anyio_options options = *from;

	options.worker_threads = 1;
	CHECK_RC(anyio_run(fill_the_queue, queued, &options), 0);
	CHECK_RC(queued->first.rc, ANYIO_THREAD_ENDED);
}

static int another_thread_goes_on_with_the_queue(void *arg)
{
	struct queued queued = { .first = { .rc = 0 } };

	run_queue(arg, &queued);
	for (int i = 0; i < 4; i++)
		CHECK_RC(queued.rest[i].rc, i == 2 ? ANYIO_THREAD_ENDED : i);
	return 0;
}

static int without_another_thread_the_queue_fails(void *arg)
{
	struct queued queued = { .first = { .short_of_memory = true } };

	run_queue(arg, &queued);
	for (int i = 0; i < 4; i++)
		CHECK_RC(queued.rest[i].rc, -ENOMEM);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(the_waiting_task_is_told, CONFORM_NO_SIM),
		CONFORM(one_that_was_abandoned_destroys_its_arguments, CONFORM_NO_SIM),
		CONFORM(another_thread_goes_on_with_the_queue, CONFORM_BARE | CONFORM_NO_SIM),
		CONFORM(without_another_thread_the_queue_fails, CONFORM_BARE | CONFORM_NO_SIM),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
