#include "event.h"

void anyio_event_init(struct anyio_event *event)
{
	*(struct event *)event = (struct event){ .set = false };
}

void anyio_event_set(struct anyio_event *event)
{
	struct event *self = (struct event *)event;

	self->set = true;
	anyio_wait_wake_all(&self->waiting, 0);
}

bool anyio_event_is_set(const struct anyio_event *event)
{
	return ((const struct event *)event)->set;
}

int anyio_event_wait(struct anyio_event *event)
{
	struct event *self = (struct event *)event;
	struct anyio_waiter waiter;
	int rc;

	if (anyio_current_task() == NULL)
		return ANYIO_NO_LOOP;
	if (!self->set) {
		anyio_waits_for("an event");
		return anyio_wait(&self->waiting, &waiter);
	}
	rc = anyio_checkpoint_if_cancelled();
	if (rc == 0)
		anyio_pass();
	return rc;
}

struct anyio_event_statistics anyio_event_statistics(const struct anyio_event *event)
{
	return (struct anyio_event_statistics){ ((const struct event *)event)->waiting.count };
}
