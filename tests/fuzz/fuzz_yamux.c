/*
 * A yamux session against a peer that says anything, while its owner does anything: the input is a list of
 * steps, some of them bytes off the wire. The windows must hold and nothing may grow without bound.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "libp2p/mux/yamux/core.h"

enum { STREAMS_MAX = 300 };

struct owned {
	struct p2p_yamux_stream core;
	bool detached;
};

static struct owned *streams[STREAMS_MAX];
static size_t count;
static anyio_time now;

static struct owned *owned_of(struct p2p_yamux_stream *core)
{
	return (struct owned *)core;
}

static struct p2p_yamux_stream *add(void)
{
	if (count == STREAMS_MAX)
		return NULL;
	streams[count] = calloc(1, sizeof **streams);
	p2p_yamux_stream_init(&streams[count]->core);
	return &streams[count++]->core;
}

static struct p2p_yamux_stream *on_opened(void *owner, uint32_t id)
{
	return add();
}

static int on_data(void *owner, struct p2p_yamux_stream *stream, const uint8_t *data, size_t len)
{
	assert(!owned_of(stream)->detached);
	return len > 3 && data[3] == 0xee ? -1 : 0;
}

static void on_changed(void *owner, struct p2p_yamux_stream *stream)
{
	assert(!owned_of(stream)->detached);
}

static void on_detached(void *owner, struct p2p_yamux_stream *stream)
{
	assert(!owned_of(stream)->detached);
	owned_of(stream)->detached = true;
}

static int on_grow(void *owner, struct p2p_yamux_stream *stream, uint32_t by)
{
	return 0;
}

static void on_pong(void *owner, uint32_t value)
{
}

static const struct p2p_yamux_hooks hooks = { on_opened, on_data, on_changed, on_detached, on_grow,
	on_pong };

static void act(struct p2p_yamux *core, uint8_t what, uint8_t which, uint8_t amount)
{
	struct p2p_yamux_stream *stream = count ? &streams[which % count]->core : NULL;
	uint8_t out[10 * P2P_YAMUX_HEADER];

	if (what == 0) {
		stream = add();
		if (stream && p2p_yamux_open(core, stream) < 0)
			owned_of(stream)->detached = true;
		return;
	}
	if (what == 1 || !stream || owned_of(stream)->detached) {
		p2p_yamux_control(core, out, sizeof out);
		return;
	}
	switch (what) {
	case 2: p2p_yamux_finish(core, stream); break;
	case 3: p2p_yamux_reset(core, stream); break;
	case 4:
		p2p_yamux_taken(core, stream,
			stream->buffered < amount * 1024u ? stream->buffered : amount * 1024u,
			now += amount);
		break;
	case 5:
		if (!stream->local_fin && !stream->reset)
			p2p_yamux_data(core, stream, amount * 1024u, out);
		break;
	case 6: p2p_yamux_announce(core, stream); break;
	default: p2p_yamux_ping(core, amount);
	}
}

static void check(const struct p2p_yamux *core)
{
	struct p2p_yamux_stream *stream = p2p_yamux_next(core, NULL);
	size_t attached = 0;

	for (; stream; stream = p2p_yamux_next(core, stream), attached++) {
		assert(stream->attached);
		assert(stream->recv_window + stream->buffered <= stream->recv_max);
		assert(stream->recv_max <= core->window_max);
	}
	assert(attached == core->stream_count);
	assert(core->unacked_in <= P2P_YAMUX_UNACKED_MAX);
	assert(core->unacked_out <= P2P_YAMUX_UNACKED_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct p2p_yamux core;
	int rc = 0;

	p2p_yamux_init(&core, size && data[0] & 1, 1 << 20, &hooks, NULL);
	core.rtt = 1000;
	now = 1;
	while (size >= 3 && rc == 0) {
		uint8_t step = data[0], a = data[1], b = data[2];

		data += 3;
		size -= 3;
		if (step & 0x80) {
			size_t n = a < size ? a : size;

			rc = p2p_yamux_input(&core, data, n);
			data += n;
			size -= n;
		} else {
			act(&core, step % 8, a, b);
		}
		check(&core);
	}
	p2p_yamux_destroy(&core);
	for (size_t i = 0; i < count; i++) {
		assert(streams[i]->detached);
		free(streams[i]);
	}
	count = 0;
	return 0;
}
