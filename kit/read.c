/* cat, ls, stat. */
#include "node.h"

#include <errno.h>
#include <string.h>

struct reading {
	struct kit_blocks blocks;
	struct mf_cid cid;
};

/* A symlink's bytes are its target, as Kubo prints it. */
static int cat_symlink(struct reading *reading, uint64_t offset, uint64_t length, int failure,
	const struct kit_sink *sink)
{
	struct kit_look look = { 0 };
	int rc = kit_look(&reading->blocks, &reading->cid, &look);

	if (!rc && look.kind != KIT_SYMLINK)
		rc = failure;
	if (!rc && offset < look.size) {
		uint64_t left = look.size - offset;
		reading->blocks.node->error[0] = 0;
		rc = sink->write(sink->arg, look.target + offset, length < left ? length : left);
	}
	anyio_free(look.target);
	return rc;
}

int kit_cat(struct kit_node *node, const char *path, uint64_t offset, uint64_t length,
	const struct kit_sink *sink)
{
	struct reading reading;
	int rc = kit_reading_begin(node, path, &reading.blocks, &reading.cid);

	if (!rc) {
		reading.blocks.reads = true;
		rc = kit_file_copy(&reading.blocks, &reading.cid, offset, length, sink, NULL, NULL);
		if (rc == -ENOTSUP)
			rc = cat_symlink(&reading, offset, length, rc, sink);
	}
	return kit_reading_end(&reading.blocks, rc);
}

/* ---- ls ---- */

struct listing {
	struct reading reading;
	bool resolve;
	int (*each)(void *arg, const struct kit_entry *entry);
	void *arg;
};

/* As long as a path may be on Linux. What is longer would be held for as long as each takes. */
enum { LISTED_MAX = 4096 };

static int too_long(struct listing *listing, const char *what)
{
	return kit_fail(listing->reading.blocks.node, -ENAMETOOLONG,
		"this folder has %s of more than %d bytes, which is not listed", what, LISTED_MAX);
}

static int list_entry(void *arg, const struct unixfs_entry *from)
{
	struct listing *listing = arg;
	struct kit_entry entry = { .cid = from->cid,
		.tsize = from->tsize,
		.kind = from->cid.codec == MF_CODEC_RAW ? KIT_FILE : KIT_OTHER,
		.size = from->tsize };
	struct kit_look look = { 0 };
	int rc = 0;

	if (from->name_len > LISTED_MAX)
		return too_long(listing, "a name");
	entry.name = anyio_malloc(from->name_len + 1);
	if (!entry.name)
		return kit_fail_code(listing->reading.blocks.node, -ENOMEM, "listing");
	memcpy(entry.name, from->name, from->name_len);
	entry.name[from->name_len] = 0;
	/* A raw block is a file of its own length: there is nothing to look up. */
	if (listing->resolve && from->cid.codec != MF_CODEC_RAW)
		rc = kit_look(&listing->reading.blocks, &from->cid, &look);
	if (!rc && look.target && look.size > LISTED_MAX)
		rc = too_long(listing, "a symlink");
	if (!rc) {
		if (listing->resolve && from->cid.codec != MF_CODEC_RAW) {
			entry.kind = look.kind;
			entry.size = look.kind == KIT_DIRECTORY ? 0 : look.size;
			entry.target = look.target;
			entry.has_mode = look.meta.has_mode;
			entry.has_mtime = look.meta.has_mtime;
			entry.mode = look.meta.mode;
			entry.mtime = look.meta.mtime;
		}
		rc = listing->each(listing->arg, &entry);
	}
	anyio_free(look.target);
	anyio_free(entry.name);
	return rc;
}

int kit_ls(struct kit_node *node, const char *path, bool resolve,
	int (*each)(void *arg, const struct kit_entry *entry), void *arg)
{
	struct listing listing = { .resolve = resolve, .each = each, .arg = arg };
	struct kit_look look = { 0 };
	int rc = kit_reading_begin(node, path, &listing.reading.blocks, &listing.reading.cid);

	if (!rc)
		rc = kit_look(&listing.reading.blocks, &listing.reading.cid, &look);
	/* A file lists its chunks in Kubo; here, as in a shell, it lists nothing below it. */
	if (!rc && look.kind == KIT_DIRECTORY)
		rc = kit_directory_each(
			&listing.reading.blocks, &listing.reading.cid, list_entry, &listing);
	anyio_free(look.target);
	return kit_reading_end(&listing.reading.blocks, rc);
}

int kit_stat_path(struct kit_node *node, const char *path, struct kit_stat *stat)
{
	struct reading reading;
	struct kit_look look = { 0 };
	int rc = kit_reading_begin(node, path, &reading.blocks, &reading.cid);

	if (!rc)
		rc = kit_look(&reading.blocks, &reading.cid, &look);
	if (!rc)
		*stat = (struct kit_stat){ .cid = reading.cid,
			.kind = look.kind,
			.size = look.kind == KIT_DIRECTORY ? 0 : look.size,
			.cumulative_size = look.cumulative,
			.blocks = look.links,
			.has_mtime = look.meta.has_mtime,
			.has_mode = look.meta.has_mode,
			.mtime = look.meta.mtime,
			.mode = look.meta.mode };
	anyio_free(look.target);
	return kit_reading_end(&reading.blocks, rc);
}
