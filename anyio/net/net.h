/* What the files of net/ share: descriptors by operations, so that the simulation sees them all. */
#ifndef ANYIO_NET_NET_H
#define ANYIO_NET_NET_H

#include "../core/core.h"

/* -EINVAL for an empty path, -ENAMETOOLONG. */
int anyio_address_unix(struct anyio_address *address, const char *path);

/* descriptor.c: operations, by their system calls' names. */
int anyio_fd_socket(int family);
int anyio_fd_bind(int fd, const struct anyio_address *address);
int anyio_fd_connect(int fd, const struct anyio_address *address); /* waits */
int anyio_fd_listen(int fd, int backlog);
int anyio_fd_option(int fd, int level, int name, const void *value, size_t size);
int anyio_fd_flag(int fd, int level, int name, int value);
int anyio_fd_address(int fd, bool remote, struct anyio_address *address);
int anyio_fd_shutdown(int fd);
int anyio_fd_peer_state(int fd); /* 0, ANYIO_END_OF_STREAM, ANYIO_BROKEN */
void anyio_fd_close(int fd);
/* The permissions of a UNIX socket's file. */
int anyio_fd_mode(const char *path, mode_t mode);

/* Makes a stream of a connected socket, which it then owns; closes fd and -ENOMEM when it cannot.
 */
int anyio_stream_from_socket(int fd, int family, struct anyio_stream **stream);

/* The race of RFC 8305 over addresses already in order: the first error when all fail. */
int anyio_connect_race(
	const struct anyio_address *addresses, size_t count, struct anyio_stream **stream);
/* Puts IPv6 first and lets the families alternate; within one the order is kept. */
void anyio_addresses_interleave(struct anyio_address *addresses, size_t count);

#endif
