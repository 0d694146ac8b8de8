#include <errno.h>
#include "../sync/use.h"
#include "net.h"

/* Long enough for others to give descriptors back, short enough for nobody to notice. */
#define BACKOFF (100 * ANYIO_MILLISECOND)

static const struct anyio_listen_options defaults;

struct anyio_listener {
	struct anyio_closable at;
	int family;
	enum anyio_rights rights; /* of what is accepted */
	bool tuned;               /* what is accepted needs nothing more */
	unsigned holds;           /* who will come back to it: it is not given back before */
};

static int listen_options(int fd, int family, const struct anyio_listen_options *options)
{
	int rc = 0;

	if (family == AF_UNIX)
		return 0;
	rc = anyio_fd_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (rc == 0 && options->reuse_port)
		rc = anyio_fd_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (rc == 0 && family == AF_INET6)
		rc = anyio_fd_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only);
	return rc;
}

static int backlog_of(const struct anyio_listen_options *options)
{
	return options->backlog == 0 ? 1024 : options->backlog;
}

static int listener_create(
	int fd, int family, enum anyio_rights rights, bool tuned, struct anyio_listener **listener)
{
	*listener = anyio_calloc(1, sizeof(**listener));
	if (*listener == NULL)
		return -ENOMEM;
	(*listener)->at.fd = fd;
	(*listener)->family = family;
	(*listener)->rights = rights;
	(*listener)->tuned = tuned;
	return 0;
}

int anyio_listen_address(const struct anyio_address *address,
	const struct anyio_listen_options *options, struct anyio_listener **listener)
{
	int family = address->any.sa_family;
	int fd = anyio_fd_socket(family, SOCK_STREAM), rc;
	enum anyio_rights rights;
	bool tuned = false;

	*listener = NULL;
	if (fd < 0)
		return fd;
	if (options == NULL)
		options = &defaults;
	rc = listen_options(fd, family, options);
	if (rc == 0)
		rc = anyio_passing_set(fd, family, options->descriptors, &rights);
	if (rc == 0)
		rc = anyio_fd_bind(fd, address);
	if (rc == 0)
		tuned = anyio_tune_listener(fd, address);
	if (rc == 0)
		rc = anyio_fd_listen(fd, backlog_of(options));
	if (rc == 0)
		rc = listener_create(fd, family, rights, tuned, listener);
	if (rc < 0)
		anyio_fd_close(fd);
	return rc;
}

static void listeners_free(struct anyio_listener **listeners, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		anyio_listener_free(listeners[i]);
		listeners[i] = NULL;
	}
}

/* Where ports are asked for as 0, the first one's is everybody's. */
static in_port_t *port_of(struct anyio_address *address)
{
	switch (address->any.sa_family) {
	case AF_INET: return &address->ip4.sin_port;
	case AF_INET6: return &address->ip6.sin6_port;
	default: return NULL;
	}
}

static int listen_together(const struct anyio_address *addresses, size_t count,
	const struct anyio_listen_options *options, struct anyio_listener **listeners,
	in_port_t *chosen)
{
	int rc = 0;

	*chosen = 0;
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct anyio_address address = addresses[i];
		in_port_t *port = port_of(&address);
		bool choose = port != NULL && *port == 0;

		if (choose)
			*port = *chosen;
		rc = anyio_listen_address(&address, options, &listeners[i]);
		if (rc == 0 && choose && *chosen == 0) {
			rc = anyio_listener_address(listeners[i], &address);
			*chosen = *port;
		}
	}
	return rc;
}

int anyio_listen_several(const struct anyio_address *addresses, size_t count,
	const struct anyio_listen_options *options, struct anyio_listener **listeners)
{
	enum { TRIES = 16 };
	struct anyio_listen_options apart = options == NULL ? defaults : *options;
	in_port_t chosen;
	int rc = 0;

	apart.v6_only = true;
	for (size_t i = 0; i < count; i++)
		listeners[i] = NULL;
	for (int tries = 0; tries < TRIES; tries++) {
		rc = listen_together(addresses, count, &apart, listeners, &chosen);
		if (rc == 0)
			return 0;
		listeners_free(listeners, count);
		/* Not ours to choose again, or not even the first could be had. */
		if (rc != -EADDRINUSE || chosen == 0)
			return rc;
	}
	return rc;
}

int anyio_listen_unix(const char *path, const struct anyio_listen_options *options,
	struct anyio_listener **listener)
{
	int fd = anyio_fd_socket(AF_UNIX, SOCK_STREAM), rc;
	enum anyio_rights rights;

	*listener = NULL;
	if (fd < 0)
		return fd;
	if (options == NULL)
		options = &defaults;
	rc = anyio_passing_set(fd, AF_UNIX, options->descriptors, &rights);
	if (rc == 0)
		rc = anyio_unix_bind(fd, SOCK_STREAM, path,
			options->unix_mode == 0 ? 0600 : options->unix_mode & 07777,
			backlog_of(options));
	if (rc == 0)
		rc = listener_create(fd, AF_UNIX, rights, true, listener);
	if (rc < 0)
		anyio_fd_close(fd);
	return rc;
}

static bool out_of_resources(int64_t rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
}

/* Errors of one connection that ended while it was queued; accept(2), "Error handling". */
static bool died_in_queue(int64_t rc)
{
	return rc == -ECONNABORTED || rc == -EPROTO || rc == -ENETDOWN || rc == -ENOPROTOOPT ||
		rc == -EHOSTDOWN || rc == -ENONET || rc == -EHOSTUNREACH || rc == -ENETUNREACH;
}

static int accept_one(struct anyio_listener *listener, struct anyio_stream **stream)
{
	for (;;) {
		struct anyio_op op = { .code = ANYIO_OP_ACCEPT, .fd = listener->at.fd };
		int64_t rc = anyio_op_run(&op);

		if (rc >= 0 && !listener->tuned)
			anyio_tune_accepted((int)rc);
		if (rc >= 0)
			rc = anyio_stream_from_socket(
				(int)rc, listener->family, listener->rights, stream);
		if (out_of_resources(rc))
			rc = anyio_sleep(BACKOFF);
		else if (!died_in_queue(rc))
			return (int)rc;
		if (rc == ANYIO_CANCELLED)
			return ANYIO_CANCELLED;
	}
}

static void listener_settle(struct anyio_listener *listener)
{
	if (anyio_closable_ends(&listener->at)) {
		anyio_passing_close(listener->at.fd, listener->rights);
		listener->at.fd = -1;
	}
	if (anyio_closable_settle(&listener->at) && listener->at.destroyed && listener->holds == 0)
		anyio_free(listener);
}

int anyio_accept(struct anyio_listener *listener, struct anyio_stream **stream)
{
	int rc = anyio_checkpoint_if_cancelled();

	*stream = NULL;
	if (rc == 0)
		rc = anyio_closable_enter(&listener->at, &listener->at.receiving);
	if (rc < 0)
		return rc;
	rc = (int)anyio_closable_leave(
		&listener->at, &listener->at.receiving, accept_one(listener, stream));
	listener_settle(listener);
	return rc;
}

int anyio_listener_address(const struct anyio_listener *listener, struct anyio_address *address)
{
	if (listener->at.closed)
		return ANYIO_CLOSED;
	return anyio_fd_address(listener->at.fd, false, address);
}

void anyio_listener_close(struct anyio_listener *listener)
{
	anyio_closable_close(&listener->at);
	listener_settle(listener);
}

void anyio_listener_free(struct anyio_listener *listener)
{
	if (listener == NULL)
		return;
	listener->at.destroyed = true;
	anyio_listener_close(listener);
}

void anyio_listener_hold(struct anyio_listener *listener)
{
	listener->holds++;
}

void anyio_listener_release(struct anyio_listener *listener)
{
	listener->holds--;
	listener_settle(listener);
}
