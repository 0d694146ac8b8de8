/*
 * Time in a test: the clock stands still while anything can run, and jumps when all wait. What takes an hour
 * is tested at once, and always in the same order.
 */
#include <anyio/task.h>
#include <anyio/testing.h>
#include <stdio.h>

static unsigned tries;

/* What is tested: tries again after a pause that doubles. */
static int try_until(void *arg)
{
	anyio_time pause = ANYIO_SECOND;
	int rc = 0;

	while (rc == 0 && ++tries < *(unsigned *)arg) {
		rc = anyio_sleep(pause);
		pause *= 2;
	}
	return rc;
}

static int body(void *arg)
{
	anyio_time began = anyio_now();
	unsigned most = 13;

	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, try_until, &most, "retry");
	int rc = anyio_wait_all_tasks_blocked(); /* until it sleeps for the first time */
	printf("at once: %u\n", tries);
	rc = anyio_task_group_exit(&group, rc);
	printf("in the end: %u, after %d seconds\n", tries,
		(int)((anyio_now() - began) / ANYIO_SECOND));
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, &(struct anyio_options){ .mock_clock = true });

	if (rc < 0)
		fprintf(stderr, "testing: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * at once: 1
 * in the end: 13, after 4095 seconds
 */
