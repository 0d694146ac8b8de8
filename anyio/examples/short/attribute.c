/*
 * What a stream knows of itself is asked by name, and through whatever is laid over the socket: here
 * a buffered reader, of which the address is asked all the same.
 */
#include <anyio/attribute.h>
#include <anyio/net.h>
#include <anyio/reader.h>
#include <errno.h>
#include <stdio.h>

static int tell(const struct anyio_stream *stream)
{
	struct anyio_address peer;
	char text[64];
	ssize_t size =
		anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_REMOTE_ADDRESS, &peer, sizeof peer);

	if (size < 0)
		return (int)size;
	peer.ip4.sin_port = 0; /* another each time */
	anyio_address_format(&peer, text, sizeof text);
	printf("connected to %s\n", text);
	/* Without room the size alone is told, or that nobody here has such a thing. */
	size = anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_TLS_CERTIFICATE, NULL, 0);
	printf("certificate: %s\n", size == -ENODATA ? "none, this is no TLS" : "there is one");
	return 0;
}

static int body(void *arg)
{
	struct anyio_listener *listener;
	struct anyio_address address;
	struct anyio_stream *stream;
	struct anyio_reader reader;

	anyio_address_parse(&address, "127.0.0.1", 0);
	int rc = anyio_listen_address(&address, NULL, &listener);
	if (rc < 0)
		return rc;
	rc = anyio_listener_address(listener, &address);
	if (rc == 0 && (rc = anyio_connect_address(&address, &stream)) == 0) {
		anyio_reader_init(&reader, stream, 0);
		rc = tell(anyio_reader_stream(&reader));
		anyio_reader_destroy(&reader);
		anyio_stream_free(stream);
	}
	anyio_listener_free(listener);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "attribute: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * connected to 127.0.0.1:0
 * certificate: none, this is no TLS
 */
