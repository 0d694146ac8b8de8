/* Both sides of a blocking transfer, and the client that loads any echo server. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "bare.h"

enum { EVENTS = 1024, BUFFER = 256 << 10 };

static int connect_to(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (void *)&address, sizeof(address)))
		die("connect");
	no_delay(fd);
	return fd;
}

struct connection {
	int fd, poll;
	int sent, received;
	bool watches_writing;
};

static char message[BUFFER], answer[BUFFER];

static void watch(struct connection *connection, int how, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = connection };

	if (epoll_ctl(connection->poll, how, connection->fd, &event))
		die("epoll_ctl");
}

static void send_more(struct connection *connection, int size)
{
	while (connection->sent < size) {
		ssize_t n = send(
			connection->fd, message, (size_t)(size - connection->sent), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			die("send");
		if (n < 0)
			break;
		connection->sent += (int)n;
	}
	bool unsent = connection->sent < size;
	if (unsent != connection->watches_writing)
		watch(connection, EPOLL_CTL_MOD, unsent ? EPOLLIN | EPOLLOUT : EPOLLIN);
	connection->watches_writing = unsent;
}

/* True when the message has come back whole. */
static bool receive_more(struct connection *connection, int size)
{
	ssize_t n =
		recv(connection->fd, answer, (size_t)(size - connection->received), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		die("recv");
	if (n > 0)
		connection->received += (int)n;
	if (connection->received < size)
		return false;
	connection->sent = connection->received = 0;
	return true;
}

static struct connection *connect_all(int port, int count)
{
	struct connection *connections = calloc((size_t)count, sizeof(*connections));
	int poll = epoll_create1(0);

	if (!connections)
		die("connections");
	for (int i = 0; i < count; i++) {
		connections[i].fd = connect_to(port);
		connections[i].poll = poll;
		watch(&connections[i], EPOLL_CTL_ADD, EPOLLIN);
	}
	return connections;
}

int load(int port, int count, int size, double seconds)
{
	struct connection *connections = connect_all(port, count);
	struct epoll_event events[EVENTS];
	unsigned long echoes = 0;
	double began = 0, warm = now() + seconds * 0.2e9, until = now() + seconds * 1.2e9,
	       ended = 0;

	if (size < 1 || size > BUFFER)
		return 2;
	for (int i = 0; i < count; i++)
		send_more(&connections[i], size);
	while (ended < until) {
		int ready = epoll_wait(connections->poll, events, EVENTS, -1);
		for (int i = 0; i < ready; i++) {
			struct connection *connection = events[i].data.ptr;
			if (events[i].events & EPOLLOUT)
				send_more(connection, size);
			if (events[i].events & EPOLLIN && receive_more(connection, size)) {
				echoes++;
				send_more(connection, size);
			}
		}
		ended = now();
		if (began == 0 && ended > warm) {
			began = ended;
			echoes = 0;
		}
	}
	printf("%.3f\n", (double)echoes / (ended - began) * 1e6);
	return 0;
}

int sink(void)
{
	int listener = listen_here(), fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		uint64_t total = 0;
		ssize_t n;
		no_delay(fd);
		while ((n = recv(fd, answer, BUFFER, 0)) > 0)
			total += (uint64_t)n;
		if (n < 0 || send(fd, &total, sizeof(total), 0) != sizeof(total))
			die("sink");
		close(fd);
	}
	die("accept");
}

int pour(int port, double seconds)
{
	int fd = connect_to(port);
	double began = now(), until = began + seconds * 1e9;
	uint64_t sent = 0, taken = 0;

	for (ssize_t n; now() < until; sent += (uint64_t)n)
		if ((n = send(fd, message, BUFFER, 0)) < 0)
			die("send");
	shutdown(fd, SHUT_WR);
	if (recv(fd, &taken, sizeof(taken), MSG_WAITALL) != sizeof(taken) || taken != sent)
		die("pour");
	printf("%.3f\n", (double)sent / (now() - began));
	return 0;
}
