/*
 * importer import REPO SEED FILES LEAVES LEAF_MAX: three tasks put FILES trees, each of LEAVES raw
 * leaves and a root that links to them, pin the roots, and unpin one now and then. What is about to
 * be asked for and what was promised goes to standard output, a line by one write each:
 *
 *	try ROOT    ack ROOT    untry ROOT    unack ROOT
 *
 * With a last word "collect" a fourth collects all the time; with "move FOLDER" two more move leaves to the tier in that
 * folder and back, too. importer collect REPO does the first alone, once; importer move REPO MODEL FOLDER moves all leaves there,
 * then back.
 * importer check REPO MODEL [collected [FOLDER]]: holds the repo to the lines in MODEL; says "rebuilt" when the index
 * was. After collections what was unpinned may be gone; what lies in FOLDER is read there. importer settle REPO MODEL
 * FOLDER: moves everything there and back, holds that to the lines, and the folder to being empty then; leaves half of it
 * there.
 */
#include "importer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
	TASKS = 3,
	MOVERS = 2,
	LEAVES_MAX = 64,
	LEAF_MAX = 200000,
	LINK_MAX = 64,
	RECENT = 64,
	TOGETHER = 12
};

const struct store_options small = { .create = true,
	.segment_bytes = 1 << 20,
	.group_bytes = 100000,
	.checkpoint_blocks = 40,
	.compact_bytes = 1 };

struct import {
	struct store *store;
	uint64_t random;
	long files, leaves, leaf_max;
	int under_way; /* tasks that import */
	struct moves *moves;
	struct mf_cid recent[RECENT]; /* leaves, in a ring */
	size_t put;
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
	import->recent[import->put++ % RECENT] = *cid;
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

/* With SCARCE in the environment the disk has room for little, so that collections go in parts. */
int __wrap_statvfs64(const char *path, struct statvfs *out);
int __real_statvfs64(const char *path, struct statvfs *out);

int __wrap_statvfs64(const char *path, struct statvfs *out)
{
	if (!getenv("SCARCE"))
		return __real_statvfs64(path, out);
	*out = (struct statvfs){ .f_blocks = 1, .f_bavail = (2 << 20) + 400000, .f_frsize = 1 };
	return 0;
}

static int collect(struct store *store)
{
	static const struct store_collect_options all = { .every = true, .dead_percent = 1 };
	struct store_collect_result result;
	int rc = store_collect(store, &all, &result);

	return rc == -ENOSPC && getenv("SCARCE") ? 0 : rc;
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

static int move_all_the_time(void *arg)
{
	struct import *import = arg;
	struct mf_cid cids[TOGETHER];
	int rc = 0;

	while (import->under_way > 0 && rc == 0) {
		size_t known = import->put < RECENT ? import->put : RECENT;
		size_t count = known ? 1 + draw(import) % TOGETHER : 0;

		for (size_t i = 0; i < count; i++)
			cids[i] = import->recent[draw(import) % known];
		rc = moves_some(import->moves, cids, count, (unsigned)draw(import));
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

static int run_tasks(struct import *import, bool collects)
{
	ANYIO_TASK_GROUP(group);
	import->under_way = TASKS;
	for (int i = 0; i < TASKS; i++)
		anyio_start_soon(&group, import_some, import, "import");
	if (collects)
		anyio_start_soon(&group, collect_all_the_time, import, "collect");
	for (int i = 0; i < MOVERS && import->moves; i++)
		anyio_start_soon(&group, move_all_the_time, import, "move");
	return anyio_task_group_exit(&group, 0);
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
	if (argv[7] && argv[8])
		rc = moves_open(import.store, argv[8], &import.moves);
	if (rc == 0)
		rc = run_tasks(&import, argv[7] != NULL);
	moves_close(import.moves);
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

static int run(int argc, char **argv)
{
	static const struct {
		const char *name;
		int least, most; /* words */
		anyio_task_fn body;
	} commands[] = {
		{ "import", 7, 9, import_all },
		{ "collect", 3, 3, collect_once },
		{ "check", 4, 6, check_all },
		{ "move", 5, 5, moves_there_and_back },
		{ "settle", 5, 5, moves_settle },
	};

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0 && argc >= commands[i].least &&
			argc <= commands[i].most)
			return anyio_run(commands[i].body, argv, NULL);
	return -EINVAL;
}

int main(int argc, char **argv)
{
	int rc = run(argc, argv);

	if (rc < 0)
		fprintf(stderr, "importer %s: %s\n", argc > 1 ? argv[1] : "", anyio_error_name(rc));
	return rc < 0;
}
