/*
 * A memory object stream: one producer, and two workers with a receiver each, who may lie behind by two
 * items. When the producer closes its end they see the end of the stream.
 */
#include <anyio/channel.h>
#include <stdio.h>

static int total;

static int work(void *arg)
{
	struct anyio_receiver *jobs = arg;
	int job, rc;

	while ((rc = anyio_receive(jobs, &job)) == 0)
		total += job;
	anyio_receiver_close(jobs);
	return rc == ANYIO_END_OF_STREAM ? 0 : rc;
}

static int start_worker(struct anyio_task_group *group, struct anyio_receiver *jobs)
{
	struct anyio_receiver *own;
	int rc = anyio_receiver_clone(jobs, &own);

	if (rc == 0 && (rc = anyio_start_soon(group, work, own, "worker")) < 0)
		anyio_receiver_close(own);
	return rc;
}

static int body(void *arg)
{
	struct anyio_receiver *jobs;
	struct anyio_sender *sender;
	int rc = anyio_channel_create(sizeof(int), 2, NULL, &sender, &jobs);

	if (rc < 0)
		return rc;
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < 2 && rc == 0; i++)
		rc = start_worker(&group, jobs);
	anyio_receiver_close(jobs); /* the workers have their own */
	for (int i = 1; i <= 100 && rc == 0; i++)
		rc = anyio_send(sender, &i); /* waits while both places are taken */
	anyio_sender_close(sender);
	rc = anyio_task_group_exit(&group, rc);
	printf("the workers' sum is %d\n", total);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "channel: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * the workers' sum is 5050
 */
