/*
 * A guard in a thing of one's own: two tasks in it at a time are a mistake in the program, which is told
 * at once instead of mixing what they do.
 */
#include <anyio/sync.h>
#include <stdio.h>

struct printer {
	struct anyio_guard guard; /* begins as all zero */
};

static int print_page(struct printer *printer, const char *text)
{
	int rc = anyio_guard_enter(&printer->guard);

	if (rc < 0)
		return rc;                   /* ANYIO_BUSY */
	rc = anyio_sleep(ANYIO_MILLISECOND); /* the paper */
	if (rc == 0)
		printf("%s\n", text);
	anyio_guard_leave(&printer->guard);
	return rc;
}

static int first(void *printer)
{
	return print_page(printer, "a page");
}

static int second(void *printer)
{
	int rc = print_page(printer, "in the middle of it");

	printf("second: %s\n", anyio_error_text(rc));
	return rc == ANYIO_BUSY ? 0 : rc;
}

static int body(void *arg)
{
	struct printer printer = { 0 };

	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, first, &printer, "first");
	anyio_start_soon(&group, second, &printer, "second");
	return anyio_task_group_exit(&group, 0);
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "sync_guard: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * second: it is in use already, and serves one at a time
 * a page
 */
