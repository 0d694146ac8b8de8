/*
 * Waiting for a descriptor of another library's: a task waits until it can be read, and is told before
 * somebody closes it.
 */
#include <anyio/net.h>
#include <anyio/sync.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static struct anyio_event seen;

static int watch(void *arg)
{
	int fd = *(int *)arg, rc;
	char byte;

	while ((rc = anyio_wait_readable(fd)) == 0) {
		if (read(fd, &byte, 1) == 1)
			printf("read %c\n", byte);
		anyio_event_set(&seen);
	}
	printf("and then: %s\n", anyio_error_name(rc));
	return rc == ANYIO_CLOSED ? 0 : rc;
}

static int body(void *arg)
{
	int fds[2];

	if (pipe(fds) < 0)
		return -errno;
	anyio_event_init(&seen);
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, watch, &fds[0], "watch");
	int rc = anyio_wait_writable(fds[1]);
	if (rc == 0 && write(fds[1], "a", 1) < 0)
		rc = -errno;
	if (rc == 0)
		rc = anyio_event_wait(&seen);
	anyio_notify_closing(fds[0]); /* before close: the watcher waits for it again */
	rc = anyio_task_group_exit(&group, rc);
	close(fds[0]);
	close(fds[1]);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "net_wait: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * read a
 * and then: ANYIO_CLOSED
 */
