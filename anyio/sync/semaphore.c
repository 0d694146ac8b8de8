#include <errno.h>
#include <anyio/sync.h>
#include "wait.h"

/* While somebody waits the value is 0: a release goes to the first waiter, not to the value. */
struct semaphore {
	uint64_t value, maximum;
	struct anyio_wait_queue waiting;
};
_Static_assert(sizeof(struct semaphore) <= sizeof(struct anyio_semaphore),
	"semaphore outgrew its storage");

void anyio_semaphore_init(struct anyio_semaphore *semaphore, uint64_t value, uint64_t maximum)
{
	*(struct semaphore *)semaphore = (struct semaphore){
		.value = value,
		.maximum = maximum == 0 ? UINT64_MAX : maximum,
	};
}

int anyio_semaphore_acquire_nowait(struct anyio_semaphore *semaphore)
{
	struct semaphore *self = (struct semaphore *)semaphore;

	if (self->value == 0)
		return ANYIO_WOULD_BLOCK;
	self->value--;
	return 0;
}

int anyio_semaphore_acquire(struct anyio_semaphore *semaphore)
{
	struct semaphore *self = (struct semaphore *)semaphore;
	struct anyio_waiter waiter;
	int rc = anyio_checkpoint_if_cancelled();

	if (rc < 0)
		return rc;
	if (anyio_semaphore_acquire_nowait(semaphore) == 0) {
		anyio_pass();
		return 0;
	}
	anyio_waits_for("a semaphore");
	rc = anyio_wait(&self->waiting, &waiter);
	if (rc == 0 && anyio_cancel_pending()) {
		anyio_semaphore_release(semaphore);
		rc = ANYIO_CANCELLED;
	}
	return rc;
}

int anyio_semaphore_release(struct anyio_semaphore *semaphore)
{
	struct semaphore *self = (struct semaphore *)semaphore;

	if (self->waiting.first != NULL) {
		anyio_wait_wake(self->waiting.first, 0);
		return 0;
	}
	if (self->value >= self->maximum)
		return -EOVERFLOW;
	self->value++;
	return 0;
}

uint64_t anyio_semaphore_value(const struct anyio_semaphore *semaphore)
{
	return ((const struct semaphore *)semaphore)->value;
}

struct anyio_semaphore_statistics anyio_semaphore_statistics(
	const struct anyio_semaphore *semaphore)
{
	const struct semaphore *self = (const struct semaphore *)semaphore;

	return (struct anyio_semaphore_statistics){
		.value = self->value,
		.maximum = self->maximum == UINT64_MAX ? 0 : self->maximum,
		.waiting = self->waiting.count,
	};
}
