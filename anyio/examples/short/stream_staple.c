/*
 * Two streams stapled to one: what is sent goes by the first, what is received comes by the second, as a
 * program's standard output and input may be used as one stream.
 */
#include <anyio/stream.h>
#include <stdio.h>

static int talk(struct anyio_stream *out, struct anyio_stream *in)
{
	struct anyio_stapled storage;
	struct anyio_stream *both = anyio_staple(&storage, out, in);
	char text[6];
	int rc = anyio_stream_send(both, "there", 5);

	if (rc == 0)
		rc = anyio_stream_receive_exactly(both, text, 4);
	if (rc == 0)
		printf("received: %.4s\n", text);
	anyio_stream_close(both); /* both halves, which are still to be freed */
	return rc;
}

static int body(void *arg)
{
	struct anyio_stream *there[2] = { NULL, NULL }, *back[2] = { NULL, NULL };
	char text[5];
	int rc = anyio_stream_pair(0, there);

	if (rc == 0)
		rc = anyio_stream_pair(0, back);
	if (rc == 0)
		rc = anyio_stream_send(back[1], "back", 4);
	if (rc == 0)
		rc = talk(there[0], back[0]);
	if (rc == 0 && (rc = anyio_stream_receive_exactly(there[1], text, 5)) == 0)
		printf("sent: %.5s\n", text);
	for (int i = 0; i < 2; i++) {
		anyio_stream_free(there[i]);
		anyio_stream_free(back[i]);
	}
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "stream_staple: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * received: back
 * sent: there
 */
