/* A repo whose disk is nearly full: forty trees in one segment, every second one pinned, and what is cut off the segment is room. */
#ifndef STORE_TESTS_LITTLE_H
#define STORE_TESTS_LITTLE_H

#include "support.h"
#include "../inner.h"

enum { TREES = 40, LEAVES = 10, LEN = 3000, MARGIN = 100000 };

/* Each tree with a commit of its own. */
int little_fill(struct store **store);
/* Trees until one is refused, all but every nth pinned: why. */
int little_fill_up(struct store *store, int nth);
/* Another segment behind it, which knows how long it was; and a pin in that. */
int little_roll(struct store *store);
int little_check_kept(struct store *store);
int little_check_gone(struct store *store);

struct little_disk {
	struct store *store;
	uint64_t most;  /* bytes that the repo may have */
	uint64_t first; /* the first segment's size, seen last */
	int cuts;       /* of it */
	int cuts_most;  /* after which there is no room any more; 0: any */
	bool over;      /* it had more than that */
};
/* From now on, until test_room is NULL: so many bytes more than there are. */
void little_disk_fill(struct little_disk *disk, struct store *store, uint64_t room);

int little_collect(struct store *store, struct store_collect_result *result);
/* Until it was cut so often; the disk has all its room then. */
int little_cut(struct store *store, int cuts);
/* Nobody complains of it: a verification, an opening, one without the index. gone: what is dead is not there. */
int little_look_again(struct store **store, bool gone);

#endif
