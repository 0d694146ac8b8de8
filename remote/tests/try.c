/*
 * A store, by hand and for tests/interop/s3.py and sftp.py: one command, its answer on standard output; or, on standard error,
 * the code, what happened, and what to do. Credentials come from the environment, or from the file that $TRY_CREDENTIALS names;
 * for SFTP $TRY_USER, $TRY_KEY and $TRY_KNOWN_HOSTS. $TRY_FAULT_AT lets that allocation fail, counted from when the remote runs;
 * it exits with 3 when there are not so many.
 *
 * remote-try ENDPOINT BUCKET-OR-FOLDER PREFIX put NAME FILE | get NAME OFFSET SIZE | head NAME | delete NAME | list START AFTER |
 *            sweep | many COUNT SIZE | down NAME | probe NAME | twice NAME
 */
#include <anyio/anyio.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <multiformats/sha256.h>
#include <remote/object.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct
try {
	struct remote *remote;
	char **words;
	int count;
	struct remote_why why;
	bool beyond; /* TRY_FAULT_AT is */
};

static const char *word(const struct try *try, int n)
{
	return n < try->count ? try->words[n] : "";
}

static uint64_t number(const struct try *try, int n)
{
	return strtoull(word(try, n), NULL, 10);
}

static uint64_t from_environment(const char *name)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 10) : 0;
}

static int run_put(struct try *try)
{
	int fd = open(word(try, 2), O_RDONLY | O_CLOEXEC), rc;
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	if (size < 0)
		return -errno;
	rc = remote_put(try->remote, word(try, 1), fd, 0, (uint64_t)size, NULL, &try->why);
	close(fd);
	return rc;
}

static int write_out(void *arg, const void *data, size_t len)
{
	return anyio_write_all(STDOUT_FILENO, data, len);
}

static int run_get(struct try *try)
{
	return remote_get_to(try->remote, word(try, 1), number(try, 2), number(try, 3), write_out,
		NULL, &try->why);
}

static int run_head(struct try *try)
{
	struct remote_head head;
	int rc = remote_head(try->remote, word(try, 1), &head, &try->why);

	if (!rc)
		printf("%" PRIu64 " %s\n", head.size, head.etag);
	return rc;
}

static int run_delete(struct try *try)
{
	return remote_delete(try->remote, word(try, 1), &try->why);
}

static int print_entry(void *arg, const struct remote_entry *entry)
{
	printf("%" PRIu64 " %s\n", entry->size, entry->name);
	return 0;
}

static int run_list(struct try *try)
{
	return remote_list(try->remote, word(try, 1), try->count > 2 ? word(try, 2) : NULL,
		print_entry, NULL, &try->why);
}

static int run_sweep(struct try *try)
{
	int swept = remote_sweep(try->remote, &try->why);

	if (swept < 0)
		return swept;
	printf("%d\n", swept);
	return 0;
}

/* ---- many at once ---- */

struct one {
	struct try *try;
	uint64_t n, size;
};

static ssize_t read_pattern(void *arg, void *buffer, size_t size, uint64_t offset)
{
	const struct one *one = arg;
	uint8_t *out = buffer;

	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)((offset + i) * 31 + one->n * 7);
	return (ssize_t)size;
}

static int compare_pattern(struct one *one, uint8_t *got, ssize_t len)
{
	uint8_t *wanted = got + one->size;

	if (len < 0)
		return (int)len;
	read_pattern(one, wanted, one->size, 0);
	return (uint64_t)len == one->size && !memcmp(got, wanted, one->size) ? 0 : -EBADMSG;
}

/* Puts an object, reads it back, and removes it. */
static int run_one(void *arg)
{
	struct one *one = arg;
	struct try *try = one->try;
	struct remote_source source = { read_pattern, one, one->size };
	uint8_t *got = anyio_malloc(2 * one->size);
	char name[40];
	int rc = got ? 0 : -ENOMEM;

	snprintf(name, sizeof(name), "many-%" PRIu64, one->n);
	if (!rc)
		rc = remote_put_from(try->remote, name, &source, NULL, &try->why);
	if (!rc)
		rc = compare_pattern(
			one, got, remote_get(try->remote, name, 0, got, one->size, &try->why));
	if (!rc)
		rc = remote_delete(try->remote, name, &try->why);
	anyio_free(got);
	return rc;
}

static int run_many(struct try *try)
{
	uint64_t count = number(try, 1);
	struct one *ones = anyio_calloc(count, sizeof(*ones));
	int rc;

	ANYIO_TASK_GROUP(group);
	for (uint64_t i = 0; i < count; i++) {
		ones[i] = (struct one){ try, i, number(try, 2) };
		anyio_start_soon(&group, run_one, &ones[i], "one");
	}
	rc = anyio_task_group_exit(&group, 0);
	anyio_free(ones);
	return rc;
}

/* ---- the breaker ---- */

/* Asks until the store counts as down; prints how many requests that took. */
static int run_down(struct try *try)
{
	struct remote_statistics stat;
	struct remote_head head;
	int rc = 0;

	for (int i = 0; i < 100 && rc != -EHOSTDOWN; i++)
		rc = remote_head(try->remote, word(try, 1), &head, &try->why);
	remote_stat(try->remote, &stat);
	printf("%" PRIu64 " %d\n", stat.requests, stat.down);
	fflush(stdout);
	return rc;
}

/* The same, and then until it is up again. */
static int run_probe(struct try *try)
{
	struct remote_head head;
	int rc = run_down(try);

	while (rc == -EHOSTDOWN || rc == -EBUSY || rc == -ECONNRESET || rc == -EHOSTUNREACH) {
		rc = anyio_sleep(20 * ANYIO_MILLISECOND);
		if (!rc)
			rc = remote_head(try->remote, word(try, 1), &head, &try->why);
	}
	return rc;
}

/* ---- kept connections ---- */

/* Asks, says so, and asks again once there is something to be read on standard input, or its end. */
static int run_twice(struct try *try)
{
	struct remote_statistics stat;
	int rc = run_head(try);

	fflush(stdout);
	if (!rc)
		rc = anyio_wait_readable(STDIN_FILENO);
	if (!rc)
		rc = run_head(try);
	remote_stat(try->remote, &stat);
	printf("%" PRIu64 "\n", stat.requests);
	return rc;
}

/* ---- all of it ---- */

static const struct {
	const char *name;
	int (*run)(struct try *try);
} commands[] = { { "put", run_put }, { "get", run_get }, { "head", run_head },
	{ "delete", run_delete }, { "list", run_list }, { "sweep", run_sweep },
	{ "many", run_many }, { "down", run_down }, { "probe", run_probe },
	{ "twice", run_twice } };

static int run_command(void *arg)
{
	struct try *try = arg;

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(commands[i].name, word(try, 0)))
			return commands[i].run(try);
	return -EINVAL;
}

static int run_in_time(struct try *try)
{
	uint64_t milliseconds = from_environment("TRY_TIMEOUT_MS");
	uint64_t fault_at = from_environment("TRY_FAULT_AT");
	int rc;

	if (fault_at)
		anyio_fault_set(ANYIO_FAULT_MEMORY, fault_at, 0);
	rc = anyio_fail_after(
		milliseconds ? (anyio_time)milliseconds * ANYIO_MILLISECOND : ANYIO_FOREVER,
		run_command, try);
	try->beyond = fault_at && anyio_fault_count(ANYIO_FAULT_MEMORY) < fault_at;
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	return rc;
}

static int root(void *arg)
{
	struct try *try = arg;
	int rc;

	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, remote_run, try->remote, "remote");
	rc = run_in_time(try);
	if (rc && !try->why.what[0])
		snprintf(try->why.what, sizeof(try->why.what), "%s", anyio_error_text(rc));
	anyio_task_group_cancel(&group, "done");
	anyio_task_group_exit(&group, 0);
	return rc;
}

static int open_remote(struct try *try, char **words)
{
	struct remote_options options = { .endpoint = words[1],
		.bucket = words[2],
		.folder = words[2],
		.prefix = words[3],
		.user = getenv("TRY_USER"),
		.key_file = getenv("TRY_KEY"),
		.known_hosts = getenv("TRY_KNOWN_HOSTS"),
		.ca_file = getenv("TRY_CA"),
		.part_size = from_environment("TRY_PART_SIZE"),
		.attempts = (unsigned)from_environment("TRY_ATTEMPTS"),
		.down = (anyio_time)from_environment("TRY_DOWN_MS") * ANYIO_MILLISECOND,
		.idle = (anyio_time)from_environment("TRY_IDLE_MS") * ANYIO_MILLISECOND,
		.silence = (anyio_time)from_environment("TRY_SILENCE_S") * ANYIO_SECOND,
		.durable = from_environment("TRY_DURABLE") != 0,
		.pause = 20 * ANYIO_MILLISECOND };
	const char *file = getenv("TRY_CREDENTIALS");
	int rc = 0;

	if (file)
		rc = remote_credentials_file(&options.credentials, file, &try->why);
	else if (!options.key_file)
		rc = remote_credentials_environment(&options.credentials, &try->why);
	if (!rc)
		rc = remote_create(&options, &try->remote, &try->why);
	remote_credentials_wipe(&options.credentials);
	return rc;
}

int main(int argc, char **argv)
{
	struct try try = { .words = argv + 4, .count = argc - 4 };
	int rc;

	if (argc < 5)
		return 2;
	rc = open_remote(&try, argv);
	if (!rc)
		rc = anyio_run(root, &try, NULL);
	remote_free(try.remote);
	if (rc)
		fprintf(stderr, "%s: %s; %s\n", anyio_error_name(rc), try.why.what, try.why.hint);
	return try.beyond ? 3 : rc ? 1 : 0;
}
