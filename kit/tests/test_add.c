/* Adding: the CIDs that Kubo 0.43 gives for the same inputs in the three profiles. */
#include "support.h"

#include <unistd.h>

enum { V1, V0, KUBO, PROFILES };

static const char *const profiles[PROFILES] = { "unixfs-v1-2025", "unixfs-v0-2015", "kubo-cid-v1" };

enum kind { FILES, FOLDER, DEEP, LINK, TREE, HIDDEN, WRAPPED, WRAPPED_FILE };

static const struct expected {
	enum kind kind;
	uint64_t seed, size;
	unsigned count, name_len, last_len;
	const char *text; /* a chunker, or a link's target */
	const char *cids[PROFILES];
} expected[] = {
	{ FILES, 1, 0,
		.cids = { "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
			"QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
			"bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku" } },
	{ FILES, 1, 1,
		.cids = { "bafkreic2b3br3kue7itwm3nfnlzftojvccdlxifzvnfkmad6hzx3dbtli4",
			"QmbUvZDTEzjLiVUDmr55A2PBqpBmUM989FJjahkoyjNNHY",
			"bafkreic2b3br3kue7itwm3nfnlzftojvccdlxifzvnfkmad6hzx3dbtli4" } },
	{ FILES, 1, 1000000,
		.cids = { "bafkreib35pw6typwvhmzznwysalcwq7dyqhkikvffmrttsx263v2uzh3dq",
			"QmUoHHmCXEMG5zohauJkPARezoEcV8T9Kd83L891LRydwQ",
			"bafybeifwyq5osmrbzpgxongxf7cjqec427lwmyy2ounfncfnaxvot2ummq" } },
	{ FILES, 28, 44545, .text = "size-256",
		.cids = { "bafybeihqgpyagqycjirfhlks2gnvcfffrrmcd7xqukagctk3ddtlcwnruq",
			"Qmb5M8ATSKgqBFHSYbJWkfDcLA99CLNXQ5tSBvAvX3XkPk",
			"bafybeigsorgdhg5nduv5anymr2pap5o2unvwncoswqmcf5ep4ijmvrwmye" } },
	{ FOLDER, 1, 0, 0, 1, 1,
		.cids = { "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
			"QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",
			"bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354" } },
	{ FOLDER, 1, 0, 1, 1, 1,
		.cids = { "bafybeiapuxllgevyehce5dp5i47repxw66yb3pw2eca4lamsj6aw7t4a5a",
			"QmPLNKUaHiSxjVrtXZsT2XRc8jpZz1PoCNFWs6m18xNiCZ",
			"bafybeiapuxllgevyehce5dp5i47repxw66yb3pw2eca4lamsj6aw7t4a5a" } },
	{ FOLDER, 1, 300, 100, 8, 8,
		.cids = { "bafybeify663hyg2nzwfxozlgmnd4gzkzwdtecsbrrplrl3rl6kdx3s6xki",
			"QmdqLcahWQmpv91jN9KMAUgKrNcAyqc8GgW6rD87texhfA",
			"bafybeify663hyg2nzwfxozlgmnd4gzkzwdtecsbrrplrl3rl6kdx3s6xki" } },
	{ FOLDER, 1, 10, 300, 255, 255,
		.cids = { "bafybeid7ksiuwwb6ovestytxixmhudvfalx62lmf44o67atzdefsvtvt4i",
			"QmQU5wUhU3BrvLFyDo73ZJMBFwCeWHP4EhzW7Tb7qN3jVK",
			"bafybeid7ksiuwwb6ovestytxixmhudvfalx62lmf44o67atzdefsvtvt4i" } },
	{ FOLDER, 1, 0, 4033, 21, 16,
		.cids = { "bafybeibc2dfjlygxmtd3kufm64cnizywk5qo2rdhl6juhkvzr6xj3hyxqy",
			"QmUhwzmnfnhWDjL9391xQmwkfNWTGLYEH7sW3jzVa7GBaF",
			"bafybeibc2dfjlygxmtd3kufm64cnizywk5qo2rdhl6juhkvzr6xj3hyxqy" } },
	{ DEEP, 9, 0, 40,
		.cids = { "bafybeiaw4sng2vlq5x25kw6rjo2ksvtsrnu4ccn45jsf2fijjocvejtxai",
			"QmSfxdqaJ2sfwEoRiztRaSvn4pPR8MaQhwzMpFY5ycwW24",
			"bafybeiaw4sng2vlq5x25kw6rjo2ksvtsrnu4ccn45jsf2fijjocvejtxai" } },
	{ LINK, .text = "some/where",
		.cids = { "bafybeiehmbdsrmiqhc26iftvshvlx7fvdyynf4tnhtxeiyumhlzcpzp3ta",
			"QmXT6u1J1K3Knk2xzTdG11bWZcD3aQwg6FcMv4nYGayM6w",
			"bafybeiehmbdsrmiqhc26iftvshvlx7fvdyynf4tnhtxeiyumhlzcpzp3ta" } },
	{ LINK, .text = "../grüße/日本語",
		.cids = { "bafybeifxvr43qvqoyeea43tqifkfe2boyeprpj7ixisa2kbh5wc272vehm",
			"QmahdrdCyrwygNY1siBMy6uPWkd6pX6ozKC5Z1ihvdpupE",
			"bafybeifxvr43qvqoyeea43tqifkfe2boyeprpj7ixisa2kbh5wc272vehm" } },
	{ TREE,
		.cids = { "bafybeihb4sfucs2temijtmgofflk5mglyz5vwk3fpzaw67y2xhebp2tzve",
			"QmNW6HKAEZoFoxwcntEQhzWkdR24Nj1q7kQMYqxhQctZ72",
			"bafybeid7xkoghaikdusm6hjompf3behdtn72x4yqj7erllcqitqqkczv3i" } },
	{ HIDDEN,
		.cids = { "bafybeicmlv4rvqw56svu5nkpsic4z6gts4igkgxdipc4ib7bpvae564x4u",
			"QmaDictJr4JK9W6A5SUGxRkQcX1VUQccadmzGeA2aGa3gY",
			"bafybeighq2ba4q2bjvtfe6mbki7slpxza3n4nm7vjr5o5plcm2cnf4qkmy" } },
	{ WRAPPED,
		.cids = { "bafybeiddfxp67ka6fbkr2rj7w6ffvpzmd5egx5dhxtyzeklf3xs62k6umy",
			"QmPBAo2AnJJKXSE7j3PvDywbr8wS4VoZaC1juUNxGgaTiw",
			"bafybeic7mb3udwfozx63rngjazp443zybuadnyzula77gojybbytpynhp4" } },
	{ WRAPPED_FILE,
		.cids = { "bafybeifjn2rppyb4gvdyc6px5smeicfeaq2p3j4utsucsqzq4x6tp2o5xi",
			"QmVH33anF4jRedWX3pZr138XCw3TMwuNL97NwvMwNtm2xQ",
			"bafybeifjn2rppyb4gvdyc6px5smeicfeaq2p3j4utsucsqzq4x6tp2o5xi" } },
};

static int make_input(const struct expected *e, const char *path)
{
	switch (e->kind) {
	case FILES: return make_file(path, e->seed, e->size);
	case FOLDER:
		return make_folder(
			path, e->seed, e->count, (int)e->name_len, (int)e->last_len, e->size);
	case DEEP: return make_deep(path, e->seed, e->count);
	case LINK: return symlink(e->text, path) ? -errno : 0;
	default: return make_tree(path);
	}
}

static int check_cids(struct scene *scene)
{
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		const struct expected *e = &expected[i];
		char path[256], name[MF_CID_TEXT_MAX];
		remove_tree(scene_path(scene, "tree"));
		CHECK_RC(0, make_input(e, scene_path(scene, "tree")));
		snprintf(path, sizeof(path), "%s%s", scene_path(scene, "tree"),
			e->kind == WRAPPED_FILE ? "/a" : "");
		for (int profile = 0; profile < PROFILES; profile++) {
			struct kit_add_options options = KIT_ADD_DEFAULTS;
			options.profile = profiles[profile];
			options.recursive = true;
			options.chunker = e->kind == FILES ? e->text : NULL;
			options.hidden = e->kind == HIDDEN;
			options.wrap = e->kind == WRAPPED || e->kind == WRAPPED_FILE;
			options.only_hash = profile == KUBO;
			CHECK_RC(0, add_text(scene->node, path, &options, name));
			CHECK(e->cids[profile]);
			if (strcmp(name, e->cids[profile]))
				print_error("case %zu, %s: %s, not %s\n", i, profiles[profile],
					name, e->cids[profile]);
			CHECK(!strcmp(name, e->cids[profile]));
		}
	}
	return 0;
}

static void test_cids_are_kubos(void **state)
{
	scene_run(check_cids);
}

static int check_leaves(struct scene *scene)
{
	static const struct {
		int version, raw;
		const char *profile, *cid;
	} cases[] = {
		{ 0, 1, "unixfs-v0-2015", "QmPqsDWEfj9XpDcdMVic9vfxW5Atsv8EEDtvRu2SkSFm3E" },
		{ 0, 1, "unixfs-v1-2025",
			"bafkreihrrrfetawkfwwrxe75ubi3vfdwo2kqjdm6x7nfb5nlcct7gmxy3q" },
		{ 1, 0, "unixfs-v0-2015",
			"bafybeihkn4ejdzmbqzkvrubnb4kzgf57gozlwww7jb4a4gtziwcssodlym" },
		{ 1, 0, "unixfs-v1-2025",
			"bafybeiarqxck26v7lrnnx3lqq6di6rwfklptanwaeczxqix437hpmgzp2e" },
	};
	char name[MF_CID_TEXT_MAX];

	CHECK_RC(0, make_file(scene_path(scene, "file"), 3, 262145));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct kit_add_options options = { .cid_version = cases[i].version,
			.raw_leaves = cases[i].raw,
			.profile = cases[i].profile };
		CHECK_RC(0, add_text(scene->node, scene_path(scene, "file"), &options, name));
		CHECK(!strcmp(name, cases[i].cid));
	}
	return 0;
}

static void test_leaves_and_versions(void **state)
{
	scene_run(check_leaves);
}

static int check_source(struct scene *scene)
{
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	char name[MF_CID_TEXT_MAX];
	struct bytes bytes;
	struct mf_cid cid;

	bytes_init(&bytes);
	bytes.data = malloc(bytes.len = bytes.size = 1000000);
	fill_bytes(1, bytes.data, bytes.len);
	bytes.step = 7777;
	CHECK_RC(0, kit_add_source(scene->node, &bytes.source, &options, &cid));
	mf_cid_format(&cid, name, sizeof(name));
	CHECK(!strcmp(name, expected[2].cids[V1]));
	bytes_free(&bytes);
	return 0;
}

static void test_a_source_in_pieces(void **state)
{
	scene_run(check_source);
}

static int check_adder(struct scene *scene)
{
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	char name[MF_CID_TEXT_MAX];
	struct kit_adder *adder;
	struct bytes a, b;
	struct mf_cid cid;

	bytes_init(&a);
	bytes_init(&b);
	a.data = malloc(a.len = a.size = 100);
	b.data = malloc(b.len = b.size = 300000);
	fill_bytes(1, a.data, a.len);
	fill_bytes(2, b.data, b.len);
	CHECK_RC(0, kit_adder_begin(scene->node, &options, &adder));
	CHECK_RC(0, kit_adder_file(adder, "tree/sub/b", &b.source));
	CHECK_RC(0, kit_adder_directory(adder, "tree/void"));
	CHECK_RC(0, kit_adder_file(adder, "tree/a", &a.source));
	CHECK_RC(0, kit_adder_symlink(adder, "tree/sub/up", "../a"));
	CHECK_RC(-EINVAL, kit_adder_file(adder, "tree/../out", &a.source));
	CHECK_RC(-EINVAL, kit_adder_directory(adder, "tree//void"));
	CHECK_RC(0, kit_adder_finish(adder, &cid));
	mf_cid_format(&cid, name, sizeof(name));
	CHECK(!strcmp(name, "bafybeihb4sfucs2temijtmgofflk5mglyz5vwk3fpzaw67y2xhebp2tzve"));
	bytes_free(&a);
	bytes_free(&b);
	return 0;
}

static void test_a_tree_in_pieces(void **state)
{
	scene_run(check_adder);
}

enum { FOLDERS = 3000 };

static int add_folders(struct scene *scene, unsigned step, char *text)
{
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	struct kit_adder *adder;
	struct mf_cid cid;
	char path[64];

	CHECK_RC(0, kit_adder_begin(scene->node, &options, &adder));
	for (unsigned i = 0; i < FOLDERS; i++) {
		unsigned number = i * step % FOLDERS;
		snprintf(path, sizeof(path), "tree/%u/%u", number % 100, number);
		CHECK_RC(0, kit_adder_directory(adder, path));
		snprintf(path, sizeof(path), "tree/%u/0/%u", number % 100, number % 7);
		CHECK_RC(0, kit_adder_directory(adder, path));
	}
	CHECK_RC(0, kit_adder_finish(adder, &cid));
	mf_cid_format(&cid, text, MF_CID_TEXT_MAX);
	return 0;
}

/* Folders are one however often and in whatever order they are named, and those of one name in
 * different places are different ones. */
static int check_folders(struct scene *scene)
{
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	char pieces[MF_CID_TEXT_MAX], mixed[MF_CID_TEXT_MAX], disk[MF_CID_TEXT_MAX];

	CHECK_RC(0, add_folders(scene, 1, pieces));
	CHECK_RC(0, add_folders(scene, 1117, mixed));
	CHECK(!strcmp(pieces, mixed));
	CHECK_RC(0, kit_get(scene->node, pieces, scene_path(scene, "out"), NULL));
	options.recursive = true;
	CHECK_RC(0, add_text(scene->node, scene_path(scene, "out"), &options, disk));
	CHECK(!strcmp(pieces, disk));
	return 0;
}

static void test_folders_named_again(void **state)
{
	scene_run(check_folders);
}

static int check_refusals(struct scene *scene)
{
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	struct kit_repo_stat stat;
	char name[MF_CID_TEXT_MAX];

	CHECK_RC(0, make_tree(scene_path(scene, "tree")));
	CHECK_RC(-EISDIR, add_text(scene->node, scene_path(scene, "tree"), &options, name));
	CHECK_RC(-ENOENT, add_text(scene->node, scene_path(scene, "none"), NULL, name));
	CHECK(strstr(kit_error_text(scene->node), "none"));
	options.profile = "unixfs-v9";
	CHECK_RC(-EINVAL, add_text(scene->node, scene_path(scene, "tree/a"), &options, name));
	options.profile = NULL;
	options.chunker = "rabin";
	CHECK_RC(-EINVAL, add_text(scene->node, scene_path(scene, "tree/a"), &options, name));
	CHECK(!mkfifo(scene_path(scene, "tree/pipe"), 0600));
	CHECK_RC(-ENOTSUP, add_text(scene->node, scene_path(scene, "tree"), NULL, name));
	options.chunker = NULL;
	options.only_hash = true;
	CHECK_RC(0, add_text(scene->node, scene_path(scene, "tree/a"), &options, name));
	CHECK_RC(0, kit_repo_stat(scene->node, &stat));
	CHECK(stat.pins == 0);
	return 0;
}

static void test_refusals(void **state)
{
	scene_run(check_refusals);
}

/* ---- In bounded memory ---- */

enum { ADDERS = 3, ROOM = 5 << 20, BOUNDED = 20 << 20 };

struct bounded {
	struct kit_node *node;
	struct kit_room *room;
	struct mf_cid cid;
	size_t at;
	bool waited; /* somebody did */
};

static ssize_t read_bounded(void *arg, void *buffer, size_t size)
{
	struct bounded *bounded = arg;
	size_t left = BOUNDED - bounded->at;

	bounded->waited |= kit_room_is_wanted(bounded->room);
	size = size < left ? size : left;
	memset(buffer, (int)(bounded->at >> 20), size);
	bounded->at += size;
	anyio_checkpoint();
	return (ssize_t)size;
}

static int add_bounded(void *arg)
{
	struct bounded *bounded = arg;
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	struct kit_source source = { read_bounded, bounded };
	struct kit_node *handle;

	CHECK_RC(0, kit_share(bounded->node, &handle));
	kit_limit(handle, bounded->room);
	int rc = kit_add_source(handle, &source, &options, &bounded->cid);
	kit_unshare(handle);
	return rc;
}

/* Three at once where one batch fits: each waits for its turn, and all of it comes back. */
static int check_bounded(struct scene *scene)
{
	struct bounded adders[ADDERS];
	struct kit_room *room;
	size_t all = 0;
	bool waited = false;

	CHECK_RC(0, kit_room_create(ROOM, &room));
	ANYIO_TASK_GROUP(group);
	for (int i = 0; i < ADDERS; i++) {
		adders[i] = (struct bounded){ .node = scene->node, .room = room };
		anyio_start_soon(&group, add_bounded, &adders[i], "add");
	}
	CHECK_RC(0, anyio_task_group_exit(&group, 0));
	for (int i = 0; i < ADDERS; i++) {
		CHECK(mf_cid_equal(&adders[i].cid, &adders[0].cid));
		waited |= adders[i].waited;
	}
	CHECK(waited);
	CHECK_RC(0, kit_room_hold(room, &all, ROOM));
	kit_room_hold(room, &all, 0);
	kit_room_free(room);
	return 0;
}

static void test_bounded(void **state)
{
	scene_run(check_bounded);
}

static ssize_t read_nothing(void *arg, void *buffer, size_t size)
{
	return 0;
}

/* A tree of names alone is memory too. */
static int check_bounded_names(struct scene *scene)
{
	struct kit_add_options options = KIT_ADD_DEFAULTS;
	struct kit_source source = { read_nothing, NULL };
	struct kit_adder *adder;
	struct kit_node *handle;
	struct kit_room *room;
	size_t all = 0;
	int rc = 0;

	options.recursive = true;
	CHECK_RC(0, kit_room_create(ROOM, &room));
	CHECK_RC(0, kit_share(scene->node, &handle));
	kit_limit(handle, room);
	CHECK_RC(0, kit_adder_begin(handle, &options, &adder));
	for (unsigned i = 0; !rc && i < 1u << 20; i++) {
		char path[300];

		snprintf(path, sizeof(path), "r/%0200x/a/b/c/d/e/f", i);
		rc = kit_adder_file(adder, path, &source);
	}
	CHECK_RC(-ENOMEM, rc);
	kit_adder_abandon(adder);
	kit_unshare(handle);
	CHECK_RC(0, kit_room_hold(room, &all, ROOM));
	kit_room_hold(room, &all, 0);
	kit_room_free(room);
	return 0;
}

static void test_bounded_names(void **state)
{
	scene_run(check_bounded_names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cids_are_kubos),
		cmocka_unit_test(test_leaves_and_versions),
		cmocka_unit_test(test_a_source_in_pieces),
		cmocka_unit_test(test_a_tree_in_pieces),
		cmocka_unit_test(test_folders_named_again),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_bounded_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
