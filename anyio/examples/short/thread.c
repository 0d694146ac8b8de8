/*
 * Calls that block, on a worker thread: it may run something on the loop, in the task that waits for it, and
 * asks whether it is still wanted.
 */
#include <anyio/thread.h>
#include <stdio.h>

struct search {
	struct anyio_cancel_scope scope;
	int places;
};

/* On the loop. */
static int show(void *arg)
{
	struct search *search = arg;

	printf("place %d was searched\n", search->places);
	if (search->places == 3)
		anyio_cancel_scope_cancel(&search->scope, "it takes too long");
	return 0;
}

/* On a worker thread. */
static int search_everywhere(void *arg)
{
	struct search *search = arg;
	int rc = 0;

	while (rc == 0) {
		search->places++; /* a call that blocks */
		rc = anyio_from_thread_run(show, search);
		if (rc == 0)
			rc = anyio_from_thread_check_cancelled();
	}
	printf("the thread ends: %s\n", anyio_error_text(rc));
	return rc;
}

static int search_in_thread(void *search)
{
	return anyio_to_thread(search_everywhere, search, NULL); /* waits for its end */
}

static int body(void *arg)
{
	struct search search = { .places = 0 };

	anyio_cancel_scope_init(&search.scope);
	return anyio_cancel_scope_run(&search.scope, search_in_thread, &search);
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "thread: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * place 1 was searched
 * place 2 was searched
 * place 3 was searched
 * the thread ends: cancelled
 */
