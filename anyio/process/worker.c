/*
 * A child that answers requests, as this side sees it.
 *
 * A call that does not come to its end leaves the child in the middle of something, and the pipes in
 * the middle of a message. So such a child is killed, and the worker is broken for good.
 */
#include <errno.h>
#include "frame.h"
#include "process.h"

struct anyio_worker {
	struct anyio_process *process;
	size_t most;
	uint64_t number; /* of the last request */
	unsigned references;
	bool calling; /* a task is inside */
	bool broken, closed;
};

int anyio_worker_open(char *const argv[], const struct anyio_worker_options *options,
	struct anyio_worker **worker)
{
	static const struct anyio_worker_options defaults;
	struct anyio_process_options process;
	struct anyio_worker *self;
	int rc;

	*worker = NULL;
	if (options == NULL)
		options = &defaults;
	process = options->process;
	if (process.in.kind != ANYIO_STDIO_DEFAULT || process.out.kind != ANYIO_STDIO_DEFAULT)
		return -EINVAL;
	process.in.kind = process.out.kind = ANYIO_STDIO_PIPE;
	self = anyio_calloc(1, sizeof(*self));
	if (self == NULL)
		return -ENOMEM;
	self->references = 1;
	self->most = options->max_answer == 0 ? FRAME_MOST_DEFAULT : options->max_answer;
	rc = anyio_process_open(argv, &process, &self->process);
	if (rc < 0) {
		anyio_free(self);
		return rc;
	}
	*worker = self;
	return 0;
}

struct sending {
	struct anyio_worker *worker;
	struct anyio_task_group group;
};

/* A child that answers what it has not read may wait for us to take its answer, as we for it to take the
 * request: what comes ends the sending. Closed, the process is the closing task's. */
static int watch_task(void *arg)
{
	struct sending *sending = arg;
	int rc = 0;

	if (!sending->worker->closed)
		rc = anyio_pipe_await(anyio_process_out(sending->worker->process));
	if (rc == 0)
		anyio_task_group_cancel(&sending->group, "an answer before the request");
	return rc;
}

static int worker_send(struct anyio_worker *worker, const void *request, size_t size)
{
	struct frame frame = { .kind = FRAME_REQUEST, .number = ++worker->number, .size = size };
	struct iovec parts[] = { { &frame, sizeof(frame) }, { (void *)request, size } };
	struct sending sending = { .worker = worker };
	size_t sent = 0;
	int rc;

	anyio_task_group_enter(&sending.group);
	anyio_start_soon(&sending.group, watch_task, &sending, "worker answer");
	rc = anyio_stream_sendv(anyio_process_in(worker->process), parts, 2, &sent);
	if (rc == 0)
		anyio_task_group_cancel(&sending.group, "the request is sent");
	rc = anyio_task_group_exit(&sending.group, rc);
	return rc == 0 && sent < sizeof(frame) + size ? ANYIO_BROKEN : rc;
}

static int worker_receive(struct anyio_worker *worker, struct anyio_worker_answer *answer)
{
	struct anyio_stream *stream = anyio_process_out(worker->process);
	struct frame frame;
	int rc = anyio_stream_receive_exactly(stream, &frame, sizeof(frame));

	if (rc < 0)
		return rc;
	if (frame.kind != FRAME_ANSWER || frame.number != worker->number)
		return ANYIO_BROKEN;
	if (frame.size > worker->most)
		return -EOVERFLOW;
	answer->result = frame.result;
	if (frame.size == 0)
		return 0;
	answer->data = anyio_malloc((size_t)frame.size);
	if (answer->data == NULL)
		return -ENOMEM;
	answer->size = (size_t)frame.size;
	return anyio_stream_receive_exactly(stream, answer->data, answer->size);
}

/* The closing task and the one in a call, in whichever order they leave. */
static void worker_release(struct anyio_worker *worker)
{
	if (--worker->references == 0)
		anyio_free(worker);
}

/* What a call that came to no end means. */
static int worker_failed(struct anyio_worker *worker, struct anyio_worker_answer *answer, int rc)
{
	anyio_free(answer->data);
	*answer = (struct anyio_worker_answer){ .result = 0 };
	/* Closed, the process is the closing task's. */
	if (worker->closed)
		return ANYIO_CLOSED;
	worker->broken = true;
	anyio_process_kill(worker->process);
	return rc == ANYIO_END_OF_STREAM || rc == ANYIO_INCOMPLETE_READ ? ANYIO_BROKEN : rc;
}

int anyio_worker_call(struct anyio_worker *worker, const void *request, size_t size,
	struct anyio_worker_answer *answer)
{
	int rc = anyio_checkpoint_if_cancelled();

	*answer = (struct anyio_worker_answer){ .result = 0 };
	if (rc < 0)
		return rc;
	if (worker->broken)
		return ANYIO_BROKEN;
	if (worker->calling)
		return ANYIO_BUSY;
	worker->calling = true;
	worker->references++;
	rc = worker_send(worker, request, size);
	if (rc == 0)
		rc = worker->closed ? ANYIO_CLOSED : worker_receive(worker, answer);
	if (rc < 0)
		rc = worker_failed(worker, answer, rc);
	worker->calling = false;
	worker_release(worker);
	return rc;
}

int anyio_worker_close(struct anyio_worker *worker)
{
	int rc;

	if (worker == NULL)
		return 0;
	worker->closed = true;
	rc = anyio_process_close(worker->process);
	worker_release(worker);
	return rc;
}
