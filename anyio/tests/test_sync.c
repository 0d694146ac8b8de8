/* Events, locks, conditions, semaphores, limiters, guards. */
#include "conformance.h"
#include <errno.h>
#include <string.h>

/* A child that can be cancelled alone. */
static void spawn(struct anyio_task_group *group, anyio_task_fn fn, void *arg,
	struct anyio_task_handle *handle)
{
	struct anyio_task_options options = { .name = "child", .handle = handle };

	CHECK_RC(anyio_start_soon_with(group, fn, arg, &options), 0);
}

struct locker {
	struct anyio_lock *lock;
	struct anyio_task_handle handle;
	int rc;
	int turn; /* which in the order of those who got it, from 1 */
};

static int turns;

static int lock_once(void *arg)
{
	struct locker *locker = arg;

	locker->rc = anyio_lock_acquire(locker->lock);
	if (locker->rc < 0)
		return locker->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
	locker->turn = ++turns;
	anyio_cancel_shielded_checkpoint();
	CHECK_RC(anyio_lock_release(locker->lock), 0);
	return 0;
}

static int r13_locks_are_handed_on_first_in_first_out(void *arg)
{
	struct anyio_lock lock;
	struct locker lockers[4];
	struct anyio_task_group group;

	turns = 0;
	anyio_lock_init(&lock);
	CHECK_RC(anyio_lock_acquire(&lock), 0);
	CHECK(anyio_lock_locked(&lock));
	anyio_task_group_enter(&group);
	for (int i = 0; i < 4; i++) {
		lockers[i] = (struct locker){ .lock = &lock };
		spawn(&group, lock_once, &lockers[i], NULL);
		anyio_wait_all_tasks_blocked();
	}
	CHECK_RC(anyio_lock_statistics(&lock).waiting, 4);
	CHECK_RC(anyio_lock_acquire(&lock), ANYIO_BUSY);
	CHECK_RC(anyio_lock_release(&lock), 0);
	CHECK_RC(anyio_lock_acquire_nowait(&lock), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_lock_release(&lock), ANYIO_NOT_OWNER);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	for (int i = 0; i < 4; i++)
		CHECK_RC(lockers[i].turn, i + 1);
	CHECK(!anyio_lock_locked(&lock));
	return 0;
}

/* cancel_late: after the lock was handed to the first waiter, but before that one ran. */
static void two_waiters(bool cancel_late)
{
	struct anyio_lock lock;
	struct locker first = { .lock = &lock }, second = { .lock = &lock };
	struct anyio_task_group group;

	turns = 0;
	anyio_lock_init(&lock);
	CHECK_RC(anyio_lock_acquire(&lock), 0);
	anyio_task_group_enter(&group);
	spawn(&group, lock_once, &first, &first.handle);
	anyio_wait_all_tasks_blocked();
	spawn(&group, lock_once, &second, NULL);
	anyio_wait_all_tasks_blocked();
	if (!cancel_late)
		anyio_task_handle_cancel(&first.handle, "test");
	CHECK_RC(anyio_lock_release(&lock), 0);
	if (cancel_late)
		anyio_task_handle_cancel(&first.handle, "test");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(first.rc, ANYIO_CANCELLED);
	CHECK_RC(second.rc, 0);
	CHECK_RC(second.turn, 1);
	CHECK(!anyio_lock_locked(&lock));
}

static int c35_cancelled_lock_waiter_is_skipped(void *arg)
{
	two_waiters(false);
	return 0;
}

static int c36_r13_cancel_after_handoff_releases_to_the_next(void *arg)
{
	two_waiters(true);
	return 0;
}

struct waiter {
	struct anyio_lock *lock;
	struct anyio_condition *condition;
	struct anyio_task_handle handle;
	int rc;
};

static int wait_for_notify(void *arg)
{
	struct waiter *waiter = arg;

	CHECK_RC(anyio_lock_acquire(waiter->lock), 0);
	waiter->rc = anyio_condition_wait(waiter->condition);
	/* The lock is held again, whatever came of it. */
	CHECK_RC(anyio_lock_release(waiter->lock), 0);
	return waiter->rc;
}

static int c37_cancelled_condition_waiter_passes_its_notify_on(void *arg)
{
	struct anyio_lock lock;
	struct anyio_condition condition;
	struct waiter waiters[2];
	struct anyio_task_group group;

	anyio_lock_init(&lock);
	anyio_condition_init(&condition, &lock);
	anyio_task_group_enter(&group);
	for (int i = 0; i < 2; i++) {
		waiters[i] = (struct waiter){ .lock = &lock, .condition = &condition };
		spawn(&group, wait_for_notify, &waiters[i], &waiters[i].handle);
		anyio_wait_all_tasks_blocked();
	}
	CHECK_RC(anyio_condition_statistics(&condition).waiting, 2);
	CHECK_RC(anyio_lock_acquire(&lock), 0);
	CHECK_RC(anyio_condition_notify(&condition, 1), 0);
	anyio_task_handle_cancel(&waiters[0].handle, "test");
	CHECK_RC(anyio_lock_release(&lock), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(waiters[0].rc, ANYIO_CANCELLED);
	CHECK_RC(waiters[1].rc, 0);
	return 0;
}

static int condition_notifies_all(void *arg)
{
	struct anyio_lock lock;
	struct anyio_condition condition;
	struct waiter waiters[3];
	struct anyio_task_group group;

	anyio_lock_init(&lock);
	anyio_condition_init(&condition, &lock);
	anyio_task_group_enter(&group);
	for (int i = 0; i < 3; i++) {
		waiters[i] = (struct waiter){ .lock = &lock, .condition = &condition };
		spawn(&group, wait_for_notify, &waiters[i], NULL);
	}
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_lock_acquire(&lock), 0);
	CHECK_RC(anyio_condition_notify_all(&condition), 0);
	CHECK_RC(anyio_condition_statistics(&condition).waiting, 0);
	CHECK_RC(anyio_lock_release(&lock), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return 0;
}

static int c38_waiting_without_the_lock_is_an_error(void *arg)
{
	struct anyio_lock lock;
	struct anyio_condition condition;

	anyio_lock_init(&lock);
	anyio_condition_init(&condition, &lock);
	CHECK_RC(anyio_condition_wait(&condition), ANYIO_NOT_OWNER);
	CHECK_RC(anyio_condition_notify(&condition, 1), ANYIO_NOT_OWNER);
	CHECK_RC(anyio_condition_notify_all(&condition), ANYIO_NOT_OWNER);
	CHECK_RC(anyio_lock_release(&lock), ANYIO_NOT_OWNER);
	return 0;
}

static int c39_releasing_above_the_maximum_is_an_error(void *arg)
{
	struct anyio_semaphore semaphore;

	anyio_semaphore_init(&semaphore, 1, 2);
	CHECK_RC(anyio_semaphore_release(&semaphore), 0);
	CHECK_RC(anyio_semaphore_release(&semaphore), -EOVERFLOW);
	CHECK_RC(anyio_semaphore_value(&semaphore), 2);
	CHECK_RC(anyio_semaphore_acquire(&semaphore), 0);
	CHECK_RC(anyio_semaphore_acquire_nowait(&semaphore), 0);
	CHECK_RC(anyio_semaphore_acquire_nowait(&semaphore), ANYIO_WOULD_BLOCK);
	return 0;
}

struct taker {
	struct anyio_semaphore *semaphore;
	struct anyio_task_handle handle;
	int rc;
};

static int take_semaphore(void *arg)
{
	struct taker *taker = arg;

	taker->rc = anyio_semaphore_acquire(taker->semaphore);
	return taker->rc;
}

static int semaphore_cancel_after_handoff(void *arg)
{
	struct anyio_semaphore semaphore;
	struct taker first = { .semaphore = &semaphore }, second = first;
	struct anyio_task_group group;

	anyio_semaphore_init(&semaphore, 0, 0);
	anyio_task_group_enter(&group);
	spawn(&group, take_semaphore, &first, &first.handle);
	anyio_wait_all_tasks_blocked();
	spawn(&group, take_semaphore, &second, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_semaphore_release(&semaphore), 0);
	anyio_task_handle_cancel(&first.handle, "test");
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(first.rc, ANYIO_CANCELLED);
	CHECK_RC(second.rc, 0);
	CHECK_RC(anyio_semaphore_value(&semaphore), 0);
	return 0;
}

struct borrowers {
	struct anyio_limiter limiter;
	int inside, most, next;
};

struct borrower {
	struct borrowers *all;
	int place;
};

static int borrow_once(void *arg)
{
	struct borrower *self = arg;
	struct borrowers *all = self->all;

	CHECK_RC(anyio_limiter_acquire(&all->limiter), 0);
	CHECK_RC(self->place, all->next++);
	CHECK_RC(anyio_limiter_acquire(&all->limiter), ANYIO_BUSY);
	if (++all->inside > all->most)
		all->most = all->inside;
	anyio_sleep(ANYIO_MILLISECOND);
	all->inside--;
	return anyio_limiter_release(&all->limiter);
}

static int c40_limiter_is_fifo_and_never_oversubscribed(void *arg)
{
	struct borrowers all = { .inside = 0 };
	struct borrower borrowers[24];
	struct anyio_limiter_statistics stat;
	struct anyio_task_group group;

	anyio_limiter_init(&all.limiter, 0);
	anyio_task_group_enter(&group);
	for (int i = 0; i < 24; i++) {
		borrowers[i] = (struct borrower){ &all, i };
		spawn(&group, borrow_once, &borrowers[i], NULL);
		anyio_wait_all_tasks_blocked();
	}
	stat = anyio_limiter_statistics(&all.limiter);
	CHECK_RC(stat.waiting, 24);
	CHECK_RC(stat.borrowed, 0);
	anyio_limiter_set_total(&all.limiter, 3);
	stat = anyio_limiter_statistics(&all.limiter);
	CHECK_RC(stat.waiting, 21);
	CHECK_RC(stat.borrowed, 3);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(all.most, 3);
	CHECK_RC(all.next, 24);
	stat = anyio_limiter_statistics(&all.limiter);
	CHECK_RC(stat.borrowed, 0);
	anyio_limiter_destroy(&all.limiter);
	return 0;
}

static int c41_non_waiting_acquire_cannot_jump_the_queue(void *arg)
{
	struct borrowers all = { .inside = 0 };
	struct borrower waiting = { &all, 0 };
	struct anyio_task_group group;
	int one, two;

	anyio_limiter_init(&all.limiter, 1);
	CHECK_RC(anyio_limiter_acquire_for(&all.limiter, &one), 0);
	anyio_task_group_enter(&group);
	spawn(&group, borrow_once, &waiting, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_limiter_acquire_nowait_for(&all.limiter, &one), ANYIO_BUSY);
	CHECK_RC(anyio_limiter_release_for(&all.limiter, &two), ANYIO_NOT_OWNER);
	CHECK_RC(anyio_limiter_release_for(&all.limiter, &one), 0);
	/* Free, but not ours: it was handed to the one who waited. */
	CHECK_RC(anyio_limiter_acquire_nowait_for(&all.limiter, &two), ANYIO_WOULD_BLOCK);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(anyio_limiter_acquire_nowait_for(&all.limiter, &two), 0);
	CHECK_RC(anyio_limiter_release_for(&all.limiter, &two), 0);
	anyio_limiter_destroy(&all.limiter);
	return 0;
}

static int limiter_counts_every_borrower(void *arg)
{
	static char keys[500];
	bool held[500] = { false };
	struct anyio_limiter limiter;
	struct anyio_limiter_statistics stat;
	size_t borrowed = 0;
	uint32_t random = 1;

	anyio_limiter_init(&limiter, 300);
	for (int i = 0; i < 20000; i++) {
		size_t k = (random = random * 1664525 + 1013904223) % 500;
		int rc;

		if (held[k]) {
			CHECK_RC(anyio_limiter_acquire_nowait_for(&limiter, &keys[k]), ANYIO_BUSY);
			CHECK_RC(anyio_limiter_release_for(&limiter, &keys[k]), 0);
			held[k] = false;
			borrowed--;
			continue;
		}
		CHECK_RC(anyio_limiter_release_for(&limiter, &keys[k]), ANYIO_NOT_OWNER);
		rc = anyio_limiter_acquire_nowait_for(&limiter, &keys[k]);
		CHECK_RC(rc, borrowed < 300 ? 0 : ANYIO_WOULD_BLOCK);
		held[k] = rc == 0;
		borrowed += rc == 0;
	}
	stat = anyio_limiter_statistics(&limiter);
	CHECK_RC(stat.borrowed, borrowed);
	CHECK_RC(anyio_limiter_acquire_nowait_for(&limiter, NULL), -EINVAL);
	anyio_limiter_destroy(&limiter);
	return 0;
}

static int die_with_lock(void *arg)
{
	return anyio_lock_acquire(arg);
}

static int c42_r13_an_owner_dying_breaks_its_waiters(void *arg)
{
	struct anyio_lock lock;
	struct locker waiting = { .lock = &lock };
	struct anyio_task_group group;

	anyio_lock_init(&lock);
	CHECK_RC(anyio_lock_acquire(&lock), 0);
	anyio_task_group_enter(&group);
	spawn(&group, die_with_lock, &lock, NULL);
	anyio_wait_all_tasks_blocked();
	spawn(&group, lock_once, &waiting, NULL);
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_lock_release(&lock), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(waiting.rc, ANYIO_BROKEN);
	CHECK_RC(anyio_lock_acquire(&lock), ANYIO_BROKEN);
	CHECK_RC(anyio_lock_acquire_nowait(&lock), ANYIO_BROKEN);
	return 0;
}

struct listener {
	struct anyio_event *event;
	struct anyio_task_handle handle;
	int rc;
};

static int wait_event(void *arg)
{
	struct listener *self = arg;

	self->rc = anyio_event_wait(self->event);
	return self->rc;
}

static int event_wakes_all_and_stays_set(void *arg)
{
	struct anyio_event event;
	struct listener listeners[3];
	struct anyio_task_group group;

	anyio_event_init(&event);
	anyio_task_group_enter(&group);
	for (int i = 0; i < 3; i++) {
		listeners[i] = (struct listener){ .event = &event };
		spawn(&group, wait_event, &listeners[i], &listeners[i].handle);
	}
	anyio_wait_all_tasks_blocked();
	CHECK_RC(anyio_event_statistics(&event).waiting, 3);
	anyio_task_handle_cancel(&listeners[1].handle, "test");
	CHECK_RC(anyio_event_statistics(&event).waiting, 2);
	CHECK(!anyio_event_is_set(&event));
	anyio_event_set(&event);
	anyio_event_set(&event);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(listeners[0].rc, 0);
	CHECK_RC(listeners[1].rc, ANYIO_CANCELLED);
	CHECK_RC(listeners[2].rc, 0);
	CHECK_RC(anyio_event_wait(&event), 0);
	return 0;
}

static int everything_cancelled(void *arg)
{
	struct anyio_event event;
	struct anyio_lock lock;
	struct anyio_semaphore semaphore;
	struct anyio_limiter limiter;

	anyio_event_init(&event);
	anyio_event_set(&event);
	anyio_lock_init(&lock);
	anyio_semaphore_init(&semaphore, 1, 1);
	anyio_limiter_init(&limiter, 1);
	for (int i = 0; i < 2; i++) {
		CHECK_RC(anyio_event_wait(&event), ANYIO_CANCELLED);
		CHECK_RC(anyio_lock_acquire(&lock), ANYIO_CANCELLED);
		CHECK_RC(anyio_semaphore_acquire(&semaphore), ANYIO_CANCELLED);
		CHECK_RC(anyio_limiter_acquire(&limiter), ANYIO_CANCELLED);
	}
	CHECK(!anyio_lock_locked(&lock));
	CHECK_RC(anyio_semaphore_value(&semaphore), 1);
	return ANYIO_CANCELLED;
}

static int every_wait_is_a_cancellation_point(void *arg)
{
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_cancel(&scope, "test");
	CHECK_RC(anyio_cancel_scope_run(&scope, everything_cancelled, NULL), 0);
	return 0;
}

static int guard_admits_one(void *arg)
{
	struct anyio_guard guard = { { 0 } };

	CHECK(!anyio_guard_entered(&guard));
	CHECK_RC(anyio_guard_enter(&guard), 0);
	CHECK(anyio_guard_entered(&guard));
	CHECK_RC(anyio_guard_enter(&guard), ANYIO_BUSY);
	anyio_guard_leave(&guard);
	CHECK_RC(anyio_guard_enter(&guard), 0);
	return 0;
}

static int take_limiter(void *arg)
{
	struct anyio_limiter *limiter = arg;
	int rc = anyio_limiter_acquire(limiter);

	CHECK_RC(rc, 0);
	return anyio_limiter_release(limiter);
}

/* A total below what is borrowed takes nothing away, and gives nothing before enough came back. */
static int c40b_limiter_is_resized_while_borrowed_and_waited_for(void *arg)
{
	static const char keys[3];
	struct anyio_limiter limiter;
	struct anyio_limiter_statistics stat;
	struct anyio_task_group group;

	anyio_limiter_init(&limiter, 3);
	for (int i = 0; i < 3; i++)
		CHECK_RC(anyio_limiter_acquire_for(&limiter, &keys[i]), 0);
	anyio_task_group_enter(&group);
	spawn(&group, take_limiter, &limiter, NULL);
	anyio_wait_all_tasks_blocked();
	anyio_limiter_set_total(&limiter, 1);
	for (int i = 0; i < 2; i++) {
		CHECK_RC(anyio_limiter_release_for(&limiter, &keys[i]), 0);
		stat = anyio_limiter_statistics(&limiter);
		CHECK_RC((int64_t)stat.total, 1);
		CHECK_RC((int64_t)stat.borrowed, 2 - i);
		CHECK_RC((int64_t)stat.waiting, 1);
	}
	anyio_limiter_set_total(&limiter, 2);
	stat = anyio_limiter_statistics(&limiter);
	CHECK_RC((int64_t)stat.borrowed, 2);
	CHECK_RC((int64_t)stat.waiting, 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(anyio_limiter_release_for(&limiter, &keys[2]), 0);
	anyio_limiter_destroy(&limiter);
	return 0;
}

static int outside_a_task_nothing_is_taken(void *arg)
{
	struct anyio_lock lock;
	struct anyio_condition condition;
	struct anyio_event event;
	struct anyio_limiter limiter;

	anyio_lock_init(&lock);
	anyio_condition_init(&condition, &lock);
	anyio_event_init(&event);
	anyio_limiter_init(&limiter, 1);
	CHECK_RC(anyio_lock_acquire_nowait(&lock), ANYIO_NO_LOOP);
	CHECK_RC(anyio_lock_acquire(&lock), ANYIO_NO_LOOP);
	CHECK_RC(anyio_lock_release(&lock), ANYIO_NOT_OWNER);
	CHECK_RC(anyio_condition_wait(&condition), ANYIO_NOT_OWNER);
	CHECK_RC(anyio_condition_notify_all(&condition), ANYIO_NOT_OWNER);
	CHECK_RC(anyio_limiter_acquire_nowait(&limiter), ANYIO_NO_LOOP);
	CHECK_RC(anyio_limiter_acquire(&limiter), ANYIO_NO_LOOP);
	CHECK_RC(anyio_event_wait(&event), ANYIO_NO_LOOP);
	anyio_event_set(&event);
	CHECK_RC(anyio_event_wait(&event), ANYIO_NO_LOOP);
	anyio_limiter_destroy(&limiter);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(r13_locks_are_handed_on_first_in_first_out, CONFORM_MOCK),
		CONFORM(c35_cancelled_lock_waiter_is_skipped, CONFORM_MOCK),
		CONFORM(c36_r13_cancel_after_handoff_releases_to_the_next, CONFORM_MOCK),
		CONFORM(c37_cancelled_condition_waiter_passes_its_notify_on, CONFORM_MOCK),
		CONFORM(condition_notifies_all, CONFORM_MOCK),
		CONFORM(c38_waiting_without_the_lock_is_an_error, CONFORM_MOCK),
		CONFORM(c39_releasing_above_the_maximum_is_an_error, CONFORM_MOCK),
		CONFORM(semaphore_cancel_after_handoff, CONFORM_MOCK),
		CONFORM(c40_limiter_is_fifo_and_never_oversubscribed,
			CONFORM_MOCK | CONFORM_ORDERED),
		CONFORM(c41_non_waiting_acquire_cannot_jump_the_queue, CONFORM_MOCK),
		CONFORM(limiter_counts_every_borrower, CONFORM_MOCK),
		CONFORM(c42_r13_an_owner_dying_breaks_its_waiters, CONFORM_MOCK),
		CONFORM(event_wakes_all_and_stays_set, CONFORM_MOCK),
		CONFORM(every_wait_is_a_cancellation_point, CONFORM_MOCK),
		CONFORM(outside_a_task_nothing_is_taken, CONFORM_BARE),
		CONFORM(guard_admits_one, CONFORM_MOCK),
		CONFORM(c40b_limiter_is_resized_while_borrowed_and_waited_for, CONFORM_MOCK),
	};
	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
