/*
 * Waiting on descriptors that are somebody else's. The waits of a loop are in one list, so that
 * anyio_notify_closing finds those of a descriptor.
 */
#include <poll.h>
#include "../sync/use.h"
#include "net.h"

struct wait {
	struct wait *next;
	int fd, events;
	bool closing;
	struct anyio_use use;
};

/* Of the loop on this thread; empty whenever it has ended. */
static _Thread_local struct wait *waits;

static bool wait_exists(int fd, int events)
{
	for (const struct wait *wait = waits; wait != NULL; wait = wait->next)
		if (wait->fd == fd && wait->events == events && !wait->closing)
			return true;
	return false;
}

static void wait_unlink(struct wait *wait)
{
	struct wait **at = &waits;

	while (*at != wait)
		at = &(*at)->next;
	*at = wait->next;
}

static int wait_for(int fd, int events)
{
	struct anyio_op op = { .code = ANYIO_OP_POLL, .fd = fd, .flags = events };
	struct wait wait = { .next = waits, .fd = fd, .events = events };
	int64_t rc;

	if (wait_exists(fd, events))
		return ANYIO_BUSY;
	waits = &wait;
	anyio_use_begin(&wait.use);
	rc = anyio_op_run(&op);
	anyio_use_end(&wait.use);
	wait_unlink(&wait);
	if (rc == ANYIO_CANCELLED && wait.closing)
		return ANYIO_CLOSED;
	return rc < 0 ? (int)rc : 0;
}

int anyio_wait_readable(int fd)
{
	return wait_for(fd, POLLIN);
}

int anyio_wait_writable(int fd)
{
	return wait_for(fd, POLLOUT);
}

void anyio_notify_closing(int fd)
{
	for (struct wait *wait = waits; wait != NULL; wait = wait->next) {
		if (wait->fd != fd)
			continue;
		wait->closing = true;
		anyio_use_interrupt(&wait->use);
	}
}
