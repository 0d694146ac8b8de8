#include <errno.h>
#include <string.h>
#include "tls.h"

/* Where received bytes go: a buffer, or one still to be borrowed. */
struct target {
	uint8_t *buffer;
	size_t size;
	anyio_borrow_fn borrow;
	void *arg;
};

static int read_step(struct tls *tls, uint8_t *at, size_t size, size_t *done)
{
	ERR_clear_error();
	return tls_outcome(tls, SSL_read_ex(tls->ssl, at, size, done));
}

/* Whether there is anything to be read, which stays where it is. */
static int peek_step(struct tls *tls)
{
	uint8_t byte;
	size_t done;

	ERR_clear_error();
	return tls_outcome(tls, SSL_peek_ex(tls->ssl, &byte, 1, &done));
}

/* As much as there is without waiting: a count, 0 with *rc saying why nothing. What stops it after
 * the first byte is found again by the next call. */
static size_t take(struct tls *tls, struct target *target, int *rc)
{
	size_t total = 0, n;

	*rc = 0;
	if (target->buffer == NULL) {
		*rc = peek_step(tls);
		if (*rc != 0)
			return 0;
		target->buffer = target->borrow(target->arg, &target->size);
		if (target->buffer == NULL) {
			*rc = -ENOMEM;
			return 0;
		}
	}
	do {
		*rc = read_step(tls, target->buffer + total, target->size - total, &n);
		total += *rc == 0 ? n : 0;
	} while (*rc == 0 && total < target->size &&
		(buffer_used(&tls->in) > 0 || SSL_pending(tls->ssl) > 0));
	return total;
}

static ssize_t receive_some(struct tls *tls, struct target *target)
{
	for (;;) {
		int rc = tls->failed;
		size_t n = 0;

		if (rc == 0)
			n = take(tls, target, &rc);
		if (n > 0)
			return (ssize_t)n;
		if (rc == OUTCOME_END)
			return 0;
		if (rc == OUTCOME_WANTS)
			rc = tls_progress(tls);
		if (tls->failed < 0)
			return tls_report(tls);
		if (rc == ANYIO_TLS_RAGGED_END && tls->allow_ragged)
			return 0;
		if (rc < 0)
			return rc;
	}
}

static ssize_t receive(struct anyio_stream *stream, struct target *target)
{
	struct tls *tls = tls_of(stream);
	ssize_t n = tls_enter(tls);

	if (n < 0)
		return n;
	if (tls->receiving) {
		tls_leave(tls);
		return ANYIO_BUSY;
	}
	tls->receiving = true;
	n = anyio_checkpoint_if_cancelled();
	if (n == 0)
		n = tls_handshake(tls);
	if (n == 0)
		n = receive_some(tls, target);
	if (n >= 0)
		anyio_pass();
	tls->receiving = false;
	if (tls->closed)
		n = ANYIO_CLOSED;
	tls_leave(tls);
	return n;
}

ssize_t tls_receive(struct anyio_stream *stream, void *buffer, size_t size)
{
	struct target target = { .buffer = buffer, .size = size };

	return receive(stream, &target);
}

ssize_t tls_receive_lazy(struct anyio_stream *stream, anyio_borrow_fn borrow, void *arg)
{
	struct target target = { .borrow = borrow, .arg = arg };

	return receive(stream, &target);
}

/* Waits for the close_notify of the other side, and finds what comes before it. */
static int await_close_notify(struct tls *tls)
{
	for (;;) {
		int rc = tls->failed;

		if (rc == 0)
			rc = peek_step(tls);
		if (rc == 0)
			return -ENOTEMPTY;
		if (rc == OUTCOME_END)
			return 0;
		if (rc == OUTCOME_WANTS)
			rc = tls_progress(tls);
		if (tls->failed < 0)
			return tls_report(tls);
		if (rc == ANYIO_TLS_RAGGED_END && tls->allow_ragged)
			return 0;
		if (rc < 0)
			return rc;
	}
}

static void give_back(
	struct tls *tls, struct anyio_stream **transport, uint8_t **left, size_t *left_size)
{
	*left_size = buffer_used(&tls->in);
	*left = tls->in.data;
	if (*left_size > 0 && tls->in.start > 0)
		memmove(*left, *left + tls->in.start, *left_size);
	tls->in = (struct buffer){ .data = NULL };
	*transport = tls->transport;
	tls->transport = NULL;
	tls->closed = true;
}

static int unwrap(struct tls *tls)
{
	int rc = anyio_checkpoint_if_cancelled();

	if (rc == 0)
		rc = tls_send_close_notify(tls);
	/* Who has sent its own may be gone already. */
	return rc == 0 || rc == ANYIO_BROKEN ? await_close_notify(tls) : rc;
}

int anyio_tls_unwrap(struct anyio_stream *stream, struct anyio_stream **transport, uint8_t **left,
	size_t *left_size)
{
	struct tls *tls = tls_check(stream);
	int rc = tls == NULL ? -EINVAL : tls_enter(tls);

	*transport = NULL;
	*left = NULL;
	*left_size = 0;
	if (rc < 0)
		return rc;
	if (tls->inside > 1) {
		tls_leave(tls);
		return ANYIO_BUSY;
	}
	tls->receiving = tls->sending = true;
	rc = unwrap(tls);
	tls->receiving = tls->sending = false;
	if (tls->closed)
		rc = ANYIO_CLOSED;
	if (rc == 0)
		give_back(tls, transport, left, left_size);
	tls_leave(tls);
	return rc;
}
