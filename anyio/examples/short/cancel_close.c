/*
 * Closing by force: a close that may wait, to flush what is left, gives up the waiting and frees the rest.
 */
#include <anyio/cancel.h>
#include <anyio/stream.h>
#include <stdio.h>

struct writer {
	struct anyio_stream *stream;
	char left[64]; /* not yet sent */
};

/* Takes all the time it needs, and always closes. */
static int writer_close(void *arg)
{
	struct writer *writer = arg;
	int rc = anyio_stream_send(writer->stream, writer->left, sizeof writer->left);

	printf("flush: %s\n", rc ? anyio_error_name(rc) : "done");
	anyio_stream_free(writer->stream);
	writer->stream = NULL;
	return rc;
}

static int body(void *arg)
{
	struct anyio_stream *ends[2];
	struct writer writer = { 0 };
	int rc = anyio_stream_pair(1, ends); /* room for one byte, and nobody reads */

	if (rc < 0)
		return rc;
	writer.stream = ends[0];
	rc = anyio_close_forcefully(writer_close, &writer);
	printf("closed: %s\n", writer.stream ? "no" : "yes");
	anyio_stream_free(ends[1]);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "cancel_close: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * flush: ANYIO_CANCELLED
 * closed: yes
 */
