/*
 * Serving two addresses on one port: each connection is a task of its own, and what goes wrong in one
 * ends no other.
 */
#include <anyio/serve.h>
#include <stdio.h>

static int greet(struct anyio_stream *client, void *arg)
{
	int rc = anyio_stream_send(client, arg, 5);

	anyio_stream_free(client);
	return rc;
}

static int visit(struct anyio_listener *listener)
{
	struct anyio_address address;
	struct anyio_stream *stream;
	char text[5];
	int rc = anyio_listener_address(listener, &address);

	if (rc < 0 || (rc = anyio_connect_address(&address, &stream)) < 0)
		return rc;
	rc = anyio_stream_receive_exactly(stream, text, sizeof text);
	if (rc == 0)
		printf("%.5s\n", text);
	anyio_stream_free(stream);
	return rc;
}

static int visit_both(void *arg)
{
	struct anyio_listener **listeners = arg;
	int rc = 0;

	for (int i = 0; i < 2 && rc == 0; i++) {
		rc = visit(listeners[i]);
		anyio_listener_close(listeners[i]); /* with the last one the serving ends */
	}
	return rc;
}

static int body(void *arg)
{
	struct anyio_serve_options options = { .max_connections = 100, .name = "visitor" };
	struct anyio_address addresses[2];
	struct anyio_listener *listeners[2];

	anyio_address_parse(&addresses[0], "127.0.0.1", 0);
	anyio_address_parse(&addresses[1], "127.0.0.2", 0);
	int rc = anyio_listen_several(addresses, 2, NULL, listeners);
	if (rc < 0)
		return rc;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, visit_both, listeners, "visitors");
	rc = anyio_serve(listeners, 2, greet, "hello", NULL, &options);
	rc = anyio_task_group_exit(&group, rc);
	anyio_listener_free(listeners[0]);
	anyio_listener_free(listeners[1]);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "serve: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * hello
 * hello
 */
