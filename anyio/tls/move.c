/* Ciphertext between the buffers and the transport. The plan is in tls.h. */
#include <errno.h>
#include "tls.h"

enum {
	FILL = 65536,        /* bytes asked of the transport at once */
	OUT_MOST = 2 * FILL, /* more than a send puts into out before it waits */
};

/* Empties the queue. The protocol's own error comes last, after those of what it uses. */
static int failure(struct tls *tls)
{
	bool no_memory = tls->no_memory;
	unsigned long error;

	while ((error = ERR_get_error()) != 0) {
		no_memory |= ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
		tls->error = error;
	}
	if (no_memory)
		return -ENOMEM;
	return ERR_GET_LIB(tls->error) == ERR_LIB_SSL &&
			ERR_GET_REASON(tls->error) == SSL_R_CERTIFICATE_VERIFY_FAILED
		? ANYIO_TLS_CERTIFICATE
		: ANYIO_TLS_FAILED;
}

static int outcome(struct tls *tls, int result)
{
	switch (SSL_get_error(tls->ssl, result)) {
	case SSL_ERROR_NONE: return 0;
	case SSL_ERROR_WANT_READ: return OUTCOME_WANTS;
	case SSL_ERROR_ZERO_RETURN: return OUTCOME_END;
	default: break;
	}
	if (tls->failed == 0)
		tls->failed = failure(tls);
	return tls->failed;
}

int tls_outcome(struct tls *tls, int result)
{
	int rc = outcome(tls, result);

	/* Also what OpenSSL got over by itself. */
	ERR_clear_error();
	return rc;
}

int tls_turn_wait(struct turn *turn)
{
	struct anyio_waiter waiter;

	return anyio_wait(&turn->waiting, &waiter);
}

void tls_turn_end(struct turn *turn)
{
	turn->taken = false;
	anyio_wait_wake_all(&turn->waiting, 0);
}

/* Sends what is in going; what is not sent stays there. */
static int flush_going(struct tls *tls)
{
	struct buffer *going = &tls->going;
	struct iovec iov = { going->data + going->start, buffer_used(going) };
	size_t sent = 0;
	int rc = anyio_stream_sendv(tls->transport, &iov, 1, &sent);

	if (rc == 0)
		sent = iov.iov_len;
	tls->sent += sent;
	going->start += sent;
	if (buffer_used(going) == 0)
		tls_buffer_free(going);
	if (tls->closed)
		return ANYIO_CLOSED;
	if (rc < 0 && rc != ANYIO_CANCELLED)
		tls->out_failed = rc;
	return rc;
}

static int flush_some(struct tls *tls)
{
	int rc;

	if (tls->flushing.taken)
		return tls_turn_wait(&tls->flushing);
	if (buffer_used(&tls->going) == 0) {
		tls->going = tls->out;
		tls->out = (struct buffer){ .data = NULL };
	}
	tls->flushing.taken = true;
	rc = flush_going(tls);
	tls_turn_end(&tls->flushing);
	return rc;
}

int tls_flush(struct tls *tls)
{
	uint64_t goal = tls->produced;
	int rc = 0;

	while (rc == 0 && tls->sent < goal) {
		if (tls->closed)
			return ANYIO_CLOSED;
		if (tls->out_failed < 0)
			return tls->out_failed;
		rc = flush_some(tls);
	}
	return rc;
}

static void *lend_in(void *arg, size_t *size)
{
	struct buffer *in = arg;

	in->data = anyio_malloc(FILL);
	*size = in->size = FILL;
	return in->data;
}

/* Receives once, or waits for the task that does. */
static int fill(struct tls *tls)
{
	ssize_t n;

	if (tls->closed)
		return ANYIO_CLOSED;
	if (tls->filling.taken)
		return tls_turn_wait(&tls->filling);
	if (tls->in_failed < 0)
		return tls->in_failed;
	tls->filling.taken = true;
	n = anyio_stream_receive_lazy(tls->transport, lend_in, &tls->in);
	if (n > 0)
		tls->in.end = (size_t)n;
	else
		tls_buffer_free(&tls->in);
	if (n < 0 && n != ANYIO_CANCELLED && n != -ENOMEM)
		tls->in_failed = (int)n;
	tls_turn_end(&tls->filling);
	if (tls->closed)
		return ANYIO_CLOSED;
	return n < 0 ? (int)n : n == 0 ? ANYIO_TLS_RAGGED_END : 0;
}

/* What nobody sends yet, and somebody may wait for. */
static bool must_flush(const struct tls *tls)
{
	return tls->produced > tls->sent && tls->produced > tls->held && !tls->flushing.taken &&
		tls->out_failed == 0;
}

/* The protocol answers by itself: each request for new keys, and in TLS 1.2 each for a new handshake. Who
 * makes them without end and reads nothing is not listened to before he reads. */
int tls_progress(struct tls *tls)
{
	int rc;

	if (tls->flushing.taken && buffer_used(&tls->out) > OUT_MOST)
		return tls_turn_wait(&tls->flushing);
	if (!must_flush(tls))
		return fill(tls);
	rc = tls_flush(tls);
	/* Where nobody takes ours any more there may still be theirs: an alert that says why. */
	return tls->out_failed < 0 ? 0 : rc;
}

int tls_report(struct tls *tls)
{
	if (must_flush(tls))
		tls_flush(tls);
	return tls->failed;
}
