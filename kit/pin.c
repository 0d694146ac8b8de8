/* Pins: content that is kept. */
#include "node.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int keep(void *arg, const struct mf_cid *cid, const void *data, size_t len)
{
	return kit_keep(arg, cid, data, len);
}

int kit_pin_below(struct kit_blocks *blocks, const struct mf_cid *root, store_ticket *ticket)
{
	return kit_pin_below_labelled(blocks, root, NULL, ticket);
}

int kit_pin_below_labelled(struct kit_blocks *blocks, const struct mf_cid *root,
	const struct store_pin_label *label, store_ticket *ticket)
{
	int rc = kit_walk(blocks, root, keep, blocks->node);
	if (!rc)
		rc = kit_blocks_sync(blocks);
	if (rc)
		return rc;
	rc = store_pin_add_labelled(
		blocks->node->core->store, root, STORE_PIN_RECURSIVE, label, ticket);
	return rc ? kit_fail_code(blocks->node, rc, "pinning") : 0;
}

bool kit_pin_is_of_content(int rc)
{
	return rc == -ENOENT || rc == -EBADMSG || rc == -EPROTONOSUPPORT || rc == -EMSGSIZE;
}

/* The block alone. -EEXIST, without words: it is pinned recursively. */
static int pin_block(struct kit_blocks *blocks, const struct mf_cid *cid,
	const struct store_pin_label *label, store_ticket *ticket)
{
	struct store_block block;
	int rc = kit_blocks_get(blocks, cid, &block);

	if (rc)
		return rc;
	rc = kit_keep(blocks->node, cid, block.data, block.len);
	store_block_release(&block);
	if (rc)
		return kit_fail_code(blocks->node, rc, "pinning");
	rc = kit_blocks_sync(blocks);
	if (rc)
		return rc;
	rc = store_pin_add_labelled(
		blocks->node->core->store, cid, STORE_PIN_DIRECT, label, ticket);
	return rc && rc != -EEXIST ? kit_fail_code(blocks->node, rc, "pinning") : rc;
}

static bool all_text(json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value)
		if (!json_is_string(value))
			return false;
	return json_is_object(object);
}

/* Into ours, meta as short as it can be written: *text is to be freed. */
static int check_label(struct kit_node *node, const struct kit_pin_label *from,
	struct store_pin_label *label, char **text)
{
	*label = (struct store_pin_label){ .name = from->name };
	if (from->name && strlen(from->name) > STORE_PIN_NAME_MAX)
		return kit_fail(
			node, -EMSGSIZE, "a pin's name is at most %d bytes", STORE_PIN_NAME_MAX);
	if (!from->meta || !*from->meta) {
		label->meta = from->meta;
		return 0;
	}
	json_t *object = json_loads(from->meta, JSON_REJECT_DUPLICATES, NULL);
	bool good = object && all_text(object);
	label->meta = *text = good ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(object);
	if (!good)
		return kit_fail(node, -EINVAL,
			"what is kept with a pin is a JSON object of strings, such as {\"from\":\"camera\"}");
	if (!*text)
		return kit_fail_code(node, -ENOMEM, "pinning");
	return strlen(*text) > STORE_PIN_META_MAX
		? kit_fail(node, -EMSGSIZE, "what is kept with a pin is at most %d bytes of JSON",
			  STORE_PIN_META_MAX)
		: 0;
}

static int pin_path(struct kit_node *node, const char *path, bool recursive,
	const struct store_pin_label *label, struct mf_cid *cid)
{
	struct store_lease lease;
	struct kit_blocks blocks;
	store_ticket ticket = 0;

	kit_writing_begin(node, &lease);
	int rc = kit_reading_begin(node, path, &blocks, cid);
	if (!rc)
		rc = recursive ? kit_pin_below_labelled(&blocks, cid, label, &ticket)
			       : pin_block(&blocks, cid, label, &ticket);
	kit_blocks_close(&blocks);
	store_lease_end(&lease);
	if (rc == -EEXIST)
		return kit_fail(node, rc,
			"'%.300s' is pinned recursively already; 'ipfs-kit pin rm' takes that pin away first",
			path);
	if (!rc && (rc = kit_sync(node, ticket)))
		kit_fail_code(node, rc, "pinning");
	return rc;
}

int kit_pin_add_labelled(struct kit_node *node, const char *path, bool recursive,
	const struct kit_pin_label *label, struct mf_cid *cid)
{
	struct store_pin_label ours;
	char *text = NULL;

	node->error[0] = 0;
	int rc = label ? check_label(node, label, &ours, &text) : 0;
	if (!rc)
		rc = pin_path(node, path, recursive, label ? &ours : NULL, cid);
	free(text);
	return rc;
}

int kit_pin_add(struct kit_node *node, const char *path, bool recursive, struct mf_cid *cid)
{
	return pin_path(node, path, recursive, NULL, cid);
}

/* Of what no pin names: whether it is kept by one above it. */
static int not_pinned(struct kit_node *node, const char *path, const struct mf_cid *cid)
{
	char text[MF_CID_TEXT_MAX];
	struct mf_cid root;
	int rc = kit_pin_holder(node, cid, &root);

	if (rc == ANYIO_CANCELLED)
		return rc;
	if (rc)
		return kit_fail(node, -ENOENT, "'%.100s' is not pinned", path);
	mf_cid_format(&root, text, sizeof(text));
	return kit_fail(node, -ENOENT,
		"'%.100s' is not pinned itself, but kept by the pin of %s, which it lies below; 'ipfs-kit pin rm %s' takes that away",
		path, text, text);
}

int kit_pin_rm(struct kit_node *node, const char *path, struct mf_cid *cid)
{
	store_ticket ticket = 0;
	int rc = kit_resolve(node, path, cid);

	if (rc)
		return rc;
	rc = store_pin_remove(node->core->store, cid, &ticket);
	if (rc == -ENOENT)
		return not_pinned(node, path, cid);
	if (!rc)
		rc = kit_sync(node, ticket);
	return rc ? kit_fail_code(node, rc, "unpinning") : 0;
}

static int find_recursive(struct kit_node *node, const struct mf_cid *cid, struct store_pin *pin)
{
	int mode = store_pin_get(node->core->store, cid);

	if (mode != STORE_PIN_RECURSIVE)
		return mode < 0 ? mode : -ENOENT;
	return store_pin_read(node->core->store, cid, pin);
}

int kit_pin_update(struct kit_node *node, const char *from, const char *to, bool unpin,
	struct mf_cid *old, struct mf_cid *new)
{
	struct store_lease lease;
	struct kit_blocks blocks;
	struct store_pin pin;
	store_ticket ticket = 0;
	int rc = kit_resolve(node, from, old);

	if (!rc && (rc = find_recursive(node, old, &pin)))
		rc = rc == -ENOENT ? kit_fail(node, rc, "'%.100s' is not pinned recursively", from)
				   : kit_fail_code(node, rc, "pin update");
	if (rc)
		return rc;
	struct store_pin_label label = { pin.name, pin.meta };
	kit_writing_begin(node, &lease);
	rc = kit_reading_begin(node, to, &blocks, new);
	if (!rc)
		rc = kit_pin_below_labelled(&blocks, new, &label, &ticket);
	kit_blocks_close(&blocks);
	if (!rc && unpin && !mf_cid_equal(old, new) &&
		(rc = store_pin_remove(node->core->store, old, &ticket)))
		kit_fail_code(node, rc, "pin update");
	if (!rc && (rc = kit_sync(node, ticket)))
		kit_fail_code(node, rc, "pin update");
	store_lease_end(&lease);
	return rc;
}

int kit_pin_ls(struct kit_node *node, int (*each)(void *arg, const struct kit_pin *), void *arg)
{
	struct store_state_cursor cursor = { 0 };
	struct store_pin pin;
	int rc;

	node->error[0] = 0;
	while ((rc = store_pin_next(node->core->store, &cursor, &pin)) > 0) {
		struct kit_pin out = { .cid = pin.cid,
			.recursive = pin.mode == STORE_PIN_RECURSIVE,
			.name = pin.name,
			.meta = pin.meta };
		int stop = each(arg, &out);
		if (stop)
			return stop;
	}
	return rc ? kit_fail_code(node, rc, "listing pins") : 0;
}

static int is_it(void *arg, const struct mf_cid *cid, const void *data, size_t len)
{
	return mf_cid_equal(cid, arg);
}

int kit_pin_holder(struct kit_node *node, const struct mf_cid *cid, struct mf_cid *root)
{
	struct store_state_cursor cursor = { 0 };
	struct mf_cid sought = *cid;
	struct kit_blocks blocks;
	struct store_pin pin;
	int rc, found = 0, failure = 0;

	node->error[0] = 0;
	kit_blocks_open(&blocks, node);
	blocks.offline = true;
	while (found != 1 && found != ANYIO_CANCELLED &&
		(rc = store_pin_next(node->core->store, &cursor, &pin)) > 0) {
		if (pin.mode != STORE_PIN_RECURSIVE)
			continue;
		found = kit_walk_names(&blocks, &pin.cid, is_it, &sought);
		if (found == 1)
			*root = pin.cid;
		else if (found)
			failure = found;
	}
	kit_blocks_close(&blocks);
	if (found == 1 || found == ANYIO_CANCELLED)
		return found == 1 ? 0 : found;
	if (rc)
		return kit_fail_code(node, rc, "listing pins");
	/* What could not be walked may hold it. */
	return failure ? failure : -ENOENT;
}
