/* Tasks: switching between two, starting and joining, and what one costs that waits. */
#include <inttypes.h>
#include <string.h>
#include "runtime.h"

enum { SWITCHES = 4000000, SPAWNED = 500000 };

static int yield_often(void *arg)
{
	for (int i = 0; i < SWITCHES / 2; i++)
		anyio_cancel_shielded_checkpoint();
	return 0;
}

int switches(void *arg)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, yield_often, NULL, "one");
	anyio_start_soon(&group, yield_often, NULL, "two");
	double began = used();
	int rc = anyio_task_group_exit(&group, 0);

	printf("%.2f\n", (used() - began) / SWITCHES);
	return rc;
}

static int end_at_once(void *arg)
{
	return 0;
}

static int spawn_group(int count)
{
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < count; i++)
		anyio_start_soon(&group, end_at_once, NULL, "child");
	return anyio_task_group_exit(&group, 0);
}

int spawns(void *arg)
{
	int count = (int)argument(0), rounds = SPAWNED / count, rc = spawn_group(count);
	double began = used();

	for (int i = 0; i < rounds && rc == 0; i++)
		rc = spawn_group(count);
	printf("%.2f\n", (used() - began) / rounds / count);
	return rc;
}

/* KiB of memory of our own, and of the page tables that map it. */
static long memory_used(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	long anonymous = 0, tables = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		sscanf(line, "RssAnon: %ld", &anonymous);
		sscanf(line, "VmPTE: %ld", &tables);
	}
	if (file)
		fclose(file);
	return anonymous + tables;
}

static int wait_for_ever(void *arg)
{
	return anyio_sleep_forever();
}

int parked(void *arg)
{
	ANYIO_TASK_GROUP(group);
	long count = (long)argument(0), before = memory_used(), made = 0;

	while (made < count && anyio_try_start_soon(&group, wait_for_ever, NULL, "parked") == 0)
		made++;
	anyio_checkpoint();
	printf("%.0f %zu\n", 1024.0 * (double)(memory_used() - before) / (double)made,
		anyio_task_count());
	anyio_task_group_cancel(&group, "measured");
	return anyio_task_group_exit(&group, 0);
}
