/*
 * What travels: packets with latency, bandwidth and retries, and the handshake of a connect.
 */
#include "net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	CONNECT_TRIES = 6, /* 1 s, 2 s, 4 s ... as TCP: about two minutes */
	PACKET_TRIES = 12,
};

struct sim_packet *sim_packet_new(enum sim_packet_kind kind, size_t size)
{
	struct sim_packet *packet = malloc(sizeof(*packet) + size);
	if (packet)
		*packet = (struct sim_packet){ .kind = (uint8_t)kind, .size = size };
	return packet;
}

static anyio_time latency(struct sim *sim)
{
	return sim_between(sim, sim->options.latency_min, sim->options.latency_max);
}

static void link_pop(struct sim *sim, struct sim_socket *to)
{
	struct sim_packet *packet = to->first;
	to->first = packet->next;
	if (!to->first)
		to->last = &to->first;
	to->flying -= packet->size;
	to->losses = 0;
	sim_passing_drop(sim, packet->parcel);
	free(packet);
}

void sim_link_free(struct sim *sim, struct sim_socket *socket)
{
	sim_unschedule(sim, &socket->arrival);
	while (socket->first)
		link_pop(sim, socket);
}

static void socket_broken(struct sim *sim, struct sim_socket *socket, int error)
{
	if (socket->broken)
		return;
	socket->broken = true;
	socket->error = error;
	sim_socket_wake(sim, socket);
}

void sim_link_break(struct sim *sim, struct sim_socket *socket, int error)
{
	struct sim_packet *packet = sim_packet_new(SIM_RESET, 0);
	/* Without memory for the news the other side finds out by its own sends. */
	if (packet && (!socket->peer || sim_link_send(sim, socket->peer, packet) < 0))
		free(packet);
	socket_broken(sim, socket, error);
}

static void deliver_data(struct sim *sim, struct sim_socket *to, struct sim_packet *packet)
{
	/* Nobody reads here any more: the sender is told. */
	if (to->closed || to->broken) {
		if (to->peer && !to->broken)
			sim_link_break(sim, to, ECONNRESET);
		return;
	}
	if (packet->parcel)
		sim_passing_arrive(to, packet->parcel, packet->size);
	packet->parcel = NULL;
	for (size_t done = 0; done < packet->size;) {
		size_t at = (to->start + to->count) % SIM_WINDOW;
		size_t run = SIM_WINDOW - at;
		if (run > packet->size - done)
			run = packet->size - done;
		memcpy(to->bytes + at, packet->data + done, run);
		to->count += run;
		done += run;
	}
}

static void arrive(struct sim *sim, struct sim_event *event)
{
	struct sim_socket *to = anyio_container(event, struct sim_socket, arrival);
	if (to->peer && sim_address_cut(&to->local, &to->remote)) {
		if (++to->losses > PACKET_TRIES) {
			while (to->first)
				link_pop(sim, to);
			socket_broken(sim, to->peer, ETIMEDOUT);
			socket_broken(sim, to, ETIMEDOUT);
			sim_socket_settle(sim, to);
			return;
		}
		sim_schedule(sim, event, 200 * ANYIO_MILLISECOND << to->losses);
		return;
	}
	while (to->first && to->first->due <= sim->now) {
		struct sim_packet *packet = to->first;
		if (packet->kind == SIM_DATA)
			deliver_data(sim, to, packet);
		else if (packet->kind == SIM_FIN)
			to->end = true;
		else
			socket_broken(sim, to, ECONNRESET);
		link_pop(sim, to);
	}
	if (to->first)
		sim_schedule(sim, event, to->first->due - sim->now);
	sim_socket_wake(sim, to);
	sim_socket_settle(sim, to);
}

int sim_link_send(struct sim *sim, struct sim_socket *to, struct sim_packet *packet)
{
	anyio_time busy = to->busy_until > sim->now ? to->busy_until : sim->now;
	if (sim->options.bandwidth)
		busy += (anyio_time)((double)packet->size * 1e9 / (double)sim->options.bandwidth);
	packet->due = busy + latency(sim);
	if (packet->due < to->last_due)
		packet->due = to->last_due;
	to->arrival.fire = arrive;
	if (!to->first && sim_schedule(sim, &to->arrival, packet->due - sim->now) < 0)
		return -ENOMEM;
	to->busy_until = busy;
	to->last_due = packet->due;
	to->flying += packet->size;
	*to->last = packet;
	to->last = &packet->next;
	return 0;
}

static void connect_failed(struct sim *sim, struct sim_socket *socket, int error)
{
	socket->state = SIM_FRESH;
	socket->error = error;
	sim_socket_wake(sim, socket);
	sim_socket_settle(sim, socket);
}

static struct sim_socket *accept_on(
	struct sim *sim, struct sim_socket *listener, struct sim_socket *client)
{
	struct sim_socket *child = sim_socket_new(sim, listener->family);
	if (!child)
		return NULL;
	child->state = SIM_CONNECTED;
	child->local = client->remote;
	child->remote = client->local;
	child->peer = client;
	child->rights_refused = listener->rights_refused;
	client->peer = child;
	struct sim_socket **at = &listener->pending;
	while (*at)
		at = &(*at)->next_pending;
	*at = child;
	listener->pending_count++;
	sim_socket_wake(sim, listener);
	return child;
}

static void lost_or_refused(struct sim *sim, struct sim_socket *socket, bool lost)
{
	if (!lost)
		connect_failed(sim, socket, ECONNREFUSED);
	else if (socket->tries >= CONNECT_TRIES)
		connect_failed(sim, socket, ETIMEDOUT);
	else
		sim_schedule(sim, &socket->handshake, ANYIO_SECOND << socket->tries++);
}

static bool reach(struct sim *sim, struct sim_socket *socket)
{
	struct sim_socket *listener = sim_socket_listener(sim, &socket->remote);
	bool full = listener && listener->pending_count >= listener->backlog;
	if (listener && !full && accept_on(sim, listener, socket))
		return true;
	lost_or_refused(sim, socket, listener != NULL);
	return false;
}

/* A full queue is waited for, as long as it takes. */
static bool reach_unix(struct sim *sim, struct sim_socket *socket)
{
	struct sim_socket *listener;
	int rc = sim_name_find(sim, &socket->remote, false, &listener);
	if (rc == 0 && listener->state != SIM_LISTENING)
		rc = -ECONNREFUSED;
	if (rc == 0 && listener->pending_count > listener->backlog)
		return false;
	if (rc == 0 && !accept_on(sim, listener, socket))
		rc = -ENOMEM;
	if (rc < 0)
		connect_failed(sim, socket, -rc);
	return rc == 0;
}

void sim_link_connects_retry(struct sim *sim)
{
	for (struct anyio_list *it = sim->sockets.next; it != &sim->sockets; it = it->next) {
		struct sim_socket *socket = anyio_container(it, struct sim_socket, all);
		if (socket->family == AF_UNIX && socket->state == SIM_CONNECTING &&
			!socket->closed && !socket->answered && !socket->handshake.place &&
			sim_schedule(sim, &socket->handshake, latency(sim)) < 0)
			connect_failed(sim, socket, ENOMEM);
	}
}

/* Fires twice: when the request is there, and when its answer is here. */
static void shake(struct sim *sim, struct sim_event *event)
{
	struct sim_socket *socket = anyio_container(event, struct sim_socket, handshake);
	if (socket->answered) {
		if (socket->state == SIM_CONNECTING)
			socket->state = SIM_CONNECTED;
		sim_socket_wake(sim, socket);
		sim_socket_settle(sim, socket);
		return;
	}
	if (socket->closed) {
		sim_socket_settle(sim, socket);
		return;
	}
	if (sim_address_cut(&socket->local, &socket->remote)) {
		lost_or_refused(sim, socket, true);
		return;
	}
	if (!(socket->family == AF_UNIX ? reach_unix : reach)(sim, socket))
		return;
	socket->answered = true;
	sim_schedule(sim, event, latency(sim));
}

static void refuse(struct sim *sim, struct sim_event *event)
{
	connect_failed(sim, anyio_container(event, struct sim_socket, handshake), ECONNREFUSED);
}

static void time_out(struct sim *sim, struct sim_event *event)
{
	connect_failed(sim, anyio_container(event, struct sim_socket, handshake), ETIMEDOUT);
}

int sim_link_connect(struct sim *sim, struct sim_socket *socket)
{
	anyio_time delay = latency(sim);
	socket->state = SIM_CONNECTING;
	socket->tries = 0;
	socket->answered = false;
	socket->handshake.fire = shake;
	if (sim_chance(sim, sim->options.connect_fail)) {
		bool silent = sim_below(sim, 2);
		socket->handshake.fire = silent ? time_out : refuse;
		delay = silent ? (ANYIO_SECOND << CONNECT_TRIES) : 2 * delay;
	}
	return sim_schedule(sim, &socket->handshake, delay);
}
