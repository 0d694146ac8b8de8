/*
 * Simulated sockets: the calls. A call that would wait says -EAGAIN; the operation is then
 * parked here and tried again after whatever could have changed that.
 */
#include "net.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void sim_net_park(struct sim_socket *socket, struct anyio_op *op)
{
	struct anyio_op **at = &socket->waiting[anyio_op_direction(op)];
	while (*at)
		at = &(*at)->next;
	op->next = NULL;
	*at = op;
}

void sim_net_unpark(struct sim_socket *socket, struct anyio_op *op)
{
	struct anyio_op **at = &socket->waiting[anyio_op_direction(op)];
	while (*at != op)
		at = &(*at)->next;
	*at = op->next;
}

static void wake_direction(
	struct sim *sim, struct sim_socket *socket, enum anyio_direction direction)
{
	struct anyio_op *op = socket->waiting[direction];
	socket->waiting[direction] = NULL;
	while (op) {
		struct anyio_op *next = op->next;
		sim_op_retry(sim, op);
		op = next;
	}
}

void sim_socket_wake(struct sim *sim, struct sim_socket *socket)
{
	wake_direction(sim, socket, ANYIO_READING);
	wake_direction(sim, socket, ANYIO_WRITING);
}

struct sim_socket *sim_socket_new(struct sim *sim, sa_family_t family)
{
	struct sim_socket *socket = calloc(1, sizeof(*socket));
	if (!socket)
		return NULL;
	socket->bytes = malloc(SIM_WINDOW);
	if (!socket->bytes) {
		free(socket);
		return NULL;
	}
	socket->family = family;
	socket->last = &socket->first;
	socket->last_queued = &socket->queued;
	anyio_list_append(&sim->sockets, &socket->all);
	return socket;
}

static void socket_free(struct sim *sim, struct sim_socket *socket)
{
	sim_link_free(sim, socket);
	sim_datagram_drop_queue(socket);
	sim_unschedule(sim, &socket->handshake);
	anyio_list_remove(&socket->all);
	free(socket->bytes);
	free(socket);
}

static bool socket_done(const struct sim_socket *socket)
{
	return socket->closed && !socket->arrival.place && !socket->handshake.place;
}

void sim_socket_settle(struct sim *sim, struct sim_socket *socket)
{
	struct sim_socket *peer = socket->peer;
	if (!socket_done(socket) || (peer && !socket_done(peer)))
		return;
	socket_free(sim, socket);
	if (peer)
		socket_free(sim, peer);
}

void sim_net_end(struct sim *sim)
{
	sim_datagram_end(sim);
	while (!anyio_list_empty(&sim->sockets))
		socket_free(sim, anyio_container(sim->sockets.next, struct sim_socket, all));
	sim_address_heal();
}

struct sim_socket *sim_socket_listener(struct sim *sim, const struct sim_address *address)
{
	for (struct anyio_list *it = sim->sockets.next; it != &sim->sockets; it = it->next) {
		struct sim_socket *socket = anyio_container(it, struct sim_socket, all);
		if (socket->state != SIM_LISTENING || socket->closed)
			continue;
		if (sim_address_equal(&socket->local, address))
			return socket;
		if (address->family != AF_UNIX && socket->local.family != AF_UNIX &&
			socket->local.port == address->port && sim_address_any(&socket->local))
			return socket;
	}
	return NULL;
}

static bool address_taken(struct sim *sim, const struct sim_address *address, bool datagrams)
{
	for (struct anyio_list *it = sim->sockets.next; it != &sim->sockets; it = it->next) {
		struct sim_socket *socket = anyio_container(it, struct sim_socket, all);
		if (!socket->bound || socket->closed || socket->datagrams != datagrams)
			continue;
		if (sim_address_equal(&socket->local, address))
			return true;
		bool any = sim_address_any(&socket->local) || sim_address_any(address);
		if (any && address->family != AF_UNIX && socket->local.family != AF_UNIX &&
			socket->local.port == address->port)
			return true;
	}
	return false;
}

int sim_socket_bind(struct sim *sim, struct sim_socket *socket, struct sim_address address)
{
	if (socket->bound)
		return -EINVAL;
	bool choose = address.family != AF_UNIX && address.port == 0;
	for (int tries = 0; choose && tries < 65536; tries++) {
		address.port = sim->next_port;
		sim->next_port = sim->next_port == UINT16_MAX ? 32768 : sim->next_port + 1;
		if (!address_taken(sim, &address, socket->datagrams))
			break;
	}
	if (address_taken(sim, &address, socket->datagrams))
		return -EADDRINUSE;
	socket->local = address;
	socket->bound = true;
	return 0;
}

static int64_t try_connect(struct sim *sim, struct anyio_op *op, struct sim_socket *socket)
{
	if (socket->state == SIM_CONNECTED)
		return op->fd2 == SIM_FD_FIRST ? 0 : -EISCONN;
	if (socket->error) {
		int error = socket->error;
		socket->error = 0;
		return -error;
	}
	if (socket->state == SIM_CONNECTING)
		return op->fd2 == SIM_FD_FIRST ? -EAGAIN : -EALREADY;
	if (socket->state == SIM_LISTENING)
		return -EISCONN;
	int rc = sim_address_read(&socket->remote, op->addr, op->addrlen);
	if (rc < 0)
		return rc;
	if (socket->remote.family != socket->family)
		return -EAFNOSUPPORT;
	if (sim_address_any(&socket->remote) && socket->family != AF_UNIX)
		sim_address_loopback(&socket->remote, socket->family);
	if (!socket->bound && socket->family != AF_UNIX) {
		struct sim_address local = { 0 };
		sim_address_loopback(&local, socket->family);
		rc = sim_socket_bind(sim, socket, local);
	} else if (!socket->bound) {
		socket->local.family = AF_UNIX;
	}
	if (rc == 0)
		rc = sim_link_connect(sim, socket);
	op->fd2 = SIM_FD_FIRST; /* this operation is the one that began it */
	return rc < 0 ? rc : -EAGAIN;
}

static int64_t try_accept(struct sim *sim, struct sim_socket *listener)
{
	struct sim_socket *child = listener->pending;
	if (listener->state != SIM_LISTENING)
		return -EINVAL;
	if (!child)
		return -EAGAIN;
	int fd = sim_handle_new(sim, (struct sim_handle){ .socket = child });
	if (fd < 0)
		return fd;
	listener->pending = child->next_pending;
	listener->pending_count--;
	return fd;
}

/* What lies before the ring's end, and then what lies at its beginning. */
static size_t copy_out(
	const struct sim_socket *socket, const struct iovec *iov, size_t count, size_t most)
{
	struct anyio_cursor cursor = anyio_cursor_make(iov, (int)count);
	size_t first = SIM_WINDOW - socket->start < most ? SIM_WINDOW - socket->start : most;

	return anyio_cursor_put(&cursor, socket->bytes + socket->start, first) +
		anyio_cursor_put(&cursor, socket->bytes, most - first);
}

static int64_t receive(
	struct sim *sim, struct sim_socket *socket, struct iovec *iov, size_t count, int flags)
{
	if (socket->state != SIM_CONNECTED)
		return socket->error ? sim_take_error(socket) : -ENOTCONN;
	if (socket->count > 0 && sim_chance(sim, sim->options.connection_break))
		sim_link_break(sim, socket, ECONNRESET);
	size_t want = anyio_iov_size(iov, (int)count);
	if (want == 0)
		return 0;
	if (socket->count > 0 && !socket->error) {
		size_t most = want < socket->count ? want : socket->count;
		size_t done = copy_out(socket, iov, count, sim_short(sim, most));
		if (flags & MSG_PEEK)
			return (int64_t)done;
		socket->start = (socket->start + done) % SIM_WINDOW;
		socket->count -= done;
		if (socket->peer)
			wake_direction(sim, socket->peer, ANYIO_WRITING);
		return (int64_t)done;
	}
	if (socket->error)
		return sim_take_error(socket);
	return socket->end || socket->read_shut || socket->broken ? 0 : -EAGAIN;
}

static size_t room_at(const struct sim_socket *to)
{
	return SIM_WINDOW - to->count - to->flying;
}

static int64_t transmit(
	struct sim *sim, struct sim_socket *socket, const struct iovec *iov, size_t count)
{
	if (socket->error)
		return sim_take_error(socket);
	if (socket->broken || socket->write_shut || socket->state != SIM_CONNECTED)
		return -EPIPE;
	if (sim_chance(sim, sim->options.connection_break)) {
		sim_link_break(sim, socket, ECONNRESET);
		return sim_take_error(socket);
	}
	size_t total = anyio_iov_size(iov, (int)count);
	size_t room = room_at(socket->peer);
	if (total == 0)
		return 0;
	if (room == 0)
		return -EAGAIN;
	size_t size = sim_short(sim, total < room ? total : room);
	struct sim_packet *packet = sim_packet_new(SIM_DATA, size);
	if (!packet)
		return -ENOBUFS;
	struct anyio_cursor cursor = anyio_cursor_make(iov, (int)count);
	anyio_cursor_get(&cursor, packet->data, size);
	if (sim_link_send(sim, socket->peer, packet) < 0) {
		free(packet);
		return -ENOBUFS;
	}
	return (int64_t)size;
}

static int64_t try_poll(const struct anyio_op *op, const struct sim_socket *socket)
{
	int events = 0;
	bool over = socket->error || socket->broken;
	if (socket->count > 0 || socket->end || socket->read_shut || socket->pending || over)
		events |= POLLIN;
	if (over || (socket->state == SIM_CONNECTED && room_at(socket->peer) > 0))
		events |= POLLOUT;
	events &= op->flags;
	if (over)
		events |= POLLERR | POLLHUP;
	return events ? events : -EAGAIN;
}

int64_t sim_net_try(struct sim *sim, struct anyio_op *op, struct sim_socket *socket)
{
	struct iovec one = { op->base, op->len };
	if (socket->datagrams)
		return sim_datagram_try(sim, op, socket);
	switch (op->code) {
	case ANYIO_OP_READ:
	case ANYIO_OP_RECV:
		return receive(sim, socket, &one, 1, op->code == ANYIO_OP_RECV ? op->flags : 0);
	case ANYIO_OP_RECVMSG:
		op->msg->msg_controllen = 0;
		op->msg->msg_namelen = 0;
		op->msg->msg_flags = 0;
		return receive(sim, socket, op->msg->msg_iov, op->msg->msg_iovlen, op->flags);
	case ANYIO_OP_WRITE: return transmit(sim, socket, &one, 1);
	case ANYIO_OP_SENDMSG:
		if (op->msg->msg_controllen > 0)
			return -EOPNOTSUPP;
		return transmit(sim, socket, op->msg->msg_iov, op->msg->msg_iovlen);
	case ANYIO_OP_ACCEPT: return try_accept(sim, socket);
	case ANYIO_OP_CONNECT: return try_connect(sim, op, socket);
	default: return try_poll(op, socket);
	}
}

static void send_mark(struct sim *sim, struct sim_socket *socket, enum sim_packet_kind kind)
{
	struct sim_packet *packet = sim_packet_new(kind, 0);
	if (!packet || sim_link_send(sim, socket->peer, packet) < 0)
		anyio_die(__FILE__, __LINE__, "no memory to simulate the end of a connection");
}

void sim_net_close(struct sim *sim, struct sim_socket *socket)
{
	socket->closed = true;
	for (struct sim_socket *child = socket->pending; child;) {
		struct sim_socket *next = child->next_pending;
		child->linger_none = true;
		sim_net_close(sim, child);
		child = next;
	}
	if (socket->peer && !socket->broken) {
		if (socket->linger_none || socket->count > 0)
			send_mark(sim, socket, SIM_RESET);
		else if (!socket->write_shut)
			send_mark(sim, socket, SIM_FIN);
	}
	sim_socket_settle(sim, socket);
}

static int64_t shut_down(struct sim *sim, struct sim_socket *socket, int how)
{
	if (socket->state != SIM_CONNECTED || socket->broken)
		return -ENOTCONN;
	if (socket->datagrams)
		return -EOPNOTSUPP;
	if (how != SHUT_RD && !socket->write_shut) {
		send_mark(sim, socket, SIM_FIN);
		socket->write_shut = true;
	}
	if (how != SHUT_WR)
		socket->read_shut = true;
	sim_socket_wake(sim, socket);
	return 0;
}

static int64_t open_socket(struct sim *sim, const struct anyio_op *op)
{
	int type = op->flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (op->fd != AF_INET && op->fd != AF_INET6 && op->fd != AF_UNIX)
		return -EAFNOSUPPORT;
	if (type != SOCK_STREAM && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (type == SOCK_DGRAM && op->fd == AF_UNIX)
		return -EOPNOTSUPP;
	struct sim_socket *socket = sim_socket_new(sim, (sa_family_t)op->fd);
	if (!socket)
		return -ENOMEM;
	socket->datagrams = type == SOCK_DGRAM;
	int fd = sim_handle_new(sim, (struct sim_handle){ .socket = socket });
	if (fd < 0)
		socket_free(sim, socket);
	return fd;
}

static int64_t bind_socket(struct sim *sim, const struct anyio_op *op, struct sim_socket *socket)
{
	struct sim_address address;
	int rc = sim_address_read(&address, op->addr, op->addrlen);
	if (rc == 0 && address.family != socket->family)
		rc = -EAFNOSUPPORT;
	return rc < 0 ? rc : sim_socket_bind(sim, socket, address);
}

static int64_t listen_on(struct sim *sim, const struct anyio_op *op, struct sim_socket *socket)
{
	struct sim_address local = { .family = socket->family };
	if (socket->datagrams)
		return -EOPNOTSUPP;
	int rc = socket->bound ? 0 : sim_socket_bind(sim, socket, local);
	if (rc < 0 || socket->state == SIM_CONNECTED || socket->state == SIM_CONNECTING)
		return rc < 0 ? rc : -EINVAL;
	socket->state = SIM_LISTENING;
	socket->backlog = op->flags > 0 ? op->flags : 1;
	return 0;
}

static int64_t set_option(const struct anyio_op *op, struct sim_socket *socket)
{
	if (op->flags == SOL_SOCKET && op->flags2 == SO_LINGER &&
		op->len == sizeof(struct linger)) {
		const struct linger *linger = op->base;
		socket->linger_none = linger->l_onoff && linger->l_linger == 0;
	}
	return 0;
}

static int64_t give_option(struct anyio_op *op, const void *value, size_t size)
{
	if (op->len > size)
		op->len = size;
	memcpy(op->base, value, op->len);
	return 0;
}

static int64_t get_option(struct anyio_op *op, struct sim_socket *socket)
{
	/* Both sides are this process. */
	struct ucred peer = { getpid(), geteuid(), getegid() };
	int value = 0;

	if (op->flags == SOL_SOCKET && op->flags2 == SO_PEERCRED)
		return give_option(op, &peer, sizeof(peer));
	if (op->flags == SOL_SOCKET && op->flags2 == SO_ERROR)
		value = (int)-sim_take_error(socket);
	else if (op->flags == SOL_SOCKET && op->flags2 == SO_TYPE)
		value = socket->datagrams ? SOCK_DGRAM : SOCK_STREAM;
	else if (op->flags == SOL_SOCKET && op->flags2 == SO_DOMAIN)
		value = socket->family;
	else
		return -ENOPROTOOPT;
	return give_option(op, &value, sizeof(value));
}

static int64_t socket_now(struct sim *sim, struct anyio_op *op, struct sim_socket *socket)
{
	sa_family_t family = socket->family;
	switch (op->code) {
	case ANYIO_OP_BIND: return bind_socket(sim, op, socket);
	case ANYIO_OP_LISTEN: return listen_on(sim, op, socket);
	case ANYIO_OP_SETSOCKOPT: return set_option(op, socket);
	case ANYIO_OP_GETSOCKOPT: return get_option(op, socket);
	case ANYIO_OP_SHUTDOWN: return shut_down(sim, socket, op->flags);
	case ANYIO_OP_GETSOCKNAME:
		sim_address_write(&socket->local, family, op->addr, &op->addrlen);
		return 0;
	case ANYIO_OP_GETPEERNAME:
		if (socket->state != SIM_CONNECTED || socket->broken)
			return -ENOTCONN;
		sim_address_write(&socket->remote, family, op->addr, &op->addrlen);
		return 0;
	default:
		sim_handle_free(sim, op->fd);
		sim_net_close(sim, socket);
		return 0;
	}
}

int64_t sim_net_now(struct sim *sim, struct anyio_op *op)
{
	if (op->code == ANYIO_OP_SOCKET)
		return open_socket(sim, op);
	struct sim_handle *handle = sim_handle_find(sim, op->fd);
	if (!handle)
		return op->fd >= SIM_FD_FIRST ? -EBADF : anyio_op_perform(op);
	if (handle->socket)
		return socket_now(sim, op, handle->socket);
	if (op->code != ANYIO_OP_CLOSE)
		return -ENOTSOCK;
	struct sim_file *file = handle->file;
	sim_handle_free(sim, op->fd);
	sim_disk_close(file);
	return 0;
}
