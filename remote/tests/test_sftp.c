/*
 * What of SFTP needs no server: keys as file names and back, packets, options. Real servers: tests/interop/sftp.py.
 */
#include <fcntl.h>
#include <remote/object.h>
#include <unistd.h>

#include "../../tests/check.h"
#include "sftp_name.h"
#include "sftp_packet.h"

/* ---- names ---- */

static const char *encode(const char *key)
{
	static char out[8192];
	struct text path = { 0 };

	assert_int_equal(sftp_name_encode(&path, key), 0);
	snprintf(out, sizeof(out), "%s", path.chars ? path.chars : "");
	text_free(&path);
	return out;
}

static void test_keys_are_paths(void **state)
{
	assert_string_equal(encode("blocks/ab/bafk-1_2~3.x"), "blocks+/ab+/bafk-1_2~3.x");
	assert_string_equal(encode("Ab"), "%41b");
	assert_string_equal(encode(".x/..y"), "%2ex+/%2e.y");
	assert_string_equal(encode("a+%&/"), "a%2b%25%26+");
	assert_string_equal(encode(""), "");
}

static const char *decode(const char *name)
{
	static char out[SFTP_NAME_MAX + 1];

	return sftp_name_decode(name, strlen(name), out) ? out : NULL;
}

static void test_names_are_parts_of_keys(void **state)
{
	static const char *const strange[] = { "", ".", "..", "%2e", "%2e%2e", "%2e%2e+", "+",
		"a++", "a/b", "%2f", "%2F", "%41%", "%4", "%", "A", "%61", "..x", "a b", "a%0a",
		"%00", "%7f", "%ff", "%5c", "\xc3\xa4" };

	for (size_t i = 0; i < sizeof(strange) / sizeof(*strange); i++)
		if (decode(strange[i]))
			fail_msg("'%s' is taken for '%s'", strange[i], decode(strange[i]));
	assert_string_equal(decode("%41b"), "Ab");
	assert_string_equal(decode("%2ex+"), ".x/");
	assert_string_equal(decode("a%2b+"), "a+/");
	assert_false(sftp_name_decode("a\0b", 3, (char[SFTP_NAME_MAX + 1]){ 0 }));
}

/* Every byte that a key may hold, at each place of a part; and no two have one name, in small letters either. */
static void test_names_are_reversible(void **state)
{
	char seen[95 * 3][16];
	int count = 0;

	for (int byte = ' '; byte <= '~'; byte++) {
		const char keys[3][4] = { { (char)byte, 'a' }, { 'a', (char)byte, 'b' },
			{ 'a', (char)byte } };

		if (byte == '/' || byte == '\\')
			continue;
		for (int i = 0; i < 3; i++, count++) {
			snprintf(seen[count], sizeof(seen[count]), "%.15s", encode(keys[i]));
			assert_string_equal(decode(seen[count]), keys[i]);
			for (int j = 0; j < count; j++)
				if (!strcasecmp(seen[j], seen[count]))
					assert_string_equal(decode(seen[j]), keys[i]);
		}
	}
}

static void test_parts_are_bounded(void **state)
{
	char part[SFTP_NAME_MAX + 3], out[SFTP_NAME_MAX + 1];
	struct text path = { 0 };

	memset(part, 'x', sizeof(part));
	part[SFTP_NAME_MAX] = '\0';
	assert_string_equal(encode(part), part);
	assert_true(sftp_name_decode(part, SFTP_NAME_MAX, out));
	part[SFTP_NAME_MAX] = 'x';
	part[SFTP_NAME_MAX + 1] = '\0';
	assert_int_equal(sftp_name_encode(&path, part), -EINVAL);
	assert_false(sftp_name_decode(part, SFTP_NAME_MAX + 1, out));
	strcpy(part + SFTP_NAME_MAX, "/");
	assert_int_equal(sftp_name_encode(&path, part), -EINVAL); /* no room for the '+' */
	strcpy(part + SFTP_NAME_MAX - 2, "?");
	assert_int_equal(sftp_name_encode(&path, part), -EINVAL); /* nor for the %3f */
	text_free(&path);
}

/* ---- packets ---- */

static void test_requests(void **state)
{
	static const uint8_t wanted[] = { 0, 0, 0, 26, 3, 0, 0, 0, 9, 0, 0, 0, 1, 'a', 0, 0, 0, 42,
		0, 0, 0, 4, 0, 0, 1, 0x80, 0, 0, 0, 0 };
	uint8_t bytes[sizeof(wanted)];
	struct sftp_packet packet = { bytes, sizeof(bytes), 0, false };

	sftp_begin(&packet, SFTP_OPEN, 9);
	sftp_add_text(&packet, "a");
	sftp_add_u32(&packet, 42);
	sftp_add_mode(&packet, 0600);
	sftp_add_u32(&packet, 0);
	sftp_end(&packet);
	assert_false(packet.full);
	assert_int_equal(packet.len, sizeof(wanted));
	assert_memory_equal(bytes, wanted, sizeof(wanted));
	sftp_add_u64(&packet, 1);
	assert_true(packet.full);
}

static void test_replies(void **state)
{
	static const uint8_t attrs[] = { 105, 0, 0, 0, 7, 0, 0, 0, 13, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0,
		0x81, 0x80, 0, 0, 0, 1, 0, 0, 0, 2 };
	static const uint8_t status[] = { 101, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0, 2, 'n', 'o' };
	struct sftp_reply reply;

	assert_int_equal(sftp_parse(attrs, sizeof(attrs), &reply), 0);
	assert_true(reply.id == 7 && reply.attrs.has_size && reply.attrs.size == (1ull << 32) + 2);
	assert_true(reply.attrs.kind == SFTP_KIND_FILE && reply.attrs.changed == 2);
	for (size_t len = 0; len < sizeof(attrs); len++)
		assert_int_equal(sftp_parse(attrs, len, &reply), -EPROTO);
	assert_int_equal(sftp_parse(status, sizeof(status), &reply), 0);
	assert_true(reply.status == SFTP_FAILURE && reply.bytes.len == 2 &&
		!memcmp(reply.bytes.at, "no", 2));
	assert_int_equal(sftp_parse(status, sizeof(status) - 1, &reply), -EPROTO);
	assert_int_equal(sftp_parse(status, 9, &reply), 0); /* without a text */
}

/* ---- options ---- */

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
	static const char *const wrong[] = { "sftp://", "sftp://user@host",
		"sftp://user:hidden@host", "sftp://host/folder", "sftp://host:", "ssh://host" };
	const struct remote_options right = { .endpoint = "sftp://[::1]:2222/",
		.folder = "/srv/kit/",
		.user = "kit",
		.key_file = "/key",
		.known_hosts = "/known" };
	struct remote_options options = right;
	struct remote *remote;

	assert_int_equal(remote_create(&options, &remote, NULL), 0);
	remote_free(remote);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		options.endpoint = wrong[i];
		assert_refused(&options);
	}
	options = right;
	options.folder = "";
	assert_refused(&options);
	options.folder = "a\nb";
	assert_refused(&options);
	options = right;
	options.user = NULL;
	assert_refused(&options);
	options = right;
	options.key_file = NULL;
	assert_refused(&options);
	strcpy(options.credentials.password, "hidden");
	assert_int_equal(remote_create(&options, &remote, NULL), 0);
	remote_free(remote);
	options = right;
	options.known_hosts = NULL;
	assert_refused(&options);
	options = right;
	options.prefix = "../";
	assert_refused(&options);
}

/* ---- a server that takes connections and says nothing ---- */

struct scene {
	struct anyio_listener *listener;
	struct remote *remote;
	struct anyio_task_handle run;
	struct anyio_event asked; /* a connection is there */
	int (*body)(struct scene *scene);
	struct anyio_task_group *group;
	int rcs[20];
};

static char key_file[] = "/tmp/remote-sftp-XXXXXX";

static int make_key_file(void **state)
{
	int fd = mkstemp(key_file);

	assert_true(fd >= 0);
	return close(fd);
}

static int remove_key_file(void **state)
{
	return unlink(key_file);
}

static int swallow(void *arg)
{
	struct anyio_stream *stream = arg;
	char bytes[512];

	while (anyio_stream_receive(stream, bytes, sizeof(bytes)) > 0)
		;
	anyio_stream_free(stream);
	return 0;
}

static int serve(void *arg)
{
	struct scene *scene = arg;
	struct anyio_stream *stream;
	int rc;

	ANYIO_TASK_GROUP(group);
	while ((rc = anyio_accept(scene->listener, &stream)) == 0) {
		anyio_event_set(&scene->asked);
		anyio_start_soon(&group, swallow, stream, "connection");
	}
	anyio_task_group_cancel(&group, "done");
	return anyio_task_group_exit(&group, rc);
}

static int make_remote(struct scene *scene)
{
	struct anyio_address address;
	char endpoint[64];
	struct remote_options options = { .endpoint = endpoint,
		.folder = "f",
		.user = "u",
		.key_file = key_file,
		.known_hosts = key_file,
		.silence = 3600 * ANYIO_SECOND,
		.connections = 4 };

	CHECK_RC(0, anyio_address_parse(&address, "127.0.0.1", 0));
	CHECK_RC(0, anyio_listen_address(&address, NULL, &scene->listener));
	CHECK_RC(0, anyio_listener_address(scene->listener, &address));
	snprintf(endpoint, sizeof(endpoint), "sftp://127.0.0.1:%u", ntohs(address.ip4.sin_port));
	CHECK_RC(0, remote_create(&options, &scene->remote, NULL));
	anyio_event_init(&scene->asked);
	return 0;
}

static int root(void *arg)
{
	struct scene *scene = arg;
	struct anyio_task_options run = { .name = "remote", .handle = &scene->run };
	int rc = make_remote(scene);

	if (rc)
		return rc;
	ANYIO_TASK_GROUP(group);
	scene->group = &group;
	anyio_start_soon(&group, serve, scene, "server");
	anyio_start_soon_with(&group, remote_run, scene->remote, &run);
	rc = scene->body(scene);
	anyio_task_group_cancel(&group, "done");
	anyio_task_group_exit(&group, 0);
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

struct asker {
	struct scene *scene;
	int n;
};

static int ask(void *arg)
{
	struct asker *asker = arg;
	struct remote_head head;

	asker->scene->rcs[asker->n] = remote_head(asker->scene->remote, "name", &head, NULL);
	return asker->scene->rcs[asker->n] == ANYIO_CANCELLED ? ANYIO_CANCELLED : 0;
}

/* Those that have a connection, and those that wait for one. */
static int end_of_run_ends_calls(struct scene *scene)
{
	enum { MANY = 20 };
	struct asker askers[MANY];
	int rc;

	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < MANY; i++) {
		askers[i] = (struct asker){ scene, i };
		anyio_start_soon(&group, ask, &askers[i], "asks");
	}
	anyio_event_wait(&scene->asked);
	anyio_task_handle_cancel(&scene->run, "over");
	rc = anyio_task_group_exit(&group, 0);
	for (int i = 0; i < MANY; i++)
		CHECK_RC(ANYIO_CLOSED, scene->rcs[i]);
	CHECK_RC(0, ask(&askers[0]));
	CHECK_RC(ANYIO_CLOSED, scene->rcs[0]);
	return rc;
}

static void test_end_of_run_ends_calls(void **state)
{
	on_each_backend(end_of_run_ends_calls);
}

/* A caller's end is its own: nothing is said of the server, and others go on waiting. */
static int cut_off_at_once(struct scene *scene)
{
	struct asker asker = { scene, 0 };
	struct anyio_task_handle handle;
	struct anyio_task_options options = { .name = "asks", .handle = &handle };
	struct remote_statistics stat;

	anyio_start_soon_with(scene->group, ask, &asker, &options);
	CHECK_RC(0, anyio_event_wait(&scene->asked));
	anyio_task_handle_cancel(&handle, "enough");
	CHECK_RC(ANYIO_TASK_CANCELLED, anyio_task_handle_wait(&handle));
	for (int i = 0; i < 10; i++)
		CHECK_RC(-ETIMEDOUT, anyio_fail_after(ANYIO_MILLISECOND, ask, &asker));
	remote_stat(scene->remote, &stat);
	CHECK(!stat.down && stat.retries == 0);
	return 0;
}

static void test_cut_off_at_once(void **state)
{
	on_each_backend(cut_off_at_once);
}

/* While calls wait for the server the loop is everybody else's. */
static int local_work_goes_on(struct scene *scene)
{
	struct asker asker = { scene, 0 };

	int rc = 0;

	scene->rcs[0] = 1;
	ANYIO_TASK_GROUP(group);
	anyio_start_soon(&group, ask, &asker, "asks");
	anyio_event_wait(&scene->asked);
	for (int i = 0; !rc && i < 10000; i++)
		rc = anyio_checkpoint();
	rc = rc ? rc : scene->rcs[0] == 1 ? 0 : -EPROTO; /* it still waits */
	anyio_task_group_cancel(&group, "enough");
	return anyio_task_group_exit(&group, rc);
}

static void test_local_work_goes_on(void **state)
{
	on_each_backend(local_work_goes_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_are_paths),
		cmocka_unit_test(test_names_are_parts_of_keys),
		cmocka_unit_test(test_names_are_reversible),
		cmocka_unit_test(test_parts_are_bounded),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_end_of_run_ends_calls),
		cmocka_unit_test(test_cut_off_at_once),
		cmocka_unit_test(test_local_work_goes_on),
	};

	return cmocka_run_group_tests(tests, make_key_file, remove_key_file);
}
