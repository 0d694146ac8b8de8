/* Content to disk: walks what a path leads to, and puts each part in its place. */
#include "place.h"

#include <errno.h>
#include <string.h>

struct getting {
	struct kit_blocks blocks;
	const struct kit_get_options *options;
	struct place place;
	struct mf_cid cid;
	uint64_t done, file_done, total;
	int depth;
};

static void on_bytes(void *arg, uint64_t done)
{
	struct getting *getting = arg;

	getting->done += done - getting->file_done;
	getting->file_done = done;
	if (getting->options->progress)
		getting->options->progress(getting->options->arg, getting->done, getting->total);
}

static int disk_failure(struct getting *getting, int rc, const char *name)
{
	if (rc == ANYIO_CANCELLED)
		return rc;
	if (rc == -EEXIST)
		return kit_fail(
			getting->blocks.node, rc, "'%s' exists and is something else", name);
	return kit_fail(getting->blocks.node, rc, "writing '%s': %s", name, anyio_error_text(rc));
}

static int get_any(struct getting *getting, const struct place *place, const struct mf_cid *cid);

struct level {
	struct getting *getting;
	struct place inside;
};

static int get_entry(void *arg, const struct unixfs_entry *entry)
{
	struct level *level = arg;
	struct place *place = &level->inside;

	if (!place_name_ok((const char *)entry->name, entry->name_len))
		return kit_fail(level->getting->blocks.node, -EBADMSG,
			"a folder holds the name '%.*s', which would leave it; it was not written",
			(int)(entry->name_len < 80 ? entry->name_len : 80), entry->name);
	memcpy(place->name, entry->name, entry->name_len);
	place->name[entry->name_len] = 0;
	return get_any(level->getting, place, &entry->cid);
}

static int get_directory(
	struct getting *getting, const struct place *place, const struct mf_cid *cid)
{
	struct level *level = anyio_malloc(sizeof(*level));
	int rc = level ? 0 : -ENOMEM;

	if (!rc) {
		level->getting = getting;
		rc = place_make_directory(place, getting->options->overwrite, &level->inside);
	}
	if (rc)
		rc = disk_failure(getting, rc, place->name);
	else
		rc = kit_directory_each(&getting->blocks, cid, get_entry, level);
	if (level)
		place_close(&level->inside);
	anyio_free(level);
	return rc;
}

static int get_file(struct getting *getting, const struct place *place, const struct mf_cid *cid)
{
	struct place_file file;
	int rc = place_file_open(place, getting->options->overwrite, &file);

	if (rc)
		return disk_failure(getting, rc, place->name);
	getting->blocks.node->error[0] = 0;
	getting->file_done = 0;
	rc = kit_file_copy(&getting->blocks, cid, 0, UNIXFS_TO_END, &file.sink, on_bytes, getting);
	rc = place_file_close(&file, rc);
	/* Trouble with blocks has been explained; what is left is the disk's. */
	return rc && !getting->blocks.node->error[0] ? disk_failure(getting, rc, place->name) : rc;
}

static int get_any(struct getting *getting, const struct place *place, const struct mf_cid *cid)
{
	struct kit_look look = { 0 };
	int rc;

	if (++getting->depth > KIT_DEPTH_MAX)
		return kit_fail(getting->blocks.node, -ELOOP, "folders are nested deeper than %d",
			KIT_DEPTH_MAX);
	rc = cid->codec == MF_CODEC_RAW ? 0 : kit_look(&getting->blocks, cid, &look);
	if (cid->codec == MF_CODEC_RAW)
		look.kind = KIT_FILE;
	if (getting->depth == 1)
		getting->total = look.kind == KIT_FILE ? look.size : look.cumulative;
	if (!rc && getting->depth == 1 && look.kind != KIT_DIRECTORY &&
		(rc = place_go_inside(&getting->place, getting->options->into)))
		rc = disk_failure(getting, rc, place->name);
	if (!rc && look.kind == KIT_DIRECTORY)
		rc = get_directory(getting, place, cid);
	else if (!rc && look.kind == KIT_SYMLINK &&
		(rc = place_make_symlink(place, look.target, getting->options->overwrite)))
		rc = disk_failure(getting, rc, place->name);
	else if (!rc && look.kind == KIT_FILE)
		rc = get_file(getting, place, cid);
	else if (!rc && look.kind == KIT_OTHER)
		rc = kit_fail(getting->blocks.node, -EPROTONOSUPPORT,
			"'%s' is not a file or folder; 'ipfs-kit block get' prints its bytes",
			place->name);
	anyio_free(look.target);
	getting->depth--;
	return rc;
}

static int get_root(void *arg)
{
	struct getting *getting = arg;

	return get_any(getting, &getting->place, &getting->cid);
}

int kit_get(struct kit_node *node, const char *path, const char *output,
	const struct kit_get_options *options)
{
	static const struct kit_get_options none;
	struct getting getting = { .options = options ? options : &none };
	int rc = kit_reading_begin(node, path, &getting.blocks, &getting.cid);

	if (!rc) {
		getting.blocks.reads = true;
		rc = place_open_root(&getting.place, output);
		if (rc)
			kit_fail(node, rc, "'%s': %s", output, anyio_error_text(rc));
		else
			rc = kit_deep(get_root, &getting);
		place_close(&getting.place);
	}
	return kit_reading_end(&getting.blocks, rc);
}
