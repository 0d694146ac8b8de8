/*
 * The machine's limits for what bench/runtime measures, and the load for any server.
 *
 *	bare switch            ns of a bare switch of stacks, without a scheduler
 *	bare spawn COUNT       ns of starting and joining a coroutine on a pooled stack, COUNT at once
 *	bare handover          ns of an item through a bare rendezvous: half a ping-pong
 *	bare contexts          ns of the C library's swapcontext
 *	bare pthreads          ns of starting and joining a thread, 1,000 at a time
 *	bare calls-uv          ns of a call on a thread of libuv's pool, to and fro
 *	bare timers-uv COUNT   ns of setting and cancelling a timer of libuv while COUNT are pending
 *	bare touch COUNT       ns of going to a random one of COUNT places in memory
 *	bare echo-epoll, echo-uring, echo-uv
 *	                       an echo server each; prints its port
 *	bare load PORT CONNECTIONS SIZE SECONDS
 *	                       SIZE bytes to and fro on each connection: thousands of echoes a second
 *	bare sink              takes what connections send, by blocking calls; prints its port
 *	bare pour PORT SECONDS GB/s into a sink, until it has taken all
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include "bare.h"

static double read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

double used(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void die(const char *what)
{
	perror(what);
	exit(1);
}

void no_delay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* As the runtime does for loopback: see net/tune.c. */
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

int listen_here(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (void *)&address, len) || listen(listener, 1024) ||
		getsockname(listener, (void *)&address, &len))
		die("listen");
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return listener;
}

static int run_numbered(int argc, char **argv)
{
	const char *what = argv[1];

	if (argc == 3 && strcmp(what, "spawn") == 0)
		return spawns(atoi(argv[2]));
	if (argc == 3 && strcmp(what, "timers-uv") == 0)
		return timers_uv(atoi(argv[2]));
	if (argc == 3 && strcmp(what, "touch") == 0)
		return touch(atoi(argv[2]));
	if (argc == 4 && strcmp(what, "pour") == 0)
		return pour(atoi(argv[2]), atof(argv[3]));
	if (argc == 6 && strcmp(what, "load") == 0)
		return load(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), atof(argv[5]));
	fprintf(stderr, "usage: bare MEASURE [ARGUMENT...]; the measures are in main.c\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(void);
		bool twice; /* the first is warm-up: the last line counts */
	} measures[] = {
		{ "switch", switches, true },
		{ "handover", handovers, true },
		{ "contexts", contexts },
		{ "pthreads", pthreads },
		{ "calls-uv", calls_uv },
		{ "echo-epoll", echo_epoll },
		{ "echo-uring", echo_uring },
		{ "echo-uv", echo_uv },
		{ "sink", sink },
	};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; argc == 2 && i < sizeof(measures) / sizeof(*measures); i++)
		if (strcmp(argv[1], measures[i].name) == 0)
			return measures[i].run() || (measures[i].twice && measures[i].run());
	return run_numbered(argc, argv);
}
