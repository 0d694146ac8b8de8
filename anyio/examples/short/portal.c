/*
 * A program without a loop of its own, such as one with threads: a portal runs a loop in a thread and
 * lets any thread call into it.
 */
#include <anyio/portal.h>
#include <stdio.h>

static int add(void *arg)
{
	int *numbers = arg;
	int rc = anyio_sleep(ANYIO_MILLISECOND); /* it is a task: it may wait */

	return rc ? rc : numbers[0] + numbers[1];
}

static int serve(void *arg)
{
	int rc = anyio_started("7777"); /* who starts it waits for this */

	return rc ? rc : anyio_sleep_forever();
}

int main(void)
{
	struct anyio_portal_task *server;
	struct anyio_portal *portal;
	void *port;
	int rc = anyio_portal_start(NULL, &portal);

	if (rc == 0) {
		rc = anyio_portal_call(portal, add, (int[]){ 2, 3 });
		printf("2 and 3 are %d\n", rc);
		if (rc >= 0)
			rc = anyio_portal_start_task(portal, serve, NULL, "server", &server, &port);
		if (rc == 0) {
			printf("serves on %s, ended: %s\n", (char *)port,
				anyio_portal_task_done(server) ? "yes" : "no");
			anyio_portal_task_cancel(server);
			rc = anyio_portal_task_wait(server, ANYIO_FOREVER);
			printf("and then: %s\n", anyio_error_name(rc));
			rc = rc == ANYIO_TASK_CANCELLED ? 0 : rc;
			anyio_portal_task_free(server);
		}
		anyio_portal_unref(portal); /* stops it, and joins the thread */
	}
	if (rc < 0)
		fprintf(stderr, "portal: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * 2 and 3 are 5
 * serves on 7777, ended: no
 * and then: ANYIO_TASK_CANCELLED
 */
