/* Reading back: ranges, trees on disk, archives. And that nothing is written outside. */
#include "support.h"

#include <sys/stat.h>
#include <unistd.h>

static int check_ranges(struct scene *scene)
{
	static const uint64_t points[] = { 0, 1, 255, 256, 257, 44000, 44544, 44545, 50000 };
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	enum { SIZE = 44545, POINTS = sizeof(points) / sizeof(*points) };
	static uint8_t whole[SIZE];
	char root[MF_CID_TEXT_MAX];
	struct bytes out;

	fill_bytes(28, whole, SIZE);
	options.chunker = "size-256";
	CHECK_RC(0, make_file(scene_path(scene, "file"), 28, SIZE));
	CHECK_RC(0, add_text(scene->node, scene_path(scene, "file"), &options, root));
	bytes_init(&out);
	for (size_t i = 0; i < POINTS; i++)
		for (size_t j = 0; j <= POINTS; j++) {
			uint64_t at = points[i] < SIZE ? points[i] : SIZE, left = SIZE - at;
			uint64_t len = j == POINTS ? UINT64_MAX : points[j];
			out.len = 0;
			CHECK_RC(0, kit_cat(scene->node, root, points[i], len, &out.sink));
			CHECK(out.len == (len < left ? len : left));
			CHECK(!out.len || !memcmp(out.data, whole + at, out.len));
		}
	bytes_free(&out);
	return 0;
}

static void test_ranges(void **state)
{
	scene_run(check_ranges);
}

static int add_hidden(struct scene *scene, const char *path, char *root)
{
	struct kit_add_options options = KIT_ADD_DEFAULTS;

	options.recursive = options.hidden = true;
	return add_text(scene->node, path, &options, root);
}

static int check_tree(struct scene *scene)
{
	char root[MF_CID_TEXT_MAX], path[MF_CID_TEXT_MAX + 16];
	struct bytes bytes;

	CHECK_RC(0, make_tree(scene_path(scene, "tree")));
	CHECK_RC(0, add_hidden(scene, scene_path(scene, "tree"), root));
	CHECK_RC(0, kit_get(scene->node, root, scene_path(scene, "out"), NULL));
	CHECK_RC(0, compare_trees(scene_path(scene, "tree"), scene_path(scene, "out")));
	snprintf(path, sizeof(path), "/ipfs/%s/sub/b", root);
	CHECK_RC(0, kit_get(scene->node, path, scene_path(scene, "b"), NULL));
	CHECK_RC(0, compare_trees(scene_path(scene, "tree/sub/b"), scene_path(scene, "b")));
	bytes_init(&bytes);
	CHECK_RC(-EISDIR, kit_cat(scene->node, root, 0, UINT64_MAX, &bytes.sink));
	snprintf(path, sizeof(path), "%s/none", root);
	CHECK_RC(-ENOENT, kit_cat(scene->node, path, 0, UINT64_MAX, &bytes.sink));
	snprintf(path, sizeof(path), "%s/a", root);
	CHECK_RC(0, kit_cat(scene->node, path, 0, UINT64_MAX, &bytes.sink));
	CHECK(bytes.len == 100);
	bytes_free(&bytes);
	return 0;
}

static void test_a_tree_comes_back(void **state)
{
	scene_run(check_tree);
}

static int write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	CHECK(file);
	fputs(text, file);
	return fclose(file);
}

/* What stands in the way stays as it is, and links are not followed. */
static int check_in_the_way(struct scene *scene)
{
	struct kit_get_options force = { .overwrite = true };
	char root[MF_CID_TEXT_MAX];
	struct stat st;

	CHECK_RC(0, make_tree(scene_path(scene, "tree")));
	CHECK_RC(0, add_text(scene->node, scene_path(scene, "tree"), NULL, root));
	/* A file where the folder should be. */
	CHECK_RC(0, write_text(scene_path(scene, "out"), "mine"));
	CHECK_RC(-EEXIST, kit_get(scene->node, root, scene_path(scene, "out"), NULL));
	CHECK(!stat(scene_path(scene, "out"), &st) && st.st_size == 4);
	CHECK(!unlink(scene_path(scene, "out")));
	/* A folder where a file should be: not even by force. */
	CHECK(!mkdir(scene_path(scene, "out"), 0755) && !mkdir(scene_path(scene, "out/a"), 0755));
	CHECK_RC(-EEXIST, kit_get(scene->node, root, scene_path(scene, "out"), &force));
	CHECK(!rmdir(scene_path(scene, "out/a")));
	/* A symlink to a folder outside, in the place of a folder. */
	CHECK(!mkdir(scene_path(scene, "outside"), 0755));
	CHECK(!symlink("../outside", scene_path(scene, "out/sub")));
	CHECK(kit_get(scene->node, root, scene_path(scene, "out"), NULL) < 0);
	CHECK(!rmdir(scene_path(scene, "outside")));
	CHECK(!unlink(scene_path(scene, "out/sub")));
	/* A symlink to a file outside, in the place of a file: replaced by force, never written to. */
	remove_tree(scene_path(scene, "out"));
	CHECK(!mkdir(scene_path(scene, "out"), 0755));
	CHECK_RC(0, write_text(scene_path(scene, "victim"), "mine"));
	CHECK(!symlink("../victim", scene_path(scene, "out/a")));
	CHECK_RC(-EEXIST, kit_get(scene->node, root, scene_path(scene, "out"), NULL));
	CHECK_RC(0, kit_get(scene->node, root, scene_path(scene, "out"), &force));
	CHECK(!stat(scene_path(scene, "victim"), &st) && st.st_size == 4);
	CHECK(!lstat(scene_path(scene, "out/a"), &st) && S_ISREG(st.st_mode) && st.st_size == 100);
	/* A pipe or device in the place of a folder: not even by force. */
	CHECK(!mkfifo(scene_path(scene, "pipe"), 0600));
	CHECK_RC(-EEXIST, kit_get(scene->node, root, scene_path(scene, "pipe"), &force));
	CHECK(!lstat(scene_path(scene, "pipe"), &st) && S_ISFIFO(st.st_mode));
	return 0;
}

static void test_what_is_in_the_way_stays(void **state)
{
	scene_run(check_in_the_way);
}

/* A dag-pb folder with one entry of a name that no honest maker gives. */
static int put_folder(
	struct kit_node *node, const char *name, size_t len, const struct mf_cid *child, char *text)
{
	uint8_t bytes[MF_CID_BYTES_MAX], block[1024], *p = block;
	struct mf_cid cid;
	ssize_t cid_len = mf_cid_encode(child, bytes, sizeof(bytes));

	CHECK(cid_len > 0 && cid_len < 100 && len < 120);
	*p++ = 0x12; /* links: */
	*p++ = (uint8_t)(2 + (size_t)cid_len + 2 + len + 2);
	*p++ = 0x0a;
	*p++ = (uint8_t)cid_len;
	memcpy(p, bytes, (size_t)cid_len);
	p += cid_len;
	*p++ = 0x12;
	*p++ = (uint8_t)len;
	memcpy(p, name, len);
	p += len;
	*p++ = 0x18;
	*p++ = 1;
	memcpy(p, "\x0a\x02\x08\x01", 4); /* data: a directory */
	p += 4;
	CHECK_RC(0,
		kit_block_put(node, MF_CODEC_DAG_PB, MF_HASH_SHA2_256, 1, block,
			(size_t)(p - block), false, &cid));
	mf_cid_format(&cid, text, MF_CID_TEXT_MAX);
	return 0;
}

static int check_names(struct scene *scene)
{
	static const struct {
		const char *name;
		size_t len;
	} bad[] = { { "..", 2 }, { ".", 1 }, { "a/b", 3 }, { "/etc", 4 }, { "../x", 4 },
		{ "a\0b", 3 } };
	char root[MF_CID_TEXT_MAX];
	struct bytes tar;
	struct mf_cid leaf;

	CHECK_RC(0,
		kit_block_put(
			scene->node, MF_CODEC_RAW, MF_HASH_SHA2_256, 1, "evil", 4, false, &leaf));
	bytes_init(&tar);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		remove_tree(scene_path(scene, "in"));
		CHECK(!mkdir(scene_path(scene, "in"), 0755));
		CHECK_RC(0, put_folder(scene->node, bad[i].name, bad[i].len, &leaf, root));
		int rc = kit_get(scene->node, root, scene_path(scene, "in/out"), NULL);
		if (rc != -EBADMSG)
			print_error("the name '%s'\n", bad[i].name);
		CHECK_RC(-EBADMSG, rc);
		CHECK_RC(-EBADMSG, kit_get_tar(scene->node, root, &tar.sink));
		CHECK(access(scene_path(scene, "in/x"), F_OK) &&
			access(scene_path(scene, "in/out/b"), F_OK));
		CHECK(!rmdir(scene_path(scene, "in/out")) && !rmdir(scene_path(scene, "in")));
	}
	bytes_free(&tar);
	return 0;
}

static void test_names_that_would_leave(void **state)
{
	scene_run(check_names);
}

/* ---- What a reader holds of its room ---- */

enum { ROOM = 8 << 20, NAMES = 900, NAME_LEN = 80, FOLDER_LEAST = NAMES * NAME_LEN };

struct roomy {
	struct kit_room *room;
	size_t around, within, after; /* held at an entry before, in and after the folder inside */
	struct kit_sink sink;
};

/* Who would have to wait is cancelled already. */
static size_t held_of(struct kit_room *room)
{
	size_t low = 0, high = ROOM;

	while (low < high) {
		size_t mine = 0, middle = (low + high + 1) / 2;
		struct anyio_cancel_scope scope;
		anyio_cancel_scope_init(&scope);
		anyio_cancel_scope_cancel(&scope, "not at once");
		anyio_cancel_scope_enter(&scope);
		int rc = kit_room_hold(room, &mine, middle);
		anyio_cancel_scope_exit(&scope, rc);
		if (!rc)
			kit_room_hold(room, &mine, 0);
		low = rc ? low : middle;
		high = rc ? middle - 1 : high;
	}
	return ROOM - low;
}

static int on_tar(void *arg, const void *data, size_t len)
{
	struct roomy *roomy = arg;

	if (len >= 8 && !memcmp(data, "out/a00", 7))
		roomy->around = held_of(roomy->room);
	if (len >= 8 && !memcmp(data, "out/m/b", 7))
		roomy->within = held_of(roomy->room);
	if (len >= 8 && !memcmp(data, "out/z00", 7))
		roomy->after = held_of(roomy->room);
	return 0;
}

static ssize_t read_nothing(void *arg, void *buffer, size_t size)
{
	return 0;
}

static int put_empty(struct kit_adder *adder, const char *folder, char letter, unsigned number)
{
	struct kit_source source = { read_nothing, NULL };
	char path[200];

	snprintf(path, sizeof(path), "%s%c%0*u", folder, letter, NAME_LEN - 1, number);
	return kit_adder_file(adder, path, &source);
}

static int check_room(struct scene *scene)
{
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	struct kit_node *handle;
	struct kit_adder *adder;
	struct mf_cid cid;
	char path[MF_CID_TEXT_MAX + 8];
	struct roomy roomy = { .sink = { on_tar, &roomy } };

	options.wrap = true;
	CHECK_RC(0, kit_adder_begin(scene->node, &options, &adder));
	for (unsigned i = 0; i < NAMES; i++) {
		CHECK_RC(0, put_empty(adder, "out/", i % 2 ? 'a' : 'z', i));
		CHECK_RC(0, put_empty(adder, "out/m/", 'b', i));
	}
	CHECK_RC(0, kit_adder_finish(adder, &cid));
	mf_cid_format(&cid, path, sizeof(path));
	strcat(path, "/out");
	CHECK_RC(0, kit_room_create(ROOM, &roomy.room));
	CHECK_RC(0, kit_share(scene->node, &handle));
	kit_limit(handle, roomy.room);
	CHECK_RC(0, kit_get_tar(handle, path, &roomy.sink));
	print_message("          held %zu, then %zu, then %zu\n", roomy.around, roomy.within,
		roomy.after);
	CHECK(roomy.around >= FOLDER_LEAST);
	CHECK(roomy.within >= roomy.around + FOLDER_LEAST);
	CHECK(roomy.after == roomy.around);
	CHECK(held_of(roomy.room) == 0);
	kit_unshare(handle);
	kit_room_free(roomy.room);
	return 0;
}

/* Each folder on the way down counts, until it ends. */
static void test_nested_folders_count(void **state)
{
	scene_run(check_room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_a_tree_comes_back),
		cmocka_unit_test(test_what_is_in_the_way_stays),
		cmocka_unit_test(test_names_that_would_leave),
		cmocka_unit_test(test_nested_folders_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
