/* A folder as a store: what is put is there whole or not at all, under any name, and what is cut off is swept. */
#include <remote/object.h>

#include <sys/stat.h>
#include <unistd.h>

#include "../../tests/check.h"

enum { SIZE = 3 << 20 };

static char dir[64];

struct listed {
	char names[400];
	int count;
};

static int each(void *arg, const struct remote_entry *entry)
{
	struct listed *listed = arg;
	size_t len = strlen(listed->names);

	listed->count++;
	snprintf(listed->names + len, sizeof(listed->names) - len, "%s=%d ", entry->name,
		(int)entry->size);
	return 0;
}

struct making {
	uint64_t fails_at; /* 0: nowhere */
	struct anyio_event *hold;
};

static ssize_t make_bytes(void *arg, void *buffer, size_t size, uint64_t offset)
{
	struct making *making = arg;
	uint8_t *out = buffer;

	if (making->hold && offset > 0)
		return anyio_event_wait(making->hold);
	if (making->fails_at && offset >= making->fails_at)
		return -EL2HLT;
	for (size_t i = 0; i < size && i < 100000; i++)
		out[i] = (uint8_t)((offset + i) * 7 >> 3);
	return (ssize_t)(size < 100000 ? size : 100000);
}

static int files(void)
{
	struct anyio_names names;
	int rc = anyio_listdir(AT_FDCWD, dir, &names);
	int count = rc < 0 ? rc : (int)names.count;

	anyio_names_free(&names);
	return count;
}

static bool is_down(const struct remote *remote)
{
	struct remote_statistics stat;

	remote_stat(remote, &stat);
	return stat.down;
}

static int put_held(void *arg)
{
	struct anyio_event hold;
	struct making making = { .hold = &hold };
	struct remote_source source = { make_bytes, &making, SIZE };

	anyio_event_init(&hold);
	return remote_put_from(arg, "held", &source, NULL, NULL);
}

static int verbs(void *arg)
{
	struct remote_options options = { .endpoint = "file://", .folder = dir, .prefix = "n-7/" };
	struct remote *remote, *other;
	struct making making = { 0 };
	struct remote_source source = { make_bytes, &making, SIZE };
	uint8_t wrong[REMOTE_CHECKSUM_SIZE] = { 1 }, *bytes = malloc(SIZE), expected[1000];
	struct listed listed = { .count = 0 };
	struct remote_head head, again;
	struct remote_why why;

	CHECK(bytes);
	CHECK_RC(0, remote_create(&options, &remote, &why));
	CHECK_RC(0, remote_put_from(remote, "A/b.car", &source, NULL, &why));
	CHECK_RC(SIZE, remote_get(remote, "A/b.car", 0, bytes, SIZE, &why));
	for (int i = 0; i < SIZE; i++)
		CHECK(bytes[i] == (uint8_t)((uint64_t)i * 7 >> 3));
	CHECK_RC(1000, remote_get(remote, "A/b.car", SIZE - 1000, expected, 5000, &why));
	CHECK(memcmp(expected, bytes + SIZE - 1000, 1000) == 0);
	CHECK_RC(0, remote_get(remote, "A/b.car", SIZE, expected, 10, &why));
	CHECK_RC(-ENOENT, remote_get(remote, "a/b.car", 0, expected, 10, &why));
	CHECK_RC(0, remote_head(remote, "A/b.car", &head, &why));
	CHECK(head.size == SIZE);

	/* Not at all: the source fails, the sum is another, it is cut off. */
	making.fails_at = 1 << 20;
	CHECK_RC(-EL2HLT, remote_put_from(remote, "A/b.car", &source, NULL, &why));
	making.fails_at = 0;
	CHECK_RC(-EBADMSG, remote_put_from(remote, "A/b.car", &source, wrong, &why));
	CHECK(!is_down(remote));
	struct anyio_cancel_scope limit;
	anyio_cancel_scope_init(&limit);
	anyio_cancel_scope_set_timeout(&limit, ANYIO_MILLISECOND);
	CHECK_RC(0, anyio_cancel_scope_run(&limit, put_held, remote));
	CHECK_RC(1, files());
	CHECK_RC(0, remote_head(remote, "A/b.car", &again, &why));
	CHECK(strcmp(head.etag, again.etag) == 0);

	/* In the order of keys, what is not ours passed over. */
	source.size = 5;
	CHECK_RC(0, remote_put_from(remote, "b", &source, NULL, &why));
	CHECK_RC(0, remote_put_from(remote, ".c", &source, NULL, &why));
	char path[100];
	snprintf(path, sizeof(path), "%s/README", dir);
	CHECK_RC(0, anyio_write_whole(AT_FDCWD, path, 0644, "mine", 4));
	CHECK_RC(0, remote_list(remote, "", NULL, each, &listed, &why));
	CHECK(strcmp(listed.names, ".c=5 A/b.car=3145728 b=5 ") == 0);
	listed = (struct listed){ .count = 0 };
	CHECK_RC(0, remote_list(remote, "", "A/b.car", each, &listed, &why));
	CHECK(strcmp(listed.names, "b=5 ") == 0);

	/* What another life has left; ours is left alone. */
	snprintf(path, sizeof(path), "%s/.part-0123456789abcdef-5", dir);
	CHECK_RC(0, anyio_write_whole(AT_FDCWD, path, 0644, "part", 4));
	CHECK_RC(1, remote_sweep(remote, &why));
	CHECK_RC(0, remote_create(&options, &other, &why));
	CHECK_RC(0, remote_sweep(other, &why));
	remote_free(other);

	CHECK_RC(0, remote_delete(remote, "b", &why));
	CHECK_RC(0, remote_delete(remote, "b", &why));
	CHECK_RC(0, remote_delete(remote, ".c", &why));
	CHECK_RC(0, remote_delete(remote, "A/b.car", &why));
	CHECK_RC(1, files());

	/* The disk is not there. */
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	CHECK(system(path) == 0);
	CHECK_RC(-ENXIO, remote_put_from(remote, "b", &source, NULL, &why));
	CHECK(strstr(why.what, dir) && strstr(why.hint, "mount"));
	CHECK_RC(-ENXIO, remote_get(remote, "b", 0, expected, 10, &why));
	CHECK(is_down(remote));
	/* It is back, and not held against it: an answer that there is no such object will do. */
	CHECK_RC(0, mkdir(dir, 0700));
	CHECK_RC(-ENOENT, remote_get(remote, "b", 0, expected, 10, &why));
	CHECK(!is_down(remote));
	CHECK_RC(0, rmdir(dir));
	CHECK_RC(-ENXIO, remote_head(remote, "b", &head, &why));
	CHECK(is_down(remote));
	remote_free(remote);
	free(bytes);
	return 0;
}

static void test_verbs(void **state)
{
	const char *const *names = anyio_backends_available();

	for (; *names; names++) {
		struct anyio_options options = { .backend = *names };

		strcpy(dir, "/tmp/remote-folder-XXXXXX");
		assert_non_null(mkdtemp(dir));
		assert_int_equal(anyio_run(verbs, NULL, &options), 0);
	}
}

static void test_options(void **state)
{
	struct remote_options options = { .endpoint = "file://" };
	struct remote_why why;
	struct remote *remote;

	assert_int_equal(remote_create(&options, &remote, &why), -EINVAL);
	options.folder = "relative";
	assert_int_equal(remote_create(&options, &remote, &why), -EINVAL);
	options.folder = "/tmp";
	options.endpoint = "file://host";
	assert_int_equal(remote_create(&options, &remote, &why), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
