/*
 * Saying goodbye although cancelled: a shield keeps the cancellation from around it out, and its own
 * deadline sees to it that the goodbye does not take for ever.
 */
#include <anyio/cancel.h>
#include <anyio/stream.h>
#include <stdio.h>

static int say_goodbye(void *stream)
{
	return anyio_stream_send(stream, "goodbye\n", 8);
}

static int client(void *stream)
{
	struct anyio_cancel_scope last;
	int rc = anyio_sleep_forever(); /* its work, until it is told to stop */

	printf("told to stop: %s\n", anyio_cancel_reason());
	anyio_cancel_scope_init(&last);
	anyio_cancel_scope_set_shield(&last, true);
	anyio_cancel_scope_set_timeout(&last, 5 * ANYIO_SECOND);
	int said = anyio_cancel_scope_run(&last, say_goodbye, stream);
	if (said < 0)
		return said;
	return rc;
}

static int body(void *arg)
{
	struct anyio_stream *ends[2];
	char text[8];
	int rc = anyio_stream_pair(0, ends);

	if (rc < 0)
		return rc;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, client, ends[0], "client");
	anyio_task_group_cancel(&group, "the program ends");
	rc = anyio_task_group_exit(&group, 0); /* waits for the goodbye too */
	if (rc == 0)
		rc = anyio_stream_receive_exactly(ends[1], text, sizeof text);
	if (rc == 0)
		printf("the other side heard: %.8s", text);
	anyio_stream_free(ends[0]);
	anyio_stream_free(ends[1]);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "cancel_shield: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * told to stop: the program ends
 * the other side heard: goodbye
 */
