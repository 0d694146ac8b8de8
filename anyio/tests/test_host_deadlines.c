/* Deadlines in a host's libuv loop that has nothing else to do. Only libuv's backend can be hosted. */
#include "conformance.h"
#include <string.h>
#include <uv.h>

enum { SLEEPERS = 6 };

/* Tasks that would sleep for an hour, were it not for the deadlines of their scopes. */
struct program {
	uv_loop_t uv;
	uv_timer_t timer;     /* once, for the host to set them */
	uv_prepare_t prepare; /* before each of the host's polls, after the tasks */
	bool set;
	int polls; /* since then */
	struct anyio_cancel_scope scopes[SLEEPERS];
	char order[SLEEPERS + 1];
	int rc, done;
};

struct sleeper {
	struct program *program;
	int number;
};

static int sleep_an_hour(void *arg)
{
	return anyio_sleep(3600 * ANYIO_SECOND);
}

static int sleep_until_due(void *arg)
{
	const struct sleeper *self = arg;
	struct program *program = self->program;

	CHECK_RC(anyio_cancel_scope_run(&program->scopes[self->number], sleep_an_hour, NULL), 0);
	size_t ended = strlen(program->order);
	program->order[ended] = (char)('0' + self->number);
	/* A deadline set by a task, after which the host's poll is to look out for others. */
	if (ended == 2)
		anyio_cancel_scope_set_deadline(
			&program->scopes[3], anyio_now() + 2 * ANYIO_MILLISECOND);
	return 0;
}

enum { LAST_MS = 7 };

/* From the host, while all tasks wait. What is due first is neither set first nor last. */
static void set_deadlines(uv_timer_t *timer)
{
	static const int after[SLEEPERS] = { 3, 1, 5, 3600 * 1000, 3, LAST_MS };
	struct program *program = timer->data;
	anyio_time base = anyio_now();

	for (int i = 0; i < SLEEPERS; i++)
		anyio_cancel_scope_set_deadline(
			&program->scopes[i], base + after[i] * ANYIO_MILLISECOND);
	uv_close((uv_handle_t *)timer, NULL);
	program->set = true;
}

/* However late it comes, the poll that follows is to take no longer than until the deadline that is the
 * last. */
static void look_at_the_poll(uv_prepare_t *prepare)
{
	struct program *program = prepare->data;

	if (!program->set || program->done)
		return;
	int most = uv_backend_timeout(&program->uv);
	CHECK(most >= 0 && most <= LAST_MS + 1);
	program->polls++;
}

static int sleep_together(void *arg)
{
	struct program *program = arg;
	struct sleeper each[SLEEPERS];
	ANYIO_TASK_GROUP(group);

	for (int i = 0; i < SLEEPERS; i++) {
		each[i] = (struct sleeper){ program, i };
		anyio_cancel_scope_init(&program->scopes[i]);
		CHECK_RC(anyio_start_soon(&group, sleep_until_due, &each[i], "sleeper"), 0);
	}
	CHECK_RC(anyio_wait_all_tasks_blocked(), 0);
	CHECK_RC(uv_timer_start(&program->timer, set_deadlines, 5, 0), 0);
	return anyio_task_group_exit(&group, 0);
}

static void on_done(void *arg, int rc)
{
	struct program *program = arg;

	program->rc = rc;
	program->done++;
	uv_close((uv_handle_t *)&program->prepare, NULL);
}

/* Nothing but they wake the host, whose poll is to know of each. */
static int they_wake_an_idle_host_in_order(void *arg)
{
	const struct anyio_options *options = arg;
	struct program program = { .rc = 1 };

	if (strcmp(options->backend, "uv") != 0)
		return 0;
	CHECK_RC(uv_loop_init(&program.uv), 0);
	CHECK_RC(uv_timer_init(&program.uv, &program.timer), 0);
	CHECK_RC(uv_prepare_init(&program.uv, &program.prepare), 0);
	program.timer.data = program.prepare.data = &program;
	/* Those that were started last come first. */
	CHECK_RC(uv_prepare_start(&program.prepare, look_at_the_poll), 0);
	uv_unref((uv_handle_t *)&program.prepare);
	CHECK_RC(anyio_host_start(
			 &program.uv, sleep_together, &program, options, on_done, &program, NULL),
		0);
	CHECK_RC(uv_run(&program.uv, UV_RUN_DEFAULT), 0);
	CHECK_RC(program.done, 1);
	CHECK_RC(program.rc, 0);
	CHECK(program.polls > 0);
	/* The last two change places where the third woke late. */
	CHECK(strcmp(program.order, "104235") == 0 || strcmp(program.order, "104253") == 0);
	CHECK_RC(uv_loop_close(&program.uv), 0);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(they_wake_an_idle_host_in_order, CONFORM_BARE),
	};

	return run_conformance(cases, sizeof(cases) / sizeof(*cases));
}
