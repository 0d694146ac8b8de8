/*
 * What the kit's tests share: a fresh repo on every backend, inputs that are the same everywhere,
 * and sinks and sources in memory. Bodies run as tasks and return what went wrong.
 */
#ifndef KIT_TESTS_SUPPORT_H
#define KIT_TESTS_SUPPORT_H

#include <kit/kit.h>
#include <multiformats/multihash.h>

#include "../../tests/check.h"

/* A folder of the test's own, a repo in it, opened. A body that closes the node sets it to NULL. */
struct scene {
	char dir[64], repo[80];
	struct kit_node *node;
};

/* On every backend that works here, each with a fresh folder and repo. */
void scene_run(int (*body)(struct scene *scene));
/* The same where time stands still but when all wait for it. */
void scene_run_mock_clock(int (*body)(struct scene *scene));
/* "DIR/name"; valid until the next call but three. */
const char *scene_path(struct scene *scene, const char *name);
int scene_reopen(struct scene *scene);

/* Inputs as tests/interop/gen.c makes them: the same words, the same bytes. */
int make_file(const char *path, uint64_t seed, uint64_t size);
int make_folder(
	const char *path, uint64_t seed, unsigned count, int name_len, int last_len, uint64_t size);
int make_deep(const char *path, uint64_t seed, unsigned depth);
/* The small tree whose CIDs test_add.c has as constants. */
int make_tree(const char *path);
void fill_bytes(uint64_t seed, void *out, size_t len);

/* 0 when two trees hold the same names, kinds, bytes and link targets. */
int compare_trees(const char *a, const char *b);
void remove_tree(const char *path);

/* Bytes in memory as sink and source. */
struct bytes {
	uint8_t *data;
	size_t len, size, at;
	size_t step; /* a source gives at most so much at once; 0: all */
	struct kit_sink sink;
	struct kit_source source;
};
void bytes_init(struct bytes *bytes);
void bytes_free(struct bytes *bytes);
int bytes_append(struct bytes *bytes, const void *data, size_t len);

/* Adds a path recursively and gives the CID's text. */
int add_text(
	struct kit_node *node, const char *path, const struct kit_add_options *options, char *text);

#endif
