/* A task that receives once, and what it got. */
#ifndef ANYIO_TESTS_RECEIVING_H
#define ANYIO_TESTS_RECEIVING_H

#include "conformance.h"

struct receiving {
	struct anyio_stream *stream;
	struct anyio_task_handle handle;
	ssize_t rc;
	char buffer[16];
};

static int receive_some(void *arg)
{
	struct receiving *self = arg;

	self->rc = anyio_stream_receive(self->stream, self->buffer, sizeof(self->buffer));
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

#endif
