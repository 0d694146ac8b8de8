/* What cancelling costs: a timeout that is over, and a task cancelled with its group. */
#include "runtime.h"

enum { TIMEOUTS = 1000000, CANCELLED = 500000 };

static int wait_for_ever(void *arg)
{
	return anyio_sleep_forever();
}

int timeouts(void *arg)
{
	double began = used();
	int rc = 0;

	for (int i = 0; i < TIMEOUTS && rc == 0; i++)
		rc = anyio_move_on_after(0, wait_for_ever, NULL);
	printf("%.2f\n", (used() - began) / TIMEOUTS);
	return rc;
}

static int cancel_group(int count)
{
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < count; i++)
		anyio_start_soon(&group, wait_for_ever, NULL, "child");
	anyio_checkpoint();
	anyio_task_group_cancel(&group, "enough");
	return anyio_task_group_exit(&group, 0);
}

int cancels(void *arg)
{
	int count = (int)argument(0), rounds = CANCELLED / count, rc = cancel_group(count);
	double began = used();

	for (int i = 0; i < rounds && rc == 0; i++)
		rc = cancel_group(count);
	printf("%.2f\n", (used() - began) / rounds / count);
	return rc;
}
