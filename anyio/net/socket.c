/*
 * The stream over a connected socket.
 *
 * The other side's going away (EPIPE, ECONNRESET) is ANYIO_BROKEN, as on every other stream.
 */
#include <errno.h>
#include <limits.h>
#include "../core/cursor.h"
#include "../sync/use.h"
#include "net.h"

enum { BATCH = 64 }; /* parts of one sendmsg; on the stack */

struct socket {
	struct anyio_stream stream;
	struct anyio_closable at;
	bool sent_eof;
	enum anyio_rights rights;
	int family;
};

static const struct anyio_stream_ops socket_ops;

static struct socket *socket_of(struct anyio_stream *stream)
{
	return anyio_container(stream, struct socket, stream);
}

static void socket_settle(struct socket *socket)
{
	if (anyio_closable_ends(&socket->at)) {
		anyio_passing_close(socket->at.fd, socket->rights);
		socket->at.fd = -1;
	}
	if (anyio_closable_settle(&socket->at) && socket->at.destroyed)
		anyio_free(socket);
}

static int64_t socket_leave(struct socket *socket, struct anyio_use *use, int64_t result)
{
	result = anyio_closable_leave_stream(&socket->at, use, result);
	if (result == -ECONNRESET)
		result = ANYIO_BROKEN;
	socket_settle(socket);
	return result;
}

/* Of what a receive or a send on a stream uses; zeroing all of an operation takes longer than the
 * rest of handing it over. */
static void op_make(struct anyio_op *op, enum anyio_opcode code, const struct socket *socket)
{
	op->near = socket;
	op->fd = socket->at.fd;
	op->flags = 0;
	op->code = (uint8_t)code;
}

/* By itself, for the room for what may come takes a KiB of the stack. */
static __attribute__((noinline)) ssize_t receive_dropping(
	struct socket *socket, void *buffer, size_t size)
{
	int64_t rc = anyio_passing_receive(socket->at.fd, buffer, size, 0, NULL);

	return (ssize_t)socket_leave(socket, &socket->at.receiving, rc);
}

static __attribute__((noinline)) ssize_t receive_dropping_lazily(
	struct socket *socket, anyio_borrow_fn borrow, void *arg)
{
	void *buffer = NULL;
	size_t size = 0;
	int64_t rc;

	do {
		struct anyio_op poll = {
			.code = ANYIO_OP_POLL, .fd = socket->at.fd, .flags = POLLIN, .owned = true
		};

		rc = anyio_op_run(&poll);
		if (rc >= 0 && buffer == NULL) {
			buffer = borrow(arg, &size);
			rc = buffer == NULL ? -ENOMEM : 0;
		}
		if (rc >= 0)
			rc = anyio_passing_receive(socket->at.fd, buffer, size, MSG_DONTWAIT, NULL);
	} while (rc == -EAGAIN);
	return (ssize_t)socket_leave(socket, &socket->at.receiving, rc);
}

static ssize_t socket_receive(struct anyio_stream *stream, void *buffer, size_t size)
{
	struct socket *socket = socket_of(stream);
	struct anyio_op op;
	int rc = anyio_closable_enter(&socket->at, &socket->at.receiving);

	if (rc < 0)
		return rc;
	if (socket->rights != ANYIO_RIGHTS_REFUSED)
		return receive_dropping(socket, buffer, size);
	op_make(&op, ANYIO_OP_RECV, socket);
	op.base = buffer;
	op.len = size;
	return (ssize_t)socket_leave(socket, &socket->at.receiving, anyio_op_run(&op));
}

static ssize_t socket_receive_lazy(struct anyio_stream *stream, anyio_borrow_fn borrow, void *arg)
{
	struct socket *socket = socket_of(stream);
	struct anyio_op op = { .code = ANYIO_OP_RECV, .flags = MSG_DONTWAIT };
	int rc = anyio_closable_enter(&socket->at, &socket->at.receiving);

	if (rc < 0)
		return rc;
	if (socket->rights != ANYIO_RIGHTS_REFUSED)
		return receive_dropping_lazily(socket, borrow, arg);
	op.fd = socket->at.fd;
	return (ssize_t)socket_leave(
		socket, &socket->at.receiving, anyio_op_run_borrowing(&op, borrow, arg));
}

static int64_t send_parts(const struct socket *socket, struct iovec *parts, int count,
	const struct anyio_passing *passing)
{
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = (size_t)count };
	struct anyio_op op;

	op_make(&op, ANYIO_OP_SENDMSG, socket);
	op.msg = &msg;
	if (passing != NULL) {
		msg.msg_control = (void *)passing->bytes;
		msg.msg_controllen = passing->size;
	}
	return anyio_op_run(&op);
}

/* By itself, for its copies take a KiB of the stack of a task that waits. */
static __attribute__((noinline)) int64_t send_batch(const struct socket *socket,
	const struct anyio_cursor *cursor, const struct anyio_passing *passing)
{
	struct iovec batch[BATCH];

	return send_parts(socket, batch, anyio_cursor_fill(*cursor, batch, BATCH), passing);
}

/* The control message goes with the first byte. */
static int64_t send_all(const struct socket *socket, const struct iovec *iov, int count,
	const struct anyio_passing *passing, size_t *sent)
{
	struct anyio_cursor cursor = anyio_cursor_make(iov, count);

	while (cursor.left > 0) {
		struct iovec one = anyio_cursor_part(&cursor);
		int64_t n = cursor.left > 1 ? send_batch(socket, &cursor, passing)
					    : send_parts(socket, &one, 1, passing);

		if (n < 0)
			return n;
		passing = NULL;
		anyio_cursor_advance(&cursor, (size_t)n);
		*sent += (size_t)n;
	}
	return 0;
}

static int socket_send_with(struct socket *socket, const struct iovec *iov, int count,
	const struct anyio_passing *passing, size_t *sent)
{
	int rc;

	*sent = 0;
	if (socket->sent_eof)
		return ANYIO_CLOSED;
	rc = anyio_closable_enter(&socket->at, &socket->at.sending);
	if (rc < 0)
		return rc;
	return (int)socket_leave(
		socket, &socket->at.sending, send_all(socket, iov, count, passing, sent));
}

static int socket_sendv(
	struct anyio_stream *stream, const struct iovec *iov, int count, size_t *sent)
{
	return socket_send_with(socket_of(stream), iov, count, NULL, sent);
}

static int socket_send_eof(struct anyio_stream *stream)
{
	struct socket *socket = socket_of(stream);
	int rc;

	if (socket->at.closed)
		return ANYIO_CLOSED;
	if (socket->at.sending.task != NULL)
		return ANYIO_BUSY;
	if (socket->sent_eof)
		return 0;
	rc = anyio_fd_shutdown(socket->at.fd);
	if (rc < 0)
		return rc == -ENOTCONN ? ANYIO_BROKEN : rc;
	socket->sent_eof = true;
	return 0;
}

static void socket_close(struct anyio_stream *stream)
{
	struct socket *socket = socket_of(stream);

	anyio_closable_close(&socket->at);
	socket_settle(socket);
}

static void socket_abort(struct anyio_stream *stream)
{
	struct socket *socket = socket_of(stream);
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (!socket->at.closed)
		anyio_fd_option(socket->at.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	socket_close(stream);
}

static void socket_destroy(struct anyio_stream *stream)
{
	struct socket *socket = socket_of(stream);

	socket->at.destroyed = true;
	socket_settle(socket);
}

static ssize_t give_address(int fd, bool remote, void *out, size_t size)
{
	struct anyio_address address = { 0 };
	int rc = anyio_fd_address(fd, remote, &address);

	return rc < 0 ? rc : anyio_attribute_give(out, size, &address, sizeof(address));
}

static ssize_t give_credentials(const struct socket *socket, void *out, size_t size)
{
	struct anyio_credentials credentials;
	struct ucred peer;
	int rc = socket->family != AF_UNIX ? -ENODATA : anyio_fd_credentials(socket->at.fd, &peer);

	if (rc < 0)
		return rc;
	credentials = (struct anyio_credentials){ peer.pid, peer.uid, peer.gid };
	return anyio_attribute_give(out, size, &credentials, sizeof(credentials));
}

static ssize_t socket_attribute(
	const struct anyio_stream *stream, enum anyio_attribute which, void *out, size_t size)
{
	const struct socket *socket = socket_of((struct anyio_stream *)stream);

	if (socket->at.closed)
		return ANYIO_CLOSED;
	switch (which) {
	case ANYIO_ATTRIBUTE_LOCAL_ADDRESS: return give_address(socket->at.fd, false, out, size);
	case ANYIO_ATTRIBUTE_REMOTE_ADDRESS: return give_address(socket->at.fd, true, out, size);
	case ANYIO_ATTRIBUTE_CREDENTIALS: return give_credentials(socket, out, size);
	case ANYIO_ATTRIBUTE_DESCRIPTOR:
		return anyio_attribute_give(out, size, &socket->at.fd, sizeof(socket->at.fd));
	default: return -ENODATA;
	}
}

static const struct anyio_stream_ops socket_ops = {
	.receive = socket_receive,
	.receive_lazy = socket_receive_lazy,
	.sendv = socket_sendv,
	.send_eof = socket_send_eof,
	.close = socket_close,
	.abort = socket_abort,
	.destroy = socket_destroy,
	.attribute = socket_attribute,
};

int anyio_stream_from_socket(
	int fd, int family, enum anyio_rights rights, struct anyio_stream **stream)
{
	struct socket *socket = anyio_calloc(1, sizeof(*socket));

	if (socket == NULL) {
		anyio_fd_close(fd);
		return -ENOMEM;
	}
	socket->stream.ops = &socket_ops;
	socket->at.fd = fd;
	socket->family = family;
	socket->rights = rights;
	*stream = &socket->stream;
	return 0;
}

/* The socket, if descriptors can pass through it. */
static int socket_passing(struct anyio_stream *stream, struct socket **socket)
{
	*socket = socket_of(stream);
	if (stream->ops != &socket_ops || (*socket)->family != AF_UNIX)
		return -EOPNOTSUPP;
	return 0;
}

int anyio_stream_send_descriptors(struct anyio_stream *stream, const void *data, size_t size,
	const struct anyio_descriptors *descriptors, size_t *sent)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
	struct anyio_passing passing;
	struct socket *socket;
	size_t ignored;
	int rc = socket_passing(stream, &socket);

	if (sent == NULL)
		sent = &ignored;
	*sent = 0;
	if (rc == 0 && size == 0)
		rc = -EINVAL;
	if (rc == 0)
		rc = anyio_passing_pack(&passing, descriptors);
	return rc < 0 ? rc : socket_send_with(socket, &iov, 1, &passing, sent);
}

ssize_t anyio_stream_receive_descriptors(struct anyio_stream *stream, void *buffer, size_t size,
	struct anyio_descriptors *descriptors)
{
	struct socket *socket;
	int64_t n;
	int rc = socket_passing(stream, &socket);

	descriptors->count = 0;
	descriptors->lost = false;
	if (rc == 0 && socket->rights != ANYIO_RIGHTS_TAKEN)
		rc = -EOPNOTSUPP;
	/* Descriptors come with a byte. */
	if (rc == 0 && size == 0)
		rc = -EINVAL;
	if (rc == 0)
		rc = anyio_closable_enter(&socket->at, &socket->at.receiving);
	if (rc < 0)
		return rc;
	n = anyio_passing_receive(socket->at.fd, buffer, size, 0, descriptors);
	n = socket_leave(socket, &socket->at.receiving, n);
	if (n < 0)
		anyio_descriptors_close(descriptors);
	return (ssize_t)n;
}

int anyio_stream_peer_state(const struct anyio_stream *stream)
{
	struct socket *socket = socket_of((struct anyio_stream *)stream);

	if (stream->ops != &socket_ops)
		return -ENOTSOCK;
	return socket->at.closed ? ANYIO_CLOSED : anyio_fd_peer_state(socket->at.fd);
}

static int socket_address(const struct anyio_stream *stream, enum anyio_attribute which,
	struct anyio_address *address)
{
	ssize_t rc = anyio_stream_attribute(stream, which, address, sizeof(*address));

	if (rc == -ENODATA)
		return -ENOTSOCK;
	return rc < 0 ? (int)rc : 0;
}

int anyio_stream_local_address(const struct anyio_stream *stream, struct anyio_address *address)
{
	return socket_address(stream, ANYIO_ATTRIBUTE_LOCAL_ADDRESS, address);
}

int anyio_stream_remote_address(const struct anyio_stream *stream, struct anyio_address *address)
{
	return socket_address(stream, ANYIO_ATTRIBUTE_REMOTE_ADDRESS, address);
}
