/*
 * What a stream knows of itself, by name: AnyIO's typed attributes (`extra()`). A stream that wraps
 * another answers what it knows and asks the one inside for the rest, so that the address of a
 * connection is found through whatever is laid over it.
 */
#ifndef ANYIO_ATTRIBUTE_H
#define ANYIO_ATTRIBUTE_H

#include <sys/types.h>
#include <anyio/export.h>

#ifdef __cplusplus
extern "C" {
#endif

struct anyio_stream;

/* Each with the type of its value. A text is a char array, and its NUL is part of it. */
enum anyio_attribute {
	ANYIO_ATTRIBUTE_LOCAL_ADDRESS,  /* struct anyio_address (anyio/net.h) */
	ANYIO_ATTRIBUTE_REMOTE_ADDRESS, /* struct anyio_address */
	ANYIO_ATTRIBUTE_DESCRIPTOR,     /* int: the backend's number, and still the stream's, which
					 * closes it; in the simulation no number of the kernel's */
	ANYIO_ATTRIBUTE_CREDENTIALS,    /* struct anyio_credentials: of who connected or listened at
					 * the other side of a UNIX socket, as it was then */
	ANYIO_ATTRIBUTE_PROCESS_ID,     /* pid_t: of the child at the other side of a pipe */
	ANYIO_ATTRIBUTE_PATH,           /* text: of a file, as it was opened */
	ANYIO_ATTRIBUTE_TLS_VERSION,    /* text: "TLSv1.3" */
	ANYIO_ATTRIBUTE_TLS_CIPHER,     /* text: "TLS_AES_128_GCM_SHA256" */
	ANYIO_ATTRIBUTE_TLS_ALPN,       /* text: the protocol that was agreed on */
	ANYIO_ATTRIBUTE_TLS_SERVER_NAME, /* text: as the client asked for it (SNI) */
	ANYIO_ATTRIBUTE_TLS_CERTIFICATE, /* bytes: the other side's own certificate, DER */
	ANYIO_ATTRIBUTE_TLS_SERVER_SIDE, /* bool: this side accepted */
	ANYIO_ATTRIBUTES
};

/* Who is at the other side of a UNIX socket. */
struct anyio_credentials {
	pid_t pid; /* as this process's namespace numbers it */
	uid_t uid; /* its effective user */
	gid_t gid; /* and group */
};

/* Copies an attribute's value to out and returns its size in bytes; with out NULL only says that size.
 * -ENODATA when neither the stream nor any that it wraps has it, -ENOSPC when it is larger than size,
 * ANYIO_CLOSED when the stream that has it is closed, or the kernel's error. Never waits. */
ANYIO_API ssize_t anyio_stream_attribute(
	const struct anyio_stream *stream, enum anyio_attribute which, void *out, size_t size);

/* For who implements a stream: answers with these bytes as anyio_stream_attribute does. Pure. */
ANYIO_API ssize_t anyio_attribute_give(void *out, size_t size, const void *value, size_t length);

#ifdef __cplusplus
}
#endif
#endif
