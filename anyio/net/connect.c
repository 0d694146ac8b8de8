/*
 * Connecting: to one address, and to the first of several that answers (RFC 8305).
 *
 * In the race every attempt is a task. The host starts one, waits until it failed or the delay has
 * passed, and starts the next. The winner leaves its stream and cancels the group; an attempt
 * that connected in spite of that closes what it got.
 */
#include <errno.h>
#include <string.h>
#include <anyio/sync.h>
#include "net.h"

#define DELAY (250 * ANYIO_MILLISECOND)

static const struct anyio_connect_options defaults;

/* A UNIX listener whose queue is full answers -EAGAIN instead of letting the caller wait. */
static int socket_connect(int fd, const struct anyio_address *address)
{
	for (anyio_time pause = ANYIO_MILLISECOND;; pause += pause) {
		int rc = anyio_fd_connect(fd, address);

		if (rc != -EAGAIN || address->any.sa_family != AF_UNIX)
			return rc;
		if (pause > 64 * ANYIO_MILLISECOND)
			pause = 64 * ANYIO_MILLISECOND;
		rc = anyio_sleep(pause);
		if (rc < 0)
			return rc;
	}
}

static int socket_bind(int fd, int family, const struct anyio_address *local)
{
	if (local->any.sa_family != family || family == AF_UNIX)
		return -EAFNOSUPPORT;
	/* A port is chosen when it is known whither, so that one does for many connections. */
	anyio_fd_flag(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	return anyio_fd_bind(fd, local);
}

int anyio_connect_address_with(const struct anyio_address *address,
	const struct anyio_connect_options *options, struct anyio_stream **stream)
{
	int family = address->any.sa_family, rc;
	int fd = anyio_fd_socket(family, SOCK_STREAM);
	enum anyio_rights rights;

	*stream = NULL;
	if (fd < 0)
		return fd;
	rc = anyio_passing_set(fd, family, options != NULL && options->descriptors, &rights);
	if (rc == 0 && options != NULL && options->local != NULL)
		rc = socket_bind(fd, family, options->local);
	if (rc == 0)
		rc = socket_connect(fd, address);
	if (rc < 0) {
		anyio_fd_close(fd);
		return rc;
	}
	anyio_tune_connected(fd, family);
	return anyio_stream_from_socket(fd, family, rights, stream);
}

int anyio_connect_address(const struct anyio_address *address, struct anyio_stream **stream)
{
	return anyio_connect_address_with(address, NULL, stream);
}

int anyio_connect_unix(const char *path, struct anyio_stream **stream)
{
	struct anyio_address address;
	int rc = anyio_address_unix(&address, path);

	*stream = NULL;
	return rc < 0 ? rc : anyio_connect_address(&address, stream);
}

struct race {
	const struct anyio_connect_options *options;
	struct anyio_task_group group;
	struct anyio_stream *winner;
	struct attempt *attempts;
};

struct attempt {
	struct race *race;
	const struct anyio_address *address;
	struct anyio_event failed;
	int rc;
};

static int race_attempt(void *arg)
{
	struct attempt *attempt = arg;
	struct race *race = attempt->race;
	struct anyio_stream *stream;

	attempt->rc = anyio_connect_address_with(attempt->address, race->options, &stream);
	if (attempt->rc < 0) {
		anyio_event_set(&attempt->failed);
		return attempt->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
	}
	if (race->winner != NULL) {
		anyio_stream_free(stream);
		return 0;
	}
	race->winner = stream;
	anyio_task_group_cancel(&race->group, "connected");
	return 0;
}

static int race_wait(void *arg)
{
	return anyio_event_wait(arg);
}

static int race_start(struct race *race, const struct anyio_address *addresses, size_t count)
{
	anyio_time delay = race->options->delay == 0 ? DELAY : race->options->delay;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		struct attempt *attempt = &race->attempts[i];

		attempt->race = race;
		attempt->address = &addresses[i];
		anyio_event_init(&attempt->failed);
		rc = anyio_start_soon(&race->group, race_attempt, attempt, "connect");
		if (rc == 0 && i + 1 < count)
			rc = anyio_move_on_after(delay, race_wait, &attempt->failed);
	}
	return rc;
}

int anyio_connect_race(const struct anyio_address *addresses, size_t count,
	const struct anyio_connect_options *options, struct anyio_stream **stream)
{
	struct race race = { .options = options == NULL ? &defaults : options };
	int rc;

	*stream = NULL;
	if (count == 0)
		return -ENOENT;
	if (count == 1)
		return anyio_connect_address_with(&addresses[0], options, stream);
	race.attempts = anyio_calloc(count, sizeof(*race.attempts));
	if (race.attempts == NULL)
		return -ENOMEM;
	anyio_task_group_enter(&race.group);
	rc = anyio_task_group_exit(&race.group, race_start(&race, addresses, count));
	if (rc == 0 && race.winner == NULL)
		rc = race.attempts[0].rc;
	if (rc < 0)
		anyio_stream_free(race.winner);
	else
		*stream = race.winner;
	anyio_free(race.attempts);
	return rc;
}

static void address_move(struct anyio_address *addresses, size_t from, size_t to)
{
	struct anyio_address moved = addresses[from];

	memmove(&addresses[to + 1], &addresses[to], (from - to) * sizeof(moved));
	addresses[to] = moved;
}

void anyio_addresses_interleave(struct anyio_address *addresses, size_t count)
{
	int wanted = AF_INET6;

	for (size_t i = 0; i < count; i++) {
		size_t j = i;

		while (j < count && addresses[j].any.sa_family != wanted)
			j++;
		if (j < count)
			address_move(addresses, j, i);
		wanted = addresses[i].any.sa_family == AF_INET6 ? AF_INET : AF_INET6;
	}
}

int anyio_connect_tcp_with(const char *host, uint16_t port,
	const struct anyio_connect_options *options, struct anyio_stream **stream)
{
	struct anyio_address *addresses;
	int family = AF_UNSPEC, rc;
	size_t count;

	*stream = NULL;
	if (options != NULL && options->local != NULL)
		family = options->local->any.sa_family;
	if (family == AF_UNIX)
		return -EAFNOSUPPORT;
	rc = anyio_getaddrinfo(host, port, family, &addresses, &count);
	if (rc < 0)
		return rc;
	anyio_addresses_interleave(addresses, count);
	rc = anyio_connect_race(addresses, count, options, stream);
	anyio_free(addresses);
	return rc;
}

int anyio_connect_tcp(const char *host, uint16_t port, struct anyio_stream **stream)
{
	return anyio_connect_tcp_with(host, port, NULL, stream);
}
