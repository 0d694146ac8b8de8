/*
 * A port scanner: which of a host's TCP ports take connections.
 *
 * Each port is a task, but a limiter has only so many tokens: the program takes one before it
 * starts a task and the task gives it back, so that neither sockets nor stacks run out however
 * many ports there are. A port that does not answer is given up after its timeout.
 */
#include <anyio/anyio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	const char *host;
	unsigned long first, last, limit, timeout; /* of one port, in milliseconds */
} arguments = { .limit = 200, .timeout = 1000 };

struct port {
	struct anyio_address address;
	struct anyio_limiter *limiter;
	bool open;
};

static int connect_port(void *arg)
{
	struct port *port = arg;
	struct anyio_stream *stream;
	int rc = anyio_connect_address(&port->address, &stream);

	if (rc == 0)
		anyio_stream_free(stream);
	return rc;
}

static int try_port(void *arg)
{
	struct port *port = arg;
	anyio_time timeout = (anyio_time)arguments.timeout * ANYIO_MILLISECOND;
	int rc = anyio_fail_after(timeout, connect_port, port);

	port->open = rc == 0;
	anyio_limiter_release_for(
		port->limiter, port); /* the token is the port's, not the task's */
	return rc == ANYIO_CANCELLED ? rc : 0;
}

static int try_all(struct port *ports, size_t count)
{
	struct anyio_limiter limiter;
	int rc = 0;

	anyio_limiter_init(&limiter, arguments.limit);
	ANYIO_TASK_GROUP(group);
	for (size_t i = 0; i < count && rc == 0; i++) {
		ports[i].limiter = &limiter;
		rc = anyio_limiter_acquire_for(&limiter, &ports[i]);
		if (rc == 0)
			rc = anyio_start_soon(&group, try_port, &ports[i], "port");
	}
	rc = anyio_task_group_exit(&group, rc);
	anyio_limiter_destroy(&limiter);
	return rc;
}

static int body(void *arg)
{
	size_t found, count = arguments.last - arguments.first + 1, open = 0;
	struct anyio_address *address;
	int rc = anyio_getaddrinfo(arguments.host, 0, AF_UNSPEC, &address, &found);

	if (rc < 0)
		return rc;
	struct port *ports = calloc(count, sizeof *ports);
	for (size_t i = 0; ports && i < count; i++) {
		ports[i].address = *address;
		/* The port is at the same place in both kinds of address. */
		ports[i].address.ip4.sin_port = htons((uint16_t)(arguments.first + i));
	}
	rc = ports ? try_all(ports, count) : -ENOMEM;
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (ports[i].open) {
			printf("%lu\n", arguments.first + i);
			open++;
		}
	}
	if (rc == 0)
		fprintf(stderr, "%zu of %zu ports are open\n", open, count);
	free(ports);
	free(address);
	return rc;
}

/* Reads a number between low and high; false when there is none. */
static bool number(const char *text, unsigned long low, unsigned long high, unsigned long *out)
{
	char *end;

	*out = text ? strtoul(text, &end, 10) : 0;
	return text && *text >= '0' && *text <= '9' && *end == 0 && *out >= low && *out <= high;
}

static bool parse(char **argv)
{
	for (; *argv && strncmp(*argv, "--", 2) == 0; argv += 2) {
		bool limit = strcmp(*argv, "--limit") == 0;
		if (!limit && strcmp(*argv, "--timeout") != 0)
			return false;
		if (!number(argv[1], 1, 100000, limit ? &arguments.limit : &arguments.timeout))
			return false;
	}
	arguments.host = *argv;
	char *range = *argv ? argv[1] : NULL, *dash = range ? strchr(range, '-') : NULL;
	if (!range || argv[2])
		return false;
	if (dash)
		*dash = 0;
	return number(range, 1, 65535, &arguments.first) &&
		number(dash ? dash + 1 : range, arguments.first, 65535, &arguments.last);
}

int main(int argc, char **argv)
{
	if (!parse(argv + 1)) {
		bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
		fprintf(help ? stdout : stderr,
			"usage: scan [--limit N] [--timeout MILLISECONDS] HOST FIRST[-LAST]\n\n"
			"Prints the TCP ports of HOST that take connections; N (200) are tried at a time,\n"
			"each for at most 1000 ms.\n");
		return help ? 0 : 2;
	}
	int rc = anyio_run(body, NULL, NULL);
	if (rc < 0)
		fprintf(stderr, "scan: %s\n", anyio_error_text(rc));
	return rc == ANYIO_CANCELLED ? 130 : rc < 0;
}
