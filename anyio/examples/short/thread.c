/*
 * Calls that block, on a worker thread: it may run something on the loop, and asks whether it is still
 * wanted.
 */
#include <anyio/thread.h>
#include <stdio.h>
#include <time.h>

static int show(void *percent)
{
	printf("%d percent, says the loop\n", *(int *)percent);
	return 0;
}

/* On a worker thread. */
static int compress(void *arg)
{
	int rc = 0;

	for (int percent = 50; percent <= 100 && rc == 0; percent += 50)
		rc = anyio_from_thread_run(show, &percent);
	return rc;
}

static int search_for_ever(void *arg)
{
	int rc;

	while ((rc = anyio_from_thread_check_cancelled()) == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL); /* a call that blocks */
	printf("the search was cancelled\n");
	return rc;
}

static int search(void *arg)
{
	return anyio_to_thread(search_for_ever, NULL, NULL); /* waits for the thread's end */
}

static int body(void *arg)
{
	int rc = anyio_to_thread(compress, NULL, NULL);

	if (rc == 0)
		rc = anyio_move_on_after(10 * ANYIO_MILLISECOND, search, NULL);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "thread: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * 50 percent, says the loop
 * 100 percent, says the loop
 * the search was cancelled
 */
