/* What the two halves of migration share: the blocks of a flatfs, the pins of a LevelDB. */
#ifndef KIT_MIGRATE_H
#define KIT_MIGRATE_H

#include "node.h"

struct migrate_pin {
	struct mf_cid cid;
	bool recursive;
};

struct migrate_pins {
	struct migrate_pin *pins;
	size_t count, size;
	struct mf_cid files; /* the root of Kubo's mutable files; version 0 and no digest: none */
	char error[256];
};

/* Reads the pins out of the LevelDB in source, by way of a private copy in the repo. Blocks, and ends when
 * the task that waits is cancelled: call it on a worker thread. 0, or a negative code and a sentence in
 * error. */
int migrate_read_pins(const char *source, const char *repo, struct migrate_pins *pins);
/* Removes the copy that a killed process left in a repo, which the caller has locked. Blocks for a file or
 * a few; fails silently, since it is in nobody's way but the next copy's. */
void migrate_remove_copy(const char *repo);
void migrate_pins_free(struct migrate_pins *pins);

#endif
