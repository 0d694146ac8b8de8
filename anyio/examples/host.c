/*
 * Tasks inside a program that has a libuv loop of its own, such as a graphical one or a server in C++.
 *
 * The program below is the host: it ticks by a timer of libuv's, and runs uv_run as it always has. Tasks run
 * in the same thread between its callbacks: two workers that take the ticks from a memory stream and
 * take their time over each. The host may call whatever never waits, so it sends without waiting and
 * counts what the workers were too slow for. On Ctrl-C it cancels the tasks, and goes on until they
 * have ended.
 */
#include <anyio/anyio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { QUEUE = 4, WORKERS = 2 };

struct program {
	uv_timer_t timer;
	uv_signal_t interrupt;
	struct anyio_host *host;
	struct anyio_sender *ticks; /* NULL when there will be no more */
	struct anyio_receiver *queue;
	unsigned long tick, last, missed;
	int rc;
};

static int work(void *arg)
{
	struct anyio_receiver *queue = arg;
	unsigned long tick;
	int rc;

	while ((rc = anyio_receive(queue, &tick)) == 0) {
		if ((rc = anyio_sleep(30 * ANYIO_MILLISECOND)) < 0)
			break;
		printf("a task has done tick %lu\n", tick);
	}
	anyio_receiver_close(queue);
	return rc == ANYIO_END_OF_STREAM ? 0 : rc;
}

/* The root task. */
static int body(void *arg)
{
	struct program *program = arg;
	struct anyio_receiver *queue;
	int rc = 0;

	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < WORKERS && rc == 0; i++) {
		rc = anyio_receiver_clone(program->queue, &queue);
		if (rc == 0 && (rc = anyio_start_soon(&group, work, queue, "worker")) < 0)
			anyio_receiver_close(queue);
	}
	anyio_receiver_close(program->queue); /* the workers have their own */
	return anyio_task_group_exit(&group, rc);
}

static void end_ticks(struct program *program)
{
	if (program->ticks) {
		uv_close((uv_handle_t *)&program->timer, NULL);
		anyio_sender_close(program->ticks); /* the workers see the end */
		program->ticks = NULL;
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct program *program = timer->data;

	program->tick++;
	if (anyio_send_nowait(program->ticks, &program->tick) < 0)
		program->missed++;
	if (program->tick == program->last)
		end_ticks(program);
}

static void on_interrupt(uv_signal_t *interrupt, int number)
{
	struct program *program = interrupt->data;

	anyio_host_cancel(program->host, "interrupted");
}

/* All tasks have ended: what is left of the host's own is closed, and so uv_run ends. */
static void on_done(void *arg, int rc)
{
	struct program *program = arg;

	program->rc = rc;
	end_ticks(program);
	uv_close((uv_handle_t *)&program->interrupt, NULL);
}

static int start(struct program *program, uv_loop_t *loop)
{
	int rc = anyio_channel_create(
		sizeof program->tick, QUEUE, NULL, &program->ticks, &program->queue);

	if (rc == 0)
		rc = anyio_host_start(loop, body, program, NULL, on_done, program, &program->host);
	if (rc < 0)
		return rc;
	program->timer.data = program->interrupt.data = program;
	uv_timer_init(loop, &program->timer);
	uv_timer_start(&program->timer, on_tick, 0, 10);
	uv_signal_init(loop, &program->interrupt);
	return uv_signal_start(&program->interrupt, on_interrupt, SIGINT);
}

int main(int argc, char **argv)
{
	struct program program = { .last = argc > 1 ? strtoul(argv[1], NULL, 10) : 20 };
	uv_loop_t loop;

	if (argc > 2 || program.last == 0) {
		bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
		fprintf(help ? stdout : stderr,
			"usage: host [TICKS]\n\n"
			"A loop of libuv's gives out TICKS (20), one each 10 ms, and two tasks work on them;\n"
			"those for which they are too slow are missed. Ctrl-C cancels the tasks.\n");
		return help ? 0 : 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	int rc = uv_loop_init(&loop);
	if (rc == 0)
		rc = start(&program, &loop);
	if (rc < 0) {
		fprintf(stderr, "host: %s\n", anyio_error_text(rc));
		return 1;
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	rc = uv_loop_close(&loop);
	printf("%lu ticks, %lu missed, the tasks ended with: %s\n", program.tick, program.missed,
		program.rc ? anyio_error_text(program.rc) : "success");
	return rc < 0 ? 1 : program.rc == ANYIO_CANCELLED ? 130 : program.rc < 0;
}
