#include "buffers.h"

#include <anyio/memory.h>

void *p2p_buffer_borrow(struct p2p_buffers *buffers)
{
	buffers->borrowed_since_trim++;
	return buffers->count ? buffers->kept[--buffers->count] : anyio_malloc(P2P_BUFFER_SIZE);
}

void p2p_buffer_return(struct p2p_buffers *buffers, void *buffer)
{
	if (buffers->count < P2P_BUFFERS_KEPT)
		buffers->kept[buffers->count++] = buffer;
	else
		anyio_free(buffer);
}

void p2p_buffers_trim(struct p2p_buffers *buffers)
{
	if (buffers->borrowed_since_trim == 0)
		p2p_buffers_destroy(buffers);
	buffers->borrowed_since_trim = 0;
}

void p2p_buffers_destroy(struct p2p_buffers *buffers)
{
	while (buffers->count)
		anyio_free(buffers->kept[--buffers->count]);
}
