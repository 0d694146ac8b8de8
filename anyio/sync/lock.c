#include "lock.h"

void anyio_lock_init(struct anyio_lock *lock)
{
	*(struct lock *)lock = (struct lock){ .owner = NULL };
}

static void lock_give(struct lock *lock, struct anyio_task *owner)
{
	lock->owner = owner;
	anyio_list_append(anyio_task_locks(owner), &lock->held);
}

static void lock_hand_on(struct lock *lock)
{
	struct anyio_waiter *next = lock->waiting.first;

	anyio_list_remove(&lock->held);
	lock->owner = NULL;
	if (next == NULL)
		return;
	lock_give(lock, next->task);
	anyio_wait_wake(next, 0);
}

static int lock_try(struct lock *lock)
{
	struct anyio_task *task = anyio_current_task();

	if (task == NULL)
		return ANYIO_NO_LOOP;
	if (lock->broken)
		return ANYIO_BROKEN;
	if (lock->owner == task)
		return ANYIO_BUSY;
	if (lock->owner != NULL)
		return ANYIO_WOULD_BLOCK;
	lock_give(lock, task);
	return 0;
}

int anyio_lock_acquire_nowait(struct anyio_lock *lock)
{
	return lock_try((struct lock *)lock);
}

int anyio_lock_acquire(struct anyio_lock *lock)
{
	struct lock *self = (struct lock *)lock;
	struct anyio_waiter waiter;
	int rc = anyio_checkpoint_if_cancelled();

	if (rc < 0)
		return rc;
	rc = lock_try(self);
	if (rc != ANYIO_WOULD_BLOCK) {
		anyio_pass();
		return rc;
	}
	anyio_waits_for("a lock");
	rc = anyio_wait(&self->waiting, &waiter);
	if (rc == 0 && anyio_cancel_pending()) {
		/* Cancelled between the handoff and now: the next in line gets it. */
		lock_hand_on(self);
		rc = ANYIO_CANCELLED;
	}
	return rc;
}

int anyio_lock_retake(struct lock *lock)
{
	struct anyio_waiter waiter;
	int rc = lock_try(lock);

	if (rc != ANYIO_WOULD_BLOCK)
		return rc;
	anyio_waits_for("a lock");
	return anyio_wait_shielded(&lock->waiting, &waiter);
}

int anyio_lock_release(struct anyio_lock *lock)
{
	struct lock *self = (struct lock *)lock;

	if (self->owner == NULL || self->owner != anyio_current_task())
		return ANYIO_NOT_OWNER;
	lock_hand_on(self);
	return 0;
}

bool anyio_lock_locked(const struct anyio_lock *lock)
{
	return ((const struct lock *)lock)->owner != NULL;
}

struct anyio_lock_statistics anyio_lock_statistics(const struct anyio_lock *lock)
{
	const struct lock *self = (const struct lock *)lock;

	return (struct anyio_lock_statistics){
		.locked = self->owner != NULL,
		.owner = self->owner,
		.waiting = self->waiting.count,
	};
}

void anyio_locks_break(struct anyio_list *locks)
{
	while (!anyio_list_empty(locks)) {
		struct lock *lock = anyio_container(locks->next, struct lock, held);

		if (lock->owner != anyio_current_task())
			anyio_die(__FILE__, __LINE__,
				"task \"%s\" ended with a lock whose storage is gone, or was made anew",
				anyio_task_name(anyio_current_task()));
		anyio_list_remove(&lock->held);
		lock->owner = NULL;
		lock->broken = true;
		anyio_wait_wake_all(&lock->waiting, ANYIO_BROKEN);
	}
}
