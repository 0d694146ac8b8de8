/* CAR files made of blocks of numbers, beside the repo of the running test, and their adoption. */
#ifndef STORE_TESTS_ARCHIVES_H
#define STORE_TESTS_ARCHIVES_H

#include <ipld/car.h>
#include "support.h"

enum { ARCHIVE_BLOCKS = 30, ARCHIVE_BLOCK = 3000 };

/* One being written. */
struct archive {
	uint8_t *bytes;
	size_t len, cap;
};
void archive_bytes(struct archive *archive, const void *data, size_t len);
/* root may be NULL. */
void archive_header(struct archive *archive, const struct mf_cid *root);
void archive_section(
	struct archive *archive, const struct mf_cid *cid, const void *data, size_t len);
/* Blocks number from..to, of a length. */
void archive_blocks(struct archive *archive, int from, int to, size_t len);
/* A whole one of blocks of ARCHIVE_BLOCK bytes. */
struct archive archive_make(int from, int to);

/* Where a file of that name is; valid until the next call. */
const char *archive_path(const char *name);
void archive_save(const struct archive *archive, const char *name);
int archive_adopt_with(struct store *store, const char *name,
	const struct store_adopt_options *options, struct store_adopt_result *result);
/* Saves it as given.car, frees it, and adopts that. */
int archive_adopt(
	struct store *store, struct archive *archive, bool link, struct store_adopt_result *result);

/* How many of those blocks can be got; how many segments are adopted. */
int archive_there(struct store *store, int from, int to);
int archive_adopted(struct store *store);

#endif
