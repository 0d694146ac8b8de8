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

/* Reads the pins out of the LevelDB in source, by way of a private copy in a fresh folder in scratch.
 * Blocks: call it on a worker thread. 0, or a negative code and a sentence in error. */
int migrate_read_pins(const char *source, const char *scratch, struct migrate_pins *pins);
void migrate_pins_free(struct migrate_pins *pins);

#endif
