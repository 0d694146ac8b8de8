/*
 * A task that computes lets others run and notices when it is cancelled; and a thread without a loop calls
 * into one by its token.
 */
#include <anyio/run.h>
#include <anyio/task.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

static struct anyio_task_group *computing;

static int compute(void *arg)
{
	unsigned long *pieces = arg;
	int rc;

	do /* each time it looks whether it is cancelled, now and then others run */
		rc = ++*pieces % 1000 ? anyio_checkpoint_if_cancelled() : anyio_checkpoint();
	while (rc == 0);
	anyio_cancel_shielded_checkpoint(); /* others may run once more; never fails */
	return rc;
}

/* On the loop's thread, outside any task. */
static void stop(void *reason)
{
	anyio_task_group_cancel(computing, reason);
}

static void *other_thread(void *token)
{
	int rc = anyio_call_soon(token, stop, "enough");

	if (rc < 0)
		fprintf(stderr, "run_checkpoint: %s\n", anyio_error_text(rc));
	anyio_token_unref(token);
	return NULL;
}

static int body(void *arg)
{
	struct anyio_token *token = anyio_current_token();
	unsigned long pieces = 0;
	pthread_t thread;

	ANYIO_TASK_GROUP(group);
	computing = &group;
	anyio_start_soon(&group, compute, &pieces, "compute");
	int error = pthread_create(&thread, NULL, other_thread, token);
	if (error)
		anyio_token_unref(token);
	int rc = anyio_task_group_exit(&group, -error);
	if (!error)
		pthread_join(thread, NULL);
	printf("it %s, and was stopped: %s\n", pieces ? "computed" : "did nothing",
		anyio_cancel_scope_reason(anyio_task_group_scope(&group)));
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "run_checkpoint: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * it computed, and was stopped: enough
 */
