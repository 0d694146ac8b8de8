/*
 * Timeouts around ordinary code: the code knows nothing of them, its waits return ANYIO_CANCELLED when
 * the time is over.
 */
#include <anyio/cancel.h>
#include <errno.h>
#include <stdio.h>

static int ask_a_silent_server(void *arg)
{
	if (anyio_current_effective_deadline() == ANYIO_FOREVER)
		return -EDEADLK; /* nothing would ever end the wait */
	int rc = anyio_sleep_forever();
	printf("the answer did not come: %s\n", anyio_error_name(rc));
	return rc; /* a task that is cancelled cleans up and passes it on */
}

static int answer_at_once(void *arg)
{
	*(int *)arg = 42;
	return anyio_checkpoint();
}

static int body(void *arg)
{
	int answer = 0;

	/* Too late is an error. */
	int rc = anyio_fail_after(10 * ANYIO_MILLISECOND, ask_a_silent_server, NULL);
	printf("fail_after: %s\n", anyio_error_name(rc));
	if (rc != -ETIMEDOUT)
		return rc;
	/* Too late is no error: the program goes on without an answer. */
	rc = anyio_move_on_after(10 * ANYIO_MILLISECOND, ask_a_silent_server, NULL);
	if (rc < 0)
		return rc;
	printf("moved on\n");
	/* In time: as if there were no timeout. */
	rc = anyio_fail_at(anyio_now() + 60 * ANYIO_SECOND, answer_at_once, &answer);
	printf("the answer is %d\n", answer);
	return rc;
}

int main(void)
{
	int rc = anyio_run(body, NULL, NULL);

	if (rc < 0)
		fprintf(stderr, "cancel: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * the answer did not come: ANYIO_CANCELLED
 * fail_after: ETIMEDOUT
 * the answer did not come: ANYIO_CANCELLED
 * moved on
 * the answer is 42
 */
