/*
 * Starting with a handshake: start returns when the server serves, with what it has to say, and no earlier;
 * what keeps it from serving is start's own error and cancels nobody.
 */
#include <anyio/net.h>
#include <anyio/task.h>
#include <stdio.h>

static int serve(void *host)
{
	struct anyio_listener *listener;
	struct anyio_address address;
	int rc = anyio_address_parse(&address, host, 0);

	if (rc < 0 || (rc = anyio_listen_address(&address, NULL, &listener)) < 0)
		return rc;
	rc = anyio_listener_address(listener, &address);
	if (rc == 0)
		rc = anyio_started(&address); /* from here on the other side goes on */
	if (rc == 0)
		rc = anyio_sleep_forever();
	anyio_listener_free(listener);
	return rc;
}

static int body(void *arg)
{
	struct anyio_stream *stream;
	void *address;

	ANYIO_TASK_GROUP(group);
	int rc = anyio_start(&group, serve, "no address", "server", NULL);
	printf("no address: %s\n", anyio_error_name(rc));
	rc = anyio_start(&group, serve, "127.0.0.1", "server", &address);
	if (rc == 0 && (rc = anyio_connect_address(address, &stream)) == 0) {
		printf("127.0.0.1: connected\n");
		anyio_stream_free(stream);
	}
	anyio_task_group_cancel(&group, "seen enough");
	return anyio_task_group_exit(&group, rc);
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "task_start: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * no address: EINVAL
 * 127.0.0.1: connected
 */
