/*
 * The simulated network: what net.c (calls), link.c (what travels), passing.c (descriptors),
 * datagram.c (UDP), unix.c (UNIX datagrams), address.c and name.c share.
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

/* The file a UNIX socket is bound to; all 0: none, or it is gone. */
struct sim_name {
	uint64_t device, number;
};

/* Descriptors under way, or unread at their place of the stream. */
struct sim_parcel {
	struct sim_parcel *next;
	uint64_t at; /* what was read of the stream before */
	size_t size; /* bytes that were sent with them */
	int count;
	int fds[];
};

enum sim_packet_kind { SIM_DATA, SIM_FIN, SIM_RESET };

struct sim_packet {
	struct sim_packet *next;
	anyio_time due;
	size_t size;
	uint8_t kind;
	struct sim_parcel *parcel; /* or NULL */
	uint8_t data[];
};

struct sim_datagram {
	struct sim_event event; /* UDP: the arrival */
	struct anyio_list flying;
	struct sim_datagram *next; /* in the receiver's queue */
	struct sim_address from, to;
	struct sim_socket *sender; /* UNIX: whose buffer it is in; NULL: closed */
	size_t size;
	uint8_t data[];
};

enum sim_socket_state { SIM_FRESH, SIM_LISTENING, SIM_CONNECTING, SIM_CONNECTED };

struct sim_socket {
	struct anyio_list all;
	struct anyio_op *waiting[2]; /* readers and writers, oldest first */
	sa_family_t family;
	unsigned handles; /* descriptors that stand for it */
	uint8_t state;
	bool bound, closed, linger_none, v6_only;
	bool rights_refused;        /* SO_PASSRIGHTS is off: nobody may send it descriptors */
	bool read_shut, write_shut; /* by shutdown() */
	bool end;                   /* the other side's end has arrived */
	bool broken;                /* reset: sends fail for good */
	int error;                  /* told once, by the next call or SO_ERROR */
	struct sim_address local, remote;
	struct sim_name name;
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
	uint64_t taken; /* bytes read so far */
	struct sim_parcel *parcels, **last_parcel;
	/* Datagrams: what arrived and is unread, count bytes in all. */
	bool datagrams;
	struct sim_datagram *queued, **last_queued;
	size_t queued_count;
	/* UNIX datagrams: the other side, NULL when it was closed, and what of ours is unread. */
	struct sim_socket *target;
	size_t charged, send_buffer;
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
/* Every host of a family. */
struct sim_address sim_address_wildcard(sa_family_t family);
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
/* A UNIX listener has room, or is closed: who waits for it to be looks again. */
void sim_link_connects_retry(struct sim *sim);

/* passing.c */
/* How many descriptors a message has: also -EBADF, -EINVAL. And copies of them, to be dropped:
 * -ETOOMANYREFS, -ENOBUFS and the like. */
int sim_passing_count(struct sim *sim, const struct msghdr *msg);
int sim_passing_take(struct sim *sim, const struct msghdr *msg, struct sim_parcel **parcel);
/* Lies there from the socket's next size bytes on. */
void sim_passing_arrive(struct sim_socket *to, struct sim_parcel *parcel, size_t size);
/* How many of the next count bytes one receive may take. */
size_t sim_passing_limit(const struct sim_socket *socket, size_t count);
/* What comes with the next count bytes, NULL: nothing; and as a control message, what does not fit
 * being dropped. */
struct sim_parcel *sim_passing_pop(struct sim_socket *socket, size_t count);
void sim_passing_give(struct sim *sim, struct sim_parcel *parcel, struct msghdr *msg);
void sim_passing_drop(struct sim *sim, struct sim_parcel *parcel); /* NULL is allowed */
/* All that is unread or under way to this socket. */
void sim_passing_drop_unread(struct sim *sim, struct sim_socket *socket);

/* datagram.c */
int64_t sim_datagram_try(struct sim *sim, struct anyio_op *op, struct sim_socket *socket);
void sim_datagram_drop_queue(struct sim_socket *socket);
void sim_datagram_end(struct sim *sim);
/* With the bytes of msg, size in all; or NULL. */
struct sim_datagram *sim_datagram_new(const struct msghdr *msg, size_t size);
void sim_datagram_queue(struct sim *sim, struct sim_socket *to, struct sim_datagram *datagram);

/* unix.c */
int64_t sim_unix_transmit(struct sim *sim, struct sim_socket *socket, const struct msghdr *msg);
int64_t sim_unix_connect(struct sim *sim, struct sim_socket *socket, const struct anyio_op *op);
int sim_unix_writable(const struct sim_socket *socket); /* POLLOUT or 0 */
void sim_unix_taken(const struct sim_datagram *datagram);
void sim_unix_received(struct sim *sim, const struct sim_socket *socket);
void sim_unix_close(struct sim *sim, struct sim_socket *gone);

/* name.c: for AF_UNIX. mode 0: as the umask has it. -EADDRINUSE, the errors of mknod(2). */
int sim_name_bind(
	struct sim *sim, struct sim_socket *socket, struct sim_address address, mode_t mode);
/* Who is bound there: -ENOENT and the like, -ECONNREFUSED for nobody, -EPROTOTYPE for the other type,
 * -EHOSTUNREACH when somebody outside the simulation is. */
int sim_name_find(struct sim *sim, const struct sim_address *address, bool datagrams,
	struct sim_socket **socket);

/* net.c */
struct sim_socket *sim_socket_new(struct sim *sim, sa_family_t family);
/* Not for AF_UNIX. Port 0 chooses one. -EADDRINUSE; -EINVAL when it is bound. */
int sim_socket_bind(struct sim *sim, struct sim_socket *socket, struct sim_address address);
void sim_socket_wake(struct sim *sim, struct sim_socket *socket);
void sim_socket_wake_writers(struct sim *sim, struct sim_socket *socket);
/* Whether it is bound to a wildcard that stands for the address; the port is the caller's matter. */
bool sim_socket_takes_all(const struct sim_socket *socket, const struct sim_address *address);
struct sim_socket *sim_socket_listener(struct sim *sim, const struct sim_address *address);
/* Frees a closed socket, and its closed peer, once nothing travels. */
void sim_socket_settle(struct sim *sim, struct sim_socket *socket);

#endif
