/*
 * Datagram sockets: UDP over IPv4 and IPv6, and UNIX datagrams. Every socket is non-blocking and
 * close-on-exec.
 *
 * A socket is used by tasks of one loop: one of them may receive while another sends, a second
 * receiver or sender at a time gets ANYIO_BUSY, and after anyio_datagram_close all get
 * ANYIO_CLOSED, those that are waiting too. Waits are checkpoints and give ANYIO_CANCELLED; a
 * cancelled receive never takes a datagram, and a cancelled send has sent nothing. Addresses and
 * buffers are the caller's and are not kept.
 *
 * UDP may lose, repeat and reorder datagrams; UNIX datagrams do none of these, and a send waits
 * while the receiver's queue is full. A plain socket takes datagrams from everybody; a connected
 * one from its other side alone, and it hears that nobody is there: -ECONNREFUSED (UNIX also
 * -ECONNRESET) from the next call in either direction. That is news, not an end: the socket stays
 * usable. All other errors are the kernel's; those not named here: -ENETUNREACH, -EHOSTUNREACH,
 * -EPERM (a firewall), -ENOBUFS, -ENOMEM.
 *
 * The simulation has both (anyio/testing.h): UDP's misfortunes by seed, and UNIX datagrams as in the kernel.
 */
#ifndef ANYIO_DATAGRAM_H
#define ANYIO_DATAGRAM_H

#include <anyio/net.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyio_datagram;

/* All zero is the default. */
struct anyio_datagram_options {
	bool reuse_port; /* several sockets may be bound to one port and share what comes (UDP) */
	bool broadcast;  /* may send to broadcast addresses (UDP) */
	bool v6_only;    /* IPv6 wildcard sockets take IPv4 too unless set */
	unsigned unix_mode; /* permissions of a UNIX socket's file; 0: 0600 */
	/* Bytes the kernel is to keep each way; 0: its own choice. It may take less
	 * (net.core.rmem_max) without an error. */
	int receive_buffer;
	int send_buffer; /* the same */
	void *reserved[4];
};

/* All four below give a socket to be freed in *datagram, or NULL and a negative code. options may
 * be NULL. Errors of all: -EAFNOSUPPORT, -EMFILE, -ENFILE, -ENOMEM, those of bind(2),
 * setsockopt(2) and connect(2), and ANYIO_CANCELLED from what may wait: connecting, names, and
 * looking whether a UNIX socket is stale. */

/* A socket without an address: family is AF_INET, AF_INET6 or AF_UNIX. The first send gives UDP a
 * port; an unbound UNIX socket cannot be answered. */
ANYIO_API int anyio_datagram_open(
	int family, const struct anyio_datagram_options *options, struct anyio_datagram **datagram);
/* Bound to local: IPv4, IPv6 (port 0 lets the kernel choose), or UNIX, where a stale socket, one
 * on which nobody answers, is replaced as by anyio_listen_unix, and freeing leaves the file.
 * -EADDRINUSE, -EADDRNOTAVAIL, -EACCES. */
ANYIO_API int anyio_datagram_bind(const struct anyio_address *local,
	const struct anyio_datagram_options *options, struct anyio_datagram **datagram);
/* Connected to remote, and bound to local unless that is NULL. UDP sends nothing for it. UNIX:
 * -ENOENT, -ECONNREFUSED when nobody is there, -EPROTOTYPE when a stream is, and -EPERM when that
 * socket is connected to another. */
ANYIO_API int anyio_datagram_connect(const struct anyio_address *remote,
	const struct anyio_address *local, const struct anyio_datagram_options *options,
	struct anyio_datagram **datagram);

/* UDP by name or number ("localhost", "::1"). Of several addresses the first that can be bound, or
 * connected, is taken, IPv6 first; the first one's error when none can. Also the errors of
 * anyio_getaddrinfo. */
ANYIO_API int anyio_udp_bind(const char *host, uint16_t port,
	const struct anyio_datagram_options *options, struct anyio_datagram **datagram);
/* The same, connected: to the first address that can be. */
ANYIO_API int anyio_udp_connect(const char *host, uint16_t port,
	const struct anyio_datagram_options *options, struct anyio_datagram **datagram);

/* Sends one datagram; it goes as a whole or not at all: 0 or a negative code. size may be 0.
 * -EMSGSIZE when it is too large for the protocol (65,507 bytes for UDP over IPv4) or for the send
 * buffer (UNIX). To the other side of a connected socket, -EDESTADDRREQ or -ENOTCONN on others. UNIX:
 * -ECONNREFUSED. */
ANYIO_API int anyio_datagram_send(struct anyio_datagram *datagram, const void *data, size_t size);
/* The same to `to`, also on a connected socket. UNIX: also -ENOENT, -EACCES, -EPROTOTYPE and -EPERM as for
 * connect. */
ANYIO_API int anyio_datagram_send_to(struct anyio_datagram *datagram, const void *data, size_t size,
	const struct anyio_address *to);

/* Of a datagram that came. */
struct anyio_datagram_info {
	struct anyio_address from; /* len 0: the sender has no address (unbound UNIX sockets) */
	size_t size;               /* bytes of the datagram as it was sent */
};
/* Receives one datagram: its size, which may be 0 (an empty datagram, no end of anything).
 * -EMSGSIZE when it was larger than the buffer: then the first `size` bytes are there, the rest is
 * lost, and info tells the whole size. info (may be NULL) is set by these two results alone. */
ANYIO_API ssize_t anyio_datagram_receive(struct anyio_datagram *datagram, void *buffer, size_t size,
	struct anyio_datagram_info *info);

/* The address of this side. ANYIO_CLOSED. Never waits. */
ANYIO_API int anyio_datagram_local_address(
	const struct anyio_datagram *datagram, struct anyio_address *address);
/* The address of the other side: -ENOTCONN when not connected. ANYIO_CLOSED. Never waits. */
ANYIO_API int anyio_datagram_remote_address(
	const struct anyio_datagram *datagram, struct anyio_address *address);

/* Closes: tasks inside get ANYIO_CLOSED (or what they completed before). On return the descriptor,
 * and so the address, is free. Waits only while another task is inside, until it has left; is never
 * cancelled meanwhile. Idempotent. */
ANYIO_API void anyio_datagram_close(struct anyio_datagram *datagram);
/* Closes and releases. Tasks may be inside; nobody may call anything on it afterwards. NULL is
 * allowed. */
ANYIO_API void anyio_datagram_free(struct anyio_datagram *datagram);

#ifdef __cplusplus
}
#endif
#endif
