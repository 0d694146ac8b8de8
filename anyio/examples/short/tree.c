/*
 * Looking in: which tasks there are, what each waits for, and all of it as a tree; on SIGQUIT a
 * program writes that tree by itself.
 */
#include <anyio/tree.h>
#include <stdio.h>

static int sleeper(void *arg)
{
	return anyio_sleep_forever();
}

static int outer(void *arg)
{
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, sleeper, NULL, "inner");
	return anyio_task_group_exit(&group, 0);
}

static int body(void *arg)
{
	struct anyio_task_info infos[8];

	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, outer, NULL, "outer");
	int rc = anyio_checkpoint(); /* outer runs, and starts inner */
	if (rc == 0)
		rc = anyio_checkpoint();
	size_t count = anyio_task_list(infos, 8);
	for (size_t i = 0; i < count && i < 8; i++)
		printf("%s, a child of %d: %s\n", infos[i].name, (int)infos[i].parent,
			infos[i].waits_for ? infos[i].waits_for : "runs");
	if (rc == 0)
		rc = anyio_task_tree_print(stdout);
	anyio_task_group_cancel(&group, "looked enough");
	return anyio_task_group_exit(&group, rc);
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "tree: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * root, a child of 0: runs
 * outer, a child of 1: its children
 * inner, a child of 2: sleep
 * anyio: 3 tasks on uring; what is indented lies inside what stands above it
 * root (task 1) runs
 *   group at tree.c:24, 1 child
 *     outer (task 2) waits for its children
 *       group at tree.c:15, 1 child
 *         inner (task 3) waits for sleep
 */
