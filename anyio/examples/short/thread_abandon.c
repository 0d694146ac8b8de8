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

static int read_blocking(void *arg)
{
	char byte;

	return read(*(int *)arg, &byte, 1) < 0 ? -errno : 0;
}

static int read_in_thread(void *fd)
{
	int *own = anyio_malloc(sizeof *own); /* it may outlive this task */
	struct anyio_thread_options options = {
		.limiter = &one, .abandon_on_cancel = true, .destroy = anyio_free
	};

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
	int rc = anyio_fail_after(10 * ANYIO_MILLISECOND, read_in_thread, &fds[0]);
	printf("the read: %s\n", anyio_error_text(rc));
	printf("threads at work: %zu\n", anyio_limiter_statistics(&one).borrowed);
	rc = write(fds[1], "x", 1) == 1 ? anyio_limiter_acquire(&one) : -errno; /* it ends */
	if (rc == 0) {
		printf("threads at work: none\n");
		rc = anyio_limiter_release(&one);
	}
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
 * the read: Connection timed out
 * threads at work: 1
 * threads at work: none
 */
