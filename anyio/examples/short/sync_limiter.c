/*
 * So many at a time: a semaphore counts, a limiter knows who holds each of its tokens; here on behalf of the
 * client for whom the work is done, whichever task does it.
 */
#include <anyio/sync.h>
#include <errno.h>
#include <stdio.h>

struct client {
	const char *name;
};

static int body(void *arg)
{
	struct client anna = { "Anna" }, bert = { "Bert" };
	const void *borrowers[2];
	struct anyio_semaphore seats;
	struct anyio_limiter lines;

	anyio_semaphore_init(&seats, 1, 1); /* one seat, and never more */
	int rc = anyio_semaphore_acquire(&seats);
	if (rc < 0)
		return rc;
	printf("%d seats left\n", (int)anyio_semaphore_value(&seats));
	if ((rc = anyio_semaphore_release(&seats)) < 0)
		return rc;
	printf("a release too many: %s\n", anyio_error_name(anyio_semaphore_release(&seats)));

	anyio_limiter_init(&lines, 1);
	rc = anyio_limiter_acquire_for(&lines, &anna);
	if (rc == 0)
		printf("again for %s: %s\n", anna.name,
			anyio_error_name(anyio_limiter_acquire_for(&lines, &anna)));
	if (rc == 0 && anyio_limiter_acquire_nowait_for(&lines, &bert) == ANYIO_WOULD_BLOCK) {
		anyio_limiter_set_total(&lines, 2); /* another line */
		rc = anyio_limiter_acquire_for(&lines, &bert);
	}
	printf("%zu of %zu lines are taken\n", anyio_limiter_borrowers(&lines, borrowers, 2),
		anyio_limiter_statistics(&lines).total);
	if (rc == 0)
		rc = anyio_limiter_release_for(&lines, &anna);
	if (rc == 0)
		rc = anyio_limiter_release_for(&lines, &bert);
	anyio_limiter_destroy(&lines);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "sync_limiter: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * 0 seats left
 * a release too many: EOVERFLOW
 * again for Anna: ANYIO_BUSY
 * 2 of 2 lines are taken
 */
