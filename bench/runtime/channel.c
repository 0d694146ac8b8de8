/* An item handed from task to task. */
#include "runtime.h"

enum { ROUND_TRIPS = 1000000 };

struct ends {
	struct anyio_sender *out;
	struct anyio_receiver *in;
};

static int answer(void *arg)
{
	struct ends *ends = arg;
	int item, rc;

	while ((rc = anyio_receive(ends->in, &item)) == 0 &&
		(rc = anyio_send(ends->out, &item)) == 0)
		;
	return rc == ANYIO_END_OF_STREAM ? 0 : rc;
}

static int ask(struct ends *ends)
{
	double began = used();
	int rc = 0;

	for (int i = 0, back = -1; i < ROUND_TRIPS && rc == 0; i++) {
		rc = anyio_send(ends->out, &i);
		if (rc == 0)
			rc = anyio_receive(ends->in, &back);
		if (rc == 0 && back != i)
			rc = ANYIO_BROKEN;
	}
	printf("%.2f\n", (used() - began) / ROUND_TRIPS / 2);
	return rc;
}

int handovers(void *arg)
{
	struct ends here, there;
	int rc = anyio_channel_create(sizeof(int), 0, NULL, &here.out, &there.in);

	if (rc == 0)
		rc = anyio_channel_create(sizeof(int), 0, NULL, &there.out, &here.in);
	if (rc < 0)
		return rc;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, answer, &there, "answer");
	rc = ask(&here);
	anyio_sender_close(here.out);
	rc = anyio_task_group_exit(&group, rc);
	anyio_receiver_close(here.in);
	anyio_receiver_close(there.in);
	anyio_sender_close(there.out);
	return rc;
}
