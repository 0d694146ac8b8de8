/*
 * A tree as a POSIX archive (IEEE Std 1003.1 pax: ustar headers, and an extended header before those
 * whose name, target or size does not fit). The first name is the last one of the path, as Kubo's is:
 * that of a file or folder, or the CID.
 */
#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 512 };

struct tarring {
	struct kit_blocks blocks;
	const struct kit_sink *sink;
	struct mf_cid cid;
	char path[16384]; /* of the entry being written */
	size_t len;
	int depth;
};

static void number(char *field, size_t size, uint64_t value)
{
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
}

static int put_header(struct tarring *t, const char *name, char type, uint64_t size, uint32_t mode,
	int64_t mtime, const char *target)
{
	char block[BLOCK] = { 0 };
	unsigned sum = 0;

	memcpy(block, name, strnlen(name, 100));
	number(block + 100, 8, mode);
	number(block + 108, 8, 0);
	number(block + 116, 8, 0);
	number(block + 124, 12, size < 1ull << 33 ? size : 0);
	number(block + 136, 12, mtime > 0 && mtime < 1ll << 33 ? (uint64_t)mtime : 0);
	memset(block + 148, ' ', 8);
	block[156] = type;
	memcpy(block + 157, target, strnlen(target, 100));
	memcpy(block + 257, "ustar\00000", 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)block[i];
	snprintf(block + 148, 8, "%06o", sum);
	block[155] = ' ';
	return t->sink->write(t->sink->arg, block, BLOCK);
}

static int pad(struct tarring *t, uint64_t size)
{
	static const char zeros[BLOCK];
	size_t rest = (size_t)(size % BLOCK);

	return rest ? t->sink->write(t->sink->arg, zeros, BLOCK - rest) : 0;
}

/* "LEN key=value\n", where LEN counts itself. */
static size_t record(char *out, size_t cap, const char *key, const char *value)
{
	size_t body = strlen(key) + strlen(value) + 3, len = body + 1;
	char digits[24];

	while (len != body + (size_t)snprintf(digits, sizeof(digits), "%zu", len))
		len = body + strlen(digits);
	return (size_t)snprintf(out, cap, "%zu %s=%s\n", len, key, value);
}

/* A header, with an extended one before it when something does not fit. */
static int put_entry(struct tarring *t, char type, uint64_t size, uint32_t mode, int64_t mtime,
	const char *target)
{
	bool long_name = strlen(t->path) > 100, long_target = strlen(target) > 100,
	     large = size >= 1ull << 33;
	int rc = 0;

	if (long_name || long_target || large) {
		size_t cap = sizeof(t->path) + strlen(target) + 128, n = 0;
		char *text = anyio_malloc(cap), digits[24];
		if (!text)
			return kit_fail_code(t->blocks.node, -ENOMEM, "archiving");
		if (long_name)
			n += record(text + n, cap - n, "path", t->path);
		if (long_target)
			n += record(text + n, cap - n, "linkpath", target);
		snprintf(digits, sizeof(digits), "%llu", (unsigned long long)size);
		if (large)
			n += record(text + n, cap - n, "size", digits);
		rc = put_header(t, "pax", 'x', n, 0644, 0, "");
		if (!rc)
			rc = t->sink->write(t->sink->arg, text, n);
		if (!rc)
			rc = pad(t, n);
		anyio_free(text);
	}
	return rc ? rc : put_header(t, t->path, type, size, mode, mtime, target);
}

static int put_any(struct tarring *t, const struct mf_cid *cid);

static int put_child(void *arg, const struct unixfs_entry *entry)
{
	struct tarring *t = arg;
	size_t before = t->len;

	if (!place_name_ok((const char *)entry->name, entry->name_len))
		return kit_fail(
			t->blocks.node, -EBADMSG, "a folder holds a name that would leave it");
	if (t->len + entry->name_len + 2 > sizeof(t->path))
		return kit_fail(t->blocks.node, -ENAMETOOLONG, "a path is longer than %zu bytes",
			sizeof(t->path));
	t->path[t->len++] = '/';
	memcpy(t->path + t->len, entry->name, entry->name_len);
	t->len += entry->name_len;
	t->path[t->len] = 0;
	int rc = put_any(t, &entry->cid);
	t->len = before;
	t->path[before] = 0;
	return rc;
}

static int put_any(struct tarring *t, const struct mf_cid *cid)
{
	struct kit_look look = { 0 };
	uint32_t mode;
	int rc;

	if (++t->depth > KIT_DEPTH_MAX)
		return kit_fail(
			t->blocks.node, -ELOOP, "folders are nested deeper than %d", KIT_DEPTH_MAX);
	rc = kit_look(&t->blocks, cid, &look);
	mode = look.meta.has_mode ? look.meta.mode : look.kind == KIT_DIRECTORY ? 0755 : 0644;
	if (rc) {
	} else if (look.kind == KIT_DIRECTORY) {
		rc = put_entry(t, '5', 0, mode, look.meta.mtime, "");
		if (!rc)
			rc = kit_directory_each(&t->blocks, cid, put_child, t);
	} else if (look.kind == KIT_SYMLINK) {
		rc = put_entry(t, '2', 0, 0777, look.meta.mtime, look.target);
	} else if (look.kind == KIT_FILE) {
		rc = put_entry(t, '0', look.size, mode, look.meta.mtime, "");
		if (!rc)
			rc = kit_file_copy(&t->blocks, cid, 0, UNIXFS_TO_END, t->sink, NULL, NULL);
		if (!rc)
			rc = pad(t, look.size);
	} else {
		rc = kit_fail(
			t->blocks.node, -EPROTONOSUPPORT, "%s is not a file or folder", t->path);
	}
	anyio_free(look.target);
	t->depth--;
	return rc;
}

static int put_root(void *arg)
{
	static const char end[2 * BLOCK];
	struct tarring *t = arg;
	int rc = put_any(t, &t->cid);

	return rc ? rc : t->sink->write(t->sink->arg, end, sizeof(end));
}

static int name_root(struct tarring *t, const char *path)
{
	const char *name = kit_last_name(path, &t->len);

	if (!place_name_ok(name, t->len))
		return kit_fail(t->blocks.node, -EBADMSG,
			"'%.*s' cannot be the name of a file: %.200s", (int)t->len, name, path);
	memcpy(t->path, name, t->len);
	return 0;
}

int kit_get_tar(struct kit_node *node, const char *path, const struct kit_sink *sink)
{
	struct tarring *t = anyio_calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return kit_fail_code(node, -ENOMEM, "archiving");
	t->sink = sink;
	rc = kit_reading_begin(node, path, &t->blocks, &t->cid);
	t->blocks.reads = rc == 0;
	if (!rc)
		rc = name_root(t, path);
	if (!rc)
		rc = kit_deep(put_root, t);
	rc = kit_reading_end(&t->blocks, rc);
	anyio_free(t);
	return rc;
}
