/*
 * Simulated UNIX datagrams. As in the kernel (net/unix/af_unix.c) a datagram is in the receiver's queue
 * when its send is done: nothing travels, is lost or overtaken, and who is not there is known at once.
 * A sender waits while the receiver's queue is full, except for itself and for one that is connected
 * to it, and while as much of its own as its buffer holds is unread anywhere.
 */
#include "net.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

enum {
	QUEUE_MOST = 10, /* net.unix.max_dgram_qlen; full is who has more */
	OVERHEAD = 768,  /* what the kernel counts for a datagram beside its bytes */
	HEADER = 32,     /* of the send buffer that no datagram can use */
};

static bool is_unix(const struct sim_socket *socket)
{
	return socket->datagrams && socket->family == AF_UNIX;
}

static bool is_full(const struct sim_socket *from, const struct sim_socket *to)
{
	return to != from && to->target != from && to->queued_count > QUEUE_MOST;
}

/* A connected socket takes from its other side alone. */
static int may_send(const struct sim_socket *from, const struct sim_socket *to)
{
	return to->state == SIM_CONNECTED && to->target != from ? -EPERM : 0;
}

/* Whoever waits for room looks again. */
static void room_made(struct sim *sim)
{
	for (struct anyio_list *it = sim->sockets.next; it != &sim->sockets; it = it->next) {
		struct sim_socket *socket = anyio_container(it, struct sim_socket, all);
		if (is_unix(socket))
			sim_socket_wake_writers(sim, socket);
	}
}

static int find(struct sim *sim, const struct sim_socket *socket, const void *name, socklen_t len,
	struct sim_address *address, struct sim_socket **to)
{
	int rc = sim_address_read(address, name, len);
	if (rc == 0 && address->family != AF_UNIX)
		rc = -EINVAL;
	if (rc == 0)
		rc = sim_name_find(sim, address, true, to);
	return rc < 0 ? rc : may_send(socket, *to);
}

/* The other side was closed: that is told once, and what came from it is gone. */
static int disconnect(struct sim *sim, struct sim_socket *socket)
{
	socket->state = SIM_FRESH;
	sim_datagram_drop_queue(socket);
	room_made(sim);
	return -ECONNREFUSED;
}

static int destination(struct sim *sim, struct sim_socket *socket, const struct msghdr *msg,
	struct sim_socket **to)
{
	struct sim_address address;
	if (msg->msg_name)
		return find(sim, socket, msg->msg_name, msg->msg_namelen, &address, to);
	*to = socket->target;
	return *to ? may_send(socket, *to) : disconnect(sim, socket);
}

int64_t sim_unix_transmit(struct sim *sim, struct sim_socket *socket, const struct msghdr *msg)
{
	struct sim_socket *to;
	size_t size = 0;
	if (!msg->msg_name && socket->state != SIM_CONNECTED)
		return -ENOTCONN;
	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		if (msg->msg_iov[i].iov_len > socket->send_buffer - HEADER - size)
			return -EMSGSIZE;
		size += msg->msg_iov[i].iov_len;
	}
	if (socket->charged >= socket->send_buffer)
		return -EAGAIN;
	int rc = destination(sim, socket, msg, &to);
	if (rc < 0)
		return rc;
	if (is_full(socket, to))
		return -EAGAIN;
	struct sim_datagram *datagram = sim_datagram_new(msg, size);
	if (!datagram)
		return -ENOBUFS;
	datagram->from = socket->bound ? socket->local : (struct sim_address){ .family = AF_UNIX };
	datagram->sender = socket;
	socket->charged += size + OVERHEAD;
	sim_datagram_queue(sim, to, datagram);
	return (int64_t)size;
}

void sim_unix_taken(const struct sim_datagram *datagram)
{
	if (datagram->sender)
		datagram->sender->charged -= datagram->size + OVERHEAD;
}

void sim_unix_received(struct sim *sim, const struct sim_socket *socket)
{
	if (is_unix(socket))
		room_made(sim);
}

int64_t sim_unix_connect(struct sim *sim, struct sim_socket *socket, const struct anyio_op *op)
{
	struct sim_address address;
	struct sim_socket *to;
	int rc = find(sim, socket, op->addr, op->addrlen, &address, &to);
	if (rc < 0)
		return rc;
	socket->target = to;
	socket->remote = to->local;
	socket->state = SIM_CONNECTED;
	return 0;
}

/* Room is told of early enough for several sends. */
int sim_unix_writable(const struct sim_socket *socket)
{
	const struct sim_socket *to = socket->target;
	if (socket->charged * 4 > socket->send_buffer || (to && is_full(socket, to)))
		return 0;
	return POLLOUT;
}

void sim_unix_close(struct sim *sim, struct sim_socket *gone)
{
	if (!is_unix(gone))
		return;
	sim_datagram_drop_queue(gone);
	for (struct anyio_list *it = sim->sockets.next; it != &sim->sockets; it = it->next) {
		struct sim_socket *socket = anyio_container(it, struct sim_socket, all);
		if (!is_unix(socket))
			continue;
		if (socket->target == gone)
			socket->target = NULL;
		for (struct sim_datagram *at = socket->queued; at; at = at->next)
			if (at->sender == gone)
				at->sender = NULL;
	}
	room_made(sim);
}
