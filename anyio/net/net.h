/* What the files of net/ share: descriptors by operations, so that the simulation sees them all. */
#ifndef ANYIO_NET_NET_H
#define ANYIO_NET_NET_H

#include <anyio/net.h>
#include "../core/core.h"

/* Whether the loop is the simulation, whose sockets are not the kernel's. */
bool anyio_net_simulated(void);

/* descriptor.c: operations, by their system calls' names. */
int anyio_fd_socket(int family, int type);
int anyio_fd_bind(int fd, const struct anyio_address *address);
/* With the permissions of a UNIX socket's file, which the simulation heeds. */
int anyio_fd_bind_file(int fd, const struct anyio_address *address, mode_t mode);
int anyio_fd_connect(int fd, const struct anyio_address *address); /* waits */
int anyio_fd_listen(int fd, int backlog);
int anyio_fd_option(int fd, int level, int name, const void *value, size_t size);
int anyio_fd_flag(int fd, int level, int name, int value);
int anyio_fd_address(int fd, bool remote, struct anyio_address *address);
int anyio_fd_credentials(int fd, struct ucred *peer);
int anyio_fd_shutdown(int fd);
int anyio_fd_peer_state(int fd); /* 0, ANYIO_END_OF_STREAM, ANYIO_BROKEN */

/* unix.c: binds a UNIX socket of that type to path, and a stream's listens there; a stale socket, one on
 * which nobody answers, is replaced. The file gets the permissions mode (of 07777) and never has
 * others that allow more. Waits while it finds out, and while others do. -EADDRINUSE. */
int anyio_unix_bind(int fd, int type, const char *path, mode_t mode, int backlog);

/* passing.c: what becomes of descriptors that the other side of a UNIX stream sends. */
enum anyio_rights {
	ANYIO_RIGHTS_REFUSED, /* they do not come; nor over other sockets */
	ANYIO_RIGHTS_DROPPED, /* the kernel cannot refuse them: they come and are closed */
	ANYIO_RIGHTS_TAKEN,
};
/* Before the other side can send any; what is accepted inherits it. 0, or the kernel's code. */
int anyio_passing_set(int fd, int family, bool taken, enum anyio_rights *rights);
/* Closes a socket; where descriptors may lie unread in it, not on this thread, though nobody can reach it
 * from now on. */
void anyio_passing_close(int fd, enum anyio_rights rights);

/* Descriptors as a control message, to be sent. */
struct anyio_passing {
	size_t size; /* of what is packed */
	_Alignas(struct cmsghdr) char bytes[CMSG_LEN(ANYIO_DESCRIPTORS_MAX * sizeof(int))];
};
/* ANYIO_TOO_MANY. None at all is size 0. */
int anyio_passing_pack(struct anyio_passing *passing, const struct anyio_descriptors *descriptors);
/* Receives with room for all that can come with a message: what the kernel has no room for it closes itself,
 * on this thread. Into descriptors come those that it holds; all others, with NULL all, are closed
 * before it returns. flags: MSG_DONTWAIT or 0. */
int64_t anyio_passing_receive(
	int fd, void *buffer, size_t size, int flags, struct anyio_descriptors *descriptors);

/* tune.c: TCP_NODELAY, and within the machine no pacing. Errors are nobody's. */
void anyio_tune_connected(int fd, int family);
/* Of that address. True: what it accepts needs nothing more. */
bool anyio_tune_listener(int fd, const struct anyio_address *address);
void anyio_tune_accepted(int fd);

/* Makes a stream of a connected socket, which it then owns; closes fd and -ENOMEM when it cannot.
 */
int anyio_stream_from_socket(
	int fd, int family, enum anyio_rights rights, struct anyio_stream **stream);

/* Between the two a listener that is freed is closed, and given back only at the release. */
void anyio_listener_hold(struct anyio_listener *listener);
void anyio_listener_release(struct anyio_listener *listener);

/* The race of RFC 8305 over addresses already in order: the first error when all fail. */
int anyio_connect_race(const struct anyio_address *addresses, size_t count,
	const struct anyio_connect_options *options, struct anyio_stream **stream);
/* Puts IPv6 first and lets the families alternate; within one the order is kept. */
void anyio_addresses_interleave(struct anyio_address *addresses, size_t count);

#endif
