/*
 * The secured channel: frames of a 16-bit length, ciphertext and tag.
 *
 * In. A read fills as much of the buffer as there is; frames are opened one at a time where they
 * lie, just before they are looked at, so that they are in the cache for whoever consumes them. The
 * buffer is borrowed when the raw stream has bytes and goes back when all of them were consumed;
 * only a frame that arrived in part keeps one. The first buffers of a connection are small; one
 * that was filled to the brim makes the next one large.
 *
 * Out. put seals into a buffer of the size needed, flush sends it with one call and gives it back.
 */
#include <errno.h>
#include <string.h>

#include <sodium.h>

#include <anyio/memory.h>

#include "noise.h"

enum {
	PREFIX = 2,
	FRAME_PLAIN = P2P_NOISE_MESSAGE_MAX - P2P_AEAD_TAG, /* 65519 */
	SMALL = 8 * 1024,
};

struct buffer {
	uint8_t *data;
	size_t size;
	size_t start, end; /* bytes not used yet */
};

struct noise_channel {
	struct p2p_channel channel;
	struct p2p_noise *noise;
	struct anyio_stream *raw;
	struct p2p_cipher send, receive;
	struct buffer in, out;
	uint8_t *plain; /* opened and not consumed; inside `in` */
	size_t plain_len;
	bool bulk;
};

static struct noise_channel *noise_channel_of(const struct p2p_channel *channel)
{
	return (struct noise_channel *)channel;
}

static bool buffer_borrow(struct noise_channel *c, struct buffer *buffer, size_t size)
{
	bool large = size > SMALL;

	*buffer = (struct buffer){ .size = large ? P2P_BUFFER_SIZE : SMALL };
	if (large && size > P2P_BUFFER_SIZE)
		buffer->size = size;
	if (buffer->size == P2P_BUFFER_SIZE)
		buffer->data = p2p_buffer_borrow(&c->noise->buffers);
	else
		buffer->data = anyio_malloc(buffer->size);
	return buffer->data != NULL;
}

static void buffer_return(struct noise_channel *c, struct buffer *buffer)
{
	if (buffer->data && buffer->size == P2P_BUFFER_SIZE)
		p2p_buffer_return(&c->noise->buffers, buffer->data);
	else
		anyio_free(buffer->data);
	*buffer = (struct buffer){ 0 };
}

static void *borrow_in(void *arg, size_t *size)
{
	struct noise_channel *c = arg;

	if (!buffer_borrow(c, &c->in, c->bulk ? P2P_BUFFER_SIZE : SMALL))
		return NULL;
	*size = c->in.size;
	return c->in.data;
}

/* The length on the wire of the frame at the start, prefix included; 0 when that is not known yet.
 */
static size_t frame_size(const struct buffer *in)
{
	if (in->end - in->start < PREFIX)
		return 0;
	return PREFIX + ((size_t)in->data[in->start] << 8 | in->data[in->start + 1]);
}

/* Makes room for the rest of the frame that has begun. */
static int make_room(struct noise_channel *c)
{
	struct buffer old = c->in;
	size_t have = old.end - old.start, need = frame_size(&old);

	if (need <= old.size && !(c->bulk && old.size < P2P_BUFFER_SIZE)) {
		memmove(old.data, old.data + old.start, have);
	} else {
		if (!buffer_borrow(c, &c->in, P2P_BUFFER_SIZE)) {
			c->in = old;
			return -ENOMEM;
		}
		memcpy(c->in.data, old.data + old.start, have);
		buffer_return(c, &old);
	}
	c->in.start = 0;
	c->in.end = have;
	return 0;
}

static ssize_t fill(struct noise_channel *c)
{
	size_t room;
	ssize_t n;
	int rc;

	if (c->in.start == c->in.end) {
		buffer_return(c, &c->in);
		n = anyio_stream_receive_lazy(c->raw, borrow_in, c);
		room = c->in.size;
	} else {
		rc = make_room(c);
		if (rc < 0)
			return rc;
		room = c->in.size - c->in.end;
		n = anyio_stream_receive(c->raw, c->in.data + c->in.end, room);
		if (n == 0)
			return ANYIO_INCOMPLETE_READ;
	}
	if (n <= 0)
		return n;
	c->in.end += (size_t)n;
	c->bulk = (size_t)n == room || (c->bulk && (size_t)n > SMALL / 2);
	return n;
}

static ssize_t noise_peek(struct p2p_channel *channel, uint8_t **data)
{
	struct noise_channel *c = noise_channel_of(channel);
	ssize_t n;

	while (c->plain_len == 0) {
		size_t size = frame_size(&c->in);

		if (size == 0 || size > c->in.end - c->in.start) {
			n = fill(c);
			if (n <= 0)
				return n;
			continue;
		}
		c->plain = c->in.data + c->in.start + PREFIX;
		n = p2p_cipher_open(&c->noise->aead, &c->receive, NULL, 0, c->plain, size - PREFIX);
		if (n < 0)
			return n;
		c->in.start += size;
		c->plain_len = (size_t)n;
	}
	*data = c->plain;
	return (ssize_t)c->plain_len;
}

static void noise_consume(struct p2p_channel *channel, size_t count)
{
	struct noise_channel *c = noise_channel_of(channel);

	c->plain += count;
	c->plain_len -= count;
}

static size_t iov_size(const struct iovec *iov, int count)
{
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	return size;
}

static int noise_put(struct p2p_channel *channel, const struct iovec *iov, int count)
{
	struct noise_channel *c = noise_channel_of(channel);
	struct p2p_gather from = { .iov = iov, .count = count };
	size_t left = iov_size(iov, count);
	size_t frames = (left + FRAME_PLAIN - 1) / FRAME_PLAIN;

	if (!buffer_borrow(c, &c->out, left + frames * (PREFIX + P2P_AEAD_TAG)))
		return -ENOMEM;
	while (left > 0) {
		size_t n = left < FRAME_PLAIN ? left : FRAME_PLAIN;
		uint8_t *at = c->out.data + c->out.end;
		int rc = p2p_cipher_seal(&c->noise->aead, &c->send, NULL, 0, &from, n, at + PREFIX);

		if (rc < 0)
			return rc;
		at[0] = (uint8_t)((n + P2P_AEAD_TAG) >> 8);
		at[1] = (uint8_t)(n + P2P_AEAD_TAG);
		c->out.end += PREFIX + n + P2P_AEAD_TAG;
		left -= n;
	}
	return 0;
}

static bool noise_unsent(const struct p2p_channel *channel)
{
	const struct noise_channel *c = noise_channel_of(channel);

	return c->out.start < c->out.end;
}

static int noise_flush(struct p2p_channel *channel)
{
	struct noise_channel *c = noise_channel_of(channel);
	struct iovec iov = { c->out.data + c->out.start, c->out.end - c->out.start };
	size_t sent = 0;
	int rc;

	if (iov.iov_len == 0)
		return 0;
	rc = anyio_stream_sendv(c->raw, &iov, 1, &sent);
	if (rc < 0) {
		c->out.start += sent;
		return rc;
	}
	buffer_return(c, &c->out);
	return 0;
}

static void noise_close(struct p2p_channel *channel)
{
	anyio_stream_close(noise_channel_of(channel)->raw);
}

static void noise_destroy(struct p2p_channel *channel)
{
	struct noise_channel *c = noise_channel_of(channel);

	anyio_stream_free(c->raw);
	buffer_return(c, &c->in);
	buffer_return(c, &c->out);
	sodium_memzero(c, sizeof *c);
	anyio_free(c);
}

static const struct p2p_channel_ops noise_ops = {
	.peek = noise_peek,
	.consume = noise_consume,
	.put = noise_put,
	.flush = noise_flush,
	.unsent = noise_unsent,
	.close = noise_close,
	.destroy = noise_destroy,
};

int p2p_noise_channel_create(struct p2p_noise *noise, struct anyio_stream *raw,
	const struct p2p_cipher *send, const struct p2p_cipher *receive,
	struct p2p_channel **channel)
{
	struct noise_channel *c = anyio_calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->channel.ops = &noise_ops;
	c->noise = noise;
	c->raw = raw;
	c->send = *send;
	c->receive = *receive;
	*channel = &c->channel;
	return 0;
}
