/*
 * Small files read ahead, many by one call on a worker thread: for a file of a few KiB the loop's
 * operations, one each to look, open, read and read the end, take longer than the file.
 *
 * One peek serves a whole tree. It forgets what it had read of a folder when another is entered, so
 * it begins each with few files and then takes more: whatever is read twice is little.
 */
#ifndef KIT_PEEK_H
#define KIT_PEEK_H

#include <anyio/file.h>
#include <stdbool.h>
#include <stdint.h>

enum { PEEK_FILES = 256, PEEK_BYTES = 1 << 20, PEEK_FILE_MAX = 32 << 10 };

struct peeked {
	const uint8_t *data; /* NULL: not a small file, or not one that stood still */
	struct stat st;
};

struct peek {
	int dir; /* -1: nothing was read */
	const struct anyio_names *names;
	bool hidden;         /* take names that begin with a dot */
	size_t first, count; /* of the names; what was read of them is in files */
	size_t window, used;
	uint8_t *bytes;
	struct peeked *files;
};

void peek_init(struct peek *peek, bool hidden);
void peek_destroy(struct peek *peek);
/* The file of that name in the folder dir, all of it, valid until the next call; or NULL: it is to
 * be opened as any other. May wait. names stay the caller's and must live until another folder is
 * asked for or peek_forget. */
const struct peeked *peek_file(
	struct peek *peek, int dir, const struct anyio_names *names, size_t index);
void peek_forget(struct peek *peek);

#endif
