/*
 * Datagram sockets.
 *
 * A closer waits until the descriptor is given back, so that the address is free when it returns; the
 * object goes with the last closer.
 *
 * UNIX sends never wait in the kernel: io_uring (Linux 6.18) keeps the place in the buffer that the
 * first try has read to, and sends an empty datagram once there is room. They wait for readiness,
 * which tells of room at the connected side alone; for another's they ask again after a pause.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <anyio/datagram.h>
#include <anyio/sync.h>
#include "../sync/use.h"
#include "net.h"

#define PAUSE_MOST (50 * ANYIO_MILLISECOND)

static const struct anyio_datagram_options defaults;

struct anyio_datagram {
	struct anyio_closable at;
	sa_family_t family;
	unsigned closers;        /* inside anyio_datagram_close */
	struct anyio_event free; /* the descriptor is */
};

static void datagram_settle(struct anyio_datagram *datagram)
{
	if (!anyio_closable_settle(&datagram->at))
		return;
	anyio_event_set(&datagram->free);
	if (datagram->at.destroyed && datagram->closers == 0)
		anyio_free(datagram);
}

static int64_t datagram_leave(
	struct anyio_datagram *datagram, struct anyio_use *use, int64_t result)
{
	result = anyio_closable_leave(&datagram->at, use, result);
	datagram_settle(datagram);
	return result;
}

static int flag_if(bool wanted, int fd, int level, int name, int value)
{
	return wanted ? anyio_fd_flag(fd, level, name, value) : 0;
}

static int options_set(int fd, int family, const struct anyio_datagram_options *options)
{
	int send = options->send_buffer, receive = options->receive_buffer;
	int rc = flag_if(send > 0, fd, SOL_SOCKET, SO_SNDBUF, send);

	if (rc == 0)
		rc = flag_if(receive > 0, fd, SOL_SOCKET, SO_RCVBUF, receive);
	if (rc < 0 || family == AF_UNIX)
		return rc;
	rc = flag_if(options->reuse_port, fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (rc == 0)
		rc = flag_if(options->broadcast, fd, SOL_SOCKET, SO_BROADCAST, 1);
	if (rc == 0)
		rc = flag_if(family == AF_INET6, fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only);
	return rc;
}

int anyio_datagram_open(
	int family, const struct anyio_datagram_options *options, struct anyio_datagram **datagram)
{
	int fd = anyio_fd_socket(family, SOCK_DGRAM), rc;
	enum anyio_rights rights; /* where the kernel cannot refuse them it closes what comes */

	*datagram = NULL;
	if (fd < 0)
		return fd;
	rc = options_set(fd, family, options == NULL ? &defaults : options);
	if (rc == 0)
		rc = anyio_passing_set(fd, family, false, &rights);
	if (rc == 0)
		*datagram = anyio_calloc(1, sizeof(**datagram));
	if (*datagram == NULL) {
		anyio_fd_close(fd);
		return rc < 0 ? rc : -ENOMEM;
	}
	(*datagram)->at.fd = fd;
	(*datagram)->family = (sa_family_t)family;
	anyio_event_init(&(*datagram)->free);
	return 0;
}

/* Frees what could not be finished. */
static int finish(int rc, struct anyio_datagram **datagram)
{
	if (rc < 0) {
		anyio_datagram_free(*datagram);
		*datagram = NULL;
	}
	return rc;
}

static int bind_unix(int fd, const struct anyio_address *local, unsigned mode)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&local->storage;
	size_t start = offsetof(struct sockaddr_un, sun_path);
	size_t size = local->len > start ? local->len - start : 0;
	char path[sizeof(un->sun_path) + 1] = { 0 };

	if (size > sizeof(un->sun_path))
		return -EINVAL;
	memcpy(path, un->sun_path, size);
	/* Abstract names have no file. */
	if (path[0] == '\0')
		return anyio_fd_bind(fd, local);
	return anyio_unix_bind(fd, SOCK_DGRAM, path, mode == 0 ? 0600 : mode, 0);
}

static int bind_to(struct anyio_datagram *datagram, const struct anyio_address *local,
	const struct anyio_datagram_options *options)
{
	if (local->any.sa_family != AF_UNIX)
		return anyio_fd_bind(datagram->at.fd, local);
	return bind_unix(datagram->at.fd, local, options == NULL ? 0 : options->unix_mode);
}

int anyio_datagram_bind(const struct anyio_address *local,
	const struct anyio_datagram_options *options, struct anyio_datagram **datagram)
{
	int rc = anyio_datagram_open(local->any.sa_family, options, datagram);

	return rc < 0 ? rc : finish(bind_to(*datagram, local, options), datagram);
}

int anyio_datagram_connect(const struct anyio_address *remote, const struct anyio_address *local,
	const struct anyio_datagram_options *options, struct anyio_datagram **datagram)
{
	int rc = anyio_datagram_open(remote->any.sa_family, options, datagram);

	if (rc < 0)
		return rc;
	if (local != NULL)
		rc = bind_to(*datagram, local, options);
	if (rc == 0)
		rc = anyio_fd_connect((*datagram)->at.fd, remote);
	return finish(rc, datagram);
}

static int open_named(const char *host, uint16_t port, bool connect,
	const struct anyio_datagram_options *options, struct anyio_datagram **datagram)
{
	struct anyio_address *addresses;
	size_t count;
	int first = 0, rc;

	*datagram = NULL;
	rc = anyio_getaddrinfo(host, port, AF_UNSPEC, &addresses, &count);
	if (rc < 0)
		return rc;
	anyio_addresses_interleave(addresses, count);
	for (size_t i = 0; i < count; i++) {
		rc = connect ? anyio_datagram_connect(&addresses[i], NULL, options, datagram)
			     : anyio_datagram_bind(&addresses[i], options, datagram);
		if (i == 0)
			first = rc;
		if (rc == 0 || rc == ANYIO_CANCELLED)
			break;
	}
	anyio_free(addresses);
	return rc < 0 && rc != ANYIO_CANCELLED ? first : rc;
}

int anyio_udp_bind(const char *host, uint16_t port, const struct anyio_datagram_options *options,
	struct anyio_datagram **datagram)
{
	return open_named(host, port, false, options, datagram);
}

int anyio_udp_connect(const char *host, uint16_t port, const struct anyio_datagram_options *options,
	struct anyio_datagram **datagram)
{
	return open_named(host, port, true, options, datagram);
}

static int64_t wait_for_room(const struct anyio_op *send, anyio_time *pause)
{
	struct anyio_op poll = {
		.code = ANYIO_OP_POLL, .fd = send->fd, .flags = POLLOUT, .owned = true
	};
	anyio_time now = *pause;

	if (send->msg->msg_name == NULL)
		return anyio_op_run(&poll);
	if (*pause < PAUSE_MOST)
		*pause += now;
	return anyio_sleep(now);
}

static int64_t send_unix(struct anyio_op *op)
{
	anyio_time pause = ANYIO_MILLISECOND;
	int64_t rc;

	op->flags = MSG_DONTWAIT;
	while ((rc = anyio_op_run(op)) == -EAGAIN) {
		rc = wait_for_room(op, &pause);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int send_message(struct anyio_datagram *datagram, struct msghdr *msg)
{
	struct anyio_op op = { .code = ANYIO_OP_SENDMSG, .fd = datagram->at.fd, .msg = msg };
	int64_t rc = anyio_closable_enter(&datagram->at, &datagram->at.sending);

	if (rc < 0)
		return (int)rc;
	rc = datagram->family == AF_UNIX ? send_unix(&op) : anyio_op_run(&op);
	rc = datagram_leave(datagram, &datagram->at.sending, rc);
	return rc < 0 ? (int)rc : 0;
}

int anyio_datagram_send(struct anyio_datagram *datagram, const void *data, size_t size)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return send_message(datagram, &msg);
}

int anyio_datagram_send_to(struct anyio_datagram *datagram, const void *data, size_t size,
	const struct anyio_address *to)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr msg = {
		.msg_name = (void *)&to->any,
		.msg_namelen = to->len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};

	return send_message(datagram, &msg);
}

ssize_t anyio_datagram_receive(struct anyio_datagram *datagram, void *buffer, size_t size,
	struct anyio_datagram_info *info)
{
	struct anyio_address from = { .len = 0 };
	struct iovec iov = { .iov_base = buffer, .iov_len = size };
	struct msghdr msg = {
		.msg_name = &from.any,
		.msg_namelen = sizeof(from.storage),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	struct anyio_op op = {
		.code = ANYIO_OP_RECVMSG,
		.fd = datagram->at.fd,
		.msg = &msg,
		.flags = MSG_TRUNC, /* the result is the whole size */
	};
	int64_t rc = anyio_closable_enter(&datagram->at, &datagram->at.receiving);

	if (rc < 0)
		return (ssize_t)rc;
	rc = datagram_leave(datagram, &datagram->at.receiving, anyio_op_run(&op));
	if (rc < 0)
		return (ssize_t)rc;
	from.len = msg.msg_namelen;
	if (info != NULL)
		*info = (struct anyio_datagram_info){ .from = from, .size = (size_t)rc };
	return (size_t)rc > size ? -EMSGSIZE : (ssize_t)rc;
}

static int datagram_address(
	const struct anyio_datagram *datagram, bool remote, struct anyio_address *address)
{
	return datagram->at.closed ? ANYIO_CLOSED
				   : anyio_fd_address(datagram->at.fd, remote, address);
}

int anyio_datagram_local_address(
	const struct anyio_datagram *datagram, struct anyio_address *address)
{
	return datagram_address(datagram, false, address);
}

int anyio_datagram_remote_address(
	const struct anyio_datagram *datagram, struct anyio_address *address)
{
	return datagram_address(datagram, true, address);
}

static void wait_shielded(struct anyio_event *event)
{
	struct anyio_cancel_scope scope;

	anyio_cancel_scope_init(&scope);
	anyio_cancel_scope_set_shield(&scope, true);
	anyio_cancel_scope_enter(&scope);
	anyio_cancel_scope_exit(&scope, anyio_event_wait(event));
}

void anyio_datagram_close(struct anyio_datagram *datagram)
{
	datagram->closers++;
	anyio_closable_close(&datagram->at);
	datagram_settle(datagram);
	if (datagram->at.fd >= 0)
		wait_shielded(&datagram->free);
	datagram->closers--;
	datagram_settle(datagram);
}

void anyio_datagram_free(struct anyio_datagram *datagram)
{
	if (datagram == NULL)
		return;
	datagram->at.destroyed = true;
	anyio_datagram_close(datagram);
}
