#include "channel.h"

#include <errno.h>
#include <string.h>

static struct p2p_channel *channel_of(struct anyio_stream *stream)
{
	return ((struct p2p_channel_stream *)stream)->channel;
}

static ssize_t view_receive(struct anyio_stream *stream, void *buffer, size_t size)
{
	struct p2p_channel *channel = channel_of(stream);
	uint8_t *data;
	ssize_t n = p2p_channel_peek(channel, &data);

	if (n <= 0)
		return n;
	if ((size_t)n > size)
		n = (ssize_t)size;
	memcpy(buffer, data, (size_t)n);
	p2p_channel_consume(channel, (size_t)n);
	return n;
}

static int view_sendv(struct anyio_stream *stream, const struct iovec *iov, int count, size_t *sent)
{
	struct p2p_channel *channel = channel_of(stream);
	int rc = p2p_channel_unsent(channel) ? p2p_channel_flush(channel) : 0;

	if (sent)
		*sent = 0;
	if (rc == 0)
		rc = p2p_channel_put(channel, iov, count);
	if (rc < 0)
		return rc;
	for (int i = 0; sent && i < count; i++)
		*sent += iov[i].iov_len;
	return p2p_channel_flush(channel);
}

static int view_send_eof(struct anyio_stream *stream)
{
	return -ENOTSUP;
}

static void view_close(struct anyio_stream *stream)
{
	p2p_channel_close(channel_of(stream));
}

static const struct anyio_stream_ops view_ops = {
	.receive = view_receive,
	.sendv = view_sendv,
	.send_eof = view_send_eof,
	.close = view_close,
};

void p2p_channel_stream_init(struct p2p_channel_stream *view, struct p2p_channel *channel)
{
	*view = (struct p2p_channel_stream){ .stream.ops = &view_ops, .channel = channel };
}
