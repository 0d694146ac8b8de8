/*
 * importer import REPO SEED FILES LEAVES LEAF_MAX: three tasks put FILES trees, each of LEAVES raw
 * leaves and a root that links to them, pin the roots, and unpin one now and then. What is about to
 * be asked for and what was promised goes to standard output, a line by one write each:
 *
 *	try ROOT    ack ROOT    untry ROOT    unack ROOT
 *
 * With a last word "collect" a fourth collects all the time. importer collect REPO does that alone, once.
 * importer check REPO MODEL: holds the repo to the lines in MODEL; says "rebuilt" when the index was. With a last word
 * "collected" what was unpinned may be gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <anyio/anyio.h>
#include <ipld/links.h>
#include <store/store.h>

enum { TASKS = 3, LEAVES_MAX = 64, LEAF_MAX = 200000, LINK_MAX = 64 };

static const struct store_options small = {
	.create = true, .segment_bytes = 1 << 20, .group_bytes = 100000, .checkpoint_blocks = 40
};

struct import {
	struct store *store;
	uint64_t random;
	long files, leaves, leaf_max;
	int under_way; /* tasks that import */
};

static uint64_t draw(struct import *import)
{
	import->random = import->random * 6364136223846793005 + 1442695040888963407;
	return import->random >> 33;
}

static void say(const char *word, const struct mf_cid *cid)
{
	char text[MF_CID_TEXT_MAX], line[MF_CID_TEXT_MAX + 16];

	mf_cid_format(cid, text, sizeof(text));
	int len = snprintf(line, sizeof(line), "%s %s\n", word, text);
	if (write(STDOUT_FILENO, line, len) != len)
		_exit(9);
}

static size_t add_link(uint8_t *out, const struct mf_cid *cid)
{
	uint8_t bytes[LINK_MAX];
	size_t len = mf_cid_encode(cid, bytes, sizeof(bytes));

	out[0] = 0x12;
	out[1] = len + 2;
	out[2] = 0x0a;
	out[3] = len;
	memcpy(out + 4, bytes, len);
	return len + 4;
}

static int put_leaf(struct import *import, struct mf_cid *cid, store_ticket *ticket)
{
	size_t len = draw(import) % 4 ? 1 + draw(import) % import->leaf_max : STORE_BULK;
	uint8_t *data =
		aligned_alloc(STORE_BULK_ALIGN, (len / STORE_BULK_ALIGN + 1) * STORE_BULK_ALIGN);

	for (size_t i = 0; i < len; i += 4) {
		uint32_t word = draw(import);

		memcpy(data + i, &word, 4);
	}
	mf_cid_of(cid, 1, MF_CODEC_RAW, data, len);
	int rc = store_put(import->store, cid, data, len, STORE_VERIFIED, ticket);
	free(data);
	return rc;
}

/* One tree, from its leaves to the promise. */
static int import_tree(struct import *import, struct mf_cid *root)
{
	uint8_t node[LEAVES_MAX * (LINK_MAX + 4)] = { 0 };
	struct store_lease lease;
	struct mf_cid leaf;
	size_t len = 0;
	store_ticket ticket = 0;
	int rc = 0;

	store_lease_begin(import->store, &lease);
	for (long i = 0; i < import->leaves && rc == 0; i++) {
		rc = put_leaf(import, &leaf, &ticket);
		len += add_link(node + len, &leaf);
	}
	mf_cid_of(root, 1, MF_CODEC_DAG_PB, node, len);
	if (rc == 0)
		rc = store_put(import->store, root, node, len, STORE_VERIFIED, &ticket);
	say("try", root);
	if (rc == 0)
		rc = store_pin_add(import->store, root, STORE_PIN_RECURSIVE, &ticket);
	if (rc == 0)
		rc = store_sync(import->store, ticket);
	if (rc == 0)
		say("ack", root);
	store_lease_end(&lease);
	return rc;
}

static int collect(struct store *store)
{
	static const struct store_collect_options all = { .every = true, .dead_percent = 1 };
	struct store_collect_result result;

	return store_collect(store, &all, &result);
}

static int collect_all_the_time(void *arg)
{
	struct import *import = arg;
	int rc = 0;

	while (import->under_way > 0 && rc == 0) {
		rc = collect(import->store);
		anyio_checkpoint();
	}
	return rc;
}

static int unpin(struct import *import, const struct mf_cid *root)
{
	store_ticket ticket = 0;

	say("untry", root);
	int rc = store_pin_remove(import->store, root, &ticket);
	if (rc == 0)
		rc = store_sync(import->store, ticket);
	if (rc == 0)
		say("unack", root);
	return rc;
}

static int import_some(void *arg)
{
	struct import *import = arg;
	struct mf_cid root;
	int rc = 0;

	while (import->files > 0 && rc == 0) {
		import->files--;
		rc = import_tree(import, &root);
		if (rc == 0 && draw(import) % 4 == 0 && import->leaves > 2)
			rc = unpin(import, &root);
	}
	import->under_way--;
	return rc;
}

static int import_all(void *arg)
{
	char **argv = arg;
	struct import import = { .random = strtoull(argv[3], NULL, 10) * 0x9e3779b97f4a7c15,
		.files = atol(argv[4]),
		.leaves = atol(argv[5]),
		.leaf_max = atol(argv[6]) };
	struct store_recovery recovery;
	int rc;

	if (import.leaves < 1 || import.leaves > LEAVES_MAX || import.leaf_max < 1 ||
		import.leaf_max > LEAF_MAX)
		return -EINVAL;
	rc = store_open(argv[2], &small, &import.store, &recovery);
	if (rc < 0) {
		fprintf(stderr, "importer: %s\n", recovery.text);
		return rc;
	}
	ANYIO_TASK_GROUP(group);
	import.under_way = TASKS;
	for (int i = 0; i < TASKS; i++)
		anyio_start_soon(&group, import_some, &import, "import");
	if (argv[7])
		anyio_start_soon(&group, collect_all_the_time, &import, "collect");
	rc = anyio_task_group_exit(&group, 0);
	int closed = store_close(import.store);
	return rc < 0 ? rc : closed;
}

static int collect_once(void *arg)
{
	char **argv = arg;
	struct store *store;
	int rc = store_open(argv[2], &small, &store, NULL);

	if (rc < 0)
		return rc;
	rc = collect(store);
	int closed = store_close(store);
	return rc < 0 ? rc : closed;
}

/* A root that was named, and what became of it. */
struct promise {
	struct mf_cid root;
	bool acknowledged, tried_unpin, unpinned, found;
};

struct check {
	struct store *store;
	struct promise *promises;
	size_t count;
	bool collected;
	int bad;
};

static void complain(struct check *check, const char *what, const struct mf_cid *cid)
{
	char text[MF_CID_TEXT_MAX] = "";

	if (cid)
		mf_cid_format(cid, text, sizeof(text));
	fprintf(stderr, "check: %s %s\n", what, text);
	check->bad++;
}

static struct promise *find_promise(struct check *check, const struct mf_cid *root)
{
	for (size_t i = 0; i < check->count; i++)
		if (mf_cid_equal(&check->promises[i].root, root))
			return &check->promises[i];
	return NULL;
}

static int read_model(struct check *check, const char *path)
{
	FILE *file = fopen(path, "r");
	char word[16], text[MF_CID_TEXT_MAX];
	struct mf_cid root;

	if (!file)
		return -errno;
	while (fscanf(file, "%15s %399s", word, text) == 2) {
		if (mf_cid_parse(&root, text, strlen(text)) < 0)
			return -EINVAL;
		struct promise *promise = find_promise(check, &root);
		if (!promise) {
			check->promises = realloc(
				check->promises, (check->count + 1) * sizeof(*check->promises));
			promise = &check->promises[check->count++];
			*promise = (struct promise){ .root = root };
		}
		promise->acknowledged |= strcmp(word, "ack") == 0;
		promise->tried_unpin |= strcmp(word, "untry") == 0;
		promise->unpinned |= strcmp(word, "unack") == 0;
	}
	fclose(file);
	return 0;
}

static int read_leaf(void *arg, const struct mf_cid *cid)
{
	struct check *check = arg;
	struct store_block block;
	int rc = store_get(check->store, cid, &block);

	if (rc < 0)
		complain(check, anyio_error_name(rc), cid);
	store_block_release(&block);
	return 0;
}

static void read_tree(struct check *check, const struct mf_cid *root)
{
	struct store_block block;
	int rc = store_get(check->store, root, &block);

	if (rc == 0)
		rc = ipld_links(root->codec, block.data, block.len, read_leaf, check);
	if (rc < 0)
		complain(check, anyio_error_name(rc), root);
	store_block_release(&block);
}

static int check_pins(struct check *check)
{
	struct store_state_cursor cursor = { 0 };
	struct store_pin pin;
	int rc;

	while ((rc = store_pin_next(check->store, &cursor, &pin)) > 0) {
		struct promise *promise = find_promise(check, &pin.cid);

		if (!promise)
			complain(check, "a pin nobody asked for:", &pin.cid);
		else if (promise->found || promise->unpinned || pin.mode != STORE_PIN_RECURSIVE)
			complain(check, "a pin that should not be:", &pin.cid);
		else
			promise->found = true;
	}
	for (size_t i = 0; i < check->count && rc == 0; i++) {
		const struct promise *promise = &check->promises[i];

		if (promise->acknowledged && !promise->tried_unpin && !promise->found)
			complain(check, "a pin is lost:", &promise->root);
		if (promise->acknowledged && !(check->collected && promise->tried_unpin))
			read_tree(check, &promise->root);
	}
	return rc;
}

static void on_fault(void *arg, const struct store_fault *fault)
{
	fprintf(stderr, "check: fault %d in %u at %llu..%llu\n", fault->kind, fault->segment,
		(unsigned long long)fault->from, (unsigned long long)fault->to);
	complain(arg, "fault", fault->cid);
}

static int check_all(void *arg)
{
	char **argv = arg;
	struct check check = { .collected = argv[4] != NULL };
	struct store_verify_options options = { .fault = on_fault, .arg = &check };
	struct store_verify_result result;
	struct store_recovery recovery;
	int rc = read_model(&check, argv[3]);

	if (rc < 0)
		return rc;
	rc = store_open(argv[2], &small, &check.store, &recovery);
	if (rc < 0) {
		fprintf(stderr, "check: %s\n", recovery.text);
		return rc;
	}
	if (recovery.rebuilt)
		puts("rebuilt");
	if (recovery.damaged || recovery.gaps)
		complain(&check, recovery.text, NULL);
	rc = store_verify(check.store, &options, &result);
	if (rc == 0)
		rc = check_pins(&check);
	free(check.promises);
	int closed = store_close(check.store);
	return rc < 0 ? rc : closed < 0 ? closed : check.bad ? -EBADMSG : 0;
}

int main(int argc, char **argv)
{
	int rc = -EINVAL;

	if ((argc == 7 || argc == 8) && strcmp(argv[1], "import") == 0)
		rc = anyio_run(import_all, argv, NULL);
	else if (argc == 3 && strcmp(argv[1], "collect") == 0)
		rc = anyio_run(collect_once, argv, NULL);
	else if ((argc == 4 || argc == 5) && strcmp(argv[1], "check") == 0)
		rc = anyio_run(check_all, argv, NULL);
	if (rc < 0)
		fprintf(stderr, "importer %s: %s\n", argc > 1 ? argv[1] : "", anyio_error_name(rc));
	return rc < 0;
}
