#include <errno.h>
#include "tls.h"

static int handshake_step(struct tls *tls)
{
	ERR_clear_error();
	return tls_outcome(tls, SSL_do_handshake(tls->ssl));
}

static int handshake_progress(struct tls *tls)
{
	int rc = tls_progress(tls);

	if (rc == 0 && tls->out_failed < 0 && tls->out_failed != ANYIO_BROKEN)
		rc = tls->out_failed;
	if (rc == ANYIO_TLS_RAGGED_END)
		tls->failed = tls->out_failed < 0 ? tls->out_failed : rc;
	return rc;
}

static int handshake_run(struct tls *tls)
{
	for (;;) {
		int rc = handshake_step(tls);

		if (rc == 0)
			break;
		if (rc == OUTCOME_WANTS)
			rc = handshake_progress(tls);
		else if (rc == OUTCOME_END)
			tls->failed = ANYIO_TLS_FAILED;
		if (tls->failed < 0)
			return tls_report(tls);
		if (rc < 0)
			return rc;
	}
	tls->handshook = true;
	/* What a server has left now are tickets, and who only sends does not read them. */
	if (SSL_is_server(tls->ssl) && SSL_version(tls->ssl) == TLS1_3_VERSION)
		tls->held = tls->produced;
	return 0;
}

int tls_handshake(struct tls *tls)
{
	int rc = 0;

	while (rc == 0 && !tls->handshook) {
		if (tls->closed)
			return ANYIO_CLOSED;
		if (tls->failed < 0)
			return tls->failed;
		if (tls->handshaking.taken) {
			rc = tls_turn_wait(&tls->handshaking);
			continue;
		}
		tls->handshaking.taken = true;
		rc = handshake_run(tls);
		tls_turn_end(&tls->handshaking);
	}
	return rc;
}

/* The last flight: who waits for the handshake alone wants the other side to have all of it. */
int anyio_tls_handshake(struct anyio_stream *stream)
{
	struct tls *tls = tls_check(stream);
	int rc = tls == NULL ? -EINVAL : tls_enter(tls);

	if (rc < 0)
		return rc;
	rc = anyio_checkpoint_if_cancelled();
	if (rc == 0 && tls->handshook)
		anyio_pass();
	if (rc == 0)
		rc = tls_handshake(tls);
	if (rc == 0 && tls->produced > tls->held)
		rc = tls_flush(tls);
	tls_leave(tls);
	return rc;
}
