/* What only UNIX datagrams do: names that are paths, and waiting for room. */
#include "sockets.h"
#include <errno.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>

static struct anyio_address abstract_address(const char *name)
{
	struct anyio_address address = path_address(name);
	struct sockaddr_un *un = (struct sockaddr_un *)&address.storage;

	un->sun_path[0] = '\0';
	address.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	return address;
}

static struct anyio_datagram *bind_unix(const char *path)
{
	struct anyio_address address = path_address(path);
	struct anyio_datagram *datagram;

	CHECK_RC(anyio_datagram_bind(&address, NULL, &datagram), 0);
	return datagram;
}

static int unix_datagrams_are_answered_by_name(void *arg)
{
	struct folder folder;
	struct anyio_address server_at, abstract = abstract_address("@anyio test datagrams");
	struct anyio_datagram *server, *client, *nameless;
	struct anyio_datagram_info info;
	char buffer[16];
	struct stat st;

	folder_make(&folder);
	server = bind_unix(folder.path);
	server_at = path_address(folder.path);
	CHECK_RC(stat(folder.path, &st), 0);
	CHECK((st.st_mode & 07777) == 0600);
	CHECK_RC(anyio_datagram_connect(&server_at, &abstract, NULL, &client), 0);
	CHECK_RC(anyio_datagram_send(client, "ping", 4), 0);
	CHECK_RC(anyio_datagram_receive(server, buffer, 16, &info), 4);
	CHECK(info.from.len == abstract.len &&
		memcmp(&info.from.storage, &abstract.storage, abstract.len) == 0);
	CHECK_RC(anyio_datagram_send_to(server, "answer", 6, &info.from), 0);
	CHECK_RC(anyio_datagram_receive(client, buffer, 4, &info), -EMSGSIZE);
	CHECK(info.size == 6);
	/* Who has no name cannot be answered. */
	CHECK_RC(anyio_datagram_open(AF_UNIX, NULL, &nameless), 0);
	CHECK_RC(anyio_datagram_send(nameless, "x", 1), -ENOTCONN);
	CHECK_RC(anyio_datagram_send_to(nameless, "x", 1, &server_at), 0);
	CHECK_RC(anyio_datagram_receive(server, buffer, 16, &info), 1);
	CHECK(info.from.len == 0);
	anyio_datagram_free(server);
	CHECK_RC(anyio_datagram_send_to(nameless, "x", 1, &server_at), -ECONNREFUSED);
	CHECK_RC(anyio_datagram_send(client, "x", 1), -ECONNREFUSED);
	anyio_datagram_free(nameless);
	anyio_datagram_free(client);
	folder_remove(&folder);
	return 0;
}

static int only_a_stale_unix_socket_is_replaced(void *arg)
{
	static const struct anyio_datagram_options options = { .unix_mode = 0666 };
	struct folder folder;
	struct anyio_address address;
	struct anyio_datagram *first, *second;
	struct anyio_listener *listener;
	struct anyio_stream *stream;
	struct stat st;

	folder_make(&folder);
	address = path_address(folder.path);
	CHECK_RC(anyio_datagram_connect(&address, NULL, NULL, &first), -ENOENT);
	first = bind_unix(folder.path);
	CHECK_RC(anyio_datagram_bind(&address, NULL, &second), -EADDRINUSE);
	CHECK(second == NULL);
	CHECK_RC(anyio_listen_unix(folder.path, NULL, &listener), -EADDRINUSE);
	CHECK_RC(anyio_connect_unix(folder.path, &stream), -EPROTOTYPE);
	anyio_datagram_free(first);
	CHECK_RC(anyio_datagram_bind(&address, &options, &first), 0);
	CHECK_RC(stat(folder.path, &st), 0);
	CHECK((st.st_mode & 07777) == 0666);
	anyio_datagram_free(first);
	folder_remove(&folder);
	return 0;
}

struct sending {
	struct anyio_datagram *datagram;
	const struct anyio_address *to; /* NULL: connected */
	struct anyio_task_handle handle;
	int sent, rc;
};

/* Until it is stopped: far more than a queue takes. */
static int send_many(void *arg)
{
	struct sending *self = arg;

	for (; self->sent < 2000 && self->rc == 0; self->sent += self->rc == 0)
		self->rc = self->to == NULL
			? anyio_datagram_send(self->datagram, &self->sent, sizeof(int))
			: anyio_datagram_send_to(
				  self->datagram, &self->sent, sizeof(int), self->to);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

struct full {
	struct folder folder;
	struct anyio_address address;
	struct anyio_datagram *server;
	struct sending sending;
	struct anyio_task_group group;
};

/* With a sender that waits for room: a connected one in the kernel, another asleep. */
static void full_begin(struct full *full, bool connected)
{
	*full = (struct full){ .sending.rc = 0 };
	folder_make(&full->folder);
	full->address = path_address(full->folder.path);
	full->server = bind_unix(full->folder.path);
	full->sending.to = connected ? NULL : &full->address;
	if (connected)
		CHECK_RC(
			anyio_datagram_connect(&full->address, NULL, NULL, &full->sending.datagram),
			0);
	else
		CHECK_RC(anyio_datagram_open(AF_UNIX, NULL, &full->sending.datagram), 0);
	anyio_task_group_enter(&full->group);
	spawn(&full->group, send_many, &full->sending, &full->sending.handle);
	anyio_wait_all_tasks_blocked();
	/* Where each send takes its time, there is no other. */
	if (strcmp(anyio_backend_name(), "sim") == 0)
		CHECK_RC(anyio_sleep(ANYIO_SECOND), 0);
	CHECK_RC(full->sending.rc, 0);
	CHECK(full->sending.sent > 0 && full->sending.sent < 2000);
}

static void full_end(struct full *full)
{
	anyio_datagram_free(full->sending.datagram);
	anyio_datagram_free(full->server);
	folder_remove(&full->folder);
}

static void full_is_drained(bool connected)
{
	struct full full;
	int number = -1;

	full_begin(&full, connected);
	CHECK_RC(full.sending.to == NULL
			? anyio_datagram_send(full.sending.datagram, "x", 1)
			: anyio_datagram_send_to(full.sending.datagram, "x", 1, full.sending.to),
		ANYIO_BUSY);
	for (int i = 0; i < 2000; i++) {
		CHECK_RC(anyio_datagram_receive(full.server, &number, sizeof(number), NULL),
			sizeof(number));
		CHECK_RC(number, i);
	}
	CHECK_RC(anyio_task_group_exit(&full.group, 0), 0);
	CHECK_RC(full.sending.rc, 0);
	full_end(&full);
}

static int c48_second_concurrent_sender_gets_busy_and_the_first_waits_for_room(void *arg)
{
	full_is_drained(true);
	full_is_drained(false);
	return 0;
}

static void full_is_closed(bool connected, bool cancel)
{
	struct full full;
	int number;

	full_begin(&full, connected);
	if (cancel)
		anyio_task_handle_cancel(&full.sending.handle, "test");
	else
		anyio_datagram_close(full.sending.datagram);
	CHECK_RC(anyio_task_group_exit(&full.group, 0), 0);
	CHECK_RC(full.sending.rc, cancel ? ANYIO_CANCELLED : ANYIO_CLOSED);
	/* What was refused was not sent. */
	for (int i = 0; i < full.sending.sent; i++)
		CHECK_RC(anyio_datagram_receive(full.server, &number, sizeof(number), NULL),
			sizeof(number));
	if (cancel && connected) {
		CHECK_RC(anyio_datagram_send(full.sending.datagram, "last", 4), 0);
		CHECK_RC(anyio_datagram_receive(full.server, &number, sizeof(number), NULL), 4);
		CHECK(memcmp(&number, "last", 4) == 0);
	}
	full_end(&full);
}

static int c49_close_and_cancel_wake_a_blocked_sender(void *arg)
{
	for (int i = 0; i < 4; i++)
		full_is_closed(i % 2, i / 2);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(unix_datagrams_are_answered_by_name, 0),
		CONFORM(only_a_stale_unix_socket_is_replaced, CONFORM_MOCK),
		CONFORM(c48_second_concurrent_sender_gets_busy_and_the_first_waits_for_room, 0),
		CONFORM(c49_close_and_cancel_wake_a_blocked_sender, 0),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
