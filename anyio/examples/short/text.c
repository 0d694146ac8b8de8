/*
 * Text from a stream: lines and whole characters, however the bytes were cut on their way; what is no UTF-8
 * is an error, or is replaced.
 */
#include <anyio/text.h>
#include <errno.h>
#include <stdio.h>

static int send_cut(void *stream)
{
	int rc = anyio_stream_send(stream, "gr\xc3", 3); /* in the middle of a character */

	if (rc == 0)
		rc = anyio_stream_send(stream, "\xbc\xc3\x9f\r\nb\xff d\n", 9);
	return rc ? rc : anyio_stream_send_eof(stream);
}

static int read_lines(struct anyio_stream *stream, enum anyio_text_errors errors)
{
	struct anyio_text text;
	char line[80];
	ssize_t size;

	anyio_text_init(&text, stream, errors);
	while ((size = anyio_text_receive_line(&text, line, sizeof line)) >= 0)
		printf("%s\n", line);
	printf("%s\n", anyio_error_name((int)size));
	anyio_text_destroy(&text);
	return size == ANYIO_END_OF_STREAM || size == -EILSEQ ? 0 : (int)size;
}

static int body(void *arg)
{
	enum anyio_text_errors modes[] = { ANYIO_TEXT_STRICT, ANYIO_TEXT_REPLACE };
	int rc = 0;

	for (int i = 0; i < 2 && rc == 0; i++) {
		struct anyio_stream *ends[2];
		if ((rc = anyio_stream_pair(0, ends)) < 0)
			break;
		ANYIO_TASK_GROUP(group);
		anyio_start_soon(&group, send_cut, ends[0], "sender");
		rc = anyio_task_group_exit(&group, read_lines(ends[1], modes[i]));
		anyio_stream_free(ends[0]);
		anyio_stream_free(ends[1]);
	}
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "text: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * grüß
 * EILSEQ
 * grüß
 * b� d
 * ANYIO_END_OF_STREAM
 */
