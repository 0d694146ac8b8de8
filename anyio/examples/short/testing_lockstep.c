/*
 * Streams in step: a send returns when the other side has received all of it, so that a test decides how
 * the bytes are cut. And the contract of streams, checked on a stream of one's own: here on such pairs.
 */
#include <anyio/testing.h>
#include <stdio.h>

static int send_in_parts(void *stream)
{
	int rc = anyio_stream_send(stream, "hel", 3);

	printf("the first part was received\n");
	return rc ? rc : anyio_stream_send(stream, "lo", 2);
}

static int make(void *arg, struct anyio_stream *ends[2])
{
	return anyio_lockstep_pair(ends);
}

static int body(void *arg)
{
	struct anyio_stream_maker maker = { .make = make };
	struct anyio_stream *ends[2];
	char text[5];
	int rc = anyio_lockstep_pair(ends);

	if (rc < 0)
		return rc;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, send_in_parts, ends[0], "sender");
	for (int i = 0; i < 2 && rc == 0; i++) {
		ssize_t size = anyio_stream_receive(ends[1], text, sizeof text);
		if (size < 0)
			rc = (int)size;
		else
			printf("received %.*s\n", (int)size, text);
	}
	rc = anyio_task_group_exit(&group, rc);
	anyio_stream_free(ends[0]);
	anyio_stream_free(ends[1]);
	if (rc == 0)
		rc = anyio_check_half_closeable_stream(&maker);
	printf("the contract %s%s\n", rc ? "is broken: " : "is kept", maker.failure);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "testing_lockstep: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * received hel
 * the first part was received
 * received lo
 * the contract is kept
 */
