/* TCP: an echo server, and bytes from one process to another. */
#include <errno.h>
#include "runtime.h"

enum { ECHO_BUFFER = 64 << 10, BULK_BUFFER = 256 << 10 };

static int converse(void *arg)
{
	struct anyio_stream *stream = arg;
	char *buffer = anyio_malloc(ECHO_BUFFER);
	ssize_t n;

	while (buffer && (n = anyio_stream_receive(stream, buffer, ECHO_BUFFER)) > 0)
		if (anyio_stream_send(stream, buffer, (size_t)n) < 0)
			break;
	anyio_free(buffer);
	anyio_stream_free(stream);
	return 0;
}

static int listen_here(struct anyio_listener **listener, int *port)
{
	struct anyio_address address;
	int rc = anyio_address_parse(&address, "127.0.0.1", 0);

	if (rc == 0)
		rc = anyio_listen_address(&address, NULL, listener);
	if (rc < 0)
		return rc;
	anyio_listener_address(*listener, &address);
	*port = ntohs(address.ip4.sin_port);
	return 0;
}

/* Takes all that comes and tells how much it was. */
static int swallow(void *arg)
{
	struct anyio_stream *stream = arg;
	char *buffer = anyio_malloc(BULK_BUFFER);
	uint64_t total = 0;
	ssize_t n = -ENOMEM;

	while (buffer && (n = anyio_stream_receive(stream, buffer, BULK_BUFFER)) > 0)
		total += (uint64_t)n;
	if (n == 0)
		anyio_stream_send(stream, &total, sizeof(total));
	anyio_free(buffer);
	anyio_stream_free(stream);
	return 0;
}

static int serve(anyio_task_fn one)
{
	struct anyio_listener *listener;
	struct anyio_stream *stream;
	int port, rc = listen_here(&listener, &port);

	if (rc < 0)
		return rc;
	printf("%d\n", port);
	fflush(stdout);
	ANYIO_TASK_GROUP(group);
	while ((rc = anyio_accept(listener, &stream)) == 0)
		anyio_start_soon(&group, one, stream, "connection");
	anyio_listener_free(listener);
	return anyio_task_group_exit(&group, rc);
}

int echo(void *arg)
{
	return serve(converse);
}

int sink(void *arg)
{
	return serve(swallow);
}

/* Sends for a while, and waits until all of it was taken. */
static int send_for(struct anyio_stream *stream, const char *buffer, double seconds)
{
	double began = now(), until = began + seconds * 1e9;
	uint64_t sent = 0, taken = 0;
	int rc = 0;

	for (; rc == 0 && now() < until; sent += BULK_BUFFER)
		rc = anyio_stream_send(stream, buffer, BULK_BUFFER);
	if (rc == 0)
		rc = anyio_stream_send_eof(stream);
	if (rc == 0)
		rc = anyio_stream_receive_exactly(stream, &taken, sizeof(taken));
	if (rc == 0 && taken != sent)
		rc = ANYIO_BROKEN;
	printf("%.3f\n", (double)sent / (now() - began));
	return rc;
}

int pour(void *arg)
{
	char *buffer = anyio_calloc(1, BULK_BUFFER);
	struct anyio_stream *stream;
	int rc = buffer ? 0 : -ENOMEM;

	if (rc == 0)
		rc = anyio_connect_tcp("127.0.0.1", (uint16_t)argument(0), &stream);
	if (rc == 0) {
		rc = send_for(stream, buffer, argument(1));
		anyio_stream_free(stream);
	}
	anyio_free(buffer);
	return rc;
}
