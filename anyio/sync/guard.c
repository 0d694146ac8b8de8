#include <anyio/sync.h>
#include "../core/core.h"

int anyio_guard_enter(struct anyio_guard *guard)
{
	if (guard->opaque[0] != 0)
		return ANYIO_BUSY;
	guard->opaque[0] = 1;
	return 0;
}

void anyio_guard_leave(struct anyio_guard *guard)
{
	guard->opaque[0] = 0;
}

bool anyio_guard_entered(const struct anyio_guard *guard)
{
	return guard->opaque[0] != 0;
}
