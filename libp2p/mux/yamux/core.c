#include "core.h"

#include <errno.h>
#include <string.h>

#include <anyio/memory.h>

#include "table.h"

void p2p_yamux_init(struct p2p_yamux *core, bool client, uint32_t window_max,
	const struct p2p_yamux_hooks *hooks, void *owner)
{
	*core = (struct p2p_yamux){
		.hooks = hooks,
		.owner = owner,
		.client = client,
		.next_id = client ? 1 : 2,
		.window_max = window_max < P2P_YAMUX_WINDOW ? P2P_YAMUX_WINDOW : window_max,
	};
	core->listed_last = &core->listed_first;
}

void p2p_yamux_stream_init(struct p2p_yamux_stream *stream)
{
	*stream = (struct p2p_yamux_stream){
		.send_window = P2P_YAMUX_WINDOW,
		.recv_window = P2P_YAMUX_WINDOW,
		.recv_max = P2P_YAMUX_WINDOW,
	};
}

static bool is_ours(const struct p2p_yamux *core, uint32_t id)
{
	return (id % 2 == 1) == core->client;
}

void p2p_yamux_detach(struct p2p_yamux *core, struct p2p_yamux_stream *stream)
{
	if (!stream->attached)
		return;
	p2p_yamux_table_remove(core, stream);
	if (core->body_stream == stream)
		core->body_stream = NULL;
	if (!stream->acked && is_ours(core, stream->id))
		core->unacked_out--;
	if (!stream->acked && !is_ours(core, stream->id))
		core->unacked_in--;
	core->hooks->detached(core->owner, stream);
}

void p2p_yamux_refuse(struct p2p_yamux *core, uint32_t id)
{
	if (!core->refusals)
		core->refusals = anyio_calloc(P2P_YAMUX_REFUSALS_MAX, sizeof *core->refusals);
	if (!core->refusals || core->refusal_count == P2P_YAMUX_REFUSALS_MAX)
		core->overrun = true;
	else
		core->refusals[core->refusal_count++] = id;
}

void p2p_yamux_destroy(struct p2p_yamux *core)
{
	struct p2p_yamux_stream *stream;

	while ((stream = p2p_yamux_next(core, NULL)) != NULL)
		p2p_yamux_detach(core, stream);
	anyio_free(core->refusals);
	core->refusals = NULL;
}

int p2p_yamux_open(struct p2p_yamux *core, struct p2p_yamux_stream *stream)
{
	int rc;

	if (core->going || core->gone || core->next_id > UINT32_MAX - 2)
		return ANYIO_CLOSED;
	if (core->unacked_out == P2P_YAMUX_UNACKED_MAX)
		return ANYIO_TOO_MANY;
	stream->id = core->next_id;
	rc = p2p_yamux_table_add(core, stream);
	if (rc < 0)
		return rc;
	core->next_id += 2;
	core->unacked_out++;
	stream->say = P2P_YAMUX_SYN;
	return 0;
}

/* Takes the flags that are to go out with a frame being written. */
static uint16_t take_flags(struct p2p_yamux *core, struct p2p_yamux_stream *stream)
{
	uint16_t flags = stream->say;

	stream->say = 0;
	if (flags & P2P_YAMUX_ACK) {
		stream->acked = true;
		core->unacked_in--;
	}
	return flags;
}

size_t p2p_yamux_data(struct p2p_yamux *core, struct p2p_yamux_stream *stream, size_t want,
	uint8_t header[P2P_YAMUX_HEADER])
{
	size_t len = want < P2P_YAMUX_DATA_MAX ? want : P2P_YAMUX_DATA_MAX;
	struct p2p_yamux_frame frame = { .type = P2P_YAMUX_DATA, .stream = stream->id };

	if (len > stream->send_window)
		len = stream->send_window;
	if (len == 0)
		return 0;
	stream->send_window -= (uint32_t)len;
	frame.flags = take_flags(core, stream);
	frame.length = (uint32_t)len;
	p2p_yamux_frame_encode(&frame, header);
	return len;
}

static uint32_t credit_of(const struct p2p_yamux_stream *stream)
{
	uint64_t used = stream->recv_window + (uint64_t)stream->buffered;

	return used < stream->recv_max ? (uint32_t)(stream->recv_max - used) : 0;
}

static void widen(struct p2p_yamux *core, struct p2p_yamux_stream *stream, anyio_time now)
{
	uint32_t room = core->window_max - stream->recv_max;
	uint32_t by = room < stream->recv_max ? room : stream->recv_max;
	bool fast = core->rtt > 0 && stream->epoch > 0 && now - stream->epoch < 4 * core->rtt;

	stream->epoch = now;
	if (fast && by > 0 && core->hooks->grow(core->owner, stream, by) == 0)
		stream->recv_max += by;
}

void p2p_yamux_taken(
	struct p2p_yamux *core, struct p2p_yamux_stream *stream, size_t len, anyio_time now)
{
	stream->buffered -= len;
	if (!stream->attached || stream->remote_fin || credit_of(stream) < stream->recv_max / 2)
		return;
	if (!stream->credit_due)
		widen(core, stream, now);
	stream->credit_due = true;
	p2p_yamux_list(core, stream);
}

void p2p_yamux_announce(struct p2p_yamux *core, struct p2p_yamux_stream *stream)
{
	if (stream->say)
		p2p_yamux_list(core, stream);
}

void p2p_yamux_finish(struct p2p_yamux *core, struct p2p_yamux_stream *stream)
{
	if (stream->local_fin || stream->reset)
		return;
	stream->local_fin = true;
	stream->say |= P2P_YAMUX_FIN;
	p2p_yamux_list(core, stream);
}

void p2p_yamux_reset(struct p2p_yamux *core, struct p2p_yamux_stream *stream)
{
	bool known_there = !(stream->say & P2P_YAMUX_SYN);

	if (!stream->attached)
		return;
	stream->reset = true;
	if (known_there)
		p2p_yamux_refuse(core, stream->id);
	p2p_yamux_detach(core, stream);
}

void p2p_yamux_ping(struct p2p_yamux *core, uint32_t value)
{
	core->ping_value = value;
	core->ping_wanted = true;
}

void p2p_yamux_go_away(struct p2p_yamux *core, enum p2p_yamux_go_away reason)
{
	if (core->going)
		return;
	core->going = true;
	core->go_away_reason = reason;
}

/* ---- control frames out ---- */

bool p2p_yamux_has_control(const struct p2p_yamux *core)
{
	return core->listed_first || core->refusal_count || core->echo_count || core->ping_wanted ||
		(core->going && !core->go_away_said);
}

/* The frame of the first stream on the list. False when it has nothing to say any more. */
static bool stream_control(struct p2p_yamux *core, struct p2p_yamux_frame *frame)
{
	struct p2p_yamux_stream *stream = core->listed_first;
	bool useful = stream->say || stream->credit_due;

	p2p_yamux_unlist(core, stream);
	if (!useful)
		return false;
	*frame = (struct p2p_yamux_frame){
		.type = P2P_YAMUX_WINDOW_UPDATE,
		.stream = stream->id,
		.length = stream->credit_due && !stream->remote_fin ? credit_of(stream) : 0,
	};
	stream->recv_window += frame->length;
	stream->credit_due = false;
	frame->flags = take_flags(core, stream);
	if (frame->flags & P2P_YAMUX_FIN && stream->remote_fin)
		p2p_yamux_detach(core, stream);
	return true;
}

static uint32_t take_first(uint32_t *list, size_t left)
{
	uint32_t first = list[0];

	memmove(list, list + 1, left * sizeof *list);
	return first;
}

static uint32_t take_refusal(struct p2p_yamux *core)
{
	uint32_t id = core->refusals[--core->refusal_count];

	if (core->refusal_count == 0) {
		anyio_free(core->refusals);
		core->refusals = NULL;
	}
	return id;
}

static bool next_control(struct p2p_yamux *core, struct p2p_yamux_frame *frame)
{
	*frame = (struct p2p_yamux_frame){ 0 };
	while (core->listed_first)
		if (stream_control(core, frame))
			return true;
	if (core->refusal_count) {
		frame->type = P2P_YAMUX_WINDOW_UPDATE;
		frame->flags = P2P_YAMUX_RST;
		frame->stream = take_refusal(core);
	} else if (core->echo_count) {
		frame->type = P2P_YAMUX_PING;
		frame->flags = P2P_YAMUX_ACK;
		frame->length = take_first(core->echoes, --core->echo_count);
	} else if (core->ping_wanted) {
		frame->type = P2P_YAMUX_PING;
		frame->flags = P2P_YAMUX_SYN;
		frame->length = core->ping_value;
		core->ping_wanted = false;
	} else if (core->going && !core->go_away_said) {
		frame->type = P2P_YAMUX_GO_AWAY;
		frame->length = core->go_away_reason;
		core->go_away_said = true;
	} else {
		return false;
	}
	return true;
}

size_t p2p_yamux_control(struct p2p_yamux *core, uint8_t *out, size_t cap)
{
	struct p2p_yamux_frame frame;
	size_t len = 0;

	while (cap - len >= P2P_YAMUX_HEADER && next_control(core, &frame)) {
		p2p_yamux_frame_encode(&frame, out + len);
		len += P2P_YAMUX_HEADER;
	}
	return len;
}
