/* What can be seen of events, locks, conditions, semaphores and limiters. */
#include "conformance.h"

/* Everything that there is to see, with one task in each and one that waits for it. */
struct seen {
	struct anyio_event event;
	struct anyio_lock lock, own;
	struct anyio_condition condition;
	struct anyio_semaphore semaphore;
	struct anyio_limiter limiter;
	struct anyio_task *holder;
};

static int hold_all(void *arg)
{
	struct seen *seen = arg;

	seen->holder = anyio_current_task();
	CHECK_RC(anyio_lock_acquire(&seen->lock), 0);
	CHECK_RC(anyio_semaphore_acquire(&seen->semaphore), 0);
	CHECK_RC(anyio_limiter_acquire_nowait(&seen->limiter), 0);
	CHECK_RC(anyio_event_wait(&seen->event), 0);
	CHECK_RC(anyio_limiter_release(&seen->limiter), 0);
	CHECK_RC(anyio_semaphore_release(&seen->semaphore), 0);
	return anyio_lock_release(&seen->lock);
}

static int wait_lock(void *arg)
{
	struct seen *seen = arg;

	CHECK_RC(anyio_lock_acquire(&seen->lock), 0);
	return anyio_lock_release(&seen->lock);
}

static int wait_condition(void *arg)
{
	struct seen *seen = arg;

	CHECK_RC(anyio_lock_acquire(&seen->own), 0);
	CHECK_RC(anyio_condition_wait(&seen->condition), 0);
	return anyio_lock_release(&seen->own);
}

static int wait_semaphore(void *arg)
{
	struct seen *seen = arg;

	CHECK_RC(anyio_semaphore_acquire(&seen->semaphore), 0);
	return anyio_semaphore_release(&seen->semaphore);
}

static int wait_limiter(void *arg)
{
	struct seen *seen = arg;

	CHECK_RC(anyio_limiter_acquire(&seen->limiter), 0);
	return anyio_limiter_release(&seen->limiter);
}

static void check_seen(struct seen *seen, size_t busy)
{
	struct anyio_event_statistics event;
	struct anyio_lock_statistics lock;
	struct anyio_condition_statistics condition;
	struct anyio_semaphore_statistics semaphore;
	struct anyio_limiter_statistics limiter;
	const void *borrowers[2] = { NULL, seen };

	event = anyio_event_statistics(&seen->event);
	CHECK_RC((int64_t)event.waiting, (int64_t)busy);
	lock = anyio_lock_statistics(&seen->lock);
	CHECK(lock.locked == (busy != 0));
	CHECK(lock.owner == (busy ? seen->holder : NULL));
	CHECK_RC((int64_t)lock.waiting, (int64_t)busy);
	condition = anyio_condition_statistics(&seen->condition);
	CHECK_RC((int64_t)condition.waiting, (int64_t)busy);
	CHECK(!condition.lock.locked && condition.lock.owner == NULL);
	semaphore = anyio_semaphore_statistics(&seen->semaphore);
	CHECK_RC((int64_t)semaphore.value, 1 - (int64_t)busy);
	CHECK_RC((int64_t)semaphore.maximum, 5);
	CHECK_RC((int64_t)semaphore.waiting, (int64_t)busy);
	limiter = anyio_limiter_statistics(&seen->limiter);
	CHECK_RC((int64_t)limiter.total, 1);
	CHECK_RC((int64_t)limiter.borrowed, (int64_t)busy);
	CHECK_RC((int64_t)limiter.waiting, (int64_t)busy);
	CHECK_RC((int64_t)anyio_limiter_borrowers(&seen->limiter, NULL, 0), (int64_t)busy);
	CHECK_RC((int64_t)anyio_limiter_borrowers(&seen->limiter, borrowers, 1), (int64_t)busy);
	CHECK(borrowers[0] == (busy ? seen->holder : NULL) && borrowers[1] == seen);
}

static int statistics_tell_owners_and_waiters(void *arg)
{
	static const anyio_task_fn tasks[] = { hold_all, wait_lock, wait_condition, wait_semaphore,
		wait_limiter };
	struct seen seen = { .holder = NULL };
	struct anyio_task_group group;

	anyio_event_init(&seen.event);
	anyio_lock_init(&seen.lock);
	anyio_lock_init(&seen.own);
	anyio_condition_init(&seen.condition, &seen.own);
	anyio_semaphore_init(&seen.semaphore, 1, 5);
	anyio_limiter_init(&seen.limiter, 1);
	check_seen(&seen, 0);
	anyio_task_group_enter(&group);
	for (int i = 0; i < 5; i++) {
		CHECK_RC(anyio_start_soon(&group, tasks[i], &seen, "child"), 0);
		anyio_wait_all_tasks_blocked();
	}
	check_seen(&seen, 1);
	anyio_event_set(&seen.event);
	CHECK_RC(anyio_lock_acquire(&seen.own), 0);
	CHECK_RC(anyio_condition_notify(&seen.condition, 1), 0);
	CHECK_RC(anyio_lock_release(&seen.own), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	check_seen(&seen, 0);
	anyio_limiter_destroy(&seen.limiter);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(statistics_tell_owners_and_waiters, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
