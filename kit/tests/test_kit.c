/* The repo and the node: making, opening, refusing to open, config, pins, blocks, verifying. */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <kit/call.h>
#include <kit/problem.h>
#include <sys/stat.h>
#include <unistd.h>

static int overwrite(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	CHECK(file);
	CHECK(fputs(text, file) >= 0);
	return fclose(file);
}

static int slurp(const char *path, char *out, size_t cap)
{
	FILE *file = fopen(path, "re");

	CHECK(file);
	size_t n = fread(out, 1, cap - 1, file);
	out[n] = 0;
	fclose(file);
	return 0;
}

/* ---- Opening ---- */

static int check_open(struct scene *scene)
{
	static const struct kit_options no_wait = { .no_wait = true };
	char error[256], id[128], path[128];
	struct kit_node *other;
	struct stat st;

	snprintf(id, sizeof(id), "%s", kit_peer_id(scene->node));
	CHECK(!strncmp(id, "12D3Koo", 7));
	CHECK(!kit_is_online(scene->node));
	CHECK_RC(-EBUSY, kit_open(scene->repo, &no_wait, &other, error, sizeof(error)));
	CHECK(!other && strstr(error, scene->repo) && strstr(error, "no API"));
	snprintf(path, sizeof(path), "%s/api", scene->repo);
	CHECK_RC(0, overwrite(path, "/ip4/127.0.0.1/tcp/5001\n"));
	CHECK_RC(-EBUSY, kit_open(scene->repo, NULL, &other, error, sizeof(error)));
	CHECK(!other &&
		strstr(error, "in use by a daemon; call its API at /ip4/127.0.0.1/tcp/5001,"));
	CHECK_RC(-EEXIST, kit_init(scene->repo, NULL));
	CHECK_RC(0, scene_reopen(scene));
	CHECK(!strcmp(id, kit_peer_id(scene->node)));

	CHECK_RC(-ENOENT, kit_open(scene_path(scene, "none"), NULL, &other, error, sizeof(error)));
	CHECK(strstr(error, "init"));
	struct kit_options create = { .create = true };
	snprintf(path, sizeof(path), "%s", scene_path(scene, "made/here"));
	CHECK_RC(0, kit_open(path, &create, &other, error, sizeof(error)));
	CHECK_RC(0, kit_close(other));
	snprintf(path, sizeof(path), "%s", scene_path(scene, "made/here/identity"));
	CHECK(!stat(path, &st) && (st.st_mode & 0777) == 0600);
	return 0;
}

static void test_open_and_close(void **state)
{
	scene_run(check_open);
}

static int check_identity(struct scene *scene)
{
	char path[128], before[512], after[512], error[256];

	snprintf(path, sizeof(path), "%s/identity", scene->repo);
	CHECK_RC(0, kit_close(scene->node));
	scene->node = NULL;
	CHECK_RC(0, overwrite(path, "this is no key"));
	CHECK_RC(0, slurp(path, before, sizeof(before)));
	struct kit_options create = { .create = true };
	CHECK_RC(-EBADMSG, kit_open(scene->repo, NULL, &scene->node, error, sizeof(error)));
	CHECK(!scene->node && strstr(error, "identity"));
	CHECK_RC(-EBADMSG, kit_open(scene->repo, &create, &scene->node, error, sizeof(error)));
	CHECK_RC(0, slurp(path, after, sizeof(after)));
	CHECK(!strcmp(before, after));
	return 0;
}

static void test_a_damaged_identity_is_not_replaced(void **state)
{
	scene_run(check_identity);
}

static int check_version(struct scene *scene)
{
	char path[128], error[256];

	snprintf(path, sizeof(path), "%s/version", scene->repo);
	CHECK_RC(0, kit_close(scene->node));
	scene->node = NULL;
	CHECK_RC(0, overwrite(path, "99\n"));
	CHECK_RC(-EPROTO, kit_open(scene->repo, NULL, &scene->node, error, sizeof(error)));
	CHECK(!scene->node && strstr(error, "99"));
	return 0;
}

static void test_another_version_is_refused(void **state)
{
	scene_run(check_version);
}

/* ---- Config ---- */

static int check_config(struct scene *scene)
{
	char error[256] = "", *value, *text, path[128];

	CHECK_RC(0, kit_config_get(scene->repo, "add.profile", &value));
	CHECK(!strcmp(value, "unixfs-v1-2025"));
	free(value);
	CHECK_RC(-ENOENT, kit_config_get(scene->repo, "no.such", &value));
	CHECK_RC(-ENOENT, kit_config_set(scene->repo, "no.such", "1", error, sizeof(error)));
	CHECK(strstr(error, "no.such"));
	CHECK_RC(-EINVAL, kit_config_set(scene->repo, "add.profile", "zip", error, sizeof(error)));
	CHECK_RC(-EINVAL,
		kit_config_set(scene->repo, "api.secret", "a\nb = c", error, sizeof(error)));

	snprintf(path, sizeof(path), "%s/config", scene->repo);
	CHECK_RC(0,
		overwrite(path, "# mine\n\n  add.profile=unixfs-v0-2015\n# last\nstore.max = 7"));
	CHECK_RC(
		0, kit_config_set(scene->repo, "add.profile", "kubo-cid-v1", error, sizeof(error)));
	CHECK_RC(0, kit_config_show(scene->repo, &text));
	CHECK(!strcmp(text, "# mine\n\nadd.profile = kubo-cid-v1\n# last\nstore.max = 7"));
	free(text);
	CHECK_RC(0, kit_config_set(scene->repo, "api.secret", "s", error, sizeof(error)));
	CHECK_RC(0, kit_config_get(scene->repo, "store.max", &value));
	CHECK(!strcmp(value, "7"));
	free(value);
	CHECK_RC(0, kit_config_get(scene->repo, "api.secret", &value));
	CHECK(!strcmp(value, "s"));
	free(value);

	CHECK_RC(0, overwrite(path, "add.profile = unixfs-v1-2025\nwhat is this\n"));
	CHECK_RC(-EBADMSG, scene_reopen(scene));
	return 0;
}

static uint64_t store_max(struct scene *scene)
{
	struct kit_repo_stat stat;

	CHECK_RC(0, kit_repo_stat(scene->node, &stat));
	return stat.max_bytes;
}

/* The file is read when it has changed, and only then: a change that nothing tells of is not seen. */
static int check_config_cache(struct scene *scene)
{
	char error[256], path[128];
	struct stat before;

	snprintf(path, sizeof(path), "%s/config", scene->repo);
	CHECK_RC(0, kit_config_set(scene->repo, "store.max", "12345", error, sizeof(error)));
	CHECK(store_max(scene) == 12345);
	CHECK(stat(path, &before) == 0);

	int fd = open(path, O_WRONLY);
	struct timespec times[2] = { before.st_atim, before.st_mtim };
	CHECK(fd >= 0 && pwrite(fd, "not a config", 12, 0) == 12);
	CHECK(futimens(fd, times) == 0 && close(fd) == 0);
	CHECK(store_max(scene) == 12345);

	/* As when another process writes it. */
	CHECK_RC(0, overwrite(path, "store.max = 7\n"));
	CHECK(store_max(scene) == 7);
	CHECK_RC(0, overwrite(path, "what is this\n"));
	struct kit_repo_stat none;
	CHECK_RC(-EBADMSG, kit_repo_stat(scene->node, &none));
	CHECK(strstr(kit_error_text(scene->node), "what is this"));
	CHECK_RC(0, overwrite(path, ""));
	CHECK(store_max(scene) == 0);
	return 0;
}

static void test_config_is_read_when_it_changes(void **state)
{
	scene_run(check_config_cache);
}

static void test_config_keeps_comments(void **state)
{
	scene_run(check_config);
}

/* ---- Blocks and pins ---- */

static int check_blocks(struct scene *scene)
{
	static const char hello[] = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq";
	static const char absent[] = "bafkreic2b3br3kue7itwm3nfnlzftojvccdlxifzvnfkmad6hzx3dbtli4";
	struct mf_cid cid;
	char text[MF_CID_TEXT_MAX];
	size_t len = 0;
	void *data;

	CHECK_RC(0,
		kit_block_put(
			scene->node, MF_CODEC_RAW, MF_HASH_SHA2_256, 1, "hello", 5, true, &cid));
	mf_cid_format(&cid, text, sizeof(text));
	CHECK(!strcmp(text, hello));
	CHECK_RC(0, kit_block_get(scene->node, text, &data, &len));
	CHECK(len == 5 && !memcmp(data, "hello", 5));
	free(data);
	CHECK_RC(0, kit_block_stat(scene->node, text, &cid, &len));
	CHECK(len == 5);
	CHECK_RC(-ENOENT, kit_block_get(scene->node, absent, &data, &len));
	CHECK(!data && strstr(kit_error_text(scene->node), "offline"));
	CHECK_RC(-EINVAL, kit_block_get(scene->node, "bafynonsense", &data, &len));
	CHECK_RC(-EINVAL,
		kit_block_put(
			scene->node, MF_CODEC_RAW, MF_HASH_SHA2_256, 0, "hello", 5, false, &cid));
	CHECK_RC(-EBADMSG,
		kit_block_put(scene->node, MF_CODEC_DAG_PB, MF_HASH_SHA2_256, 1, "hello", 5, false,
			&cid));

	size_t large = (2u << 20) + 1;
	char *much = calloc(1, large);
	CHECK(much);
	CHECK_RC(-EMSGSIZE,
		kit_block_put(
			scene->node, MF_CODEC_RAW, MF_HASH_SHA2_256, 1, much, large, false, &cid));
	CHECK_RC(0,
		kit_block_put(scene->node, MF_CODEC_RAW, MF_HASH_SHA2_256, 1, much, large - 1,
			false, &cid));
	free(much);
	return 0;
}

static void test_blocks(void **state)
{
	scene_run(check_blocks);
}

struct pins {
	unsigned recursive, direct;
};

static int count_pin(void *arg, const struct kit_pin *pin)
{
	struct pins *pins = arg;

	if (pin->recursive)
		pins->recursive++;
	else
		pins->direct++;
	return 0;
}

static int check_pins(struct scene *scene)
{
	char root[MF_CID_TEXT_MAX], inside[MF_CID_TEXT_MAX + 8];
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	struct pins pins = { 0 };
	struct mf_cid cid;

	options.recursive = options.no_pin = true;
	CHECK_RC(0, make_tree(scene_path(scene, "tree")));
	CHECK_RC(0, add_text(scene->node, scene_path(scene, "tree"), &options, root));
	CHECK_RC(0, kit_pin_ls(scene->node, count_pin, &pins));
	CHECK(pins.recursive == 0 && pins.direct == 0);
	snprintf(inside, sizeof(inside), "%s/sub/b", root);
	CHECK_RC(0, kit_pin_add(scene->node, inside, false, &cid));
	CHECK_RC(0, kit_pin_add(scene->node, root, true, &cid));
	CHECK_RC(-EEXIST, kit_pin_add(scene->node, root, false, &cid));
	CHECK_RC(0, scene_reopen(scene));
	CHECK_RC(0, kit_pin_ls(scene->node, count_pin, &pins));
	CHECK(pins.recursive == 1 && pins.direct == 1);
	CHECK_RC(0, kit_pin_rm(scene->node, inside, &cid));
	CHECK_RC(-ENOENT, kit_pin_rm(scene->node, inside, &cid));
	CHECK_RC(-ENOENT,
		kit_pin_add(scene->node,
			"bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq", true, &cid));
	CHECK_RC(0, kit_repo_verify(scene->node, &(struct kit_verify_options){ 0 }));
	return 0;
}

static void test_pins(void **state)
{
	scene_run(check_pins);
}

/* ---- Verifying ---- */

static int flip_byte(const char *repo)
{
	char path[400];
	struct dirent *entry;
	int rc = -ENOENT;

	snprintf(path, sizeof(path), "%s/segments", repo);
	DIR *dir = opendir(path);
	CHECK(dir);
	while (rc && (entry = readdir(dir))) {
		uint8_t byte;
		int fd;
		if (!strstr(entry->d_name, ".car"))
			continue;
		snprintf(path, sizeof(path), "%s/segments/%s", repo, entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		CHECK(fd >= 0);
		CHECK(pread(fd, &byte, 1, 100000) == 1);
		byte ^= 4;
		CHECK(pwrite(fd, &byte, 1, 100000) == 1);
		close(fd);
		rc = 0;
	}
	closedir(dir);
	return rc;
}

static int on_problem(void *arg, const struct kit_problem *problem)
{
	CHECK(*problem->text && *problem->kind);
	++*(unsigned *)arg;
	return 0;
}

static int check_verify(struct scene *scene)
{
	char root[MF_CID_TEXT_MAX];
	unsigned problems = 0;
	struct kit_verify_options options = { .problem = on_problem, .arg = &problems };
	struct bytes out;

	CHECK_RC(0, make_file(scene_path(scene, "file"), 1, 1000000));
	CHECK_RC(0, add_text(scene->node, scene_path(scene, "file"), NULL, root));
	CHECK_RC(0, kit_repo_verify(scene->node, &options));
	CHECK_RC(0, kit_close(scene->node));
	scene->node = NULL;
	CHECK_RC(0, flip_byte(scene->repo));
	CHECK_RC(0, scene_reopen(scene));
	CHECK_RC(-EUCLEAN, kit_repo_verify(scene->node, &options));
	CHECK(problems > 0);
	/* Never handed out as good; and adding the file again mends it. */
	bytes_init(&out);
	CHECK(kit_cat(scene->node, root, 0, UINT64_MAX, &out.sink) < 0);
	CHECK_RC(0, add_text(scene->node, scene_path(scene, "file"), NULL, root));
	CHECK_RC(0, kit_cat(scene->node, root, 0, UINT64_MAX, &out.sink));
	CHECK(out.len == 1000000);
	bytes_free(&out);
	return 0;
}

static void test_one_flipped_byte_is_found(void **state)
{
	scene_run(check_verify);
}

/* ---- Values ---- */

static void test_truths_and_times(void **state)
{
	static const struct {
		const char *text;
		anyio_time time; /* -1: none */
	} times[] = { { "90", 90000000000 }, { "1m30s", 90000000000 }, { "1.5", 1500000000 },
		{ "250ms", 250000000 }, { "1h0.5s", 3600500000000 }, { "2us", 2000 },
		{ "2µs", 2000 }, { "7ns", 7 }, { "0", 0 }, { "-4s", 0 }, { "+4s", 4000000000 },
		{ "", -1 }, { "-", -1 }, { "1m30", -1 }, { "s", -1 }, { "1.2.3s", -1 },
		{ "1e3", -1 }, { "0x1s", -1 }, { " 1s", -1 }, { "1s ", -1 }, { "9000000001", -1 },
		{ "soon", -1 }, { "nan", -1 }, { "inf", -1 } };
	static const char *const yes[] = { "", "1", "t", "true", "TRUE", "yes" };
	static const char *const no[] = { "0", "f", "false", "False", "no" };

	static const struct {
		const char *text;
		int64_t bytes; /* -1: refused */
	} sizes[] = { { "0", 0 }, { "4096", 4096 }, { "64MiB", 64 << 20 }, { "1.5K", 1536 },
		{ "2GB", 2000000000 }, { "7B", 7 }, { "", -1 }, { "MiB", -1 }, { "-1", -1 },
		{ "10mb", 10000000 }, { "10gib", 10LL << 30 }, { "10 GB", 10000000000 },
		{ "1 K", 1024 }, { "1k", 1024 }, { "1  K", -1 }, { "1 ", -1 }, { " 1", -1 },
		{ "1 KX", -1 }, { "1e3", -1 }, { "99999999TiB", -1 }, { "lots", -1 } };
	static const struct {
		const char *text;
		anyio_time within; /* -1: refused */
	} modes[] = { { "durable", 0 }, { "none", ANYIO_FOREVER },
		{ "batched", 100 * ANYIO_MILLISECOND }, { "batched:2s", 2 * ANYIO_SECOND },
		{ "", -1 }, { "batched:", -1 }, { "batched:soon", -1 }, { "Durable", -1 } };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint64_t bytes = 1;
		int rc = kit_size_parse(sizes[i].text, &bytes);
		assert_int_equal(rc, sizes[i].bytes < 0 ? -EINVAL : 0);
		assert_true(rc || bytes == (uint64_t)sizes[i].bytes);
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		anyio_time within = -1;
		int rc = kit_durability_parse(modes[i].text, &within);
		assert_int_equal(rc, modes[i].within < 0 ? -EINVAL : 0);
		assert_true(rc || within == modes[i].within);
	}
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
		anyio_time time = -1;
		int rc = kit_time_parse(times[i].text, &time);
		assert_int_equal(rc, times[i].time < 0 ? -EINVAL : 0);
		assert_int_equal(time, times[i].time);
	}
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++) {
		bool truth = false;
		assert_int_equal(kit_truth_parse(yes[i], &truth), 0);
		assert_true(truth);
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++) {
		bool truth = true;
		assert_int_equal(kit_truth_parse(no[i], &truth), 0);
		assert_false(truth);
	}
	bool truth = true;
	assert_int_equal(kit_truth_parse("maybe", &truth), -EINVAL);
	assert_true(truth);
}

static int ignore(void *arg, const char *json, size_t len)
{
	return 0;
}

static int count_recursive(void *arg, const struct kit_pin *pin)
{
	*(int *)arg += pin->recursive;
	return 0;
}

/* A flag of a call is read as any other, and one that is none is refused. */
static int check_flags(struct scene *scene)
{
	struct kit_call_option options[2] = { { "recursive", "no" } };
	char root[MF_CID_TEXT_MAX];
	const char *args[] = { root, NULL };
	struct kit_call call = {
		.command = "pin/add", .args = args, .options = options, .answer = ignore
	};
	struct kit_add_options adding = KIT_ADD_DEFAULTS;
	int recursive = 0;

	adding.no_pin = true;
	CHECK_RC(0, make_file(scene_path(scene, "file"), 1, 1000));
	CHECK_RC(0, add_text(scene->node, scene_path(scene, "file"), &adding, root));
	CHECK_RC(0, kit_call_run(scene->node, &call));
	CHECK_RC(0, kit_pin_ls(scene->node, count_recursive, &recursive));
	CHECK(recursive == 0);
	options[0].value = "maybe";
	CHECK_RC(-EINVAL, kit_call_run(scene->node, &call));
	CHECK(strstr(kit_error_text(scene->node), "recursive") &&
		strstr(kit_error_text(scene->node), "maybe"));
	options[0].value = "yes";
	CHECK_RC(0, kit_call_run(scene->node, &call));
	CHECK_RC(0, kit_pin_ls(scene->node, count_recursive, &recursive));
	CHECK(recursive == 1);
	return 0;
}

static void test_flags_of_a_call(void **state)
{
	scene_run(check_flags);
}

/* ---- Paths ---- */

static void test_last_names(void **state)
{
	static const struct {
		const char *path;
		size_t before;
		const char *name;
	} paths[] = { { "a", 0, "a" }, { "a/", 0, "a" }, { "/a/b", 3, "b" }, { "a//b///", 3, "b" },
		{ "..", 0, ".." }, { "/", 1, "" }, { "///", 1, "" }, { "", 0, "" } };

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		size_t len;
		const char *name = kit_last_name(paths[i].path, &len);
		assert_int_equal(name - paths[i].path, paths[i].before);
		assert_int_equal(len, strlen(paths[i].name));
		assert_memory_equal(name, paths[i].name, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_and_close),
		cmocka_unit_test(test_a_damaged_identity_is_not_replaced),
		cmocka_unit_test(test_another_version_is_refused),
		cmocka_unit_test(test_config_keeps_comments),
		cmocka_unit_test(test_config_is_read_when_it_changes),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_one_flipped_byte_is_found),
		cmocka_unit_test(test_truths_and_times),
		cmocka_unit_test(test_flags_of_a_call),
		cmocka_unit_test(test_last_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
