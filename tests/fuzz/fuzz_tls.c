/*
 * TLS from the outside: whatever a peer sends to a server or a client of ours. The first byte chooses, the
 * second says in how large pieces the rest comes. Randomness is the same each time, so that a recorded
 * handshake is one again. What comes after an honest handshake, unencrypted, must never be taken for bytes of
 * the other side's.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <assert.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <anyio/tls.h>
#include "anyio/tests/certificates.h"

enum { AS_SERVER = 1, OLD = 2, AFTER_HANDSHAKE = 4, VERIFYING = 8, CHOICES = 16 };

static struct anyio_tls_context *contexts[CHOICES];
static uint64_t randomness;

static int rand_bytes(unsigned char *out, int size)
{
	for (int i = 0; i < size; i++) {
		randomness = randomness * 6364136223846793005u + 1442695040888963407u;
		out[i] = (unsigned char)(randomness >> 56);
	}
	return 1;
}

static int rand_status(void)
{
	return 1;
}

static int rand_seed(const void *data, int size)
{
	return 1;
}

static int rand_add(const void *data, int size, double entropy)
{
	return 1;
}

static void begin(void)
{
	static const RAND_METHOD method = { rand_seed, rand_bytes, NULL, rand_add, rand_bytes,
		rand_status };
	static const char *const alpn[] = { "one", "two", NULL };

	/* Before the keys, so that these are the same each time too. */
	RAND_set_rand_method(&method);
	certificates_make();
	for (unsigned choice = 0; choice < CHOICES; choice++) {
		struct anyio_tls_context_options options = { .alpn = alpn };

		options.server = choice & AS_SERVER;
		options.max_version = choice & OLD ? ANYIO_TLS_VERSION_1_2 : 0;
		options.roots = pem_of(certificates.root.chain);
		options.verify = choice & VERIFYING || (choice & AFTER_HANDSHAKE && !options.server)
			? ANYIO_TLS_VERIFY_REQUIRED
			: ANYIO_TLS_VERIFY_NONE;
		if (options.server || choice & VERIFYING) {
			options.certificate = pem_of(certificates.server.chain);
			options.key = pem_of(certificates.server.key);
		}
		if (anyio_tls_context_create(&options, &contexts[choice]) < 0)
			abort();
	}
}

struct input {
	const uint8_t *data;
	size_t size, piece;
	unsigned choice;
	struct anyio_stream *ours, *other, *raw;
};

static int shake_other(void *arg)
{
	struct input *input = arg;

	return anyio_tls_handshake(input->other);
}

static int send_pieces(void *arg)
{
	struct input *input = arg;
	int rc = 0;

	for (size_t at = 0; rc == 0 && at < input->size; at += input->piece) {
		size_t n = input->size - at < input->piece ? input->size - at : input->piece;

		rc = anyio_stream_send(input->raw, input->data + at, n);
	}
	anyio_stream_send_eof(input->raw);
	return 0;
}

static struct anyio_stream *wrap(struct anyio_stream *raw, unsigned choice)
{
	struct anyio_tls_options options = { .server_name =
						     choice & AS_SERVER ? NULL : "localhost" };
	struct anyio_stream *stream;

	if (anyio_tls_wrap(raw, contexts[choice], &options, &stream) < 0)
		abort();
	return stream;
}

/* Receives all there is; a count, or why it ended. */
static ssize_t hear(struct input *input)
{
	struct anyio_task_group group;
	char buffer[512];
	ssize_t n, total = 0;

	anyio_task_group_enter(&group);
	anyio_start_soon(&group, send_pieces, input, "sender");
	while ((n = anyio_stream_receive(input->ours, buffer, sizeof(buffer))) > 0)
		total += n;
	assert(n < 0 ? anyio_tls_error_text(input->ours) != NULL || n == ANYIO_TLS_RAGGED_END
		     : n == 0);
	anyio_stream_close(input->ours);
	anyio_task_group_exit(&group, 0);
	return total > 0 ? total : n;
}

static int run(void *arg)
{
	struct input *input = arg;
	struct anyio_stream *ends[2];
	ssize_t n;

	if (anyio_stream_pair(1 << 18, ends) < 0)
		abort();
	input->raw = ends[0];
	input->ours = wrap(ends[1], input->choice);
	if (input->choice & AFTER_HANDSHAKE) {
		struct anyio_task_group group;

		input->other = wrap(ends[0], input->choice ^ AS_SERVER);
		anyio_task_group_enter(&group);
		anyio_start_soon(&group, shake_other, input, "other");
		anyio_tls_handshake(input->ours);
		if (anyio_task_group_exit(&group, 0) < 0)
			abort();
	}
	n = hear(input);
	assert(n <= 0 || !(input->choice & AFTER_HANDSHAKE));
	if (getenv("FUZZ_TLS_SAY") != NULL) {
		uint8_t byte;

		fprintf(stderr, "%s\n", n > 0 ? "received" : anyio_error_name((int)n));
		while (anyio_stream_receive(ends[0], &byte, 1) > 0)
			printf("%02x", byte);
		printf("\n");
	}
	anyio_stream_free(input->ours);
	anyio_stream_free(input->other == NULL ? input->raw : input->other);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct anyio_options options = { .backend = "sim", .no_signals = true };
	struct input input = { .choice = size > 0 ? data[0] % CHOICES : 0,
		.piece = size > 1 && data[1] > 0 ? data[1] * 8u : 100000,
		.data = data + (size > 2 ? 2 : size),
		.size = size > 2 ? size - 2 : 0 };

	if (contexts[0] == NULL)
		begin();
	randomness = 0;
	if (anyio_run(run, &input, &options) < 0)
		abort();
	return 0;
}
