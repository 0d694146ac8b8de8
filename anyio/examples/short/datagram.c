/*
 * UDP: a plain socket takes datagrams from everybody and answers each; a connected one talks to one side.
 */
#include <anyio/datagram.h>
#include <stdio.h>

static int answer_one(void *arg)
{
	struct anyio_datagram *server = arg;
	struct anyio_datagram_info info;
	char question[512];
	ssize_t size = anyio_datagram_receive(server, question, sizeof question, &info);

	if (size < 0)
		return (int)size;
	printf("asked: %.*s\n", (int)size, question);
	return anyio_datagram_send_to(server, "an answer", 9, &info.from);
}

static int ask(void *arg)
{
	struct anyio_datagram *client;
	char answer[512];
	int rc = anyio_datagram_connect(arg, NULL, NULL, &client);

	if (rc < 0)
		return rc;
	rc = anyio_datagram_send(client, "a question", 10);
	ssize_t size = rc ? rc : anyio_datagram_receive(client, answer, sizeof answer, NULL);
	if (size >= 0)
		printf("told: %.*s\n", (int)size, answer);
	anyio_datagram_free(client);
	return size < 0 ? (int)size : 0;
}

static int body(void *arg)
{
	struct anyio_datagram *server;
	struct anyio_address address;
	int rc = anyio_udp_bind("127.0.0.1", 0, NULL, &server);

	if (rc < 0)
		return rc;
	rc = anyio_datagram_local_address(server, &address);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, answer_one, server, "server");
	if (rc == 0) /* a datagram may be lost: nobody waits for ever */
		rc = anyio_fail_after(5 * ANYIO_SECOND, ask, &address);
	rc = anyio_task_group_exit(&group, rc);
	anyio_datagram_free(server);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "datagram: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * asked: a question
 * told: an answer
 */
