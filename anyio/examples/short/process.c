/*
 * Running a program as a shell does with $(...): input in, output out, and its exit code.
 */
#include <anyio/process.h>
#include <stdio.h>

static int body(void *arg)
{
	char *sort[] = { "sort", NULL };
	char *fails[] = { "sh", "-c", "echo it is broken >&2; exit 3", NULL };
	struct anyio_process_run_options options = { .input = "b\na\n", .input_size = 4 };
	struct anyio_process_result result;

	int rc = anyio_process_run(sort, &options, &result);
	if (rc < 0)
		return rc;
	printf("%ssort ended with %d\n", result.out, result.code);
	anyio_process_result_free(&result);

	options = (struct anyio_process_run_options){ .check = true };
	rc = anyio_process_run(fails, &options, &result);
	if (rc == ANYIO_PROCESS_FAILED) {
		printf("failed with %d: %s", result.code, result.err);
		anyio_process_result_free(&result);
	}
	return rc == ANYIO_PROCESS_FAILED ? 0 : rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "process: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * a
 * b
 * sort ended with 0
 * failed with 3: it is broken
 */
