#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <anyio/stream.h>
#include "../core/core.h"

ssize_t anyio_stream_receive(struct anyio_stream *stream, void *buffer, size_t size)
{
	return size == 0 ? -EINVAL : stream->ops->receive(stream, buffer, size);
}

/* A borrow that is looked at: to a stream no room would look like the end. */
struct lending {
	anyio_borrow_fn borrow;
	void *arg;
	bool empty;
};

static void *lend(void *arg, size_t *size)
{
	struct lending *lending = arg;
	void *buffer = lending->borrow(lending->arg, size);

	lending->empty = buffer != NULL && *size == 0;
	return lending->empty ? NULL : buffer;
}

ssize_t anyio_stream_receive_lazy(struct anyio_stream *stream, anyio_borrow_fn borrow, void *arg)
{
	struct lending lending = { .borrow = borrow, .arg = arg };
	void *buffer;
	size_t size;
	ssize_t n;

	if (stream->ops->receive_lazy != NULL) {
		n = stream->ops->receive_lazy(stream, lend, &lending);
	} else {
		buffer = lend(&lending, &size);
		n = buffer == NULL ? -ENOMEM : stream->ops->receive(stream, buffer, size);
	}
	return n < 0 && lending.empty ? -EINVAL : n;
}

/* It looks again when it was a false alarm. */
int64_t anyio_op_run_borrowing(struct anyio_op *op, anyio_borrow_fn borrow, void *arg)
{
	int64_t rc;

	op->base = NULL;
	do {
		struct anyio_op poll = {
			.code = ANYIO_OP_POLL, .fd = op->fd, .flags = POLLIN, .owned = true
		};

		rc = anyio_op_run(&poll);
		if (rc < 0)
			return rc;
		if (op->base == NULL)
			op->base = borrow(arg, &op->len);
		if (op->base == NULL)
			return -ENOMEM;
		rc = anyio_op_run(op);
	} while (rc == -EAGAIN);
	return rc;
}

int anyio_stream_receive_exactly(struct anyio_stream *stream, void *buffer, size_t size)
{
	uint8_t *at = buffer;

	for (size_t left = size; left > 0;) {
		ssize_t n = stream->ops->receive(stream, at, left);

		if (n < 0)
			return (int)n;
		if (n == 0)
			return left == size ? ANYIO_END_OF_STREAM : ANYIO_INCOMPLETE_READ;
		at += n;
		left -= (size_t)n;
	}
	return 0;
}

int anyio_stream_sendv(
	struct anyio_stream *stream, const struct iovec *iov, int count, size_t *sent)
{
	size_t ignored, left = PTRDIFF_MAX;

	if (count < 0)
		return -EINVAL;
	for (int i = 0; i < count; left -= iov[i++].iov_len)
		if (iov[i].iov_len > left)
			return -EINVAL;
	return stream->ops->sendv(stream, iov, count, sent == NULL ? &ignored : sent);
}

int anyio_stream_send(struct anyio_stream *stream, const void *data, size_t size)
{
	struct iovec iov = { (void *)data, size };

	return anyio_stream_sendv(stream, &iov, 1, NULL);
}

int anyio_stream_send_eof(struct anyio_stream *stream)
{
	return stream->ops->send_eof(stream);
}

void anyio_stream_close(struct anyio_stream *stream)
{
	stream->ops->close(stream);
}

void anyio_stream_abort(struct anyio_stream *stream)
{
	if (stream->ops->abort != NULL)
		stream->ops->abort(stream);
	else
		stream->ops->close(stream);
}

void anyio_stream_free(struct anyio_stream *stream)
{
	if (stream == NULL)
		return;
	stream->ops->close(stream);
	if (stream->ops->destroy != NULL)
		stream->ops->destroy(stream);
}
