/*
 * Byte streams: several buffers sent as one, exactly so many bytes received, and the end of sending, after
 * which the other side may still answer.
 */
#include <anyio/stream.h>
#include <stdio.h>

static int echo(void *arg)
{
	struct anyio_stream *stream = arg;
	char buffer[64];
	ssize_t size;
	int rc = 0;

	while (rc == 0 && (size = anyio_stream_receive(stream, buffer, sizeof buffer)) != 0)
		rc = size < 0 ? (int)size : anyio_stream_send(stream, buffer, (size_t)size);
	return rc ? rc : anyio_stream_send_eof(stream);
}

static int converse(struct anyio_stream *stream)
{
	struct iovec parts[] = { { "head ", 5 }, { "and body", 8 } };
	char text[13];
	int rc = anyio_stream_sendv(stream, parts, 2, NULL);

	if (rc == 0)
		rc = anyio_stream_send_eof(stream);
	if (rc == 0)
		rc = anyio_stream_receive_exactly(stream, text, sizeof text);
	if (rc == 0)
		printf("%.13s\n", text);
	if (rc == 0 && (rc = (int)anyio_stream_receive(stream, text, 1)) == 0)
		printf("the end\n");
	return rc;
}

static int body(void *arg)
{
	struct anyio_stream *ends[2];
	int rc = anyio_stream_pair(0, ends); /* in memory; a socket would do as well */

	if (rc < 0)
		return rc;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, echo, ends[0], "echo");
	rc = anyio_task_group_exit(&group, converse(ends[1]));
	anyio_stream_free(ends[0]);
	anyio_stream_free(ends[1]);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "stream: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * head and body
 * the end
 */
