/*
 * Large buffers, borrowed while data moves. A few are kept warm for the next borrower, because
 * fresh memory costs a page fault every 4 KiB; trim gives them back when all is quiet.
 */
#ifndef LIBP2P_BUFFERS_H
#define LIBP2P_BUFFERS_H

#include <stddef.h>

enum {
	P2P_BUFFER_SIZE = 4 * (2 + 65535), /* four whole Noise frames */
	P2P_BUFFERS_KEPT = 8,
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
