/* Moves to the tier "cold", a folder of this machine, and back; and what has to be true once nobody is killed any more. */
#include "importer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ipld/links.h>
#include <remote/object.h>

struct moves {
	struct store *store;
	struct remote *remote;
	struct remote_why why; /* of the last call that failed */
};

/* ---- the tier ---- */

static int end(struct moves *moves, int rc, const struct remote_why *why)
{
	if (rc < 0 && rc != ANYIO_CANCELLED)
		moves->why = *why;
	return rc;
}

static ssize_t read_object(void *arg, const char *object, uint64_t offset, void *buffer, size_t len)
{
	struct moves *moves = arg;
	struct remote_why why = { .what = "" };

	return end(moves, (int)remote_get(moves->remote, object, offset, buffer, len, &why), &why);
}

static int write_object(void *arg, const char *object, const struct store_tier_source *source)
{
	struct moves *moves = arg;
	struct remote_source from = { source->read, source->arg, source->size };
	struct remote_why why = { .what = "" };

	return end(moves, remote_put_from(moves->remote, object, &from, NULL, &why), &why);
}

static int remove_object(void *arg, const char *object)
{
	struct moves *moves = arg;
	struct remote_why why = { .what = "" };

	return end(moves, remote_delete(moves->remote, object, &why), &why);
}

static const char *say_why(void *arg)
{
	struct moves *moves = arg;

	return moves->why.what[0] ? moves->why.what : NULL;
}

int moves_open(struct store *store, const char *folder, struct moves **out)
{
	struct remote_options options = { .endpoint = "file://", .folder = folder };
	struct store_tier verbs = { read_object, write_object, remove_object, say_why, NULL };
	struct moves *moves = anyio_calloc(1, sizeof(*moves));
	struct remote_why why = { .what = "" };

	*out = verbs.arg = moves;
	if (!moves)
		return -ENOMEM;
	moves->store = store;
	int rc = remote_create(&options, &moves->remote, &why);
	if (rc == 0)
		rc = remote_sweep(moves->remote, &why);
	if (rc < 0)
		fprintf(stderr, "the tier: %s\n", why.what);
	return rc < 0 ? rc : store_tier_attach(store, "cold", &verbs);
}

void moves_close(struct moves *moves)
{
	if (!moves)
		return;
	store_tier_detach(moves->store, "cold");
	remote_free(moves->remote);
	anyio_free(moves);
}

/* ---- beside imports ---- */

/* Some of them, there or back; or tidies up. */
int moves_some(struct moves *moves, const struct mf_cid *cids, size_t count, unsigned how)
{
	struct store_move_result result;
	int rc = how % 4 < 2  ? store_demote(moves->store, "cold", cids, count, NULL, &result)
		: how % 4 < 3 ? store_promote(moves->store, cids, count, NULL, &result)
			      : store_tier_tend(moves->store, "cold");

	/* One went meanwhile: it was not pinned yet, or is not any more. */
	return rc == -ENOENT ? 0 : rc;
}

/* ---- all that is pinned ---- */

struct leaves {
	struct check check;
	struct moves *moves;
	struct mf_cid *cids;
	size_t count;
};

static int add_leaf(void *arg, const struct mf_cid *cid)
{
	struct leaves *leaves = arg;

	leaves->cids = realloc(leaves->cids, (leaves->count + 1) * sizeof(*cid));
	leaves->cids[leaves->count++] = *cid;
	return 0;
}

static int find_leaves(struct leaves *leaves)
{
	struct store_state_cursor cursor = { 0 };
	struct store_pin pin;
	int rc;

	while ((rc = store_pin_next(leaves->check.store, &cursor, &pin)) > 0) {
		struct store_block block = { 0 };

		rc = store_get(leaves->check.store, &pin.cid, &block);
		if (rc == 0)
			rc = ipld_links(pin.cid.codec, block.data, block.len, add_leaf, leaves);
		store_block_release(&block);
		if (rc < 0)
			break;
	}
	return rc;
}

static int collect_and_tend(struct store *store)
{
	static const struct store_collect_options all = { .every = true, .dead_percent = 1 };
	struct store_collect_result result;
	int rc = store_collect(store, &all, &result);

	return rc < 0 ? rc : store_tier_tend(store, "cold");
}

static int begin(struct leaves *leaves, char **argv)
{
	*leaves = (struct leaves){ .check.collected = true };
	int rc = check_read_model(&leaves->check, argv[3]);

	if (rc == 0)
		rc = check_open(&leaves->check, argv[2]);
	if (rc == 0)
		rc = moves_open(leaves->check.store, argv[4], &leaves->moves);
	if (rc == 0)
		rc = store_tier_tend(leaves->check.store, "cold");
	return rc < 0 ? rc : find_leaves(leaves);
}

static int finish(struct leaves *leaves, int rc)
{
	if (leaves->moves && leaves->moves->why.what[0])
		fprintf(stderr, "the tier: %s\n", leaves->moves->why.what);
	moves_close(leaves->moves);
	int closed = leaves->check.store ? store_close(leaves->check.store) : 0;
	free(leaves->check.promises);
	free(leaves->cids);
	return rc < 0 ? rc : closed < 0 ? closed : leaves->check.bad ? -EBADMSG : 0;
}

int moves_there_and_back(void *argv)
{
	struct leaves leaves;
	struct store_move_result result;
	int rc = begin(&leaves, argv);
	struct store *store = leaves.check.store;

	if (rc == 0)
		rc = store_demote(store, "cold", leaves.cids, leaves.count, NULL, &result);
	if (rc == 0)
		rc = collect_and_tend(store);
	if (rc == 0)
		rc = store_promote(store, leaves.cids, leaves.count, NULL, &result);
	if (rc == 0)
		rc = collect_and_tend(store);
	return finish(&leaves, rc);
}

/* ---- what has to be true ---- */

static void must_lie_in(struct leaves *leaves, const char *tier)
{
	char is[STORE_TIER_NAME_MAX + 1] = "";

	for (size_t i = 0; i < leaves->count; i++)
		if (store_where(leaves->check.store, &leaves->cids[i], is) != 1 ||
			strcmp(is, tier) != 0)
			check_complain(&leaves->check,
				*tier ? "not moved:" : "not moved back:", &leaves->cids[i]);
}

/* By what is in the folder, whoever wrote it. */
static int must_hold(struct leaves *leaves, const char *folder, size_t objects)
{
	struct store_tier_stat stat = { .objects = 0 };
	struct anyio_names names = { 0 };
	int rc = anyio_listdir(AT_FDCWD, folder, &names);

	store_tier_stat(leaves->check.store, "cold", &stat);
	if (names.count != objects || stat.objects != objects || stat.unwanted || stat.unread)
		check_complain(
			&leaves->check, names.count ? names.names[0] : "nothing there", NULL);
	anyio_names_free(&names);
	return rc;
}

static int move_all(struct leaves *leaves, const char *tier)
{
	struct store *store = leaves->check.store;
	struct store_move_result result;
	int rc = *tier ? store_demote(store, tier, leaves->cids, leaves->count, NULL, &result)
		       : store_promote(store, leaves->cids, leaves->count, NULL, &result);

	if (rc == 0)
		must_lie_in(leaves, tier);
	return rc < 0 ? rc : check_promises(&leaves->check);
}

/* Everything can be moved there, and back; then nothing of ours is left there; and then some is moved for who comes next. */
int moves_settle(void *arg)
{
	char **argv = arg;
	struct leaves leaves;
	struct store_move_result result;
	int rc = begin(&leaves, argv);

	if (rc == 0)
		rc = check_promises(&leaves.check);
	if (rc == 0)
		rc = move_all(&leaves, "cold");
	if (rc == 0)
		rc = move_all(&leaves, "");
	if (rc == 0)
		rc = collect_and_tend(leaves.check.store);
	if (rc == 0)
		rc = must_hold(&leaves, argv[4], 0);
	if (rc == 0)
		rc = store_demote(
			leaves.check.store, "cold", leaves.cids, leaves.count / 2, NULL, &result);
	if (rc == 0)
		rc = must_hold(&leaves, argv[4], leaves.count / 2 > 0);
	return finish(&leaves, rc);
}
