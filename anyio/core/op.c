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
	if (answer == ANYIO_ABORT_PENDING) {
		loop->ends_asked++;
		return answer;
	}
	loop->in_flight--;
	op->result = ANYIO_CANCELLED;
	if (__builtin_expect(loop->instruments != NULL, 0))
		instrument_completed(loop, op);
	return answer;
}

void anyio_op_complete(struct anyio_op *op, int64_t result)
{
	struct anyio_loop *loop = anyio_loop_here;
	loop->in_flight--;
	loop->ends_asked -= op->cancel_asked;
	if (op->cancel_asked && (result == -ECANCELED || result == -EINTR))
		result = ANYIO_CANCELLED;
	op->result = result;
	if (__builtin_expect(loop->instruments != NULL, 0))
		instrument_completed(loop, op);
	if (op->task)
		anyio_wake(op->task, result);
	else
		op->done(op);
}

static bool faulted(const struct anyio_op *op, int *error)
{
	enum anyio_fault_kind kind = op_kinds[op->code].fault;
	if (anyio_fault_calls(op->code) && anyio_fault_hit(ANYIO_FAULT_CALL, error))
		return true;
	if (op->code == ANYIO_OP_CLOSE)
		return false;
	if (kind && anyio_fault_hit(kind, error))
		return true;
	return anyio_fault_hit(ANYIO_FAULT_OPERATION, error);
}

/* True: it is complete already. */
static bool op_start(struct anyio_loop *loop, struct anyio_op *op)
{
	bool told = __builtin_expect(loop->instruments != NULL, 0);
	if (told)
		instrument_started(loop, op);
	if (!loop->backend->start(loop->state, op))
		return false;
	if (told)
		instrument_completed(loop, op);
	return true;
}

static bool moves_bytes(const struct anyio_op *op)
{
	return op->code <= ANYIO_OP_RECVMSG ||
		(op->code >= ANYIO_OP_READ && op->code <= ANYIO_OP_PWRITEV);
}

/* The end of one that did not wait. It has taken as long as some switches, the longer the more it moved, and they
 * count until the next poll: else a task that never waits would keep sockets, threads and timers from all. */
static void pass(struct anyio_loop *loop, const struct anyio_op *op)
{
	int64_t used = 1;
	if (moves_bytes(op) && op->result > 0)
		used += op->result / UNIT_BYTES;
	if (used > BUDGET)
		used = BUDGET;
	loop->switches += (unsigned)used;
	loop->current->budget += (uint16_t)(used - 1);
	anyio_pass();
}

/* A descriptor is gone whatever close says. */
static void close_all_the_same(struct anyio_loop *loop, struct anyio_op *op)
{
	op->flags = ANYIO_CLOSE_NOW;
	op->task = NULL;
	op_start(loop, op);
}

static int64_t op_run(struct anyio_op *op, anyio_abort_fn abort)
{
	struct anyio_loop *loop = anyio_loop_here;
	int error;
	if (faulted(op, &error)) {
		if (op->code == ANYIO_OP_CLOSE)
			close_all_the_same(loop, op);
		anyio_pass();
		return error;
	}
	op->task = loop->current;
	op->cancel_asked = false;
	if (op_start(loop, op)) {
		pass(loop, op);
		return op->result;
	}
	loop->in_flight++;
	anyio_waits_for(op_name(op));
	op->task->waits_fd = op_descriptor(op);
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
	if (!faulted(op, &error)) {
		op->task = NULL;
		op_start(loop, op);
		return op->result;
	}
	if (op->code == ANYIO_OP_CLOSE)
		close_all_the_same(loop, op);
	return error;
}

int anyio_fd_close(int fd)
{
	struct anyio_op op = { .code = ANYIO_OP_CLOSE, .fd = fd };
	return (int)anyio_op_now(&op);
}

int anyio_fd_close_waiting(int fd)
{
	struct anyio_op op = { .code = ANYIO_OP_CLOSE, .fd = fd, .flags = ANYIO_CLOSE_WAITS };
	return anyio_current_task() ? (int)op_run(&op, NULL) : anyio_fd_close(fd);
}

static int close_later(void *arg)
{
	return anyio_fd_close_waiting((int)(intptr_t)arg);
}

void anyio_fd_close_later(int fd)
{
	if (anyio_task_spawn_loose(close_later, (void *)(intptr_t)fd, "close") < 0)
		anyio_fd_close(fd);
}
