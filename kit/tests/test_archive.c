/* Archives in and out: tar as `get` over the RPC uses it, CAR; and hostile ones of both. */
#include "support.h"
#include "../../tests/fixtures.h"

#include <ipld/car.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Tar ---- */

/* One header of a hand-made archive; its data, padded, follows. */
static void tar_entry(
	struct bytes *tar, const char *name, char type, const char *link, const char *data)
{
	char block[512] = { 0 };
	unsigned sum = 0;
	size_t len = strlen(data);

	memcpy(block, name, strnlen(name, 100));
	memcpy(block + 100, "0000644", 8);
	snprintf(block + 124, 12, "%011o", (unsigned)len);
	memset(block + 148, ' ', 8);
	block[156] = type;
	memcpy(block + 157, link, strnlen(link, 100));
	memcpy(block + 257, "ustar\00000", 8);
	for (size_t i = 0; i < sizeof(block); i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 8, "%06o", sum);
	bytes_append(tar, block, sizeof(block));
	memset(block, 0, sizeof(block));
	bytes_append(tar, data, len);
	bytes_append(tar, block, (512 - len % 512) % 512);
}

static void tar_end(struct bytes *tar)
{
	static const char zeros[1024];

	bytes_append(tar, zeros, sizeof(zeros));
	tar->at = 0;
}

static int untar(struct scene *scene, struct bytes *tar, const char *output)
{
	tar->at = 0;
	return kit_untar(&tar->source, scene_path(scene, output), NULL);
}

static int check_long_names(struct scene *scene)
{
	char root[MF_CID_TEXT_MAX], at[4096], part[208], target[300];
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	struct bytes tar;

	options.recursive = options.hidden = true;
	CHECK_RC(0, make_tree(scene_path(scene, "tree")));
	memset(part, 'p', 200);
	part[200] = 0;
	snprintf(at, sizeof(at), "%s", scene_path(scene, "tree"));
	for (int depth = 0; depth < 3; depth++) {
		size_t len = strlen(at);
		snprintf(at + len, sizeof(at) - len, "/%s", part);
		CHECK(!mkdir(at, 0755));
	}
	strcat(at, "/file");
	CHECK_RC(0, make_file(at, 5, 1234));
	memset(target, 't', 299);
	target[299] = 0;
	strcpy(strrchr(at, '/'), "/link");
	CHECK(!symlink(target, at));
	CHECK_RC(0, add_text(scene->node, scene_path(scene, "tree"), &options, root));

	bytes_init(&tar);
	CHECK_RC(0, kit_get_tar(scene->node, root, &tar.sink));
	CHECK(tar.len % 512 == 0);
	tar.step = 1000;
	CHECK_RC(0, untar(scene, &tar, "out"));
	CHECK_RC(0, compare_trees(scene_path(scene, "tree"), scene_path(scene, "out")));
	/* The system's own tar reads it too. */
	FILE *file = fopen(scene_path(scene, "a.tar"), "we");
	CHECK(file && fwrite(tar.data, 1, tar.len, file) == tar.len && !fclose(file));
	snprintf(at, sizeof(at), "cd %s && tar xf a.tar && mv %s theirs", scene->dir, root);
	CHECK(!system(at));
	CHECK_RC(0, compare_trees(scene_path(scene, "tree"), scene_path(scene, "theirs")));
	bytes_free(&tar);
	return 0;
}

static void test_long_names(void **state)
{
	scene_run(check_long_names);
}

static int check_hostile_tars(struct scene *scene)
{
	static const struct {
		const char *name, *link, *data;
		char type;
	} bad[] = { { "/etc/passwd", "", "x", '0' }, { "../out", "", "x", '0' },
		{ "root/../../out", "", "x", '0' }, { "root/./x", "", "x", '0' },
		{ "other/x", "", "x", '0' }, { "root/hard", "root/a", "", '1' },
		{ "root/device", "", "", '3' }, { "root/pipe", "", "", '6' }, { "", "", "x", '0' },
		{ "root", "", "", '5' }, { "root/", "", "", '5' }, { "root", "", "x", '0' },
		{ "root", "a", "", '2' }, { "root/none/x", "", "x", '0' } };
	struct bytes tar;

	CHECK(!mkdir(scene_path(scene, "in"), 0755));
	bytes_init(&tar);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		remove_tree(scene_path(scene, "in/out"));
		tar.len = 0;
		tar_entry(&tar, "root", '5', "", "");
		tar_entry(&tar, bad[i].name, bad[i].type, bad[i].link, bad[i].data);
		tar_end(&tar);
		int rc = untar(scene, &tar, "in/out");
		if (rc != -EBADMSG)
			print_error("the entry '%s': %d\n", bad[i].name, rc);
		CHECK_RC(-EBADMSG, rc);
		CHECK(!rmdir(scene_path(scene, "in/out")));
	}
	CHECK(!rmdir(scene_path(scene, "in")));

	/* A symlink out, then a file through it. */
	tar.len = 0;
	tar_entry(&tar, "root", '5', "", "");
	tar_entry(&tar, "root/up", '2', "..", "");
	tar_entry(&tar, "root/up/escaped", '0', "", "x");
	tar_end(&tar);
	CHECK(untar(scene, &tar, "through") < 0);
	CHECK(access(scene_path(scene, "escaped"), F_OK));

	/* The root is told once, and first: nothing is put where the archive itself has put something. */
	for (size_t i = 0; i < 3; i++) {
		tar.len = 0;
		if (i < 2)
			tar_entry(&tar, "root", i ? '2' : '0', "pipe", "");
		tar_entry(&tar, i == 2 ? "root/x" : i ? "root" : "root/", '0', "", "x");
		tar_end(&tar);
		remove_tree(scene_path(scene, "twice"));
		CHECK_RC(-EBADMSG, untar(scene, &tar, "twice"));
	}

	/* A wrong checksum, and the archive cut at every length. */
	tar.len = 0;
	tar_entry(&tar, "root", '5', "", "");
	tar_entry(&tar, "root/a", '0', "", "content");
	tar_end(&tar);
	tar.data[512 + 3] ^= 1;
	CHECK_RC(-EBADMSG, untar(scene, &tar, "sum"));
	tar.data[512 + 3] ^= 1;
	for (size_t len = tar.len; len-- > 0;) {
		struct bytes part = tar;
		part.len = len;
		part.source.arg = &part;
		remove_tree(scene_path(scene, "cut"));
		int rc = untar(scene, &part, "cut");
		CHECK(rc < 0 || len >= 3 * 512 + 512);
	}
	bytes_free(&tar);
	return 0;
}

static void test_hostile_tars(void **state)
{
	scene_run(check_hostile_tars);
}

/* ---- CAR ---- */

static int one_root(void *arg, const struct mf_cid *cid, int pin_error)
{
	mf_cid_format(cid, arg, MF_CID_TEXT_MAX);
	return pin_error;
}

static int import(
	struct kit_node *node, struct bytes *car, char *root, struct kit_imported *imported)
{
	struct kit_import_options options = { .root = one_root, .arg = root };

	car->at = 0;
	return kit_dag_import(node, &car->source, &options, imported);
}

static int open_other(struct scene *scene, const char *name, struct kit_node **node)
{
	struct kit_options options = { .create = true };
	char error[256];

	return kit_open(scene_path(scene, name), &options, node, error, sizeof(error));
}

static int check_car(struct scene *scene)
{
	char root[MF_CID_TEXT_MAX], told[MF_CID_TEXT_MAX];
	struct kit_node *other;
	struct bytes car, again;
	struct kit_imported imported = { 0 };

	CHECK_RC(0, make_tree(scene_path(scene, "tree")));
	CHECK_RC(0, add_text(scene->node, scene_path(scene, "tree"), NULL, root));
	bytes_init(&car);
	bytes_init(&again);
	CHECK_RC(0, kit_dag_export(scene->node, root, &car.sink, NULL, NULL));
	CHECK_RC(0, open_other(scene, "other", &other));
	car.step = 999;
	CHECK_RC(0, import(other, &car, told, &imported));
	CHECK(!strcmp(root, told) && imported.blocks > 4);
	CHECK_RC(0, kit_dag_export(other, root, &again.sink, NULL, NULL));
	CHECK(car.len == again.len && !memcmp(car.data, again.data, car.len));
	CHECK_RC(0, kit_get(other, root, scene_path(scene, "out"), NULL));
	CHECK_RC(0, kit_repo_verify(other, &(struct kit_verify_options){ 0 }));
	CHECK_RC(0, kit_close(other));

	/* One flipped bit in what a block holds, and every cut, is refused. What is flipped in a CID's
	 * codec is harmless: blocks are known by their multihashes. Nothing untrue gets in. */
	CHECK_RC(0, open_other(scene, "third", &other));
	struct kit_import_options no_pin = { .no_pin = true };
	for (size_t at = 0; at < car.len; at += at < 700 ? 1 : 9973) {
		car.data[at] ^= 1;
		car.at = 0;
		int rc = kit_dag_import(other, &car.source, &no_pin, &imported);
		car.data[at] ^= 1;
		CHECK(rc < 0 || at < 700);
		struct bytes cut = car;
		cut.len = at;
		cut.source.arg = &cut;
		cut.at = 0;
		rc = kit_dag_import(other, &cut.source, &no_pin, &imported);
		CHECK(rc < 0 || at > 40);
	}
	CHECK_RC(0, kit_repo_verify(other, &(struct kit_verify_options){ 0 }));
	CHECK_RC(0, kit_close(other));
	bytes_free(&car);
	bytes_free(&again);
	return 0;
}

static void test_car_round_trip(void **state)
{
	scene_run(check_car);
}

/* ---- What is said of a bad archive ---- */

enum { GOOD = 1100, SIZE = 20000, LARGE = 36, LARGE_SIZE = 1 << 20 };

/* An archive of raw blocks, more than are put at once; gives where each starts. */
struct archive {
	int count;
	size_t size;
	struct bytes car;
	struct mf_cid cids[GOOD];
	size_t at[GOOD];
};

static int make_car(struct archive *archive)
{
	static uint8_t data[LARGE_SIZE];
	struct mf_pb_writer head = mf_pb_write_growing(128);
	struct bytes *car = &archive->car;
	struct mf_cid *cids = archive->cids;
	size_t size = archive->size;

	bytes_init(car);
	for (int i = 0; i < archive->count; i++) {
		uint8_t prefix[CAR_PREFIX_MAX];
		fill_bytes((uint64_t)i + 1, data, size);
		cids[i] = (struct mf_cid){ .version = 1,
			.codec = MF_CODEC_RAW,
			.hash = MF_HASH_SHA2_256,
			.digest_len = 32 };
		CHECK(mf_hash_digest(MF_HASH_SHA2_256, data, size, 0, cids[i].digest) == 32);
		if (i == 0) {
			car_put_header(&head, cids, 1);
			ssize_t len = mf_pb_finish(&head);
			CHECK(len > 0);
			CHECK_RC(0, bytes_append(car, head.data, (size_t)len));
		}
		archive->at[i] = car->len;
		ssize_t n = car_section_prefix(&cids[i], size, prefix, sizeof(prefix));
		CHECK(n > 0);
		CHECK_RC(0, bytes_append(car, prefix, (size_t)n));
		CHECK_RC(0, bytes_append(car, data, size));
	}
	free(head.data);
	return 0;
}

static int count_pins(void *arg, const struct kit_pin *pin)
{
	++*(int *)arg;
	return 0;
}

/* With block bad spoilt, and the archive cut at its end: what is told and what is kept. */
static int check_bad(struct scene *scene, struct archive *archive, int bad)
{
	struct bytes *car = &archive->car;
	const struct mf_cid *cids = archive->cids;
	const size_t *at = archive->at;
	char root[MF_CID_TEXT_MAX] = "", text[MF_CID_TEXT_MAX], said[512], repo[32];
	struct kit_node *other;
	struct mf_cid cid;
	struct kit_imported imported;
	size_t len;
	int pins = 0;

	snprintf(repo, sizeof(repo), "bad-%d-%d", archive->count, bad);
	CHECK_RC(0, open_other(scene, repo, &other));
	car->data[at[bad] + 1000] ^= 1;
	car->len -= 5;
	CHECK_RC(-EBADMSG, import(other, car, root, &imported));
	car->data[at[bad] + 1000] ^= 1;
	car->len += 5;
	mf_cid_format(&cids[bad], text, sizeof(text));
	snprintf(said, sizeof(said), "block %s, at byte %zu of the archive, is bad: ", text,
		at[bad]);
	CHECK(strstr(kit_error_text(other), said) &&
		strstr(kit_error_text(other), bad ? "nothing was pinned" : "nothing was imported"));
	CHECK(!*root && imported.blocks == (uint64_t)bad);
	CHECK(imported.bytes == (uint64_t)bad * archive->size);
	CHECK_RC(0, kit_pin_ls(other, count_pins, &pins));
	CHECK(pins == 0);
	for (int i = 0; i < archive->count; i++) {
		mf_cid_format(&cids[i], text, sizeof(text));
		CHECK_RC(i < bad ? 0 : -ENOENT, kit_block_stat(other, text, &cid, &len));
	}
	return kit_close(other);
}

static int check_what_is_said(struct scene *scene)
{
	static struct archive archive;
	struct bytes *car = &archive.car;
	char root[MF_CID_TEXT_MAX], said[64];
	struct kit_imported imported;

	archive.count = GOOD;
	archive.size = SIZE;
	CHECK_RC(0, make_car(&archive));
	for (int bad = 0; bad < GOOD; bad = bad * 3 + 100)
		CHECK_RC(0, check_bad(scene, &archive, bad));
	CHECK_RC(0, check_bad(scene, &archive, GOOD - 2));

	/* A length that lies, and the end of the file. */
	size_t at = archive.at[5];
	memset(car->data + at, 0xff, 3);
	CHECK(import(scene->node, car, root, &imported) < 0 && imported.blocks == 5);
	snprintf(said, sizeof(said), "in the section at byte %zu,", at);
	CHECK(strstr(kit_error_text(scene->node), said));
	car->len = at - 1;
	CHECK_RC(-EBADMSG, import(scene->node, car, root, &imported));
	snprintf(said, sizeof(said), "ends, at byte %zu,", car->len);
	CHECK(imported.blocks == 4 && strstr(kit_error_text(scene->node), said));
	bytes_free(car);
	return 0;
}

/* Blocks that are read where they belong. */
static int check_large_ones(struct scene *scene)
{
	static struct archive archive;
	struct kit_imported imported;
	char root[MF_CID_TEXT_MAX], text[MF_CID_TEXT_MAX];
	struct mf_cid cid;
	size_t len;

	archive.count = LARGE;
	archive.size = LARGE_SIZE;
	CHECK_RC(0, make_car(&archive));
	CHECK_RC(0, check_bad(scene, &archive, LARGE - 2));
	archive.car.step = 150001;
	CHECK_RC(0, import(scene->node, &archive.car, root, &imported));
	CHECK(imported.blocks == LARGE && imported.bytes == (uint64_t)LARGE * LARGE_SIZE);
	for (int i = 0; i < LARGE; i++) {
		struct bytes block;
		bytes_init(&block);
		mf_cid_format(&archive.cids[i], text, sizeof(text));
		CHECK_RC(0, kit_block_stat(scene->node, text, &cid, &len));
		CHECK(len == LARGE_SIZE);
		CHECK_RC(0, kit_cat(scene->node, text, 0, UINT64_MAX, &block.sink));
		CHECK(block.len == len &&
			!memcmp(block.data,
				archive.car.data +
					(i + 1 < LARGE ? archive.at[i + 1] : archive.car.len) - len,
				len));
		bytes_free(&block);
	}
	bytes_free(&archive.car);
	return 0;
}

static void test_what_is_said_of_a_bad_archive(void **state)
{
	scene_run(check_what_is_said);
}

static void test_large_blocks_of_an_archive(void **state)
{
	scene_run(check_large_ones);
}

/* ---- Published archives ---- */

static char published[2][4096];

static int load(const char *path, struct bytes *bytes)
{
	char buffer[4096];
	FILE *file = fopen(path, "re");
	size_t n;

	CHECK(file);
	bytes->len = 0;
	while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0)
		CHECK_RC(0, bytes_append(bytes, buffer, n));
	return fclose(file);
}

static int check_fixtures(struct scene *scene)
{
	struct kit_import_options options = { .no_pin = true };
	struct bytes car;
	struct kit_imported imported;

	bytes_init(&car);
	CHECK_RC(0, load(published[0], &car));
	CHECK_RC(0, kit_dag_import(scene->node, &car.source, &options, &imported));
	CHECK(imported.blocks == 8);
	CHECK_RC(0, load(published[1], &car));
	car.at = 0;
	CHECK_RC(0, kit_dag_import(scene->node, &car.source, &options, &imported));
	CHECK(imported.blocks == 5);
	bytes_free(&car);
	return 0;
}

static void test_published_cars(void **state)
{
	fixture_path("car/carv1-basic.car", published[0], sizeof(published[0]));
	fixture_path("car/carv2-basic.car", published[1], sizeof(published[1]));
	scene_run(check_fixtures);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_hostile_tars),
		cmocka_unit_test(test_car_round_trip),
		cmocka_unit_test(test_what_is_said_of_a_bad_archive),
		cmocka_unit_test(test_large_blocks_of_an_archive),
		cmocka_unit_test(test_published_cars),
	};

	return fixtures_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
