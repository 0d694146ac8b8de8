/*
 * A chat server: what one says, all others hear. The first line a client sends is its name.
 *
 * Each client is two tasks in a group of its own: one reads what it says, one writes what it is to
 * hear, taken from a bounded queue. Whichever ends first ends the other. A client that does not
 * read lets its queue fill up; it is then dropped, so that it never holds up those who speak.
 */
#include <anyio/anyio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 24, LINE_SIZE = 400, QUEUE = 64 };

struct message {
	size_t size;
	char text[NAME_SIZE + LINE_SIZE + 4];
};

struct client {
	struct client *next;
	struct anyio_stream *stream;
	struct anyio_sender *sender; /* what it is to hear goes in here */
	struct anyio_receiver *receiver;
	struct anyio_cancel_scope *scope; /* of its group */
	char name[NAME_SIZE];
};

static struct client *clients;

static void say_to_all(const struct client *but, const char *format, ...)
{
	struct message message;
	va_list args;

	va_start(args, format);
	int size = vsnprintf(message.text, sizeof message.text, format, args);
	va_end(args);
	message.size = (size_t)size < sizeof message.text ? (size_t)size : sizeof message.text - 1;
	for (struct client *at = clients; at; at = at->next)
		if (at != but && anyio_send_nowait(at->sender, &message) == ANYIO_WOULD_BLOCK)
			anyio_cancel_scope_cancel(at->scope, "does not listen");
}

/* A line without its end: its size, or a negative code. */
static ssize_t read_line(struct anyio_reader *reader, char *line, size_t size)
{
	ssize_t got = anyio_reader_receive_until(reader, "\n", 1, line, size - 1);

	if (got < 0)
		return got;
	if (got > 0 && line[got - 1] == '\r')
		got--;
	line[got] = 0;
	return got;
}

static int listen_to(void *arg)
{
	struct client *client = arg;
	struct anyio_reader reader;
	char line[LINE_SIZE];
	ssize_t size;

	anyio_reader_init(&reader, client->stream, 1024);
	size = read_line(&reader, client->name, sizeof client->name);
	if (size > 0) {
		say_to_all(client, "* %s is here\n", client->name);
		while ((size = read_line(&reader, line, sizeof line)) >= 0)
			say_to_all(client, "%s: %s\n", client->name, line);
	}
	anyio_reader_destroy(&reader);
	anyio_cancel_scope_cancel(client->scope, "gone");
	return size == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int tell(void *arg)
{
	struct client *client = arg;
	struct message message;
	int rc;

	while ((rc = anyio_receive(client->receiver, &message)) == 0 &&
		(rc = anyio_stream_send(client->stream, message.text, message.size)) == 0)
		;
	anyio_cancel_scope_cancel(client->scope, "gone");
	return rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

static int converse(struct client *client)
{
	ANYIO_TASK_GROUP(group);
	client->scope = anyio_task_group_scope(&group);
	client->next = clients;
	clients = client;
	anyio_start_soon(&group, listen_to, client, "listens");
	anyio_start_soon(&group, tell, client, "tells");
	int rc = anyio_task_group_exit(&group, 0);
	struct client **at = &clients;
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	return rc;
}

static int serve_client(struct anyio_stream *stream, void *arg)
{
	struct client client = { .stream = stream };
	int rc = anyio_channel_create(
		sizeof(struct message), QUEUE, NULL, &client.sender, &client.receiver);

	if (rc == 0) {
		rc = converse(&client);
		anyio_sender_close(client.sender);
		anyio_receiver_close(client.receiver);
		if (*client.name)
			say_to_all(NULL, "* %s is gone\n", client.name);
	}
	anyio_stream_free(stream);
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
	anyio_listener_address(listener, &address);
	anyio_address_format(&address, text, sizeof text);
	printf("listening on %s\n", text);
	fflush(stdout);
	rc = anyio_serve(&listener, 1, serve_client, NULL, NULL, NULL);
	anyio_listener_free(listener);
	return rc;
}

int main(int argc, char **argv)
{
	char *end = "";
	unsigned long port = argc > 1 ? strtoul(argv[1], &end, 10) : 7778;

	if (argc > 2 || *end || port > UINT16_MAX) {
		bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
		fprintf(help ? stdout : stderr,
			"usage: chat [PORT]\n\n"
			"Serves 127.0.0.1:PORT (7778; 0: any) until Ctrl-C. Talk to it by 'nc 127.0.0.1 7778':\n"
			"first your name on a line, then what you have to say.\n");
		return help ? 0 : 2;
	}
	int rc = anyio_run(body, &(uint16_t){ (uint16_t)port }, NULL);
	if (rc == ANYIO_CANCELLED)
		return 0;
	fprintf(stderr, "chat: %s\n", anyio_error_text(rc));
	return 1;
}
