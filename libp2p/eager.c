/*
 * A stream opened without waiting for the answer.
 *
 * The peer has promised by identify that it speaks the protocol, so header and proposal go out and
 * the stream is used at once. The answer, which can only be one text, is compared as it comes in
 * before the first byte that is the protocol's own.
 */
#include "eager.h"

#include <errno.h>
#include <string.h>

#include <anyio/memory.h>

#include "protocol/multistream.h"

struct eager_stream {
	struct anyio_stream base;
	struct anyio_stream *inner;
	uint16_t have, size; /* of the answer */
	uint8_t answer[];
};

static struct eager_stream *eager_of(struct anyio_stream *base)
{
	return (struct eager_stream *)base;
}

static int eager_confirm(struct eager_stream *stream)
{
	uint8_t bytes[64];

	while (stream->have < stream->size) {
		size_t left = (size_t)(stream->size - stream->have);
		ssize_t n = anyio_stream_receive(
			stream->inner, bytes, left < sizeof bytes ? left : sizeof bytes);

		if (n <= 0)
			return n < 0 ? (int)n : ANYIO_INCOMPLETE_READ;
		if (memcmp(bytes, stream->answer + stream->have, (size_t)n) != 0) {
			anyio_stream_abort(stream->inner);
			return -EPROTONOSUPPORT;
		}
		stream->have += (uint16_t)n;
	}
	return 0;
}

static ssize_t eager_receive(struct anyio_stream *base, void *buffer, size_t size)
{
	int rc = eager_confirm(eager_of(base));

	return rc < 0 ? rc : anyio_stream_receive(eager_of(base)->inner, buffer, size);
}

static ssize_t eager_receive_lazy(struct anyio_stream *base, anyio_borrow_fn borrow, void *arg)
{
	int rc = eager_confirm(eager_of(base));

	return rc < 0 ? rc : anyio_stream_receive_lazy(eager_of(base)->inner, borrow, arg);
}

static int eager_sendv(struct anyio_stream *base, const struct iovec *iov, int count, size_t *sent)
{
	return anyio_stream_sendv(eager_of(base)->inner, iov, count, sent);
}

static int eager_send_eof(struct anyio_stream *base)
{
	return anyio_stream_send_eof(eager_of(base)->inner);
}

static void eager_close(struct anyio_stream *base)
{
	anyio_stream_close(eager_of(base)->inner);
}

static void eager_abort(struct anyio_stream *base)
{
	anyio_stream_abort(eager_of(base)->inner);
}

static void eager_destroy(struct anyio_stream *base)
{
	anyio_stream_free(eager_of(base)->inner);
	anyio_free(base);
}

static const struct anyio_stream_ops eager_ops = {
	.receive = eager_receive,
	.receive_lazy = eager_receive_lazy,
	.sendv = eager_sendv,
	.send_eof = eager_send_eof,
	.close = eager_close,
	.abort = eager_abort,
	.destroy = eager_destroy,
};

int p2p_eager_open(struct anyio_stream *inner, const char *protocol, struct anyio_stream **stream)
{
	uint8_t answer[2 * P2P_MULTISTREAM_MESSAGE_MAX];
	struct eager_stream *eager;
	ssize_t n = p2p_multistream_encode(P2P_MULTISTREAM_HEADER, answer, sizeof answer);
	ssize_t m = p2p_multistream_encode(protocol, answer + n, sizeof answer - (size_t)n);
	int rc;

	if (m < 0)
		return (int)m;
	eager = anyio_calloc(1, sizeof *eager + (size_t)(n + m));
	if (!eager)
		return -ENOMEM;
	eager->base.ops = &eager_ops;
	eager->inner = inner;
	eager->size = (uint16_t)(n + m);
	memcpy(eager->answer, answer, eager->size); /* it repeats what was proposed */
	rc = anyio_stream_send(inner, answer, eager->size);
	if (rc < 0)
		anyio_free(eager);
	else
		*stream = &eager->base;
	return rc;
}
