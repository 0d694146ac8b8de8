/* Waiting until all is quiet. */
#include "../core/core.h"

int anyio_wait_all_tasks_blocked(void)
{
	return anyio_wait_idle();
}
