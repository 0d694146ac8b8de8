/*
 * A process from its start to its end.
 *
 * Three tasks move its input and output while the host waits for the child. When it has ended they are
 * stopped: what the child wrote before is in the pipes, and as much as is there then is taken without
 * waiting, so that somebody else who has the pipes cannot keep the call from ending.
 */
#include <errno.h>
#include <string.h>
#include "process.h"

enum { FIRST_ROOM = 4096 };
#define MAX_OUTPUT_DEFAULT ((size_t)16 << 20)

/* What is captured of one pipe. */
struct capture {
	struct anyio_stream *stream; /* NULL: nothing is */
	char *data;
	size_t size, room, most; /* the NUL not counted */
	bool ended;
};

struct run {
	struct anyio_process *process;
	const struct anyio_process_run_options *options;
	struct capture out, err;
};

/* Room for one byte more than may come, which then tells that too much did. */
static int capture_room(struct capture *capture)
{
	size_t room = capture->room == 0 ? FIRST_ROOM : capture->room * 2;
	char *data;

	if (capture->size < capture->room)
		return 0;
	if (room > capture->most + 1)
		room = capture->most + 1;
	data = anyio_realloc(capture->data, room + 1);
	if (data == NULL)
		return -ENOMEM;
	capture->data = data;
	capture->room = room;
	return 0;
}

static int capture_add(struct capture *capture, ssize_t n)
{
	if (n < 0)
		return (int)n;
	capture->ended = n == 0;
	capture->size += (size_t)n;
	return capture->size > capture->most ? -EOVERFLOW : 0;
}

static int capture_task(void *arg)
{
	struct capture *capture = arg;
	int rc = 0;

	while (rc == 0 && !capture->ended) {
		rc = capture_room(capture);
		if (rc == 0)
			rc = capture_add(capture,
				anyio_stream_receive(capture->stream, capture->data + capture->size,
					capture->room - capture->size));
	}
	return rc;
}

/* Takes what is there now, whatever others go on to write, and ends the text. */
static int capture_finish(struct capture *capture)
{
	size_t there = capture->stream == NULL ? 0 : anyio_pipe_holds(capture->stream);
	size_t until = capture->size + there;
	int rc = 0;

	while (rc == 0 && !capture->ended && capture->size < until) {
		rc = capture_room(capture);
		if (rc == 0)
			rc = capture_add(capture,
				anyio_pipe_look(capture->stream, capture->data + capture->size,
					(capture->room < until ? capture->room : until) -
						capture->size));
	}
	if (rc == -EAGAIN)
		rc = 0;
	if (rc == 0 && capture->data != NULL)
		capture->data[capture->size] = '\0';
	return rc;
}

/* A child need not want its input. */
static int input_task(void *arg)
{
	struct run *run = arg;
	struct anyio_stream *stream = anyio_process_in(run->process);
	int rc = anyio_stream_send(stream, run->options->input, run->options->input_size);

	if (rc == 0 || rc == ANYIO_BROKEN)
		rc = anyio_stream_send_eof(stream);
	return rc;
}

static int run_to_end(struct run *run, int *code)
{
	ANYIO_TASK_GROUP(group);
	int rc;

	if (anyio_process_in(run->process) != NULL)
		anyio_start_soon(&group, input_task, run, "process input");
	if (run->out.stream != NULL)
		anyio_start_soon(&group, capture_task, &run->out, "process output");
	if (run->err.stream != NULL)
		anyio_start_soon(&group, capture_task, &run->err, "process errors");
	rc = anyio_process_wait(run->process, code);
	if (rc == 0)
		anyio_task_group_cancel(&group, "the process has ended");
	rc = anyio_task_group_exit(&group, rc);
	if (rc == 0)
		rc = capture_finish(&run->out);
	return rc == 0 ? capture_finish(&run->err) : rc;
}

/* With the grace, also where the caller is cancelled: that is how a timeout ends a child. */
static int close_shielded(struct anyio_process *process)
{
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_enter(&scope);
	return anyio_cancel_scope_exit(&scope, anyio_process_close(process));
}

/* What was left to us by the caller. */
static int stdio_choose(
	const struct anyio_process_run_options *options, struct anyio_process_options *process)
{
	*process = options->process;
	if (process->in.kind == ANYIO_STDIO_DEFAULT)
		process->in.kind = options->input_size > 0 ? ANYIO_STDIO_PIPE : ANYIO_STDIO_NULL;
	if (process->out.kind == ANYIO_STDIO_DEFAULT)
		process->out.kind = ANYIO_STDIO_PIPE;
	if (process->err.kind == ANYIO_STDIO_DEFAULT)
		process->err.kind = ANYIO_STDIO_PIPE;
	if (options->input_size > 0 && process->in.kind != ANYIO_STDIO_PIPE)
		return -EINVAL;
	return 0;
}

static void capture_begin(struct capture *capture, struct anyio_stream *stream, size_t most)
{
	*capture = (struct capture){ .stream = stream, .most = most };
	if (most == 0)
		capture->most = MAX_OUTPUT_DEFAULT;
	if (most > SIZE_MAX / 4)
		capture->most = SIZE_MAX / 4;
}

int anyio_process_run(char *const argv[], const struct anyio_process_run_options *options,
	struct anyio_process_result *result)
{
	static const struct anyio_process_run_options defaults;
	struct anyio_process_options process;
	struct run run = { .options = options == NULL ? &defaults : options };
	int rc = stdio_choose(run.options, &process), closed, code = 0;

	*result = (struct anyio_process_result){ .code = 0 };
	if (rc == 0)
		rc = anyio_process_open(argv, &process, &run.process);
	if (rc < 0)
		return rc;
	capture_begin(&run.out, anyio_process_out(run.process), run.options->max_output);
	capture_begin(&run.err, anyio_process_err(run.process), run.options->max_output);
	rc = run_to_end(&run, &code);
	closed = close_shielded(run.process);
	if (rc == 0)
		rc = closed;
	*result = (struct anyio_process_result){
		.code = code,
		.out = run.out.data,
		.err = run.err.data,
		.out_size = run.out.size,
		.err_size = run.err.size,
	};
	if (rc < 0)
		anyio_process_result_free(result);
	else if (run.options->check && code != 0)
		rc = ANYIO_PROCESS_FAILED;
	return rc;
}

void anyio_process_result_free(struct anyio_process_result *result)
{
	anyio_free(result->out);
	anyio_free(result->err);
	*result = (struct anyio_process_result){ .code = 0 };
}
