/*
 * Work in a process of its own: what crashes there does not crash here. The worker is this same program,
 * called with an argument.
 */
#include <anyio/memory.h>
#include <anyio/process.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the worker. */
static int shout(const void *request, size_t size, void **data, size_t *data_size)
{
	if (size == 0)
		abort(); /* a bug */
	char *answer = anyio_malloc(size);
	if (!answer)
		return -ENOMEM;
	for (size_t i = 0; i < size; i++)
		answer[i] = (char)toupper(((const char *)request)[i]);
	*data = answer;
	*data_size = size;
	return 0;
}

static int body(void *arg)
{
	char *argv[] = { "/proc/self/exe", "worker", NULL };
	struct anyio_worker_answer answer;
	struct anyio_worker *worker;
	int rc = anyio_worker_open(argv, NULL, &worker);

	if (rc < 0)
		return rc;
	rc = anyio_worker_call(worker, "hello", 5, &answer);
	if (rc == 0) {
		printf("%.*s\n", (int)answer.size, (char *)answer.data);
		anyio_free(answer.data);
		rc = anyio_worker_call(worker, "", 0, &answer);
		printf("a crash: %s\n", anyio_error_name(rc));
		rc = rc == ANYIO_BROKEN ? 0 : rc;
	}
	int closed = anyio_worker_close(worker);
	return rc ? rc : closed;
}

int main(int argc, char **argv)
{
	int rc = argc == 2 && strcmp(argv[1], "worker") == 0 ? anyio_worker_serve(shout, 0)
							     : anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "process_worker: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * HELLO
 * a crash: ANYIO_BROKEN
 */
