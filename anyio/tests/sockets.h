/* What the tests of sockets share. */
#ifndef ANYIO_TESTS_SOCKETS_H
#define ANYIO_TESTS_SOCKETS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
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

/* Not every machine has it. */
static inline bool has_ip6(void)
{
	struct anyio_address address;
	struct anyio_datagram *datagram;
	int rc;

	CHECK_RC(anyio_address_parse(&address, "::1", 0), 0);
	rc = anyio_datagram_bind(&address, NULL, &datagram);
	CHECK(rc == 0 || rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT);
	anyio_datagram_free(datagram);
	return rc == 0;
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

/* A folder for a UNIX socket. */
struct folder {
	char folder[64], path[96];
};

static inline void folder_make(struct folder *self)
{
	const char *base = getenv("TMPDIR");

	snprintf(self->folder, sizeof(self->folder), "%s/anyio-XXXXXX",
		base != NULL && strlen(base) < 40 ? base : "/tmp");
	CHECK(mkdtemp(self->folder) != NULL);
	snprintf(self->path, sizeof(self->path), "%s/socket", self->folder);
}

static inline void folder_remove(struct folder *self)
{
	unlink(self->path);
	CHECK_RC(rmdir(self->folder), 0);
}

static inline struct anyio_address path_address(const char *path)
{
	struct anyio_address address;

	CHECK_RC(anyio_address_unix(&address, path), 0);
	return address;
}

/* The same over a UNIX socket, for descriptors too. */
static inline void connect_unix_pair(struct anyio_stream *ends[2])
{
	static const struct anyio_listen_options listening = { .descriptors = true };
	static const struct anyio_connect_options connecting = { .descriptors = true };
	struct anyio_address address;
	struct folder folder;
	struct anyio_listener *listener;

	folder_make(&folder);
	address = path_address(folder.path);
	CHECK_RC(anyio_listen_unix(folder.path, &listening, &listener), 0);
	CHECK_RC(anyio_connect_address_with(&address, &connecting, &ends[0]), 0);
	CHECK_RC(anyio_accept(listener, &ends[1]), 0);
	anyio_listener_free(listener);
	folder_remove(&folder);
}

/* Until what is closed on a thread is closed. */
static inline void until_alone(void)
{
	while (anyio_task_count() > 1)
		anyio_cancel_shielded_checkpoint();
}

static inline void pair_free(struct anyio_stream *ends[2])
{
	anyio_stream_free(ends[0]);
	anyio_stream_free(ends[1]);
}

#endif
