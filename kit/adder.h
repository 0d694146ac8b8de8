/* An add under way, as the files that make it up see it. */
#ifndef KIT_ADDER_H
#define KIT_ADDER_H

#include "pipeline.h"
#include "peek.h"

#include <sodium.h>

enum {
	DEPTH_MAX = KIT_DEPTH_MAX,
	NAME_BYTES_MAX = 255,
	PATH_BYTES_MAX = DEPTH_MAX * (NAME_BYTES_MAX + 1)
};

struct entry {
	char *name;
	struct entry *parent;
	struct entry **children; /* directories only */
	size_t count, size;
	bool directory, built;
	struct unixfs_built node;
};

struct kit_adder {
	struct kit_node *node;
	struct store_lease lease; /* of all that is added, until it is pinned */
	struct kit_add_options options;
	struct unixfs_profile profile;
	struct pipeline pipeline;
	struct peek peek;
	/* The last file had been finished by an add that was interrupted, as the next one may be, so that it is
	 * not read ahead; true before the first. */
	bool known;
	struct entry **folders; /* all below the root, by parent and name: open addressing */
	size_t folder_count, folders_size;
	uint8_t key[crypto_shorthash_KEYBYTES]; /* names come from strangers */
	size_t tree,
		tree_held; /* bytes of all entries, and what of the node's room is held for them */
	struct entry root; /* holds the top-level entries; itself an entry only with wrap */
	bool several;      /* paths are added together: how much there is, is not known */
	uint64_t done, total;
};

/* The entry for path, its parents made as needed. Directories that exist are given again. */
int adder_place(struct kit_adder *adder, const char *path, bool directory, struct entry **out);
/* Tells the caller of a CID, unless it is a root's: those are told when all is durable. */
int adder_report(struct kit_adder *adder, const char *path, const struct unixfs_built *built);
/* Counts bytes that are done: the progress of pipeline_file, whose arg is the adder. */
void adder_count(void *arg, size_t bytes);

#endif
