/*
 * Simulated UDP, and the queue that UNIX datagrams (unix.c) have in common with it. A datagram travels
 * alone: it has its own event, and who gets it is decided when it arrives. Between two sockets the order is
 * kept but for those drawn to be late; what finds no room in the receiver's queue, or a partition, is lost
 * without a word. A connected sender hears of a port where nobody is, as on one machine.
 */
#include "net.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 65507 };

static struct sim_socket *socket_at(struct anyio_list *node)
{
	return anyio_container(node, struct sim_socket, all);
}

static bool reaches(const struct sim_socket *socket, const struct sim_datagram *datagram)
{
	const struct sim_address *local = &socket->local;
	bool connected = socket->state == SIM_CONNECTED;
	if (!socket->datagrams || !socket->bound || socket->closed || socket->family == AF_UNIX)
		return false;
	if (local->port != datagram->to.port ||
		!(sim_socket_takes_all(socket, &datagram->to) ||
			sim_address_same_host(local, &datagram->to)))
		return false;
	return !connected || sim_address_equal(&socket->remote, &datagram->from);
}

/* A connected socket goes before one that takes everything, as in the kernel. */
static struct sim_socket *receiver_of(struct sim *sim, const struct sim_datagram *datagram)
{
	struct sim_socket *found = NULL;
	for (struct anyio_list *it = sim->sockets.next; it != &sim->sockets; it = it->next) {
		struct sim_socket *socket = socket_at(it);
		if (!reaches(socket, datagram))
			continue;
		if (socket->state == SIM_CONNECTED)
			return socket;
		if (!found)
			found = socket;
	}
	return found;
}

static void refused(struct sim *sim, const struct sim_datagram *datagram)
{
	for (struct anyio_list *it = sim->sockets.next; it != &sim->sockets; it = it->next) {
		struct sim_socket *socket = socket_at(it);
		if (!socket->datagrams || socket->family == AF_UNIX || socket->closed ||
			socket->state != SIM_CONNECTED ||
			socket->local.port != datagram->from.port ||
			!sim_address_equal(&socket->remote, &datagram->to))
			continue;
		socket->error = ECONNREFUSED;
		sim_socket_wake(sim, socket);
		return;
	}
}

void sim_datagram_queue(struct sim *sim, struct sim_socket *to, struct sim_datagram *datagram)
{
	*to->last_queued = datagram;
	to->last_queued = &datagram->next;
	to->queued_count++;
	to->count += datagram->size;
	sim_socket_wake(sim, to);
}

static void arrive(struct sim *sim, struct sim_event *event)
{
	struct sim_datagram *datagram = anyio_container(event, struct sim_datagram, event);
	struct sim_socket *to = receiver_of(sim, datagram);
	bool cut = sim_address_cut(&datagram->from, &datagram->to);
	anyio_list_remove(&datagram->flying);
	if (!cut && to && to->count + datagram->size <= SIM_WINDOW) {
		sim_datagram_queue(sim, to, datagram);
		return;
	}
	if (!cut && !to)
		refused(sim, datagram);
	free(datagram);
}

/* In order behind the sender's last, or late and overtaken. */
static anyio_time delay_of(struct sim *sim, struct sim_socket *socket)
{
	const struct anyio_sim_options *options = &sim->options;
	anyio_time due = sim->now + sim_between(sim, options->latency_min, options->latency_max);
	if (sim_chance(sim, options->datagram_reorder))
		return due - sim->now + options->latency_max +
			sim_between(sim, 0, options->latency_max + ANYIO_MILLISECOND);
	if (due < socket->last_due)
		due = socket->last_due;
	socket->last_due = due;
	return due - sim->now;
}

struct sim_datagram *sim_datagram_new(const struct msghdr *msg, size_t size)
{
	struct sim_datagram *datagram = malloc(sizeof(*datagram) + size);
	if (!datagram)
		return NULL;
	*datagram = (struct sim_datagram){ .size = size };
	struct anyio_cursor cursor = anyio_cursor_make(msg->msg_iov, (int)msg->msg_iovlen);
	anyio_cursor_get(&cursor, datagram->data, size);
	return datagram;
}

static int send_off(struct sim *sim, struct sim_socket *socket, const struct sim_address *to,
	const struct msghdr *msg, size_t size)
{
	struct sim_datagram *datagram = sim_datagram_new(msg, size);
	if (!datagram)
		return -ENOBUFS;
	datagram->from = socket->local;
	datagram->to = *to;
	datagram->event.fire = arrive;
	if (sim_address_any(&socket->local))
		sim_address_loopback(&datagram->from, sim_address_is_ip4(to) ? AF_INET : AF_INET6);
	if (sim_schedule(sim, &datagram->event, delay_of(sim, socket)) < 0) {
		free(datagram);
		return -ENOBUFS;
	}
	anyio_list_append(&sim->flying, &datagram->flying);
	return 0;
}

static int destination(
	const struct sim_socket *socket, const struct msghdr *msg, struct sim_address *to)
{
	*to = socket->remote;
	if (!msg->msg_name)
		return socket->state == SIM_CONNECTED ? 0 : -EDESTADDRREQ;
	int rc = sim_address_read(to, msg->msg_name, msg->msg_namelen);
	if (rc < 0)
		return rc;
	if (to->family != socket->family)
		return -EAFNOSUPPORT;
	if (sim_address_any(to))
		sim_address_loopback(to, socket->family);
	return to->port ? 0 : -EINVAL;
}

static int bind_any(struct sim *sim, struct sim_socket *socket)
{
	return socket->bound ? 0
			     : sim_socket_bind(sim, socket, sim_address_wildcard(socket->family));
}

static int64_t transmit(struct sim *sim, struct sim_socket *socket, const struct msghdr *msg)
{
	struct sim_address to;
	size_t size = 0;
	if (msg->msg_controllen > 0)
		return -EOPNOTSUPP;
	if (socket->family == AF_UNIX)
		return sim_unix_transmit(sim, socket, msg);
	if (socket->error)
		return sim_take_error(socket);
	int rc = destination(socket, msg, &to);
	if (rc == 0)
		rc = bind_any(sim, socket);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		if (msg->msg_iov[i].iov_len > LARGEST - size)
			return -EMSGSIZE;
		size += msg->msg_iov[i].iov_len;
	}
	if (sim_chance(sim, sim->options.datagram_loss))
		return (int64_t)size;
	rc = send_off(sim, socket, &to, msg, size);
	if (rc == 0 && sim_chance(sim, sim->options.datagram_duplicate))
		rc = send_off(sim, socket, &to, msg, size);
	return rc < 0 ? rc : (int64_t)size;
}

static void queue_pop(struct sim_socket *socket)
{
	struct sim_datagram *datagram = socket->queued;
	socket->queued = datagram->next;
	if (!socket->queued)
		socket->last_queued = &socket->queued;
	socket->queued_count--;
	socket->count -= datagram->size;
	sim_unix_taken(datagram);
	free(datagram);
}

static int64_t receive(struct sim *sim, struct sim_socket *socket, struct msghdr *msg, int flags)
{
	struct sim_datagram *datagram = socket->queued;
	if (socket->error)
		return sim_take_error(socket);
	if (!datagram)
		return -EAGAIN;
	struct anyio_cursor cursor = anyio_cursor_make(msg->msg_iov, (int)msg->msg_iovlen);
	size_t done = anyio_cursor_put(&cursor, datagram->data, datagram->size);
	bool cut = done < datagram->size;
	int64_t result = (int64_t)(flags & MSG_TRUNC ? datagram->size : done);
	bool nameless = datagram->from.family == AF_UNIX && datagram->from.path_len == 0;
	if (nameless)
		msg->msg_namelen = 0;
	else if (msg->msg_name)
		sim_address_write(
			&datagram->from, socket->family, msg->msg_name, &msg->msg_namelen);
	msg->msg_controllen = 0;
	msg->msg_flags = cut ? MSG_TRUNC : 0;
	if (!(flags & MSG_PEEK)) {
		queue_pop(socket);
		sim_unix_received(sim, socket);
	}
	return result;
}

static int64_t connect_to(struct sim *sim, struct sim_socket *socket, const struct anyio_op *op)
{
	struct sim_address to;
	struct msghdr msg = { .msg_name = op->addr, .msg_namelen = op->addrlen };
	if (socket->family == AF_UNIX)
		return sim_unix_connect(sim, socket, op);
	int rc = destination(socket, &msg, &to);
	if (rc == 0)
		rc = bind_any(sim, socket);
	if (rc < 0)
		return rc;
	if (sim_address_any(&socket->local))
		sim_address_loopback(&socket->local, sim_address_is_ip4(&to) ? AF_INET : AF_INET6);
	socket->remote = to;
	socket->state = SIM_CONNECTED;
	return 0;
}

static int64_t try_poll(const struct anyio_op *op, const struct sim_socket *socket)
{
	int events = socket->family == AF_UNIX ? sim_unix_writable(socket) : POLLOUT;
	if (socket->queued)
		events |= POLLIN;
	events &= op->flags;
	if (socket->error)
		events |= POLLERR;
	return events ? events : -EAGAIN;
}

int64_t sim_datagram_try(struct sim *sim, struct anyio_op *op, struct sim_socket *socket)
{
	struct iovec one = { op->base, op->len };
	struct msghdr msg = { .msg_iov = &one, .msg_iovlen = 1 };
	switch (op->code) {
	case ANYIO_OP_READ: return receive(sim, socket, &msg, 0);
	case ANYIO_OP_RECV: return receive(sim, socket, &msg, op->flags);
	case ANYIO_OP_RECVMSG: return receive(sim, socket, op->msg, op->flags);
	case ANYIO_OP_WRITE: return transmit(sim, socket, &msg);
	case ANYIO_OP_SENDMSG: return transmit(sim, socket, op->msg);
	case ANYIO_OP_CONNECT: return connect_to(sim, socket, op);
	case ANYIO_OP_POLL: return try_poll(op, socket);
	default: return -EOPNOTSUPP;
	}
}

void sim_datagram_drop_queue(struct sim_socket *socket)
{
	while (socket->queued)
		queue_pop(socket);
}

void sim_datagram_end(struct sim *sim)
{
	while (!anyio_list_empty(&sim->flying)) {
		struct sim_datagram *datagram =
			anyio_container(sim->flying.next, struct sim_datagram, flying);
		sim_unschedule(sim, &datagram->event);
		anyio_list_remove(&datagram->flying);
		free(datagram);
	}
}
