/*
 * An event happens once, and whoever waits for it goes on; who comes later does not wait.
 */
#include <anyio/sync.h>
#include <stdio.h>

static struct anyio_event open_doors;

static int visit(void *name)
{
	int rc = anyio_event_wait(&open_doors);

	if (rc == 0)
		printf("%s comes in\n", (char *)name);
	return rc;
}

static int body(void *arg)
{
	anyio_event_init(&open_doors);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, visit, "Anna", "Anna");
	anyio_start_soon(&group, visit, "Bert", "Bert");
	int rc = anyio_checkpoint(); /* the two run, and wait */
	printf("%zu wait\n", anyio_event_statistics(&open_doors).waiting);
	anyio_event_set(&open_doors);
	anyio_start_soon(&group, visit, "Carl", "Carl");
	return anyio_task_group_exit(&group, rc);
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "sync_event: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * 2 wait
 * Anna comes in
 * Bert comes in
 * Carl comes in
 */
