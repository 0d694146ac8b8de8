#include "frame.h"

#include <errno.h>
#include <stdbool.h>

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_u32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

int p2p_yamux_frame_decode(struct p2p_yamux_frame *frame, const uint8_t header[P2P_YAMUX_HEADER])
{
	bool of_session;

	if (header[0] != 0 || header[1] > P2P_YAMUX_GO_AWAY)
		return -EPROTO;
	frame->type = header[1];
	frame->flags = (uint16_t)(header[2] << 8 | header[3]);
	frame->stream = get_u32(header + 4);
	frame->length = get_u32(header + 8);
	of_session = frame->type == P2P_YAMUX_PING || frame->type == P2P_YAMUX_GO_AWAY;
	return of_session == (frame->stream == 0) ? 0 : -EPROTO;
}

void p2p_yamux_frame_encode(const struct p2p_yamux_frame *frame, uint8_t header[P2P_YAMUX_HEADER])
{
	header[0] = 0;
	header[1] = frame->type;
	header[2] = (uint8_t)(frame->flags >> 8);
	header[3] = (uint8_t)frame->flags;
	put_u32(header + 4, frame->stream);
	put_u32(header + 8, frame->length);
}
