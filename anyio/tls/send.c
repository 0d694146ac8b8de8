/*
 * Sending: records of 16 KiB, several of them in one send of the transport, since each costs a system
 * call there, and no more than those, since the other side could be decrypting the first meanwhile.
 */
#include <errno.h>
#include <string.h>
#include "../core/cursor.h"
#include "tls.h"

enum {
	BATCH = 4,            /* records */
	OVERHEAD = 64,        /* bytes a record is larger than what it carries, at most */
	RENEW_KEYS = 1 << 23, /* records; AES-GCM is good for 2^24.5, RFC 8446 section 5.5 */
};

struct source {
	struct anyio_cursor at;
	uint8_t *joined; /* a record's room, once there are small parts */
};

/* What the next record carries, 0 at the end. Small parts are joined: a record each would cost the
 * other side more than copying does here. */
static size_t source_next(struct source *source, const uint8_t **data)
{
	struct iovec run;

	if (source->at.left == 0)
		return 0;
	if (source->at.left > 1 && anyio_cursor_part(&source->at).iov_len < RECORD) {
		if (source->joined == NULL)
			source->joined = anyio_malloc(RECORD);
		*data = source->joined;
		if (source->joined != NULL)
			return anyio_cursor_get(&source->at, source->joined, RECORD);
	}
	run = anyio_cursor_take(&source->at, RECORD);
	*data = run.iov_base;
	return run.iov_len;
}

static int write_step(struct tls *tls, const uint8_t *data, size_t size)
{
	size_t done;

	ERR_clear_error();
	if (tls->records >= RENEW_KEYS && SSL_version(tls->ssl) == TLS1_3_VERSION) {
		SSL_key_update(tls->ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
		tls->records = 0;
	}
	return tls_outcome(tls, SSL_write_ex(tls->ssl, data, size, &done));
}

/* One record. OpenSSL wants bytes here only while half of a message to it (a ticket, a change of
 * keys) is there: it takes no other step before it has read the rest. */
static int write_record(struct tls *tls, const uint8_t *data, size_t size)
{
	for (;;) {
		int rc = tls->failed;

		if (rc == 0)
			rc = write_step(tls, data, size);
		if (rc == 0)
			tls->records++;
		if (rc != OUTCOME_WANTS)
			return rc;
		rc = tls_progress(tls);
		if (rc < 0)
			return rc;
	}
}

/* Encrypts and sends some records. *begun: at least one was made. */
static int send_batch(struct tls *tls, struct source *source, size_t *sent, bool *more, bool *begun)
{
	uint64_t ends[BATCH];
	size_t sizes[BATCH];
	int count = 0, rc = 0, flushed = 0;

	while (rc == 0 && count < BATCH) {
		const uint8_t *data;
		size_t n = source_next(source, &data);

		*more = n > 0;
		if (n == 0)
			break;
		rc = write_record(tls, data, n);
		if (rc == 0) {
			sizes[count] = n;
			ends[count++] = tls->produced;
		}
	}
	*begun |= count > 0;
	if (tls->produced > tls->sent)
		flushed = tls_flush(tls);
	for (int i = 0; i < count && ends[i] <= tls->sent; i++)
		*sent += sizes[i];
	return rc < 0 ? rc : flushed;
}

static int send_all(struct tls *tls, const struct iovec *iov, int count, size_t *sent)
{
	struct source source = { .at = anyio_cursor_make(iov, count) };
	size_t size = anyio_iov_size(iov, count);
	bool more = size > 0, begun = false;
	int rc = 0;

	if (size > (size_t)BATCH * RECORD)
		size = (size_t)BATCH * RECORD;
	while (rc == 0 && more) {
		if (tls_buffer_reserve(&tls->out, size + (size_t)BATCH * OVERHEAD))
			rc = send_batch(tls, &source, sent, &more, &begun);
		else
			rc = -ENOMEM;
	}
	anyio_free(source.joined);
	if (rc == 0 || !begun)
		return rc;
	/* The other side would wait for the rest of a record for ever. When it was the transport,
	 * what came before may be received nevertheless. */
	if (tls->failed == 0 && tls->out_failed == 0)
		tls->failed = ANYIO_BROKEN;
	tls->out_failed = ANYIO_BROKEN;
	return rc;
}

static int send_ready(struct tls *tls)
{
	int rc = anyio_checkpoint_if_cancelled();

	if (rc == 0)
		rc = tls_handshake(tls);
	if (rc < 0)
		return rc;
	if (tls->failed < 0)
		return tls->failed;
	return tls->sent_eof ? ANYIO_CLOSED : tls->out_failed;
}

int tls_sendv(struct anyio_stream *stream, const struct iovec *iov, int count, size_t *sent)
{
	struct tls *tls = tls_of(stream);
	int rc = tls_enter(tls);

	*sent = 0;
	if (rc < 0)
		return rc;
	if (tls->sending) {
		tls_leave(tls);
		return ANYIO_BUSY;
	}
	tls->sending = true;
	rc = send_ready(tls);
	if (rc == 0)
		rc = send_all(tls, iov, count, sent);
	if (rc == 0)
		anyio_pass();
	tls->sending = false;
	if (tls->closed)
		rc = ANYIO_CLOSED;
	tls_leave(tls);
	return rc;
}

/* 0 once the close_notify is among what is to be sent. */
static int shutdown_step(struct tls *tls)
{
	int result;

	ERR_clear_error();
	/* It refuses while half of a message to it is there; see write_record. */
	result = SSL_in_init(tls->ssl) ? SSL_do_handshake(tls->ssl) : 1;
	if (result == 1)
		result = SSL_shutdown(tls->ssl);
	return result == 0 ? 0 : tls_outcome(tls, result);
}

int tls_send_close_notify(struct tls *tls)
{
	int rc = tls_handshake(tls);

	while (rc == 0 && !tls->sent_eof) {
		rc = tls->failed < 0 ? tls->failed : tls->out_failed;
		if (rc == 0)
			rc = shutdown_step(tls);
		tls->sent_eof = rc == 0;
		if (rc == OUTCOME_WANTS)
			rc = tls_progress(tls);
	}
	return rc == 0 ? tls_flush(tls) : rc;
}

int anyio_tls_key_update(struct anyio_stream *stream, bool both)
{
	struct tls *tls = tls_check(stream);

	if (tls == NULL)
		return -EINVAL;
	if (tls->closed)
		return ANYIO_CLOSED;
	if (tls->failed < 0 || tls->out_failed < 0)
		return tls->failed < 0 ? tls->failed : tls->out_failed;
	if (!tls->handshook)
		return -ENOTCONN;
	if (SSL_version(tls->ssl) != TLS1_3_VERSION)
		return -EOPNOTSUPP;
	ERR_clear_error();
	SSL_key_update(tls->ssl, both ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
	ERR_clear_error();
	tls->records = 0;
	return 0;
}
