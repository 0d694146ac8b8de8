/*
 * A secured connection as its multiplexer sees it.
 *
 * It is not a byte stream, because that would cost a copy each way: peek shows decrypted bytes
 * where they lie, and put seals what it gathers at once, so that a frame is either in the channel's
 * own buffer, whole, or was never begun. A cancelled flush therefore breaks nothing: whoever
 * flushes next goes on.
 *
 * One task may peek while another flushes. An idle channel holds no buffer.
 */
#ifndef LIBP2P_CHANNEL_H
#define LIBP2P_CHANNEL_H

#include <anyio/stream.h>

struct p2p_channel;

struct p2p_channel_ops {
	/* Waits until there are bytes: their count, which stay until consumed and may be changed in
	 * place; 0 at the end; or a negative code. */
	ssize_t (*peek)(struct p2p_channel *channel, uint8_t **data);
	void (*consume)(struct p2p_channel *channel, size_t count);
	/* Takes all of it to be sent, never waits: 0 or -ENOMEM, -EOVERFLOW. Only when nothing is
	 * unsent. */
	int (*put)(struct p2p_channel *channel, const struct iovec *iov, int count);
	/* Sends what was put: 0, or a negative code with the rest still unsent. */
	int (*flush)(struct p2p_channel *channel);
	bool (*unsent)(const struct p2p_channel *channel);
	/* At once, never waits; whoever waits gets ANYIO_CLOSED. Idempotent. */
	void (*close)(struct p2p_channel *channel);
	/* Closes and releases, the raw stream included. Nobody waits. */
	void (*destroy)(struct p2p_channel *channel);
};

struct p2p_channel {
	const struct p2p_channel_ops *ops;
};

static inline ssize_t p2p_channel_peek(struct p2p_channel *channel, uint8_t **data)
{
	return channel->ops->peek(channel, data);
}
static inline void p2p_channel_consume(struct p2p_channel *channel, size_t count)
{
	channel->ops->consume(channel, count);
}
static inline int p2p_channel_put(struct p2p_channel *channel, const struct iovec *iov, int count)
{
	return channel->ops->put(channel, iov, count);
}
static inline int p2p_channel_flush(struct p2p_channel *channel)
{
	return channel->ops->flush(channel);
}
static inline bool p2p_channel_unsent(const struct p2p_channel *channel)
{
	return channel->ops->unsent(channel);
}
static inline void p2p_channel_close(struct p2p_channel *channel)
{
	channel->ops->close(channel);
}
static inline void p2p_channel_destroy(struct p2p_channel *channel)
{
	if (channel)
		channel->ops->destroy(channel);
}

/* A channel as a byte stream, for a conversation before there is a multiplexer. Caller's storage;
 * closing the stream closes the channel, nothing more. */
struct p2p_channel_stream {
	struct anyio_stream stream;
	struct p2p_channel *channel;
};
void p2p_channel_stream_init(struct p2p_channel_stream *view, struct p2p_channel *channel);

#endif
