/*
 * TLS by this runtime beside OpenSSL alone: one side sends, the other receives, a thread each, over TCP on
 * this machine, with the same options. Ours is streams of anyio, a loop a thread; bare is SSL_write and
 * SSL_read on blocking sockets. Each runs once to warm up, then they take turns; of each it prints
 * mebibytes a second and the processor's milliseconds for a gibibyte, the median and the quartiles, and of
 * the rounds' ratios too (above 1: ours is better).
 *
 *	tls bulk [ROUNDS] [PIECE]   11 rounds, PIECE bytes a call (65536)
 *	tls handshakes      a second's handshakes of one thread, both sides: EC certificate, and RSA
 */
#include <anyio/tls.h>
#include <anyio/anyio.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "../anyio/tests/certificates.h"

static const size_t total = (size_t)1 << 30;
static size_t piece = 65536;

static void must(bool ok)
{
	if (!ok) {
		fprintf(stderr, "bench-tls: it does not work\n");
		abort();
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double used(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* A listening socket for both, and what is between the threads. */
static struct anyio_address address;

static struct anyio_tls_context *context(bool server, const struct identity *identity)
{
	struct anyio_tls_context_options options = { .server = server };
	struct anyio_tls_context *made;

	if (server) {
		options.certificate = pem_of(identity->chain);
		options.key = pem_of(identity->key);
	} else {
		options.roots = pem_of(certificates.root.chain);
	}
	must(anyio_tls_context_create(&options, &made) == 0);
	return made;
}

static int ours_send(void *arg)
{
	struct anyio_tls_context *client = context(false, NULL);
	struct anyio_tls_options options = { .server_name = "localhost" };
	struct anyio_stream *raw, *stream;
	uint8_t *data = calloc(1, piece);

	must(anyio_connect_address(&address, &raw) == 0);
	must(anyio_tls_wrap(raw, client, &options, &stream) == 0);
	must(anyio_tls_handshake(stream) == 0);
	for (size_t sent = 0; sent < total; sent += piece)
		must(anyio_stream_send(stream, data, piece) == 0);
	must(anyio_stream_send_eof(stream) == 0);
	must(anyio_stream_receive(stream, data, 1) == 0);
	anyio_stream_free(stream);
	anyio_tls_context_free(client);
	free(data);
	return 0;
}

static void *ours_send_thread(void *arg)
{
	must(anyio_run(ours_send, NULL, NULL) == 0);
	return NULL;
}

static int ours_receive(void *arg)
{
	struct anyio_tls_context *server = context(true, &certificates.server);
	struct anyio_listener *listener;
	struct anyio_stream *stream;
	uint8_t *data = malloc(piece);
	size_t got = 0;
	pthread_t thread;
	ssize_t n;

	must(anyio_address_parse(&address, "127.0.0.1", 0) == 0);
	must(anyio_listen_address(&address, NULL, &listener) == 0);
	must(anyio_listener_address(listener, &address) == 0);
	pthread_create(&thread, NULL, ours_send_thread, NULL);
	must(anyio_tls_accept(listener, server, NULL, &stream) == 0);
	while ((n = anyio_stream_receive(stream, data, piece)) > 0)
		got += (size_t)n;
	must(n == 0 && got >= total);
	must(anyio_stream_send_eof(stream) == 0);
	pthread_join(thread, NULL);
	anyio_stream_free(stream);
	anyio_listener_free(listener);
	anyio_tls_context_free(server);
	free(data);
	return 0;
}

/* With the options of ours: anyio/net/tune.c. */
static SSL *bare_new(SSL_CTX *ssl, int fd)
{
	SSL *made = SSL_new(ssl);
	int on = 1;

	must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
	must(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);

	must(made != NULL && SSL_set_fd(made, fd) == 1);
	return made;
}

static void *bare_send(void *arg)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	uint8_t *data = calloc(1, piece);
	SSL *ssl = bare_new(ctx, fd);

	must(connect(fd, &address.any, address.len) == 0);
	must(SSL_connect(ssl) == 1);
	for (size_t sent = 0; sent < total; sent += piece)
		must(SSL_write(ssl, data, (int)piece) == (int)piece);
	SSL_shutdown(ssl);
	must(SSL_read(ssl, data, 1) == 0);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	free(data);
	return NULL;
}

static void bare_receive(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int fd = socket(AF_INET, SOCK_STREAM, 0), client, n;
	uint8_t *data = malloc(piece);
	size_t got = 0;
	pthread_t thread;
	SSL *ssl;

	SSL_CTX_use_certificate(ctx, certificates.server.x509);
	SSL_CTX_use_PrivateKey(ctx, certificates.server.pkey);
	must(anyio_address_parse(&address, "127.0.0.1", 0) == 0);
	must(bind(fd, &address.any, address.len) == 0 && listen(fd, 1) == 0);
	must(getsockname(fd, &address.any, &address.len) == 0);
	pthread_create(&thread, NULL, bare_send, NULL);
	client = accept(fd, NULL, NULL);
	ssl = bare_new(ctx, client);
	must(SSL_accept(ssl) == 1);
	while ((n = SSL_read(ssl, data, (int)piece)) > 0)
		got += (size_t)n;
	must(got >= total);
	SSL_shutdown(ssl);
	pthread_join(thread, NULL);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(client);
	close(fd);
	free(data);
}

static int shake_client(void *arg)
{
	return anyio_tls_handshake(arg);
}

static double handshakes(const struct identity *identity)
{
	struct anyio_tls_context *client = context(false, NULL), *server = context(true, identity);
	struct anyio_tls_options options = { .server_name = "localhost" };
	double began = now();
	int count = 0;

	for (; now() - began < 1; count++) {
		struct anyio_stream *raw[2], *ends[2];

		must(anyio_stream_pair(0, raw) == 0);
		must(anyio_tls_wrap(raw[0], client, &options, &ends[0]) == 0);
		must(anyio_tls_wrap(raw[1], server, NULL, &ends[1]) == 0);
		ANYIO_TASK_GROUP(group);
		anyio_start_soon(&group, shake_client, ends[0], "client");
		must(anyio_task_group_exit(&group, anyio_tls_handshake(ends[1])) == 0);
		anyio_stream_free(ends[0]);
		anyio_stream_free(ends[1]);
	}
	anyio_tls_context_free(client);
	anyio_tls_context_free(server);
	return count / (now() - began);
}

static int shakes(void *arg)
{
	printf("%.0f %.0f\n", handshakes(&certificates.server), handshakes(&certificates.rsa));
	return 0;
}

enum { ROUNDS_MOST = 101 };

/* What was measured of one side in each round. */
struct measured {
	double rate[ROUNDS_MOST], cost[ROUNDS_MOST]; /* MiB/s; ms/GiB */
};

static void measure(bool ours, struct measured *measured, int round)
{
	double began = now(), before = used();

	if (ours)
		must(anyio_run(ours_receive, NULL, NULL) == 0);
	else
		bare_receive();
	measured->rate[round] = (double)(total >> 20) / (now() - began);
	measured->cost[round] = (used() - before) * 1000 / ((double)total / (1 << 30));
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void say(const char *what, double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), compare);
	printf("%-20s %8.2f  (%.2f to %.2f)\n", what, values[count / 2], values[count / 4],
		values[count * 3 / 4]);
}

static void bulk(int rounds)
{
	static struct measured ours, bare;
	static double rates[ROUNDS_MOST], costs[ROUNDS_MOST];

	measure(true, &ours, 0);
	measure(false, &bare, 0);
	for (int i = 0; i < rounds; i++) {
		bool first = i % 2 == 0;

		measure(first, first ? &ours : &bare, i);
		measure(!first, first ? &bare : &ours, i);
		rates[i] = ours.rate[i] / bare.rate[i];
		costs[i] = bare.cost[i] / ours.cost[i];
	}
	say("ours, MiB/s", ours.rate, rounds);
	say("bare, MiB/s", bare.rate, rounds);
	say("ratio", rates, rounds);
	say("ours, ms/GiB", ours.cost, rounds);
	say("bare, ms/GiB", bare.cost, rounds);
	say("ratio", costs, rounds);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int rounds = argc > 2 ? atoi(argv[2]) : 11, rc = 0;

	if (argc > 3)
		piece = (size_t)atol(argv[3]);
	certificates_make();
	if (strcmp(what, "handshakes") == 0)
		rc = anyio_run(shakes, NULL, NULL) < 0;
	else if (strcmp(what, "bulk") == 0 && rounds > 0 && rounds <= ROUNDS_MOST && piece > 0)
		bulk(rounds);
	else
		rc = fprintf(stderr, "bench-tls: bulk [ROUNDS] [PIECE], or handshakes\n") > 0;
	certificates_free();
	return rc;
}
