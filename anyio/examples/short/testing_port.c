/*
 * A port for a test whose server wants to be told one: nobody is on it now, and no other test of this
 * process is given it. Where the server can choose, let it bind port 0.
 */
#include <anyio/net.h>
#include <anyio/testing.h>
#include <stdio.h>

static int body(void *arg)
{
	struct anyio_listener *listener;
	struct anyio_address address;
	struct anyio_stream *stream;
	uint16_t port, other;
	int rc = anyio_free_port(SOCK_STREAM, &port);

	if (rc == 0)
		rc = anyio_free_port(SOCK_STREAM, &other);
	if (rc < 0)
		return rc;
	printf("two ports: %s\n", port == other ? "the same" : "different");
	anyio_address_parse(&address, "127.0.0.1", port);
	if ((rc = anyio_listen_address(&address, NULL, &listener)) < 0)
		return rc;
	rc = anyio_connect_tcp("127.0.0.1", port, &stream);
	if (rc == 0)
		printf("connected\n");
	if (rc == 0)
		anyio_stream_free(stream);
	anyio_listener_free(listener);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "testing_port: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * two ports: different
 * connected
 */
