/*
 * A file as a stream: what works on any stream works on it, and the place can be moved.
 */
#include <anyio/file.h>
#include <anyio/text.h>
#include <stdio.h>

static int count_lines(struct anyio_stream *stream)
{
	struct anyio_text text;
	char line[100];
	ssize_t size;
	int lines = 0;

	anyio_text_init(&text, stream, ANYIO_TEXT_STRICT);
	while ((size = anyio_text_receive_line(&text, line, sizeof line)) >= 0)
		lines++;
	anyio_text_destroy(&text);
	return size == ANYIO_END_OF_STREAM ? lines : (int)size;
}

static int use(const char *path, void *arg)
{
	struct anyio_stream *stream;
	char place[120];

	snprintf(place, sizeof place, "%s/list", path);
	int rc = anyio_file_stream_open(place, O_RDWR | O_CREAT | O_EXCL, 0600, &stream);
	if (rc < 0)
		return rc;
	for (int i = 0; i < 3 && rc == 0; i++)
		rc = anyio_stream_send(stream, "a line\n", 7);
	printf("at byte %lld\n", (long long)anyio_file_stream_tell(stream));
	if (rc == 0) {
		int64_t at = anyio_file_stream_seek(stream, 0, SEEK_SET);
		rc = at < 0 ? (int)at : count_lines(stream);
	}
	if (rc >= 0)
		printf("%d lines\n", rc);
	anyio_stream_free(stream);
	return rc;
}

static int body(void *arg)
{
	return anyio_temporary_directory_run(NULL, use, NULL);
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "file_stream: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * at byte 21
 * 3 lines
 */
