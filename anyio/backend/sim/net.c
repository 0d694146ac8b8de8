/*
 * Simulated sockets: the calls. A call that would wait says -EAGAIN; the operation is then
 * parked here and tried again after whatever could have changed that.
 */
#include "net.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of Linux 6.16; the C library's headers are older. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

/* net.core.wmem_default and wmem_max, and the kernel's SOCK_MIN_SNDBUF. */
enum { SEND_BUFFER = 212992, SEND_BUFFER_LEAST = 4608 };

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

void sim_socket_wake_writers(struct sim *sim, struct sim_socket *socket)
{
	wake_direction(sim, socket, ANYIO_WRITING);
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
	socket->last_parcel = &socket->parcels;
	socket->send_buffer = SEND_BUFFER;
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

/* Of a wildcard; IPv6's stands for IPv4 too unless that was forbidden. */
static bool stands_for(
	const struct sim_address *any, bool v6_only, const struct sim_address *address)
{
	if (!sim_address_any(any))
		return false;
	return sim_address_is_ip4(address) ? any->family == AF_INET || !v6_only
					   : any->family == AF_INET6;
}

bool sim_socket_takes_all(const struct sim_socket *socket, const struct sim_address *address)
{
	return stands_for(&socket->local, socket->v6_only, address);
}

struct sim_socket *sim_socket_listener(struct sim *sim, const struct sim_address *address)
{
	for (struct anyio_list *it = sim->sockets.next; it != &sim->sockets; it = it->next) {
		struct sim_socket *socket = anyio_container(it, struct sim_socket, all);
		if (socket->state != SIM_LISTENING || socket->closed || socket->family == AF_UNIX)
			continue;
		if (sim_address_equal(&socket->local, address) ||
			(socket->local.port == address->port &&
				sim_socket_takes_all(socket, address)))
			return socket;
	}
	return NULL;
}

static bool address_taken(
	struct sim *sim, const struct sim_socket *by, const struct sim_address *address)
{
	for (struct anyio_list *it = sim->sockets.next; it != &sim->sockets; it = it->next) {
		struct sim_socket *socket = anyio_container(it, struct sim_socket, all);
		if (!socket->bound || socket->closed || socket->datagrams != by->datagrams ||
			socket->family == AF_UNIX || socket->local.port != address->port)
			continue;
		if (sim_address_same_host(&socket->local, address) ||
			sim_socket_takes_all(socket, address) ||
			stands_for(address, by->v6_only, &socket->local))
			return true;
	}
	return false;
}

int sim_socket_bind(struct sim *sim, struct sim_socket *socket, struct sim_address address)
{
	if (socket->bound)
		return -EINVAL;
	bool choose = address.port == 0;
	for (int tries = 0; choose && tries < 65536; tries++) {
		address.port = sim->next_port;
		sim->next_port = sim->next_port == UINT16_MAX ? 32768 : sim->next_port + 1;
		if (!address_taken(sim, socket, &address))
			break;
	}
	if (address_taken(sim, socket, &address))
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
	if (listener->family == AF_UNIX)
		sim_link_connects_retry(sim);
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

static int64_t take(struct sim *sim, struct sim_socket *socket, const struct msghdr *msg, int flags,
	struct sim_parcel **parcel)
{
	if (socket->state != SIM_CONNECTED)
		return socket->error ? sim_take_error(socket) : -ENOTCONN;
	if (socket->count > 0 && sim_chance(sim, sim->options.connection_break))
		sim_link_break(sim, socket, ECONNRESET);
	size_t want = anyio_iov_size(msg->msg_iov, (int)msg->msg_iovlen);
	if (want == 0)
		return 0;
	if (socket->count > 0 && !socket->error) {
		size_t most =
			sim_passing_limit(socket, want < socket->count ? want : socket->count);
		size_t done = copy_out(socket, msg->msg_iov, msg->msg_iovlen, sim_short(sim, most));
		if (flags & MSG_PEEK)
			return (int64_t)done;
		*parcel = sim_passing_pop(socket, done);
		socket->start = (socket->start + done) % SIM_WINDOW;
		socket->count -= done;
		socket->taken += done;
		if (socket->peer)
			wake_direction(sim, socket->peer, ANYIO_WRITING);
		return (int64_t)done;
	}
	if (socket->error)
		return sim_take_error(socket);
	return socket->end || socket->read_shut || socket->broken ? 0 : -EAGAIN;
}

static int64_t receive(struct sim *sim, struct sim_socket *socket, struct msghdr *msg, int flags)
{
	struct sim_parcel *parcel = NULL;
	int64_t rc = take(sim, socket, msg, flags, &parcel);
	if (rc >= 0) {
		msg->msg_namelen = 0;
		msg->msg_flags = 0;
		sim_passing_give(sim, parcel, msg);
	}
	return rc;
}

static size_t room_at(const struct sim_socket *to)
{
	return SIM_WINDOW - to->count - to->flying;
}

/* The first size bytes; NULL without memory. */
static struct sim_packet *pack(const struct msghdr *msg, size_t size)
{
	struct sim_packet *packet = sim_packet_new(SIM_DATA, size);
	struct anyio_cursor cursor = anyio_cursor_make(msg->msg_iov, (int)msg->msg_iovlen);
	if (packet)
		anyio_cursor_get(&cursor, packet->data, size);
	return packet;
}

/* Whether nobody will read what is sent: between processes of one machine that is known at once. */
static bool unread_for_ever(const struct sim_socket *socket)
{
	return socket->family == AF_UNIX && (socket->peer->closed || socket->peer->read_shut);
}

static int64_t transmit(struct sim *sim, struct sim_socket *socket, const struct msghdr *msg)
{
	if (msg->msg_controllen > 0 && socket->family != AF_UNIX)
		return -EOPNOTSUPP;
	int descriptors = sim_passing_count(sim, msg), rc = 0;
	if (descriptors < 0)
		return descriptors;
	if (socket->error)
		return sim_take_error(socket);
	if (socket->broken || socket->write_shut || socket->state != SIM_CONNECTED ||
		unread_for_ever(socket))
		return -EPIPE;
	if (sim_chance(sim, sim->options.connection_break)) {
		sim_link_break(sim, socket, ECONNRESET);
		return sim_take_error(socket);
	}
	size_t total = anyio_iov_size(msg->msg_iov, (int)msg->msg_iovlen);
	size_t room = room_at(socket->peer);
	if (total == 0)
		return 0;
	if (room == 0)
		return -EAGAIN;
	if (descriptors > 0 && socket->peer->rights_refused)
		return -EPERM;
	size_t size = sim_short(sim, total < room ? total : room);
	struct sim_packet *packet = pack(msg, size);
	if (!packet)
		return -ENOBUFS;
	if (descriptors > 0)
		rc = sim_passing_take(sim, msg, &packet->parcel);
	if (rc == 0 && sim_link_send(sim, socket->peer, packet) < 0)
		rc = -ENOBUFS;
	if (rc < 0) {
		sim_passing_drop(sim, packet->parcel);
		free(packet);
	}
	return rc < 0 ? rc : (int64_t)size;
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
	struct msghdr plain = { .msg_iov = &one, .msg_iovlen = 1 };
	if (socket->datagrams)
		return sim_datagram_try(sim, op, socket);
	switch (op->code) {
	case ANYIO_OP_READ:
	case ANYIO_OP_RECV:
		return receive(sim, socket, &plain, op->code == ANYIO_OP_RECV ? op->flags : 0);
	case ANYIO_OP_RECVMSG: return receive(sim, socket, op->msg, op->flags);
	case ANYIO_OP_WRITE: return transmit(sim, socket, &plain);
	case ANYIO_OP_SENDMSG: return transmit(sim, socket, op->msg);
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
	sim_passing_drop_unread(sim, socket);
	sim_unix_close(sim, socket);
	for (struct sim_socket *child = socket->pending; child;) {
		struct sim_socket *next = child->next_pending;
		child->linger_none = true;
		sim_net_close(sim, child);
		child = next;
	}
	if (socket->state == SIM_LISTENING && socket->family == AF_UNIX)
		sim_link_connects_retry(sim);
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
	if (rc < 0)
		return rc;
	return address.family == AF_UNIX ? sim_name_bind(sim, socket, address, op->mode)
					 : sim_socket_bind(sim, socket, address);
}

static int64_t listen_on(struct sim *sim, const struct anyio_op *op, struct sim_socket *socket)
{
	struct sim_address local = sim_address_wildcard(socket->family);
	if (socket->datagrams)
		return -EOPNOTSUPP;
	if (!socket->bound && socket->family == AF_UNIX)
		return -EINVAL;
	int rc = socket->bound ? 0 : sim_socket_bind(sim, socket, local);
	if (rc < 0 || socket->state == SIM_CONNECTED || socket->state == SIM_CONNECTING)
		return rc < 0 ? rc : -EINVAL;
	socket->state = SIM_LISTENING;
	socket->backlog = op->flags > 0 ? op->flags : 1;
	return 0;
}

/* Twice what is asked for, as socket(7) has it. */
static void set_send_buffer(struct sim_socket *socket, int size)
{
	size_t most = size < 0 || size > SEND_BUFFER ? SEND_BUFFER : (size_t)size;
	socket->send_buffer = most < SEND_BUFFER_LEAST / 2 ? SEND_BUFFER_LEAST : 2 * most;
}

static int64_t set_option(const struct anyio_op *op, struct sim_socket *socket)
{
	if (op->flags == SOL_SOCKET && op->flags2 == SO_LINGER &&
		op->len == sizeof(struct linger)) {
		const struct linger *linger = op->base;
		socket->linger_none = linger->l_onoff && linger->l_linger == 0;
	}
	if (op->flags == IPPROTO_IPV6 && op->flags2 == IPV6_V6ONLY && op->len == sizeof(int))
		socket->v6_only = *(const int *)op->base;
	if (op->flags == SOL_SOCKET && op->flags2 == SO_SNDBUF && op->len == sizeof(int))
		set_send_buffer(socket, *(const int *)op->base);
	if (op->flags == SOL_SOCKET && op->flags2 == SO_PASSRIGHTS && op->len == sizeof(int))
		socket->rights_refused = *(const int *)op->base == 0;
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
		if (sim_handle_free(sim, op->fd))
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
	if (sim_handle_free(sim, op->fd))
		sim_disk_close(file);
	return 0;
}
