/*
 * A deadline that moves: a receiver gives up when nothing has come for a while, however long it all takes.
 */
#include <anyio/cancel.h>
#include <anyio/stream.h>
#include <stdio.h>
#include <string.h>

#define IDLE (500 * ANYIO_MILLISECOND)

static int send_three_and_fall_silent(void *arg)
{
	int rc = 0;

	for (int i = 0; i < 3 && rc == 0; i++)
		rc = anyio_stream_send(arg, "tick\n", 5);
	return rc ? rc : anyio_sleep_forever();
}

static int receive_until_idle(struct anyio_stream *stream)
{
	struct anyio_cancel_scope idle;
	char line[5];
	int rc;

	anyio_cancel_scope_init(&idle);
	anyio_cancel_scope_set_timeout(&idle, IDLE);
	anyio_cancel_scope_enter(&idle);
	while ((rc = anyio_stream_receive_exactly(stream, line, sizeof line)) == 0) {
		printf("%.5s", line);
		anyio_cancel_scope_set_timeout(&idle, IDLE); /* from now on again */
	}
	rc = anyio_cancel_scope_exit(&idle, rc); /* its own cancellation becomes 0 */
	if (anyio_cancel_scope_timed_out(&idle))
		printf("silent for too long (%s)\n", anyio_cancel_scope_reason(&idle));
	return rc;
}

static int body(void *arg)
{
	struct anyio_stream *ends[2];
	int rc = anyio_stream_pair(0, ends);

	if (rc < 0)
		return rc;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, send_three_and_fall_silent, ends[0], "sender");
	rc = receive_until_idle(ends[1]);
	anyio_task_group_cancel(&group, "nobody listens");
	rc = anyio_task_group_exit(&group, rc);
	anyio_stream_free(ends[0]);
	anyio_stream_free(ends[1]);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "cancel_deadline: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * tick
 * tick
 * tick
 * silent for too long (deadline)
 */
