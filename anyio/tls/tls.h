/*
 * What the files of tls/ share.
 *
 * The design. OpenSSL never waits: it reads and writes ciphertext in two buffers of ours, through a
 * BIO of our own (bio.c), and says when it wants more. So each call into it is whole before another
 * task runs, and what waits is only the moving of ciphertext between buffers and transport
 * (move.c). Of each direction one task at a time is in charge, because bytes must keep their order:
 * who comes to it while another is waits for that one, and then looks again whether OpenSSL still
 * wants anything. Both are cancelled without loss: what was not sent stays in front of the buffer,
 * and whoever moves next sends it first.
 *
 * So a call is: ask OpenSSL; if it wants bytes, send what it has left in the buffer, or else
 * receive; ask again. Never two moves without asking between, because after a wait what was wanted
 * may have come by another task (move.c, tls_progress).
 *
 * Trio (_ssl.py) has the same plan, and cannot resume what was cancelled; from it is that a server
 * holds back its session tickets (python-trio#819, openssl#7948).
 */
#ifndef ANYIO_TLS_TLS_H
#define ANYIO_TLS_TLS_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <anyio/tls.h>
#include "../core/core.h"
#include "../sync/wait.h"

struct anyio_tls_context {
	atomic_size_t references;
	SSL_CTX *ssl;
	BIO_METHOD *bio;
	bool server;
	bool verifies, resumes;
	unsigned char *alpn; /* as on the wire: each name behind its length */
	unsigned alpn_size;
};

struct anyio_tls_session {
	SSL_SESSION *ssl;
	struct anyio_tls_context *context;
};

/* Bytes from start to end; memory only while it is needed. */
struct buffer {
	uint8_t *data;
	size_t start, end, size;
};

/* Something one task does at a time; others wait until it is done. */
struct turn {
	bool taken;
	struct anyio_wait_queue waiting;
};

struct tls {
	struct anyio_stream stream;
	SSL *ssl;
	struct anyio_tls_context *context;
	struct anyio_stream *transport; /* NULL once given back */
	char *name;                     /* who the other side has to be; NULL: anybody */
	struct buffer in;               /* from the transport */
	struct buffer out, going;       /* to it; going is what the task in charge sends */
	uint64_t produced, sent;        /* bytes ever made for out, and gone to the transport */
	uint64_t held;                  /* up to there (of produced) nothing is urgent */
	struct turn filling, flushing, handshaking;
	unsigned inside;           /* tasks */
	int failed;                /* in both directions, for good; 0: not */
	int in_failed, out_failed; /* the transport's errors */
	unsigned long error;       /* OpenSSL's, of the failure */
	uint32_t records;          /* sent since the keys were new */
	bool handshook;
	bool receiving, sending;
	bool sent_eof; /* the close_notify is in out, or gone */
	bool allow_ragged;
	bool no_memory; /* why the BIO failed */
	bool closed, destroyed;
};

enum { RECORD = 16384 }; /* the most one record carries, RFC 8446 section 5.1 */

/* What a call into OpenSSL came to, besides 0 (done) and negative codes. */
enum outcome { OUTCOME_WANTS = 1, OUTCOME_END };

static inline struct tls *tls_of(const struct anyio_stream *stream)
{
	return anyio_container(stream, struct tls, stream);
}

/* context.c */
void tls_context_ref(struct anyio_tls_context *context);

/* stream.c */
extern const struct anyio_stream_ops tls_ops;
/* The stream, or NULL when it is another kind. */
struct tls *tls_check(const struct anyio_stream *stream);
/* A task comes and goes; the last to go frees what was destroyed. enter: ANYIO_CLOSED. */
int tls_enter(struct tls *tls);
void tls_leave(struct tls *tls);
int tls_send_close_notify(struct tls *tls);

/* bio.c */
BIO_METHOD *tls_bio_method(void);
void tls_buffer_free(struct buffer *buffer);
bool tls_buffer_reserve(struct buffer *buffer, size_t more);
static inline size_t buffer_used(const struct buffer *buffer)
{
	return buffer->end - buffer->start;
}

/* move.c */
/* What OpenSSL's result means: 0, an outcome, or a code; after a failure the stream has failed.
 * Right before the call comes ERR_clear_error(). */
int tls_outcome(struct tls *tls, int result);
/* Waits until the task in charge is done. 0 or ANYIO_CANCELLED. */
int tls_turn_wait(struct turn *turn);
void tls_turn_end(struct turn *turn);
/* Sends until all that has been produced by now is gone. */
int tls_flush(struct tls *tls);
/* After OUTCOME_WANTS: one move that brings it on. 0: ask OpenSSL again. ANYIO_TLS_RAGGED_END. */
int tls_progress(struct tls *tls);
/* The code of a failed stream, once the alert for the other side is out, if it can be. */
int tls_report(struct tls *tls);

/* handshake.c */
int tls_handshake(struct tls *tls);

/* receive.c, send.c */
ssize_t tls_receive(struct anyio_stream *stream, void *buffer, size_t size);
ssize_t tls_receive_lazy(struct anyio_stream *stream, anyio_borrow_fn borrow, void *arg);
int tls_sendv(struct anyio_stream *stream, const struct iovec *iov, int count, size_t *sent);

/* attribute.c */
ssize_t tls_attribute(
	const struct anyio_stream *stream, enum anyio_attribute which, void *out, size_t size);

#endif
