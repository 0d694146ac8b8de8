/*
 * Tasks inside a program that has a libuv loop of its own: a callback of the host's sets an event, on which
 * a task waits. Built with anyio and libuv.
 */
#include <anyio/host.h>
#include <anyio/sync.h>
#include <stdio.h>
#include <uv.h>

static struct anyio_event rung;

static int answer(void *arg)
{
	int rc = anyio_event_wait(&rung);
	printf("a task was told: %s\n", (char *)arg);
	return rc;
}

static void on_timer(uv_timer_t *timer)
{
	printf("the host's timer rings\n");
	anyio_event_set(&rung); /* never waits, so the host may call it */
	uv_close((uv_handle_t *)timer, NULL);
}

static void on_done(void *arg, int rc)
{
	*(int *)arg = rc;
	printf("all tasks have ended\n");
}

int main(void)
{
	uv_loop_t *loop = uv_default_loop();
	uv_timer_t timer;
	int result = -1;

	anyio_event_init(&rung);
	int rc = anyio_host_start(loop, answer, "it rings", NULL, on_done, &result, NULL);
	if (rc == 0) {
		uv_timer_init(loop, &timer);
		uv_timer_start(&timer, on_timer, 10, 0);
	}
	uv_run(loop, UV_RUN_DEFAULT); /* as the host always has */
	uv_loop_close(loop);
	if (rc < 0 || (rc = result) < 0)
		fprintf(stderr, "host: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * the host's timer rings
 * a task was told: it rings
 * all tasks have ended
 */
