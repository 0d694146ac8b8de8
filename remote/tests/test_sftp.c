/*
 * What of SFTP needs no server: keys as file names and back, packets, options. Real servers: tests/interop/sftp.py.
 */
#include <remote/object.h>

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
			snprintf(seen[count], sizeof(seen[count]), "%s", encode(keys[i]));
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
	options = right;
	options.known_hosts = NULL;
	assert_refused(&options);
	options = right;
	options.prefix = "../";
	assert_refused(&options);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
