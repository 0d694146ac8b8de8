/*
 * Readiness by uv_poll_t, our own non-blocking calls.
 *
 * What libuv reports is queued and served a few operations at a time (FEW), with a turn of the tasks
 * in between: a receive and the send that answers it then find the socket in the cache. With 1,000
 * connections busy, serving all of them first takes a tenth more processor time. libuv is asked
 * for more once the queue is empty.
 *
 * Interest in reading stays armed between operations and is dropped only when it fires with nobody
 * waiting; interest in writing is dropped as soon as nobody waits. No operation is ever in the
 * kernel's hands, so that cancelling one is unlinking it.
 */
#include "uv_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

enum { FEW = 32 };

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
	uv_handle_gone(state);
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

/* Its descriptor may be another one already. */
static void watch_drop(struct watch *watch)
{
	if (watch->fired)
		fired_remove(watch);
	watch->state->watches[watch->fd] = NULL;
	uv_poll_stop(&watch->poll);
	uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

void watch_retire(struct watch *watch)
{
	/* The description may be shared with others (a terminal): leave it as we found it. */
	if (!(watch->flags & O_NONBLOCK))
		fcntl(watch->fd, F_SETFL, watch->flags);
	watch_drop(watch);
}

static void refuse_all(struct anyio_op *op)
{
	while (op) {
		struct anyio_op *next = op->next; /* op may be gone once complete */
		anyio_op_complete(op, -EBADF);
		op = next;
	}
}

static void watch_end(struct watch *watch, void (*end)(struct watch *watch))
{
	struct anyio_op *readers = watch->waiting[ANYIO_READING];
	struct anyio_op *writers = watch->waiting[ANYIO_WRITING];
	end(watch);
	refuse_all(readers);
	refuse_all(writers);
}

void watch_closing(struct uv_state *state, int fd)
{
	struct watch *watch = watch_find(state, fd);
	if (watch)
		watch_end(watch, watch_retire);
}

void watch_fresh(struct uv_state *state, int64_t fd)
{
	struct watch *watch = fd >= 0 ? watch_find(state, (int)fd) : NULL;
	if (watch)
		watch_end(watch, watch_drop);
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
static int64_t op_try(struct uv_state *state, struct anyio_op *op)
{
	switch (op->code) {
	case ANYIO_OP_ACCEPT: {
		int64_t fd = anyio_op_perform(op);
		watch_fresh(state, fd);
		return fd;
	}
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
static int watch_serve(struct watch *watch, enum anyio_direction direction)
{
	struct anyio_op *op;
	int count = 0;
	while ((op = watch->waiting[direction]) != NULL) {
		int64_t rc = polls_for_us(op) ? op->flags : op_try(watch->state, op);
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
	if (watch->waiting[ANYIO_READING]) {
		events |= UV_READABLE;
	} else if (fired & UV_READABLE) {
		events &= ~UV_READABLE;
		watch->drained = false;
	}
	if (watch->waiting[ANYIO_WRITING])
		events |= UV_WRITABLE;
	else
		events &= ~UV_WRITABLE;
	if (!watch->ours && !watch->waiting[ANYIO_READING] && !watch->waiting[ANYIO_WRITING])
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
	bool nobody = !watch->waiting[ANYIO_READING];
	if (fired & UV_READABLE)
		count += watch_serve(watch, ANYIO_READING);
	if (fired & UV_WRITABLE)
		count += watch_serve(watch, ANYIO_WRITING);
	watch_settle(watch, nobody ? fired : fired & ~UV_READABLE);
	return count;
}

void watch_serve_fired(struct uv_state *state)
{
	for (int count = 0; state->fired && count < FEW;)
		count += serve_one(state->fired);
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
			return anyio_op_at_once(op, rc);
	}
	watch->ours |= op_owned(op);
	enum anyio_direction direction = anyio_op_direction(op);
	struct anyio_op **at = &watch->waiting[direction];
	while (*at)
		at = &(*at)->next;
	op->next = NULL;
	*at = op;
	watch_arm(watch, watch->armed | (direction == ANYIO_READING ? UV_READABLE : UV_WRITABLE));
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
	return watch->waiting[anyio_op_direction(op)] || (receives && watch->drained);
}

bool watch_start_socket(struct uv_state *state, struct anyio_op *op)
{
	struct watch *watch = watch_find(state, op->fd);
	op->backend[0] = 0;
	if (!must_wait(watch, op)) {
		int64_t rc = op_try(state, op);
		if (rc != -EAGAIN || anyio_op_never_waits(op) ||
			(op->code == ANYIO_OP_CONNECT && !op->backend[0])) {
			if (watch)
				note_short(watch, op, rc);
			return anyio_op_at_once(op, rc);
		}
	}
	return wait_start(state, op, watch);
}

/* The kernel cannot be asked so of this, or it has to wait, or is to be asked again. All else is an answer, and some
 * errors are given only once. */
static bool is_no_answer(int error)
{
	return error == EAGAIN || error == EOPNOTSUPP || error == EINVAL || error == ENOSYS ||
		error == EINTR;
}

/* Asks for what need not wait, which the kernel can of pipes, of sockets, and of what the page cache holds of
 * files. */
static bool stream_try(struct anyio_op *op)
{
	struct iovec one = { op->base, op->len < ANYIO_COPY_MOST ? op->len : ANYIO_COPY_MOST };
	ssize_t rc = op->code == ANYIO_OP_READ ? preadv2(op->fd, &one, 1, -1, RWF_NOWAIT)
					       : pwritev2(op->fd, &one, 1, -1, RWF_NOWAIT);
	if (rc < 0 && is_no_answer(errno))
		return false;
	return anyio_op_at_once(op, rc < 0 ? -errno : rc);
}

/* READ and WRITE. The watch of a descriptor that is not ours would go at once, with all the calls it takes. But
 * else it comes first, because only it makes the descriptor non-blocking. */
bool watch_start_stream(struct uv_state *state, struct anyio_op *op)
{
	struct watch *watch;
	if (!op->owned && !watch_find(state, op->fd) && stream_try(op))
		return true;
	int rc = watch_get(state, op->fd, &watch);
	if (rc == -EPERM)
		return anyio_pool_start(state->loop, op);
	if (rc < 0)
		return anyio_op_at_once(op, rc);
	watch->ours |= op_owned(op);
	bool done = watch_start_socket(state, op);
	watch_settle(watch, 0);
	return done;
}

void watch_unlink(struct watch *watch, struct anyio_op *op)
{
	struct anyio_op **at = &watch->waiting[anyio_op_direction(op)];
	while (*at != op)
		at = &(*at)->next;
	*at = op->next;
	watch_settle(watch, 0);
}
