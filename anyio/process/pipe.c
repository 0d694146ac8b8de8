/*
 * The stream over this side of a pipe, which goes one way.
 *
 * This side does not block, whichever backend waits for it; the child's is an open file of its own and
 * blocks as programs expect.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <anyio/file.h>
#include "../core/cursor.h"
#include "../sync/use.h"
#include "process.h"

struct pipe {
	struct anyio_stream stream;
	struct anyio_closable at;
	bool sends; /* this side writes */
	bool sent_eof;
	pid_t child;
};

static struct pipe *pipe_of(struct anyio_stream *stream)
{
	return anyio_container(stream, struct pipe, stream);
}

static void pipe_settle(struct pipe *pipe)
{
	if (anyio_closable_settle(&pipe->at) && pipe->at.destroyed)
		anyio_free(pipe);
}

static int pipe_enter(struct pipe *pipe, bool sends)
{
	return pipe->sends == sends ? anyio_closable_enter(&pipe->at, &pipe->at.receiving) : -EBADF;
}

static int64_t pipe_leave(struct pipe *pipe, int64_t result)
{
	result = anyio_closable_leave_stream(&pipe->at, &pipe->at.receiving, result);
	pipe_settle(pipe);
	return result;
}

static ssize_t pipe_receive(struct anyio_stream *stream, void *buffer, size_t size)
{
	struct pipe *pipe = pipe_of(stream);
	int rc = pipe_enter(pipe, false);

	if (rc < 0)
		return rc;
	return (ssize_t)pipe_leave(pipe, anyio_read_owned(pipe->at.fd, buffer, size));
}

static ssize_t pipe_receive_lazy(struct anyio_stream *stream, anyio_borrow_fn borrow, void *arg)
{
	struct pipe *pipe = pipe_of(stream);
	struct anyio_op op = { .code = ANYIO_OP_READ, .owned = true };
	int rc = pipe_enter(pipe, false);

	if (rc < 0)
		return rc;
	op.fd = pipe->at.fd;
	return (ssize_t)pipe_leave(pipe, anyio_op_run_borrowing(&op, borrow, arg));
}

/* Not as of our own descriptor, for which the answer might be a guess. */
int anyio_pipe_await(struct anyio_stream *stream)
{
	struct pipe *pipe = pipe_of(stream);
	struct anyio_op op = { .code = ANYIO_OP_POLL, .flags = POLLIN };
	int rc = pipe_enter(pipe, false);
	int64_t events;

	if (rc < 0)
		return rc;
	op.fd = pipe->at.fd;
	events = pipe_leave(pipe, anyio_op_run(&op));
	return events < 0 ? (int)events : 0;
}

enum { PARTS_AT_ONCE = 64 };

static int64_t send_all(int fd, const struct iovec *iov, int count, size_t *sent)
{
	struct iovec window[PARTS_AT_ONCE];
	struct anyio_cursor cursor = anyio_cursor_make(iov, count);
	int64_t rc = anyio_checkpoint_if_cancelled();

	while (rc >= 0 && cursor.left > 0) {
		struct anyio_op op = {
			.code = ANYIO_OP_WRITE, .owned = true, .fd = fd, .iov = window
		};

		op.iovcnt = anyio_cursor_fill(cursor, window, PARTS_AT_ONCE);
		rc = anyio_op_run(&op);
		if (rc < 0)
			break;
		anyio_cursor_advance(&cursor, (size_t)rc);
		*sent += (size_t)rc;
	}
	return rc < 0 ? rc : 0;
}

static int pipe_sendv(struct anyio_stream *stream, const struct iovec *iov, int count, size_t *sent)
{
	struct pipe *pipe = pipe_of(stream);
	int rc = pipe_enter(pipe, true);

	*sent = 0;
	if (rc < 0)
		return rc;
	return (int)pipe_leave(pipe, send_all(pipe->at.fd, iov, count, sent));
}

static void pipe_close(struct anyio_stream *stream)
{
	struct pipe *pipe = pipe_of(stream);

	anyio_closable_close(&pipe->at);
	pipe_settle(pipe);
}

/* The end of what one side writes is its closing. */
static int pipe_send_eof(struct anyio_stream *stream)
{
	struct pipe *pipe = pipe_of(stream);

	if (!pipe->sends)
		return -EBADF;
	if (pipe->at.closed)
		return pipe->sent_eof ? 0 : ANYIO_CLOSED;
	if (pipe->at.receiving.task != NULL)
		return ANYIO_BUSY;
	pipe->sent_eof = true;
	pipe_close(stream);
	return 0;
}

static void pipe_destroy(struct anyio_stream *stream)
{
	struct pipe *pipe = pipe_of(stream);

	pipe->at.destroyed = true;
	pipe_settle(pipe);
}

/* The child's number is known for good; the descriptor as long as there is one. */
static ssize_t pipe_attribute(
	const struct anyio_stream *stream, enum anyio_attribute which, void *out, size_t size)
{
	const struct pipe *pipe = pipe_of((struct anyio_stream *)stream);

	switch (which) {
	case ANYIO_ATTRIBUTE_PROCESS_ID:
		return anyio_attribute_give(out, size, &pipe->child, sizeof(pipe->child));
	case ANYIO_ATTRIBUTE_DESCRIPTOR:
		return pipe->at.closed
			? ANYIO_CLOSED
			: anyio_attribute_give(out, size, &pipe->at.fd, sizeof(pipe->at.fd));
	default: return -ENODATA;
	}
}

static const struct anyio_stream_ops pipe_ops = {
	.receive = pipe_receive,
	.receive_lazy = pipe_receive_lazy,
	.sendv = pipe_sendv,
	.send_eof = pipe_send_eof,
	.close = pipe_close,
	.destroy = pipe_destroy,
	.attribute = pipe_attribute,
};

int anyio_pipe_open(bool sends, struct anyio_stream **stream, int *other)
{
	struct pipe *pipe = anyio_calloc(1, sizeof(*pipe));
	int fds[2], rc = 0;

	if (pipe == NULL)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC) < 0)
		rc = -errno;
	if (rc == 0 && fcntl(fds[sends], F_SETFL, O_NONBLOCK) < 0) {
		rc = -errno;
		close(fds[0]);
		close(fds[1]);
	}
	if (rc < 0) {
		anyio_free(pipe);
		return rc;
	}
	pipe->stream.ops = &pipe_ops;
	pipe->at.fd = fds[sends];
	pipe->sends = sends;
	*stream = &pipe->stream;
	*other = fds[!sends];
	return 0;
}

void anyio_pipe_attach(struct anyio_stream *stream, pid_t child)
{
	pipe_of(stream)->child = child;
}

size_t anyio_pipe_holds(const struct anyio_stream *stream)
{
	int size;

	return ioctl(pipe_of((struct anyio_stream *)stream)->at.fd, FIONREAD, &size) < 0
		? 0
		: (size_t)size;
}

ssize_t anyio_pipe_look(struct anyio_stream *stream, void *buffer, size_t size)
{
	ssize_t n;

	do
		n = read(pipe_of(stream)->at.fd, buffer, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
