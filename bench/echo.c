/*
 * A bare epoll echo server, and the client that loads any echo server.
 *
 *	echo serve                          prints its port and serves
 *	echo load PORT CONNECTIONS SECONDS  64 bytes to and fro on each: thousands of echoes a
 *	                                    second
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE = 64, EVENTS = 256 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(int poll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
}

static void no_delay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static _Noreturn void serve(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), poll = epoll_create1(0);
	struct epoll_event events[EVENTS];
	char buffer[4096];

	if (bind(listener, (void *)&address, len) || listen(listener, 1024) ||
		getsockname(listener, (void *)&address, &len))
		die("listen");
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	watch(poll, listener);
	for (;;) {
		int count = epoll_wait(poll, events, EVENTS, -1);
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;
			if (fd == listener) {
				fd = accept(listener, NULL, NULL);
				no_delay(fd);
				watch(poll, fd);
				continue;
			}
			ssize_t n = read(fd, buffer, sizeof(buffer));
			if (n <= 0 || write(fd, buffer, (size_t)n) != n)
				close(fd);
		}
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int load(int port, int connections, double seconds)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event events[EVENTS];
	char message[MESSAGE] = "echo";
	int poll = epoll_create1(0);
	unsigned long echoes = 0;

	for (int i = 0; i < connections; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (void *)&address, sizeof(address)))
			die("connect");
		no_delay(fd);
		watch(poll, fd);
		if (write(fd, message, MESSAGE) != MESSAGE)
			die("write");
	}
	double began = now(), ended = began;
	while (ended - began < seconds) {
		int count = epoll_wait(poll, events, EVENTS, -1);
		for (int i = 0; i < count; i++, echoes++)
			if (recv(events[i].data.fd, message, MESSAGE, MSG_WAITALL) != MESSAGE ||
				write(events[i].data.fd, message, MESSAGE) != MESSAGE)
				die("echo");
		ended = now();
	}
	printf("%.2f\n", (double)echoes / (ended - began) / 1000);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "serve") == 0)
		serve();
	if (argc == 5 && strcmp(argv[1], "load") == 0)
		return load(atoi(argv[2]), atoi(argv[3]), atof(argv[4]));
	fprintf(stderr, "usage: echo serve | load PORT CONNECTIONS SECONDS\n");
	return 2;
}
