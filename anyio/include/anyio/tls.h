/*
 * TLS 1.2 and 1.3 over any byte stream, by OpenSSL 3; AnyIO's TLSStream and Trio's SSLStream.
 *
 * What is made here is a byte stream (anyio/stream.h) over another one, the transport, which it owns.
 * One task may receive while another sends, whatever of the protocol has to be answered meanwhile.
 *
 *  - The handshake is run by the first call that needs it, or by anyio_tls_handshake. Who is
 *    cancelled in it, or while receiving, has lost nothing: the next call goes on.
 *  - A send that does not end by 0 after it has begun breaks the stream: ANYIO_BROKEN from then on, in
 *    both directions. It reports in *sent the bytes of records that went out whole.
 *  - anyio_stream_send_eof sends the close_notify, which tells the other side that nothing was cut
 *    off; receiving goes on. (Before TLS 1.3 the other side may then drop what it still had to
 *    send.) anyio_tls_unwrap does so and waits for the other's. Closing and freeing send nothing,
 *    because they never wait: the other side sees a cut, and so it should unless one of these
 *    came before. Aborting aborts the transport.
 *  - Receiving gives 0 after the other side's close_notify, ANYIO_TLS_RAGGED_END when the transport
 *    ended without one.
 *  - What the protocol forbids, garbage, and an alert from the other side give ANYIO_TLS_FAILED, from
 *    then on in both directions; a certificate that is not accepted ANYIO_TLS_CERTIFICATE. The other
 *    side is told why by an alert. anyio_tls_error_text says more.
 *  - Renegotiation is refused, compression never offered. A server's session tickets wait until it
 *    sends something else, so that a client that never receives cannot make it fail.
 *
 * A task that does a handshake needs a stack of 32 KiB at least; the default of 64 KiB is ample. A
 * handshake computes on the loop's thread: a server's RSA signature of 2048 bits takes 0.6 ms, an
 * ECDSA one 0.03 ms. An idle stream holds no buffers.
 *
 * OpenSSL's queue of errors belongs to a thread: a call made here empties it.
 *
 * Functions on a stream made elsewhere give -EINVAL, or NULL.
 */
#ifndef ANYIO_TLS_H
#define ANYIO_TLS_H

#include <anyio/serve.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What one side brings to every handshake. Any thread; may be shared by the loops of several. */
struct anyio_tls_context;

/* What is asked of the other side. */
enum anyio_tls_verify {
	ANYIO_TLS_VERIFY_DEFAULT,  /* a client requires a certificate, a server asks for none */
	ANYIO_TLS_VERIFY_NONE,     /* a client then talks to anybody */
	ANYIO_TLS_VERIFY_OPTIONAL, /* servers: the client may have none, but no wrong one */
	ANYIO_TLS_VERIFY_REQUIRED, /* a right one, or no connection */
};

/* A bound of the versions that are spoken. */
enum anyio_tls_version {
	ANYIO_TLS_VERSION_DEFAULT, /* see there */
	ANYIO_TLS_VERSION_1_2,     /* RFC 5246 */
	ANYIO_TLS_VERSION_1_3,     /* RFC 8446 */
};

/* Certificates and keys in PEM, from a file or from memory of that many bytes. */
struct anyio_tls_pem {
	const char *file; /* a path, or NULL */
	const void *data; /* else the text; NULL: none is given */
	size_t size;      /* bytes of data */
};

/* All zero is the default: a client that believes whom the system believes. Nothing is kept of it. */
struct anyio_tls_context_options {
	bool server; /* for accepting; else for connecting */
	/* This side's own: its certificate and those between it and the root, leaf first, and the
	 * key. A server needs them. */
	struct anyio_tls_pem certificate;
	struct anyio_tls_pem key; /* the certificate's */
	const char *key_password; /* NULL: it has none */
	/* Whom to believe. When none is given it is the system's store, which system_roots adds to
	 * those that are. A server that verifies has to be given them. */
	struct anyio_tls_pem roots;
	bool system_roots;            /* believe those too whom the system believes */
	enum anyio_tls_verify verify; /* what is asked of the other side */
	/* Default: 1.2, in which a client does not offer DHE: the server would choose what the client
	 * computes with, however large. */
	enum anyio_tls_version min_version;
	enum anyio_tls_version max_version; /* default: the highest there is */
	/* ALPN (RFC 7301): names in order of preference, ended by NULL. A server takes its own first
	 * that the client has too, and refuses a client that asks for others only. */
	const char *const *alpn;
	bool no_resumption; /* a server gives no tickets out, a client keeps none */
	/* Unless NULL, what was wrong, in words: the part (certificate, key or roots), its file, and
	 * why. "" when nothing was. */
	char *reason;
	size_t reason_size; /* bytes of it, at least 1: the text is cut to fit, with its 0 */
	void *reserved[3];
};

/* Reads the files, and so blocks: for the start of a program, or anyio_to_thread. -EINVAL for options
 * that make no sense, -EBADMSG for what is not PEM, or a key that is not the certificate's or whose
 * password is another; the errors of opening and reading, ANYIO_NOT_A_FILE, -EFBIG over 16 MiB,
 * -ENOMEM. Free it any time: streams keep what they need of it. */
ANYIO_API int anyio_tls_context_create(
	const struct anyio_tls_context_options *options, struct anyio_tls_context **context);
ANYIO_API void anyio_tls_context_free(struct anyio_tls_context *context); /* NULL is allowed */

struct anyio_tls_session;

/* All zero is the default. */
struct anyio_tls_options {
	/* Clients: who the other side has to be, a name or an address ("::1"); a name is also told to
	 * it (SNI). A last dot is left out of it, a first one is -EINVAL. A client that verifies has to
	 * have one, or say any_name. */
	const char *server_name;
	bool any_name;     /* a client takes a certificate for whatever name */
	bool allow_ragged; /* the transport's end is an end: for protocols that say themselves how
			    * much there is, such as HTTP */
	/* Clients: to be taken up again, unless it was another name's. Stays the caller's. */
	struct anyio_tls_session *session;
	/* anyio_tls_connect sets it to what was wrong: static storage. anyio_tls_serve does before it tells
	 * failed: NULL where the code is the handler's and not the handshake's. */
	const char **reason;
	anyio_time handshake_timeout; /* of anyio_tls_serve alone; 0: 30 seconds; ANYIO_FOREVER */
	const struct anyio_connect_options *connect; /* of anyio_tls_connect alone; NULL: none */
	void *reserved[2];
};

/* Lays TLS over transport, as client or server as the context says. Never waits: -EINVAL (a name that is
 * none, a session of another context, a client that verifies and has no name), -ENOMEM; then *stream is
 * NULL and the transport stays the caller's, so it needs a variable of its own; else it is the stream's.
 * options may be NULL. */
ANYIO_API int anyio_tls_wrap(struct anyio_stream *transport, struct anyio_tls_context *context,
	const struct anyio_tls_options *options, struct anyio_stream **stream);

/* Connects as anyio_connect_tcp_with, wraps with host as the server_name unless options have another, and
 * runs the handshake. */
ANYIO_API int anyio_tls_connect(const char *host, uint16_t port, struct anyio_tls_context *context,
	const struct anyio_tls_options *options, struct anyio_stream **stream);

/* Accepts as anyio_accept and wraps. The handshake is for the task that will use the stream: in the loop
 * that accepts it would make all others wait for one. */
ANYIO_API int anyio_tls_accept(struct anyio_listener *listener, struct anyio_tls_context *context,
	const struct anyio_tls_options *options, struct anyio_stream **stream);

/* As anyio_serve in everything (anyio/serve.h), but that each connection's task first lays TLS over it and
 * runs the handshake, within tls->handshake_timeout, and the handler gets the TLS stream, which is its own.
 * A handshake that fails ends its connection alone; options->failed is told its code, -ETIMEDOUT when it
 * took too long, and what was wrong as the text. tls and options may be NULL. -EINVAL, and nothing is begun, when the context is a client's
 * or tls has what is for clients. */
ANYIO_API int anyio_tls_serve(struct anyio_listener *const *listeners, size_t count,
	struct anyio_tls_context *context, const struct anyio_tls_options *tls,
	anyio_handler_fn handler, void *arg, struct anyio_service *service,
	const struct anyio_serve_options *options);

/* Returns when the handshake is done, whoever runs it. */
ANYIO_API int anyio_tls_handshake(struct anyio_stream *stream);

/* Sends the close_notify if it was not sent, waits for the other side's, and gives the transport back, with
 * the bytes that came behind (in *left, to be freed by anyio_free; NULL when there are none). The stream
 * is closed then, and still to be freed. -ENOTEMPTY when the other side has sent what nobody has
 * received: receive it and call again. ANYIO_BUSY while a task is inside. Cancelled, it may be called
 * again. */
ANYIO_API int anyio_tls_unwrap(struct anyio_stream *stream, struct anyio_stream **transport,
	uint8_t **left, size_t *left_size);

/* The next send begins with new keys (TLS 1.3, RFC 8446 section 4.6.3); with both, the other side's will too.
 * By itself a stream changes its own often enough for any cipher. -EOPNOTSUPP before TLS 1.3, -ENOTCONN
 * before the handshake; the stream's error. Never waits. */
ANYIO_API int anyio_tls_key_update(struct anyio_stream *stream, bool both);

/* Why the stream failed, for people: what OpenSSL says, or why the certificate was not accepted. Static
 * storage. NULL while it has not. */
ANYIO_API const char *anyio_tls_error_text(const struct anyio_stream *stream);
/* The X509_V_ERR_ number of the other side's certificate; 0 when it was accepted or there is none. */
ANYIO_API long anyio_tls_verify_result(const struct anyio_stream *stream);

/* The stream under it, whose own it stays; NULL once unwrapped. What the handshake agreed on is among
 * the stream's attributes (ANYIO_ATTRIBUTE_TLS_..., -ENODATA before); it passes others on to the
 * transport. */
ANYIO_API struct anyio_stream *anyio_tls_transport(const struct anyio_stream *stream);

/* Clients: what it takes to take this session up again with less work, at the same server, in the same
 * context. With TLS 1.3 it comes with the first bytes received, and should be used once. NULL when there is
 * none, or no memory. Any thread may free it. */
ANYIO_API struct anyio_tls_session *anyio_tls_session_get(const struct anyio_stream *stream);
ANYIO_API void anyio_tls_session_free(struct anyio_tls_session *session); /* NULL is allowed */
/* Whether this stream's session had been another's. */
ANYIO_API bool anyio_tls_session_reused(const struct anyio_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
