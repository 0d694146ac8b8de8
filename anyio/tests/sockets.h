/* What the tests of sockets share. */
#ifndef ANYIO_TESTS_SOCKETS_H
#define ANYIO_TESTS_SOCKETS_H

#include "conformance.h"

static inline void spawn(struct anyio_task_group *group, anyio_task_fn fn, void *arg,
	struct anyio_task_handle *handle)
{
	struct anyio_task_options options = { .name = "child", .handle = handle };

	CHECK_RC(anyio_start_soon_with(group, fn, arg, &options), 0);
}

static inline struct anyio_listener *listen_local(struct anyio_address *address)
{
	struct anyio_listener *listener;

	CHECK_RC(anyio_address_parse(address, "127.0.0.1", 0), 0);
	CHECK_RC(anyio_listen_address(address, NULL, &listener), 0);
	CHECK_RC(anyio_listener_address(listener, address), 0);
	CHECK(address->ip4.sin_port != 0);
	return listener;
}

struct accepting {
	struct anyio_listener *listener;
	struct anyio_stream *stream;
	struct anyio_task_handle handle;
	int rc;
};

static inline int accept_one(void *arg)
{
	struct accepting *self = arg;

	self->rc = anyio_accept(self->listener, &self->stream);
	return self->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

/* ends[0] connected to ends[1]. */
static inline void connect_pair(struct anyio_stream *ends[2])
{
	struct anyio_address address;
	struct accepting accepting = { .listener = listen_local(&address) };
	struct anyio_task_group group;

	anyio_task_group_enter(&group);
	spawn(&group, accept_one, &accepting, NULL);
	CHECK_RC(anyio_connect_address(&address, &ends[0]), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	CHECK_RC(accepting.rc, 0);
	ends[1] = accepting.stream;
	anyio_listener_free(accepting.listener);
}

static inline void pair_free(struct anyio_stream *ends[2])
{
	anyio_stream_free(ends[0]);
	anyio_stream_free(ends[1]);
}

#endif
