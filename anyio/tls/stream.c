/*
 * The stream: what it is made of, and its end.
 *
 * Closing the transport wakes whoever waits for it, and who waits for another task waits in the end for one
 * that does. All find the stream closed; the last one out frees it, once it was destroyed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/x509v3.h>
#include <string.h>
#include "tls.h"

struct tls *tls_check(const struct anyio_stream *stream)
{
	return stream->ops == &tls_ops ? tls_of(stream) : NULL;
}

int tls_enter(struct tls *tls)
{
	if (tls->closed)
		return ANYIO_CLOSED;
	tls->inside++;
	return 0;
}

static void tls_free(struct tls *tls)
{
	if (tls->ssl != NULL) {
		/* Else OpenSSL takes an end without close_notify for a reason not to go on with
		 * the session, which RFC 5246 (section 7.2.1) took back. */
		if (tls->failed == 0)
			SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_free(tls->ssl);
		ERR_clear_error();
	}
	tls_buffer_free(&tls->in);
	tls_buffer_free(&tls->out);
	tls_buffer_free(&tls->going);
	anyio_free(tls->name);
	anyio_tls_context_free(tls->context);
	anyio_free(tls);
}

static void tls_settle(struct tls *tls)
{
	struct anyio_stream *transport = tls->transport;

	if (!tls->destroyed || tls->inside > 0)
		return;
	tls_free(tls);
	anyio_stream_free(transport);
}

void tls_leave(struct tls *tls)
{
	tls->inside--;
	tls_settle(tls);
}

static int tls_send_eof(struct anyio_stream *stream)
{
	struct tls *tls = tls_of(stream);
	int rc = tls_enter(tls);

	if (rc < 0)
		return rc;
	if (tls->sending) {
		tls_leave(tls);
		return ANYIO_BUSY;
	}
	tls->sending = true;
	rc = anyio_checkpoint_if_cancelled();
	if (rc == 0)
		rc = tls_send_close_notify(tls);
	tls->sending = false;
	if (tls->closed)
		rc = ANYIO_CLOSED;
	tls_leave(tls);
	return rc;
}

static void end(struct tls *tls, void (*close)(struct anyio_stream *stream))
{
	if (tls->closed)
		return;
	tls->closed = true;
	close(tls->transport);
}

static void tls_close(struct anyio_stream *stream)
{
	end(tls_of(stream), anyio_stream_close);
}

static void tls_abort(struct anyio_stream *stream)
{
	end(tls_of(stream), anyio_stream_abort);
}

static void tls_destroy(struct anyio_stream *stream)
{
	struct tls *tls = tls_of(stream);

	tls->destroyed = true;
	tls_settle(tls);
}

const struct anyio_stream_ops tls_ops = {
	.receive = tls_receive,
	.receive_lazy = tls_receive_lazy,
	.sendv = tls_sendv,
	.send_eof = tls_send_eof,
	.close = tls_close,
	.abort = tls_abort,
	.destroy = tls_destroy,
	.attribute = tls_attribute,
};

/* Who the other side has to be. A name may end with the root's dot, which certificates do not have. To
 * OpenSSL one that begins with a dot is every name below it. */
static int set_name(struct tls *tls, const char *name)
{
	struct in6_addr address;
	size_t length = strlen(name);
	bool numeric =
		inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;

	if (!numeric && length > 1 && name[length - 1] == '.')
		length--;
	if (length == 0 || name[0] == '.' || length > TLSEXT_MAXLEN_host_name)
		return -EINVAL;
	tls->name = anyio_malloc(length + 1);
	if (tls->name == NULL)
		return -ENOMEM;
	memcpy(tls->name, name, length);
	tls->name[length] = '\0';
	if (numeric)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), tls->name) == 1
			? 0
			: -ENOMEM;
	SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (SSL_set1_host(tls->ssl, tls->name) != 1 ||
		SSL_set_tlsext_host_name(tls->ssl, tls->name) != 1)
		return -ENOMEM;
	return 0;
}

static int set_client(struct tls *tls, const struct anyio_tls_options *options)
{
	int rc;

	SSL_set_connect_state(tls->ssl);
	if (options->server_name == NULL)
		return tls->context->verifies && !options->any_name ? -EINVAL : 0;
	rc = set_name(tls, options->server_name);
	if (rc == 0 && options->any_name) {
		/* It is only told whom is asked for. */
		X509_VERIFY_PARAM_set1_host(SSL_get0_param(tls->ssl), NULL, 0);
		X509_VERIFY_PARAM_set1_ip(SSL_get0_param(tls->ssl), NULL, 0);
		anyio_free(tls->name);
		tls->name = NULL;
	}
	return rc;
}

/* A session brings its old verdict along, which was about the name of then. */
static bool stands_for(const struct anyio_tls_session *session, const char *name)
{
	X509 *peer = SSL_SESSION_get0_peer(session->ssl);
	const unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

	return peer != NULL &&
		(X509_check_host(peer, name, 0, flags, NULL) == 1 ||
			X509_check_ip_asc(peer, name, 0) == 1);
}

static int set_session(struct tls *tls, const struct anyio_tls_session *session)
{
	if (session == NULL)
		return 0;
	if (tls->context->server || session->context != tls->context)
		return -EINVAL;
	if (tls->context->verifies && tls->name != NULL && !stands_for(session, tls->name))
		return 0;
	return SSL_set_session(tls->ssl, session->ssl) == 1 ? 0 : -ENOMEM;
}

static int set_bio(struct tls *tls)
{
	BIO *bio = BIO_new(tls->context->bio);

	if (bio == NULL)
		return -ENOMEM;
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	return 0;
}

static int tls_init(struct tls *tls, const struct anyio_tls_options *options)
{
	int rc;

	tls->ssl = SSL_new(tls->context->ssl);
	if (tls->ssl == NULL)
		return -ENOMEM;
	rc = set_bio(tls);
	if (rc < 0)
		return rc;
	if (!tls->context->server)
		rc = set_client(tls, options);
	else if (options->server_name != NULL)
		rc = -EINVAL;
	else
		SSL_set_accept_state(tls->ssl);
	return rc < 0 ? rc : set_session(tls, options->session);
}

int anyio_tls_wrap(struct anyio_stream *transport, struct anyio_tls_context *context,
	const struct anyio_tls_options *options, struct anyio_stream **stream)
{
	static const struct anyio_tls_options defaults;
	struct tls *tls = anyio_calloc(1, sizeof(*tls));
	int rc;

	*stream = NULL;
	if (tls == NULL)
		return -ENOMEM;
	if (options == NULL)
		options = &defaults;
	tls_context_ref(context);
	tls->stream.ops = &tls_ops;
	tls->context = context;
	tls->allow_ragged = options->allow_ragged;
	ERR_clear_error();
	rc = tls_init(tls, options);
	ERR_clear_error();
	if (rc < 0) {
		tls_free(tls);
		return rc;
	}
	tls->transport = transport;
	*stream = &tls->stream;
	return 0;
}
