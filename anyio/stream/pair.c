/*
 * Two pipes, one each way. The ring of a pipe exists only while there are bytes in it.
 *
 * Whoever waits on a pipe is woken by every change to it and looks again, so that a wake carries
 * no meaning of its own. The pair lives until both ends are destroyed and the last waiter is out.
 *
 * In lockstep a sender stays until the other side has taken what it put there, and takes the rest back
 * when it is cut off: between two sends the ring is empty.
 */
#include <errno.h>
#include <string.h>
#include <anyio/testing.h>
#include "../sync/wait.h"

struct pipe {
	uint8_t *ring;
	size_t capacity, first, used;
	bool ended;              /* the sender will send no more */
	bool reset;              /* the sender was aborted */
	bool unread;             /* the receiver is gone */
	bool sending, receiving; /* a task is at it */
	bool lockstep;
	struct anyio_wait_queue senders, receivers; /* at most one each */
};

struct end {
	struct anyio_stream stream;
	struct pair *pair;
	struct pipe *in, *out;
	bool closed;
};

struct pair {
	struct end ends[2];
	struct pipe pipes[2];
	unsigned references; /* the two ends, and the tasks inside a call */
};

static void pair_release(struct pair *pair)
{
	if (--pair->references > 0)
		return;
	for (int i = 0; i < 2; i++)
		anyio_free(pair->pipes[i].ring);
	anyio_free(pair);
}

static void pipe_changed(struct pipe *pipe)
{
	anyio_wait_wake_all(&pipe->senders, 0);
	anyio_wait_wake_all(&pipe->receivers, 0);
}

static void pipe_empty(struct pipe *pipe)
{
	anyio_free(pipe->ring);
	pipe->ring = NULL;
	pipe->first = pipe->used = 0;
}

static size_t pipe_put(struct pipe *pipe, const uint8_t *data, size_t size)
{
	size_t done = 0;

	while (done < size && pipe->used < pipe->capacity) {
		size_t at = (pipe->first + pipe->used) % pipe->capacity;
		size_t room = at < pipe->first ? pipe->first - at : pipe->capacity - at;
		size_t n = size - done < room ? size - done : room;

		memcpy(pipe->ring + at, data + done, n);
		pipe->used += n;
		done += n;
	}
	return done;
}

static size_t pipe_take(struct pipe *pipe, uint8_t *data, size_t size)
{
	size_t done = 0;

	while (done < size && pipe->used > 0) {
		size_t run = pipe->capacity - pipe->first;
		size_t n = pipe->used < run ? pipe->used : run;

		if (n > size - done)
			n = size - done;
		memcpy(data + done, pipe->ring + pipe->first, n);
		pipe->first = (pipe->first + n) % pipe->capacity;
		pipe->used -= n;
		done += n;
	}
	if (pipe->used == 0)
		pipe_empty(pipe);
	return done;
}

/* Waits until there is something to take: 1, 0 at the end, or a negative code. */
static int end_wait_readable(struct end *end)
{
	struct pipe *pipe = end->in;
	struct anyio_waiter waiter;
	int rc = anyio_checkpoint_if_cancelled();

	while (rc == 0) {
		if (end->closed)
			return ANYIO_CLOSED;
		if (pipe->reset)
			return ANYIO_BROKEN;
		if (pipe->used > 0)
			return 1;
		if (pipe->ended)
			return 0;
		anyio_waits_for("an in-memory stream");
		rc = anyio_wait(&pipe->receivers, &waiter);
	}
	return rc;
}

/* Waits, then takes into buffer, or into what borrow gives when buffer is NULL. */
static ssize_t end_take(
	struct end *end, void *buffer, size_t size, anyio_borrow_fn borrow, void *arg)
{
	struct pair *pair = end->pair;
	struct pipe *pipe = end->in;
	ssize_t rc;

	if (pipe->receiving)
		return ANYIO_BUSY;
	pipe->receiving = true;
	pair->references++;
	rc = end_wait_readable(end);
	if (rc > 0 && buffer == NULL)
		buffer = borrow(arg, &size);
	if (rc > 0 && buffer == NULL)
		rc = -ENOMEM;
	if (rc > 0) {
		rc = (ssize_t)pipe_take(pipe, buffer, size);
		pipe_changed(pipe);
		anyio_pass();
	}
	pipe->receiving = false;
	pair_release(pair);
	return rc;
}

static ssize_t end_receive(struct anyio_stream *stream, void *buffer, size_t size)
{
	return end_take(anyio_container(stream, struct end, stream), buffer, size, NULL, NULL);
}

static ssize_t end_receive_lazy(struct anyio_stream *stream, anyio_borrow_fn borrow, void *arg)
{
	return end_take(anyio_container(stream, struct end, stream), NULL, 0, borrow, arg);
}

/* Waits until there is room: 0 or a negative code. */
static int end_wait_writable(struct end *end)
{
	struct pipe *pipe = end->out;
	struct anyio_waiter waiter;

	for (;;) {
		int rc;

		if (end->closed || pipe->ended)
			return ANYIO_CLOSED;
		if (pipe->unread)
			return ANYIO_BROKEN;
		if (pipe->used < pipe->capacity)
			break;
		anyio_waits_for("an in-memory stream");
		rc = anyio_wait(&pipe->senders, &waiter);
		if (rc < 0)
			return rc;
	}
	if (pipe->ring == NULL)
		pipe->ring = anyio_malloc(pipe->capacity);
	return pipe->ring == NULL ? -ENOMEM : 0;
}

/* Waits until the other side has taken all; of *count what it has not is taken back. */
static int end_wait_taken(struct end *end, size_t *count)
{
	struct pipe *pipe = end->out;
	struct anyio_waiter waiter;
	int rc = 0;

	while (rc == 0 && pipe->used > 0) {
		if (end->closed)
			rc = ANYIO_CLOSED;
		else if (pipe->unread)
			rc = ANYIO_BROKEN;
		else
			rc = anyio_wait(&pipe->senders, &waiter);
	}
	*count -= pipe->used;
	pipe_empty(pipe);
	return rc;
}

static int end_put(struct end *end, const uint8_t *data, size_t size, size_t *sent)
{
	while (size > 0) {
		int rc = end_wait_writable(end);
		size_t n;

		if (rc < 0)
			return rc;
		n = pipe_put(end->out, data, size);
		pipe_changed(end->out);
		if (end->out->lockstep)
			rc = end_wait_taken(end, &n);
		data += n;
		size -= n;
		*sent += n;
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int end_sendv(struct anyio_stream *stream, const struct iovec *iov, int count, size_t *sent)
{
	struct end *end = anyio_container(stream, struct end, stream);
	struct pair *pair = end->pair;
	struct pipe *pipe = end->out;
	int rc;

	*sent = 0;
	if (pipe->sending)
		return ANYIO_BUSY;
	pipe->sending = true;
	pair->references++;
	rc = anyio_checkpoint_if_cancelled();
	if (rc == 0 && (end->closed || pipe->ended))
		rc = ANYIO_CLOSED;
	for (int i = 0; i < count && rc == 0; i++)
		rc = end_put(end, iov[i].iov_base, iov[i].iov_len, sent);
	if (rc == 0)
		anyio_pass();
	pipe->sending = false;
	pair_release(pair);
	return rc;
}

static int end_send_eof(struct anyio_stream *stream)
{
	struct end *end = anyio_container(stream, struct end, stream);

	if (end->closed)
		return ANYIO_CLOSED;
	if (end->out->sending)
		return ANYIO_BUSY;
	end->out->ended = true;
	pipe_changed(end->out);
	return 0;
}

static void end_close(struct anyio_stream *stream)
{
	struct end *end = anyio_container(stream, struct end, stream);

	end->closed = true;
	end->out->ended = true;
	end->in->unread = true;
	pipe_changed(end->in);
	pipe_changed(end->out);
}

static void end_abort(struct anyio_stream *stream)
{
	struct end *end = anyio_container(stream, struct end, stream);

	if (!end->closed)
		end->out->reset = true;
	end_close(stream);
}

static void end_destroy(struct anyio_stream *stream)
{
	pair_release(anyio_container(stream, struct end, stream)->pair);
}

static const struct anyio_stream_ops end_ops = {
	.receive = end_receive,
	.receive_lazy = end_receive_lazy,
	.sendv = end_sendv,
	.send_eof = end_send_eof,
	.close = end_close,
	.abort = end_abort,
	.destroy = end_destroy,
};

static int pair_create(size_t capacity, bool lockstep, struct anyio_stream *ends[2])
{
	struct pair *pair = anyio_calloc(1, sizeof(*pair));

	ends[0] = ends[1] = NULL;
	if (pair == NULL)
		return -ENOMEM;
	pair->references = 2;
	for (int i = 0; i < 2; i++) {
		struct end *end = &pair->ends[i];

		pair->pipes[i].capacity = capacity == 0 ? 65536 : capacity;
		pair->pipes[i].lockstep = lockstep;
		end->stream.ops = &end_ops;
		end->pair = pair;
		end->in = &pair->pipes[i];
		end->out = &pair->pipes[1 - i];
		ends[i] = &end->stream;
	}
	return 0;
}

int anyio_stream_pair(size_t capacity, struct anyio_stream *ends[2])
{
	return pair_create(capacity, false, ends);
}

int anyio_lockstep_pair(struct anyio_stream *ends[2])
{
	return pair_create(0, true, ends);
}
