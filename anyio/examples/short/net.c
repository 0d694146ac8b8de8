/*
 * TCP: a server that echoes, and a client that comes by name: of its addresses, IPv6 first, the one
 * that answers first is taken (happy eyeballs).
 */
#include <anyio/net.h>
#include <stdio.h>

static int serve_one(void *arg)
{
	struct anyio_stream *stream;
	char text[64];
	int rc = anyio_accept(arg, &stream);

	if (rc < 0)
		return rc;
	ssize_t size = anyio_stream_receive(stream, text, sizeof text);
	rc = size < 0 ? (int)size : anyio_stream_send(stream, text, (size_t)size);
	anyio_stream_free(stream);
	return rc;
}

static int talk(const struct anyio_address *server)
{
	struct anyio_address local; /* to come from; the port is the kernel's choice */
	struct anyio_stream *stream;
	char text[5];

	anyio_address_parse(&local, "127.0.0.1", 0);
	int rc = anyio_connect_tcp_with("localhost", ntohs(server->ip4.sin_port),
		&(struct anyio_connect_options){ .local = &local }, &stream);
	if (rc < 0)
		return rc;
	rc = anyio_stream_send(stream, "hello", 5);
	if (rc == 0)
		rc = anyio_stream_receive_exactly(stream, text, sizeof text);
	if (rc == 0)
		printf("%.5s\n", text);
	anyio_stream_free(stream);
	return rc;
}

static int body(void *arg)
{
	struct anyio_listener *listener;
	struct anyio_address address;

	anyio_address_parse(&address, "127.0.0.1", 0);
	int rc = anyio_listen_address(&address, NULL, &listener);
	if (rc < 0)
		return rc;
	rc = anyio_listener_address(listener, &address); /* with the port that it got */
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, serve_one, listener, "server");
	if (rc == 0)
		rc = talk(&address);
	rc = anyio_task_group_exit(&group, rc);
	anyio_listener_free(listener);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "net: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * hello
 */
