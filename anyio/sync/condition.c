#include "lock.h"

struct condition {
	struct lock *lock;
	struct anyio_wait_queue waiting;
};
_Static_assert(sizeof(struct condition) <= sizeof(struct anyio_condition),
	"condition outgrew its storage");

static bool lock_is_mine(const struct lock *lock)
{
	return lock->owner != NULL && lock->owner == anyio_current_task();
}

void anyio_condition_init(struct anyio_condition *condition, struct anyio_lock *lock)
{
	*(struct condition *)condition = (struct condition){ .lock = (struct lock *)lock };
}

int anyio_condition_wait(struct anyio_condition *condition)
{
	struct condition *self = (struct condition *)condition;
	struct anyio_waiter waiter;
	int retaken, rc;

	if (!lock_is_mine(self->lock))
		return ANYIO_NOT_OWNER;
	rc = anyio_checkpoint_if_cancelled();
	if (rc < 0)
		return rc;
	anyio_lock_release((struct anyio_lock *)self->lock);
	anyio_waits_for("a condition");
	rc = anyio_wait(&self->waiting, &waiter);
	retaken = anyio_lock_retake(self->lock);
	if (rc == 0 && anyio_cancel_pending()) {
		/* Notified but not able to act on it: somebody else shall. */
		if (self->waiting.first != NULL)
			anyio_wait_wake(self->waiting.first, 0);
		rc = ANYIO_CANCELLED;
	}
	return retaken < 0 ? retaken : rc;
}

int anyio_condition_notify(struct anyio_condition *condition, size_t count)
{
	struct condition *self = (struct condition *)condition;

	if (!lock_is_mine(self->lock))
		return ANYIO_NOT_OWNER;
	for (; count > 0 && self->waiting.first != NULL; count--)
		anyio_wait_wake(self->waiting.first, 0);
	return 0;
}

int anyio_condition_notify_all(struct anyio_condition *condition)
{
	return anyio_condition_notify(condition, SIZE_MAX);
}

struct anyio_condition_statistics anyio_condition_statistics(
	const struct anyio_condition *condition)
{
	const struct condition *self = (const struct condition *)condition;

	return (struct anyio_condition_statistics){
		.waiting = self->waiting.count,
		.lock = anyio_lock_statistics((const struct anyio_lock *)self->lock),
	};
}
