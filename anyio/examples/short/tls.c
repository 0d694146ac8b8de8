/*
 * TLS over any stream, each side with a certificate that the other asks for. Built with anyio-tls, and
 * called by "tls CERTIFICATE KEY" with what this makes:
 *
 *	openssl req -x509 -nodes -newkey ec \
 *		-pkeyopt ec_paramgen_curve:P-256 -subj /CN=localhost \
 *		-addext subjectAltName=DNS:localhost \
 *		-keyout KEY -out CERTIFICATE
 */
#include <anyio/memory.h>
#include <anyio/tls.h>
#include <stdio.h>

static int answer(void *stream)
{
	char text[5];
	int rc = anyio_stream_receive_exactly(stream, text, sizeof text); /* shakes hands first */

	if (rc == 0)
		printf("the server got %.5s\n", text);
	return rc ? rc : anyio_stream_send_eof(stream); /* all was said, and nothing cut off */
}

static int ask(struct anyio_stream *stream)
{
	struct anyio_stream *transport;
	char alpn[32];
	uint8_t *left;
	size_t left_size;
	int rc = anyio_tls_handshake(stream);

	if (rc < 0)
		return anyio_fail(rc, anyio_tls_error_text(stream));
	if (anyio_stream_attribute(stream, ANYIO_ATTRIBUTE_TLS_ALPN, alpn, sizeof alpn) > 0)
		printf("they speak %s\n", alpn);
	rc = anyio_stream_send(stream, "hello", 5);
	if (rc == 0 && (rc = anyio_tls_unwrap(stream, &transport, &left, &left_size)) == 0) {
		printf("and could go on without TLS\n");
		anyio_free(left);
		anyio_stream_free(transport);
	}
	return rc;
}

static int body(void *arg)
{
	static const char *const protocols[] = { "greeting/1", NULL };
	char **files = arg, reason[200];
	struct anyio_tls_context_options options = { .certificate.file = files[0],
		.key.file = files[1],
		.roots.file = files[0], /* whom to believe */
		.verify = ANYIO_TLS_VERIFY_REQUIRED,
		.alpn = protocols,
		.reason = reason,
		.reason_size = sizeof reason };
	struct anyio_tls_options localhost = { .server_name = "localhost" };
	struct anyio_tls_context *client = NULL, *server = NULL;
	struct anyio_stream *ends[2] = { NULL, NULL }, *asks = NULL, *answers = NULL;
	int rc = anyio_tls_context_create(&options, &client);

	options.server = true;
	if (rc == 0)
		rc = anyio_tls_context_create(&options, &server);
	if (rc < 0)
		fprintf(stderr, "%s\n", reason);
	if (rc == 0)
		rc = anyio_stream_pair(0, ends);
	if (rc == 0 && (rc = anyio_tls_wrap(ends[0], client, &localhost, &asks)) == 0)
		ends[0] = NULL; /* it is that one's now */
	if (rc == 0 && (rc = anyio_tls_wrap(ends[1], server, NULL, &answers)) == 0)
		ends[1] = NULL;
	if (rc == 0) {
		ANYIO_TASK_GROUP(group);
		anyio_start_soon(&group, answer, answers, "server");
		rc = anyio_task_group_exit(&group, ask(asks));
	}
	struct anyio_stream *streams[] = { asks, answers, ends[0], ends[1] };
	for (int i = 0; i < 4; i++)
		anyio_stream_free(streams[i]);
	anyio_tls_context_free(client);
	anyio_tls_context_free(server);
	return rc;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: tls CERTIFICATE KEY\n");
		return 2;
	}
	int rc = anyio_run(body, argv + 1, NULL);
	if (rc < 0)
		fprintf(stderr, "tls: %s\n", anyio_error_text(rc));
	return rc < 0;
}
/* Prints:
 * they speak greeting/1
 * the server got hello
 * and could go on without TLS
 */
