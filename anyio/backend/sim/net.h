/*
 * The simulated network: what net.c (calls), link.c (what travels), datagram.c (UDP) and
 * address.c share.
 *
 * A connection is two sockets that know each other. What one sends travels in the other's link:
 * packets in order, one event for the first of them. A partition or a loss keeps the first, and so
 * all, until it heals. A socket's memory lives until both ends are closed and nothing travels.
 */
#ifndef ANYIO_SIM_NET_H
#define ANYIO_SIM_NET_H

#include "sim.h"

struct sim_address {
	sa_family_t family; /* AF_UNSPEC: none */
	uint16_t port;      /* host order */
	uint8_t ip[16];     /* IPv4 as ::ffff:a.b.c.d */
	char path[108];     /* AF_UNIX: path_len bytes, the first may be NUL */
	socklen_t path_len;
};

enum sim_packet_kind { SIM_DATA, SIM_FIN, SIM_RESET };

struct sim_packet {
	struct sim_packet *next;
	anyio_time due;
	size_t size;
	uint8_t kind;
	uint8_t data[];
};

enum sim_socket_state { SIM_FRESH, SIM_LISTENING, SIM_CONNECTING, SIM_CONNECTED };

struct sim_socket {
	struct anyio_list all;
	struct anyio_op *waiting[2]; /* readers and writers, oldest first */
	sa_family_t family;
	uint8_t state;
	bool bound, closed, linger_none;
	bool read_shut, write_shut; /* by shutdown() */
	bool end;                   /* the other side's end has arrived */
	bool broken;                /* reset: sends fail for good */
	int error;                  /* told once, by the next call or SO_ERROR */
	struct sim_address local, remote;
	struct sim_socket *peer;
	/* A listener's queue, through the members' next_pending. */
	struct sim_socket *pending, *next_pending;
	int pending_count, backlog;
	/* The way to this socket. */
	struct sim_event arrival;
	struct sim_packet *first, **last;
	anyio_time busy_until, last_due; /* UDP: last_due of what it sent */
	size_t flying;                   /* bytes under way */
	int losses;                      /* of the first packet */
	uint8_t *bytes;                  /* what arrived and is unread: a ring of SIM_WINDOW */
	size_t start, count;
	/* UDP: what arrived and is unread, count bytes in all. */
	bool datagrams;
	struct sim_datagram *queued, **last_queued;
	/* This socket's own connect. */
	struct sim_event handshake;
	int tries;
	bool answered;
};

static inline int64_t sim_take_error(struct sim_socket *socket)
{
	int error = socket->error;
	socket->error = 0;
	return -error;
}

/* address.c */
int sim_address_read(struct sim_address *out, const void *addr, socklen_t len);
void sim_address_write(
	const struct sim_address *address, sa_family_t family, void *addr, socklen_t *len);
bool sim_address_any(const struct sim_address *address);
bool sim_address_is_ip4(const struct sim_address *address);
bool sim_address_same_host(const struct sim_address *a, const struct sim_address *b);
bool sim_address_equal(const struct sim_address *a, const struct sim_address *b);
void sim_address_loopback(struct sim_address *address, sa_family_t family);
bool sim_address_cut(const struct sim_address *a, const struct sim_address *b);
void sim_address_heal(void);

/* link.c */
int sim_link_send(struct sim *sim, struct sim_socket *to, struct sim_packet *packet);
struct sim_packet *sim_packet_new(enum sim_packet_kind kind, size_t size);
void sim_link_free(struct sim *sim, struct sim_socket *socket);
/* Both sides learn of a reset: this one now, the other when the news arrives. */
void sim_link_break(struct sim *sim, struct sim_socket *socket, int error);
int sim_link_connect(struct sim *sim, struct sim_socket *socket);

/* datagram.c */
int64_t sim_datagram_try(struct sim *sim, struct anyio_op *op, struct sim_socket *socket);
void sim_datagram_drop_queue(struct sim_socket *socket);
void sim_datagram_end(struct sim *sim);

/* net.c */
struct sim_socket *sim_socket_new(struct sim *sim, sa_family_t family);
/* Port 0 chooses one. -EADDRINUSE; -EINVAL when it is bound. */
int sim_socket_bind(struct sim *sim, struct sim_socket *socket, struct sim_address address);
void sim_socket_wake(struct sim *sim, struct sim_socket *socket);
struct sim_socket *sim_socket_listener(struct sim *sim, const struct sim_address *address);
/* Frees a closed socket, and its closed peer, once nothing travels. */
void sim_socket_settle(struct sim *sim, struct sim_socket *socket);

#endif
