/*
 * The libuv backend: readiness of descriptors (uv_watch.c), files on our own threads.
 *
 * Hosted (anyio/host.h) all handles lie in the host's loop and the host polls. Our tasks run in the
 * prepare callback, which comes before each poll and has nothing of libuv's in its hands.
 */
#include "uv_watch.h"
#include "../core/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

enum { OWN_HANDLES = 2 }; /* without a host: async and timer; all others are watches */

static bool uv_backend_available(void)
{
	return true;
}

static void on_nothing_async(uv_async_t *async)
{
	(void)async;
}

/* UV_RUN_ONCE runs due timers before it polls: one that was due already must not let it wait. */
static void on_timeout(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static void on_turn(uv_prepare_t *turn)
{
	anyio_loop_turn(((struct uv_state *)turn->data)->loop);
}

/* What they are for is that the host comes to its next turn. */
static void on_nothing_timer(uv_timer_t *timer)
{
	(void)timer;
}

static void on_nothing_idle(uv_idle_t *idle)
{
	(void)idle;
}

static void state_free(struct uv_state *state)
{
	anyio_free(state->watches);
	anyio_free(state);
}

void uv_handle_gone(struct uv_state *state)
{
	struct anyio_loop *loop = state->loop;

	if (--state->handles > 0 || !anyio_loop_host(loop))
		return;
	state_free(state);
	anyio_loop_closed(loop);
}

static void on_own_closed(uv_handle_t *handle)
{
	uv_handle_gone(handle->data);
}

static void own_handle(struct uv_state *state, void *opaque)
{
	((uv_handle_t *)opaque)->data = state;
	state->handles++;
}

static void own_handle_close(void *opaque)
{
	uv_close(opaque, on_own_closed);
}

static void host_handles_open(struct uv_state *state)
{
	uv_prepare_init(state->uv, &state->turn);
	uv_idle_init(state->uv, &state->busy);
	own_handle(state, &state->turn);
	own_handle(state, &state->busy);
	uv_prepare_start(&state->turn, on_turn);
}

/* uv_loop_init aborts the process when a pipe of its own cannot be made. */
static int uv_descriptors_left(void)
{
	int first[2], second[2];

	if (pipe2(first, O_CLOEXEC))
		return -errno;
	int rc = pipe2(second, O_CLOEXEC) ? -errno : 0;
	close(first[0]);
	close(first[1]);
	if (!rc) {
		close(second[0]);
		close(second[1]);
	}
	return rc;
}

static int own_loop_open(struct uv_state *state)
{
	int rc = uv_descriptors_left();
	state->uv = &state->own;
	return rc ? rc : uv_loop_init(state->uv);
}

static int uv_backend_open(struct anyio_loop *loop, const struct anyio_options *options, void **out)
{
	(void)options;
	struct uv_state *state = anyio_calloc(1, sizeof(*state));
	if (!state)
		return -ENOMEM;
	state->loop = loop;
	state->fired_last = &state->fired;
	state->uv = anyio_loop_host(loop);
	int rc = state->uv ? 0 : own_loop_open(state);
	if (rc < 0) {
		anyio_free(state);
		return rc;
	}
	rc = uv_async_init(state->uv, &state->async, on_nothing_async);
	if (rc < 0) {
		if (!anyio_loop_host(loop))
			uv_loop_close(state->uv);
		anyio_free(state);
		return rc;
	}
	uv_timer_init(state->uv, &state->timer);
	own_handle(state, &state->async);
	own_handle(state, &state->timer);
	if (anyio_loop_host(loop))
		host_handles_open(state);
	*out = state;
	return 0;
}

static bool close_start(struct uv_state *state, struct anyio_op *op)
{
	watch_closing(state, op->fd);
	return anyio_pool_close(state->loop, op);
}

static bool socket_start(struct uv_state *state, struct anyio_op *op)
{
	int64_t fd = anyio_op_perform(op);
	watch_fresh(state, fd);
	return anyio_op_at_once(op, fd);
}

static bool uv_backend_start(void *opaque, struct anyio_op *op)
{
	struct uv_state *state = opaque;
	if (op->code > ANYIO_OP_SOCKET && op->code != ANYIO_OP_CLOSE)
		return anyio_op_at_once(op, anyio_op_perform(op));
	switch (op->code) {
	case ANYIO_OP_SOCKET: return socket_start(state, op);
	case ANYIO_OP_READ:
	case ANYIO_OP_WRITE: return watch_start_stream(state, op);
	case ANYIO_OP_PREADV:
		return anyio_op_read_cached(op, ANYIO_COPY_MOST) ||
			anyio_pool_start(state->loop, op);
	case ANYIO_OP_CLOSE: return close_start(state, op);
	case ANYIO_OP_STAT:
		return op->path ? anyio_pool_start(state->loop, op)
				: anyio_op_at_once(op, anyio_op_perform(op));
	default:
		return op->code < ANYIO_OP_PREADV ? watch_start_socket(state, op)
						  : anyio_pool_start(state->loop, op);
	}
}

static enum anyio_abort uv_backend_cancel(void *opaque, struct anyio_op *op)
{
	struct uv_state *state = opaque;
	struct watch *watch = op->code < ANYIO_OP_PREADV ? watch_find(state, op->fd) : NULL;
	if (!watch)
		return anyio_pool_withdraw(state->loop, op) ? ANYIO_ABORTED : ANYIO_ABORT_PENDING;
	watch_unlink(watch, op);
	return ANYIO_ABORTED;
}

static void timer_arm(struct uv_state *state, anyio_time timeout, uv_timer_cb fired)
{
	uint64_t ms = (uint64_t)(timeout / ANYIO_MILLISECOND);
	ms += timeout % ANYIO_MILLISECOND != 0;
	uv_update_time(state->uv);
	uv_timer_start(&state->timer, fired, ms, 0);
}

/* The host polls, not we: that its next poll takes no longer. */
static void host_wait(struct uv_state *state, anyio_time timeout)
{
	if (timeout == 0)
		uv_idle_start(&state->busy, on_nothing_idle);
	else
		uv_idle_stop(&state->busy);
	if (timeout > 0 && timeout != ANYIO_FOREVER)
		timer_arm(state, timeout, on_nothing_timer);
	else
		uv_timer_stop(&state->timer);
}

static void own_wait(struct uv_state *state, anyio_time timeout)
{
	if (timeout > 0 && timeout != ANYIO_FOREVER) {
		timer_arm(state, timeout, on_timeout);
		uv_run(state->uv, UV_RUN_ONCE);
		uv_timer_stop(&state->timer);
	} else {
		uv_run(state->uv, timeout == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
	}
}

static void look_for_fresh(void *state, const struct anyio_op *op)
{
	if (op->code == ANYIO_OP_OPENAT)
		watch_fresh(state, op->result);
}

static void uv_backend_wait(void *opaque, anyio_time timeout)
{
	struct uv_state *state = opaque;
	if (anyio_loop_host(state->loop))
		host_wait(state, state->fired ? 0 : timeout);
	else if (!state->fired)
		own_wait(state, timeout != 0 && anyio_pool_look(state->loop) ? 0 : timeout);
	watch_serve_fired(state);
	anyio_pool_collect(state->loop, look_for_fresh, state);
}

/* A wake is for what is looked at beside it: libuv is asked only where it watches a descriptor, and a host,
 * which is to have its turn, has more handles. */
static bool uv_backend_quiet(void *opaque)
{
	const struct uv_state *state = opaque;
	return state->handles == OWN_HANDLES && !anyio_pool_news(state->loop);
}

static void uv_backend_wake(void *opaque)
{
	struct uv_state *state = opaque;
	/* uv_async_send does nothing when it finds a send under way, and orders nothing then. Without
	 * the fence that look may come before the caller's stores are seen: the loop would clear the
	 * send, miss what it was for, and sleep. */
	atomic_thread_fence(memory_order_seq_cst);
	uv_async_send(&state->async);
}

static void uv_backend_close(void *opaque)
{
	struct uv_state *state = opaque;
	for (size_t fd = 0; fd < state->room; fd++)
		if (state->watches[fd])
			watch_retire(state->watches[fd]);
	own_handle_close(&state->async);
	own_handle_close(&state->timer);
	if (anyio_loop_host(state->loop)) {
		own_handle_close(&state->turn);
		own_handle_close(&state->busy);
		return;
	}
	uv_run(state->uv, UV_RUN_DEFAULT);
	uv_loop_close(state->uv);
	state_free(state);
}

const struct anyio_backend anyio_backend_uv = {
	.name = "uv",
	.available = uv_backend_available,
	.open = uv_backend_open,
	.close = uv_backend_close,
	.start = uv_backend_start,
	.cancel = uv_backend_cancel,
	.wait = uv_backend_wait,
	.quiet = uv_backend_quiet,
	.wake = uv_backend_wake,
};
