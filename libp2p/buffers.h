/*
 * Large buffers, borrowed while data moves. A few are kept warm for the next borrower, because
 * fresh memory costs a page fault every 4 KiB; trim gives them back when all is quiet.
 */
#ifndef LIBP2P_BUFFERS_H
#define LIBP2P_BUFFERS_H

#include <stddef.h>

enum {
	/* Whole Noise frames that go out, or come in, with one call of the system. Twice as many take
	 * a tenth off the kernel's share and hold twice the memory of every busy connection. */
	P2P_FRAMES_AT_ONCE = 8,
	P2P_BUFFER_SIZE = P2P_FRAMES_AT_ONCE * (2 + 65535) + 1024, /* control frames beside them */
	P2P_BUFFERS_KEPT = 4,
};

/* All zero to begin with. */
struct p2p_buffers {
	void *kept[P2P_BUFFERS_KEPT];
	size_t count;
	size_t borrowed_since_trim;
};

void *p2p_buffer_borrow(struct p2p_buffers *buffers); /* P2P_BUFFER_SIZE bytes, or NULL */
void p2p_buffer_return(struct p2p_buffers *buffers, void *buffer);
/* Called now and then: frees what nobody borrowed since the last time. */
void p2p_buffers_trim(struct p2p_buffers *buffers);
void p2p_buffers_destroy(struct p2p_buffers *buffers);

#endif
