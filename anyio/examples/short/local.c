/*
 * What would else be an argument of every function: the request that a task and its children serve; and
 * what would else be a global: a cache of this run of the loop.
 */
#include <anyio/local.h>
#include <anyio/task.h>
#include <anyio/memory.h>
#include <errno.h>
#include <stdio.h>

static const struct anyio_task_local request = { .initial = "no request" };
static const struct anyio_run_local hits = { .destroy = anyio_free };

static int look_up(void *key)
{
	++*(int *)anyio_run_local_get(&hits);
	printf("%s: looks up %s\n", (char *)anyio_task_local_get(&request), (char *)key);
	return 0;
}

static int serve(void *name)
{
	int rc = anyio_task_local_set(&request, name, NULL);

	if (rc < 0)
		return rc;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, look_up, "a name", "look_up"); /* inherits the request */
	return anyio_task_group_exit(&group, 0);
}

static int body(void *arg)
{
	int *count = anyio_calloc(1, sizeof *count);
	int rc = count ? anyio_run_local_set(&hits, count, NULL) : -ENOMEM;

	if (rc < 0) {
		anyio_free(count);
		return rc;
	}
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, serve, "request 1", "serve");
	anyio_start_soon(&group, serve, "request 2", "serve");
	rc = anyio_task_group_exit(&group, 0);
	printf("%s here, %d look-ups in all\n", (char *)anyio_task_local_get(&request), *count);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "local: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * request 1: looks up a name
 * request 2: looks up a name
 * no request here, 2 look-ups in all
 */
