/*
 * Waiting on descriptors that are somebody else's. The waits of a loop are in a table by descriptor, so
 * that anyio_notify_closing finds those of one, and a second wait its first.
 *
 * A few need no memory; more of them make it grow, and where there is none the chains get longer.
 */
#include <poll.h>
#include "../sync/use.h"
#include "net.h"

enum { FEW = 8 };

struct wait {
	struct wait *next, **at; /* at: what points here */
	int fd, events;
	bool closing;
	struct anyio_use use;
};

/* Of the loop on this thread; empty, and without memory, whenever it has ended. */
static _Thread_local struct {
	struct wait *few[FEW];
	struct wait **grown; /* NULL: few serves */
	size_t room;         /* of grown: a power of two */
	size_t count;
} waits;

static struct wait **chain_of(int fd)
{
	if (waits.grown == NULL)
		return &waits.few[(unsigned)fd % FEW];
	return &waits.grown[(unsigned)fd & (waits.room - 1)];
}

static struct wait *wait_find(int fd, int events)
{
	struct wait *wait = *chain_of(fd);

	while (wait != NULL && (wait->fd != fd || wait->events != events || wait->closing))
		wait = wait->next;
	return wait;
}

static void chain_push(struct wait **chain, struct wait *wait)
{
	wait->next = *chain;
	wait->at = chain;
	if (*chain != NULL)
		(*chain)->at = &wait->next;
	*chain = wait;
}

static void chain_remove(struct wait *wait)
{
	*wait->at = wait->next;
	if (wait->next != NULL)
		wait->next->at = wait->at;
}

static void waits_grow(void)
{
	size_t before = waits.grown == NULL ? FEW : waits.room;
	struct wait **old = waits.grown == NULL ? waits.few : waits.grown;
	struct wait **grown = anyio_calloc(2 * before, sizeof(*grown)), *wait;

	if (grown == NULL)
		return;
	waits.room = 2 * before;
	waits.grown = grown;
	for (size_t i = 0; i < before; i++)
		while ((wait = old[i]) != NULL) {
			chain_remove(wait);
			chain_push(chain_of(wait->fd), wait);
		}
	if (old != waits.few)
		anyio_free(old);
}

static void wait_link(struct wait *wait)
{
	if (waits.count >= (waits.grown == NULL ? FEW : waits.room))
		waits_grow();
	chain_push(chain_of(wait->fd), wait);
	waits.count++;
}

static void wait_unlink(struct wait *wait)
{
	chain_remove(wait);
	if (--waits.count > 0)
		return;
	anyio_free(waits.grown);
	waits.grown = NULL;
}

static int wait_for(int fd, int events)
{
	struct anyio_op op = { .code = ANYIO_OP_POLL, .fd = fd, .flags = events };
	struct wait wait = { .fd = fd, .events = events };
	int64_t rc;

	if (wait_find(fd, events) != NULL)
		return ANYIO_BUSY;
	wait_link(&wait);
	anyio_use_begin(&wait.use);
	rc = anyio_op_run(&op);
	anyio_use_end(&wait.use);
	wait_unlink(&wait);
	/* Though it became ready before the cancel came through: its number may be another's by now. */
	if (wait.closing && (rc >= 0 || rc == ANYIO_CANCELLED))
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
	for (struct wait *wait = *chain_of(fd); wait != NULL; wait = wait->next) {
		if (wait->fd != fd)
			continue;
		wait->closing = true;
		anyio_use_interrupt(&wait->use);
	}
}
