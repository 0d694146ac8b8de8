/* TLS without memory: each allocation in turn fails, ours and OpenSSL's, and nothing is lost or left. And
 * how much memory, and stack, it takes when there is some. */
#include "../tls/tls.h"
#include "secured.h"
#include <malloc.h>

/* OpenSSL's allocations, failing with ours while this is set. */
static bool theirs_too;
static long live;

static void *give(size_t size, const char *file, int line)
{
	void *memory = theirs_too ? anyio_malloc(size) : malloc(size);

	live += memory != NULL;
	return memory;
}

static void *give_again(void *old, size_t size, const char *file, int line)
{
	void *memory = theirs_too ? anyio_realloc(old, size) : realloc(old, size);

	live += old == NULL && memory != NULL;
	return memory;
}

static void take_back(void *memory, const char *file, int line)
{
	live -= memory != NULL;
	anyio_free(memory);
}

struct attempt {
	struct secured pair;
	struct anyio_tls_context *client, *server;
	struct anyio_tls_session *session;
	int rc;
};

static const char message[] = "a message that is whole or is not there";

/* The server's whole life; errors are the client's to see. */
static int attempt_serve(void *arg)
{
	struct attempt *self = arg;
	char buffer[sizeof(message)];
	int rc = anyio_stream_receive_exactly(self->pair.server, buffer, sizeof(buffer));

	if (rc == 0) {
		CHECK(memcmp(buffer, message, sizeof(message)) == 0);
		rc = anyio_stream_send(self->pair.server, message, sizeof(message));
	}
	if (rc == 0)
		rc = anyio_stream_send_eof(self->pair.server);
	anyio_stream_close(self->pair.server);
	return 0;
}

static int attempt_ask(struct attempt *self)
{
	struct iovec parts[] = { { (void *)message, 10 },
		{ (void *)(message + 10), sizeof(message) - 10 } };
	char buffer[sizeof(message)];
	int rc = anyio_stream_sendv(self->pair.client, parts, 2, NULL);

	if (rc == 0)
		rc = anyio_stream_receive_exactly(self->pair.client, buffer, sizeof(buffer));
	if (rc < 0)
		return rc;
	CHECK(memcmp(buffer, message, sizeof(message)) == 0);
	anyio_tls_session_free(self->session);
	self->session = anyio_tls_session_get(self->pair.client);
	return (int)anyio_stream_receive(self->pair.client, buffer, 1);
}

static int attempt_talk(struct attempt *self)
{
	struct anyio_task_group group;
	int rc;

	anyio_task_group_enter(&group);
	rc = anyio_try_start_soon(&group, attempt_serve, self, "server");
	if (rc == 0)
		rc = attempt_ask(self);
	anyio_stream_close(self->pair.client);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	return rc;
}

static int attempt_contexts(struct attempt *self)
{
	static const char *const alpn[] = { "one", "two", NULL };
	context_options options = { .alpn = alpn, .roots = pem_of(certificates.root.chain) };
	int rc = anyio_tls_context_create(&options, &self->client);

	options = (context_options){ .server = true, .alpn = alpn };
	options.certificate = pem_of(certificates.server.chain);
	options.key = pem_of(certificates.server.key);
	return rc < 0 ? rc : anyio_tls_context_create(&options, &self->server);
}

static int attempt_connect(struct attempt *self)
{
	struct anyio_tls_options options = { .server_name = "localhost", .session = self->session };
	int rc = anyio_stream_pair(0, self->pair.raw);

	if (rc < 0)
		return rc;
	rc = anyio_tls_wrap(self->pair.raw[0], self->client, &options, &self->pair.client);
	if (rc < 0)
		self->pair.client = self->pair.raw[0];
	if (rc == 0)
		rc = anyio_tls_wrap(self->pair.raw[1], self->server, NULL, &self->pair.server);
	if (self->pair.server == NULL)
		self->pair.server = self->pair.raw[1];
	if (rc == 0)
		rc = attempt_talk(self);
	secured_free(&self->pair);
	self->pair = (struct secured){ .client = NULL };
	return rc;
}

/* Twice, the second time with a session. */
static int attempt_all(struct attempt *self)
{
	int rc = attempt_contexts(self);

	for (int i = 0; rc == 0 && i < 2; i++)
		rc = attempt_connect(self);
	anyio_tls_session_free(self->session);
	anyio_tls_context_free(self->client);
	anyio_tls_context_free(self->server);
	return rc;
}

/* What is left of an attempt whose at-th allocation fails; *hit: it had that many. */
static long left_of(uint64_t at, bool *hit)
{
	struct attempt attempt = { .rc = 0 };
	long before = live;

	anyio_fault_set(ANYIO_FAULT_MEMORY, at, 0);
	attempt.rc = attempt_all(&attempt);
	*hit = anyio_fault_count(ANYIO_FAULT_MEMORY) >= at;
	anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
	CHECK(attempt.rc <= 0);
	if (!*hit)
		CHECK_RC(attempt.rc, 0);
	CHECK_RC((int64_t)ERR_peek_error(), 0);
	return live - before;
}

/* Every stride-th allocation from first on. OpenSSL keeps things for the next time, and so has more
 * after one that it failed to keep; but not ever more. */
static void sweep(uint64_t first, uint64_t stride)
{
	bool hit = true;

	for (uint64_t at = first; hit && conformance_failures() == 0; at += stride) {
		long left = left_of(at, &hit);

		for (int i = 0; left > 0 && i < 3; i++)
			left = left_of(at, &hit);
		if (left > 0)
			conformance_fail(__FILE__, __LINE__, "%ld allocations are left of the %lu.",
				left, (unsigned long)at);
	}
}

static int each_allocation_of_ours_fails(void *arg)
{
	static unsigned runs;
	struct attempt attempt = { .rc = 0 };

	if (not_this_seed(&runs))
		return 0;
	CHECK_RC(attempt_all(&attempt), 0);
	sweep(1, 1);
	return 0;
}

static int each_allocation_of_openssl_fails(void *arg)
{
	static unsigned runs;
	static uint64_t first;
	const char *all = getenv("ANYIO_TLS_SWEEP");
	struct attempt attempt = { .rc = 0 };

	if (not_this_seed(&runs))
		return 0;
	CHECK_RC(attempt_all(&attempt), 0);
	theirs_too = true;
	/* A different one every time; all of them take minutes. */
	first = first * 31 + 7;
	if (all != NULL)
		sweep(1, 1);
	else
		sweep(1 + first % 499, 499);
	theirs_too = false;
	return 0;
}

/* An idle connection has no buffers on either side, and is small. */
static int idle_streams_are_small(void *arg)
{
	enum { MANY = 50, MOST = 24000 };
	static struct secured pairs[MANY];
	struct anyio_tls_context *client = client_make((context_options){ .server = false });
	struct anyio_tls_context *server =
		server_make(&certificates.server, (context_options){ .server = true });
	size_t before, each;

	secure_plain(&pairs[0], 0);
	secured_free(&pairs[0]);
	before = mallinfo2().uordblks;
	for (int i = 0; i < MANY; i++) {
		CHECK_RC(anyio_stream_pair(0, pairs[i].raw), 0);
		secure_kept(&pairs[i], client, server,
			(struct anyio_tls_options){ .server_name = NULL });
		shake(&pairs[i]);
		pass(pairs[i].server, pairs[i].client, "hello");
		pass(pairs[i].client, pairs[i].server, "hello");
		CHECK(tls_of(pairs[i].client)->in.data == NULL &&
			tls_of(pairs[i].client)->out.data == NULL &&
			tls_of(pairs[i].client)->going.data == NULL);
		CHECK(tls_of(pairs[i].server)->in.data == NULL &&
			tls_of(pairs[i].server)->out.data == NULL &&
			tls_of(pairs[i].server)->going.data == NULL);
	}
	each = (mallinfo2().uordblks - before) / MANY / 2;
	if (getenv("ANYIO_TLS_SAY") != NULL)
		fprintf(stderr, "%zu bytes a stream\n", each);
#ifndef __SANITIZE_ADDRESS__
	CHECK(each < MOST);
#endif
	for (int i = 0; i < MANY; i++)
		secured_free(&pairs[i]);
	anyio_tls_context_free(client);
	anyio_tls_context_free(server);
	return 0;
}

static int shake_and_pass(void *arg)
{
	struct secured self;

	secure(&self, client_make((context_options){ .server = false }),
		server_make(&certificates.rsa, (context_options){ .server = true }),
		(struct anyio_tls_options){ .server_name = NULL });
	*(struct secured *)arg = self;
	return 0;
}

static int small_client(void *arg)
{
	struct secured *self = arg;

	CHECK_RC(anyio_tls_handshake(self->client), 0);
	expect(self->client, "hello");
	CHECK_RC(anyio_stream_send_eof(self->client), 0);
	return 0;
}

static int small_server(void *arg)
{
	struct secured *self = arg;
	char byte;

	CHECK_RC(anyio_stream_send(self->server, "hello", 5), 0);
	CHECK_RC(anyio_stream_receive(self->server, &byte, 1), 0);
	return 0;
}

/* An RSA signature on the stack that the header asks for. An overflow ends the program. */
static int handshake_on_the_least_stack(void *arg)
{
	struct anyio_task_group group;
	struct anyio_task_options options = { .name = "small", .stack_size = 32768 };
	struct secured self;

	shake_and_pass(&self);
#ifdef __SANITIZE_ADDRESS__
	options.stack_size = 0;
#endif
	if (getenv("ANYIO_TLS_STACK") != NULL)
		options.stack_size = (size_t)atol(getenv("ANYIO_TLS_STACK"));
	anyio_task_group_enter(&group);
	CHECK_RC(anyio_start_soon_with(&group, small_client, &self, &options), 0);
	CHECK_RC(anyio_start_soon_with(&group, small_server, &self, &options), 0);
	CHECK_RC(anyio_task_group_exit(&group, 0), 0);
	secured_free(&self);
	return 0;
}

int main(void)
{
	static const struct conformance_case cases[] = {
		CONFORM(each_allocation_of_ours_fails, CONFORM_MOCK),
		CONFORM(each_allocation_of_openssl_fails, CONFORM_MOCK),
		CONFORM(idle_streams_are_small, CONFORM_MOCK),
		CONFORM(handshake_on_the_least_stack, CONFORM_MOCK),
	};

	if (CRYPTO_set_mem_functions(give, give_again, take_back) != 1)
		abort();
	return run_secured(cases, sizeof(cases) / sizeof(*cases));
}
