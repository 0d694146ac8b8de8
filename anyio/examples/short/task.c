/*
 * Tasks in a group, which ends when all of them have; by a handle one of them is asked for its value or
 * cancelled alone.
 */
#include <anyio/task.h>
#include <stdio.h>

struct job {
	long last, sum;
	struct anyio_task_handle handle;
};

static int add_up(void *arg)
{
	struct job *job = arg;
	int rc = 0;

	for (long i = 1; i <= job->last && rc == 0; i++) {
		job->sum += i;
		rc = anyio_checkpoint(); /* the others run */
	}
	anyio_task_set_value(&job->sum);
	return rc;
}

static int body(void *arg)
{
	struct job small = { .last = 10 }, endless = { .last = 1L << 60 };
	struct anyio_task_options as_small = { .name = "small", .handle = &small.handle };
	struct anyio_task_options as_endless = { .name = "endless", .handle = &endless.handle };

	ANYIO_TASK_GROUP(group);
	anyio_start_soon_with(&group, add_up, &small, &as_small);
	anyio_start_soon_with(&group, add_up, &endless, &as_endless);
	int rc = anyio_task_handle_wait(&small.handle);
	if (rc == 0)
		printf("%s: %ld\n", anyio_task_handle_name(&small.handle),
			*(long *)anyio_task_handle_value(&small.handle));
	anyio_task_handle_cancel(&endless.handle, "it would take years");
	rc = anyio_task_group_exit(&group, rc);
	if (anyio_task_handle_status(&endless.handle) == ANYIO_STATUS_CANCELLED)
		printf("endless was cancelled\n");
	printf("the group: %s\n", rc ? anyio_error_name(rc) : "success");
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "task: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * small: 55
 * endless was cancelled
 * the group: success
 */
