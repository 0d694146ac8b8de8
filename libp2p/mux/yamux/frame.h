/* The yamux header (hashicorp/yamux spec.md): 12 bytes, big-endian. Pure. */
#ifndef LIBP2P_YAMUX_FRAME_H
#define LIBP2P_YAMUX_FRAME_H

#include <stdint.h>

enum {
	P2P_YAMUX_HEADER = 12,
	P2P_YAMUX_WINDOW = 256 * 1024, /* every stream starts with it, both ways */
};

enum p2p_yamux_type {
	P2P_YAMUX_DATA,
	P2P_YAMUX_WINDOW_UPDATE,
	P2P_YAMUX_PING,
	P2P_YAMUX_GO_AWAY,
};

enum p2p_yamux_flag {
	P2P_YAMUX_SYN = 1,
	P2P_YAMUX_ACK = 2,
	P2P_YAMUX_FIN = 4,
	P2P_YAMUX_RST = 8,
};

enum p2p_yamux_go_away {
	P2P_YAMUX_NORMAL,
	P2P_YAMUX_PROTOCOL_ERROR,
	P2P_YAMUX_INTERNAL_ERROR,
};

struct p2p_yamux_frame {
	uint8_t type;    /* enum p2p_yamux_type */
	uint16_t flags;  /* of enum p2p_yamux_flag; bits not known are ignored */
	uint32_t stream; /* 0: the session */
	uint32_t length; /* data: bytes that follow; window update: the credit added; ping: its
	                  * value; go away: the reason */
};

/* 0, or -EPROTO for another version, an unknown type, or a stream id that does not go with the
 * type. */
int p2p_yamux_frame_decode(struct p2p_yamux_frame *frame, const uint8_t header[P2P_YAMUX_HEADER]);
void p2p_yamux_frame_encode(const struct p2p_yamux_frame *frame, uint8_t header[P2P_YAMUX_HEADER]);

#endif
