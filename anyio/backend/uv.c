/*
 * The libuv backend: readiness by uv_poll_t, our own non-blocking calls, files on our own threads.
 *
 * A watch belongs to one descriptor number and merges the interest of its readers and writers. It
 * begins with the first operation that had to wait and ends with CLOSE, which retires it before
 * the number can be used again. Its memory is freed only in libuv's close callback. The watch of a
 * descriptor that is not ours (op->owned) ends with its last waiter, because the caller may close it
 * behind our back: who gets the number next must not meet it.
 *
 * What libuv reports is queued and served a few operations at a time (FEW), with a turn of the tasks
 * in between: a receive and the send that answers it then find the socket in the cache. With 1,000
 * connections busy, serving all of them first takes a tenth more processor time. libuv is asked
 * for more once the queue is empty.
 *
 * Interest in reading stays armed between operations and is dropped only when it fires with nobody
 * waiting; interest in writing is dropped as soon as nobody waits. No operation is ever in the
 * kernel's hands, so that cancelling one is unlinking it.
 *
 * Hosted (anyio/host.h) all handles lie in the host's loop and the host polls. Our tasks run in the
 * prepare callback, which comes before each poll and has nothing of libuv's in its hands.
 */
#include "../core/core.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum direction { READING, WRITING };
enum { FEW = 32 };

struct watch {
	uv_poll_t poll; /* first: a handle is its watch */
	struct uv_state *state;
	struct anyio_op *waiting[2]; /* oldest first, by direction */
	int fd;
	int armed;    /* UV_READABLE and UV_WRITABLE as told to libuv */
	int flags;    /* of the description, as they were before libuv made it non-blocking */
	bool drained; /* the last receive was short: the next one waits first */
	bool ours;    /* ends with CLOSE */
	int fired;    /* reported and not yet served; not 0 while in state->fired */
	struct watch *next;
};

struct uv_state {
	uv_loop_t *uv; /* own, or the host's */
	uv_loop_t own;
	uv_timer_t timer;
	uv_async_t async;
	uv_prepare_t turn; /* hosted: before each poll */
	uv_idle_t busy;    /* hosted: active while a poll must not wait */
	size_t handles;    /* not closed yet */
	struct anyio_loop *loop;
	struct watch **watches; /* by descriptor */
	size_t room;
	struct watch *fired, **fired_last; /* first in, first out */
};

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

static void handle_closed(struct uv_state *state)
{
	struct anyio_loop *loop = state->loop;

	if (--state->handles > 0 || !anyio_loop_host(loop))
		return;
	state_free(state);
	anyio_loop_closed(loop);
}

static void on_own_closed(uv_handle_t *handle)
{
	handle_closed(handle->data);
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

static struct watch *watch_find(const struct uv_state *state, int fd)
{
	return fd >= 0 && (size_t)fd < state->room ? state->watches[fd] : NULL;
}

static int watch_room(struct uv_state *state, int fd)
{
	if ((size_t)fd < state->room)
		return 0;
	size_t room = state->room ? state->room : 64;
	while (room <= (size_t)fd)
		room *= 2;
	struct watch **grown = anyio_realloc(state->watches, room * sizeof(struct watch *));
	if (!grown)
		return -ENOMEM;
	memset(grown + state->room, 0, (room - state->room) * sizeof(struct watch *));
	state->watches = grown;
	state->room = room;
	return 0;
}

/* Finds or makes the watch of fd. -EPERM for what cannot be polled: files. */
static int watch_get(struct uv_state *state, int fd, struct watch **out)
{
	*out = watch_find(state, fd);
	if (*out)
		return 0;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0)
		return -errno;
	int rc = watch_room(state, fd);
	if (rc < 0)
		return rc;
	struct watch *watch = anyio_calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	rc = uv_poll_init(state->uv, &watch->poll, fd);
	if (rc < 0) {
		anyio_free(watch);
		return rc;
	}
	state->handles++;
	watch->state = state;
	watch->fd = fd;
	watch->flags = flags;
	state->watches[fd] = *out = watch;
	return 0;
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct uv_state *state = ((struct watch *)handle)->state;

	anyio_free(handle);
	handle_closed(state);
}

static void fired_remove(struct watch *watch)
{
	struct uv_state *state = watch->state;
	struct watch **at = &state->fired;
	while (*at != watch)
		at = &(*at)->next;
	*at = watch->next;
	if (!*at)
		state->fired_last = at;
	watch->fired = 0;
}

static void watch_retire(struct watch *watch)
{
	if (watch->fired)
		fired_remove(watch);
	/* The description may be shared with others (a terminal): leave it as we found it. */
	if (!(watch->flags & O_NONBLOCK))
		fcntl(watch->fd, F_SETFL, watch->flags);
	watch->state->watches[watch->fd] = NULL;
	uv_poll_stop(&watch->poll);
	uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch_arm(struct watch *watch, int events)
{
	if (watch->armed == events)
		return;
	watch->armed = events;
	if (events)
		uv_poll_start(&watch->poll, events, on_ready);
	else
		uv_poll_stop(&watch->poll);
}

/* Whether an operation waits for writing; all others for reading. */
static enum direction op_direction(const struct anyio_op *op)
{
	switch (op->code) {
	case ANYIO_OP_SENDMSG:
	case ANYIO_OP_CONNECT:
	case ANYIO_OP_WRITE: return WRITING;
	case ANYIO_OP_POLL: return op->flags & POLLOUT ? WRITING : READING;
	default: return READING;
	}
}

static int64_t poll_try(const struct anyio_op *op)
{
	struct pollfd one = { .fd = op->fd, .events = (short)op->flags };
	int rc = poll(&one, 1, 0);
	if (rc <= 0)
		return rc < 0 ? -errno : -EAGAIN;
	return one.revents & POLLNVAL ? -EBADF : one.revents;
}

/* A connect that is under way has been asked for; then only its outcome is to be read. */
static int64_t connect_try(struct anyio_op *op)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (op->backend[0]) {
		if (getsockopt(op->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
			return -errno;
		return -error;
	}
	int64_t rc = anyio_op_perform(op);
	if (rc != -EINPROGRESS && rc != -EINTR)
		return rc;
	op->backend[0] = 1;
	return -EAGAIN;
}

/* The call that never blocks; -EAGAIN when it would have to wait. */
static int64_t op_try(struct anyio_op *op)
{
	switch (op->code) {
	case ANYIO_OP_POLL: return poll_try(op);
	case ANYIO_OP_CONNECT: return connect_try(op);
	case ANYIO_OP_RECV:
	case ANYIO_OP_RECVMSG:
	case ANYIO_OP_SENDMSG: {
		int flags = op->flags;
		op->flags |= MSG_DONTWAIT;
		int64_t rc = anyio_op_perform(op);
		op->flags = flags;
		return rc;
	}
	default: return anyio_op_perform(op);
	}
}

static void note_short(struct watch *watch, const struct anyio_op *op, int64_t rc)
{
	if (op->code == ANYIO_OP_RECV && (op->flags & ~MSG_DONTWAIT) == 0)
		watch->drained = rc > 0 && (size_t)rc < op->len;
}

/* Of one of our own streams, which will see by its next call whether it was so. */
static bool polls_for_us(const struct anyio_op *op)
{
	return op->code == ANYIO_OP_POLL && op->owned;
}

/* Serves the waiting ones of a direction until one has to go on waiting; how many. */
static int watch_serve(struct watch *watch, enum direction direction)
{
	struct anyio_op *op;
	int count = 0;
	while ((op = watch->waiting[direction]) != NULL) {
		int64_t rc = polls_for_us(op) ? op->flags : op_try(op);
		if (rc == -EAGAIN)
			break;
		note_short(watch, op, rc);
		watch->waiting[direction] = op->next;
		anyio_op_complete(op, rc);
		count++;
	}
	return count;
}

static void watch_settle(struct watch *watch, int fired)
{
	int events = watch->armed;
	if (watch->waiting[READING]) {
		events |= UV_READABLE;
	} else if (fired & UV_READABLE) {
		events &= ~UV_READABLE;
		watch->drained = false;
	}
	if (watch->waiting[WRITING])
		events |= UV_WRITABLE;
	else
		events &= ~UV_WRITABLE;
	if (!watch->ours && !watch->waiting[READING] && !watch->waiting[WRITING])
		watch_retire(watch);
	else
		watch_arm(watch, events);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = (struct watch *)poll;
	struct uv_state *state = watch->state;
	if (status < 0) {
		/* libuv has stopped the handle; the calls themselves will tell the error. */
		watch->armed = 0;
		events = UV_READABLE | UV_WRITABLE;
	}
	if (!watch->fired) {
		watch->next = NULL;
		*state->fired_last = watch;
		state->fired_last = &watch->next;
	}
	watch->fired |= events;
}

static int serve_one(struct watch *watch)
{
	int fired = watch->fired, count = 0;
	fired_remove(watch);
	bool nobody = !watch->waiting[READING];
	if (fired & UV_READABLE)
		count += watch_serve(watch, READING);
	if (fired & UV_WRITABLE)
		count += watch_serve(watch, WRITING);
	watch_settle(watch, nobody ? fired : fired & ~UV_READABLE);
	return count;
}

static void serve_fired(struct uv_state *state)
{
	for (int count = 0; state->fired && count < FEW;)
		count += serve_one(state->fired);
}

static bool finish(struct anyio_op *op, int64_t result)
{
	op->result = result;
	return true;
}

static bool pool_start(struct uv_state *state, struct anyio_op *op)
{
	int rc = anyio_pool_submit(state->loop, op);
	return rc < 0 ? finish(op, rc) : false;
}

/* Whether nobody closes its descriptor but by CLOSE. */
static bool op_owned(const struct anyio_op *op)
{
	return op->code < ANYIO_OP_POLL || op->owned;
}

static bool wait_start(struct uv_state *state, struct anyio_op *op, struct watch *watch)
{
	if (!watch) {
		int rc = watch_get(state, op->fd, &watch);
		if (rc < 0)
			return finish(op, rc);
	}
	watch->ours |= op_owned(op);
	enum direction direction = op_direction(op);
	struct anyio_op **at = &watch->waiting[direction];
	while (*at)
		at = &(*at)->next;
	op->next = NULL;
	*at = op;
	watch_arm(watch, watch->armed | (direction == READING ? UV_READABLE : UV_WRITABLE));
	return false;
}

/* Others that wait already, or a short receive before: do not try, the answer is known. */
static bool must_wait(const struct watch *watch, const struct anyio_op *op)
{
	if (!watch || op->code == ANYIO_OP_CONNECT || anyio_op_never_waits(op))
		return false;
	if (op->code == ANYIO_OP_POLL && !polls_for_us(op))
		return false;
	bool receives = op->code == ANYIO_OP_RECV || (polls_for_us(op) && op->flags == POLLIN);
	return watch->waiting[op_direction(op)] || (receives && watch->drained);
}

static bool socket_start(struct uv_state *state, struct anyio_op *op)
{
	struct watch *watch = watch_find(state, op->fd);
	op->backend[0] = 0;
	if (!must_wait(watch, op)) {
		int64_t rc = op_try(op);
		if (rc != -EAGAIN || anyio_op_never_waits(op) ||
			(op->code == ANYIO_OP_CONNECT && !op->backend[0])) {
			if (watch)
				note_short(watch, op, rc);
			return finish(op, rc);
		}
	}
	return wait_start(state, op, watch);
}

/* READ and WRITE: the watch comes first, because only it makes the descriptor non-blocking. */
static bool stream_start(struct uv_state *state, struct anyio_op *op)
{
	struct watch *watch;
	int rc = watch_get(state, op->fd, &watch);
	if (rc == -EPERM)
		return pool_start(state, op);
	if (rc < 0)
		return finish(op, rc);
	watch->ours |= op_owned(op);
	bool done = socket_start(state, op);
	watch_settle(watch, 0);
	return done;
}

/* What the page cache holds needs no thread. */
static bool pread_start(struct uv_state *state, struct anyio_op *op)
{
	ssize_t rc = preadv2(op->fd, op->iov, op->iovcnt, op->offset, RWF_NOWAIT);
	if (rc >= 0)
		return finish(op, rc);
	return pool_start(state, op);
}

static bool close_start(struct uv_state *state, struct anyio_op *op)
{
	struct watch *watch = watch_find(state, op->fd);
	if (watch)
		watch_retire(watch);
	return finish(op, anyio_op_perform(op));
}

static bool uv_backend_start(void *opaque, struct anyio_op *op)
{
	struct uv_state *state = opaque;
	if (op->code >= ANYIO_OP_SOCKET && op->code != ANYIO_OP_CLOSE)
		return finish(op, anyio_op_perform(op));
	switch (op->code) {
	case ANYIO_OP_READ:
	case ANYIO_OP_WRITE: return stream_start(state, op);
	case ANYIO_OP_PREADV: return pread_start(state, op);
	case ANYIO_OP_CLOSE: return close_start(state, op);
	case ANYIO_OP_STAT:
		return op->path ? pool_start(state, op) : finish(op, anyio_op_perform(op));
	default:
		return op->code < ANYIO_OP_PREADV ? socket_start(state, op) : pool_start(state, op);
	}
}

static enum anyio_abort uv_backend_cancel(void *opaque, struct anyio_op *op)
{
	struct uv_state *state = opaque;
	struct watch *watch = op->code < ANYIO_OP_PREADV ? watch_find(state, op->fd) : NULL;
	if (!watch)
		return anyio_pool_withdraw(state->loop, op) ? ANYIO_ABORTED : ANYIO_ABORT_PENDING;
	struct anyio_op **at = &watch->waiting[op_direction(op)];
	while (*at != op)
		at = &(*at)->next;
	*at = op->next;
	watch_settle(watch, 0);
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

static void uv_backend_wait(void *opaque, anyio_time timeout)
{
	struct uv_state *state = opaque;
	if (anyio_loop_host(state->loop))
		host_wait(state, state->fired ? 0 : timeout);
	else if (!state->fired)
		own_wait(state, timeout);
	serve_fired(state);
	anyio_pool_collect(state->loop);
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
	.wake = uv_backend_wake,
};
