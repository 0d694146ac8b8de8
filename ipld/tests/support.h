/* What the tests of ipld share: fixtures, and a handful of blocks in memory. */
#ifndef IPLD_TESTS_SUPPORT_H
#define IPLD_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <multiformats/cid.h>

/* Folder of public fixtures (KIT_FIXTURES, else beside the checkout). When it is absent: skips the
 * test, or fails it when KIT_REQUIRE_ALL=1. */
const char *fixtures(void);
/* What main returns, from what cmocka's group did: 77 when fixtures were missed. */
int ipld_exit(int failed);

/* A whole file, freed with free(); fails the test when it cannot be read. path is joined from a
 * folder and a printf format. */
uint8_t *read_fixture(size_t *len, const char *format, ...);

/* A CID from its text. */
struct mf_cid cid_of(const char *text);
void assert_cid(const struct mf_cid *cid, const char *text);

/* Hexadecimal to bytes; returns the length. */
size_t unhex(const char *hex, uint8_t *out, size_t cap);

/* Blocks in memory, by CID. */
struct blocks {
	struct stored {
		struct mf_cid cid;
		uint8_t *data;
		size_t len;
	} * items;
	size_t count;
};

/* Has the form of unixfs_emit_fn; arg is a struct blocks. Checks the block against its CID. */
int blocks_put(void *arg, const struct mf_cid *cid, const void *block, size_t len);
const struct stored *blocks_get(const struct blocks *blocks, const struct mf_cid *cid);
void blocks_free(struct blocks *blocks);

/* Loads every block of a CAR file; returns its first root. */
struct mf_cid blocks_load_car(struct blocks *blocks, const uint8_t *data, size_t len);

/* Reads a range of a file; 0, the reader's error, or -ENOENT for a block that is not there. data is
 * to be freed whatever came out. */
struct got {
	uint8_t *data;
	size_t len, blocks;
};
int read_range(const struct blocks *blocks, const struct mf_cid *root, uint64_t offset,
	uint64_t length, struct got *got);

/* Bytes that look random but are the same everywhere. */
void fill(uint8_t *out, size_t len, uint64_t seed);

#endif
