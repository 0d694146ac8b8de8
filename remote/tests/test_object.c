/*
 * Remotes on a loop with a small store in it: waiting for run, being cut off, the end of run, memory and operations that
 * fail. Real stores: tests/interop/s3.py.
 */
#include <remote/object.h>

#include "../../tests/check.h"

enum { OBJECT = 1 << 20, MANY = 200 };

struct scene {
	struct anyio_listener *listener;
	struct remote *remote;
	struct anyio_task_group *group; /* of the store's connections, and of who asks */
	struct anyio_task_handle run;
	int (*body)(struct scene *scene);
	bool silent; /* the store takes requests and answers none */
	bool drops;  /* it drops the connection instead of an answer */
	struct anyio_event asked;
	unsigned requests;
	int rcs[MANY];
};

/* ---- the store ---- */

struct connection {
	struct scene *scene;
	struct anyio_stream *stream;
};

static int answer_get(struct connection *connection, const char *request)
{
	static uint8_t object[OBJECT];
	const char *range = strstr(request, "Range: bytes=");
	unsigned long first = 0, last = 0;
	char head[200];
	int rc;

	if (!range || sscanf(range, "Range: bytes=%lu-%lu", &first, &last) != 2 || first >= OBJECT)
		return -EPROTO;
	last = last < OBJECT ? last : OBJECT - 1;
	snprintf(head, sizeof(head),
		"HTTP/1.1 206 Some\r\nContent-Length: %lu\r\nETag: \"e\"\r\n"
		"Content-Range: bytes %lu-%lu/%d\r\n\r\n",
		last - first + 1, first, last, OBJECT);
	for (size_t i = 0; i < OBJECT; i++)
		object[i] = (uint8_t)(i * 7);
	rc = anyio_stream_send(connection->stream, head, strlen(head));
	return rc ? rc : anyio_stream_send(connection->stream, object + first, last - first + 1);
}

/* Reads a body of which some has come, and compares it. */
static int answer_put(struct connection *connection, const char *head, size_t len)
{
	static const char done[] = "HTTP/1.1 200 Done\r\nContent-Length: 0\r\nETag: \"e\"\r\n\r\n";
	const char *body = strstr(head, "\r\n\r\n") + 4, *length = strstr(head, "Content-Length: ");
	size_t size = length ? strtoul(length + 16, NULL, 10) : 0, at = len - (size_t)(body - head);
	uint8_t *whole = malloc(size + 1);
	int rc = 0;

	memcpy(whole, body, at);
	while (!rc && at < size) {
		ssize_t n = anyio_stream_receive(connection->stream, whole + at, size - at);

		if (n < 0)
			rc = (int)n;
		else
			at += (size_t)n;
	}
	if (connection->scene->drops) /* without a word */
		rc = ANYIO_BROKEN;
	connection->scene->drops = false;
	for (size_t i = 0; !rc && i < size; i++)
		rc = whole[i] == (uint8_t)(i * 7) ? 0 : -EBADMSG;
	free(whole);
	return rc ? rc : anyio_stream_send(connection->stream, done, strlen(done));
}

static int answer_one(struct connection *connection, const char *request, size_t len)
{
	connection->scene->requests++;
	anyio_event_set(&connection->scene->asked);
	if (connection->scene->silent)
		return anyio_sleep_forever();
	return !strncmp(request, "PUT ", 4) ? answer_put(connection, request, len)
					    : answer_get(connection, request);
}

static int serve_requests(struct connection *connection)
{
	char request[4096];
	size_t len = 0;
	int rc = 0;

	while (!rc) {
		ssize_t n = anyio_stream_receive(
			connection->stream, request + len, sizeof(request) - 1 - len);

		if (n < 0)
			return (int)n;
		request[len += (size_t)n] = '\0';
		if (!strstr(request, "\r\n\r\n"))
			continue;
		rc = answer_one(connection, request, len);
		len = 0;
	}
	return rc;
}

static int serve_one(void *arg)
{
	struct connection *connection = arg;

	serve_requests(connection);
	anyio_stream_free(connection->stream);
	free(connection);
	return 0;
}

static int serve(void *arg)
{
	struct scene *scene = arg;
	int rc = 0;

	ANYIO_TASK_GROUP(group);
	while (!rc) {
		struct connection *connection = calloc(1, sizeof(*connection));

		connection->scene = scene;
		rc = anyio_accept(scene->listener, &connection->stream);
		if (!rc)
			rc = anyio_start_soon(&group, serve_one, connection, "connection");
		else
			free(connection);
	}
	anyio_task_group_cancel(&group, "done");
	anyio_task_group_exit(&group, 0);
	return rc == ANYIO_CLOSED ? 0 : rc;
}

/* ---- scenes ---- */

static int make_remote(struct scene *scene)
{
	struct anyio_address address;
	char endpoint[64];
	struct remote_options options = { .endpoint = endpoint,
		.bucket = "b",
		.attempts = 1,
		.failures = 1000000,
		.credentials = { .key = "k", .secret = "s" } };

	CHECK_RC(0, anyio_address_parse(&address, "127.0.0.1", 0));
	CHECK_RC(0, anyio_listen_address(&address, NULL, &scene->listener));
	CHECK_RC(0, anyio_listener_address(scene->listener, &address));
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", ntohs(address.ip4.sin_port));
	CHECK_RC(0, remote_create(&options, &scene->remote, NULL));
	anyio_event_init(&scene->asked);
	return 0;
}

static int play(struct scene *scene)
{
	struct anyio_task_options run = { .name = "remote", .handle = &scene->run };
	int rc;

	ANYIO_TASK_GROUP(group);
	scene->group = &group;
	anyio_start_soon(&group, serve, scene, "store");
	anyio_start_soon_with(&group, remote_run, scene->remote, &run);
	rc = scene->body(scene);
	anyio_task_group_cancel(&group, "done");
	anyio_task_group_exit(&group, 0);
	return rc;
}

static int root(void *arg)
{
	struct scene *scene = arg;
	int rc = make_remote(scene);

	if (!rc)
		rc = play(scene);
	remote_free(scene->remote);
	anyio_listener_free(scene->listener);
	return rc;
}

static void on_each_backend(int (*body)(struct scene *scene))
{
	for (const char *const *backend = anyio_backends_available(); *backend; backend++) {
		struct scene scene = { .body = body };
		struct anyio_options options = { .backend = *backend };

		assert_int_equal(anyio_run(root, &scene, &options), 0);
	}
}

static int get_piece(struct scene *scene, uint64_t offset, size_t size)
{
	uint8_t *out = malloc(size);
	ssize_t n = remote_get(scene->remote, "name", offset, out, size, NULL);

	for (size_t i = 0; n > 0 && i < (size_t)n; i++)
		if (out[i] != (uint8_t)((offset + i) * 7))
			n = -EBADMSG;
	free(out);
	return n < 0 ? (int)n : n == (ssize_t)size ? 0 : -EPROTO;
}

/* ---- what is shown ---- */

static int first_call_waits_for_run(struct scene *scene)
{
	return get_piece(scene, 1000, OBJECT - 1000);
}

static void test_first_call_waits_for_run(void **state)
{
	on_each_backend(first_call_waits_for_run);
}

static int get_forever(void *arg)
{
	struct scene *scene = arg;

	return get_piece(scene, 0, 100);
}

static int cut_off_at_once(struct scene *scene)
{
	struct anyio_task_handle handle;
	struct anyio_task_options options = { .name = "asks", .handle = &handle };

	scene->silent = true;
	anyio_start_soon_with(scene->group, get_forever, scene, &options);
	CHECK_RC(0, anyio_event_wait(&scene->asked));
	anyio_task_handle_cancel(&handle, "enough");
	CHECK_RC(ANYIO_TASK_CANCELLED, anyio_task_handle_wait(&handle));
	CHECK_RC(-ETIMEDOUT, anyio_fail_after(ANYIO_MILLISECOND, get_forever, scene));
	scene->silent = false;
	return get_piece(scene, 5, 500000);
}

static void test_cut_off_at_once(void **state)
{
	on_each_backend(cut_off_at_once);
}

struct asker {
	struct scene *scene;
	int n;
};

static int ask_one(void *arg)
{
	struct asker *asker = arg;

	asker->scene->rcs[asker->n] = get_piece(asker->scene, 0, 100);
	return 0;
}

static int end_of_run_ends_calls(struct scene *scene)
{
	struct asker askers[MANY];
	int rc;

	scene->silent = true;
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < MANY; i++) {
		askers[i] = (struct asker){ scene, i };
		anyio_start_soon(&group, ask_one, &askers[i], "asks");
	}
	anyio_event_wait(&scene->asked);
	anyio_task_handle_cancel(&scene->run, "over");
	rc = anyio_task_group_exit(&group, 0);
	for (int i = 0; i < MANY; i++)
		CHECK_RC(ANYIO_CLOSED, scene->rcs[i]);
	CHECK_RC(ANYIO_CLOSED, get_piece(scene, 0, 100));
	return rc;
}

static void test_end_of_run_ends_calls(void **state)
{
	on_each_backend(end_of_run_ends_calls);
}

static int refuse_third(void *arg, const void *data, size_t len)
{
	int *count = arg;

	return ++*count == 3 ? -EXFULL : anyio_checkpoint();
}

static int taker_may_end_it(struct scene *scene)
{
	struct remote_statistics stat;
	int count = 0;

	CHECK_RC(-EXFULL,
		remote_get_to(scene->remote, "name", 0, OBJECT, refuse_third, &count, NULL));
	remote_stat(scene->remote, &stat);
	CHECK(count == 3 && stat.requests == 1 && !stat.down);
	return get_piece(scene, 0, OBJECT);
}

static void test_taker_may_end_it(void **state)
{
	on_each_backend(taker_may_end_it);
}

static ssize_t read_pattern(void *arg, void *buffer, size_t size, uint64_t offset)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)buffer)[i] = (uint8_t)((offset + i) * 7);
	return anyio_checkpoint() ? ANYIO_CANCELLED : (ssize_t)size;
}

/* A connection that was kept, and ends without an answer: libcurl makes another one and asks for
 * the body from its beginning. That is no further attempt of ours. */
static int dead_connection_costs_no_attempt(struct scene *scene)
{
	struct remote_source source = { read_pattern, NULL, 700000 };
	struct remote_statistics stat;

	for (int i = 0; i < 5; i++) {
		CHECK_RC(0, remote_put_from(scene->remote, "name", &source, NULL, NULL));
		scene->drops = true;
		CHECK_RC(0, remote_put_from(scene->remote, "name", &source, NULL, NULL));
		CHECK(!scene->drops);
	}
	remote_stat(scene->remote, &stat);
	CHECK(stat.requests == 10 && scene->requests == 15);
	return 0;
}

static void test_dead_connection_costs_no_attempt(void **state)
{
	on_each_backend(dead_connection_costs_no_attempt);
}

/* What is sent is what was meant, and a source that fails says so. */
static ssize_t read_none(void *arg, void *buffer, size_t size, uint64_t offset)
{
	return offset < 1000 ? (ssize_t)(size < 1000 ? size : 1000) : *(int *)arg;
}

static int sources_may_fail(struct scene *scene)
{
	int end = 0;
	struct remote_source source = { read_none, &end, 5000 };
	struct remote_source pattern = { read_pattern, NULL, 5000 };
	uint8_t other[REMOTE_CHECKSUM_SIZE] = { 1 };
	struct remote_why why = { { 0 } };

	CHECK_RC(ANYIO_INCOMPLETE_READ, remote_put_from(scene->remote, "n", &source, NULL, &why));
	CHECK(strstr(why.what, "byte 1000"));
	end = -EIO;
	CHECK_RC(-EIO, remote_put_from(scene->remote, "n", &source, NULL, &why));
	CHECK_RC(-EBADMSG, remote_put_from(scene->remote, "n", &pattern, other, &why));
	CHECK(scene->requests == 0);
	return 0;
}

static void test_sources_may_fail(void **state)
{
	on_each_backend(sources_may_fail);
}

/* Whatever allocation fails, the call returns, with an error or well, and the next one works. */
static int survives_lack_of_memory(struct scene *scene)
{
	uint64_t seen = 1, failed = 0, at;

	CHECK_RC(0, get_piece(scene, 0, 100000));
	for (at = 0; seen >= at;) {
		anyio_fault_set(ANYIO_FAULT_MEMORY, ++at, 0);
		failed += get_piece(scene, 0, 100000) == -ENOMEM;
		seen = anyio_fault_count(ANYIO_FAULT_MEMORY);
		anyio_fault_set(ANYIO_FAULT_MEMORY, 0, 0);
		CHECK_RC(0, get_piece(scene, 0, 100000));
	}
	CHECK(at > 10 && failed > 5);
	return 0;
}

static void test_survives_lack_of_memory(void **state)
{
	on_each_backend(survives_lack_of_memory);
}

/* A wait on a socket that fails is made again. */
static int survives_failing_polls(struct scene *scene)
{
	uint64_t seen = 1;

	CHECK_RC(0, get_piece(scene, 0, OBJECT));
	for (uint64_t at = 0; seen >= at && at < 20;) {
		CHECK_RC(0, anyio_fault_set_call("poll", ++at, ENOMEM));
		CHECK_RC(0, get_piece(scene, 0, OBJECT));
		seen = anyio_fault_count(ANYIO_FAULT_CALL);
		anyio_fault_set(ANYIO_FAULT_CALL, 0, 0);
	}
	return 0;
}

static void test_survives_failing_polls(void **state)
{
	on_each_backend(survives_failing_polls);
}

/* Port 1 of this machine: nothing listens there. */
static int ask_nobody(void *arg)
{
	struct remote *remote = arg;
	struct remote_why why = { { 0 } };
	char byte;
	int first, second;

	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, remote_run, remote, "remote");
	first = (int)remote_get(remote, "name", 0, &byte, 1, NULL);
	second = (int)remote_get(remote, "name", 0, &byte, 1, &why);
	anyio_task_group_cancel(&group, "done");
	anyio_task_group_exit(&group, 0);
	CHECK_RC(-EHOSTUNREACH, first);
	CHECK_RC(-EHOSTDOWN, second);
	CHECK(strstr(why.what, "again in 100 s"));
	CHECK(strstr(why.what, "no connection to http://127.0.0.1:1: "));
	CHECK(strstr(why.hint, "is the store running there"));
	return 0;
}

static void test_refusal_names_the_cause(void **state)
{
	struct remote_options options = { .endpoint = "http://127.0.0.1:1",
		.bucket = "b",
		.attempts = 1,
		.failures = 1,
		.down = 100 * ANYIO_SECOND };

	for (const char *const *backend = anyio_backends_available(); *backend; backend++) {
		struct anyio_options run = { .backend = *backend };
		struct remote *remote;

		assert_int_equal(remote_create(&options, &remote, NULL), 0);
		assert_int_equal(anyio_run(ask_nobody, remote, &run), 0);
		remote_free(remote);
	}
}

static void assert_refused(const struct remote_options *options)
{
	struct remote_why why = { { 0 } };
	struct remote *remote;

	assert_int_equal(remote_create(options, &remote, &why), -EINVAL);
	assert_true(why.what[0] && why.hint[0]);
	assert_null(strstr(why.what, "hidden"));
	assert_null(strstr(why.hint, "hidden"));
}

static void test_options(void **state)
{
	static const char *const wrong[] = { NULL, "", "host", "ftp://host", "http://",
		"https://:80", "http://host:", "http://host:0", "http://host:65536",
		"http://host:80x", "http://host/path", "https://user:hidden@host",
		"https://hidden@host:443", "https://host?hidden", "http://a b", "http://[::1",
		"http://[]" };
	static const char *const right[] = { "http://host", "https://host:1/", "http://[::1]:9000",
		"https://127.0.0.1:65535" };
	struct remote_options options = { .bucket = "b" };
	struct remote *remote;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		options.endpoint = wrong[i];
		assert_refused(&options);
	}
	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++) {
		options.endpoint = right[i];
		assert_int_equal(remote_create(&options, &remote, NULL), 0);
		remote_free(remote);
	}
	options.bucket = "a/b";
	assert_refused(&options);
	options.bucket = NULL;
	assert_refused(&options);
	options.bucket = "b";
	options.region = "r:s3";
	assert_refused(&options);
	options.region = NULL;
	options.prefix = "../";
	assert_refused(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_call_waits_for_run),
		cmocka_unit_test(test_cut_off_at_once),
		cmocka_unit_test(test_end_of_run_ends_calls),
		cmocka_unit_test(test_taker_may_end_it),
		cmocka_unit_test(test_dead_connection_costs_no_attempt),
		cmocka_unit_test(test_sources_may_fail),
		cmocka_unit_test(test_survives_lack_of_memory),
		cmocka_unit_test(test_survives_failing_polls),
		cmocka_unit_test(test_refusal_names_the_cause),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
