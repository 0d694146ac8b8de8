#include <errno.h>
#include <anyio/stream.h>
#include "../core/core.h"

struct stapled {
	struct anyio_stream stream;
	struct anyio_stream *send, *receive;
};
_Static_assert(sizeof(struct stapled) <= sizeof(struct anyio_stapled), "stapled fits");

static struct stapled *stapled_of(const struct anyio_stream *stream)
{
	return anyio_container(stream, struct stapled, stream);
}

static ssize_t stapled_receive(struct anyio_stream *stream, void *buffer, size_t size)
{
	return anyio_stream_receive(stapled_of(stream)->receive, buffer, size);
}

static ssize_t stapled_receive_lazy(struct anyio_stream *stream, anyio_borrow_fn borrow, void *arg)
{
	return anyio_stream_receive_lazy(stapled_of(stream)->receive, borrow, arg);
}

static int stapled_sendv(
	struct anyio_stream *stream, const struct iovec *iov, int count, size_t *sent)
{
	return anyio_stream_sendv(stapled_of(stream)->send, iov, count, sent);
}

/* The end of a half that cannot say it is its closing. */
static int stapled_send_eof(struct anyio_stream *stream)
{
	int rc = anyio_stream_send_eof(stapled_of(stream)->send);

	if (rc != -EOPNOTSUPP)
		return rc;
	anyio_stream_close(stapled_of(stream)->send);
	return 0;
}

static void stapled_close(struct anyio_stream *stream)
{
	anyio_stream_close(stapled_of(stream)->send);
	anyio_stream_close(stapled_of(stream)->receive);
}

static void stapled_abort(struct anyio_stream *stream)
{
	anyio_stream_abort(stapled_of(stream)->send);
	anyio_stream_abort(stapled_of(stream)->receive);
}

/* What both know the receiving half says, as in AnyIO. */
static ssize_t stapled_attribute(
	const struct anyio_stream *stream, enum anyio_attribute which, void *out, size_t size)
{
	ssize_t rc = anyio_stream_attribute(stapled_of(stream)->receive, which, out, size);

	if (rc != -ENODATA)
		return rc;
	return anyio_stream_attribute(stapled_of(stream)->send, which, out, size);
}

static const struct anyio_stream_ops stapled_ops = {
	.receive = stapled_receive,
	.receive_lazy = stapled_receive_lazy,
	.sendv = stapled_sendv,
	.send_eof = stapled_send_eof,
	.close = stapled_close,
	.abort = stapled_abort,
	.attribute = stapled_attribute,
};

struct anyio_stream *anyio_staple(
	struct anyio_stapled *storage, struct anyio_stream *send, struct anyio_stream *receive)
{
	struct stapled *stapled = (struct stapled *)storage;

	*stapled = (struct stapled){
		.stream.ops = &stapled_ops,
		.send = send,
		.receive = receive,
	};
	return &stapled->stream;
}
