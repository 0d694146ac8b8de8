/*
 * A call that nothing can cut short is abandoned: the task goes on, the thread keeps its token of the limiter
 * until it ends, and what it worked on is released then.
 */
#include <anyio/memory.h>
#include <anyio/thread.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static struct anyio_limiter one; /* outlives what is abandoned */

static int tell_started(void *arg)
{
	return anyio_started(NULL);
}

/* On a worker thread. */
static int read_blocking(void *fd)
{
	char byte;
	int rc = anyio_from_thread_run(tell_started, NULL);

	return rc ? rc : read(*(int *)fd, &byte, 1) < 0 ? -errno : 0;
}

static int read_in_thread(void *fd)
{
	struct anyio_thread_options options = {
		.limiter = &one, .abandon_on_cancel = true, .destroy = anyio_free
	};
	int *own = anyio_malloc(sizeof *own); /* it may outlive this task */

	if (!own)
		return -ENOMEM;
	*own = *(int *)fd;
	int rc = anyio_to_thread(read_blocking, own, &options);
	if (rc != ANYIO_CANCELLED)
		anyio_free(own); /* else destroy frees it, when the thread has ended */
	return rc;
}

static int body(void *arg)
{
	int fds[2];

	if (pipe(fds) < 0)
		return -errno;
	anyio_limiter_init(&one, 1);
	ANYIO_TASK_GROUP(group);
	int rc = anyio_start(&group, read_in_thread, &fds[0], "reader", NULL);
	anyio_task_group_cancel(&group, "nobody waits for it");
	rc = anyio_task_group_exit(&group, rc);
	printf("the tasks have ended, %zu thread goes on\n",
		anyio_limiter_statistics(&one).borrowed);
	if (rc == 0) /* at last it ends, and gives its token back */
		rc = write(fds[1], "x", 1) == 1 ? anyio_limiter_acquire(&one) : -errno;
	if (rc == 0)
		rc = anyio_limiter_release(&one);
	printf("now %zu\n", anyio_limiter_statistics(&one).borrowed);
	anyio_limiter_destroy(&one);
	close(fds[0]);
	close(fds[1]);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "thread_abandon: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * the tasks have ended, 1 thread goes on
 * now 0
 */
