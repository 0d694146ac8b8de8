/* Paths: a CID, and names below it. */
#include "node.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *kit_last_name(const char *path, size_t *len)
{
	size_t end = strlen(path);

	while (end > 1 && path[end - 1] == '/')
		end--;
	size_t start = end;
	while (start && path[start - 1] != '/')
		start--;
	*len = end - start;
	return path + start;
}

static int parse(const char *path, struct mf_cid *root, const char **rest, char *error, size_t cap)
{
	const char *text = path;

	if (!strncmp(text, "/ipns/", 6) || !strncmp(text, "ipns://", 7)) {
		snprintf(error, cap,
			"'%.100s': /ipns names are not resolved here; give the CID that it stands for",
			path);
		return -ENOTSUP;
	}
	if (!strncmp(text, "/ipfs/", 6))
		text += 6;
	else if (!strncmp(text, "ipfs://", 7))
		text += 7;
	size_t len = strcspn(text, "/");
	if (mf_cid_parse(root, text, len)) {
		snprintf(error, cap, "'%.100s' is not a CID or a path like /ipfs/CID/name", path);
		return -EINVAL;
	}
	*rest = text + len;
	while (**rest == '/')
		++*rest;
	return 0;
}

int kit_path_parse(struct kit_node *node, const char *path, struct mf_cid *root, const char **rest)
{
	return parse(path, root, rest, node->error, sizeof(node->error));
}

int kit_path_check(const char *path, char *error, size_t cap)
{
	struct mf_cid root;
	const char *rest;

	return parse(path, &root, &rest, error, cap);
}

int kit_path_step(struct kit_blocks *blocks, struct mf_cid *cid, const char *name, size_t len,
	bool *explained)
{
	struct unixfs_lookup lookup;
	struct unixfs_entry entry;
	struct mf_cid at = *cid;
	int rc;

	unixfs_lookup_init(&lookup, name, len);
	do {
		struct store_block block;
		rc = kit_blocks_get(blocks, &at, &block);
		*explained = rc != 0;
		if (rc)
			return rc;
		rc = unixfs_lookup_feed(&lookup, at.codec, block.data, block.len, &entry);
		if (rc >= 0)
			at = entry.cid;
		store_block_release(&block);
	} while (rc == 0);
	if (rc == 1)
		*cid = at;
	return rc == 1 ? 0 : rc;
}

int kit_path_walk(struct kit_blocks *blocks, const char *path, struct mf_cid *cid)
{
	const char *rest;
	int rc = kit_path_parse(blocks->node, path, cid, &rest);

	if (!rc)
		blocks->root = *cid;
	while (!rc && *rest) {
		size_t len = strcspn(rest, "/");
		bool explained;
		rc = kit_path_step(blocks, cid, rest, len, &explained);
		if (explained)
			break;
		if (rc == -ENOENT)
			kit_fail(blocks->node, rc, "%s: no link named '%.*s' under %.*s", path,
				(int)len, rest, (int)(rest - path - 1), path);
		else if (rc == -ENOTDIR || rc == -EPROTONOSUPPORT)
			kit_fail(blocks->node, rc,
				"'%.*s' is looked for in something that is not a folder: %s",
				(int)len, rest, path);
		else if (rc == -EBADMSG)
			kit_fail_code(blocks->node, rc, path);
		rest += len;
		while (*rest == '/')
			rest++;
	}
	return rc;
}

int kit_reading_begin(
	struct kit_node *node, const char *path, struct kit_blocks *blocks, struct mf_cid *cid)
{
	node->error[0] = 0;
	kit_blocks_open(blocks, node);
	return kit_path_walk(blocks, path, cid);
}

int kit_reading_end(struct kit_blocks *blocks, int rc)
{
	if (!rc)
		rc = kit_blocks_sync(blocks);
	kit_blocks_close(blocks);
	return rc;
}

int kit_resolve(struct kit_node *node, const char *path, struct mf_cid *cid)
{
	struct kit_blocks blocks;

	return kit_reading_end(&blocks, kit_reading_begin(node, path, &blocks, cid));
}
