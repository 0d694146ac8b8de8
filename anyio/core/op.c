/*
 * Operations: what a task hands to the backend and waits for. The operation lies on the task's
 * stack, so the task stays parked until the backend has let go of it.
 */
#include <errno.h>
#include "loop.h"

static enum anyio_abort op_abort(struct anyio_task *task, void *arg)
{
	struct anyio_op *op = arg;
	struct anyio_loop *loop = task->loop;
	op->cancel_asked = true;
	enum anyio_abort answer = loop->backend->cancel(loop->state, op);
	if (answer == ANYIO_ABORTED) {
		loop->in_flight--;
		op->result = ANYIO_CANCELLED;
	}
	return answer;
}

void anyio_op_complete(struct anyio_op *op, int64_t result)
{
	anyio_loop_here->in_flight--;
	if (op->cancel_asked && (result == -ECANCELED || result == -EINTR))
		result = ANYIO_CANCELLED;
	op->result = result;
	if (op->task)
		anyio_wake(op->task, result);
	else
		op->done(op);
}

static bool faulted(const struct anyio_op *op, int *error)
{
	switch (op->code) {
	case ANYIO_OP_CLOSE: return false;
	case ANYIO_OP_WRITE:
	case ANYIO_OP_PWRITEV:
	case ANYIO_OP_FSYNC:
	case ANYIO_OP_FDATASYNC:
	case ANYIO_OP_FTRUNCATE:
	case ANYIO_OP_RENAMEAT:
		if (anyio_fault_hit(ANYIO_FAULT_WRITE, error))
			return true;
		break;
	case ANYIO_OP_READ:
	case ANYIO_OP_PREADV:
		if (anyio_fault_hit(ANYIO_FAULT_READ, error))
			return true;
		break;
	}
	return anyio_fault_hit(ANYIO_FAULT_OPERATION, error);
}

static int64_t op_run(struct anyio_op *op, anyio_abort_fn abort)
{
	struct anyio_loop *loop = anyio_loop_here;
	int error;
	if (faulted(op, &error)) {
		anyio_pass();
		return error;
	}
	op->task = loop->current;
	op->cancel_asked = false;
	if (loop->backend->start(loop->state, op)) {
		anyio_pass();
		return op->result;
	}
	loop->in_flight++;
	return anyio_park(abort, op);
}

int64_t anyio_op_run(struct anyio_op *op)
{
	int rc = anyio_checkpoint_if_cancelled();
	if (rc < 0)
		return rc;
	return op_run(op, op_abort);
}

int64_t anyio_op_run_shielded(struct anyio_op *op)
{
	return anyio_current_task() ? op_run(op, NULL) : ANYIO_NO_LOOP;
}

int64_t anyio_op_now(struct anyio_op *op)
{
	struct anyio_loop *loop = anyio_loop_here;
	int error;
	if (!loop)
		return ANYIO_NO_LOOP;
	if (faulted(op, &error))
		return error;
	op->task = NULL;
	loop->backend->start(loop->state, op);
	return op->result;
}
