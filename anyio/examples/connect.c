/*
 * Happy eyeballs (RFC 8305): connects to the first of several addresses that answers.
 *
 * A host may have addresses that lead nowhere. So the next one is tried when the last has failed,
 * or has been silent for a quarter of a second, while those before it go on; the first that
 * succeeds cancels all others. anyio_connect_tcp does this in one call; here it is written out,
 * as an example of what usually needs a state machine: two tasks, an event, and a cancellation.
 */
#include <anyio/anyio.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS_MAX = 16 };

struct race {
	struct anyio_task_group *group;
	struct anyio_stream *winner;
	size_t count;
	int rc; /* the first failure */
	struct attempt {
		struct race *race;
		struct anyio_address address;
		struct anyio_event failed;
	} attempts[ATTEMPTS_MAX];
};

static void tell(const struct anyio_address *address, const char *what)
{
	char text[64];

	anyio_address_format(address, text, sizeof text);
	fprintf(stderr, "%s: %s\n", text, what);
}

static int try_one(void *arg)
{
	struct attempt *attempt = arg;
	struct race *race = attempt->race;
	struct anyio_stream *stream;

	tell(&attempt->address, "trying");
	int rc = anyio_connect_address(&attempt->address, &stream);
	if (rc < 0) {
		tell(&attempt->address, anyio_error_text(rc));
		if (rc == ANYIO_CANCELLED)
			return rc;
		if (!race->rc)
			race->rc = rc;
		anyio_event_set(&attempt->failed);
	} else if (race->winner) {
		anyio_stream_free(stream); /* both succeeded in the same turn */
	} else {
		race->winner = stream;
		anyio_task_group_cancel(race->group, "connected");
	}
	return 0;
}

static int wait_for_failure(void *arg)
{
	return anyio_event_wait(&((struct attempt *)arg)->failed);
}

static int run_race(struct race *race)
{
	int rc = 0;

	ANYIO_TASK_GROUP(group);
	race->group = &group;
	for (size_t i = 0; i < race->count && rc == 0; i++) {
		struct attempt *attempt = &race->attempts[i];
		attempt->race = race;
		anyio_event_init(&attempt->failed);
		rc = anyio_start_soon(&group, try_one, attempt, "attempt");
		if (rc == 0)
			rc = anyio_move_on_after(
				250 * ANYIO_MILLISECOND, wait_for_failure, attempt);
	}
	/* Waits for the attempts; being cancelled by the winner is no error. */
	rc = anyio_task_group_exit(&group, rc);
	return race->winner ? 0 : rc ? rc : race->rc;
}

/* The addresses of a host, after those that are there already. */
static int resolve(struct race *race, const char *host, uint16_t port)
{
	struct anyio_address *found;
	size_t count;
	int rc = anyio_getaddrinfo(host, port, AF_UNSPEC, &found, &count);

	for (size_t i = 0; rc == 0 && i < count && race->count < ATTEMPTS_MAX; i++)
		race->attempts[race->count++].address = found[i];
	if (rc == 0)
		free(found);
	return rc;
}

static int body(void *arg)
{
	char **words = arg; /* PORT HOST... */
	struct race race = { 0 };
	struct anyio_address address;
	char text[64];
	int rc = 0;

	for (char **host = words + 1; *host && rc == 0; host++)
		rc = resolve(&race, *host, (uint16_t)strtoul(words[0], NULL, 10));
	if (rc == 0)
		rc = run_race(&race);
	if (race.winner && anyio_stream_remote_address(race.winner, &address) == 0) {
		anyio_address_format(&address, text, sizeof text);
		printf("connected to %s\n", text);
	}
	anyio_stream_free(race.winner);
	return rc;
}

int main(int argc, char **argv)
{
	if (argc < 3 || argv[1][strspn(argv[1], "0123456789")] ||
		strtoul(argv[1], NULL, 10) > 65535) {
		bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
		fprintf(help ? stdout : stderr,
			"usage: connect PORT HOST...\n\n"
			"Connects to PORT of whichever address of the HOSTs answers first and says which\n"
			"it was. Each address is tried when the one before it fails, or after 250 ms.\n");
		return help ? 0 : 2;
	}
	int rc = anyio_run(body, argv + 1, NULL);
	if (rc < 0)
		fprintf(stderr, "connect: %s\n", anyio_error_text(rc));
	return rc == ANYIO_CANCELLED ? 130 : rc < 0;
}
