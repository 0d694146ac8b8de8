/*
 * An instrument is told what the loop does: here it counts, for a metric or a profile.
 */
#include <anyio/instrument.h>
#include <anyio/file.h>
#include <stdio.h>
#include <string.h>

struct counts {
	unsigned spawned, failed, reads;
};

static void on_spawn(void *arg, const struct anyio_task *task)
{
	((struct counts *)arg)->spawned++;
}

static void on_end(void *arg, const struct anyio_task *task, int result)
{
	((struct counts *)arg)->failed += result < 0;
}

static void on_operation(void *arg, const struct anyio_task *task, const char *operation, int fd)
{
	((struct counts *)arg)->reads += strcmp(operation, "read at") == 0;
}

static int look(void *path)
{
	char byte;
	int fd = anyio_open(path, O_RDONLY, 0);

	if (fd < 0)
		return fd;
	int rc = anyio_pread_all(fd, &byte, 1, 0);
	anyio_close(fd);
	return rc;
}

static int body(void *arg)
{
	struct counts counts = { 0 };
	struct anyio_instrument instrument = { .arg = &counts,
		.task_spawned = on_spawn,
		.task_ended = on_end,
		.operation_started = on_operation };
	int rc = anyio_instrument_add(&instrument); /* it stays here until it is removed */

	if (rc < 0)
		return rc;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, look, "/proc/self/status", "look");
	anyio_start_soon(&group, look, "/proc/self/stat", "look");
	rc = anyio_task_group_exit(&group, 0);
	int removed = anyio_instrument_remove(&instrument);
	printf("%u tasks, %u failed, %u reads\n", counts.spawned, counts.failed, counts.reads);
	return rc ? rc : removed;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "instrument: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * 2 tasks, 0 failed, 2 reads
 */
