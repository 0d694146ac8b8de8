/*
 * One task's use of one direction of a resource that another task may close.
 *
 * The use holds a cancel scope around whatever the task waits for. Closing cancels that scope, the
 * operation in flight ends the way every cancelled operation does, and the task comes back and
 * finds the resource closed. So closing needs no path of its own into the backends. A resource
 * gives its descriptor back only when no use is left.
 */
#ifndef ANYIO_SYNC_USE_H
#define ANYIO_SYNC_USE_H

#include "../core/core.h"

struct anyio_use {
	struct anyio_cancel_scope *scope; /* on the user's stack; NULL: not in use */
};

/* ANYIO_BUSY when another task is at it. */
static inline int anyio_use_begin(struct anyio_use *use, struct anyio_cancel_scope *scope)
{
	if (use->scope != NULL)
		return ANYIO_BUSY;
	anyio_cancel_scope_init(scope);
	anyio_cancel_scope_enter(scope);
	use->scope = scope;
	return 0;
}

static inline void anyio_use_end(struct anyio_use *use)
{
	struct anyio_cancel_scope *scope = use->scope;

	use->scope = NULL;
	anyio_cancel_scope_exit(scope, 0);
}

static inline void anyio_use_interrupt(struct anyio_use *use)
{
	if (use->scope != NULL)
		anyio_cancel_scope_cancel(use->scope, "closed");
}

#endif
