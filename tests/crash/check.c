/* What was promised, and what there is of it. */
#include "importer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ipld/links.h>

void check_complain(struct check *check, const char *what, const struct mf_cid *cid)
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

int check_read_model(struct check *check, const char *path)
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

static int read_block(struct check *check, const struct mf_cid *cid, struct store_block *block)
{
	struct mf_cid is;
	int rc = store_get(check->store, cid, block);

	if (rc == 0)
		mf_cid_of(&is, cid->version, cid->codec, block->data, block->len);
	if (rc == 0 && !mf_cid_equal(&is, cid))
		rc = -EBADMSG;
	if (rc < 0)
		check_complain(check, anyio_error_name(rc), cid);
	return rc;
}

static int read_leaf(void *arg, const struct mf_cid *cid)
{
	struct store_block block = { 0 };

	read_block(arg, cid, &block);
	store_block_release(&block);
	return 0;
}

/* What the index knows can be had; what it does not may have gone. */
static int read_leaf_if_here(void *arg, const struct mf_cid *cid)
{
	struct check *check = arg;
	char tier[STORE_TIER_NAME_MAX + 1];
	int rc = store_where(check->store, cid, tier);

	if (rc < 0)
		check_complain(check, anyio_error_name(rc), cid);
	return rc > 0 ? read_leaf(check, cid) : 0;
}

static void read_tree(struct check *check, const struct mf_cid *root, ipld_link_fn *leaf)
{
	struct store_block block = { 0 };
	int rc = read_block(check, root, &block);

	if (rc == 0 && ipld_links(root->codec, block.data, block.len, leaf, check) < 0)
		check_complain(check, "no node:", root);
	store_block_release(&block);
}

static void read_promise(struct check *check, const struct promise *promise)
{
	char tier[STORE_TIER_NAME_MAX + 1];

	if (promise->found ||
		(promise->acknowledged && !(check->collected && promise->tried_unpin)))
		read_tree(check, &promise->root, read_leaf);
	else if (store_where(check->store, &promise->root, tier) > 0)
		read_tree(check, &promise->root, read_leaf_if_here);
}

int check_promises(struct check *check)
{
	struct store_state_cursor cursor = { 0 };
	struct store_pin pin;
	int rc;

	for (size_t i = 0; i < check->count; i++)
		check->promises[i].found = false;
	while ((rc = store_pin_next(check->store, &cursor, &pin)) > 0) {
		struct promise *promise = find_promise(check, &pin.cid);

		if (!promise)
			check_complain(check, "a pin nobody asked for:", &pin.cid);
		else if (promise->found || promise->unpinned || pin.mode != STORE_PIN_RECURSIVE)
			check_complain(check, "a pin that should not be:", &pin.cid);
		else
			promise->found = true;
	}
	for (size_t i = 0; i < check->count && rc == 0; i++) {
		const struct promise *promise = &check->promises[i];

		if (promise->acknowledged && !promise->tried_unpin && !promise->found)
			check_complain(check, "a pin is lost:", &promise->root);
		read_promise(check, promise);
	}
	return rc;
}

int check_open(struct check *check, const char *repo)
{
	struct store_recovery recovery;
	int rc = store_open(repo, &small, &check->store, &recovery);

	if (rc < 0) {
		fprintf(stderr, "check: %s\n", recovery.text);
		return rc;
	}
	if (recovery.rebuilt)
		puts("rebuilt");
	if (recovery.damaged || recovery.gaps)
		check_complain(check, recovery.text, NULL);
	return 0;
}

static void on_fault(void *arg, const struct store_fault *fault)
{
	fprintf(stderr, "check: fault %d in %u at %llu..%llu\n", fault->kind, fault->segment,
		(unsigned long long)fault->from, (unsigned long long)fault->to);
	check_complain(arg, "fault", fault->cid);
}

int check_all(void *arg)
{
	char **argv = arg;
	const char *folder = argv[4] ? argv[5] : NULL;
	struct check check = { .collected = argv[4] != NULL };
	struct store_verify_options options = { .fault = on_fault, .arg = &check };
	struct store_verify_result result;
	struct moves *moves = NULL;
	int rc = check_read_model(&check, argv[3]);

	if (rc == 0)
		rc = check_open(&check, argv[2]);
	if (rc < 0)
		return rc;
	if (folder)
		rc = moves_open(check.store, folder, &moves);
	if (rc == 0)
		rc = store_verify(check.store, &options, &result);
	if (rc == 0)
		rc = check_promises(&check);
	free(check.promises);
	moves_close(moves);
	int closed = store_close(check.store);
	return rc < 0 ? rc : closed < 0 ? closed : check.bad ? -EBADMSG : 0;
}
