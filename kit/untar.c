/*
 * Unpacking an archive that a daemon sent, under the rules of get: the first name is replaced by the
 * output the user named, every other one is checked part by part and opened without following links.
 */
#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, PAX_MAX = 1 << 20, CHUNK = 256 << 10 };

struct untar {
	const struct kit_source *source;
	const struct kit_get_options *options;
	struct place output; /* as it was before the archive */
	struct place top;    /* in the folder that was made there, when the root is one */
	char *buffer;        /* CHUNK bytes */
	size_t at, end;
	uint64_t done;
	char *path, *target; /* from an extended header; NULL: the header's own */
	bool has_size, ended;
	uint64_t size;
	char type, link[101];
	char root[256]; /* the archive's first name */
	size_t entries;
};

/* Up to size bytes of the archive, from the buffer: 0 at the end. */
static ssize_t some(struct untar *u, const char **data, size_t size)
{
	if (u->at == u->end) {
		ssize_t n = u->source->read(u->source->arg, u->buffer, CHUNK);
		if (n <= 0)
			return n;
		u->at = 0;
		u->end = (size_t)n;
	}
	size_t n = u->end - u->at < size ? u->end - u->at : size;
	*data = u->buffer + u->at;
	u->at += n;
	return (ssize_t)n;
}

static int exactly(struct untar *u, char *out, size_t size)
{
	while (size) {
		const char *data;
		ssize_t n = some(u, &data, size);
		if (n <= 0)
			return n < 0 ? (int)n : ANYIO_INCOMPLETE_READ;
		memcpy(out, data, (size_t)n);
		out += n;
		size -= (size_t)n;
	}
	return 0;
}

static int skip(struct untar *u, uint64_t size)
{
	while (size) {
		const char *data;
		ssize_t n = some(u, &data, size < CHUNK ? (size_t)size : CHUNK);
		if (n <= 0)
			return n < 0 ? (int)n : ANYIO_INCOMPLETE_READ;
		size -= (uint64_t)n;
	}
	return 0;
}

static uint64_t padding(uint64_t size)
{
	return (BLOCK - size % BLOCK) % BLOCK;
}

static bool octal(const char *field, size_t len, uint64_t *value)
{
	*value = 0;
	while (len && *field == ' ')
		field++, len--;
	for (; len && *field >= '0' && *field <= '7'; field++, len--) {
		if (*value >> 60)
			return false;
		*value = *value * 8 + (uint64_t)(*field - '0');
	}
	return len == 0 || *field == 0 || *field == ' ';
}

/* Ends an archive. */
static bool all_zero(const char *block)
{
	return !block[0] && !memcmp(block, block + 1, BLOCK - 1);
}

static bool checksum_ok(const char *block)
{
	uint64_t want;
	unsigned sum = 0;

	if (!octal(block + 148, 8, &want))
		return false;
	for (size_t i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : (unsigned char)block[i];
	return sum == want;
}

/* Records "LEN key=value\n". */
static int parse_pax(struct untar *u, char *text, size_t len)
{
	while (len) {
		char *end;
		unsigned long size = strtoul(text, &end, 10);
		if (size < 5 || size > len || *end != ' ' || text[size - 1] != '\n')
			return -EBADMSG;
		text[size - 1] = 0;
		char *key = end + 1, *value = strchr(key, '=');
		if (!value || value >= text + size)
			return -EBADMSG;
		*value++ = 0;
		char **slot = !strcmp(key, "path") ? &u->path
			: !strcmp(key, "linkpath") ? &u->target
						   : NULL;
		if (slot) {
			anyio_free(*slot);
			if (!(*slot = anyio_strdup(value)))
				return -ENOMEM;
		} else if (!strcmp(key, "size")) {
			u->size = strtoull(value, &end, 10);
			u->has_size = *value && !*end;
		}
		text += size;
		len -= size;
	}
	return 0;
}

static int take_pax(struct untar *u, uint64_t size)
{
	if (size > PAX_MAX)
		return -EBADMSG;
	char *text = anyio_malloc((size_t)size + 1);
	int rc = text ? exactly(u, text, (size_t)size) : -ENOMEM;
	if (!rc) {
		text[size] = 0;
		rc = parse_pax(u, text, (size_t)size);
	}
	anyio_free(text);
	return rc ? rc : skip(u, padding(size));
}

/* The next entry's header: 1, 0 at the end of the archive. */
static int next(struct untar *u)
{
	char block[BLOCK], name[356];
	uint64_t size;
	int rc;

	anyio_free(u->path);
	anyio_free(u->target);
	u->path = u->target = NULL;
	u->has_size = false;
	for (;;) {
		rc = exactly(u, block, BLOCK);
		if (rc)
			return rc;
		if (all_zero(block))
			return 0;
		if (!checksum_ok(block) || !octal(block + 124, 12, &size))
			return -EBADMSG;
		if (block[156] == 'g')
			rc = skip(u, size + padding(size));
		else if (block[156] == 'x')
			rc = take_pax(u, size);
		else
			break;
		if (rc)
			return rc;
	}
	u->type = block[156] ? block[156] : '0';
	if (!u->has_size)
		u->size = size;
	snprintf(u->link, sizeof(u->link), "%.100s", block + 157);
	if (!u->path) {
		bool ustar = !memcmp(block + 257, "ustar", 5) && block[345];
		snprintf(name, sizeof(name), "%.155s%s%.100s", ustar ? block + 345 : "",
			ustar ? "/" : "", block);
		u->path = anyio_strdup(name);
	}
	return u->path ? 1 : -ENOMEM;
}

/* ---- Placing ---- */

/* Whether an entry is that of the archive's root: the first one is, and no other. -EBADMSG: it is out of
 * turn, or another root's. */
static int is_root(struct untar *u, const char **below)
{
	size_t len = strcspn(u->path, "/");

	if (u->entries == 0 && len < sizeof(u->root))
		snprintf(u->root, sizeof(u->root), "%.*s", (int)len, u->path);
	*below = u->path + len;
	*below += strspn(*below, "/");
	bool first = u->entries == 0, root = !**below;
	if (!len || strlen(u->root) != len || memcmp(u->root, u->path, len) || first != root)
		return -EBADMSG;
	return root;
}

/* The next folder on the way to an entry. The archive said that it is one, or lied. */
static int enter(struct place *place)
{
	struct place inside = { .descriptor = -1 };

	inside.dir = anyio_openat(place->dir, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (inside.dir < 0)
		return inside.dir == -ENOTDIR || inside.dir == -ELOOP || inside.dir == -ENOENT
			? -EBADMSG
			: inside.dir;
	place_close(place);
	*place = inside;
	return 0;
}

/* The place of an entry below the root, walked from the folder that was made for that without following
 * links. */
static int find_place(struct untar *u, const char *name, struct place *place)
{
	int rc = 0;

	*place = (struct place){ .dir = AT_FDCWD, .descriptor = -1 };
	if (u->top.dir < 0)
		return -EBADMSG; /* the root is no folder */
	place->dir = anyio_openat(u->top.dir, ".", O_RDONLY | O_DIRECTORY, 0);
	if (place->dir < 0)
		return place->dir;
	while (!rc && *name) {
		size_t len = strcspn(name, "/");
		if (!place_name_ok(name, len))
			rc = -EBADMSG;
		else if (*place->name)
			rc = enter(place);
		if (!rc)
			snprintf(place->name, sizeof(place->name), "%.*s", (int)len, name);
		name += len;
		name += strspn(name, "/");
	}
	if (rc)
		place_close(place);
	return rc;
}

static int take_file(struct untar *u, const struct place *place)
{
	struct place_file file;
	uint64_t left = u->size;
	int rc = place_file_open(place, u->options->overwrite, &file);

	if (rc)
		return rc;
	while (!rc && left) {
		const char *data;
		ssize_t n = some(u, &data, left < CHUNK ? (size_t)left : CHUNK);
		if (n <= 0) {
			rc = n < 0 ? (int)n : ANYIO_INCOMPLETE_READ;
			break;
		}
		rc = file.sink.write(file.sink.arg, data, (size_t)n);
		left -= (uint64_t)n;
		u->done += (uint64_t)n;
		if (u->options->progress)
			u->options->progress(
				u->options->arg, u->done, u->entries == 0 ? u->size : 0);
	}
	rc = place_file_close(&file, rc);
	return rc ? rc : skip(u, padding(u->size));
}

/* A folder that is made comes back open. */
static int put(struct untar *u, const struct place *place, struct place *inside)
{
	switch (u->type) {
	case '0': return take_file(u, place);
	case '2':
		return place_make_symlink(
			place, u->target ? u->target : u->link, u->options->overwrite);
	case '5': return place_make_directory(place, u->options->overwrite, inside);
	}
	return -EBADMSG; /* hard links and devices: no honest answer holds them */
}

static int take(struct untar *u)
{
	struct place place, inside = { .dir = AT_FDCWD, .descriptor = -1 };
	const char *below;
	int rc = is_root(u, &below);

	if (rc == 1) {
		rc = u->type == '5' ? 0 : place_go_inside(&u->output, u->options->into);
		if (!rc)
			rc = put(u, &u->output, &u->top);
	} else if (!rc && !(rc = find_place(u, below, &place))) {
		rc = put(u, &place, &inside);
		place_close(&inside);
		place_close(&place);
	}
	u->entries++;
	return rc;
}

int kit_untar(
	const struct kit_source *source, const char *output, const struct kit_get_options *options)
{
	static const struct kit_get_options none;
	struct untar u = { .source = source,
		.options = options ? options : &none,
		.output = { .dir = AT_FDCWD, .descriptor = -1 },
		.top = { .dir = AT_FDCWD, .descriptor = -1 } };
	int rc = (u.buffer = anyio_malloc(CHUNK)) ? 1 : -ENOMEM;

	if (rc > 0)
		rc = place_open_root(&u.output, output);
	if (!rc)
		rc = 1;
	while (rc > 0 && (rc = next(&u)) == 1) {
		rc = take(&u);
		rc = rc ? rc : 1;
	}
	if (!rc && !u.entries)
		rc = -EBADMSG;
	/* Whatever follows the end is read, so that the sender is not cut off. */
	const char *data;
	while (!rc && some(&u, &data, CHUNK) > 0)
		;
	place_close(&u.top);
	place_close(&u.output);
	anyio_free(u.path);
	anyio_free(u.target);
	anyio_free(u.buffer);
	return rc;
}
