/*
 * Adding: a tree of names grows as files come in; directories are made from it at the end, from the
 * leaves of the tree up. Nothing is reported as added before finish has made it durable, except the
 * CIDs of single files, which the caller may print as they are known.
 */
#include "adder.h"

#include "room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Profiles ---- */

static int choose_profile(struct kit_node *node, const struct kit_add_options *options,
	struct unixfs_profile *profile)
{
	const struct kit_config *config;
	const char *name = options->profile;
	int rc;

	if (!name) {
		rc = kit_config_now(node, &config);
		if (rc)
			return rc;
		name = kit_config_value(config, "add.profile");
	}
	const struct unixfs_profile *found = unixfs_profile_find(name);
	if (!found)
		return kit_fail(node, -EINVAL,
			"no profile '%s'; there are unixfs-v1-2025, unixfs-v0-2015 and kubo-cid-v1",
			name);

	/* As in Kubo: --cid-version=1 without a profile of version 1 brings raw leaves with it. */
	*profile = *found;
	if (options->cid_version == 1 && !options->profile)
		*profile = unixfs_kubo_cid_v1;
	else if (options->cid_version == 0 && !options->profile)
		*profile = unixfs_v0_2015;
	else if (options->cid_version >= 0)
		profile->cid_version = (uint8_t)options->cid_version;
	if (options->raw_leaves >= 0)
		profile->raw_leaves = options->raw_leaves;
	if (!options->chunker || !*options->chunker)
		return 0;
	rc = unixfs_chunker_parse(options->chunker, &profile->chunk_size);
	return rc
		? kit_fail(node, -EINVAL, "chunker '%s' is not offered; use size-BYTES, at most %d",
			  options->chunker, UNIXFS_CHUNK_MAX)
		: 0;
}

/* ---- The tree ---- */

enum {
	ENTRY_LINKS = 4 * sizeof(void *), /* of an entry, in its parent and in the table */
	TREE_STEP = 1 << 20,
};

static void entry_free(struct entry *entry)
{
	for (size_t i = 0; i < entry->count; i++) {
		entry_free(entry->children[i]);
		anyio_free(entry->children[i]);
	}
	anyio_free(entry->children);
	anyio_free(entry->name);
}

static struct entry *entry_add(
	struct kit_adder *adder, struct entry *parent, const char *name, size_t len)
{
	if (parent->count == parent->size) {
		size_t size = parent->size ? parent->size * 2 : 8;
		struct entry **bigger = anyio_realloc(parent->children, size * sizeof(*bigger));
		if (!bigger)
			return NULL;
		parent->children = bigger;
		parent->size = size;
	}
	struct entry *entry = anyio_calloc(1, sizeof(*entry));
	if (entry && !(entry->name = anyio_malloc(len + 1))) {
		anyio_free(entry);
		entry = NULL;
	}
	if (!entry)
		return NULL;
	memcpy(entry->name, name, len);
	entry->name[len] = 0;
	entry->parent = parent;
	parent->children[parent->count++] = entry;
	adder->tree += sizeof(*entry) + len + 1 + ENTRY_LINKS;
	return entry;
}

/* Where a folder is in the table, or the empty place where it belongs. */
static struct entry **find_folder(
	const struct kit_adder *adder, const struct entry *parent, const char *name, size_t len)
{
	uint8_t text[sizeof(parent) + NAME_BYTES_MAX], hash[crypto_shorthash_BYTES];
	size_t at, last = adder->folders_size - 1;

	memcpy(text, &parent, sizeof(parent));
	memcpy(text + sizeof(parent), name, len);
	crypto_shorthash(hash, text, sizeof(parent) + len, adder->key);
	memcpy(&at, hash, sizeof(at));
	for (at &= last; adder->folders[at]; at = (at + 1) & last) {
		const struct entry *folder = adder->folders[at];
		if (folder->parent == parent && !strncmp(folder->name, name, len) &&
			!folder->name[len])
			break;
	}
	return &adder->folders[at];
}

/* Makes room for one more in the table. */
static bool grow_folders(struct kit_adder *adder)
{
	struct entry **old = adder->folders;
	size_t size = adder->folders_size;

	if ((adder->folder_count + 1) * 2 <= size)
		return true;
	struct entry **bigger = anyio_calloc(size ? size * 2 : 64, sizeof(struct entry *));
	if (!bigger)
		return false;
	adder->folders = bigger;
	adder->folders_size = size ? size * 2 : 64;
	for (size_t i = 0; i < size; i++)
		if (old[i])
			*find_folder(adder, old[i]->parent, old[i]->name, strlen(old[i]->name)) =
				old[i];
	anyio_free(old);
	return true;
}

/* NULL: no memory. */
static struct entry *place_folder(
	struct kit_adder *adder, struct entry *parent, const char *name, size_t len)
{
	if (!grow_folders(adder))
		return NULL;
	struct entry **place = find_folder(adder, parent, name, len);
	if (!*place && (*place = entry_add(adder, parent, name, len))) {
		(*place)->directory = true;
		adder->folder_count++;
	}
	return *place;
}

/* Not waited for: others may be waiting for the batches that this add holds. */
static int hold_tree(struct kit_adder *adder)
{
	struct kit_room *room = adder->node->room;

	if (!room || adder->tree <= KIT_ROOM_SMALL || adder->tree <= adder->tree_held)
		return 0;
	if (room_try(room, &adder->tree_held, adder->tree + TREE_STEP) &&
		adder->tree <= adder->tree_held)
		return 0;
	return kit_fail(adder->node, -ENOMEM,
		"so many names find no memory here now; add the tree in parts, or without a daemon");
}

int adder_place(struct kit_adder *adder, const char *path, bool directory, struct entry **out)
{
	struct entry *parent = &adder->root;
	int depth = 0;

	for (const char *name = path;;) {
		size_t len = strcspn(name, "/");
		bool last = !name[len];
		if (len > NAME_BYTES_MAX || ++depth > DEPTH_MAX)
			return kit_fail(adder->node, -ENAMETOOLONG,
				"'%.100s...' is too long or too deep", path);
		if ((len == 0 && *path) || (len == 1 && name[0] == '.') ||
			(len == 2 && !memcmp(name, "..", 2)))
			return kit_fail(
				adder->node, -EINVAL, "'%s' is not a path inside a tree", path);
		struct entry *child = last && !directory ? entry_add(adder, parent, name, len)
							 : place_folder(adder, parent, name, len);
		if (!child)
			return kit_fail_code(adder->node, -ENOMEM, "adding");
		int rc = hold_tree(adder);
		if (rc)
			return rc;
		if (last) {
			*out = child;
			return 0;
		}
		parent = child;
		name += len + 1;
	}
}

static int tell(struct kit_adder *adder, const char *path, const struct unixfs_built *built)
{
	return adder->options.entry
		? adder->options.entry(adder->options.arg, path, &built->cid, built->tsize)
		: 0;
}

int adder_report(struct kit_adder *adder, const char *path, const struct unixfs_built *built)
{
	bool root = adder->options.wrap ? !*path : !strchr(path, '/');

	return root ? 0 : tell(adder, path, built);
}

/* ---- Entries ---- */

/* Told before anything is read, which may take hours. */
static int check_pin_name(struct kit_node *node, const struct kit_add_options *options)
{
	if (!options->pin_name)
		return 0;
	if (options->no_pin)
		return kit_fail(node, -EINVAL,
			"what is not pinned gets no pin-name; leave that out, or let it be pinned");
	return strlen(options->pin_name) > STORE_PIN_NAME_MAX
		? kit_fail(node, -EMSGSIZE, "a pin's name is at most %d bytes", STORE_PIN_NAME_MAX)
		: 0;
}

int kit_adder_begin(
	struct kit_node *node, const struct kit_add_options *options, struct kit_adder **out)
{
	struct kit_adder *adder = anyio_calloc(1, sizeof(*adder));
	int rc;

	*out = NULL;
	node->error[0] = 0;
	if (!adder)
		return kit_fail_code(node, -ENOMEM, "adding");
	adder->node = node;
	adder->options = *options;
	adder->root.directory = true;
	randombytes_buf(adder->key, sizeof(adder->key));
	peek_init(&adder->peek, options->hidden);
	adder->known = true;
	rc = check_pin_name(node, options);
	if (!rc)
		rc = choose_profile(node, options, &adder->profile);
	if (!rc) {
		rc = pipeline_begin(&adder->pipeline, node, &adder->profile, options->only_hash);
		if (rc)
			kit_fail_code(node, rc, "adding");
	}
	if (rc) {
		anyio_free(adder);
		return rc;
	}
	kit_writing_begin(node, &adder->lease);
	*out = adder;
	return 0;
}

void adder_count(void *arg, size_t bytes)
{
	struct kit_adder *adder = arg;

	adder->done += bytes;
	if (adder->options.progress)
		adder->options.progress(adder->options.arg, adder->done, adder->total);
}

/* What has no name is called by its CID, as Kubo does. */
static int name_by_cid(struct entry *entry)
{
	char text[MF_CID_TEXT_MAX];

	mf_cid_format(&entry->node.cid, text, sizeof(text));
	anyio_free(entry->name);
	entry->name = anyio_strdup(text);
	return entry->name ? 0 : -ENOMEM;
}

int kit_adder_file(struct kit_adder *adder, const char *path, const struct kit_source *source)
{
	struct entry *entry;
	int rc = adder_place(adder, path, false, &entry);

	if (rc)
		return rc;
	rc = pipeline_file(
		&adder->pipeline, source, NULL, 0, NULL, adder_count, adder, &entry->node);
	if (!rc && !*path)
		rc = name_by_cid(entry);
	if (rc)
		return kit_fail_code(adder->node, rc, *path ? path : "adding");
	entry->built = true;
	return adder_report(adder, *path ? path : entry->name, &entry->node);
}

int kit_adder_symlink(struct kit_adder *adder, const char *path, const char *target)
{
	struct unixfs_message message = {
		.type = UNIXFS_SYMLINK, .data = target, .data_len = strlen(target)
	};
	struct mf_pb_writer out = mf_pb_write_growing(64 + message.data_len);
	struct entry *entry;
	int rc = adder_place(adder, path, false, &entry);

	if (!rc) {
		unixfs_put_block(&out, &message);
		ssize_t len = mf_pb_finish(&out);
		rc = len < 0 ? (int)len : 0;
		if (!rc) {
			mf_cid_of(&entry->node.cid, adder->profile.cid_version, MF_CODEC_DAG_PB,
				out.data, (size_t)len);
			entry->node.tsize = (uint64_t)len;
			entry->built = true;
			rc = pipeline_put(
				&adder->pipeline, &entry->node.cid, out.data, (size_t)len);
		}
		if (rc)
			kit_fail_code(adder->node, rc, path);
	}
	free(out.data);
	return rc ? rc : adder_report(adder, path, &entry->node);
}

int kit_adder_directory(struct kit_adder *adder, const char *path)
{
	struct entry *entry;

	return adder_place(adder, path, true, &entry);
}

/* ---- Directories ---- */

static int build_directory(struct kit_adder *adder, struct entry *entry)
{
	struct unixfs_entry *list = anyio_malloc((entry->count ? entry->count : 1) * sizeof(*list));
	int rc = list ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < entry->count; i++) {
		const struct entry *child = entry->children[i];
		list[i] = (struct unixfs_entry){ .name = (const uint8_t *)child->name,
			.name_len = strlen(child->name),
			.cid = child->node.cid,
			.tsize = child->node.tsize };
	}
	if (!rc)
		rc = unixfs_dir_build(&adder->profile, NULL, list, entry->count, pipeline_put,
			&adder->pipeline, &entry->node);
	anyio_free(list);
	entry->built = !rc;
	if (rc == -EEXIST)
		return kit_fail(adder->node, rc, "a folder '%s' holds one name twice",
			entry->name ? entry->name : "");
	return rc ? kit_fail_code(adder->node, rc, "making a folder") : 0;
}

/* Children first. path has room for every name below. */
static int build_tree(struct kit_adder *adder, struct entry *entry, char *path, size_t len)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < entry->count; i++) {
		struct entry *child = entry->children[i];
		if (!child->directory)
			continue;
		size_t more = strlen(child->name) + (len ? 1 : 0);
		if (len + more >= PATH_BYTES_MAX)
			return kit_fail(
				adder->node, -ENAMETOOLONG, "'%.100s...' is too long", path);
		snprintf(path + len, more + 1, "%s%s", len ? "/" : "", child->name);
		rc = build_tree(adder, child, path, len + more);
		path[len] = 0;
	}
	if (!rc)
		rc = build_directory(adder, entry);
	return rc ? rc : adder_report(adder, path, &entry->node);
}

/* A root's line says that all below it is durable: it goes out last. */
static int report_roots(struct kit_adder *adder)
{
	const struct entry *top = &adder->root;
	int rc = 0;

	if (adder->options.wrap)
		return tell(adder, "", &top->node);
	for (size_t i = 0; !rc && i < top->count; i++)
		rc = tell(adder, top->children[i]->name, &top->children[i]->node);
	return rc;
}

static int pin(struct kit_adder *adder, const struct mf_cid *cid)
{
	if (adder->options.only_hash || adder->options.no_pin)
		return 0;
	struct store_pin_label label = { .name = adder->options.pin_name };
	int rc = store_pin_add_labelled(adder->node->core->store, cid, STORE_PIN_RECURSIVE,
		label.name ? &label : NULL, &adder->pipeline.ticket);
	return rc ? kit_fail_code(adder->node, rc, "pinning") : 0;
}

static int finish(struct kit_adder *adder, struct mf_cid *root)
{
	char *path = anyio_calloc(1, PATH_BYTES_MAX);
	struct entry *top = &adder->root;
	int rc = path ? 0 : kit_fail_code(adder->node, -ENOMEM, "adding");

	if (!rc && !adder->options.wrap && top->count == 0)
		rc = kit_fail(adder->node, -EINVAL, "nothing was given to add");
	if (!rc && adder->options.wrap)
		rc = build_tree(adder, top, path, 0);
	for (size_t i = 0; !rc && !adder->options.wrap && i < top->count; i++)
		if (top->children[i]->directory) {
			size_t len = (size_t)snprintf(
				path, PATH_BYTES_MAX, "%s", top->children[i]->name);
			rc = build_tree(adder, top->children[i], path, len);
		}
	if (!rc && (rc = pipeline_flush(&adder->pipeline)))
		kit_fail_code(adder->node, rc, "adding");

	/* The root is pinned after its blocks are in the log, and all is synced together. */
	const struct entry *last =
		adder->options.wrap || !top->count ? top : top->children[top->count - 1];
	for (size_t i = 0; !rc && !adder->options.wrap && i < top->count; i++)
		rc = pin(adder, &top->children[i]->node.cid);
	if (!rc && adder->options.wrap)
		rc = pin(adder, &top->node.cid);
	if (!rc && (rc = kit_sync(adder->node, adder->pipeline.ticket)))
		kit_fail_code(adder->node, rc, "making it durable");
	if (!rc) {
		*root = last->node.cid;
		rc = report_roots(adder);
	}
	anyio_free(path);
	return rc;
}

static void adder_free(struct kit_adder *adder)
{
	store_lease_end(&adder->lease);
	entry_free(&adder->root);
	anyio_free(adder->folders);
	peek_destroy(&adder->peek);
	if (adder->node->room)
		kit_room_hold(adder->node->room, &adder->tree_held, 0);
	anyio_free(adder);
}

int kit_adder_finish(struct kit_adder *adder, struct mf_cid *root)
{
	int rc = pipeline_end(&adder->pipeline, finish(adder, root));

	adder_free(adder);
	return rc;
}

void kit_adder_abandon(struct kit_adder *adder)
{
	pipeline_end(&adder->pipeline, ANYIO_CANCELLED);
	adder_free(adder);
}

int kit_add_source(struct kit_node *node, const struct kit_source *source,
	const struct kit_add_options *options, struct mf_cid *root)
{
	struct kit_adder *adder;
	int rc = kit_adder_begin(node, options, &adder);

	if (rc)
		return rc;
	rc = kit_adder_file(adder, "", source);
	if (!rc)
		return kit_adder_finish(adder, root);
	kit_adder_abandon(adder);
	return rc;
}
