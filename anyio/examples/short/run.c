/*
 * A loop by choice: which backends there are, one of them by name, and its clock.
 */
#include <anyio/run.h>
#include <stdio.h>

static int body(void *arg)
{
	anyio_time began = anyio_now();

	printf("runs on %s\n", anyio_backend_name());
	int rc = anyio_sleep(10 * ANYIO_MILLISECOND);
	if (rc == 0)
		rc = anyio_sleep_until(began + 20 * ANYIO_MILLISECOND);
	if (rc == 0)
		printf("slept %s\n",
			anyio_now() - began < 20 * ANYIO_MILLISECOND ? "too short" : "long enough");
	return rc;
}

int main(void)
{
	for (const char *const *name = anyio_backends_all(); *name; name++)
		printf("%s%s", name == anyio_backends_all() ? "there are " : ", ", *name);
	printf("; the best one here %s\n",
		*anyio_backends_available() ? "was found" : "is missing");

	struct anyio_options options = { .backend = "uv", .max_tasks = 1000 };
	int rc = anyio_run(body, NULL, &options);
	if (rc < 0)
		fprintf(stderr, "run: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * there are uring, uv, sim; the best one here was found
 * runs on uv
 * slept long enough
 */
