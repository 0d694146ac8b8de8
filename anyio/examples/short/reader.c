/*
 * A protocol read from a stream: a line up to its end, then as many bytes as it says. However the bytes come,
 * what is not asked for yet is kept.
 */
#include <anyio/reader.h>
#include <stdio.h>
#include <stdlib.h>

static int send_message(void *stream)
{
	int rc = anyio_stream_send(stream, ": 5\r\nhelloand more", 18);

	return rc ? rc : anyio_stream_send_eof(stream);
}

static int read_message(struct anyio_reader *reader)
{
	char line[80], content[80];
	ssize_t size = anyio_reader_receive_until(reader, "\r\n", 2, line, sizeof line - 1);

	if (size < 0)
		return (int)size;
	line[size] = 0;
	unsigned long length = size > 8 ? strtoul(line + 8, NULL, 10) : 0;
	printf("%s\n", line);
	if (length > sizeof content)
		return anyio_fail(ANYIO_TOO_MANY, "the message is too long");
	int rc = anyio_reader_receive_exactly(reader, content, length);
	if (rc == 0)
		printf("%.*s\n", (int)length, content);
	return rc;
}

static int body(void *arg)
{
	struct anyio_stream *ends[2];
	struct anyio_reader reader;
	const uint8_t *rest;
	int rc = anyio_stream_pair(0, ends);

	if (rc < 0)
		return rc;
	anyio_reader_init(&reader, ends[1], 0);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, send_message, ends[0], "sender");
	rc = anyio_reader_feed(&reader, "Length", 6); /* it had come before there was a reader */
	if (rc == 0)
		rc = read_message(&reader);
	ssize_t left = rc ? rc : anyio_reader_peek(&reader, 8, &rest);
	if (left >= 0)
		printf("left: %.*s\n", (int)left, (const char *)rest);
	rc = anyio_task_group_exit(&group, left < 0 ? (int)left : 0);
	anyio_reader_destroy(&reader);
	anyio_stream_free(ends[0]);
	anyio_stream_free(ends[1]);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "reader: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * Length: 5
 * hello
 * left: and more
 */
