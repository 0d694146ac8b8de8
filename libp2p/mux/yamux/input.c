/* The receiving half of a session: headers are put together, checked against the state and acted
 * on; data goes to the owner as it lies in the caller's buffer. */
#include "core.h"

#include <errno.h>
#include <string.h>

#include "table.h"

static bool is_theirs(const struct p2p_yamux *core, uint32_t id)
{
	return (id % 2 == 0) == core->client;
}

/* A stream the peer begins. *stream stays NULL when it is refused. */
static int begin_stream(struct p2p_yamux *core, const struct p2p_yamux_frame *frame,
	struct p2p_yamux_stream **stream)
{
	if (*stream || !is_theirs(core, frame->stream))
		return -EPROTO;
	if (frame->type == P2P_YAMUX_DATA && frame->length > P2P_YAMUX_WINDOW)
		return -EPROTO;
	if (!core->going && core->unacked_in < P2P_YAMUX_UNACKED_MAX)
		*stream = core->hooks->opened(core->owner, frame->stream);
	if (!*stream) {
		p2p_yamux_refuse(core, frame->stream);
		return 0;
	}
	(*stream)->id = frame->stream;
	(*stream)->say = P2P_YAMUX_ACK;
	core->unacked_in++;
	if (p2p_yamux_table_add(core, *stream) == 0)
		return 0;
	core->unacked_in--;
	(*stream)->reset = true;
	p2p_yamux_refuse(core, frame->stream);
	core->hooks->detached(core->owner, *stream);
	*stream = NULL;
	return 0;
}

/* Flags that end something. The stream may be gone afterwards. */
static void end_stream(struct p2p_yamux *core, struct p2p_yamux_stream *stream, uint16_t flags)
{
	if (flags & P2P_YAMUX_RST) {
		stream->reset = true;
		core->hooks->changed(core->owner, stream);
		p2p_yamux_detach(core, stream);
	} else if (flags & P2P_YAMUX_FIN && !stream->remote_fin) {
		stream->remote_fin = true;
		core->hooks->changed(core->owner, stream);
		if (stream->attached && stream->local_fin && !(stream->say & P2P_YAMUX_FIN))
			p2p_yamux_detach(core, stream);
	}
}

static int on_window_update(struct p2p_yamux *core, struct p2p_yamux_stream *stream,
	const struct p2p_yamux_frame *frame)
{
	if (frame->length > UINT32_MAX - stream->send_window)
		return -EPROTO;
	stream->send_window += frame->length;
	if (frame->length)
		core->hooks->changed(core->owner, stream);
	if (stream->attached)
		end_stream(core, stream, frame->flags);
	return 0;
}

/* The header of a data frame: its body follows. */
static int on_data(struct p2p_yamux *core, struct p2p_yamux_stream *stream,
	const struct p2p_yamux_frame *frame)
{
	if (stream && frame->length > stream->recv_window)
		return -EPROTO;
	if (!stream && frame->length > core->window_max)
		return -EPROTO;
	if (stream && stream->remote_fin && frame->length) {
		stream->reset = true;
		core->hooks->changed(core->owner, stream);
		p2p_yamux_reset(core, stream);
		stream = NULL;
	}
	core->body_stream = stream;
	core->body_left = frame->length;
	core->body_flags = frame->flags;
	if (stream && frame->length == 0)
		end_stream(core, stream, frame->flags);
	return 0;
}

static int on_stream_frame(struct p2p_yamux *core, const struct p2p_yamux_frame *frame)
{
	struct p2p_yamux_stream *stream = p2p_yamux_table_find(core, frame->stream);
	int rc;

	if (frame->flags & P2P_YAMUX_SYN) {
		rc = begin_stream(core, frame, &stream);
		if (rc < 0)
			return rc;
	}
	if (stream && frame->flags & P2P_YAMUX_ACK && !stream->acked &&
		!is_theirs(core, stream->id)) {
		stream->acked = true;
		core->unacked_out--;
	}
	if (frame->type == P2P_YAMUX_DATA)
		return on_data(core, stream, frame);
	return stream ? on_window_update(core, stream, frame) : 0;
}

static int on_ping(struct p2p_yamux *core, const struct p2p_yamux_frame *frame)
{
	if (frame->flags & P2P_YAMUX_ACK) {
		core->hooks->pong(core->owner, frame->length);
		return 0;
	}
	if (core->echo_count == P2P_YAMUX_ECHOES_MAX)
		return ANYIO_TOO_MANY;
	core->echoes[core->echo_count++] = frame->length;
	return 0;
}

static int on_frame(struct p2p_yamux *core)
{
	struct p2p_yamux_frame frame;

	if (p2p_yamux_frame_decode(&frame, core->header) < 0)
		return -EPROTO;
	switch (frame.type) {
	case P2P_YAMUX_PING: return on_ping(core, &frame);
	case P2P_YAMUX_GO_AWAY: core->gone = true; return 0;
	default: return on_stream_frame(core, &frame);
	}
}

/* Hands out what there is of the body; the frame's flags count once all of it was there. */
static void on_body(struct p2p_yamux *core, const uint8_t *data, size_t len)
{
	struct p2p_yamux_stream *stream = core->body_stream;

	core->body_left -= (uint32_t)len;
	if (!stream)
		return;
	stream->recv_window -= (uint32_t)len;
	stream->buffered += len;
	if (core->hooks->data(core->owner, stream, data, len) < 0) {
		stream->reset = true;
		core->hooks->changed(core->owner, stream);
		p2p_yamux_reset(core, stream);
	} else if (core->body_left == 0) {
		end_stream(core, stream, core->body_flags);
	}
}

int p2p_yamux_input(struct p2p_yamux *core, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t n;
		int rc;

		if (core->body_left > 0) {
			n = len < core->body_left ? len : core->body_left;
			on_body(core, data, n);
		} else {
			n = P2P_YAMUX_HEADER - core->header_len;
			n = len < n ? len : n;
			memcpy(core->header + core->header_len, data, n);
			core->header_len += (uint8_t)n;
			if (core->header_len == P2P_YAMUX_HEADER) {
				core->header_len = 0;
				rc = on_frame(core);
				if (rc < 0)
					return rc;
			}
		}
		if (core->overrun)
			return ANYIO_TOO_MANY;
		data += n;
		len -= n;
	}
	return 0;
}
