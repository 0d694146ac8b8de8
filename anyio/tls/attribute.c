/* What a stream and its session tell of themselves. */
#include <errno.h>
#include <string.h>
#include "tls.h"

static ssize_t give_text(void *out, size_t size, const char *text)
{
	return text == NULL ? -ENODATA : anyio_attribute_give(out, size, text, strlen(text) + 1);
}

static ssize_t give_alpn(const struct tls *tls, void *out, size_t size)
{
	const unsigned char *name;
	unsigned length;
	char text[256];

	SSL_get0_alpn_selected(tls->ssl, &name, &length);
	if (length == 0 || length >= sizeof(text))
		return -ENODATA;
	memcpy(text, name, length);
	text[length] = '\0';
	return anyio_attribute_give(out, size, text, length + 1);
}

static ssize_t give_certificate(const struct tls *tls, void *out, size_t size)
{
	X509 *peer = SSL_get0_peer_certificate(tls->ssl);
	unsigned char *at = out;
	int length = peer == NULL ? 0 : i2d_X509(peer, NULL);

	if (length <= 0)
		return peer == NULL ? -ENODATA : -ENOMEM;
	if (out == NULL)
		return length;
	if ((size_t)length > size)
		return -ENOSPC;
	return i2d_X509(peer, &at);
}

static ssize_t give_side(const struct tls *tls, void *out, size_t size)
{
	bool server = tls->context->server;

	return anyio_attribute_give(out, size, &server, sizeof(server));
}

static ssize_t give_agreed(
	const struct tls *tls, enum anyio_attribute which, void *out, size_t size)
{
	if (!tls->handshook)
		return -ENODATA;
	switch (which) {
	case ANYIO_ATTRIBUTE_TLS_VERSION: return give_text(out, size, SSL_get_version(tls->ssl));
	case ANYIO_ATTRIBUTE_TLS_CIPHER: return give_text(out, size, SSL_get_cipher_name(tls->ssl));
	case ANYIO_ATTRIBUTE_TLS_SERVER_NAME:
		return give_text(
			out, size, SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name));
	case ANYIO_ATTRIBUTE_TLS_ALPN: return give_alpn(tls, out, size);
	default: return give_certificate(tls, out, size);
	}
}

ssize_t tls_attribute(
	const struct anyio_stream *stream, enum anyio_attribute which, void *out, size_t size)
{
	const struct tls *tls = tls_of(stream);

	switch (which) {
	case ANYIO_ATTRIBUTE_TLS_SERVER_SIDE: return give_side(tls, out, size);
	case ANYIO_ATTRIBUTE_TLS_VERSION:
	case ANYIO_ATTRIBUTE_TLS_CIPHER:
	case ANYIO_ATTRIBUTE_TLS_SERVER_NAME:
	case ANYIO_ATTRIBUTE_TLS_ALPN:
	case ANYIO_ATTRIBUTE_TLS_CERTIFICATE: return give_agreed(tls, which, out, size);
	default: break;
	}
	if (tls->transport == NULL)
		return ANYIO_CLOSED;
	return anyio_stream_attribute(tls->transport, which, out, size);
}

const char *anyio_tls_error_text(const struct anyio_stream *stream)
{
	const struct tls *tls = tls_check(stream);
	const char *text = NULL;

	if (tls == NULL || tls->failed == 0)
		return NULL;
	if (tls->failed == ANYIO_TLS_CERTIFICATE)
		text = X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl));
	else if (tls->failed == ANYIO_TLS_FAILED)
		text = ERR_reason_error_string(tls->error);
	return text == NULL ? anyio_error_text(tls->failed) : text;
}

long anyio_tls_verify_result(const struct anyio_stream *stream)
{
	const struct tls *tls = tls_check(stream);

	return tls == NULL ? -EINVAL : SSL_get_verify_result(tls->ssl);
}

struct anyio_stream *anyio_tls_transport(const struct anyio_stream *stream)
{
	const struct tls *tls = tls_check(stream);

	return tls == NULL ? NULL : tls->transport;
}

bool anyio_tls_session_reused(const struct anyio_stream *stream)
{
	const struct tls *tls = tls_check(stream);

	return tls != NULL && tls->handshook && SSL_session_reused(tls->ssl) == 1;
}

struct anyio_tls_session *anyio_tls_session_get(const struct anyio_stream *stream)
{
	const struct tls *tls = tls_check(stream);
	struct anyio_tls_session *session;

	if (tls == NULL || tls->context->server || !tls->context->resumes || !tls->handshook)
		return NULL;
	session = anyio_calloc(1, sizeof(*session));
	if (session == NULL)
		return NULL;
	session->context = tls->context;
	tls_context_ref(session->context);
	session->ssl = SSL_get1_session(tls->ssl);
	if (session->ssl != NULL && SSL_SESSION_is_resumable(session->ssl))
		return session;
	anyio_tls_session_free(session);
	return NULL;
}

void anyio_tls_session_free(struct anyio_tls_session *session)
{
	if (session == NULL)
		return;
	SSL_SESSION_free(session->ssl);
	anyio_tls_context_free(session->context);
	anyio_free(session);
}
