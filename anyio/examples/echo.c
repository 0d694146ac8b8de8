/*
 * An echo server: whatever a client sends comes back to it.
 *
 * Each client has a task of its own, written as if it were alone. They are children of the serving:
 * when Ctrl-C cancels the program every wait in every task returns ANYIO_CANCELLED, each frees what it
 * has, and anyio_serve returns when the last of them has.
 */
#include <anyio/anyio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned clients;

/* An error that it returns is its own: a client that broke off is nobody else's business. */
static int echo(struct anyio_stream *client, void *arg)
{
	char buffer[4096];
	ssize_t size;
	int rc = 0;

	clients++;
	while (rc == 0 && (size = anyio_stream_receive(client, buffer, sizeof buffer)) != 0)
		rc = size < 0 ? (int)size : anyio_stream_send(client, buffer, (size_t)size);
	anyio_stream_free(client);
	return rc;
}

static int body(void *port)
{
	struct anyio_listener *listener;
	struct anyio_address address;
	char text[64];

	anyio_address_parse(&address, "127.0.0.1", *(uint16_t *)port);
	int rc = anyio_listen_address(&address, NULL, &listener);
	if (rc < 0)
		return rc;
	anyio_listener_address(listener, &address); /* port 0: which one it became */
	anyio_address_format(&address, text, sizeof text);
	printf("listening on %s\n", text);
	fflush(stdout);
	rc = anyio_serve(&listener, 1, echo, NULL, NULL, NULL);
	anyio_listener_free(listener);
	return rc;
}

int main(int argc, char **argv)
{
	char *end = "";
	unsigned long port = argc > 1 ? strtoul(argv[1], &end, 10) : 7777;

	if (argc > 2 || *end || port > UINT16_MAX) {
		bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
		fprintf(help ? stdout : stderr,
			"usage: echo [PORT]\n\n"
			"Sends back what clients send to 127.0.0.1:PORT (7777; 0: any) until Ctrl-C.\n");
		return help ? 0 : 2;
	}
	int rc = anyio_run(body, &(uint16_t){ (uint16_t)port }, NULL);
	if (rc == ANYIO_CANCELLED) {
		printf("served %u clients\n", clients);
		return 0;
	}
	fprintf(stderr, "echo: %s\n", anyio_error_text(rc));
	return 1;
}
