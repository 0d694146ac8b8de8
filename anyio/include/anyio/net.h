/*
 * TCP and UNIX sockets. Every socket is non-blocking, close-on-exec, and never raises SIGPIPE.
 *
 * A stream made here gives ANYIO_BROKEN when the other side is gone (EPIPE, ECONNRESET),
 * ANYIO_CLOSED once closed on this side or after anyio_stream_send_eof for sending, ANYIO_BUSY
 * to a second receiver or sender at a time, and else the kernel's errors. Aborting resets the
 * connection. Streams and listeners may be freed while a task is inside: it gets ANYIO_CLOSED.
 *
 * A TCP stream, connected or accepted, has TCP_NODELAY set; and where its other side is on this machine
 * (127.0.0.0/8, ::1) TCP_CONGESTION is set to "reno", since a system's choice that paces what it sends,
 * as BBR does, is several times slower there. Who wants others sets them on the descriptor
 * (ANYIO_ATTRIBUTE_DESCRIPTOR).
 */
#ifndef ANYIO_NET_H
#define ANYIO_NET_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <anyio/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An address of IPv4, IPv6 or a UNIX socket. */
struct anyio_address {
	socklen_t len; /* bytes of it that are used */
	/* It, by its family. */
	union {
		struct sockaddr any;
		struct sockaddr_in ip4;
		struct sockaddr_in6 ip6;
		struct sockaddr_storage storage; /* UNIX paths too */
	};
};

/* Reads a numeric host ("127.0.0.1", "::1") and port. -EINVAL. Pure. */
ANYIO_API int anyio_address_parse(struct anyio_address *address, const char *host, uint16_t port);
/* "127.0.0.1:80", "[::1]:80" or a path; returns the length or -ENOSPC. Pure. */
ANYIO_API int anyio_address_format(const struct anyio_address *address, char *out, size_t cap);

/* The address of a UNIX socket's path. -EINVAL when it is empty, -ENAMETOOLONG from 108 bytes on.
 * Pure. */
ANYIO_API int anyio_address_unix(struct anyio_address *address, const char *path);

/* All zero is the default. */
struct anyio_connect_options {
	/* The IPv4 or IPv6 address to come from; NULL: the kernel's choice. Its port is 0 unless there
	 * is but one address to connect to. The caller's, and read until the call returns. */
	const struct anyio_address *local;
	/* How long one address may take before the next is tried beside it; 0: 250 ms, as RFC 8305
	 * has it; ANYIO_FOREVER: one after another. */
	anyio_time delay;
	bool descriptors; /* of a UNIX stream: take those that the other side sends, see below */
	void *reserved[3];
};
/* Connects to one address. The stream is to be freed. Errors: the kernel's, ANYIO_CANCELLED. */
ANYIO_API int anyio_connect_address(
	const struct anyio_address *address, struct anyio_stream **stream);
/* The same with options, which may be NULL: also -EADDRNOTAVAIL when local is not this machine's,
 * -EADDRINUSE for its port, -EAFNOSUPPORT when it is not of the address's family. */
ANYIO_API int anyio_connect_address_with(const struct anyio_address *address,
	const struct anyio_connect_options *options, struct anyio_stream **stream);
/* Resolves and connects with happy eyeballs (RFC 8305: 250 ms stagger, IPv6 first; a failure
 * starts the next at once; late winners are closed). Returns the first address's error when all
 * fail. */
ANYIO_API int anyio_connect_tcp(const char *host, uint16_t port, struct anyio_stream **stream);
/* The same with options, which may be NULL. Addresses of another family than local's are passed over:
 * -ENOENT when the host has no others. */
ANYIO_API int anyio_connect_tcp_with(const char *host, uint16_t port,
	const struct anyio_connect_options *options, struct anyio_stream **stream);
/* Connects to a UNIX socket by its path: also -ENOENT, -EINVAL, -ENAMETOOLONG. */
ANYIO_API int anyio_connect_unix(const char *path, struct anyio_stream **stream);

/* Names to addresses on a worker thread (a limiter of its own). family AF_UNSPEC, AF_INET or
 * AF_INET6. *addresses is malloc'd: free() it. -ENOENT when the name is unknown. */
ANYIO_API int anyio_getaddrinfo(const char *host, uint16_t port, int family,
	struct anyio_address **addresses, size_t *count);

/* An address to names, on a worker thread under the same limiter (at once where flags ask for
 * numbers alone). host and service may be NULL, their sizes are in bytes; flags are getnameinfo(3)'s
 * (NI_NUMERICHOST, NI_NAMEREQD, ...), of which NI_DGRAM tells UDP's services from TCP's. A host
 * without a name gives its number, with NI_NAMEREQD -ENOENT. -ENOSPC when a name does not fit,
 * -EAFNOSUPPORT for other than IPv4 and IPv6, -EINVAL for flags the system does not know, -EAGAIN
 * when the name server cannot say now, -EIO, -ENOMEM, ANYIO_CANCELLED: then the lookup goes on
 * without its caller and is dropped at its end. */
ANYIO_API int anyio_getnameinfo(const struct anyio_address *address, char *host, size_t host_size,
	char *service, size_t service_size, int flags);

struct anyio_listener;

/* All zero is the default. */
struct anyio_listen_options {
	int backlog;      /* 0: 1024 */
	bool reuse_port;  /* several listeners share a port, and what comes (SO_REUSEPORT) */
	bool v6_only;     /* IPv6 wildcard listeners take IPv4 too unless set */
	bool descriptors; /* UNIX streams accepted take those that the other side sends, see below */
	unsigned unix_mode; /* permissions of a UNIX socket; 0: 0600 */
	void *reserved[4];
};
/* Binds and listens; port 0 lets the kernel choose. -EADDRINUSE and the like. options may be NULL. */
ANYIO_API int anyio_listen_address(const struct anyio_address *address,
	const struct anyio_listen_options *options, struct anyio_listener **listener);
/* The same at a path. A stale UNIX socket, one that nobody answers on, is replaced; of several programs that
 * find it so at once one listens, for which they lock PATH.bind-lock for a moment. Freeing a listener
 * leaves its file. Waits up to some seconds where somebody answers, ANYIO_CANCELLED. */
ANYIO_API int anyio_listen_unix(const char *path, const struct anyio_listen_options *options,
	struct anyio_listener **listener);
/* One listener for each of count addresses, all on the same port: where they ask for port 0 the kernel
 * chooses one for the first, and when that is taken at another address all begin again with
 * another port, sixteen times at most. IPv6 takes no IPv4 here, whatever v6_only says. 0 and count
 * listeners to be freed; or a negative code (-EADDRINUSE), and nothing is bound. */
ANYIO_API int anyio_listen_several(const struct anyio_address *addresses, size_t count,
	const struct anyio_listen_options *options, struct anyio_listener **listeners);
/* Out of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM) backs off and goes on, though a
 * connection may be lost; connections that died in the queue are skipped. ANYIO_CLOSED once closed or
 * freed while waiting here, ANYIO_BUSY when another task is accepting. */
ANYIO_API int anyio_accept(struct anyio_listener *listener, struct anyio_stream **stream);
/* Where it listens, the port as the kernel chose it. Never waits. */
ANYIO_API int anyio_listener_address(
	const struct anyio_listener *listener, struct anyio_address *address);
/* Listens no more: whoever comes is refused, who waits in accept is woken. Idempotent; also while tasks
 * are inside. */
ANYIO_API void anyio_listener_close(struct anyio_listener *listener);
/* Closes and gives it back. NULL is allowed. */
ANYIO_API void anyio_listener_free(struct anyio_listener *listener);

/* The stream's attributes of these names (anyio/attribute.h), so also of streams over those made here;
 * -ENOTSOCK when it has none. */
ANYIO_API int anyio_stream_local_address(
	const struct anyio_stream *stream, struct anyio_address *address);
/* The same of the other side. */
ANYIO_API int anyio_stream_remote_address(
	const struct anyio_stream *stream, struct anyio_address *address);

/* Descriptors of open files travel over UNIX streams, with the first byte of what is sent, to who has asked
 * for them when it connected or listened (descriptors in the options). To others they cannot be sent, -EPERM;
 * before Linux 6.16 they can, and are closed as they come. Closing what somebody else made may take any
 * time, so it is done on a worker thread. */
enum { ANYIO_DESCRIPTORS_MAX = 32 };
/* Some of them. */
struct anyio_descriptors {
	size_t count; /* how many of fds are used */
	/* After a receive: some that were sent are not here, because they were more than the most,
	 * or this process could not take them (EMFILE). Those are closed. */
	bool lost;
	int fds[ANYIO_DESCRIPTORS_MAX]; /* the numbers */
};
/* Sends all of data, and the descriptors with its first byte. They stay the caller's, who may close
 * them on return. When cut off, *sent (may be NULL) says how many bytes went out: if any did, so
 * did the descriptors. -EINVAL when size is 0, ANYIO_TOO_MANY, -EBADF, -EPERM, -ETOOMANYREFS when too many
 * are under way; -EOPNOTSUPP when the stream is not a UNIX socket's; else as for sending. */
ANYIO_API int anyio_stream_send_descriptors(struct anyio_stream *stream, const void *data,
	size_t size, const struct anyio_descriptors *descriptors, size_t *sent);
/* Receives as anyio_stream_receive does, and what descriptors came with the bytes: close-on-exec,
 * the caller's to close, also when some were lost. With them come no bytes that were sent after those
 * they were sent with. Without success, and when cancelled, there are none. A plain receive closes
 * those that come. -EINVAL for no room, -EOPNOTSUPP as above and when the stream was not made to take any. */
ANYIO_API ssize_t anyio_stream_receive_descriptors(struct anyio_stream *stream, void *buffer,
	size_t size, struct anyio_descriptors *descriptors);
/* Closes all and leaves none. In a task it waits until they are closed, and is not cancelled. */
ANYIO_API void anyio_descriptors_close(struct anyio_descriptors *descriptors);

/* Whether the other side is still there, as far as is known without sending: 0; ANYIO_END_OF_STREAM
 * when it will send no more, though it may still read (what it sent before may be unread yet, and a
 * TCP socket that was closed whole looks the same until something is sent to it); ANYIO_BROKEN when
 * it is gone; ANYIO_CLOSED; -ENOTSOCK. Never waits; also while tasks receive and send. The
 * simulation always says 0. */
ANYIO_API int anyio_stream_peer_state(const struct anyio_stream *stream);

/* Waits until a descriptor of the caller's can be read, or is at its end. ANYIO_BUSY when another task of
 * this loop waits for the same of it; plain files never wait: 0, or -EPERM. ANYIO_CANCELLED. */
ANYIO_API int anyio_wait_readable(int fd);
/* The same until it can be written. */
ANYIO_API int anyio_wait_writable(int fd);
/* To be called before such a descriptor is closed: who waits for it gets ANYIO_CLOSED. */
ANYIO_API void anyio_notify_closing(int fd);

#ifdef __cplusplus
}
#endif
#endif
