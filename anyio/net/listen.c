#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "../sync/use.h"
#include "net.h"

/* Long enough for others to give descriptors back, short enough for nobody to notice. */
#define BACKOFF    (100 * ANYIO_MILLISECOND)
#define PROBE_TIME (100 * ANYIO_MILLISECOND)

static const struct anyio_listen_options defaults;

struct anyio_listener {
	int fd;
	int family;
	bool closed;
	struct anyio_use accepting;
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

static int listener_create(int fd, int family, int backlog, struct anyio_listener **listener)
{
	int rc = anyio_fd_listen(fd, backlog == 0 ? 1024 : backlog);

	if (rc < 0)
		return rc;
	*listener = anyio_calloc(1, sizeof(**listener));
	if (*listener == NULL)
		return -ENOMEM;
	(*listener)->fd = fd;
	(*listener)->family = family;
	return 0;
}

int anyio_listen_address(const struct anyio_address *address,
	const struct anyio_listen_options *options, struct anyio_listener **listener)
{
	int family = address->any.sa_family;
	int fd = anyio_fd_socket(family), rc;

	*listener = NULL;
	if (fd < 0)
		return fd;
	if (options == NULL)
		options = &defaults;
	rc = listen_options(fd, family, options);
	if (rc == 0)
		rc = anyio_fd_bind(fd, address);
	if (rc == 0)
		rc = listener_create(fd, family, options->backlog, listener);
	if (rc < 0)
		anyio_fd_close(fd);
	return rc;
}

struct probe {
	int fd, rc;
	const struct anyio_address *address;
};

static int probe_connect(void *arg)
{
	struct probe *probe = arg;

	probe->rc = anyio_fd_connect(probe->fd, probe->address);
	return probe->rc == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

/* Whether nobody listens there: 1, 0 or a negative code. A full queue is an answer too, be it
 * -EAGAIN or, where the kernel lets us wait, no answer in time. */
static int unix_is_stale(const struct anyio_address *address)
{
	struct probe probe = { .fd = anyio_fd_socket(AF_UNIX), .address = address };
	int rc;

	if (probe.fd < 0)
		return probe.fd;
	rc = anyio_move_on_after(PROBE_TIME, probe_connect, &probe);
	anyio_fd_close(probe.fd);
	return rc < 0 ? rc : probe.rc == -ECONNREFUSED;
}

/* Removes path when it is a socket on which nobody answers; -EADDRINUSE when it is not. */
static int stale_remove(const char *path, const struct anyio_address *address)
{
	struct stat st;
	struct anyio_op look = {
		.code = ANYIO_OP_STAT,
		.fd = AT_FDCWD,
		.path = path,
		.flags = AT_SYMLINK_NOFOLLOW,
		.st = &st,
	};
	struct anyio_op unlink = { .code = ANYIO_OP_UNLINKAT, .fd = AT_FDCWD, .path = path };
	int rc = (int)anyio_op_run(&look);

	if (rc == -ENOENT)
		return 0;
	if (rc == 0)
		rc = S_ISSOCK(st.st_mode) ? unix_is_stale(address) : 0;
	if (rc <= 0)
		return rc < 0 ? rc : -EADDRINUSE;
	rc = (int)anyio_op_run(&unlink);
	return rc == -ENOENT ? 0 : rc;
}

/* The kernel may keep the sockets of a killed process for a moment, while it takes its io_uring
 * down: so somebody who still answers is asked again for a while. */
static int unix_bind(int fd, const char *path, const struct anyio_address *address)
{
	enum { TRIES = 20 };
	int rc = anyio_fd_bind(fd, address);

	if (rc != -EADDRINUSE)
		return rc;
	rc = stale_remove(path, address);
	for (int i = 1; rc == -EADDRINUSE && i < TRIES; i++) {
		rc = anyio_sleep(50 * ANYIO_MILLISECOND);
		if (rc == 0)
			rc = stale_remove(path, address);
	}
	return rc < 0 ? rc : anyio_fd_bind(fd, address);
}

int anyio_listen_unix(const char *path, const struct anyio_listen_options *options,
	struct anyio_listener **listener)
{
	struct anyio_address address;
	int rc = anyio_address_unix(&address, path), fd;

	*listener = NULL;
	if (rc < 0)
		return rc;
	fd = anyio_fd_socket(AF_UNIX);
	if (fd < 0)
		return fd;
	if (options == NULL)
		options = &defaults;
	rc = unix_bind(fd, path, &address);
	/* Nobody can connect before listen(), so there is no moment with other permissions. */
	if (rc == 0)
		rc = anyio_fd_mode(path, options->unix_mode == 0 ? 0600 : options->unix_mode);
	if (rc == 0)
		rc = listener_create(fd, AF_UNIX, options->backlog, listener);
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
		struct anyio_op op = { .code = ANYIO_OP_ACCEPT, .fd = listener->fd };
		int64_t rc = anyio_op_run(&op);

		if (rc >= 0)
			rc = anyio_stream_from_socket((int)rc, listener->family, stream);
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
	if (!listener->closed || listener->accepting.scope != NULL)
		return;
	anyio_fd_close(listener->fd);
	anyio_free(listener);
}

int anyio_accept(struct anyio_listener *listener, struct anyio_stream **stream)
{
	struct anyio_cancel_scope scope;
	int rc = anyio_use_begin(&listener->accepting, &scope);

	*stream = NULL;
	if (rc < 0)
		return rc;
	rc = accept_one(listener, stream);
	anyio_use_end(&listener->accepting);
	if (rc == ANYIO_CANCELLED && listener->closed)
		rc = ANYIO_CLOSED;
	listener_settle(listener);
	return rc;
}

int anyio_listener_address(const struct anyio_listener *listener, struct anyio_address *address)
{
	return anyio_fd_address(listener->fd, false, address);
}

void anyio_listener_free(struct anyio_listener *listener)
{
	if (listener == NULL)
		return;
	listener->closed = true;
	anyio_use_interrupt(&listener->accepting);
	listener_settle(listener);
}
